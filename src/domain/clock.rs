//! The time that everything in the process goes by.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Wall time in whole milliseconds, the precision that is stored and shown.
///
/// Clones share one offset, so that a test can let a day pass without waiting for it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    pub fn now(&self) -> Timestamp {
        timestamp(millis(Timestamp::now()).saturating_add(self.offset_ms.load(Ordering::Relaxed)))
    }

    /// Moves this clock and all its clones forward.
    pub fn advance(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.offset_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

/// Milliseconds since 1970 in UTC.
pub fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// The instant of so many milliseconds since 1970; what lies outside the calendar is held at its edge.
pub fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// An instant as it is shown: RFC 3339, in UTC, with milliseconds.
pub fn format_instant(at: Timestamp) -> String {
    let utc = TimeZone::UTC.to_datetime(at);
    if utc.year() < 0 {
        return format!("{at:.3}");
    }
    let mut text = format_reading(utc);
    text.push('.');
    push_digits(&mut text, i32::from(utc.millisecond()), 3);
    text.push('Z');
    text
}

/// A reading of a calendar and a clock to the second, ISO 8601. Lists are full of them, and the general way takes ten times
/// as long.
pub(super) fn format_reading(at: DateTime) -> String {
    if at.year() < 0 {
        return at.to_string();
    }
    let mut text = String::with_capacity(24);
    push_digits(&mut text, i32::from(at.year()), 4);
    for (before, part) in [('-', at.month()), ('-', at.day()), ('T', at.hour()), (':', at.minute()), (':', at.second())]
    {
        text.push(before);
        push_digits(&mut text, i32::from(part), 2);
    }
    text
}

/// A number that is not negative, with zeros in front.
fn push_digits(text: &mut String, n: i32, width: u32) {
    for place in (0..width).rev() {
        let digit = u8::try_from(n / 10_i32.pow(place) % 10).unwrap_or_default();
        text.push(char::from(b'0' + digit));
    }
}

/// An instant as HTTP writes it, in whole seconds (RFC 9110, 5.6.7); `None` outside its calendar.
pub fn http_date(at: Timestamp) -> Option<String> {
    let whole = Timestamp::from_second(at.as_second()).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&whole).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{format_instant, format_reading, timestamp};

    proptest! {
        #[test]
        fn readings_are_written_as_the_general_way_does(ms in -62_000_000_000_000_i64..253_000_000_000_000) {
            let at = timestamp(ms);
            prop_assert_eq!(format_instant(at), format!("{at:.3}"));
            let whole = timestamp(ms.div_euclid(1000) * 1000);
            let reading = jiff::tz::TimeZone::UTC.to_datetime(whole);
            prop_assert_eq!(format_reading(reading), reading.to_string());
        }
    }
}
