//! The task of one hook.
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::events::{self, Event, Next};
use super::{is_to_come, log_max, message};
use crate::app::App;
use crate::config::Hook;
use crate::engine::hooks::{Delivered, SendError, Sender};
use crate::engine::record::{
    HookAttempt, HookFailure, HookLetter, HookPosition, HookState, NewLetter, PendingMessage, RecordError,
};
use crate::jobs::fault;
use crate::jobs::lock::Guard;
use crate::jobs::schedule::{back_off, later};

/// How often it is checked what other processes have committed, and whether an attempt is due.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// The pause after a commit of this process: in a burst the hook looks at many changes at once.
const PAUSE: Duration = Duration::from_millis(50);

/// A position that only moved over what the hook is not about is saved after so many changes, or this time: each commit makes
/// the service forget the results of queries.
const SKIPPED_MAX: i64 = 500;
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// Added to the longest delay; see [`is_to_come`].
const SLACK: Duration = Duration::from_secs(60);

/// Sends what a hook is about, until it is stopped. An attempt that is in progress then ends, and is made again by what continues.
pub(super) async fn run(app: App, hook: Hook, stop: CancellationToken) {
    let name = hook.name.clone();
    let sender = match Sender::new(&hook) {
        Ok(sender) => sender,
        Err(e) => return tracing::error!(hook = name, error = %e, "a hook cannot be started"),
    };
    let holder = format!("hook-{}", Uuid::now_v7());
    let mut runner =
        Runner { app: app.clone(), hook, stop, sender, holder, guard: None, seen: None, saved_at: Instant::now() };
    let mut fed = app.record.feed().watch();
    while !runner.stop.is_cancelled() {
        fed.borrow_and_update();
        match runner.turn().await {
            Ok(Turn::Again) => continue,
            Ok(Turn::Rest) => {}
            Err(RecordError::LockLost(_)) => tracing::info!(hook = name, "another process has moved the hook"),
            Err(e) => tracing::error!(hook = name, error = %e, "a hook cannot continue; trying again"),
        }
        runner.release().await;
        tokio::select! {
            () = runner.stop.cancelled() => break,
            _ = fed.changed() => tokio::time::sleep(PAUSE).await,
            () = tokio::time::sleep(CHECK_EVERY) => {}
        }
    }
    runner.release().await;
}

/// What a turn leaves to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There may be more to send.
    Again,
    /// Nothing can be sent now.
    Rest,
}

struct Runner {
    app: App,
    hook: Hook,
    stop: CancellationToken,
    sender: Sender,
    holder: String,
    /// Held while it sends, where other processes may do the same.
    guard: Option<Guard>,
    /// From the first position to the second there is nothing that the hook is about.
    seen: Option<(HookPosition, HookPosition)>,
    saved_at: Instant,
}

impl Runner {
    /// Sends the next message, if there is one and it is due.
    async fn turn(&mut self) -> Result<Turn, RecordError> {
        let hooks = self.app.record.hooks();
        let Some(state) = hooks.state(&self.hook.name).await? else {
            hooks.register(&self.hook.name, self.app.clock.now()).await?;
            return Ok(Turn::Again);
        };
        if state.disabled_at.is_some() {
            return Ok(Turn::Rest);
        }
        if let Some(letter) = hooks.requested(&self.hook.name).await? {
            return self.redeliver(letter).await;
        }
        let now = self.app.clock.now();
        let delay_max = self.hook.retry_max.max(self.hook.retry_first).mul_f64(1.2) + SLACK;
        if state.pending.as_ref().is_some_and(|pending| is_to_come(pending.next_attempt_at, now, delay_max)) {
            return Ok(Turn::Rest);
        }
        let start = match self.seen {
            Some((from, to)) if from == state.position => to,
            _ => state.position,
        };
        match events::next(&self.app, &self.hook, start).await? {
            Next::Nothing(to) => {
                self.skip(state.position, to).await?;
                Ok(Turn::Rest)
            }
            Next::Event(event, to) => self.deliver(state, &event, to).await,
        }
    }

    /// Notes that there is nothing to send up to a position, and saves it from time to time.
    async fn skip(&mut self, from: HookPosition, to: HookPosition) -> Result<(), RecordError> {
        self.seen = Some((from, to));
        let is_due = to.feed - from.feed >= SKIPPED_MAX || self.saved_at.elapsed() >= SAVE_EVERY;
        if from != to && is_due {
            self.app.record.hooks().skip(&self.hook.name, from, to).await?;
            self.saved_at = Instant::now();
        }
        Ok(())
    }

    async fn deliver(&mut self, state: HookState, event: &Event, to: HookPosition) -> Result<Turn, RecordError> {
        if !self.lock().await? {
            return Ok(Turn::Rest);
        }
        // Another process may have sent it before this one had the lock.
        if self.guard.is_some() && self.app.record.hooks().state(&self.hook.name).await?.as_ref() != Some(&state) {
            return Ok(Turn::Again);
        }
        let id = message::id_of(&self.hook, event.subject);
        let pending = state.pending.filter(|pending| pending.message == id);
        let number = pending.as_ref().map_or(0, |pending| pending.attempts).saturating_add(1);
        let Some(sent) = self.send(event).await else { return Ok(Turn::Rest) };
        let error = sent.outcome.as_ref().err().map(ToString::to_string);
        let attempt = sent.attempt(&self.hook.name, event.kind.as_str(), &id, number, error.as_deref());
        let hooks = self.app.record.hooks();
        match &sent.outcome {
            Ok(_) => {
                hooks.delivered(&attempt, state.position, to, log_max(&self.app)).await?;
                fault("hook-after-delivered");
                tracing::debug!(hook = self.hook.name, id, "delivered");
                Ok(Turn::Again)
            }
            Err(e) => {
                let failure = self.failure(event, &attempt, pending, e, to);
                report(&attempt, e, &failure);
                hooks.failed(&attempt, state.position, &failure, log_max(&self.app)).await?;
                fault("hook-after-failed");
                Ok(if matches!(failure, HookFailure::GiveUp { .. }) { Turn::Again } else { Turn::Rest })
            }
        }
    }

