//! The sweep: the only place where bytes leave the archive.
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::lock::Guard;
use super::{BATCH, PAUSE_FACTOR, fault};
use crate::app::App;
use crate::domain::Digest;
use crate::engine::record::{StoredFile, Tombstone};
use crate::engine::store::Encoding;
use crate::jobs::stop;

/// When a file that could not be deleted is tried again, unless a run is asked for.
const FAILED_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub revisions: u64,
    pub bytes: u64,
    /// Files that could not be deleted; they are tried again later.
    pub failed: u64,
}

/// Files whose deletion failed before this are tried again by the service.
pub(super) fn failed_before(app: &App) -> Timestamp {
    app.clock.now().saturating_sub(FAILED_AGAIN).unwrap_or(Timestamp::MIN)
}

/// Deletes the bytes of all marks whose grace is over by `now`, and files that could not be deleted before.
pub(super) async fn sweep(app: &App, guard: &Guard, now: Timestamp, failed_before: Timestamp) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    app.record.removals().set_tombstones_again(failed_before, app.clock.now(), BATCH as u64).await?;
    loop {
        let began = tokio::time::Instant::now();
        // First what an earlier sweep left unfinished.
        let cleared = clear(app, guard, &mut swept).await?;
        guard.check("stop-in-sweep")?;
        let buried = app.record.removals().set_tombstones(now, BATCH as u64).await?;
        swept.revisions += buried;
        if buried > 0 {
            fault("retention-after-tombstone");
        }
        if buried == 0 && cleared == 0 {
            break;
        }
        tokio::time::sleep(began.elapsed() * PAUSE_FACTOR).await;
    }
    if swept != Swept::default() {
        let Swept { revisions, bytes, failed } = swept;
        tracing::info!(revisions, bytes, failed, "swept what retention had marked");
    }
    Ok(swept)
}

/// Deletes the files that are under a tombstone, and records that. One that cannot be deleted is reported and skipped.
async fn clear(app: &App, guard: &Guard, swept: &mut Swept) -> anyhow::Result<usize> {
    let tombstones = app.record.removals().tombstones(BATCH as u64).await?;
    if tombstones.is_empty() {
        return Ok(0);
    }
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for tombstone in &tombstones {
        // A sweep that was delayed must not delete what another one recorded as deleted and was then archived again.
        guard.check("stop-in-sweep")?;
        stop::stall(app, "sweep-stalls").await;
        match delete(app, tombstone).await {
            Ok(()) => deleted.push(tombstone.digest),
            Err(e) => {
                tracing::error!(file = %tombstone.digest, error = e, "a file could not be deleted; it stays for now");
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

async fn delete(app: &App, tombstone: &Tombstone) -> Result<(), String> {
    let encoding: Encoding = tombstone.encoding.parse()?;
    app.store.remove(tombstone.digest, encoding).await.map_err(|e| e.to_string())
}

/// How long deleting unused files waits for a run of retention that is under way.
const DISCARD_WAIT: Duration = Duration::from_secs(5);

/// Deletes files that were archived and turned out to be unused, unless a revision has them by now.
pub async fn discard(app: &App, files: Vec<StoredFile>) -> anyhow::Result<()> {
    for some in files.chunks(BATCH) {
        let digests: Vec<Digest> = some.iter().map(|file| file.digest).collect();
        let unused = app.record.removals().unused(&digests).await?;
        let some: Vec<StoredFile> = some.iter().filter(|file| unused.contains(&file.digest)).cloned().collect();
        if !some.is_empty() {
            app.record.removals().set_tombstones_on_unused(some, app.clock.now()).await?;
        }
    }
    // A run that is under way clears these tombstones too, and so does the service after its next start.
    if app.stop.is_cancelled() {
        return Ok(());
    }
    let holder = format!("discard-{}", uuid::Uuid::now_v7());
    let Some(guard) = Guard::wait(app, &holder, DISCARD_WAIT).await? else { return Ok(()) };
    let mut swept = Swept::default();
    while clear(app, &guard, &mut swept).await? > 0 {}
    guard.release().await;
    Ok(())
}
