//! Files: how each is stored, and the members of zips, which are listed after the file was recorded if that takes long.
mod damage;

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Set,
};

use crate::domain::{ChangeKind, Digest, ObjectChange, PublicationId, RevisionId, StoredFile, millis};
use crate::engine::record::db::Db;
use crate::engine::record::entity::{files, members, products, publications, revisions};
use crate::engine::record::retention::mark_unused;
use crate::engine::record::rows::{int, list, long, natural, texts};
use crate::engine::record::{FetchedFile, Member, RecordError, batch, feed};
use files::Column as F;

pub use damage::DamagedFile;
pub(super) use damage::is_damaged;

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

/// Records a file that is in the store. Bytes that a sweep once removed have to be confirmed, see [`Removal`].
pub(in crate::engine::record) async fn save(
    txn: &DatabaseTransaction,
    fetched: &FetchedFile,
    now: Timestamp,
    confirmed: &[Removal],
) -> Result<(), RecordError> {
    let digest = fetched.file.digest;
    depth_with(txn, fetched.file.base).await?;
    if let Some(known) = files::Entity::find_by_id(digest).one(txn).await? {
        // Under a tombstone the bytes may exist now and be gone in a moment.
        if known.tombstone_at.is_some() {
            return Err(RecordError::FileGone);
        }
        let Some(removal) = Removal::of(&known) else {
            let is_replaced = match fetched.change {
                ObjectChange::New => true,
                ObjectChange::Kept => known.damaged_at.is_some(),
                ObjectChange::Replaced(encoding) => known.encoding == encoding || known.damaged_at.is_some(),
            };
            // Otherwise its encoding changed while it was stored, and the row names the right object.
            let is_certain = is_replaced || known.encoding == fetched.file.encoding;
            return match is_certain {
                true => note_as_stored(txn, known, &fetched.file, fetched.stored_digest, now).await,
                false => Ok(()),
            };
        };
        if !confirmed.contains(&removal) {
            return Err(RecordError::RemovedBefore(vec![removal]));
        }
        let depth = depth_with(txn, fetched.file.base).await?;
        stored_again(&fetched.file, fetched.stored_digest, depth, now)?.update_without_returning(txn).await?;
        return release_base(txn, &known, &fetched.file, now).await;
    }
    insert_file(txn, &fetched.file, fetched.stored_digest, fetched.list_later.then(|| millis(now)), now).await?;
    insert_members(txn, fetched.file.digest, &fetched.members).await
}

/// Records that good bytes of a file were stored again, see [`Files::save_repaired`].
pub(in crate::engine::record) async fn save_stored_again(
    txn: &DatabaseTransaction,
    file: &StoredFile,
    stored_digest: Option<Digest>,
    now: Timestamp,
) -> Result<(), RecordError> {
    match files::Entity::find_by_id(file.digest).one(txn).await? {
        Some(known) if known.tombstone_at.is_some() => Err(RecordError::FileGone),
        Some(known) if known.removed_at.is_none() => note_as_stored(txn, known, file, stored_digest, now).await,
        _ if !has_revision(txn, file.digest).await? => Err(RecordError::FileGone),
        Some(_) => {
            let depth = depth_with(txn, file.base).await?;
            stored_again(file, stored_digest, depth, now)?.update_without_returning(txn).await?;
            Ok(())
        }
        None => insert_file(txn, file, stored_digest, None, now).await,
    }
}

/// Whether a revision that was not swept has a file.
async fn has_revision(txn: &DatabaseTransaction, file: Digest) -> Result<bool, RecordError> {
    use revisions::Column as R;
    let some = revisions::Entity::find().filter(R::Digest.eq(file)).filter(R::SweptAt.is_null());
    Ok(some.one(txn).await?.is_some())
}

/// The row of a file whose bytes are stored again after they had been removed.
fn stored_again(
    file: &StoredFile,
    stored_digest: Option<Digest>,
    depth: i32,
    now: Timestamp,
) -> Result<files::ActiveModel, RecordError> {
    Ok(files::ActiveModel {
        digest: Set(file.digest),
        stored_size: Set(long(file.stored_size)?),
        encoding: Set(file.encoding),
        base: Set(file.base),
        stored_at: Set(millis(now)),
        removed_at: Set(None),
        removal_failed_at: Set(None),
        damaged_at: Set(None),
        damage: Set(None),
        stored_digest: Set(stored_digest),
        depth: Set(depth),
        compacted_at: Set(None),
        ..Default::default()
    })
}

