//! Scheduled jobs, each in its own loop, so that a long one does not delay the others. Each slot of a schedule runs once, on the replica that
//! leads. What one that is gone has left half done, the next one that leads does.
//! Of several missed slots, one is run later.
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use rand::RngExt;
use serde_json::{Value, json};

use super::schedule::later;
use super::stop::Stopped;
use super::{compact, replicas, retention, verify};
use crate::app::App;
use crate::config::Schedule;
use crate::engine::index::Deadline;

/// How often the schedules are checked.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// When the index is checked, São Paulo time.
const INDEX_SCHEDULE: &str = "15 4 * * *";

/// A job with a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    Retention,
    Index,
    Verify,
    Compact,
}

impl Job {
    pub const ALL: &[Self] = &[Self::Retention, Self::Index, Self::Verify, Self::Compact];

    pub fn name(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Index => "index",
            Self::Verify => "verify",
            Self::Compact => "compact",
        }
    }

    /// When it runs; `None` if it only runs on request.
    pub fn schedule(self, app: &App) -> Option<Schedule> {
        match self {
            Self::Retention => app.settings.retention.schedule.clone(),
            Self::Index => Schedule::parse(INDEX_SCHEDULE).ok(),
            Self::Verify => app.settings.verify.schedule.clone(),
            Self::Compact => app.settings.compact.schedule.clone(),
        }
    }

    async fn run(self, app: &App) -> anyhow::Result<Value> {
        match self {
            Self::Retention => {
                let retention::Outcome { run, swept } = retention::run(app, app.clock.now(), false).await?;
                Ok(json!({
                    "run": run.id,
                    "removed": run.removed,
                    "bytesFreed": run.bytes_freed,
                    "notDeleted": swept.failed,
                }))
            }
            Self::Index => check_index(app).await,
            Self::Verify => verify::scheduled(app).await,
            Self::Compact => compact::scheduled(app).await,
        }
    }
}

/// The state of a job between two checks.
#[derive(Clone, Copy, Debug, Default)]
struct Slots {
    /// The last slot that a process has taken.
    taken: Option<Timestamp>,
    /// When the slot that is due is to start.
    start_at: Option<Timestamp>,
    /// The releases of taken slots that this includes.
    releases: u64,
}

pub(super) async fn run(app: App) {
    join_all(Job::ALL.iter().map(|job| follow_schedule(&app, *job))).await;
}

async fn follow_schedule(app: &App, job: Job) {
    let mut slots = Slots::default();
    while !app.stop.is_cancelled() {
        if let Err(e) = run_if_due(app, job, &mut slots).await {
            tracing::error!(job = job.name(), error = format!("{e:#}"), "the schedule could not be checked");
        }
        tokio::select! {
            _ = app.stop.cancelled() => {}
            _ = tokio::time::sleep(CHECK_EVERY) => {}
        }
    }
}

/// Runs a job if its last slot is not taken.
async fn run_if_due(app: &App, job: Job, slots: &mut Slots) -> anyhow::Result<()> {
    let now = app.clock.now();
    let releases = app.replica.releases();
    if !replicas::leads(app) || slots.releases != releases {
        *slots = Slots { releases, ..Slots::default() };
    }
    if !replicas::leads(app) {
        return Ok(());
    }
    if job == Job::Retention && app.trust.suspect_since(&app.clock).is_some() {
        return Ok(());
    }
    let Some(schedule) = job.schedule(app) else { return Ok(()) };
    let Some(slot) = schedule.before(now).filter(|slot| slots.taken != Some(*slot)) else { return Ok(()) };
    let since = app.record.jobs().scheduled_since(job.name(), &schedule.to_string(), now).await?;
    if slot <= since {
        slots.taken = Some(slot);
        return Ok(());
    }
    let jitter = app.settings.retention.jitter;
    let start = *slots.start_at.get_or_insert_with(|| later(now, jitter.mul_f64(rand::rng().random_range(0.0..=1.0))));
    if now < start {
        return Ok(());
    }
    *slots = Slots { taken: Some(slot), start_at: None, releases };
    let replica = app.record.is_shared().then_some(&*app.replica.id);
    let Some(id) = app.record.jobs().begin(job.name(), slot, replica, now).await? else { return Ok(()) };
    tracing::info!(job = job.name(), %slot, "starting a scheduled job");
    let (outcome, detail) = match job.run(app).await {
        Ok(detail) => ("succeeded", detail),
        Err(e) if e.is::<Stopped>() => {
            tracing::info!(job = job.name(), %slot, "a scheduled job was stopped; it runs again after the next start");
            return Ok(app.record.jobs().release(&id).await?);
        }
        Err(e) => {
            tracing::error!(job = job.name(), error = format!("{e:#}"), "a scheduled job failed");
            ("failed", json!({ "error": format!("{e:#}") }))
        }
    };
    metrics::counter!("acervo_job_runs_total", "name" => job.name(), "outcome" => outcome).increment(1);
    metrics::gauge!("acervo_job_failing", "name" => job.name()).set(if outcome == "failed" { 1.0 } else { 0.0 });
    app.record.jobs().end(&id, outcome, &detail, app.clock.now()).await?;
    Ok(())
}

/// Counting the documents of the index normally takes a fraction of a second.
const COUNT_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests a rebuild if the index and the record have different numbers of publications.
async fn check_index(app: &App) -> anyhow::Result<Value> {
    let recorded = app.record.monitor().counts().await?.publications;
    let index = app.index.clone();
    let deadline = Deadline::at(std::time::Instant::now() + COUNT_TIMEOUT);
    let counting = app.computing.run(&deadline, move |deadline| index.publications(deadline));
    let indexed = tokio::select! {
        indexed = counting => indexed? as u64,
        () = app.stop.cancelled() => return Err(Stopped.into()),
    };
    let behind =
        app.record.feed().head().await? - app.index.position().map(|position| position.feed).unwrap_or_default();
    let differs = recorded != indexed && behind == 0;
    if differs {
        tracing::warn!(recorded, indexed, "the search index differs from the record and will be rebuilt");
        app.record.feed().request_reindex().await?;
    }
    Ok(json!({ "recorded": recorded, "indexed": indexed, "rebuilt": differs }))
}
