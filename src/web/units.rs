//! Numbers, sizes, days and instants as people read them. Times are those of São Paulo.
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use maud::{Markup, html};

use crate::domain::{Granularity, Period, format_instant, sao_paulo};
use crate::lang::{Lang, text};

/// A whole number with separators of thousands.
pub fn number(lang: Lang, value: u64) -> String {
    let digits = value.to_string();
    let separator = if lang == Lang::Portuguese { '.' } else { ',' };
    let mut written = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            written.push(separator);
        }
        written.push(digit);
    }
    written
}

/// A number of rows of a database, which is never negative.
pub fn count(value: impl TryInto<u64>) -> u64 {
    value.try_into().unwrap_or_default()
}

/// Bytes in decimal units, with three digits or so.
pub fn size(lang: Lang, bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    let (whole, rest) = (number(lang, tenths / 10), tenths % 10);
    let comma = if lang == Lang::Portuguese { ',' } else { '.' };
    match tenths >= 1000 {
        true => format!("{whole} {}", UNITS[unit]),
        false => format!("{whole}{comma}{rest} {}", UNITS[unit]),
    }
}

pub fn local(at: Timestamp) -> DateTime {
    sao_paulo().to_datetime(at)
}

pub fn day(lang: Lang, day: Date) -> String {
    match lang {
        Lang::Portuguese => day.strftime("%d/%m/%Y").to_string(),
        Lang::English => day.strftime("%Y-%m-%d").to_string(),
    }
}

fn month(lang: Lang, first: Date) -> String {
    format!("{}/{}", month_name(lang, first.month()), first.year())
}

/// The short name of a month, from 1 on.
pub fn month_name(lang: Lang, month: i8) -> &'static str {
    const PORTUGUESE: [&str; 12] = ["jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez"];
    const ENGLISH: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let names = if lang == Lang::Portuguese { PORTUGUESE } else { ENGLISH };
    names[(month.clamp(1, 12) - 1) as usize]
}

/// The short name of a day of the week, Monday being 0.
pub fn weekday_name(lang: Lang, weekday: usize) -> &'static str {
    const PORTUGUESE: [&str; 7] = ["seg", "ter", "qua", "qui", "sex", "sáb", "dom"];
    const ENGLISH: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let names = if lang == Lang::Portuguese { PORTUGUESE } else { ENGLISH };
    names[weekday % 7]
}

/// A period: a day, a month, or its first and last day.
pub fn period(lang: Lang, period: Period) -> String {
    let (first, last) = (period.start.0.date(), period.end.0.date());
    match period.granularity() {
        Granularity::Month => month(lang, first),
        _ if first == last => day(lang, first),
        _ if first.year() == last.year() && lang == Lang::Portuguese => {
            format!("{} – {}", first.strftime("%d/%m"), day(lang, last))
        }
        _ if first.year() == last.year() => format!("{} – {}", day(lang, first), last.strftime("%m-%d")),
        _ => format!("{} – {}", day(lang, first), day(lang, last)),
    }
}

/// To the minute, in São Paulo.
pub fn minute(lang: Lang, at: Timestamp) -> String {
    let at = local(at);
    format!("{} {}", day(lang, at.date()), at.strftime("%H:%M"))
}

/// How long ago something was.
pub fn ago(lang: Lang, now: Timestamp, at: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        i64::MIN..60 => text!(lang, "ago-now"),
        60..3600 => text!(lang, "ago-minutes", count = minutes),
        3600..172_800 => text!(lang, "ago-hours", count = hours),
        172_800..5_184_000 => text!(lang, "ago-days", count = days),
        5_184_000..63_072_000 => text!(lang, "ago-months", count = days / 30),
        _ => text!(lang, "ago-years", count = days / 365),
    }
}

/// An instant in words, with the time of São Paulo and the exact instant in its tooltip.
pub fn instant(lang: Lang, now: Timestamp, at: Timestamp) -> Markup {
    let exact = format_instant(at);
    html! {
        time datetime=(exact) title=(exact) {
            span.clock { (minute(lang, at)) } " " span.ago { (ago(lang, now, at)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ago, number, size};
    use crate::lang::Lang::{English, Portuguese};

    #[test]
    fn numbers_and_sizes_follow_the_language() {
        assert_eq!((number(English, 1_234_567), number(Portuguese, 1_000)), ("1,234,567".into(), "1.000".into()));
        assert_eq!((number(English, 0), number(Portuguese, 999)), ("0".into(), "999".into()));
        for (bytes, portuguese, english) in [
            (0, "0 B", "0 B"),
            (999, "999 B", "999 B"),
            (1_000, "1,0 kB", "1.0 kB"),
            (12_345, "12,3 kB", "12.3 kB"),
            (123_456, "123 kB", "123 kB"),
            (999_999, "999 kB", "999 kB"),
            (1_000_000, "1,0 MB", "1.0 MB"),
            (8_500_000_000, "8,5 GB", "8.5 GB"),
        ] {
            assert_eq!((size(Portuguese, bytes), size(English, bytes)), (portuguese.into(), english.into()));
        }
    }

    #[test]
    fn the_past_is_told_in_one_unit() {
        let now: jiff::Timestamp = "2025-02-20T12:00:00Z".parse().expect("an instant");
        for (at, portuguese, english) in [
            ("2025-02-20T12:00:30Z", "agora", "just now"),
            ("2025-02-20T11:48:00Z", "há 12 min", "12 min ago"),
            ("2025-02-20T09:00:00Z", "há 3 h", "3 h ago"),
            ("2025-02-10T12:00:00Z", "há 10 dias", "10 days ago"),
            ("2024-10-20T12:00:00Z", "há 4 meses", "4 months ago"),
            ("2020-02-20T12:00:00Z", "há 5 anos", "5 years ago"),
        ] {
            let at = at.parse().expect("an instant");
            assert_eq!((ago(Portuguese, now, at), ago(English, now, at)), (portuguese.into(), english.into()));
        }
    }
}
