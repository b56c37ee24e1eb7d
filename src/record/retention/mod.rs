//! Retention runs, the marks they set, and their undoing.
mod holds;
mod inventory;
mod product_removals;
mod removals;

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Set,
};

use crate::domain::{ChangeKind, PublicationId, PublicationStatus, RevisionId, millis, still_applies, timestamp};
use crate::engine::record::db::Db;
use crate::engine::record::entity::{notifications, publications, retention_runs, revisions};
use crate::engine::record::newest::newest_first;
use crate::engine::record::rows::{long, natural};
use crate::engine::record::{RecordError, batch, feed};

pub use holds::{HoldError, Holds};
pub use inventory::{Inventory, InventoryFile, InventoryProduct, InventoryPublication, InventoryRevision};
pub use product_removals::{ProductRemoval, ProductRemovals, RemovalExtent};
pub use removals::Removals;
pub(super) use removals::mark_unused;

/// A run of retention.
#[derive(Clone, Debug, PartialEq)]
pub struct RetentionRun {
    pub id: String,
    pub dry_run: bool,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub removed: u64,
    pub bytes_freed: u64,
    pub sweep_after: Option<Timestamp>,
    pub undone_at: Option<Timestamp>,
    pub swept_at: Option<Timestamp>,
}

impl TryFrom<retention_runs::Model> for RetentionRun {
    type Error = RecordError;

    fn try_from(row: retention_runs::Model) -> Result<Self, RecordError> {
        Ok(Self {
            id: row.id,
            dry_run: row.dry_run,
            started_at: timestamp(row.started_at),
            ended_at: row.ended_at.map(timestamp),
            removed: natural(row.removed)?,
            bytes_freed: natural(row.bytes_freed)?,
            sweep_after: row.sweep_after.map(timestamp),
            undone_at: row.undone_at.map(timestamp),
            swept_at: row.swept_at.map(timestamp),
        })
    }
}

/// Retention runs, the marks they set, and their undoing.
#[derive(Clone)]
pub struct Retention {
    pub(super) db: Db,
}

impl Retention {
    pub async fn begin_run(&self, run: &RetentionRun) -> Result<(), RecordError> {
        let row = retention_runs::ActiveModel {
            id: Set(run.id.clone()),
            dry_run: Set(run.dry_run),
            started_at: Set(millis(run.started_at)),
            ended_at: Set(run.ended_at.map(millis)),
            removed: Set(long(run.removed)?),
            bytes_freed: Set(long(run.bytes_freed)?),
            sweep_after: Set(run.sweep_after.map(millis)),
            undone_at: Set(None),
            swept_at: Set(None),
        };
        let txn = self.db.begin().await?;
        retention_runs::Entity::insert(row).exec_without_returning(&txn).await?;
        Ok(txn.commit().await?)
    }

    pub async fn end_run(&self, id: &str, removed: u64, bytes_freed: u64, now: Timestamp) -> Result<(), RecordError> {
        use retention_runs::Column as C;
        let txn = self.db.begin().await?;
        retention_runs::Entity::update_many()
            .col_expr(C::EndedAt, Expr::value(millis(now)))
            .col_expr(C::Removed, Expr::value(long(removed)?))
            .col_expr(C::BytesFreed, Expr::value(long(bytes_freed)?))
            .filter(C::Id.eq(id))
            .exec(&txn)
            .await?;
        Ok(txn.commit().await?)
    }

    /// Ends the runs that were killed, with what they had marked. Needs the lock.
    pub async fn end_killed_runs(&self, now: Timestamp) -> Result<u64, RecordError> {
        use retention_runs::Column as C;
        let marked = Expr::cust("(SELECT COUNT(*) FROM revisions WHERE revisions.purge_run = retention_runs.id)");
        let txn = self.db.begin().await?;
        let ended = retention_runs::Entity::update_many()
            .col_expr(C::EndedAt, Expr::value(millis(now)))
            .col_expr(C::Removed, marked)
            .filter(C::EndedAt.is_null())
            .exec(&txn)
            .await?;
        txn.commit().await?;
        Ok(ended.rows_affected)
    }