    /// What follows from a failed attempt.
    fn failure(
        &self,
        event: &Event,
        attempt: &HookAttempt<'_>,
        pending: Option<PendingMessage>,
        error: &SendError,
        to: HookPosition,
    ) -> HookFailure {
        let failing_since = pending.map_or(attempt.at, |pending| pending.failing_since);
        let give_up_at = later(failing_since, self.hook.give_up_after);
        let wait = |next_attempt_at| PendingMessage {
            message: attempt.message.to_owned(),
            at: event.at,
            attempts: attempt.attempt,
            failing_since,
            next_attempt_at,
        };
        if error.is_gone() {
            return HookFailure::Disable(wait(attempt.at));
        }
        if attempt.at >= give_up_at {
            let letter = NewLetter { kind: event.kind, subject: event.subject, at: event.at };
            return HookFailure::GiveUp { to, letter };
        }
        let planned = back_off(self.hook.retry_first, self.hook.retry_max, attempt.attempt);
        let requested = error.retry_after().map(|delay| delay.min(self.hook.retry_max)).unwrap_or_default();
        // The last attempt is made when the time is over.
        HookFailure::Retry(wait(later(attempt.at, planned.max(requested)).min(give_up_at)))
    }

    /// Makes the attempt that was requested for a dead letter.
    async fn redeliver(&mut self, letter: HookLetter) -> Result<Turn, RecordError> {
        if !self.lock().await? {
            return Ok(Turn::Rest);
        }
        let hooks = self.app.record.hooks();
        if self.guard.is_some() && hooks.requested(&self.hook.name).await?.as_ref() != Some(&letter) {
            return Ok(Turn::Again);
        }
        let event = events::of_letter(&self.app, &letter).await?;
        let event =
            event.ok_or_else(|| RecordError::Corrupt(format!("the subject of the dead letter {}", letter.id)))?;
        let id = message::id_of(&self.hook, event.subject);
        let Some(sent) = self.send(&event).await else { return Ok(Turn::Rest) };
        let error = sent.outcome.as_ref().err().map(ToString::to_string);
        let number = letter.attempts.saturating_add(1);
        let attempt = sent.attempt(&self.hook.name, event.kind.as_str(), &id, number, error.as_deref());
        match &sent.outcome {
            Ok(_) => {
                hooks.redelivered(letter.id, &attempt, log_max(&self.app)).await?;
                tracing::info!(hook = self.hook.name, id, "a dead letter was delivered");
            }
            Err(e) => {
                tracing::warn!(hook = self.hook.name, id, error = %e, "a dead letter stays one");
                hooks.redelivery_failed(letter.id, &attempt, log_max(&self.app)).await?;
            }
        }
        Ok(Turn::Again)
    }

    /// Sends a message; `None` if the hook is stopped.
    async fn send(&self, event: &Event) -> Option<Sent> {
        let (at, began) = (self.app.clock.now(), Instant::now());
        fault("hook-before-send");
        let outcome = tokio::select! {
            outcome = self.attempt(event, at) => outcome,
            () = self.stop.cancelled() => return None,
        };
        fault("hook-after-send");
        Some(Sent { outcome, at, took: began.elapsed() })
    }

    async fn attempt(&self, event: &Event, now: Timestamp) -> Result<Delivered, SendError> {
        let message = message::of(&self.hook, event)?;
        self.sender.send(&message, now).await
    }

    /// Whether this process may send: where others share the database, one sends at a time.
    async fn lock(&mut self) -> Result<bool, RecordError> {
        if !self.app.record.is_shared() {
            return Ok(true);
        }
        if self.guard.as_ref().is_some_and(Guard::is_held) {
            return Ok(true);
        }
        self.release().await;
        self.guard = Guard::take(&self.app, &format!("hook:{}", self.hook.name), &self.holder).await?;
        Ok(self.guard.is_some())
    }

    async fn release(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.release().await;
        }
    }
}

fn report(failed: &HookAttempt<'_>, error: &SendError, failure: &HookFailure) {
    let HookAttempt { hook, message: id, attempt, .. } = *failed;
    match failure {
        HookFailure::Retry(pending) => {
            tracing::warn!(hook, id, attempt, %error, next = %pending.next_attempt_at, "a hook's attempt failed");
        }
        HookFailure::Disable(_) => tracing::error!(
            hook, id, %error,
            "the endpoint of a hook says that it is gone: nothing more is sent until `acervo hook enable {hook}`"
        ),
        HookFailure::GiveUp { .. } => tracing::error!(
            hook, id, attempt, %error,
            "an event was given up and is a dead letter now; `acervo hook redeliver {hook}` sends it again"
        ),
    }
}

/// An attempt, and what came of it.
struct Sent {
    outcome: Result<Delivered, SendError>,
    at: Timestamp,
    took: Duration,
}

impl Sent {
    fn attempt<'a>(
        &self,
        hook: &'a str,
        kind: &'a str,
        message: &'a str,
        attempt: u32,
        error: Option<&'a str>,
    ) -> HookAttempt<'a> {
        let status = self.outcome.as_ref().map_or_else(SendError::status, |delivered| delivered.status);
        HookAttempt { hook, message, kind, at: self.at, attempt, status, error, took: self.took }
    }
}
