//! Hooks: how far each has come, what is tried again, and what was given up.
//!
//! Every change of a hook's position is conditional on the position that it follows, so a process that lost the lock of a hook
//! changes nothing any more.
mod deliveries;
mod events;
mod letters;

use std::time::Duration;

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, Order, QueryFilter, QueryOrder, Set, UpdateMany};

use super::db::Db;
use super::entity::{changes, hook_events, hooks};
use super::rows::natural;
use super::{RecordError, batch};
use crate::domain::{DeliveryOutcome, millis, timestamp};
use hooks::Column as C;

pub use deliveries::HookDelivery;
pub use events::{HookEventRow, NewHookEvent};
pub use letters::{HookLetter, LetterSubject, NewLetter};

pub(super) use events::append;

/// How far a hook has come: in the feed, and in the events that are not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookPosition {
    pub feed: i64,
    pub event: i64,
}

/// A hook, as far as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookState {
    pub name: String,
    /// What happened before is not sent.
    pub created_at: Timestamp,
    pub position: HookPosition,
    /// The message that failed and is tried again.
    pub pending: Option<PendingMessage>,
    /// Messages delivered, and attempts that failed.
    pub delivered: u64,
    pub failed: u64,
    pub last_delivered_at: Option<Timestamp>,
    /// Since when nothing is sent, because the endpoint said that it is gone.
    pub disabled_at: Option<Timestamp>,
    /// Of the last attempt, if it failed.
    pub last_error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingMessage {
    pub message: String,
    /// When the event happened.
    pub at: Timestamp,
    pub attempts: u32,
    /// When its first attempt failed.
    pub failing_since: Timestamp,
    pub next_attempt_at: Timestamp,
}

/// An attempt to deliver a message.
#[derive(Clone, Debug)]
pub struct HookAttempt<'a> {
    pub hook: &'a str,
    pub message: &'a str,
    /// The kind of the event, or `test`.
    pub kind: &'a str,
    pub at: Timestamp,
    /// From 1.
    pub attempt: u32,
    pub status: Option<u16>,
    pub error: Option<&'a str>,
    pub took: Duration,
}

/// What follows from a failed attempt.
#[derive(Clone, Debug)]
pub enum HookFailure {
    Retry(PendingMessage),
    /// Nothing more is sent until an operator enables the hook.
    Disable(PendingMessage),
    /// The event becomes a dead letter, and the hook goes on after it.
    GiveUp {
        to: HookPosition,
        letter: NewLetter,
    },
}

/// Hooks: how far each has come, their dead letters, and their deliveries.
#[derive(Clone)]
pub struct Hooks {
    pub(super) db: Db,
}

impl Hooks {
    /// Makes a hook known that was not; it begins after everything that is committed now.
    pub async fn register(&self, name: &str, now: Timestamp) -> Result<(), RecordError> {
        if self.state(name).await?.is_some() {
            return Ok(());
        }
        let txn = self.db.begin().await?;
        let event = hook_events::Entity::find().order_by(hook_events::Column::Id, Order::Desc).one(&txn).await?;
        let row = hooks::ActiveModel {
            name: Set(name.to_owned()),
            created_at: Set(millis(now)),
            feed: Set(head(&txn).await?),
            event: Set(event.map_or(0, |event| event.id)),
            attempts: Set(0),
            delivered: Set(0),
            failed: Set(0),
            ..Default::default()
        };
        batch::insert(&txn, vec![row], Some(OnConflict::column(C::Name).do_nothing().to_owned())).await?;
        Ok(txn.commit().await?)
    }

    pub async fn state(&self, name: &str) -> Result<Option<HookState>, RecordError> {
        let row = hooks::Entity::find_by_id(name).one(self.db.jobs_reader()).await?;
        row.map(HookState::try_from).transpose()
    }

    /// All hooks that were ever configured, by name.
    pub async fn states(&self) -> Result<Vec<HookState>, RecordError> {
        let rows = hooks::Entity::find().order_by(C::Name, Order::Asc).all(self.db.jobs_reader()).await?;
        rows.into_iter().map(HookState::try_from).collect()
    }

