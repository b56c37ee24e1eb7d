//! jobs: work in the background. Fetch, store, record, index; expiry and erasure; retention; imports.
//!
//! Every job is safe to run twice and to kill at any point: what it has not committed is done again.
mod alarms;
mod archive;
pub mod backup;
pub mod compact;
mod content;
mod fetch;
mod follow;
pub mod hooks;
pub mod import;
mod lock;
mod members;
pub mod migrate;
pub mod plain;
mod replicas;
pub mod retention;
mod schedule;
mod scheduler;
mod stop;
mod time;
mod transfer;
mod upkeep;
pub mod verify;

use tokio::task::{JoinError, JoinHandle};

use crate::app::App;
use crate::engine::record::{NotificationQuery, RetryCounts};
use crate::query::{QueryError, check_notifications};

pub use content::{catch_up_content, run_extraction};
pub use follow::{catch_up, rebuild};
pub use scheduler::Job;
pub use stop::Stopped;

/// The jobs of a server.
pub struct Jobs {
    app: App,
    tasks: Vec<JoinHandle<()>>,
}

impl Jobs {
    /// Starts all jobs.
    pub async fn start(app: &App) -> anyhow::Result<Self> {
        for warning in &app.settings.warnings {
            tracing::warn!("the configuration: {warning}");
        }
        // A process that has the queue to itself need not wait for the leases of a killed one to run out.
        if !app.record.is_shared() {
            let released = app.record.queue().release_all().await?;
            if released > 0 {
                tracing::info!(released, "released the leases of the last process");
            }
            app.record.jobs().end_interrupted(app.clock.now()).await?;
        }
        app.record.listen_to_peers();
        app.record.intake().resume().await?;
        // Before anything is fetched, so that no fetch has to wait until the same bytes are removed.
        if let Err(e) = retention::remove_unrecorded(app, std::time::Duration::ZERO).await {
            tracing::error!(
                error = format!("{e:#}"),
                "files that a crash left unrecorded could not be removed; trying again later"
            );
        }
        retention::reserve(app);
        // Before anything is fetched: a new hook tells about all that happens from here on.
        let hooks = hooks::start(app).await?;
        let mut tasks = vec![
            tokio::spawn(fetch::run(app.clone(), app.stop.clone())),
            tokio::spawn(alarms::run(app.clone(), app.stop.clone())),
            tokio::spawn(replicas::run(app.clone())),
            tokio::spawn(scheduler::run(app.clone())),
            tokio::spawn(members::run(app.clone(), app.stop.clone())),
            tokio::spawn(follow::run(app.clone())),
            tokio::spawn(content::run(app.clone())),
        ];
        tasks.extend(upkeep::start(app));
        tasks.extend(hooks);
        Ok(Self { app: app.clone(), tasks })
    }

    /// Stops the jobs and waits until they have released their work.
    pub async fn stop(self) {
        self.app.stop.cancel();
        for task in self.tasks {
            if let Err(e) = task.await {
                tracing::error!(error = %e, "a job panicked");
            }
        }
        replicas::leave(&self.app).await;
        upkeep::finish(&self.app).await;
    }
}

/// The hosts that are paused because they failed repeatedly, and until when.
pub fn paused_hosts(app: &App) -> Vec<(String, jiff::Timestamp)> {
    app.fetcher.hosts().paused(app.clock.now())
}

/// Why notifications could not be queued again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("the retry was interrupted: {0}")]
    Interrupted(#[from] JoinError),
}

/// Queues notifications again if their link has not expired. The work continues if the caller goes away, because it may take
/// longer than a request.
pub async fn retry(app: &App, which: &NotificationQuery) -> Result<RetryCounts, RetryError> {
    check_notifications(which)?;
    let (app, which) = (app.clone(), which.clone());
    let work = tokio::spawn(async move {
        let counts = app.record.queue().retry(&which, app.clock.now()).await;
        match &counts {
            Ok(counts) => {
                tracing::info!(
                    matched = counts.matched,
                    queued = counts.queued,
                    expired = counts.expired,
                    "queued again"
                );
            }
            Err(e) => tracing::error!(error = %e, "notifications could not be queued again"),
        }
        counts
    });
    Ok(work.await?.map_err(QueryError::from)?)
}

/// A fault point where tests end the process, as a power cut would.
fn fault(name: &'static str) {
    let _ = name;
    fail::fail_point!(name, |_| std::process::abort());
}
