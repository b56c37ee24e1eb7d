//! Dead letters: events that were given up, and their redelivery.
use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Set};

use super::{HookAttempt, Hooks, deliveries};
use crate::domain::{DeliveryOutcome, HookEvent, millis, timestamp};
use crate::engine::record::entity::{hook_letters, hooks};
use crate::engine::record::newest::newest_first;
use crate::engine::record::rows::natural;
use crate::engine::record::{RecordError, batch};
use hook_letters::Column as C;

/// What a dead letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterSubject {
    /// A change of the feed.
    Change(i64),
    /// One of the events that are not in the feed.
    Event(i64),
}

/// A dead letter to record.
#[derive(Clone, Debug)]
pub struct NewLetter {
    pub kind: HookEvent,
    pub subject: LetterSubject,
    /// When the event happened.
    pub at: Timestamp,
}

/// An event that a hook has given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookLetter {
    pub id: i64,
    pub hook: String,
    pub kind: HookEvent,
    pub subject: LetterSubject,
    pub at: Timestamp,
    pub dead_at: Timestamp,
    pub attempts: u32,
    /// Of the last attempt.
    pub error: String,
    /// When another attempt was requested.
    pub redeliver_at: Option<Timestamp>,
}

pub(super) async fn bury(
    txn: &DatabaseTransaction,
    attempt: &HookAttempt<'_>,
    letter: &NewLetter,
) -> Result<(), RecordError> {
    let (change, event) = match letter.subject {
        LetterSubject::Change(number) => (Some(number), None),
        LetterSubject::Event(id) => (None, Some(id)),
    };
    let row = hook_letters::ActiveModel {
        hook: Set(attempt.hook.to_owned()),
        kind: Set(letter.kind),
        change: Set(change),
        event: Set(event),
        at: Set(millis(letter.at)),
        dead_at: Set(millis(attempt.at)),
        attempts: Set(attempts(attempt)?),
        error: Set(attempt.error.unwrap_or_default().to_owned()),
        redeliver_at: Set(None),
        ..Default::default()
    };
    Ok(batch::insert(txn, vec![row], None).await?)
}

fn attempts(attempt: &HookAttempt<'_>) -> Result<i32, RecordError> {
    i32::try_from(attempt.attempt).map_err(|_| RecordError::OutOfRange(attempt.attempt.to_string()))
}

impl Hooks {
    /// A page of dead letters, newest first, and how many there are.
    pub async fn letters(
        &self,
        hook: Option<&str>,
        before: Option<i64>,
        limit: u64,
    ) -> Result<(Vec<HookLetter>, u64), RecordError> {
        let mut all = hook_letters::Entity::find();
        if let Some(hook) = hook {
            all = all.filter(C::Hook.eq(hook));
        }
        let (rows, total) = newest_first(&self.db, all, C::Id, before, limit).await?;
        Ok((rows.into_iter().map(HookLetter::try_from).collect::<Result<_, _>>()?, total))
    }

    /// How many dead letters each hook has; a hook without any is left out.
    pub async fn letter_counts(&self) -> Result<HashMap<String, u64>, RecordError> {
        let rows: Vec<(String, i64)> = hook_letters::Entity::find()
            .select_only()
            .column(C::Hook)
            .column_as(C::Id.count(), "n")
            .group_by(C::Hook)
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?;
        rows.into_iter().map(|(hook, n)| Ok((hook, natural(n)?))).collect()
    }

    /// Requests another attempt for the dead letters of a hook: all of them, or those with these ids. Returns how many.
    pub async fn request_redelivery(
        &self,
        hook: &str,
        ids: Option<&[i64]>,
        now: Timestamp,
    ) -> Result<u64, RecordError> {
        let mut which = hook_letters::Entity::update_many()
            .col_expr(C::RedeliverAt, Expr::value(millis(now)))
            .filter(C::Hook.eq(hook));
        if let Some(ids) = ids {
            which = which.filter(C::Id.is_in(ids.iter().copied()));
        }
        let txn = self.db.begin().await?;
        let requested = which.exec(&txn).await?;
        txn.commit().await?;
        self.db.notify_feed();
        Ok(requested.rows_affected)
    }

    pub async fn has_letter(&self, hook: &str, id: i64) -> Result<bool, RecordError> {
        let row = hook_letters::Entity::find_by_id(id).filter(C::Hook.eq(hook)).one(self.db.jobs_reader()).await?;
        Ok(row.is_some())
    }

    /// The oldest dead letter of a hook for which another attempt was requested.
    pub async fn requested(&self, hook: &str) -> Result<Option<HookLetter>, RecordError> {
        let row = hook_letters::Entity::find()
            .filter(C::Hook.eq(hook))
            .filter(C::RedeliverAt.is_not_null())
            .order_by(C::Id, Order::Asc)
            .one(self.db.jobs_reader())
            .await?;
        row.map(HookLetter::try_from).transpose()
    }

    /// Records that a dead letter was delivered after all: it is one no more.
    pub async fn redelivered(&self, id: i64, attempt: &HookAttempt<'_>, log_max: u64) -> Result<(), RecordError> {
        use hooks::Column as H;
        let txn = self.db.begin().await?;
        hook_letters::Entity::delete_by_id(id).exec(&txn).await?;
        hooks::Entity::update_many()
            .col_expr(H::Delivered, Expr::col(H::Delivered).add(1))
            .col_expr(H::LastDeliveredAt, Expr::value(millis(attempt.at)))
            .filter(H::Name.eq(attempt.hook))
            .exec(&txn)
            .await?;
        deliveries::log(&txn, attempt, DeliveryOutcome::Delivered, log_max).await?;
        Ok(txn.commit().await?)
    }

    /// Records that a dead letter could not be delivered again: it stays one.
    pub async fn redelivery_failed(&self, id: i64, attempt: &HookAttempt<'_>, log_max: u64) -> Result<(), RecordError> {
        use hooks::Column as H;
        let txn = self.db.begin().await?;
        hook_letters::Entity::update_many()
            .col_expr(C::RedeliverAt, Expr::value(None::<i64>))
            .col_expr(C::Attempts, Expr::value(attempts(attempt)?))
            .col_expr(C::Error, Expr::value(attempt.error.unwrap_or_default()))
            .filter(C::Id.eq(id))
            .exec(&txn)
            .await?;
        hooks::Entity::update_many()
            .col_expr(H::Failed, Expr::col(H::Failed).add(1))
            .filter(H::Name.eq(attempt.hook))
            .exec(&txn)
            .await?;
        deliveries::log(&txn, attempt, DeliveryOutcome::Dead, log_max).await?;
        Ok(txn.commit().await?)
    }
}

impl TryFrom<hook_letters::Model> for HookLetter {
    type Error = RecordError;

    fn try_from(row: hook_letters::Model) -> Result<Self, RecordError> {
        let corrupt = |what: &str| RecordError::Corrupt(format!("the {what} of the dead letter {}", row.id));
        Ok(Self {
            subject: match (row.change, row.event) {
                (Some(number), None) => LetterSubject::Change(number),
                (None, Some(id)) => LetterSubject::Event(id),
                _ => return Err(corrupt("subject")),
            },
            attempts: u32::try_from(row.attempts).map_err(|_| corrupt("attempts"))?,
            id: row.id,
            hook: row.hook,
            kind: row.kind,
            at: timestamp(row.at),
            dead_at: timestamp(row.dead_at),
            error: row.error,
            redeliver_at: row.redeliver_at.map(timestamp),
        })
    }
}
