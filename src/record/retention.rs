//! What retention writes: marks, sweeps, runs.
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Set};

use super::entity::{files, notifications, products, publications, retention_runs, revisions};
use super::rows::{digest, natural};
use super::{Record, RecordError, batch, feed};
use crate::domain::{ChangeKind, Digest, PublicationId, PublicationStatus, RevisionId, millis, timestamp};

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

impl From<retention_runs::Model> for RetentionRun {
    fn from(row: retention_runs::Model) -> Self {
        Self {
            id: row.id,
            dry_run: row.dry_run,
            started_at: timestamp(row.started_at),
            ended_at: row.ended_at.map(timestamp),
            removed: natural(row.removed),
            bytes_freed: natural(row.bytes_freed),
            sweep_after: row.sweep_after.map(timestamp),
            undone_at: row.undone_at.map(timestamp),
            swept_at: row.swept_at.map(timestamp),
        }
    }
}

impl Record {
    pub async fn begin_retention_run(&self, run: &RetentionRun) -> Result<(), RecordError> {
        let row = retention_runs::ActiveModel {
            id: Set(run.id.clone()),
            dry_run: Set(run.dry_run),
            started_at: Set(millis(run.started_at)),
            ended_at: Set(run.ended_at.map(millis)),
            removed: Set(super::rows::long(run.removed)),
            bytes_freed: Set(super::rows::long(run.bytes_freed)),
            sweep_after: Set(run.sweep_after.map(millis)),
            undone_at: Set(None),
            swept_at: Set(None),
        };
        retention_runs::Entity::insert(row).exec_without_returning(&self.inner.writer).await?;
        Ok(())
    }

    pub async fn end_retention_run(
        &self,
        id: &str,
        removed: u64,
        bytes_freed: u64,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        use retention_runs::Column as C;
        retention_runs::Entity::update_many()
            .col_expr(C::EndedAt, Expr::value(millis(now)))
            .col_expr(C::Removed, Expr::value(super::rows::long(removed)))
            .col_expr(C::BytesFreed, Expr::value(super::rows::long(bytes_freed)))
            .filter(C::Id.eq(id))
            .exec(&self.inner.writer)
            .await?;
        Ok(())
    }

    /// Ends the runs that were killed, with what they had marked. For who has the lock.
    pub async fn end_killed_retention_runs(&self, now: Timestamp) -> Result<(), RecordError> {
        use retention_runs::Column as C;
        let marked = Expr::cust("(SELECT COUNT(*) FROM revisions WHERE revisions.purge_run = retention_runs.id)");
        retention_runs::Entity::update_many()
            .col_expr(C::EndedAt, Expr::value(millis(now)))
            .col_expr(C::Removed, marked)
            .filter(C::EndedAt.is_null())
            .exec(&self.inner.writer)
            .await?;
        Ok(())
    }

    /// Newest first.
    pub async fn retention_runs(
        &self,
        after: Option<&str>,
        limit: u64,
    ) -> Result<(Vec<RetentionRun>, u64), RecordError> {
        use sea_orm::PaginatorTrait;
        let mut all = retention_runs::Entity::find();
        let total = all.clone().count(self.reader()).await?;
        if let Some(after) = after {
            all = all.filter(retention_runs::Column::Id.lt(after));
        }
        let rows = all.order_by(retention_runs::Column::Id, Order::Desc).limit(limit).all(self.reader()).await?;
        Ok((rows.into_iter().map(Into::into).collect(), total))
    }

    pub async fn retention_run(&self, id: &str) -> Result<Option<RetentionRun>, RecordError> {
        Ok(retention_runs::Entity::find_by_id(id).one(self.reader()).await?.map(Into::into))
    }

