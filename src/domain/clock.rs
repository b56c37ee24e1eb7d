//! The time that everything in the process goes by.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Wall time in whole milliseconds, the precision that is stored and shown.
///
/// Clones share one offset, so that a test can let a day pass without waiting for it.
#[derive(Clone, Debug)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
    /// How far the wall clock is wrong.
    error_ms: Arc<AtomicI64>,
    began: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { offset_ms: Arc::default(), error_ms: Arc::default(), began: Instant::now() }
    }
}

impl Clock {
    pub fn now(&self) -> Timestamp {
        let moved = self.offset_ms.load(Ordering::Relaxed).saturating_add(self.error_ms.load(Ordering::Relaxed));
        timestamp(millis(Timestamp::now()).saturating_add(moved))
    }

    /// How much time has passed since this clock was made, whatever was done to the wall clock meanwhile.
    pub fn elapsed(&self) -> Duration {
        let moved = u64::try_from(self.offset_ms.load(Ordering::Relaxed)).unwrap_or_default();
        self.began.elapsed() + Duration::from_millis(moved)
    }

    /// Makes the wall clock of this clock and all its clones wrong by so much, without any time passing.
    pub fn set_wrong(&self, by_ms: i64) {
        self.error_ms.store(by_ms, Ordering::Relaxed);
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

/// An instant as HTTP writes it, in whole seconds (RFC 9110, 5.6.7); `None` outside its calendar.
pub fn http_date(at: Timestamp) -> Option<String> {
    let whole = Timestamp::from_second(at.as_second()).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&whole).ok()
}
