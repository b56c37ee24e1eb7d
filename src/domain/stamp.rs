//! Instants and local times as text.
use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;

/// An instant or a local time as ISO 8601 text. Lists consist of them to a great part: this takes a tenth of the time of
/// jiff's printer and allocates nothing.
#[derive(Clone, Copy)]
pub struct Stamp {
    bytes: [u8; 32],
    length: usize,
}

impl Stamp {
    /// RFC 3339, in UTC, with milliseconds.
    pub fn of_instant(at: Timestamp) -> Self {
        let utc = TimeZone::UTC.to_datetime(at);
        if utc.year() < 0 {
            return Self::by_jiff(format_args!("{at:.3}"));
        }
        let mut stamp = Self::of_local_millis(utc);
        stamp.push(b'Z');
        stamp
    }

    /// With milliseconds, without an offset.
    pub fn of_local_millis(at: DateTime) -> Self {
        if at.year() < 0 {
            return Self::by_jiff(format_args!("{at:.3}"));
        }
        let mut stamp = Self::of_local(at);
        let millisecond = at.millisecond().unsigned_abs();
        stamp.push(b'.');
        stamp.push(digit(millisecond / 100));
        stamp.pair(millisecond % 100);
        stamp
    }

    /// To the second, without an offset.
    pub fn of_local(at: DateTime) -> Self {
        let Ok(year) = u16::try_from(at.year()) else { return Self::by_jiff(format_args!("{at:.0}")) };
        let mut stamp = Self { bytes: [0; 32], length: 0 };
        stamp.pair(year / 100);
        stamp.pair(year % 100);
        for (before, part) in
            [(b'-', at.month()), (b'-', at.day()), (b'T', at.hour()), (b':', at.minute()), (b':', at.second())]
        {
            stamp.push(before);
            stamp.pair(part.unsigned_abs().into());
        }
        stamp
    }

    /// Years before 0, written by jiff.
    fn by_jiff(text: fmt::Arguments<'_>) -> Self {
        let mut bytes = [0; 32];
        let mut rest = &mut bytes[..];
        // The text has 27 bytes at most.
        let _ = rest.write_fmt(text);
        let length = 32 - rest.len();
        Self { bytes, length }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn pair(&mut self, n: u16) {
        self.push(digit(n / 10));
        self.push(digit(n % 10));
    }
}

fn digit(n: u16) -> u8 {
    b'0' + (n % 10) as u8
}

/// An instant as the API shows it.
pub fn format_instant(at: Timestamp) -> String {
    Stamp::of_instant(at).as_str().to_owned()
}

/// Parses an instant in RFC 3339. A valid one outside of jiff's range (tools send `9999-12-31T23:59:59Z` for "no end") is the
/// nearest end of the range.
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    let text = restore_plus(text);
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let pieces = Pieces::parse(text.as_bytes()).ok()?;
    let (local, offset) = (pieces.date().to_datetime(pieces.time()?), pieces.to_numeric_offset()?);
    // Within the range, the text has another defect.
    let is_outside = offset.to_timestamp(local).is_err();
    is_outside.then_some(if local.year() < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// A `+` in a URL is decoded as a blank: a blank before the final offset can only have been a `+`.
fn restore_plus(text: &str) -> Cow<'_, str> {
    match text.rsplit_once(' ') {
        Some((local, offset)) if is_offset(offset) && local.parse::<DateTime>().is_ok() => {
            Cow::Owned(format!("{local}+{offset}"))
        }
        _ => Cow::Borrowed(text),
    }
}

/// `hh:mm`.
fn is_offset(text: &str) -> bool {
    text.len() == 5 && text.as_bytes()[2] == b':' && text.parse::<Time>().is_ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::{Stamp, format_instant, parse_instant};
    use crate::domain::timestamp;

    #[test]
    fn instants_are_parsed_as_tools_write_them() {
        for (text, read) in [
            ("2026-11-25T20:59:59Z", "2026-11-25T20:59:59.000Z"),
            ("2026-11-25T20:59:59 00:00", "2026-11-25T20:59:59.000Z"),
            ("2026-11-25 20:59:59.5 02:30", "2026-11-25T18:29:59.500Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(parse_instant(text).map(format_instant).as_deref(), Some(read), "{text}");
        }
        for text in [
            "9999-12-31T23:59:59Z",
            "9999-12-31T23:59:59.9999999Z",
            "9999-12-31T23:59:59-03:00",
            "9999-12-31T23:59:59 00:00",
        ] {
            assert_eq!(parse_instant(text), Some(Timestamp::MAX), "{text}");
        }
        for text in [
            "",
            "x",
            "2026-11-25",
            "2026-11-25 20:59",
            "2026-11-25T20:59:59",
            "2026-11-25T20:59:59 0000",
            "2026-11-25T20:59:59 30:00",
            "2026-11-25T20:59:59Z 00:00",
            "2026-13-25T20:59:59Z",
            "9999-12-31",
            "9999-12-31T23:59:59",
            "9999-12-32T23:59:59Z",
        ] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn stamps_are_what_jiff_writes(ms in prop_oneof![-90_000_000_000_000_i64..-62_000_000_000_000, -62_000_000_000_000_i64..253_000_000_000_000]) {
            let at = timestamp(ms);
            prop_assert_eq!(format_instant(at), format!("{at:.3}"));
            let whole = timestamp(ms.div_euclid(1000) * 1000);
            let local = jiff::tz::TimeZone::UTC.to_datetime(whole);
            prop_assert_eq!(Stamp::of_local(local).as_str().to_owned(), local.to_string());
        }
    }
}