    /// Marks revisions as removed by a run. What was held since the plan was made stays, and so does what was announced
    /// again and is the latest by now although it was not then. Returns how many were marked.
    pub async fn mark(
        &self,
        run: &str,
        chosen: &[(RevisionId, bool, String)],
        now: Timestamp,
    ) -> Result<u64, RecordError> {
        use revisions::Column as C;
        let txn = self.begin().await?;
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
        let mut told = Vec::new();
        let mut gone = Vec::new();
        let mut by_rule: HashMap<&str, Vec<Uuid>> = HashMap::new();
        for row in &rows {
            let Some((was_latest, rule)) = rules.get(&row.id) else { continue };
            let is_latest = latest.contains(&row.id);
            if is_latest && !was_latest {
                continue;
            }
            by_rule.entry(rule).or_default().push(row.id);
            if is_latest {
                gone.push(row.publication_id);
            }
            told.push((ChangeKind::Purged, PublicationId(row.publication_id), Some(RevisionId(row.id))));
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
        let marked = told.len() as u64;
        feed::tell(&txn, millis(now), told).await?;
        txn.commit().await?;
        self.tell_feed();
        Ok(marked)
    }

    /// Brings back what a run marked and no sweep has taken. Returns how many came back, and how many cannot.
    pub async fn undo_retention(&self, run: &str, now: Timestamp) -> Result<(u64, u64), RecordError> {
        use revisions::Column as C;
        let txn = self.begin().await?;
        let rows = revisions::Entity::find().filter(C::PurgeRun.eq(run)).all(&txn).await?;
        let (back, lost): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.swept_at.is_none());
        for some in back.chunks(500) {
            revisions::Entity::update_many()
                .col_expr(C::PurgedAt, Expr::value(None::<i64>))
                .col_expr(C::PurgeRun, Expr::value(None::<String>))
                .col_expr(C::PurgeRule, Expr::value(None::<String>))
                .filter(C::Id.is_in(some.iter().map(|row| row.id)))
                .exec(&txn)
                .await?;
            let shown = publications::Entity::find()
                .filter(publications::Column::LatestRevisionId.is_in(some.iter().map(|row| row.id)))
                .all(&txn)
                .await?;
            set_publications(&txn, shown.into_iter().map(|row| row.id).collect(), PublicationStatus::Archived).await?;
            let told = some
                .iter()
                .map(|row| (ChangeKind::Archived, PublicationId(row.publication_id), Some(RevisionId(row.id))));
            feed::tell(&txn, millis(now), told.collect()).await?;
        }
        retention_runs::Entity::update_many()
            .col_expr(retention_runs::Column::UndoneAt, Expr::value(millis(now)))
            .filter(retention_runs::Column::Id.eq(run))
            .exec(&txn)
            .await?;
        txn.commit().await?;
        self.tell_feed();
        Ok((back.len() as u64, lost.len() as u64))
    }

    /// Whether some run's grace is over and its bytes are not swept.
    pub async fn sweep_is_due(&self, now: Timestamp) -> Result<bool, RecordError> {
        let due = retention_runs::Entity::find()
            .filter(retention_runs::Column::SweepAfter.lte(millis(now)))
            .filter(retention_runs::Column::SweptAt.is_null())
            .filter(retention_runs::Column::EndedAt.is_not_null());
        Ok(due.one(&self.inner.jobs_reader).await?.is_some())
    }

