//! The workers that fetch files: claim, transfer, settle. The settings limit how many run at once.
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::archive;
use super::schedule::{self, later};
use super::transfer::TransferError;
use crate::app::App;
use crate::engine::fetch::{Health, HostChange, HostPermit};
use crate::engine::record::{Capacity, Claim, RecordError};
use crate::spans::Began;

/// How long a lease lasts unless it is renewed.
const LEASE: Duration = Duration::from_secs(60);

/// How long a lease lasts that this process takes.
fn lease_for() -> Duration {
    fail::fail_point!("lease-lasts", |millis| {
        millis.and_then(|millis| millis.parse().ok()).map_or(LEASE, Duration::from_millis)
    });
    LEASE
}

/// How often a worker renews its lease.
fn renew_every() -> Duration {
    fail::fail_point!("lease-renewed-every", |millis| {
        millis.and_then(|millis| millis.parse().ok()).map_or(LEASE, Duration::from_millis)
    });
    lease_for() / 4
}

/// How often the queue is polled for work from other processes.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// How long to wait for other workers to finish, so that the next files are claimed together.
const BATCH_DELAY: Duration = Duration::from_millis(4);

pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut queued = app.record.queue().watch();
    let mut workers = JoinSet::new();
    let mut halted = false;
    while !stop.is_cancelled() {
        queued.borrow_and_update();
        halted = is_disk_full(&app, halted);
        if !halted {
            let free = app.settings.fetch.concurrency.saturating_sub(workers.len());
            // One fetch serves all that were received before it, and what is new goes before what is a replay.
            app.record.intake().caught_up().await;
            match app
                .record
                .queue()
                .claim(app.clock.now(), app.trust.now(&app.clock), lease_for(), capacity(&app, free))
                .await
            {
                Ok(claims) => {
                    for claim in claims {
                        let permit = app.fetcher.hosts().begin(&claim.host);
                        workers.spawn(work_catching_panics(app.clone(), claim, permit, stop.clone()));
                    }
                }
                Err(e) => tracing::error!(error = %e, "the queue cannot be read"),
            }
        }
        let idle = workers.len() < app.settings.fetch.concurrency && !halted;
        // While all workers are busy, nothing can be claimed.
        let wait = if idle { wait(&app).await } else { CHECK_EVERY };
        tokio::select! {
            _ = stop.cancelled() => {}
            Some(_) = workers.join_next() => join_soon(&mut workers).await,
            _ = queued.changed(), if idle => {}
            _ = tokio::time::sleep(wait) => {}
        }
    }
    while workers.join_next().await.is_some() {}
}

/// Waits for workers that are about to end, so that the next files are claimed together: under load a claim costs as much as
/// recording a file does.
async fn join_soon(workers: &mut JoinSet<()>) {
    let until = tokio::time::Instant::now() + BATCH_DELAY;
    while tokio::time::timeout_at(until, workers.join_next()).await.is_ok_and(|joined| joined.is_some()) {}
}

/// Whether fetching waits for space on the disk; logged once when it begins and once when it ends.
fn is_disk_full(app: &App, halted: bool) -> bool {
    let space = app.disk.may_fetch();
    match &space {
        Err(e) if !halted => tracing::error!(error = %e, "fetching waits; notifications are still recorded"),
        Ok(()) if halted => tracing::info!("there is disk space again; fetching continues"),
        Err(_) | Ok(()) => {}
    }
    space.is_err()
}

fn capacity(app: &App, free: usize) -> Capacity {
    let hosts = app.fetcher.hosts();
    Capacity { total: free, per_host: hosts.per_host(), hosts: hosts.capacity(app.clock.now()) }
}

/// How long until something is due.
async fn wait(app: &App) -> Duration {
    let next = app.record.queue().next_event().await.unwrap_or_else(|e| {
        tracing::warn!(error = %e, "the time of the next attempt could not be read; trying again soon");
        None
    });
    let until = |at: Timestamp| Duration::try_from(at.duration_since(app.clock.now())).unwrap_or_default();
    // Work that is due but waits for a paused host must not cause a busy loop.
    let paused = !app.fetcher.hosts().paused(app.clock.now()).is_empty();
    let min = Duration::from_millis(if paused { 100 } else { 20 });
    next.map_or(CHECK_EVERY, until).clamp(min, CHECK_EVERY)
}

/// Works on a claim. An attempt that panics is retried like any other failure.
async fn work_catching_panics(app: App, claim: Claim, permit: HostPermit, stop: CancellationToken) {
    if AssertUnwindSafe(work(&app, &claim, permit, stop)).catch_unwind().await.is_err() {
        let next = later(app.clock.now(), app.settings.fetch.retry_first);
        tracing::error!(name = claim.lead().map(|lead| &lead.name), %next, "an attempt panicked and will be retried");
        let why = "a defect in this service interrupted the attempt; its log says where";
        if let Err(e) = app.record.queue().settle_retry(&claim, next, why).await {
            tracing::error!(error = %e, "cannot record a failed attempt; its lease will run out");
        }
    }
}

