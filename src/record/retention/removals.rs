//! How bytes are deleted: a tombstone is committed, the object is deleted, the removal is recorded.
//!
//! Revisions are swept, and cannot be undone any more, in the commit that sets the tombstones. A file under a tombstone counts
//! as gone: nothing that is being archived may rely on it. Each step can be repeated, so a crash between two of them loses
//! nothing.
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect,
    Set,
};

use crate::domain::{Digest, Encoding, Locator, StoredFile, millis};
use crate::engine::record::db::Db;
use crate::engine::record::entity::{files, retention_runs, revisions};
use crate::engine::record::files::{add_to_products, products_of};
use crate::engine::record::rows::{long, natural};
use crate::engine::record::{RecordError, batch};

/// Files that are being deleted.
#[derive(Clone)]
pub struct Removals {
    pub(in crate::engine::record) db: Db,
}

impl Removals {
    /// Whether there is something to sweep: revisions whose grace is over, tombstones that a crash left, or files that
    /// could not be deleted before `failed_before`.
    pub async fn is_due(&self, now: Timestamp, failed_before: Timestamp) -> Result<bool, RecordError> {
        let db = self.db.jobs_reader();
        let due = retention_runs::Entity::find()
            .filter(retention_runs::Column::SweepAfter.lte(millis(now)))
            .filter(retention_runs::Column::SweptAt.is_null())
            .filter(retention_runs::Column::UndoneAt.is_null())
            .filter(retention_runs::Column::EndedAt.is_not_null());
        if due.one(db).await?.is_some() {
            return Ok(true);
        }
        let left = files::Entity::find().filter(files::Column::TombstoneAt.is_not_null());
        if left.one(db).await?.is_some() {
            return Ok(true);
        }
        let failed = files::Entity::find().filter(files::Column::RemovalFailedAt.lt(millis(failed_before)));
        Ok(failed.one(db).await?.is_some())
    }

    /// Sweeps up to `limit` revisions whose grace is over, and sets tombstones on the files that nothing else uses. Returns
    /// how many revisions were swept.
    pub async fn set_tombstones(&self, now: Timestamp, limit: u64) -> Result<u64, RecordError> {
        use revisions::Column as C;
        let over: Vec<String> = retention_runs::Entity::find()
            .select_only()
            .column(retention_runs::Column::Id)
            .filter(retention_runs::Column::SweepAfter.lte(millis(now)))
            .filter(retention_runs::Column::SweptAt.is_null())
            .filter(retention_runs::Column::UndoneAt.is_null())
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?;
        if over.is_empty() {
            return Ok(0);
        }
        let txn = self.db.begin().await?;
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
            return Ok(0);
        }
        revisions::Entity::update_many()
            .col_expr(C::SweptAt, Expr::value(millis(now)))
            .filter(C::Id.is_in(rows.iter().map(|row| row.id)))
            .exec(&txn)
            .await?;
        let digests: HashSet<Digest> = rows.iter().map(|row| row.digest).collect();
        let files = files::Entity::find().filter(files::Column::Digest.is_in(digests.clone())).all(&txn).await?;
        mark_unused(&txn, digests.into_iter().collect(), now).await?;
        let sizes = files.into_iter().map(|file| (file.digest, file.stored_size)).collect();
        subtract_counts(&txn, &rows, &sizes).await?;
        txn.commit().await?;
        Ok(rows.len() as u64)
    }

    /// Sets tombstones again on files that could not be deleted before an instant.
    pub async fn set_tombstones_again(
        &self,
        failed_before: Timestamp,
        now: Timestamp,
        limit: u64,
    ) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        let digests: Vec<Digest> = files::Entity::find()
            .select_only()
            .column(files::Column::Digest)
            .filter(files::Column::RemovalFailedAt.lt(millis(failed_before)))
            .limit(limit)
            .into_tuple()
            .all(&txn)
            .await?;
        if !digests.is_empty() {
            mark_unused(&txn, digests, now).await?;
            txn.commit().await?;
        }
        Ok(())
    }

    /// Which of these files are not in use: no revision has them, except swept ones, and no stored file has them as its base.
    pub async fn unused(&self, digests: &[Digest]) -> Result<HashSet<Digest>, RecordError> {
        let used = used(self.db.jobs_reader(), digests.to_vec()).await?;
        Ok(digests.iter().copied().filter(|digest| !used.contains(digest)).collect())
    }

    /// Sets tombstones on the given files that no revision uses. Files that were never recorded get a row for that.
    pub async fn set_tombstones_on_unused(&self, given: &[StoredFile], now: Timestamp) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        let mut unused: HashMap<Digest, StoredFile> = given.iter().map(|file| (file.digest, *file)).collect();
        let used = used(&txn, unused.keys().copied().collect()).await?;
        unused.retain(|digest, _| !used.contains(digest));
        let row = |file: &StoredFile| {
            Ok(files::ActiveModel {
                digest: Set(file.digest),
                size: Set(long(file.size)?),
                stored_size: Set(long(file.stored_size)?),
                encoding: Set(file.encoding),
                base: Set(file.base),
                stored_at: Set(millis(now)),
                removed_at: Set(Some(millis(now))),
                tombstone_at: Set(None),
                removal_failed_at: Set(None),
                damaged_at: Set(None),
                damage: Set(None),
                stored_digest: Set(None),
                depth: Set(0),
                compacted_at: Set(None),
                list_at: Set(None),
            })
        };
        let rows: Vec<files::ActiveModel> = unused.values().map(row).collect::<Result<_, RecordError>>()?;
        let known = OnConflict::column(files::Column::Digest)
            .update_columns([files::Column::Encoding, files::Column::Base])
            .to_owned();
        batch::insert(&txn, rows, Some(known)).await?;
        mark_unused(&txn, unused.into_keys().collect(), now).await?;
        Ok(txn.commit().await?)
    }

    /// The objects of files that are under a tombstone, the oldest first.
    pub async fn tombstones(&self, limit: u64) -> Result<Vec<Locator>, RecordError> {
        let rows: Vec<(Digest, Encoding)> = files::Entity::find()
            .select_only()
            .columns([files::Column::Digest, files::Column::Encoding])
            .filter(files::Column::TombstoneAt.is_not_null())
            .order_by(files::Column::TombstoneAt, Order::Asc)
            .limit(limit)
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?;
        Ok(rows.into_iter().map(|(digest, encoding)| Locator { digest, encoding }).collect())
    }

    /// Records the outcome for files under tombstones: the deleted ones are gone, the failed ones are still there, unused. Bases that
    /// were in use only by deleted files get a tombstone. Returns the bytes freed.
    pub async fn clear(&self, deleted: &[Digest], failed: &[Digest], now: Timestamp) -> Result<u64, RecordError> {
        use files::Column as C;
        let of = |digests: &[Digest]| C::Digest.is_in(digests.iter().copied());
        let txn = self.db.begin().await?;
        let gone = files::Entity::find().filter(of(deleted)).filter(C::TombstoneAt.is_not_null()).all(&txn).await?;
        files::Entity::update_many()
            .col_expr(C::RemovedAt, Expr::value(millis(now)))
            .col_expr(C::TombstoneAt, Expr::value(None::<i64>))
            .filter(C::Digest.is_in(gone.iter().map(|file| file.digest)))
            .exec(&txn)
            .await?;
        files::Entity::update_many()
            .col_expr(C::RemovalFailedAt, Expr::value(millis(now)))
            .col_expr(C::RemovedAt, Expr::value(None::<i64>))
            .col_expr(C::TombstoneAt, Expr::value(None::<i64>))
            .filter(of(failed))
            .filter(C::TombstoneAt.is_not_null())
            .exec(&txn)
            .await?;
        let bases: HashSet<Digest> = gone.iter().filter_map(|file| file.base).collect();
        if !bases.is_empty() {
            mark_unused(&txn, bases.into_iter().collect(), now).await?;
        }
        txn.commit().await?;
        gone.iter().filter(|file| file.removed_at.is_none()).map(|file| natural(file.stored_size)).sum()
    }
}

