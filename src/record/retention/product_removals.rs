//! Removals of whole products: each is a run of retention that marks all revisions of one product, with who wanted it and why.
use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set,
};

use super::RetentionRun;
use crate::domain::{ChangeKind, Digest, NotificationStatus, ProductId, PublicationId, RevisionId, millis, timestamp};
use crate::engine::record::RecordError;
use crate::engine::record::db::Db;
use crate::engine::record::entity::{files, notifications, product_removals, publications, retention_runs, revisions};
use crate::engine::record::newest::newest_first;
use crate::engine::record::rows::{long, natural};
use crate::engine::record::{batch, feed};

/// What the removal of a product means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovalExtent {
    pub publications: u64,
    /// Revisions whose file is still there.
    pub revisions: u64,
    /// Of these, the ones that a hold protects, and the first of them.
    pub held: u64,
    pub first_held: Option<RevisionId>,
    /// Stored bytes that no other product uses.
    pub bytes_freed: u64,
    /// Notifications that wait for their file, which is archived when it arrives.
    pub waiting: u64,
}

/// A removal that was requested.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductRemoval {
    pub product_id: ProductId,
    /// The name of the product at that time.
    pub name: String,
    pub reason: String,
    pub requested_by: String,
    pub requested_at: Timestamp,
    /// When all revisions were marked.
    pub completed_at: Option<Timestamp>,
    pub run: RetentionRun,
}

/// Removals of products.
#[derive(Clone)]
pub struct ProductRemovals {
    pub(in crate::engine::record) db: Db,
}

impl ProductRemovals {
    /// What the removal of a product would mean now.
    pub async fn extent(&self, product: ProductId) -> Result<RemovalExtent, RecordError> {
        extent_of(self.db.reader(), product).await
    }

    /// Records a removal with its run. Returns the extent; where a revision is held, nothing is recorded.
    pub async fn begin(
        &self,
        product: (ProductId, &str),
        (reason, by): (&str, &str),
        run: &RetentionRun,
    ) -> Result<RemovalExtent, RecordError> {
        let txn = self.db.begin().await?;
        let extent = extent_of(&txn, product.0).await?;
        if extent.held > 0 {
            return Ok(extent);
        }
        let row = retention_runs::ActiveModel {
            id: Set(run.id.clone()),
            dry_run: Set(false),
            started_at: Set(millis(run.started_at)),
            ended_at: Set(None),
            removed: Set(0),
            bytes_freed: Set(long(extent.bytes_freed)?),
            sweep_after: Set(run.sweep_after.map(millis)),
            undone_at: Set(None),
            swept_at: Set(None),
        };
        retention_runs::Entity::insert(row).exec_without_returning(&txn).await?;
        let removal = product_removals::ActiveModel {
            id: Set(run.id.clone()),
            product_id: Set(product.0.0),
            name: Set(product.1.to_owned()),
            reason: Set(reason.to_owned()),
            requested_by: Set(by.to_owned()),
            requested_at: Set(millis(run.started_at)),
            completed_at: Set(None),
        };
        product_removals::Entity::insert(removal).exec_without_returning(&txn).await?;
        txn.commit().await?;
        Ok(extent)
    }

    /// Removals whose revisions are not all marked, because they are in progress or were interrupted. One that was undone is complete.
    pub async fn incomplete(&self) -> Result<Vec<ProductRemoval>, RecordError> {
        let open = product_removals::Entity::find()
            .filter(product_removals::Column::CompletedAt.is_null())
            .order_by_asc(product_removals::Column::Id)
            .all(self.db.jobs_reader())
            .await?;
        let removals = with_runs(self.db.jobs_reader(), open).await?;
        Ok(removals.into_iter().filter(|removal| removal.run.undone_at.is_none()).collect())
    }

    /// Marks up to `limit` revisions of a removal that were archived before it was requested. Returns how many; at 0 it is complete. A hold that was
    /// set in the meantime is respected.
    pub async fn mark(&self, removal: &ProductRemoval, limit: u64, now: Timestamp) -> Result<u64, RecordError> {
        use revisions::Column as C;
        let txn = self.db.begin().await?;
        let rows = revisions::Entity::find()
            .filter(C::PublicationId.in_subquery(publications_of(removal.product_id)))
            .filter(C::PurgedAt.is_null())
            .filter(C::Held.eq(false))
            .filter(C::ArchivedAt.lte(millis(removal.requested_at)))
            .limit(limit)
            .all(&txn)
            .await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let by = &removal.requested_by;
        revisions::Entity::update_many()
            .col_expr(C::PurgedAt, Expr::value(millis(now)))
            .col_expr(C::PurgeRun, Expr::value(removal.run.id.as_str()))
            .col_expr(C::PurgeRule, Expr::value(format!("the product was removed by {by}: {}", removal.reason)))
            .filter(C::Id.is_in(ids.clone()))
            .exec(&txn)
            .await?;
        publications::Entity::update_many()
            .col_expr(publications::Column::Status, Expr::value(crate::domain::PublicationStatus::Purged))
            .filter(publications::Column::Id.is_in(rows.iter().map(|row| row.publication_id)))
            .filter(publications::Column::LatestRevisionId.is_in(ids))
            .exec(&txn)
            .await?;
        let changes = rows
            .iter()
            .map(|row| (ChangeKind::Purged, PublicationId(row.publication_id), Some(RevisionId(row.id))))
            .collect();
        feed::append(&txn, millis(now), changes).await?;
        if rows.is_empty() {
            complete(&txn, removal, now).await?;
        }
        txn.commit().await?;
        self.db.notify_feed();
        Ok(rows.len() as u64)
    }

