//! Periodic duties, each in its own task, so that a long one does not delay the others.
use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::time::ClockWatch;
use crate::app::App;

const CLOCK_EVERY: Duration = Duration::from_secs(1);

const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// How often notifications are resolved that could not be, or that a replica that is gone left.
const RESUME_EVERY: Duration = Duration::from_secs(60);

/// A link must be erased within a minute of its expiry or of the arrival of its file.
const ERASE_EVERY: Duration = Duration::from_secs(15);

/// How soon after its grace a mark is swept.
const RETENTION_EVERY: Duration = Duration::from_secs(5);

/// How often the archive's folder is searched for files that a crash left half written.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(3600);

pub(super) fn start(app: &App) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(watch_clock(app.clone())),
        tokio::spawn(resume_resolving(app.clone())),
        tokio::spawn(expire(app.clone())),
        tokio::spawn(erase(app.clone())),
        tokio::spawn(finish_retention(app.clone())),
        tokio::spawn(clean_up(app.clone())),
        tokio::spawn(follow_keys(app.clone())),
    ]
}

/// How soon a service learns of keys that were revoked elsewhere, on another machine with the same database. Commands on its own
/// machine tell it.
const KEYS_EVERY: Duration = Duration::from_secs(2);

/// The last step after all jobs have ended: erases links that expired or were used, also from the write-ahead log.
pub(super) async fn finish(app: &App) {
    erase_expired_links(app).await;
    if let Err(e) = app.write_key_uses(true).await {
        tracing::error!(error = format!("{e:#}"), "the last uses of keys could not be written");
    }
    match app.record.links().empty_log().await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "a reader holds the database's write-ahead log: erased links stay in it until the next start"
        ),
        Err(e) => tracing::error!(error = %e, "the database's write-ahead log could not be emptied"),
    }
}

/// When a duty is due, first after one period.
struct Ticks {
    app: App,
    interval: Interval,
}

impl Ticks {
    fn every(period: Duration, app: &App) -> Self {
        let mut interval = interval_at(Instant::now() + period, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { app: app.clone(), interval }
    }

    /// Waits for the next tick; `false` once the process was asked to stop.
    async fn next(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.app.stop.cancelled() => false,
            _ = self.interval.tick() => true,
        }
    }
}

/// The outcome of cancel-safe work; `None` if the process was asked to stop before its end.
async fn unless_stopped<T>(app: &App, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = app.stop.cancelled() => None,
    }
}

async fn watch_clock(app: App) {
    let mut ticks = Ticks::every(CLOCK_EVERY, &app);
    let mut watch = ClockWatch::default();
    while ticks.next().await {
        if let Err(e) = watch.check(&app).await {
            tracing::error!(error = %e, "cannot compare the clock with the last known time");
        }
    }
}

async fn resume_resolving(app: App) {
    let mut ticks = Ticks::every(RESUME_EVERY, &app);
    while ticks.next().await {
        if let Err(e) = app.record.intake().resume().await {
            tracing::error!(error = %e, "notifications that were set aside could not be taken up again");
        }
    }
}

async fn expire(app: App) {
    let mut ticks = Ticks::every(EXPIRE_EVERY, &app);
    while ticks.next().await {
        match unless_stopped(&app, app.record.queue().expire(app.trust.now(&app.clock))).await {
            None | Some(Ok(0)) => {}
            Some(Ok(expired)) => {
                tracing::warn!(expired, "links expired before their files were fetched; see `acervo status`");
            }
            Some(Err(e)) => tracing::error!(error = %e, "notifications with expired links could not be settled"),
        }
    }
}

async fn erase(app: App) {
    let mut ticks = Ticks::every(ERASE_EVERY, &app);
    while ticks.next().await {
        unless_stopped(&app, erase_expired_links(&app)).await;
    }
}

async fn erase_expired_links(app: &App) {
    if let Err(e) = app.record.links().erase(app.trust.now(&app.clock)).await {
        tracing::error!(error = %e, "expired links could not be erased");
    }
}

async fn finish_retention(app: App) {
    let mut ticks = Ticks::every(RETENTION_EVERY, &app);
    while ticks.next().await {
        match super::retention::finish_pending(&app).await {
            Ok(()) => {}
            Err(e) if e.is::<super::Stopped>() => {}
            Err(e) => tracing::error!(error = format!("{e:#}"), "pending work of retention failed; trying again"),
        }
    }
}

async fn clean_up(app: App) {
    let mut ticks = Ticks::every(CLEAN_UP_EVERY, &app);
    while ticks.next().await {
        match unless_stopped(&app, app.store.remove_abandoned_uploads()).await {
            None | Some(Ok(0)) => {}
            Some(Ok(removed)) => tracing::info!(removed, "removed unfinished uploads that a crash had left"),
            Some(Err(e)) => tracing::error!(error = %e, "unfinished uploads that a crash left could not be removed"),
        }
    }
}

async fn follow_keys(app: App) {
    let mut ticks = Ticks::every(KEYS_EVERY, &app);
    while ticks.next().await {
        let written = async {
            app.read_revoked_keys().await?;
            app.write_key_uses(false).await
        };
        if let Some(Err(e)) = unless_stopped(&app, written).await {
            tracing::error!(error = format!("{e:#}"), "the keys of the API could not be compared with the database");
        }
    }
}
