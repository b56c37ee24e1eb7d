//! One question that is being answered: until when it may take, how much its answer may hold, and whether anybody still
//! waits for it.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::QueryError;
use super::admission::Admitted;
use crate::index::Deadline;

/// The bounds of a question; clones share them.
#[derive(Clone)]
pub struct Question(Arc<Inner>);

struct Inner {
    watch: Deadline,
    /// How long one computation may take.
    step_timeout: Duration,
    /// Its computations at once: what asks for much must not fill the line before what asks for little.
    steps: Semaphore,
    /// Absent where rows are passed on page by page, and none of them is held.
    meter: Option<Meter>,
}

struct Meter {
    bytes: AtomicU64,
    bytes_max: u64,
    admitted: Arc<Admitted>,
}

/// Computations of one question at once.
const STEPS_MAX: usize = 2;

/// Far enough away that it is never reached.
const NEVER: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Question {
    /// A question that is answered at once and as a whole.
    pub fn new(deadline: Instant, bytes_max: u64, admitted: Arc<Admitted>) -> Self {
        let step_timeout = deadline.saturating_duration_since(Instant::now());
        let meter = Some(Meter { bytes: AtomicU64::default(), bytes_max, admitted });
        let steps = Semaphore::new(STEPS_MAX);
        Self(Arc::new(Inner { watch: Deadline::at(deadline), step_timeout, steps, meter }))
    }

    /// One that goes on for as long as somebody takes what it brings; each of its steps is bounded.
    pub fn lasting(step_timeout: Duration) -> Self {
        let watch = Deadline::at(Instant::now() + NEVER);
        Self(Arc::new(Inner { watch, step_timeout, steps: Semaphore::new(Semaphore::MAX_PERMITS), meter: None }))
    }

    /// Stops the question's work when the guard is dropped.
    pub fn stop_on_drop(&self) -> StopOnDrop {
        StopOnDrop(self.0.watch.clone())
    }

    /// For one of its computations: room to begin it, and what tells it to stop.
    pub(super) async fn step(&self) -> (Option<SemaphorePermit<'_>>, Deadline) {
        // It is never closed.
        let room = self.0.steps.acquire().await.ok();
        (room, self.0.watch.child_at(Instant::now() + self.0.step_timeout))
    }

    /// Notes bytes that the answer will hold; an error names the bound.
    pub fn hold(&self, bytes: usize) -> Result<(), QueryError> {
        let Some(meter) = &self.0.meter else { return Ok(()) };
        let held = meter.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if held > meter.bytes_max {
            return Err(QueryError::TooLarge { bytes_max: meter.bytes_max });
        }
        meter.admitted.cover(held)
    }
}

/// See [`Question::stop_on_drop`].
pub struct StopOnDrop(Deadline);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
