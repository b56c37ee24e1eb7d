//! threads: where work runs that notifications and archiving must never wait for.
//!
//! Questions are answered on a runtime of their own, whose threads yield to all others; the main runtime keeps the
//! connections, the webhook and the jobs.
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinHandle};

/// How much the threads that answer questions yield to others: what must be quick gets three quarters of a processor that
/// both want.
const NICENESS: i32 = 5;

/// Lowers the priority of the calling thread, and of the threads that it starts from now on.
#[cfg(target_os = "linux")]
pub fn yield_to_others() {
    if let Err(e) = rustix::process::nice(NICENESS) {
        tracing::debug!(error = %e, "the priority of a thread could not be lowered");
    }
}

/// Elsewhere a priority is the whole process's.
#[cfg(not(target_os = "linux"))]
pub fn yield_to_others() {
    let _ = NICENESS;
}

/// A runtime beside the main one.
pub struct Aside(Option<Runtime>);

impl Aside {
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(threads.max(1))
            .thread_name("questions")
            .on_thread_start(yield_to_others)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs a future there; it is dropped when nobody waits for it any more. `None` only while the process ends.
    pub fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<Task<T>> {
        Some(Task(self.0.as_ref()?.spawn(work)))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // It may be dropped on a thread that must not wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Work that ends with whoever waits for it.
pub struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    pub fn new(handle: JoinHandle<T>) -> Self {
        Self(handle)
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
