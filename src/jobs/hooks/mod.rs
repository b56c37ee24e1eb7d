//! Hooks: tell other services what happens in the archive.
//!
//! Each hook has a task, a client and a position of its own: it reads the feed, and the events that are not in it, from where it
//! was, and sends what it is about, one message after the other. The position moves once a message is delivered or given up, in
//! one transaction with the log, so nothing is left out and after a crash the last message is sent again. Nothing else waits for
//! a hook.
mod events;
mod late;
mod message;
mod run;
mod tasks;

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;

pub(super) use message::{burst_ended, silent};

use crate::app::App;
use crate::config::Hook;
use crate::domain::DeliveryOutcome;
use crate::engine::hooks::{SendError, Sender};
use crate::engine::record::{HookAttempt, RecordError};

/// Events that are not in the feed are kept for so long; a late period or a silent source is found again no more after that.
const EVENTS_KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How often older ones are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Why something could not be done for a hook.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error("there is no hook `{0}` in the configuration; `acervo hook list` lists them")]
    Unknown(String),
    #[error("the hook `{hook}` has no dead letter {id}; `acervo hook dead` lists them")]
    NoLetter { hook: String, id: i64 },
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Makes new hooks known, which begin here, and starts the task of each.
pub(super) async fn start(app: &App) -> Result<Vec<JoinHandle<()>>, RecordError> {
    for hook in &app.access.settings().hooks.all {
        app.record.hooks().register(&hook.name, app.clock.now()).await?;
    }
    Ok(vec![tokio::spawn(forget(app.clone())), tokio::spawn(tasks::run(app.clone()))])
}

/// Forgets old events that every hook has passed.
async fn forget(app: App) {
    loop {
        if let Err(e) = forget_once(&app).await {
            tracing::error!(error = %e, "old events of hooks cannot be removed; trying again later");
        }
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}

async fn forget_once(app: &App) -> Result<(), RecordError> {
    let states = app.record.hooks().states().await?;
    let settings = app.access.settings();
    let configured = states.iter().filter(|state| settings.hooks.named(&state.name).is_some());
    let passed = configured.map(|state| state.position.event).min().unwrap_or(i64::MAX);
    app.record.hooks().forget_events(app.clock.now() - EVENTS_KEPT, passed).await?;
    Ok(())
}

fn configured(app: &App, name: &str) -> Result<Hook, HookError> {
    app.access.settings().hooks.named(name).cloned().ok_or_else(|| HookError::Unknown(name.to_owned()))
}

/// Sends a test message once, and logs it.
pub async fn test(app: &App, name: &str) -> Result<Option<u16>, HookError> {
    let hook = configured(app, name)?;
    let sender = Sender::new(&hook)?;
    let now = app.clock.now();
    let message = message::test(&hook, now)?;
    let began = Instant::now();
    let sent = sender.send(&message, now).await;
    let error = sent.as_ref().err().map(ToString::to_string);
    let status = sent.as_ref().map_or_else(SendError::status, |delivered| delivered.status);
    let attempt = HookAttempt {
        hook: name,
        message: &message.id,
        kind: message::TEST,
        at: now,
        attempt: 1,
        status,
        error: error.as_deref(),
        took: began.elapsed(),
    };
    let outcome = if sent.is_ok() { DeliveryOutcome::Delivered } else { DeliveryOutcome::Failed };
    app.record.hooks().log_test(&attempt, outcome, log_max(app)).await?;
    Ok(sent?.status)
}

/// Requests another attempt for the dead letters of a hook: for all, or for these. Returns how many; the service makes the
/// attempts.
pub async fn redeliver(app: &App, name: &str, ids: Option<&[i64]>) -> Result<u64, HookError> {
    configured(app, name)?;
    for id in ids.into_iter().flatten() {
        if !app.record.hooks().has_letter(name, *id).await? {
            return Err(HookError::NoLetter { hook: name.to_owned(), id: *id });
        }
    }
    Ok(app.record.hooks().request_redelivery(name, ids, app.clock.now()).await?)
}

/// Lets a hook send again that its endpoint had ended, or retries at once what it has to send.
pub async fn enable(app: &App, name: &str) -> Result<(), HookError> {
    configured(app, name)?;
    app.record.hooks().register(name, app.clock.now()).await?;
    app.record.hooks().enable(name, app.clock.now()).await?;
    Ok(())
}

fn log_max(app: &App) -> u64 {
    app.access.settings().hooks.log as u64
}

/// Whether an instant is still to come. One further away than any delay was computed by a wrong clock.
fn is_to_come(at: Timestamp, now: Timestamp, delay_max: Duration) -> bool {
    at > now && at <= super::schedule::later(now, delay_max)
}
