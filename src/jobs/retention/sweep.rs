//! The sweep, the only code that deletes bytes of the archive.
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{BATCH, LOCK, PAUSE_FACTOR, fault};
use crate::app::App;
use crate::domain::Digest;
use crate::jobs::lock::Guard;
use crate::jobs::{compact, stop};

/// The delay before a file that could not be deleted is tried again, except by a run.
const RETRY_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepResult {
    pub revisions: u64,
    pub bytes: u64,
    /// Files that could not be deleted; they are tried again later.
    pub failed: u64,
}

/// Files whose deletion failed before this are tried again by the service.
pub(super) fn failed_before(app: &App) -> Timestamp {
    app.clock.now().saturating_sub(RETRY_AFTER).unwrap_or(Timestamp::MIN)
}

/// Deletes the bytes of all marks whose grace is over by `now`, and files that could not be deleted before.
pub(super) async fn sweep(
    app: &App,
    guard: &Guard,
    now: Timestamp,
    failed_before: Timestamp,
) -> anyhow::Result<SweepResult> {
    let mut swept = SweepResult::default();
    mark_unrecorded(app, UNRECORDED_AFTER).await?;
    app.record.removals().set_tombstones_again(failed_before, app.clock.now(), BATCH as u64).await?;
    // An earlier sweep may have been interrupted before it did this.
    let mut has_released = false;
    loop {
        let began = tokio::time::Instant::now();
        // First the files that an earlier sweep left.
        let cleared = clear(app, guard, &mut swept).await?;
        guard.check("stop-in-sweep")?;
        let buried = app.record.removals().set_tombstones(now, BATCH as u64).await?;
        swept.revisions += buried;
        if buried > 0 {
            fault("retention-after-tombstone");
        }
        if buried > 0 || !std::mem::replace(&mut has_released, true) {
            release_bases(app).await?;
        }
        // Bases that were released have a tombstone now.
        if buried == 0 && cleared == 0 && app.record.removals().tombstones(1).await?.is_empty() {
            break;
        }
        tokio::time::sleep(began.elapsed() * PAUSE_FACTOR).await;
    }
    if swept != SweepResult::default() {
        let SweepResult { revisions, bytes, failed } = swept;
        tracing::info!(revisions, bytes, failed, "swept what retention had marked");
    }
    Ok(swept)
}

/// How long a sweep waits for a compaction in progress, or for the lock of one that was killed.
const RELEASE_WAIT: Duration = Duration::from_secs(20);

/// Stores files again that need a base which no revision has any more. A compaction in progress does this itself.
async fn release_bases(app: &App) -> anyhow::Result<()> {
    if app.record.compaction().held_bases(1).await?.is_empty() {
        return Ok(());
    }
    let holder = format!("sweep-{}", uuid::Uuid::now_v7());
    let Some(guard) = Guard::wait(app, compact::LOCK, &holder, RELEASE_WAIT).await? else { return Ok(()) };
    let released = compact::release_bases(app, &guard).await;
    guard.release().await;
    released
}

/// Deletes the files with a tombstone, and records that. A file that cannot be deleted is reported and skipped.
async fn clear(app: &App, guard: &Guard, swept: &mut SweepResult) -> anyhow::Result<usize> {
    let tombstones = app.record.removals().tombstones(BATCH as u64).await?;
    if tombstones.is_empty() {
        return Ok(0);
    }
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for tombstone in &tombstones {
        // A sweep that was delayed must not delete what another one recorded as deleted and was then archived again.
        guard.check("stop-in-sweep")?;
        stop::stall(app, "sweep-stalls").await;
        match app.store.remove(*tombstone).await {
            Ok(()) => deleted.push(tombstone.digest),
            Err(e) => {
                tracing::error!(file = %tombstone.digest, error = %e, "a file could not be deleted; it will be tried again");
                metrics::counter!("acervo_sweep_failures_total").increment(1);
                failed.push(tombstone.digest);
            }
        }
        fault("retention-between-deletes");
    }
    fault("retention-after-delete");
    swept.bytes += app.record.removals().clear(&deleted, &failed, app.clock.now()).await?;
    swept.failed += failed.len() as u64;
    fault("retention-between-sweeps");
    Ok(tombstones.len())
}

/// When a file that this process stored and did not record counts as abandoned. Until then another worker may have claimed its
/// notification and need the same bytes, which it would have to fetch again.
pub(super) const UNRECORDED_AFTER: Duration = Duration::from_secs(120);

/// How long the removal of unrecorded files waits for a retention run in progress.
const REMOVE_WAIT: Duration = Duration::from_secs(5);

/// Removes files that were stored and never recorded, unless a revision uses them: those of processes that ended, and those that
/// this one abandoned at least `min_age` ago. If a retention run is in progress, it removes them.
pub(in crate::engine::jobs) async fn remove_unrecorded(app: &App, min_age: Duration) -> anyhow::Result<()> {
    if mark_unrecorded(app, min_age).await? == 0 {
        return Ok(());
    }
    // A run in progress clears these tombstones too, and so does the service after its next start.
    if app.stop.is_cancelled() {
        return Ok(());
    }
    let holder = format!("unrecorded-{}", uuid::Uuid::now_v7());
    let Some(guard) = Guard::wait(app, LOCK, &holder, REMOVE_WAIT).await? else { return Ok(()) };
    let mut swept = SweepResult::default();
    while clear(app, &guard, &mut swept).await? > 0 {}
    guard.release().await;
    Ok(())
}

/// Sets tombstones on such files. From then on the database knows of them. Returns how many there were.
pub(super) async fn mark_unrecorded(app: &App, min_age: Duration) -> anyhow::Result<usize> {
    let abandoned = app.store.unrecorded(min_age)?;
    for some in abandoned.files.chunks(BATCH) {
        app.record.removals().set_tombstones_on_unused(some, app.clock.now()).await?;
        fault("unrecorded-after-tombstone");
    }
    // A process that ended while it changed the encoding of a file left two objects.
    let digests: Vec<Digest> = abandoned.files.iter().map(|file| file.digest).collect();
    if !digests.is_empty() && !compact::remove_second_objects(app, &digests).await? {
        return Ok(0);
    }
    let found = abandoned.files.len();
    if found > 0 {
        tracing::info!(found, "files were stored and never recorded; those without a use are removed");
    }
    app.store.forget(abandoned)?;
    Ok(found)
}
