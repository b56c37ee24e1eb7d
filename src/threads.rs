//! threads: which work goes before which.
//!
//! Queries run on a runtime of their own with low-priority threads, so that notifications and archiving never wait for them. The main
//! runtime serves connections, the webhook and the jobs. Work that nobody waits for, such as reading the text of files, runs only
//! when nothing else does.
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinHandle};

/// The niceness of query threads: when both are busy, other threads get about three quarters of a processor.
const NICENESS: i32 = 5;

/// Lowers the priority of the calling thread and of threads that it starts later.
#[cfg(target_os = "linux")]
pub fn lower_priority() {
    if let Err(e) = rustix::process::nice(NICENESS) {
        tracing::debug!(error = %e, "cannot lower the priority of a thread");
    }
}

/// Lowers the priority of the calling thread as far as possible: it runs when nothing else does.
#[cfg(target_os = "linux")]
pub fn lower_priority_to_lowest() {
    const LOWEST: i32 = 19;
    if let Err(e) = rustix::process::nice(LOWEST) {
        tracing::debug!(error = %e, "cannot lower the priority of a thread");
    }
}

/// On other systems the priority belongs to the process, so it is not changed.
#[cfg(not(target_os = "linux"))]
pub fn lower_priority_to_lowest() {}

/// On other systems the priority belongs to the process, so it is not changed.
#[cfg(not(target_os = "linux"))]
pub fn lower_priority() {
    let _ = NICENESS;
}

/// Runs work that blocks on a thread of its own, at the lowest priority, which threads that it starts have too. `None` if it panics.
pub async fn at_lowest_priority<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<Option<T>> {
    let (sender, done) = tokio::sync::oneshot::channel();
    let run = move || {
        lower_priority_to_lowest();
        // The caller may be gone, and nobody needs the result then.
        let _ = sender.send(work());
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
    Ok(done.await.ok())
}

/// The runtime for queries.
pub struct QueryRuntime(Option<Runtime>);

impl QueryRuntime {
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(threads.max(1))
            .thread_name("queries")
            .on_thread_start(lower_priority)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Spawns a future, which is aborted when the task is dropped. `None` only while the process ends.
    pub fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<Task<T>> {
        Some(Task(self.0.as_ref()?.spawn(work)))
    }
}

impl Drop for QueryRuntime {
    fn drop(&mut self) {
        // This may run on a thread that must not block.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A task that is aborted when dropped.
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