    /// Whether a run has not ended: it is in progress, or was killed.
    pub async fn has_open_run(&self) -> Result<bool, RecordError> {
        let open = retention_runs::Entity::find().filter(retention_runs::Column::EndedAt.is_null());
        Ok(open.one(self.db.jobs_reader()).await?.is_some())
    }

    /// Newest first.
    pub async fn runs(&self, after: Option<&str>, limit: u64) -> Result<(Vec<RetentionRun>, u64), RecordError> {
        let (all, id) = (retention_runs::Entity::find(), retention_runs::Column::Id);
        let (rows, total) = newest_first(&self.db, all, id, after, limit).await?;
        Ok((rows.into_iter().map(RetentionRun::try_from).collect::<Result<_, _>>()?, total))
    }

    pub async fn run(&self, id: &str) -> Result<Option<RetentionRun>, RecordError> {
        let row = retention_runs::Entity::find_by_id(id).one(self.db.reader()).await?;
        row.map(RetentionRun::try_from).transpose()
    }

    /// Marks revisions as removed by a run. Those that got a hold since the plan was made stay, and so do those that have become
    /// the latest since. Returns how many were marked.
    pub async fn mark(
        &self,
        run: &str,
        chosen: &[(RevisionId, bool, String)],
        now: Timestamp,
    ) -> Result<u64, RecordError> {
        use revisions::Column as C;
        let txn = self.db.begin().await?;
        let ids = chosen.iter().map(|(id, ..)| id.0);
        let rows = revisions::Entity::find()
            .filter(C::Id.is_in(ids))
            .filter(C::PurgedAt.is_null())
            .filter(C::Held.eq(false))
            .all(&txn)
            .await?;
        let parents = publications::Entity::find()
            .filter(publications::Column::Id.is_in(rows.iter().map(|row| row.publication_id)))
            .all(&txn)
            .await?;
        let latest: HashSet<Uuid> = parents.iter().filter_map(|row| row.latest_revision_id).collect();
        let rules: HashMap<Uuid, (bool, &str)> =
            chosen.iter().map(|(id, was_latest, rule)| (id.0, (*was_latest, rule.as_str()))).collect();
        let mut changes = Vec::new();
        let mut gone = Vec::new();
        let mut by_rule: HashMap<&str, Vec<Uuid>> = HashMap::new();
        for row in &rows {
            let Some((was_latest, rule)) = rules.get(&row.id) else { continue };
            let is_latest = latest.contains(&row.id);
            if !still_applies(*was_latest, is_latest) {
                continue;
            }
            by_rule.entry(rule).or_default().push(row.id);
            if is_latest {
                gone.push(row.publication_id);
            }
            changes.push((ChangeKind::Purged, PublicationId(row.publication_id), Some(RevisionId(row.id))));
        }
        for (rule, ids) in by_rule {
            revisions::Entity::update_many()
                .col_expr(C::PurgedAt, Expr::value(millis(now)))
                .col_expr(C::PurgeRun, Expr::value(run))
                .col_expr(C::PurgeRule, Expr::value(rule))
                .filter(C::Id.is_in(ids))
                .exec(&txn)
                .await?;
        }
        set_publications(&txn, gone, PublicationStatus::Purged).await?;
        let marked = changes.len() as u64;
        feed::append(&txn, millis(now), changes).await?;
        txn.commit().await?;
        self.db.notify_feed();
        Ok(marked)
    }

    /// Declares a run undone: from then on no sweep deletes what it marked, and [`Retention::undo_batch`] restores it. Returns how
    /// many revisions are restored, and how many cannot be since they were swept. Where none can be, nothing changes.
    pub async fn begin_undo(&self, run: &str, now: Timestamp) -> Result<(u64, u64), RecordError> {
        use revisions::Column as C;
        let txn = self.db.begin().await?;
        let of_run = || revisions::Entity::find().filter(C::PurgeRun.eq(run));
        let back = of_run().filter(C::SweptAt.is_null()).count(&txn).await?;
        let lost = of_run().filter(C::SweptAt.is_not_null()).count(&txn).await?;
        if back > 0 || lost == 0 {
            retention_runs::Entity::update_many()
                .col_expr(retention_runs::Column::UndoneAt, Expr::value(millis(now)))
                .filter(retention_runs::Column::Id.eq(run))
                .exec(&txn)
                .await?;
            txn.commit().await?;
        }
        Ok((back, lost))
    }

