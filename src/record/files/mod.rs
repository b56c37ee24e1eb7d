//! Files: how each is stored, and the members of zips, which are listed after the file was recorded if that takes long.
mod damage;
mod save;
mod sizes;

use std::collections::HashSet;

use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Set,
};

use crate::domain::{ChangeKind, Digest, PublicationId, RevisionId, StoredFile, millis};
use crate::engine::record::db::Db;
use crate::engine::record::entity::{files, members, revisions};
use crate::engine::record::rows::{int, list, long, natural, texts};
use crate::engine::record::{Member, RecordError, batch, feed};
use files::Column as F;

pub use damage::DamagedFile;
pub(super) use damage::is_damaged;
pub(super) use save::{depth_with, release_base, save, save_stored_again};
pub(super) use sizes::{add_to_products, products_of, resize_products};

/// A file whose bytes a sweep once removed, or could not remove, as its row is now. Every later removal changes the row before it
/// deletes the bytes: the row gets a tombstone first, and then another time. So a caller that reads this, then finds the bytes in
/// the store, and finds this unchanged in a transaction, can rely on the bytes in that transaction. No transaction waits for the
/// store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    pub digest: Digest,
    removed_at: Option<i64>,
    removal_failed_at: Option<i64>,
}

impl Removal {
    fn of(row: &files::Model) -> Option<Self> {
        let (removed_at, removal_failed_at) = (row.removed_at, row.removal_failed_at);
        let removal = Self { digest: row.digest, removed_at, removal_failed_at };
        (removed_at.is_some() || removal_failed_at.is_some()).then_some(removal)
    }
}

/// Files: how each is stored, what is damaged, the members of zips.
#[derive(Clone)]
pub struct Files {
    pub(super) db: Db,
}

impl Files {
    /// The next file whose members are to be listed.
    pub async fn next_to_list(&self, now: Timestamp) -> Result<Option<StoredFile>, RecordError> {
        let row = files::Entity::find()
            .filter(F::ListAt.lte(millis(now)))
            .filter(F::RemovedAt.is_null())
            .order_by_asc(F::ListAt)
            .one(self.db.reader())
            .await?;
        row.map(stored_file).transpose()
    }

    /// Records that good bytes of a file were stored again in place of damaged or missing ones. Files that were recorded as removed, or
    /// not at all, although a revision uses them, are recorded again. [`RecordError::FileGone`] while the file is being removed, and if it
    /// was removed because nothing uses it.
    pub async fn save_repaired(
        &self,
        file: &StoredFile,
        stored_digest: Option<Digest>,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        save_stored_again(&txn, file, stored_digest, now).await?;
        Ok(txn.commit().await?)
    }

    /// How a file is stored; `None` if the archive does not have its bytes.
    pub async fn stored_file(&self, file: Digest) -> Result<Option<StoredFile>, RecordError> {
        let row = files::Entity::find_by_id(file).filter(F::RemovedAt.is_null()).one(self.db.reader()).await?;
        row.map(stored_file).transpose()
    }

    /// Those of some files that a revision has which was not removed.
    pub async fn shown_among(&self, some: &[Digest]) -> Result<HashSet<Digest>, RecordError> {
        if some.is_empty() {
            return Ok(HashSet::new());
        }
        let found: Vec<Digest> = revisions::Entity::find()
            .select_only()
            .column(revisions::Column::Digest)
            .filter(revisions::Column::Digest.is_in(some.iter().copied()))
            .filter(revisions::Column::PurgedAt.is_null())
            .distinct()
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?;
        Ok(found.into_iter().collect())
    }

    /// Lists a file's members at another time.
    pub async fn list_later(&self, file: Digest, at: Timestamp) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        files::Entity::update_many()
            .col_expr(F::ListAt, Expr::value(millis(at)))
            .filter(F::Digest.eq(file))
            .filter(F::ListAt.is_not_null())
            .exec(&txn)
            .await?;
        txn.commit().await?;
        Ok(())
    }

    /// Replaces a file's members, and adds a warning to its revisions. Does nothing if another process has done it.
    pub async fn save_members(
        &self,
        file: Digest,
        found: &[Member],
        warning: Option<&str>,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        let listed = files::Entity::update_many()
            .col_expr(F::ListAt, Expr::value(None::<i64>))
            .filter(F::Digest.eq(file))
            .filter(F::ListAt.is_not_null())
            .exec(&txn)
            .await?;
        if listed.rows_affected == 0 {
            return Ok(());
        }
        members::Entity::delete_many().filter(members::Column::Digest.eq(file)).exec(&txn).await?;
        insert_members(&txn, file, found).await?;
        let revisions = revisions::Entity::find().filter(revisions::Column::Digest.eq(file)).all(&txn).await?;
        let mut changes = Vec::with_capacity(revisions.len());
        for row in revisions {
            // The index adds the members, and other readers of the feed read the revision again.
            changes.push((ChangeKind::Archived, PublicationId(row.publication_id), Some(RevisionId(row.id))));
            if let Some(warning) = warning {
                add_warning(&txn, row, warning).await?;
            }
        }
        feed::append(&txn, millis(now), changes).await?;
        txn.commit().await?;
        self.db.notify_feed();
        Ok(())
    }
}

pub(in crate::engine::record) fn stored_file(row: files::Model) -> Result<StoredFile, RecordError> {
    Ok(StoredFile {
        digest: row.digest,
        encoding: row.encoding,
        base: row.base,
        size: natural(row.size)?,
        stored_size: natural(row.stored_size)?,
    })
}

/// Which of these files a sweep once removed and the caller has not confirmed. Those with a tombstone are left out.
pub(in crate::engine::record) async fn unconfirmed(
    txn: &DatabaseTransaction,
    digests: impl Iterator<Item = Digest>,
    confirmed: &[Removal],
) -> Result<Vec<Removal>, RecordError> {
    let rows = files::Entity::find()
        .filter(F::Digest.is_in(batch::padded(digests.collect())))
        .filter(F::TombstoneAt.is_null())
        .filter(Condition::any().add(F::RemovedAt.is_not_null()).add(F::RemovalFailedAt.is_not_null()))
        .all(txn)
        .await?;
    Ok(rows.iter().filter_map(Removal::of).filter(|removal| !confirmed.contains(removal)).collect())
}

async fn add_warning(txn: &DatabaseTransaction, row: revisions::Model, warning: &str) -> Result<(), RecordError> {
    let mut warnings = texts(Some(&row.warnings))?;
    warnings.push(warning.to_owned());
    let changed = revisions::ActiveModel { id: Set(row.id), warnings: Set(list(&warnings)), ..Default::default() };
    changed.update_without_returning(txn).await?;
    Ok(())
}

async fn insert_members(txn: &DatabaseTransaction, file: Digest, found: &[Member]) -> Result<(), RecordError> {
    let row = |(i, member): (usize, &Member)| {
        Ok(members::ActiveModel {
            digest: Set(file),
            position: Set(int(i)?),
            path: Set(member.path.clone()),
            size: Set(long(member.size)?),
            compressed_size: Set(member.compressed_size.map(long).transpose()?),
            modified_at: Set(member.modified_at.map(|at| at.to_string())),
        })
    };
    let rows: Vec<_> = found.iter().enumerate().map(row).collect::<Result<_, RecordError>>()?;
    Ok(batch::insert(txn, rows, None).await?)
}
