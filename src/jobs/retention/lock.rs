//! The lock of retention: one run, sweep or undo at a time, whichever process asks for it.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::app::App;
use crate::record::RecordError;

const NAME: &str = "retention";

/// How long the lock holds without a sign of life.
const LOCK: Duration = Duration::from_secs(15);

/// How often its holder gives one.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// A holder that has not been able to give one for so long stops: soon the lock is another's.
const DOUBTFUL: Duration = Duration::from_secs(10);

/// The lock, kept until this is dropped; released at once by [`Held::release`], by running out otherwise.
pub(super) struct Held {
    app: App,
    holder: String,
    renewed: Arc<Mutex<Instant>>,
    heartbeat: tokio::task::JoinHandle<()>,
}

impl Held {
    /// Takes the lock if nobody has it.
    pub async fn take(app: &App, holder: &str) -> Result<Option<Self>, RecordError> {
        let began = Instant::now();
        if !app.record.lock(NAME, holder, app.clock.now(), LOCK).await? {
            return Ok(None);
        }
        let renewed = Arc::new(Mutex::new(began));
        let heartbeat = tokio::spawn(renew_until_refused(app.clone(), holder.to_owned(), renewed.clone()));
        Ok(Some(Self { app: app.clone(), holder: holder.to_owned(), renewed, heartbeat }))
    }

    /// Takes the lock as soon as nobody has it; `None` where that takes too long.
    pub async fn wait(app: &App, holder: &str, patience: Duration) -> Result<Option<Self>, RecordError> {
        let began = Instant::now();
        loop {
            if let Some(held) = Self::take(app, holder).await? {
                return Ok(Some(held));
            }
            if began.elapsed() > patience {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Whether the lock is certain to be held still.
    pub fn check(&self) -> anyhow::Result<()> {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.elapsed() > DOUBTFUL {
            bail!("the lock of retention could not be kept; the next run goes on from here");
        }
        Ok(())
    }

    pub async fn release(self) {
        self.heartbeat.abort();
        if let Err(e) = self.app.record.unlock(NAME, &self.holder).await {
            tracing::warn!(error = %e, "the lock of retention could not be released; it runs out by itself");
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

async fn renew_until_refused(app: App, holder: String, renewed: Arc<Mutex<Instant>>) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let began = Instant::now();
        match app.record.lock(NAME, &holder, app.clock.now(), LOCK).await {
            Ok(true) => *renewed.lock().unwrap_or_else(PoisonError::into_inner) = began,
            Ok(false) => return,
            Err(e) => tracing::warn!(error = %e, "the lock of retention could not be renewed"),
        }
    }
}
