//! Records how files are stored: new ones, and those that were stored again.
use jiff::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set};

use super::sizes::resize_products;
use super::{Removal, insert_members};
use crate::domain::{Digest, ObjectChange, StoredFile, millis};
use crate::engine::record::entity::{files, revisions};
use crate::engine::record::retention::mark_unused;
use crate::engine::record::rows::long;
use crate::engine::record::{FetchedFile, RecordError};
use files::Column as F;

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
