//! The clock of the process.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Wall time in whole milliseconds, the precision of the database and the API.
///
/// Clones share their offsets, so that a test can advance the time of a whole service.
#[derive(Clone, Debug)]
pub struct Clock {
    advanced_ms: Arc<AtomicU64>,
    /// How far the wall clock is wrong.
    error_ms: Arc<AtomicI64>,
    began: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { advanced_ms: Arc::default(), error_ms: Arc::default(), began: Instant::now() }
    }
}

impl Clock {
    pub fn now(&self) -> Timestamp {
        let wall = millis(Timestamp::now()).saturating_add(self.error_ms.load(Ordering::Relaxed));
        timestamp(wall.saturating_add_unsigned(self.advanced_ms.load(Ordering::Relaxed)))
    }

    /// The time since this clock was created. Changes of the wall clock do not affect it.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed() + Duration::from_millis(self.advanced_ms.load(Ordering::Relaxed))
    }

    /// Sets the wall clock of this clock and its clones wrong, without any time passing.
    pub fn set_wrong(&self, by_ms: i64) {
        self.error_ms.store(by_ms, Ordering::Relaxed);
    }

    /// Advances this clock and its clones.
    pub fn advance(&self, by: Duration) {
        self.advanced_ms.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }
}

/// Whole milliseconds of a duration of this process: 64 bits hold 292 million years.
pub(super) fn duration_millis(duration: Duration) -> i64 {
    duration.as_millis() as i64
}

/// Milliseconds since 1970 in UTC.
pub fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// The instant at a number of milliseconds since 1970; outside of jiff's range, the nearest end of it.
pub fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// An instant in the format of HTTP, in whole seconds (RFC 9110, 5.6.7); `None` if the format has no such year.
pub fn http_date(at: Timestamp) -> Option<String> {
    let whole = Timestamp::from_second(at.as_second()).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&whole).ok()
}