/// One fetch, from the claim to its settlement.
async fn work(app: &App, claim: &Claim, permit: HostPermit, stop: CancellationToken) {
    let span = Began::now();
    let outcome = tokio::select! {
        outcome = archive::archive(app, claim) => outcome,
        lost = renew_until_lost(app, claim) => Err(lost.into()),
        _ = stop.cancelled() => {
            if let Err(e) = app.record.queue().release(claim).await {
                tracing::warn!(error = %e, "cannot release a lease; it will run out");
            }
            return;
        }
    };
    let health = match &outcome {
        Ok(()) => Health::Responded,
        Err(TransferError::Fetch(e)) => e.health(),
        Err(TransferError::Store(_) | TransferError::DiskFull(_) | TransferError::Record(_)) => Health::Unknown,
    };
    log_change(&claim.host, permit.end(health, app.clock.now()));
    let label = match &outcome {
        Ok(()) => "archived",
        Err(TransferError::Fetch(e)) if e.is_final() => "refused",
        Err(_) => "failed",
    };
    metrics::counter!("acervo_fetches_total", "outcome" => label).increment(1);
    let of = claim.notifications.iter().map(|notification| notification.id);
    let attempt = || {
        let number = claim.lead().map_or(0, |lead| i64::from(lead.attempt));
        vec![("server.address", claim.host.clone().into()), ("acervo.attempt", number.into())]
    };
    span.end("archive", of, attempt, outcome.as_ref().err().map(|_| label));
    if let Err(e) = outcome {
        settle_failure(app, claim, e).await;
    }
}

fn log_change(host: &str, change: Option<HostChange>) {
    match change {
        Some(HostChange::Paused { until, failures }) => {
            tracing::warn!(host, failures, %until, "a host failed repeatedly and is paused; notifications are still received");
        }
        Some(HostChange::Resumed) => tracing::info!(host, "a host responds again; fetching continues"),
        None => {}
    }
}

/// Renews the lease until that fails.
async fn renew_until_lost(app: &App, claim: &Claim) -> RecordError {
    loop {
        tokio::time::sleep(renew_every()).await;
        if let Err(e) = app.record.queue().renew(claim, app.clock.now(), lease_for()).await {
            return e;
        }
    }
}

async fn settle_failure(app: &App, claim: &Claim, error: TransferError) {
    let Some(lead) = claim.lead() else { return };
    let now = app.clock.now();
    let name = lead.name.as_str();
    let notifications = archive::ids_of(claim);
    let settled = match &error {
        TransferError::Fetch(e) if e.is_final() => {
            tracing::error!(notifications, name, error = %e, "a file cannot be fetched");
            app.record.queue().settle_failed(claim, now, &e.to_string()).await
        }
        TransferError::Fetch(e) => {
            let settings = &app.settings.fetch;
            let planned = schedule::delay(settings, lead.attempt, e);
            let try_another = claim.has_another_link() && e.is_of_the_link();
            let next = later(now, if try_another { planned.min(settings.retry_first) } else { planned });
            tracing::warn!(notifications, name, attempt = lead.attempt, error = %e, next = %next, "an attempt failed");
            app.record.queue().settle_retry(claim, next, &e.to_string()).await
        }
        TransferError::Store(e) => {
            let next = later(now, app.settings.fetch.retry_first);
            tracing::error!(notifications, name, error = %e, full = e.is_full(), next = %next, "a file cannot be stored");
            app.record.queue().settle_retry(claim, next, &e.to_string()).await
        }
        TransferError::DiskFull(e) => {
            let next = later(now, app.settings.fetch.retry_first);
            tracing::error!(notifications, name, error = %e, next = %next, "a file waits for disk space");
            app.record.queue().settle_retry(claim, next, &e.to_string()).await
        }
        TransferError::Record(RecordError::LeaseLost) => {
            tracing::warn!(notifications, name, "the lease was lost; another worker has the work");
            return;
        }
        TransferError::Record(e) => {
            tracing::error!(notifications, name, error = %e, "a stored file cannot be recorded; it will be fetched again");
            app.record
                .queue()
                .settle_retry(
                    claim,
                    later(now, app.settings.fetch.retry_first),
                    "the file could not be recorded in the database",
                )
                .await
        }
    };
    if let Err(e) = settled {
        tracing::error!(notifications, name, error = %e, "cannot record a failed attempt; its lease will run out");
    }
}