/// Sets tombstones on the given files that are not in use, and forgets earlier failures to delete them.
pub(in crate::engine::record) async fn mark_unused(
    txn: &DatabaseTransaction,
    digests: Vec<Digest>,
    now: Timestamp,
) -> Result<(), DbErr> {
    use files::Column as C;
    let used = used(txn, digests.clone()).await?;
    files::Entity::update_many()
        .col_expr(C::RemovalFailedAt, Expr::value(None::<i64>))
        .filter(C::Digest.is_in(digests.clone()))
        .exec(txn)
        .await?;
    let unused: Vec<Digest> = digests.into_iter().filter(|digest| !used.contains(digest)).collect();
    files::Entity::update_many()
        .col_expr(C::TombstoneAt, Expr::value(millis(now)))
        .filter(C::Digest.is_in(unused))
        .exec(txn)
        .await?;
    Ok(())
}

/// Which of these files are in use: by a revision that was not swept, or as the base of a stored file.
async fn used<C: ConnectionTrait>(db: &C, digests: Vec<Digest>) -> Result<HashSet<Digest>, DbErr> {
    let by_revisions: Vec<Digest> = revisions::Entity::find()
        .select_only()
        .column(revisions::Column::Digest)
        .distinct()
        .filter(revisions::Column::Digest.is_in(digests.clone()))
        .filter(revisions::Column::SweptAt.is_null())
        .into_tuple()
        .all(db)
        .await?;
    let by_files: Vec<Digest> = files::Entity::find()
        .select_only()
        .column(files::Column::Base)
        .distinct()
        .filter(files::Column::Base.is_in(digests))
        .filter(files::Column::RemovedAt.is_null())
        .into_tuple()
        .all(db)
        .await?;
    Ok(by_revisions.into_iter().chain(by_files).collect())
}

/// Subtracts the bytes of swept revisions from the counts of their products.
async fn subtract_counts(
    txn: &DatabaseTransaction,
    swept: &[revisions::Model],
    sizes: &HashMap<Digest, i64>,
) -> Result<(), RecordError> {
    let parents = products_of(txn, swept.iter().map(|row| row.publication_id)).await?;
    let mut by_product: HashMap<Uuid, i64> = HashMap::new();
    for row in swept {
        let missing = |what: &str| RecordError::Corrupt(format!("the revision {} has no {what}", row.id));
        let product = parents.get(&row.publication_id).ok_or_else(|| missing("publication"))?;
        let size = sizes.get(&row.digest).ok_or_else(|| missing("file"))?;
        *by_product.entry(*product).or_default() -= size;
    }
    add_to_products(txn, by_product).await
}