    /// Newest first, and how many there are.
    pub async fn list(&self, after: Option<&str>, limit: u64) -> Result<(Vec<ProductRemoval>, u64), RecordError> {
        let (all, id) = (product_removals::Entity::find(), product_removals::Column::Id);
        let (rows, total) = newest_first(&self.db, all, id, after, limit).await?;
        Ok((with_runs(self.db.reader(), rows).await?, total))
    }

    pub async fn removal(&self, id: &str) -> Result<Option<ProductRemoval>, RecordError> {
        let row = product_removals::Entity::find_by_id(id).one(self.db.reader()).await?;
        Ok(with_runs(self.db.reader(), row.into_iter().collect()).await?.pop())
    }
}

/// Ends a removal and its run, with what it has marked.
async fn complete<C: ConnectionTrait>(db: &C, removal: &ProductRemoval, now: Timestamp) -> Result<(), RecordError> {
    let id = removal.run.id.as_str();
    product_removals::Entity::update_many()
        .col_expr(product_removals::Column::CompletedAt, Expr::value(millis(now)))
        .filter(product_removals::Column::Id.eq(id))
        .exec(db)
        .await?;
    let marked = revisions::Entity::find().filter(revisions::Column::PurgeRun.eq(id)).count(db).await?;
    retention_runs::Entity::update_many()
        .col_expr(retention_runs::Column::EndedAt, Expr::value(millis(now)))
        .col_expr(retention_runs::Column::Removed, Expr::value(long(marked)?))
        .filter(retention_runs::Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}

fn publications_of(product: ProductId) -> sea_orm::sea_query::SelectStatement {
    publications::Entity::find()
        .select_only()
        .column(publications::Column::Id)
        .filter(publications::Column::ProductId.eq(product.0))
        .into_query()
}

async fn extent_of<C: ConnectionTrait>(db: &C, product: ProductId) -> Result<RemovalExtent, RecordError> {
    use revisions::Column as C;
    let publications = publications::Entity::find().filter(publications::Column::ProductId.eq(product.0));
    let present = || {
        revisions::Entity::find()
            .filter(C::PublicationId.in_subquery(publications_of(product)))
            .filter(C::PurgedAt.is_null())
    };
    let held = present().filter(C::Held.eq(true));
    let waiting = notifications::Entity::find().filter(notifications::Column::ProductId.eq(product.0)).filter(
        notifications::Column::Status.is_in([
            NotificationStatus::Queued,
            NotificationStatus::Fetching,
            NotificationStatus::Retrying,
        ]),
    );
    Ok(RemovalExtent {
        publications: publications.count(db).await?,
        revisions: present().count(db).await?,
        held: held.clone().count(db).await?,
        first_held: held.order_by_asc(C::Id).one(db).await?.map(|row| RevisionId(row.id)),
        bytes_freed: bytes_freed(db, product).await?,
        waiting: waiting.count(db).await?,
    })
}

/// The stored bytes of the product's files that no revision of another product has.
async fn bytes_freed<C: ConnectionTrait>(db: &C, product: ProductId) -> Result<u64, RecordError> {
    use revisions::Column as C;
    let mut after: Option<Digest> = None;
    let mut sum = 0;
    loop {
        let mut page = revisions::Entity::find()
            .select_only()
            .column(C::Digest)
            .distinct()
            .filter(C::PublicationId.in_subquery(publications_of(product)))
            .filter(C::PurgedAt.is_null())
            .order_by_asc(C::Digest)
            .limit(batch::PAGE);
        if let Some(after) = after {
            page = page.filter(C::Digest.gt(after));
        }
        let digests: Vec<Digest> = page.into_tuple().all(db).await?;
        let Some(last) = digests.last() else { return Ok(sum) };
        after = Some(*last);
        let shared: Vec<Digest> = revisions::Entity::find()
            .select_only()
            .column(C::Digest)
            .distinct()
            .filter(C::Digest.is_in(digests.iter().copied()))
            .filter(C::PublicationId.not_in_subquery(publications_of(product)))
            .filter(C::PurgedAt.is_null())
            .into_tuple()
            .all(db)
            .await?;
        let own = digests.into_iter().filter(|digest| !shared.contains(digest));
        let sizes: Vec<i64> = files::Entity::find()
            .select_only()
            .column(files::Column::StoredSize)
            .filter(files::Column::Digest.is_in(own))
            .filter(files::Column::RemovedAt.is_null())
            .into_tuple()
            .all(db)
            .await?;
        for size in sizes {
            sum += natural(size)?;
        }
    }
}

async fn with_runs<C: ConnectionTrait>(
    db: &C,
    rows: Vec<product_removals::Model>,
) -> Result<Vec<ProductRemoval>, RecordError> {
    let ids = rows.iter().map(|row| row.id.clone());
    let runs = retention_runs::Entity::find().filter(retention_runs::Column::Id.is_in(ids)).all(db).await?;
    let mut runs: HashMap<String, retention_runs::Model> = runs.into_iter().map(|run| (run.id.clone(), run)).collect();
    let removal = |row: product_removals::Model| {
        let run = runs.remove(&row.id);
        let run = run.ok_or_else(|| RecordError::Corrupt(format!("the removal {} has no run", row.id)))?;
        Ok(ProductRemoval {
            product_id: ProductId(row.product_id),
            name: row.name,
            reason: row.reason,
            requested_by: row.requested_by,
            requested_at: timestamp(row.requested_at),
            completed_at: row.completed_at.map(timestamp),
            run: run.try_into()?,
        })
    };
    rows.into_iter().map(removal).collect()
}
