//! What must be done every so often: links that died are ended and erased, leavings of crashes are swept.
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::time::Watch;
use crate::app::App;

const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// A link must be gone within a minute of its death or of its file's arrival.
const ERASE_EVERY: Duration = Duration::from_secs(15);

/// How soon after its grace a mark is swept.
const RETENTION_EVERY: Duration = Duration::from_secs(5);

const SWEEP_EVERY: Duration = Duration::from_secs(3600);

pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut tick = interval(EXPIRE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut watch = Watch::default();
    let mut erase_at = Instant::now();
    let mut sweep_at = Instant::now();
    let mut retention_at = Instant::now();
    loop {
        tokio::select! {
            _ = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        if let Err(e) = watch.look(&app).await {
            tracing::error!(error = %e, "the clock could not be compared with what is known of the time");
        }
        match app.record.queue().expire(app.trust.now(&app.clock)).await {
            Ok(0) => {}
            Ok(expired) => tracing::warn!(expired, "links died before their files could be had; see `acervo status`"),
            Err(e) => tracing::error!(error = %e, "dead links could not be ended"),
        }
        if erase_at.elapsed() >= ERASE_EVERY {
            erase_at = Instant::now();
            erase(&app).await;
        }
        if retention_at.elapsed() >= RETENTION_EVERY {
            retention_at = Instant::now();
            let attended = tokio::select! {
                attended = super::retention::finish_pending(&app) => attended,
                // Every step can be interrupted.
                _ = stop.cancelled() => Ok(()),
            };
            if let Err(e) = attended {
                tracing::error!(error = format!("{e:#}"), "what retention left to do could not be done");
            }
        }
        if sweep_at.elapsed() >= SWEEP_EVERY {
            sweep_at = Instant::now();
            sweep(&app).await;
        }
    }
    erase(&app).await;
    match app.record.links().empty_log().await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "a reader holds the database's write-ahead log: erased links stay in it until the next start"
        ),
        Err(e) => tracing::error!(error = %e, "the database's write-ahead log could not be emptied"),
    }
}

async fn erase(app: &App) {
    if let Err(e) = app.record.links().erase(app.trust.now(&app.clock)).await {
        tracing::error!(error = %e, "dead links could not be erased");
    }
}

async fn sweep(app: &App) {
    let store = app.store.clone();
    match tokio::task::spawn_blocking(move || store.sweep()).await {
        Ok(Ok(0)) | Err(_) => {}
        Ok(Ok(removed)) => tracing::info!(removed, "removed what a crash had left half written"),
        Ok(Err(e)) => tracing::error!(error = %e, "the archive could not be swept"),
    }
}