    /// Sweeps up to `limit` revisions whose grace is over: the bytes that nobody else has are given to `delete`, inside the
    /// transaction, so that no file that is being recorded can count on bytes that are going. Returns how many revisions
    /// were swept, and how many bytes are gone.
    pub async fn sweep<F>(
        &self,
        now: Timestamp,
        limit: u64,
        mut delete: impl FnMut(Digest, String) -> F,
    ) -> Result<(u64, u64), RecordError>
    where
        F: Future<Output = Result<(), String>>,
    {
        use revisions::Column as C;
        let over: Vec<String> = retention_runs::Entity::find()
            .select_only()
            .column(retention_runs::Column::Id)
            .filter(retention_runs::Column::SweepAfter.lte(millis(now)))
            .filter(retention_runs::Column::SweptAt.is_null())
            .into_tuple()
            .all(&self.inner.jobs_reader)
            .await?;
        if over.is_empty() {
            return Ok((0, 0));
        }
        let txn = self.begin().await?;
        let rows = revisions::Entity::find()
            .filter(C::PurgeRun.is_in(&over))
            .filter(C::SweptAt.is_null())
            .limit(limit)
            .all(&txn)
            .await?;
        if rows.is_empty() {
            retention_runs::Entity::update_many()
                .col_expr(retention_runs::Column::SweptAt, Expr::value(millis(now)))
                .filter(retention_runs::Column::Id.is_in(&over))
                .filter(retention_runs::Column::EndedAt.is_not_null())
                .exec(&txn)
                .await?;
            txn.commit().await?;
            return Ok((0, 0));
        }
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        revisions::Entity::update_many()
            .col_expr(C::SweptAt, Expr::value(millis(now)))
            .filter(C::Id.is_in(ids))
            .exec(&txn)
            .await?;
        let digests: HashSet<Vec<u8>> = rows.iter().map(|row| row.digest.clone()).collect();
        let used: HashSet<Vec<u8>> = revisions::Entity::find()
            .select_only()
            .column(C::Digest)
            .distinct()
            .filter(C::Digest.is_in(digests.iter().cloned()))
            .filter(C::SweptAt.is_null())
            .into_tuple()
            .all(&txn)
            .await?
            .into_iter()
            .collect();
        let files = files::Entity::find().filter(files::Column::Digest.is_in(digests)).all(&txn).await?;
        let sizes: HashMap<Vec<u8>, i64> = files.iter().map(|file| (file.digest.clone(), file.stored_size)).collect();
        let mut freed = 0;
        let mut removed = Vec::new();
        for file in files.into_iter().filter(|file| file.removed_at.is_none() && !used.contains(&file.digest)) {
            delete(digest(&file.digest)?, file.encoding).await.map_err(RecordError::Sweep)?;
            freed += natural(file.stored_size);
            removed.push(file.digest);
        }
        files::Entity::update_many()
            .col_expr(files::Column::RemovedAt, Expr::value(millis(now)))
            .filter(files::Column::Digest.is_in(removed))
            .exec(&txn)
            .await?;
        fail::fail_point!("retention-after-delete", |_| Err(RecordError::Sweep("a fault point".to_owned())));
        uncount(&txn, &rows, &sizes).await?;
        txn.commit().await?;
        Ok((rows.len() as u64, freed))
    }

    /// Empties the bodies of up to `limit` notifications received before an instant; the lines stay. Returns how many.
    pub async fn thin_notifications(&self, before: Timestamp, limit: u64) -> Result<u64, RecordError> {
        use notifications::Column as N;
        let ids: Vec<Uuid> = notifications::Entity::find()
            .select_only()
            .column(N::Id)
            .filter(N::ReceivedAt.lt(millis(before)))
            // As in the index of these, so that it is seen to serve: what was emptied before is not in it.
            .filter(N::Link.is_null())
            .filter(Expr::cust("length(body) > 0"))
            .order_by(N::ReceivedAt, Order::Asc)
            .limit(limit)
            .into_tuple()
            .all(&self.inner.jobs_reader)
            .await?;
        if ids.is_empty() {
            return Ok(0);
        }
        let txn = self.begin().await?;
        let thinned = notifications::Entity::update_many()
            .col_expr(N::Body, Expr::value(Vec::<u8>::new()))
            .filter(N::Id.is_in(batch::padded(ids)))
            .exec(&txn)
            .await?;
        txn.commit().await?;
        Ok(thinned.rows_affected)
    }
}

async fn set_publications(txn: &DatabaseTransaction, ids: Vec<Uuid>, status: PublicationStatus) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    publications::Entity::update_many()
        .col_expr(publications::Column::Status, Expr::value(status.as_str()))
        .filter(publications::Column::Id.is_in(ids))
        .exec(txn)
        .await?;
    Ok(())
}

/// What a product spends is less by what was swept.
async fn uncount(
    txn: &DatabaseTransaction,
    swept: &[revisions::Model],
    sizes: &HashMap<Vec<u8>, i64>,
) -> Result<(), DbErr> {
    let parents: HashMap<Uuid, Uuid> = publications::Entity::find()
        .select_only()
        .columns([publications::Column::Id, publications::Column::ProductId])
        .filter(publications::Column::Id.is_in(swept.iter().map(|row| row.publication_id)))
        .into_tuple()
        .all(txn)
        .await?
        .into_iter()
        .collect();
    let mut by_product: HashMap<Uuid, i64> = HashMap::new();
    for row in swept {
        if let Some(product) = parents.get(&row.publication_id) {
            *by_product.entry(*product).or_default() += sizes.get(&row.digest).copied().unwrap_or_default();
        }
    }
    for (product, size) in by_product {
        products::Entity::update_many()
            .col_expr(products::Column::StoredSize, Expr::col(products::Column::StoredSize).sub(size))
            .filter(products::Column::Id.eq(product))
            .exec(txn)
            .await?;
    }
    Ok(())
}