    /// Restores up to `limit` of the revisions that an undone run marked. Returns how many.
    pub async fn undo_batch(&self, run: &str, limit: u64, now: Timestamp) -> Result<u64, RecordError> {
        use revisions::Column as C;
        let txn = self.db.begin().await?;
        let back = revisions::Entity::find()
            .filter(C::PurgeRun.eq(run))
            .filter(C::SweptAt.is_null())
            .limit(limit)
            .all(&txn)
            .await?;
        if back.is_empty() {
            return Ok(0);
        }
        let ids = || back.iter().map(|row| row.id);
        revisions::Entity::update_many()
            .col_expr(C::PurgedAt, Expr::value(None::<i64>))
            .col_expr(C::PurgeRun, Expr::value(None::<String>))
            .col_expr(C::PurgeRule, Expr::value(None::<String>))
            .filter(C::Id.is_in(ids()))
            .exec(&txn)
            .await?;
        // By their ids: no index finds publications by their latest revision.
        publications::Entity::update_many()
            .col_expr(publications::Column::Status, Expr::value(PublicationStatus::Archived))
            .filter(publications::Column::Id.is_in(back.iter().map(|row| row.publication_id)))
            .filter(publications::Column::LatestRevisionId.is_in(ids()))
            .exec(&txn)
            .await?;
        let changes =
            back.iter().map(|row| (ChangeKind::Archived, PublicationId(row.publication_id), Some(RevisionId(row.id))));
        feed::append(&txn, millis(now), changes.collect()).await?;
        txn.commit().await?;
        self.db.notify_feed();
        Ok(back.len() as u64)
    }

    /// Runs that were declared undone and whose revisions are not all restored: their undoing was interrupted.
    pub async fn interrupted_undos(&self) -> Result<Vec<String>, RecordError> {
        let marked = Expr::cust(
            "EXISTS (SELECT 1 FROM revisions WHERE revisions.purge_run = retention_runs.id AND revisions.swept_at IS NULL)",
        );
        let runs = retention_runs::Entity::find()
            .select_only()
            .column(retention_runs::Column::Id)
            .filter(retention_runs::Column::UndoneAt.is_not_null())
            .filter(marked);
        Ok(runs.into_tuple().all(self.db.jobs_reader()).await?)
    }

    /// Empties the bodies of up to `limit` notifications received before an instant; the rows stay. Returns how many.
    pub async fn drop_old_bodies(&self, before: Timestamp, limit: u64) -> Result<u64, RecordError> {
        use notifications::Column as N;
        let ids: Vec<Uuid> = notifications::Entity::find()
            .select_only()
            .column(N::Id)
            .filter(N::ReceivedAt.lt(millis(before)))
            // As in the index of these, so that the planner sees that it serves: what was emptied before is not in it.
            .filter(N::Link.is_null())
            .filter(Expr::cust("length(body) > 0"))
            .order_by(N::ReceivedAt, Order::Asc)
            .limit(limit)
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?;
        if ids.is_empty() {
            return Ok(0);
        }
        let txn = self.db.begin().await?;
        let emptied = notifications::Entity::update_many()
            .col_expr(N::Body, Expr::value(Vec::<u8>::new()))
            .filter(N::Id.is_in(batch::padded(ids)))
            .exec(&txn)
            .await?;
        txn.commit().await?;
        Ok(emptied.rows_affected)
    }
}

async fn set_publications(txn: &DatabaseTransaction, ids: Vec<Uuid>, status: PublicationStatus) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    publications::Entity::update_many()
        .col_expr(publications::Column::Status, Expr::value(status))
        .filter(publications::Column::Id.is_in(ids))
        .exec(txn)
        .await?;
    Ok(())
}
