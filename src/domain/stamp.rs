//! Instants and readings of the clock as text.
use std::fmt;
use std::io::Write;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// An instant or a reading of calendar and clock as text, ISO 8601. Lists are full of them: this is written in a tenth of the
/// time of the general way, and without memory of its own.
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
            return Self::general(format_args!("{at:.3}"));
        }
        let mut stamp = Self::of_reading(utc);
        let millisecond = utc.millisecond().unsigned_abs();
        stamp.push(b'.');
        stamp.push(digit(millisecond / 100));
        stamp.pair(millisecond % 100);
        stamp.push(b'Z');
        stamp
    }

    /// To the second, without an offset.
    pub fn of_reading(at: DateTime) -> Self {
        let Ok(year) = u16::try_from(at.year()) else { return Self::general(format_args!("{at:.0}")) };
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

    /// What lies before the year 0 is written by jiff.
    fn general(text: fmt::Arguments<'_>) -> Self {
        let mut bytes = [0; 32];
        let mut rest = &mut bytes[..];
        // It has 27 signs at most.
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

/// An instant as it is shown.
pub fn format_instant(at: Timestamp) -> String {
    Stamp::of_instant(at).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Stamp, format_instant};
    use crate::domain::timestamp;

    proptest! {
        #[test]
        fn stamps_are_what_the_general_way_writes(ms in prop_oneof![-90_000_000_000_000_i64..-62_000_000_000_000, -62_000_000_000_000_i64..253_000_000_000_000]) {
            let at = timestamp(ms);
            prop_assert_eq!(format_instant(at), format!("{at:.3}"));
            let whole = timestamp(ms.div_euclid(1000) * 1000);
            let reading = jiff::tz::TimeZone::UTC.to_datetime(whole);
            prop_assert_eq!(Stamp::of_reading(reading).as_str().to_owned(), reading.to_string());
        }
    }
}
