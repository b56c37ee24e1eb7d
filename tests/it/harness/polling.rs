//! Polling with a deadline.
use std::time::{Duration, Instant};

/// How long a test waits for anything before it fails.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The pause between two polls.
const PAUSE: Duration = Duration::from_millis(20);

/// A wait that has a deadline. It is the only bound on the wall clock that a test has: it makes a test that hangs fail.
pub struct Polling {
    began: Instant,
    patience: Duration,
}

impl Polling {
    pub fn start() -> Self {
        Self::with_patience(PATIENCE)
    }

    pub fn with_patience(patience: Duration) -> Self {
        Self { began: Instant::now(), patience }
    }

    /// Pauses before the next poll; fails with what is missing when the time is over.
    pub async fn pause(&self, missing: impl FnOnce() -> String) {
        self.check(missing);
        tokio::time::sleep(PAUSE).await;
    }

    /// The same outside of a runtime.
    pub fn pause_thread(&self, missing: impl FnOnce() -> String) {
        self.check(missing);
        std::thread::sleep(PAUSE);
    }

    fn check(&self, missing: impl FnOnce() -> String) {
        assert!(self.began.elapsed() < self.patience, "not in time: {}", missing());
    }
}

/// Polls until there is a result.
pub async fn until<T>(what: &str, mut poll: impl AsyncFnMut() -> Option<T>) -> T {
    let polling = Polling::start();
    loop {
        if let Some(found) = poll().await {
            return found;
        }
        polling.pause(|| what.to_owned()).await;
    }
}
