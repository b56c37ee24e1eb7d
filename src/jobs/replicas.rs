//! Says to the other services of the same database that this one is there, and learns whether it leads.
//!
//! A database that one process has to itself needs none of this: that process leads.
use std::time::{Duration, Instant};

use crate::app::{App, ReplicaIdentity};
use crate::engine::record::{Beaten, Heartbeat, RecordError};

/// How often a service is heard of: three times before it counts as gone.
fn beat_every() -> Duration {
    ReplicaIdentity::lasts() / 3
}

/// Whether this service runs the scheduled jobs.
pub(super) fn leads(app: &App) -> bool {
    !app.record.is_shared() || app.replica.leads()
}

/// Whether other replicas than that of this data folder were there lately.
pub(super) async fn has_peers(app: &App) -> Result<bool, RecordError> {
    if !app.record.is_shared() {
        return Ok(false);
    }
    let all = app.record.replicas().all(ReplicaIdentity::lasts(), app.clock.now()).await?;
    Ok(all.iter().any(|replica| replica.name != app.replica.name))
}

pub(super) async fn run(app: App) {
    if !app.record.is_shared() {
        return;
    }
    if let Err(e) = app.record.replicas().forget_earlier(&app.replica.id, &app.replica.name).await {
        tracing::warn!(error = %e, "the earlier process of this replica stays in the list of replicas for a day");
    }
    let mut was_leading = false;
    while !app.stop.is_cancelled() {
        let began = Instant::now();
        match beat(&app).await {
            Ok(Beaten { leads, abandoned }) => {
                app.replica.note(leads, began, !abandoned.is_empty());
                for job in abandoned {
                    tracing::warn!(job, "a replica is gone in the middle of a scheduled job; it runs again here");
                }
                if leads != was_leading {
                    was_leading = leads;
                    let name = &*app.replica.name;
                    match leads {
                        true => tracing::info!(name, "this replica runs the scheduled jobs"),
                        false => tracing::info!(name, "another replica runs the scheduled jobs"),
                    }
                }
            }
            Err(e) => tracing::warn!(error = %e, "this replica cannot tell the others that it is there; trying again"),
        }
        tokio::select! {
            _ = app.stop.cancelled() => {}
            _ = tokio::time::sleep(beat_every()) => {}
        }
    }
}

async fn beat(app: &App) -> Result<Beaten, RecordError> {
    let heartbeat = Heartbeat {
        id: &app.replica.id,
        name: &app.replica.name,
        version: env!("CARGO_PKG_VERSION"),
        started_at: app.started_at,
        feed: app.index.position().map_or(0, |position| position.feed),
        lasts: ReplicaIdentity::lasts(),
    };
    app.record.replicas().beat(&heartbeat, app.clock.now()).await
}

/// The last step of a service that stops: another one leads at once.
pub(super) async fn leave(app: &App) {
    if !app.record.is_shared() {
        return;
    }
    app.replica.note(false, Instant::now(), false);
    if let Err(e) = app.record.replicas().leave(&app.replica.id).await {
        tracing::warn!(error = %e, "this replica is listed as gone for a day");
    }
}
