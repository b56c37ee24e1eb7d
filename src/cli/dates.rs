//! Days and instants as people type them: as the API has them, or as tables show them (`20/02/2025 14:30`, on the clocks of São Paulo).
use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Timestamp};

use super::language::say;
use crate::domain::{end_of_day, parse_as_of, parse_local_date, sao_paulo};

/// A local time, with the length of its text and how much of it the text leaves open.
const LOCAL_TIMES: [(&str, usize, SignedDuration); 6] = [
    ("%d/%m/%Y %H:%M", 16, MINUTE),
    ("%Y-%m-%d %H:%M", 16, MINUTE),
    ("%Y-%m-%dT%H:%M", 16, MINUTE),
    ("%d/%m/%Y %H:%M:%S", 19, SECOND),
    ("%Y-%m-%d %H:%M:%S", 19, SECOND),
    ("%Y-%m-%dT%H:%M:%S", 19, SECOND),
];

const MINUTE: SignedDuration = SignedDuration::from_secs(60);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// A day: `2025-02-20` or `20/02/2025`.
pub(super) fn day(text: &str) -> Result<Date, String> {
    parse_local_date(text).or_else(|| brazilian_date(text)).ok_or_else(|| say!("cli-not-a-day", text = text))
}

/// What `--as-of` takes: an instant, or the end of a day, a minute or a second in São Paulo. Tables show minutes, so what was archived in
/// the minute that is named is there.
pub(super) fn as_of(text: &str) -> Result<Timestamp, String> {
    let end = parse_as_of(text).or_else(|| brazilian_date(text).and_then(end_of_day)).or_else(|| local_time(text));
    end.ok_or_else(|| say!("cli-not-an-as-of", text = text))
}

fn brazilian_date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| Date::strptime("%d/%m/%Y", text).ok()).flatten()
}

fn local_time(text: &str) -> Option<Timestamp> {
    let parsed = LOCAL_TIMES.iter().filter(|(_, length, _)| *length == text.len());
    let (start, open) =
        parsed.filter_map(|(format, _, open)| Some((DateTime::strptime(format, text).ok()?, *open))).next()?;
    let end = sao_paulo().to_timestamp(start).ok()?.checked_add(open).ok()?;
    end.checked_sub(SignedDuration::from_millis(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::{as_of, day};

    #[test]
    fn days_are_read_as_the_api_and_as_tables_write_them() {
        assert_eq!(day("2025-02-01"), day("01/02/2025"));
        for wrong in ["", "2025-02-30", "30/02/2025", "1/2/2025", "02/2025", "20250201", "01-02-2025", "amanhã"] {
            assert!(day(wrong).is_err_and(|why| why.contains(wrong)), "{wrong}");
        }
    }

    #[test]
    fn an_instant_is_the_end_of_what_was_typed() {
        for (text, expected) in [
            ("2025-02-20", "2025-02-21T02:59:59.999Z"),
            ("20/02/2025", "2025-02-21T02:59:59.999Z"),
            ("20/02/2025 14:30", "2025-02-20T17:30:59.999Z"),
            ("2025-02-20 14:30", "2025-02-20T17:30:59.999Z"),
            ("2025-02-20T14:30", "2025-02-20T17:30:59.999Z"),
            ("20/02/2025 14:30:05", "2025-02-20T17:30:05.999Z"),
            ("2025-02-20T14:30:05", "2025-02-20T17:30:05.999Z"),
            ("2025-02-20T14:30:05Z", "2025-02-20T14:30:05Z"),
            ("2025-02-20T14:30:05-03:00", "2025-02-20T17:30:05Z"),
        ] {
            let expected = expected.parse().expect("an instant");
            assert_eq!(as_of(text), Ok(expected), "{text}");
        }
        for wrong in ["ontem", "20/02/2025 24:30", "32/01/2025", "20/02/25 14:30", "14:30"] {
            assert!(as_of(wrong).is_err_and(|why| why.contains(wrong)), "{wrong}");
        }
    }
}
