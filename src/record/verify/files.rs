//! Files in the order of their digests, and how they are recorded.
use std::collections::HashMap;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::Verify;
use crate::domain::{Digest, DigestRange, StoredFile};
use crate::engine::record::RecordError;
use crate::engine::record::batch::padded;
use crate::engine::record::entity::{files, revisions};
use crate::engine::record::files::stored_file;
use crate::engine::record::rows::natural;
use files::Column as F;

/// How a file is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileState {
    pub file: StoredFile,
    /// The digest of its object as stored, if it is known.
    pub stored_digest: Option<Digest>,
    pub is_damaged: bool,
    /// The row says that the bytes are gone.
    pub is_removed: bool,
    /// The bytes are being removed.
    pub is_leaving: bool,
}

impl FileState {
    fn read(row: files::Model) -> Result<Self, RecordError> {
        Ok(Self {
            stored_digest: row.stored_digest,
            is_damaged: row.damaged_at.is_some(),
            is_removed: row.removed_at.is_some(),
            is_leaving: row.tombstone_at.is_some() || row.removal_failed_at.is_some(),
            file: stored_file(row)?,
        })
    }
}

/// The stored files of a range that are not being removed.
fn stored(range: DigestRange) -> Select<files::Entity> {
    files::Entity::find()
        .filter(F::Digest.gte(range.first))
        .filter(F::Digest.lte(range.last))
        .filter(F::RemovedAt.is_null())
        .filter(F::TombstoneAt.is_null())
        .filter(F::RemovalFailedAt.is_null())
}

impl Verify {
    /// The first stored files of a range, in the order of their digests.
    pub async fn files(&self, range: DigestRange, limit: u64) -> Result<Vec<FileState>, RecordError> {
        let rows = stored(range).order_by_asc(F::Digest).limit(limit).all(self.db.reader()).await?;
        rows.into_iter().map(FileState::read).collect()
    }

    /// The files of a range that are known to be damaged, after one, in order.
    pub async fn damaged_files(
        &self,
        range: DigestRange,
        after: Option<Digest>,
        limit: u64,
    ) -> Result<Vec<Digest>, RecordError> {
        let mut damaged = stored(range).select_only().column(F::Digest).filter(F::DamagedAt.is_not_null());
        if let Some(after) = after {
            damaged = damaged.filter(F::Digest.gt(after));
        }
        Ok(damaged.order_by_asc(F::Digest).limit(limit).into_tuple().all(self.db.reader()).await?)
    }

    /// How many files a range has, and how many bytes as published.
    pub async fn count_files(&self, range: DigestRange) -> Result<(u64, u64), RecordError> {
        // Both databases return a sum as another type than that of the column, unless it is cast.
        let sum = Expr::cust("CAST(COALESCE(SUM(size), 0) AS bigint)");
        let row: Option<(i64, i64)> = stored(range)
            .select_only()
            .column_as(F::Digest.count(), "files")
            .column_as(sum, "bytes")
            .into_tuple()
            .one(self.db.reader())
            .await?;
        let (files, bytes) = row.unwrap_or_default();
        Ok((natural(files)?, natural(bytes)?))
    }

    /// How files are recorded, whatever their state.
    pub async fn file_states(&self, digests: &[Digest]) -> Result<HashMap<Digest, FileState>, RecordError> {
        let mut states = HashMap::with_capacity(digests.len());
        for some in digests.chunks(500) {
            let rows =
                files::Entity::find().filter(F::Digest.is_in(padded(some.to_vec()))).all(self.db.reader()).await?;
            for row in rows {
                states.insert(row.digest, FileState::read(row)?);
            }
        }
        Ok(states)
    }

    /// The first files of a range that revisions have and that are not recorded as stored, in order.
    pub async fn unstored(&self, range: DigestRange, limit: u64) -> Result<Vec<Digest>, RecordError> {
        use revisions::Column as R;
        let is_stored =
            "NOT EXISTS (SELECT 1 FROM files WHERE files.digest = revisions.digest AND files.removed_at IS NULL)";
        Ok(revisions::Entity::find()
            .select_only()
            .column(R::Digest)
            .distinct()
            .filter(R::Digest.gte(range.first))
            .filter(R::Digest.lte(range.last))
            .filter(R::SweptAt.is_null())
            .filter(Expr::cust(is_stored))
            .order_by_asc(R::Digest)
            .limit(limit)
            .into_tuple()
            .all(self.db.reader())
            .await?)
    }
}
