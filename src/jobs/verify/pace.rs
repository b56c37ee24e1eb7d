//! Limits the rate at which a run reads.
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What may be read at once after a pause, such as that between two files: as much as in this time.
const BURST: Duration = Duration::from_millis(200);

/// Spends bytes at a limited rate.
pub(super) struct Pace {
    per_second: Option<u64>,
    /// When everything that was spent is paid for.
    due: Instant,
}

impl Pace {
    /// At most so many bytes per second; `None` for no limit.
    pub fn new(per_second: Option<u64>) -> Self {
        Self { per_second, due: Instant::now() }
    }

    /// Waits until these bytes may be spent, or until the process is asked to stop.
    pub async fn spend(&mut self, bytes: u64, stop: &CancellationToken) {
        let now = Instant::now();
        let due = self.due_after(bytes, now);
        if due > now {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// When bytes that are spent now are paid for.
    fn due_after(&mut self, bytes: u64, now: Instant) -> Instant {
        let Some(per_second) = self.per_second else { return now };
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        self.due = self.due.max(earliest) + Duration::from_secs_f64(bytes as f64 / per_second.max(1) as f64);
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_spent_at_the_rate() {
        let mut pace = Pace::new(Some(1000));
        let began = pace.due;
        let mut now = began;
        for _ in 0..100 {
            now = now.max(pace.due_after(100, now));
        }
        assert_eq!((now - began).as_millis(), 10_000);
        // A pause allows a short burst, and no more.
        let again = now + Duration::from_secs(60);
        now = again;
        for _ in 0..10 {
            now = now.max(pace.due_after(100, now));
        }
        assert_eq!((now - again).as_millis(), 800);
        assert_eq!(Pace::new(None).due_after(u64::MAX, now), now);
    }
}
