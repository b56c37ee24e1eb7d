//! The lock of retention: one run, sweep or undo at a time, whichever process asks for it.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::app::App;
use crate::engine::record::RecordError;

const NAME: &str = "retention";

/// How long the lock holds without a sign of life.
const LOCK: Duration = Duration::from_secs(15);

/// How often its holder gives one.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// A holder that has not been able to give one for so long stops: soon the lock is another's.
const DOUBTFUL: Duration = Duration::from_secs(10);

/// The lock, renewed until this is dropped. [`Guard::release`] gives it back at once; otherwise it ends by itself.
pub(super) struct Guard {
    app: App,
    holder: String,
    lease: Arc<Mutex<Lease>>,
    heartbeat: tokio::task::JoinHandle<()>,
}

/// What the holder knows of its lock.
#[derive(Clone, Copy)]
enum Lease {
    /// Renewed at this time, and certain for [`DOUBTFUL`] from then on.
    Renewed(Instant),
    /// Another holder has taken it.
    Lost,
}

impl Guard {
    /// Takes the lock if nobody has it.
    pub async fn take(app: &App, holder: &str) -> Result<Option<Self>, RecordError> {
        let began = Instant::now();
        if !app.record.locks().take(NAME, holder, app.clock.now(), LOCK).await? {
            return Ok(None);
        }
        let lease = Arc::new(Mutex::new(Lease::Renewed(began)));
        let heartbeat = tokio::spawn(renew_until_lost(app.clone(), holder.to_owned(), lease.clone()));
        Ok(Some(Self { app: app.clone(), holder: holder.to_owned(), lease, heartbeat }))
    }

    /// Takes the lock as soon as nobody has it; `None` where that takes too long.
    pub async fn wait(app: &App, holder: &str, patience: Duration) -> Result<Option<Self>, RecordError> {
        let began = Instant::now();
        loop {
            if let Some(guard) = Self::take(app, holder).await? {
                return Ok(Some(guard));
            }
            if began.elapsed() > patience {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// An error once the lock may be another's: its holder has to stop.
    pub fn check(&self) -> anyhow::Result<()> {
        match *self.lease.lock().unwrap_or_else(PoisonError::into_inner) {
            Lease::Renewed(at) if at.elapsed() <= DOUBTFUL => Ok(()),
            Lease::Renewed(_) => {
                bail!("the lock of retention could not be renewed in time; the next run goes on from here")
            }
            Lease::Lost => bail!("another process has taken the lock of retention; the next run goes on from here"),
        }
    }

    pub async fn release(self) {
        self.heartbeat.abort();
        match self.app.record.locks().release(NAME, &self.holder).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!("the lock of retention had been taken by another process"),
            Err(e) => tracing::warn!(error = %e, "the lock of retention could not be released; it ends by itself"),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

async fn renew_until_lost(app: App, holder: String, lease: Arc<Mutex<Lease>>) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let began = Instant::now();
        let state = match app.record.locks().renew(NAME, &holder, app.clock.now(), LOCK).await {
            Ok(true) => Lease::Renewed(began),
            Ok(false) => Lease::Lost,
            Err(e) => {
                tracing::warn!(error = %e, "the lock of retention could not be renewed");
                continue;
            }
        };
        *lease.lock().unwrap_or_else(PoisonError::into_inner) = state;
        if matches!(state, Lease::Lost) {
            return;
        }
    }
}
