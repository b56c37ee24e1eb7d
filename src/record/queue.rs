//! The queue of fetches: the notification is the work item, held by a lease that runs out.
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect, UpdateMany};

use super::claim::{Claim, held};
use super::entity::{notifications, publications};
use super::read::NotificationQuery;
use super::{Record, RecordError, feed};
use crate::domain::{ChangeKind, NotificationStatus as Status, PublicationId, PublicationStatus, millis, timestamp};
use notifications::Column as C;

/// What helps when a link is dead; the portal holds what was answered 202 for delivered.
pub(super) const ENVIAR: &str = "press \"Enviar\" for this product on the portal (\"Reenviar Pendentes\" leaves it out: the notification itself was delivered)";

/// What `retry` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryCounts {
    pub matched: u64,
    pub queued: u64,
    /// Their links are dead.
    pub dead: u64,
}

impl Record {
    /// Keeps a claim for longer. An error means that it is lost, and the work with it.
    pub async fn renew(&self, claim: &Claim, now: Timestamp, lease_for: Duration) -> Result<(), RecordError> {
        let until = self.shared_clock(now).add(super::rows::millis_of(lease_for));
        let renewed = notifications::Entity::update_many()
            .col_expr(C::LeaseUntil, until)
            .filter(held(claim))
            .exec(&self.inner.writer)
            .await?;
        if renewed.rows_affected == 0 { Err(RecordError::LeaseLost) } else { Ok(()) }
    }

    /// Gives a claim back as it was found.
    pub async fn release(&self, claim: &Claim) -> Result<(), RecordError> {
        release(&self.inner.writer, held(claim)).await?;
        self.tell_queue();
        Ok(())
    }