async fn insert_file(
    txn: &DatabaseTransaction,
    file: &StoredFile,
    stored_digest: Option<Digest>,
    list_at: Option<i64>,
    now: Timestamp,
) -> Result<(), RecordError> {
    let row = files::ActiveModel {
        digest: Set(file.digest),
        size: Set(long(file.size)?),
        stored_size: Set(long(file.stored_size)?),
        encoding: Set(file.encoding),
        base: Set(file.base),
        stored_at: Set(millis(now)),
        removed_at: Set(None),
        tombstone_at: Set(None),
        removal_failed_at: Set(None),
        damaged_at: Set(None),
        damage: Set(None),
        stored_digest: Set(stored_digest),
        depth: Set(depth_with(txn, file.base).await?),
        compacted_at: Set(None),
        list_at: Set(list_at),
    };
    let unless_known = OnConflict::new().do_nothing().to_owned();
    files::Entity::insert(row).on_conflict(unless_known).exec_without_returning(txn).await?;
    Ok(())
}

/// How many bases a file with this base needs. [`RecordError::FileGone`] where the base is not stored, may be gone, or is about to be
/// removed: without it the file cannot be read.
pub(in crate::engine::record) async fn depth_with(
    txn: &DatabaseTransaction,
    base: Option<Digest>,
) -> Result<i32, RecordError> {
    let Some(base) = base else { return Ok(0) };
    let stored = files::Entity::find_by_id(base)
        .filter(F::RemovedAt.is_null())
        .filter(F::TombstoneAt.is_null())
        .filter(F::RemovalFailedAt.is_null());
    let row = stored.one(txn).await?.ok_or(RecordError::FileGone)?;
    Ok(row.depth.saturating_add(1))
}

/// The archive has just verified the bytes, or replaced damaged ones.
async fn note_as_stored(
    txn: &DatabaseTransaction,
    known: files::Model,
    file: &StoredFile,
    stored_digest: Option<Digest>,
    now: Timestamp,
) -> Result<(), RecordError> {
    let is_as_before =
        known.stored_size == long(file.stored_size)? && known.encoding == file.encoding && known.base == file.base;
    let is_same_object = stored_digest.is_none() || stored_digest == known.stored_digest;
    if is_as_before && is_same_object && known.damaged_at.is_none() {
        return Ok(());
    }
    // The digest of an object in another encoding, or of one whose bytes were not seen, is not known.
    let stored_digest = stored_digest.or(known.stored_digest.filter(|_| is_as_before));
    let row = files::ActiveModel {
        digest: Set(known.digest),
        stored_size: Set(long(file.stored_size)?),
        encoding: Set(file.encoding),
        base: Set(file.base),
        damaged_at: Set(None),
        damage: Set(None),
        stored_digest: Set(stored_digest),
        depth: Set(depth_with(txn, file.base).await?),
        compacted_at: Set(known.compacted_at.filter(|_| is_as_before)),
        ..Default::default()
    };
    row.update_without_returning(txn).await?;
    resize_products(txn, known.digest, long(file.stored_size)? - known.stored_size).await?;
    release_base(txn, &known, file, now).await
}

/// Changes the stored bytes of the products that have a file, after the file is stored in more or fewer.
pub(in crate::engine::record) async fn resize_products(
    txn: &DatabaseTransaction,
    file: Digest,
    by: i64,
) -> Result<(), RecordError> {
    if by == 0 {
        return Ok(());
    }
    let with_file: Vec<Uuid> = revisions::Entity::find()
        .select_only()
        .column(revisions::Column::PublicationId)
        .filter(revisions::Column::Digest.eq(file))
        .filter(revisions::Column::SweptAt.is_null())
        .into_tuple()
        .all(txn)
        .await?;
    let parents: Vec<(Uuid, Uuid)> = publications::Entity::find()
        .select_only()
        .columns([publications::Column::Id, publications::Column::ProductId])
        .filter(publications::Column::Id.is_in(with_file.clone()))
        .into_tuple()
        .all(txn)
        .await?;
    let parents: HashMap<Uuid, Uuid> = parents.into_iter().collect();
    let mut by_product: HashMap<Uuid, i64> = HashMap::new();
    for publication in with_file {
        let orphan = || RecordError::Corrupt(format!("the publication {publication} of a revision does not exist"));
        *by_product.entry(*parents.get(&publication).ok_or_else(orphan)?).or_default() += by;
    }
    for (product, by) in by_product {
        products::Entity::update_many()
            .col_expr(products::Column::StoredSize, Expr::col(products::Column::StoredSize).add(by))
            .filter(products::Column::Id.eq(product))
            .exec(txn)
            .await?;
    }
    Ok(())
}

/// Sets a tombstone on the base that a file had before and does not need any more, unless the base is in use.
pub(in crate::engine::record) async fn release_base(
    txn: &DatabaseTransaction,
    before: &files::Model,
    file: &StoredFile,
    now: Timestamp,
) -> Result<(), RecordError> {
    match before.base {
        Some(base) if before.removed_at.is_none() && file.base != Some(base) => {
            Ok(mark_unused(txn, vec![base], now).await?)
        }
        Some(_) | None => Ok(()),
    }
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
