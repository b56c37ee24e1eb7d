//! The queue of fetches: the work item is the notification, and a worker has it under a lease that runs out.
mod claim;
mod expire;
mod predicates;
mod retry;
mod settle;
mod transitions;

use std::time::Duration;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use tokio::sync::watch;

use predicates::{is_in, is_queued};
use transitions::{end_without_file, release};

use crate::domain::{NotificationStatus as Status, millis, timestamp};
use crate::engine::record::RecordError;
use crate::engine::record::db::Db;
use crate::engine::record::entity::notifications;
use crate::engine::record::publications::mark_lost;
use crate::engine::record::rows::millis_of;
use notifications::Column as C;

pub use claim::{Capacity, Claim, ClaimedNotification, PreviousFetch};
pub use retry::RetryCounts;
pub use settle::{FetchedFile, Settlement};

/// Notifications that wait for their files.
#[derive(Clone)]
pub struct Queue {
    pub(super) db: Db,
}

impl Queue {
    /// Changes with every commit of this process that queued something.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.db.watch_queue()
    }

    /// Extends a claim's lease. An error means that the claim is lost, and the work with it.
    pub async fn renew(&self, claim: &Claim, now: Timestamp, lease_for: Duration) -> Result<(), RecordError> {
        let until = self.db.shared_clock(now).add(millis_of(lease_for)?);
        let txn = self.db.begin().await?;
        let renewed = notifications::Entity::update_many()
            .col_expr(C::LeaseUntil, until)
            .filter(claim.is_leased())
            .exec(&txn)
            .await?;
        txn.commit().await?;
        if renewed.rows_affected == 0 { Err(RecordError::LeaseLost) } else { Ok(()) }
    }

    /// Releases a claim unchanged.
    pub async fn release(&self, claim: &Claim) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        release(&txn, claim.is_leased()).await?;
        txn.commit().await?;
        self.db.notify_queue();
        Ok(())
    }

    /// Releases every lease: for the start of the only process that works on this database.
    pub async fn release_all(&self) -> Result<u64, RecordError> {
        let txn = self.db.begin().await?;
        let released = release(&txn, is_in(Status::Fetching)).await?;
        txn.commit().await?;
        Ok(released)
    }

    /// An attempt failed; another one is due at `next`.
    pub async fn settle_retry(&self, claim: &Claim, next: Timestamp, error: &str) -> Result<(), RecordError> {
        let update = notifications::Entity::update_many()
            .col_expr(C::Status, Expr::value(Status::Retrying))
            .col_expr(C::NextAttemptAt, Expr::value(millis(next)))
            .col_expr(C::LeaseUntil, Expr::value(None::<i64>))
            .col_expr(C::Lease, Expr::value(None::<Uuid>))
            .col_expr(C::Error, Expr::value(error))
            .filter(claim.is_leased());
        let txn = self.db.begin().await?;
        let settled = update.exec(&txn).await?;
        txn.commit().await?;
        self.db.notify_queue();
        if settled.rows_affected == 0 { Err(RecordError::LeaseLost) } else { Ok(()) }
    }

    /// No attempt with the lead's link can succeed. The claim's notifications with another link are released, so that theirs are
    /// tried.
    pub async fn settle_failed(&self, claim: &Claim, now: Timestamp, error: &str) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        let rows = notifications::Entity::find().filter(claim.is_leased()).all(&txn).await?;
        if rows.is_empty() {
            return Err(RecordError::LeaseLost);
        }
        let link = claim.lead().map(|lead| lead.link.expose());
        let rows: Vec<_> = rows.into_iter().filter(|row| row.link.as_deref() == link).collect();
        end_without_file(&txn, &rows, Status::Failed, &|_| error.to_owned()).await?;
        // What has just ended has no lease any more.
        release(&txn, claim.is_leased()).await?;
        mark_lost(&txn, rows.iter().filter_map(|row| row.publication_id).collect(), now).await?;
        txn.commit().await?;
        self.db.links_erased();
        self.db.notify_feed();
        self.db.notify_queue();
        Ok(())
    }

    /// When there is something to do next that no commit announces: an attempt is due, or a lease runs out.
    pub async fn next_event(&self) -> Result<Option<Timestamp>, RecordError> {
        let select = || notifications::Entity::find().select_only();
        // What is queued is due: any of it will do.
        let queued = select().column_as(C::NextAttemptAt, "at").filter(is_queued()).limit(1);
        let retrying = select().column_as(C::NextAttemptAt.min(), "at").filter(is_in(Status::Retrying));
        let leased = select().column_as(C::LeaseUntil.min(), "at").filter(is_in(Status::Fetching));
        // Leases of a shared database go by its clock, not by ours: they are found by polling every second.
        let leased = (!self.db.is_shared()).then_some(leased);
        let mut next: Option<i64> = None;
        for first in [queued, retrying].into_iter().chain(leased) {
            let at: Option<Option<i64>> = first.into_tuple().one(self.db.jobs_reader()).await?;
            next = next.into_iter().chain(at.flatten()).min();
        }
        Ok(next.map(timestamp))
    }
}
