//! Zips whose members are listed after their files were recorded, since that takes long.
mod damage;

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveModelTrait, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, Set};

use crate::domain::{ChangeKind, Digest, PublicationId, RevisionId, millis};
use crate::engine::record::db::Db;
use crate::engine::record::entity::{files, members, revisions};
use crate::engine::record::rows::texts;
use crate::engine::record::rows::{digest, long, natural};
use crate::engine::record::{Fetched, Member, RecordError, StoredFile, batch, feed};
use files::Column as F;

pub use damage::DamagedFile;
pub(super) use damage::is_damaged;

/// Files: how each is stored, what is damaged, what zips hold.
#[derive(Clone)]
pub struct Files {
    pub(super) db: Db,
}

impl Files {
    /// The file whose members are to be listed next.
    pub async fn next_to_list(&self, now: Timestamp) -> Result<Option<StoredFile>, RecordError> {
        let row = files::Entity::find()
            .filter(F::ListAt.lte(millis(now)))
            .filter(F::RemovedAt.is_null())
            .order_by_asc(F::ListAt)
            .one(self.db.reader())
            .await?;
        row.map(stored_file).transpose()
    }

    /// How a file is stored; `None` where its bytes are not in the archive.
    pub async fn stored_file(&self, file: Digest) -> Result<Option<StoredFile>, RecordError> {
        let row =
            files::Entity::find_by_id(file.0.to_vec()).filter(F::RemovedAt.is_null()).one(self.db.reader()).await?;
        row.map(stored_file).transpose()
    }

    /// Has a file's members listed later.
    pub async fn list_later(&self, file: Digest, at: Timestamp) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        files::Entity::update_many()
            .col_expr(F::ListAt, Expr::value(millis(at)))
            .filter(F::Digest.eq(file.0.to_vec()))
            .filter(F::ListAt.is_not_null())
            .exec(&txn)
            .await?;
        txn.commit().await?;
        Ok(())
    }

    /// Records a file's members in the place of those that it had, and what is to be said of them on its revisions. Done
    /// already, by another process perhaps, it changes nothing.
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
            .filter(F::Digest.eq(file.0.to_vec()))
            .filter(F::ListAt.is_not_null())
            .exec(&txn)
            .await?;
        if listed.rows_affected == 0 {
            return Ok(());
        }
        members::Entity::delete_many().filter(members::Column::Digest.eq(file.0.to_vec())).exec(&txn).await?;
        insert_members(&txn, file, found).await?;
        let revisions =
            revisions::Entity::find().filter(revisions::Column::Digest.eq(file.0.to_vec())).all(&txn).await?;
        let mut told = Vec::with_capacity(revisions.len());
        for row in revisions {
            // The index takes the members up by it; who follows the feed reads the revision again.
            told.push((ChangeKind::Archived, PublicationId(row.publication_id), Some(RevisionId(row.id))));
            if let Some(warning) = warning {
                add_warning(&txn, row, warning).await?;
            }
        }
        feed::tell(&txn, millis(now), told).await?;
        txn.commit().await?;
        self.db.feed_changed();
        Ok(())
    }
}

fn stored_file(row: files::Model) -> Result<StoredFile, RecordError> {
    Ok(StoredFile {
        digest: digest(&row.digest)?,
        size: natural(row.size),
        stored_size: natural(row.stored_size),
        encoding: row.encoding,
    })
}

/// Records a file that is in the archive. `is_there` says whether the archive has its bytes; it is asked only where the record
/// says that they were removed.
pub(in crate::engine::record) async fn save(
    txn: &DatabaseTransaction,
    fetched: &Fetched,
    now: Timestamp,
    is_there: impl Future<Output = bool>,
) -> Result<(), RecordError> {
    let digest = fetched.file.digest.0.to_vec();
    if let Some(known) = files::Entity::find_by_id(digest.clone()).one(txn).await? {
        // Under a tombstone the bytes may be there now and gone in a moment.
        if known.tombstone_at.is_some() {
            return Err(RecordError::FileGone);
        }
        if known.removed_at.is_none() && known.removal_failed_at.is_none() {
            return note_as_stored(txn, known, &fetched.file).await;
        }
        if !is_there.await {
            return Err(RecordError::FileGone);
        }
        let back = files::ActiveModel {
            digest: Set(digest),
            stored_size: Set(long(fetched.file.stored_size)),
            encoding: Set(fetched.file.encoding.clone()),
            stored_at: Set(millis(now)),
            removed_at: Set(None),
            removal_failed_at: Set(None),
            damaged_at: Set(None),
            ..Default::default()
        };
        back.update_without_returning(txn).await?;
        return Ok(());
    }
    let row = files::ActiveModel {
        digest: Set(digest.clone()),
        size: Set(long(fetched.file.size)),
        stored_size: Set(long(fetched.file.stored_size)),
        encoding: Set(fetched.file.encoding.clone()),
        stored_at: Set(millis(now)),
        removed_at: Set(None),
        tombstone_at: Set(None),
        removal_failed_at: Set(None),
        damaged_at: Set(None),
        list_at: Set(fetched.list_later.then(|| millis(now))),
    };
    files::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(txn)
        .await?;
    Ok(insert_members(txn, fetched.file.digest, &fetched.members).await?)
}

/// The archive has just checked the bytes, or put good ones in the place of damaged ones.
async fn note_as_stored(txn: &DatabaseTransaction, known: files::Model, file: &StoredFile) -> Result<(), RecordError> {
    let is_as_before = known.stored_size == long(file.stored_size) && known.encoding == file.encoding;
    if is_as_before && known.damaged_at.is_none() {
        return Ok(());
    }
    let now = files::ActiveModel {
        digest: Set(known.digest),
        stored_size: Set(long(file.stored_size)),
        encoding: Set(file.encoding.clone()),
        damaged_at: Set(None),
        ..Default::default()
    };
    now.update_without_returning(txn).await?;
    Ok(())
}

async fn add_warning(txn: &DatabaseTransaction, row: revisions::Model, warning: &str) -> Result<(), RecordError> {
    let corrupt = |e: serde_json::Error| RecordError::Corrupt(e.to_string());
    let mut warnings = texts(Some(&row.warnings))?;
    warnings.push(warning.to_owned());
    let warnings = serde_json::to_string(&warnings).map_err(corrupt)?;
    let changed = revisions::ActiveModel { id: Set(row.id), warnings: Set(warnings), ..Default::default() };
    changed.update_without_returning(txn).await?;
    Ok(())
}

async fn insert_members(txn: &DatabaseTransaction, file: Digest, found: &[Member]) -> Result<(), DbErr> {
    let rows = found.iter().enumerate().map(|(i, member)| members::ActiveModel {
        digest: Set(file.0.to_vec()),
        position: Set(i32::try_from(i).unwrap_or(i32::MAX)),
        path: Set(member.path.clone()),
        size: Set(long(member.size)),
        compressed_size: Set(member.compressed_size.map(long)),
        modified_at: Set(member.modified_at.map(|at| at.to_string())),
    });
    batch::insert(txn, rows.collect(), None).await
}
