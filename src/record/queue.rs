//! The queue of fetches: the notification is the work item, held by a lease that runs out.
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect, UpdateMany};

use super::claim::{Claim, held};
use super::entity::notifications;
use super::expire::lose;
use super::{Record, RecordError, batch};
use crate::domain::{NotificationStatus as Status, millis, timestamp};
use notifications::Column as C;

/// What helps when a link is dead; the portal holds what was answered 202 for delivered.
pub(super) const ENVIAR: &str = "press \"Enviar\" for this product on the portal (\"Reenviar Pendentes\" leaves it out: the notification itself was delivered)";

impl Record {
    /// Keeps a claim for longer. An error means that it is lost, and the work with it.
    pub async fn renew(&self, claim: &Claim, now: Timestamp, lease_for: Duration) -> Result<(), RecordError> {
        let until = self.shared_clock(now).add(super::rows::millis_of(lease_for));
        let txn = self.begin().await?;
        let renewed =
            notifications::Entity::update_many().col_expr(C::LeaseUntil, until).filter(held(claim)).exec(&txn).await?;
        txn.commit().await?;
        if renewed.rows_affected == 0 { Err(RecordError::LeaseLost) } else { Ok(()) }
    }

    /// Gives a claim back as it was found.
    pub async fn release(&self, claim: &Claim) -> Result<(), RecordError> {
        let txn = self.begin().await?;
        release(&txn, held(claim)).await?;
        txn.commit().await?;
        self.tell_queue();
        Ok(())
    }

    /// Gives back all that any process holds: for the start of the only process that works on this database.
    pub async fn release_all(&self) -> Result<u64, RecordError> {
        let txn = self.begin().await?;
        let released = release(&txn, is_in(Status::Fetching)).await?;
        txn.commit().await?;
        Ok(released)
    }

    /// An attempt failed; another one is due at `next`.
    pub async fn settle_retry(&self, claim: &Claim, next: Timestamp, error: &str) -> Result<(), RecordError> {
        let update = notifications::Entity::update_many()
            .col_expr(C::Status, Expr::value(Status::Retrying.as_str()))
            .col_expr(C::NextAttemptAt, Expr::value(millis(next)))
            .col_expr(C::LeaseUntil, Expr::value(None::<i64>))
            .col_expr(C::Lease, Expr::value(None::<Uuid>))
            .col_expr(C::Error, Expr::value(error))
            .filter(held(claim));
        let txn = self.begin().await?;
        let settled = update.exec(&txn).await?;
        txn.commit().await?;
        self.tell_queue();
        if settled.rows_affected == 0 { Err(RecordError::LeaseLost) } else { Ok(()) }
    }

    /// No attempt with the lead's link can help. The claim's notifications with another link are released: theirs are yet
    /// to be tried.
    pub async fn settle_failed(&self, claim: &Claim, now: Timestamp, error: &str) -> Result<(), RecordError> {
        let txn = self.begin().await?;
        let rows = notifications::Entity::find().filter(held(claim)).all(&txn).await?;
        if rows.is_empty() {
            return Err(RecordError::LeaseLost);
        }
        let link = claim.lead().map(|lead| lead.link.expose());
        let rows: Vec<_> = rows.into_iter().filter(|row| row.link.as_deref() == link).collect();
        end_without_file(&txn, &rows, Status::Failed, &|_| error.to_owned()).await?;
        // What was just ended holds no lease any more.
        release(&txn, held(claim)).await?;
        lose(&txn, rows.iter().filter_map(|row| row.publication_id).collect(), now).await?;
        txn.commit().await?;
        self.note_erased();
        self.tell_feed();
        self.tell_queue();
        Ok(())
    }

    /// When there is something to do next that no commit will tell of: an attempt, or a lease that runs out.
    pub async fn next_event(&self) -> Result<Option<Timestamp>, RecordError> {
        let select = || notifications::Entity::find().select_only();
        // What is queued is due: any of it will do.
        let queued = select().column_as(C::NextAttemptAt, "at").filter(is_in(Status::Queued)).limit(1);
        let retrying = select().column_as(C::NextAttemptAt.min(), "at").filter(is_in(Status::Retrying));
        let held = select().column_as(C::LeaseUntil.min(), "at").filter(is_in(Status::Fetching));
        // Leases of a shared database go by its clock, not by ours: they are found by looking every second.
        let held = (!self.is_shared()).then_some(held);
        let mut next: Option<i64> = None;
        for first in [queued, retrying].into_iter().chain(held) {
            let at: Option<Option<i64>> = first.into_tuple().one(&self.inner.jobs_reader).await?;
            next = next.into_iter().chain(at.flatten()).min();
        }
        Ok(next.map(timestamp))
    }
}

/// In a state of which there are few. Written out, since most are in others: a plan that is made for any state goes
/// through all.
pub(super) fn is_in(state: Status) -> Expr {
    Expr::cust(format!("status = '{}'", state.as_str()))
}

pub(super) fn waiting() -> [&'static str; 2] {
    [Status::Queued.as_str(), Status::Retrying.as_str()]
}

/// Held by a worker that is gone. Leases go by the clock that all who share the database go by.
pub(super) fn abandoned(clock: &Expr) -> Condition {
    Condition::all().add(is_in(Status::Fetching)).add(Expr::col(C::LeaseUntil).lte(clock.clone()))
}

pub(super) async fn release<C2: sea_orm::ConnectionTrait>(db: &C2, which: Expr) -> Result<u64, DbErr> {
    let released = notifications::Entity::update_many()
        .col_expr(C::Status, Expr::value(Status::Queued.as_str()))
        .col_expr(C::Attempts, Expr::col(C::Attempts).sub(1))
        .col_expr(C::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(C::Lease, Expr::value(None::<Uuid>))
        .filter(which)
        .exec(db)
        .await?;
    Ok(released.rows_affected)
}

/// Settles notifications whose file will not be had, as `status`. One that made a revision already, of a file that looked
/// broken and was to be fetched once more, ends with that revision.
pub(super) async fn end_without_file(
    txn: &DatabaseTransaction,
    rows: &[notifications::Model],
    status: Status,
    reason: &(dyn Fn(&notifications::Model) -> String + Sync),
) -> Result<(), DbErr> {
    let (archived, without): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.revision_id.is_some());
    // Hundreds that end together mostly do so for one reason.
    let mut by_reason: HashMap<String, Vec<Uuid>> = HashMap::new();
    for row in without {
        by_reason.entry(reason(row)).or_default().push(row.id);
    }
    let update = notifications::Entity::update_many;
    for (reason, ids) in by_reason {
        let update = ended(update(), status, Expr::value(reason));
        update.filter(C::Id.is_in(batch::padded(ids))).exec(txn).await?;
    }
    let ids: Vec<Uuid> = archived.iter().map(|row| row.id).collect();
    if !ids.is_empty() {
        let update = ended(update(), Status::Archived, Expr::value(None::<String>));
        let update = update.col_expr(C::Link, Expr::value(None::<String>));
        update.filter(C::Id.is_in(batch::padded(ids))).exec(txn).await?;
    }
    Ok(())
}

/// What is written of a notification that is settled for good.
pub(super) fn ended(
    update: UpdateMany<notifications::Entity>,
    status: Status,
    error: Expr,
) -> UpdateMany<notifications::Entity> {
    update
        .col_expr(C::Status, Expr::value(status.as_str()))
        .col_expr(C::NextAttemptAt, Expr::value(None::<i64>))
        .col_expr(C::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(C::Lease, Expr::value(None::<Uuid>))
        .col_expr(C::Error, error)
}