    /// Gives back all that any process holds: for the start of the only process that works on this database.
    pub async fn release_all(&self) -> Result<u64, RecordError> {
        Ok(release(&self.inner.writer, C::Status.eq(Status::Fetching.as_str())).await?)
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
        let settled = update.exec(&self.inner.writer).await?;
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

    /// Ends the wait for links that died. Returns how many notifications that were.
    pub async fn expire(&self, now: Timestamp) -> Result<u64, RecordError> {
        const AT_ONCE: u64 = 500;
        let dead = Condition::all()
            .add(C::LinkExpiresAt.lte(millis(now)))
            .add(Condition::any().add(C::Status.is_in(waiting())).add(abandoned(&self.shared_clock(now))));
        if notifications::Entity::find().filter(dead.clone()).one(self.reader()).await?.is_none() {
            return Ok(0);
        }
        let txn = self.begin().await?;
        let rows = notifications::Entity::find().filter(dead).limit(AT_ONCE).all(&txn).await?;
        let reason = |row: &notifications::Model| match &row.error {
            Some(last) => format!("the link died before the file could be had (last: {last}); {ENVIAR}"),
            None => format!("the link was dead before the first attempt; {ENVIAR}"),
        };
        end_without_file(&txn, &rows, Status::Expired, &reason).await?;
        lose(&txn, rows.iter().filter_map(|row| row.publication_id).collect(), now).await?;
        let links = C::Id.is_in(rows.iter().map(|row| row.id));
        notifications::Entity::update_many()
            .col_expr(C::Link, Expr::value(None::<String>))
            .filter(links)
            .exec(&txn)
            .await?;
        txn.commit().await?;
        self.note_erased();
        self.tell_feed();
        Ok(rows.len() as u64)
    }

    /// When there is something to do next that no commit will tell of: an attempt, a lease or a link that runs out.
    pub async fn next_event(&self) -> Result<Option<Timestamp>, RecordError> {
        let first = |column: C, of: Status| {
            notifications::Entity::find().filter(C::Status.eq(of.as_str())).select_only().column_as(column.min(), "at")
        };
        let mut next: Option<i64> = None;
        for (column, status) in [
            (C::NextAttemptAt, Status::Queued),
            (C::NextAttemptAt, Status::Retrying),
            (C::LinkExpiresAt, Status::Retrying),
            (C::LeaseUntil, Status::Fetching),
        ] {
            // Leases of a shared database go by its clock, not by ours: they are found by looking every second.
            if self.is_shared() && status == Status::Fetching {
                continue;
            }
            let at: Option<Option<i64>> = first(column, status).into_tuple().one(self.reader()).await?;
            next = next.into_iter().chain(at.flatten()).min();
        }
        Ok(next.map(timestamp))
    }

    /// Queues again what a query names, as far as its link lives and its file is not there.
    pub async fn retry(&self, query: &NotificationQuery, now: Timestamp) -> Result<RetryCounts, RecordError> {
        let txn = self.begin().await?;
        let rows = notifications::Entity::find().filter(query.condition()).all(&txn).await?;
        let mut counts = RetryCounts { matched: rows.len() as u64, ..Default::default() };
        let mut again = Vec::new();
        for row in &rows {
            let wants_file =
                [Status::Queued, Status::Retrying, Status::Failed].iter().any(|s| row.status == s.as_str());
            let lives = row.link.is_some() && row.link_expires_at.is_some_and(|at| at > millis(now));
            if row.status == Status::Expired.as_str() || (wants_file && !lives) {
                counts.dead += 1;
            } else if wants_file {
                again.push(row);
            }
        }
        counts.queued = again.len() as u64;
        for some in again.chunks(500) {
            notifications::Entity::update_many()
                .col_expr(C::Status, Expr::value(Status::Queued.as_str()))
                .col_expr(C::Attempts, Expr::value(0))
                .col_expr(C::NextAttemptAt, Expr::value(millis(now)))
                .filter(C::Id.is_in(some.iter().map(|row| row.id)))
                .exec(&txn)
                .await?;
        }
        await_again(&txn, again.iter().filter_map(|row| row.publication_id).collect(), now).await?;
        txn.commit().await?;
        self.tell_queue();
        self.tell_feed();
        Ok(counts)
    }
}

pub(super) fn waiting() -> [&'static str; 2] {
    [Status::Queued.as_str(), Status::Retrying.as_str()]
}

/// Held by a worker that is gone. Leases go by the clock that all who share the database go by.
pub(super) fn abandoned(clock: &Expr) -> Condition {
    Condition::all().add(C::Status.eq(Status::Fetching.as_str())).add(Expr::col(C::LeaseUntil).lte(clock.clone()))
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
async fn end_without_file(
    txn: &DatabaseTransaction,
    rows: &[notifications::Model],
    status: Status,
    reason: &(dyn Fn(&notifications::Model) -> String + Sync),
) -> Result<(), DbErr> {
    let (archived, without): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.revision_id.is_some());
    for row in without {
        end(txn, vec![row.id], status, Expr::value(reason(row))).await?;
    }
    let ids = archived.iter().map(|row| row.id);
    ended(notifications::Entity::update_many(), Status::Archived, Expr::value(None::<String>))
        .col_expr(C::Link, Expr::value(None::<String>))
        .filter(C::Id.is_in(ids))
        .exec(txn)
        .await?;
    Ok(())
}

/// Settles notifications for good.
async fn end(txn: &DatabaseTransaction, ids: Vec<Uuid>, status: Status, error: Expr) -> Result<(), DbErr> {
    ended(notifications::Entity::update_many(), status, error).filter(C::Id.is_in(ids)).exec(txn).await?;
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

/// Publications without a file whose last hope these notifications were are LOST.
pub(super) async fn lose(txn: &DatabaseTransaction, mut ids: Vec<Uuid>, now: Timestamp) -> Result<(), DbErr> {
    let mut lost = Vec::new();
    ids.sort();
    ids.dedup();
    for id in ids {
        let hope =
            Condition::all().add(C::PublicationId.eq(id)).add(C::Status.is_in(Status::OPEN.iter().map(|s| s.as_str())));
        if notifications::Entity::find().filter(hope).one(txn).await?.is_some() {
            continue;
        }
        let changed = set_status(txn, vec![id], PublicationStatus::Awaited, PublicationStatus::Lost).await?;
        if changed > 0 {
            lost.push((ChangeKind::Lost, PublicationId(id), None));
        }
    }
    feed::tell(txn, millis(now), lost).await
}

async fn await_again(txn: &DatabaseTransaction, publications: Vec<Uuid>, now: Timestamp) -> Result<(), DbErr> {
    let mut told = Vec::new();
    for id in publications {
        if set_status(txn, vec![id], PublicationStatus::Lost, PublicationStatus::Awaited).await? > 0 {
            told.push((ChangeKind::Announced, PublicationId(id), None));
        }
    }
    feed::tell(txn, millis(now), told).await
}

async fn set_status(
    txn: &DatabaseTransaction,
    ids: Vec<Uuid>,
    from: PublicationStatus,
    to: PublicationStatus,
) -> Result<u64, DbErr> {
    let update = publications::Entity::update_many()
        .col_expr(publications::Column::Status, Expr::value(to.as_str()))
        .filter(publications::Column::Id.is_in(ids))
        .filter(publications::Column::Status.eq(from.as_str()));
    Ok(update.exec(txn).await?.rows_affected)
}
