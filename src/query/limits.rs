//! The limits of one request: its deadline, the bytes of its response, and whether its client still waits.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::QueryError;
use super::admission::Permit;
use crate::engine::index::Deadline;

/// The limits of a request; clones share them.
#[derive(Clone)]
pub struct QueryLimits(Arc<Inner>);

struct Inner {
    deadline: Deadline,
    /// How long one computation on the index may take.
    step_timeout: Duration,
    /// Its computations at once: a request for much must not fill the queue ahead of a request for little.
    steps: Semaphore,
    /// Absent if rows are streamed page by page.
    meter: Option<Meter>,
}

struct Meter {
    bytes: AtomicU64,
    bytes_max: u64,
    permit: Arc<Permit>,
}

/// Computations of one request at once.
const STEPS_MAX: usize = 2;

/// Later than any deadline.
const NEVER: Duration = Duration::from_secs(10 * 365 * 86_400);

impl QueryLimits {
    /// Of a request whose response is made as a whole.
    pub fn new(deadline: Instant, bytes_max: u64, permit: Arc<Permit>) -> Self {
        let step_timeout = deadline.saturating_duration_since(Instant::now());
        let meter = Some(Meter { bytes: AtomicU64::default(), bytes_max, permit });
        let steps = Semaphore::new(STEPS_MAX);
        Self(Arc::new(Inner { deadline: Deadline::at(deadline), step_timeout, steps, meter }))
    }

    /// Of a stream that lasts for as long as its client reads it; each of its steps has a deadline.
    pub fn lasting(step_timeout: Duration) -> Self {
        let deadline = Deadline::at(Instant::now() + NEVER);
        Self(Arc::new(Inner { deadline, step_timeout, steps: Semaphore::new(Semaphore::MAX_PERMITS), meter: None }))
    }

    /// Cancels the request's computations when the guard is dropped.
    pub fn stop_on_drop(&self) -> StopOnDrop {
        StopOnDrop(self.0.deadline.clone())
    }

    /// When the response must be made.
    pub(super) fn deadline(&self) -> Instant {
        self.0.deadline.instant()
    }

    /// For one computation: the permit to start it, and its deadline.
    pub(super) async fn step(&self) -> (Option<SemaphorePermit<'_>>, Deadline) {
        // The semaphore is never closed.
        let permit = self.0.steps.acquire().await.ok();
        (permit, self.0.deadline.child_at(Instant::now() + self.0.step_timeout))
    }

    /// Counts bytes that the response will hold; an error names the bound.
    pub fn count_bytes(&self, bytes: usize) -> Result<(), QueryError> {
        let Some(meter) = &self.0.meter else { return Ok(()) };
        let bytes_held = meter.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if bytes_held > meter.bytes_max {
            return Err(QueryError::TooLarge { bytes_max: meter.bytes_max });
        }
        meter.permit.cover(bytes_held)
    }
}

/// See [`QueryLimits::stop_on_drop`].
pub struct StopOnDrop(Deadline);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