    /// Moves a hook over what it is not about.
    pub async fn skip(&self, name: &str, from: HookPosition, to: HookPosition) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        run(&txn, moved(name, from, to)).await?;
        Ok(txn.commit().await?)
    }

    /// Moves a hook over an event that was delivered.
    pub async fn delivered(
        &self,
        attempt: &HookAttempt<'_>,
        from: HookPosition,
        to: HookPosition,
        log_max: u64,
    ) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        let update = moved(attempt.hook, from, to)
            .col_expr(C::Delivered, Expr::col(C::Delivered).add(1))
            .col_expr(C::LastDeliveredAt, Expr::value(millis(attempt.at)))
            .col_expr(C::LastError, Expr::value(None::<String>));
        run(&txn, update).await?;
        deliveries::log(&txn, attempt, DeliveryOutcome::Delivered, log_max).await?;
        Ok(txn.commit().await?)
    }

    /// Records a failed attempt and what follows from it.
    pub async fn failed(
        &self,
        attempt: &HookAttempt<'_>,
        from: HookPosition,
        failure: &HookFailure,
        log_max: u64,
    ) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        let update = match failure {
            HookFailure::Retry(pending) => waiting(at_position(attempt.hook, from), pending)?,
            HookFailure::Disable(pending) => waiting(at_position(attempt.hook, from), pending)?
                .col_expr(C::DisabledAt, Expr::value(millis(attempt.at))),
            HookFailure::GiveUp { to, .. } => moved(attempt.hook, from, *to),
        };
        let update = update
            .col_expr(C::Failed, Expr::col(C::Failed).add(1))
            .col_expr(C::LastError, Expr::value(attempt.error.map(str::to_owned)));
        run(&txn, update).await?;
        let outcome = match failure {
            HookFailure::Retry(_) | HookFailure::Disable(_) => DeliveryOutcome::Failed,
            HookFailure::GiveUp { letter, .. } => {
                letters::bury(&txn, attempt, letter).await?;
                DeliveryOutcome::Dead
            }
        };
        deliveries::log(&txn, attempt, outcome, log_max).await?;
        Ok(txn.commit().await?)
    }

    /// Lets a hook send again, at once; `false` if there is no such hook.
    pub async fn enable(&self, name: &str, now: Timestamp) -> Result<bool, RecordError> {
        let txn = self.db.begin().await?;
        let enabled = hooks::Entity::update_many()
            .col_expr(C::DisabledAt, Expr::value(None::<i64>))
            .col_expr(C::NextAttemptAt, Expr::value(millis(now)))
            .filter(C::Name.eq(name))
            .exec(&txn)
            .await?;
        txn.commit().await?;
        self.db.notify_feed();
        Ok(enabled.rows_affected > 0)
    }
}

/// The number of the last change.
async fn head(txn: &DatabaseTransaction) -> Result<i64, RecordError> {
    let last = changes::Entity::find().order_by(changes::Column::Number, Order::Desc).one(txn).await?;
    Ok(last.map_or(0, |change| change.number))
}

/// An update of a hook that has come so far, and no further.
fn at_position(name: &str, position: HookPosition) -> UpdateMany<hooks::Entity> {
    hooks::Entity::update_many()
        .filter(C::Name.eq(name))
        .filter(C::Feed.eq(position.feed))
        .filter(C::Event.eq(position.event))
}

/// An update that moves a hook on, so that no message is pending.
fn moved(name: &str, from: HookPosition, to: HookPosition) -> UpdateMany<hooks::Entity> {
    at_position(name, from)
        .col_expr(C::Feed, Expr::value(to.feed))
        .col_expr(C::Event, Expr::value(to.event))
        .col_expr(C::Pending, Expr::value(None::<String>))
        .col_expr(C::PendingAt, Expr::value(None::<i64>))
        .col_expr(C::Attempts, Expr::value(0))
        .col_expr(C::FailingSince, Expr::value(None::<i64>))
        .col_expr(C::NextAttemptAt, Expr::value(None::<i64>))
}

fn waiting(
    update: UpdateMany<hooks::Entity>,
    pending: &PendingMessage,
) -> Result<UpdateMany<hooks::Entity>, RecordError> {
    let attempts =
        i32::try_from(pending.attempts).map_err(|_| RecordError::OutOfRange(pending.attempts.to_string()))?;
    Ok(update
        .col_expr(C::Pending, Expr::value(pending.message.clone()))
        .col_expr(C::PendingAt, Expr::value(millis(pending.at)))
        .col_expr(C::Attempts, Expr::value(attempts))
        .col_expr(C::FailingSince, Expr::value(millis(pending.failing_since)))
        .col_expr(C::NextAttemptAt, Expr::value(millis(pending.next_attempt_at))))
}

async fn run(txn: &DatabaseTransaction, update: UpdateMany<hooks::Entity>) -> Result<(), RecordError> {
    match update.exec(txn).await?.rows_affected {
        0 => Err(RecordError::LockLost("the hook, or it was moved".to_owned())),
        _ => Ok(()),
    }
}

impl TryFrom<hooks::Model> for HookState {
    type Error = RecordError;

    fn try_from(row: hooks::Model) -> Result<Self, RecordError> {
        let corrupt = || RecordError::Corrupt(format!("the pending message of the hook `{}`", row.name));
        let pending = match (row.pending, row.pending_at, row.failing_since, row.next_attempt_at) {
            (Some(message), Some(at), Some(failing_since), Some(next_attempt_at)) => Some(PendingMessage {
                message,
                at: timestamp(at),
                attempts: u32::try_from(row.attempts).map_err(|_| corrupt())?,
                failing_since: timestamp(failing_since),
                next_attempt_at: timestamp(next_attempt_at),
            }),
            // `next_attempt_at` alone: the hook was enabled.
            (None, None, None, _) => None,
            _ => return Err(corrupt()),
        };
        Ok(Self {
            position: HookPosition { feed: row.feed, event: row.event },
            pending,
            created_at: timestamp(row.created_at),
            delivered: natural(row.delivered)?,
            failed: natural(row.failed)?,
            last_delivered_at: row.last_delivered_at.map(timestamp),
            disabled_at: row.disabled_at.map(timestamp),
            last_error: row.last_error,
            name: row.name,
        })
    }
}
