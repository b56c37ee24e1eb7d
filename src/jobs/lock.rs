//! Locks of jobs between processes: one holder at a time, on all machines, with a heartbeat.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::app::App;
use crate::engine::record::RecordError;
use crate::jobs::stop;

/// How long the lock lasts unless it is renewed.
const LOCK: Duration = Duration::from_secs(15);

/// How long the lock lasts that this process takes.
fn lock_for() -> Duration {
    fail::fail_point!("lock-lasts", |millis| {
        millis.and_then(|millis| millis.parse().ok()).map_or(LOCK, Duration::from_millis)
    });
    LOCK
}

/// How often its holder renews it.
fn renew_every() -> Duration {
    lock_for() / 4
}

/// A holder that could not renew the lock for this long stops, because another process may soon take it.
fn renewed_within() -> Duration {
    lock_for() * 2 / 3
}

/// How often a lock of another process is tried again.
const TRY_EVERY: Duration = Duration::from_millis(200);

/// The lock, renewed until this is dropped. [`Guard::release`] frees it at once; otherwise it runs out.
pub(super) struct Guard {
    app: App,
    name: Arc<str>,
    holder: String,
    lease: Arc<Mutex<Lease>>,
    heartbeat: tokio::task::JoinHandle<()>,
}

/// The state of the lock as far as its holder knows.
#[derive(Clone, Copy)]
enum Lease {
    /// Renewed at this time, and certain for [`renewed_within`] from then on.
    Renewed(Instant),
    /// Another holder has taken it.
    Lost,
}

impl Guard {
    /// Takes the lock of this name if it is free.
    pub async fn take(app: &App, name: &str, holder: &str) -> Result<Option<Self>, RecordError> {
        let began = Instant::now();
        if !app.record.locks().take(name, holder, app.clock.now(), lock_for()).await? {
            return Ok(None);
        }
        let lease = Arc::new(Mutex::new(Lease::Renewed(began)));
        let name: Arc<str> = name.into();
        let heartbeat = tokio::spawn(renew_until_lost(app.clone(), name.clone(), holder.to_owned(), lease.clone()));
        Ok(Some(Self { app: app.clone(), name, holder: holder.to_owned(), lease, heartbeat }))
    }

    /// Takes the lock as soon as it is free; `None` if that takes longer than `timeout` or the process is stopping.
    pub async fn wait(app: &App, name: &str, holder: &str, timeout: Duration) -> Result<Option<Self>, RecordError> {
        let began = Instant::now();
        loop {
            if let Some(guard) = Self::take(app, name, holder).await? {
                return Ok(Some(guard));
            }
            if began.elapsed() > timeout || app.stop.is_cancelled() {
                return Ok(None);
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
    }

    /// An error if the next batch must not begin: another process may hold the lock, or this one is stopping. `fault_point` names the
    /// fault point of this check.
    pub fn check(&self, fault_point: &'static str) -> anyhow::Result<()> {
        stop::check(&self.app, fault_point)?;
        let name = &self.name;
        match *self.lease.lock().unwrap_or_else(PoisonError::into_inner) {
            Lease::Renewed(at) if at.elapsed() <= renewed_within() => Ok(()),
            Lease::Renewed(_) => {
                bail!("the lock of {name} could not be renewed in time; the next run continues from here")
            }
            Lease::Lost => bail!("another process has taken the lock of {name}; the next run continues from here"),
        }
    }

    /// Who holds the lock, as the database knows it.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Whether no other process can have the lock.
    pub fn is_held(&self) -> bool {
        let lease = *self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(lease, Lease::Renewed(at) if at.elapsed() <= renewed_within())
    }

    pub async fn release(self) {
        self.heartbeat.abort();
        match self.app.record.locks().release(&self.name, &self.holder).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(lock = &*self.name, "a lock had been taken by another process"),
            Err(e) => tracing::warn!(error = %e, lock = &*self.name, "a lock cannot be released; it will run out"),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

async fn renew_until_lost(app: App, name: Arc<str>, holder: String, lease: Arc<Mutex<Lease>>) {
    loop {
        tokio::time::sleep(renew_every()).await;
        let began = Instant::now();
        let state = match app.record.locks().renew(&name, &holder, app.clock.now(), lock_for()).await {
            Ok(true) => Lease::Renewed(began),
            Ok(false) => Lease::Lost,
            Err(e) => {
                tracing::warn!(error = %e, lock = &*name, "a lock could not be renewed");
                continue;
            }
        };
        *lease.lock().unwrap_or_else(PoisonError::into_inner) = state;
        if matches!(state, Lease::Lost) {
            return;
        }
    }
}
