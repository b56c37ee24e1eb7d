//! Damaged files: they do not read back as they were archived. The mark stays until good bytes have replaced the bad ones.
use std::collections::HashSet;

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::Files;
use crate::domain::{Breakage, Digest, RevisionId, StoredFile, millis, timestamp};
use crate::engine::record::RecordError;
use crate::engine::record::entity::{files, revisions};
use files::Column as F;

/// A damaged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedFile {
    pub digest: Digest,
    pub since: Timestamp,
    /// What is wrong with it. Files that an earlier version found to be damaged have no kind.
    pub damage: Option<Breakage>,
    /// The newest revision that has it, if any is left.
    pub revision: Option<RevisionId>,
}

impl Files {
    /// Notes that a file, read as it is given here, is damaged, and how. `false` if it was known to be damaged, or is stored in another
    /// encoding by now.
    pub async fn mark_damaged(&self, file: &StoredFile, damage: Breakage, now: Timestamp) -> Result<bool, RecordError> {
        let txn = self.db.begin().await?;
        let marked = files::Entity::update_many()
            .col_expr(F::DamagedAt, Expr::value(millis(now)))
            .col_expr(F::Damage, Expr::value(damage))
            .filter(F::Digest.eq(file.digest))
            .filter(F::Encoding.eq(file.encoding))
            .filter(F::DamagedAt.is_null())
            .filter(F::RemovedAt.is_null())
            // Its bytes are being removed.
            .filter(F::TombstoneAt.is_null())
            .exec(&txn)
            .await?;
        txn.commit().await?;
        Ok(marked.rows_affected > 0)
    }

    /// Notes how files are damaged that were read as they are given here. Returns those that are recorded in the same way still: others were
    /// removed or replaced in the meantime.
    pub async fn mark_read_as_damaged(
        &self,
        read: &[(StoredFile, Breakage)],
        now: Timestamp,
    ) -> Result<Vec<StoredFile>, RecordError> {
        let mut marked = Vec::with_capacity(read.len());
        let txn = self.db.begin().await?;
        for (file, damage) in read {
            let found = files::Entity::update_many()
                .col_expr(F::DamagedAt, Expr::expr(Func::coalesce([Expr::col(F::DamagedAt), Expr::value(millis(now))])))
                .col_expr(F::Damage, Expr::value(*damage))
                .filter(F::Digest.eq(file.digest))
                .filter(F::Encoding.eq(file.encoding))
                .filter(match file.base {
                    Some(base) => F::Base.eq(base),
                    None => F::Base.is_null(),
                })
                .filter(F::RemovedAt.is_null())
                .filter(F::TombstoneAt.is_null())
                .exec(&txn)
                .await?;
            if found.rows_affected > 0 {
                marked.push(*file);
            }
        }
        txn.commit().await?;
        Ok(marked)
    }

    /// Notes that a file reads back as it was archived.
    pub async fn lift_damage(&self, file: Digest) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        files::Entity::update_many()
            .col_expr(F::DamagedAt, Expr::value(None::<i64>))
            .col_expr(F::Damage, Expr::value(None::<Breakage>))
            .filter(F::Digest.eq(file))
            .exec(&txn)
            .await?;
        txn.commit().await?;
        Ok(())
    }

    /// Records the digests of objects as they are stored, where they were not known.
    pub async fn save_stored_digests(&self, known: &[(StoredFile, Digest)]) -> Result<(), RecordError> {
        if known.is_empty() {
            return Ok(());
        }
        let txn = self.db.begin().await?;
        for (file, stored) in known {
            files::Entity::update_many()
                .col_expr(F::StoredDigest, Expr::value(*stored))
                .filter(F::Digest.eq(file.digest))
                .filter(F::Encoding.eq(file.encoding))
                .filter(F::StoredDigest.is_null())
                .exec(&txn)
                .await?;
        }
        Ok(txn.commit().await?)
    }

    /// Whether a file is known to be damaged.
    pub async fn is_damaged(&self, file: Digest) -> Result<bool, RecordError> {
        Ok(is_damaged(self.db.reader(), file).await?)
    }

    /// Those of some files that are known to be damaged.
    pub async fn damaged_among(&self, some: &[Digest]) -> Result<HashSet<Digest>, RecordError> {
        let rows: Vec<Digest> = files::Entity::find()
            .select_only()
            .column(F::Digest)
            .filter(F::Digest.is_in(some.iter().copied()))
            .filter(F::DamagedAt.is_not_null())
            .into_tuple()
            .all(self.db.reader())
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// How many files are known to be damaged, and those that have been damaged longest.
    pub async fn damaged(&self, limit: u64) -> Result<(u64, Vec<DamagedFile>), RecordError> {
        let all =
            files::Entity::find().filter(Condition::all().add(F::DamagedAt.is_not_null()).add(F::RemovedAt.is_null()));
        let total = all.clone().count(self.db.reader()).await?;
        let mut damaged = Vec::new();
        let condition_of = |row: &files::Model| {
            row.damaged_at.ok_or_else(|| RecordError::Corrupt(format!("the file {} has no time of damage", row.digest)))
        };
        for row in all.order_by_asc(F::DamagedAt).limit(limit).all(self.db.reader()).await? {
            let since = condition_of(&row)?;
            let revision = revisions::Entity::find()
                .filter(revisions::Column::Digest.eq(row.digest))
                .order_by_desc(revisions::Column::ArchivedAt)
                .one(self.db.reader())
                .await?;
            damaged.push(DamagedFile {
                digest: row.digest,
                since: timestamp(since),
                damage: row.damage,
                revision: revision.map(|row| RevisionId(row.id)),
            });
        }
        Ok((total, damaged))
    }
}

/// Whether a file is known to be damaged.
pub(in crate::engine::record) async fn is_damaged(
    connection: &impl ConnectionTrait,
    file: Digest,
) -> Result<bool, DbErr> {
    let row = files::Entity::find_by_id(file).one(connection).await?;
    Ok(row.is_some_and(|row| row.damaged_at.is_some() && row.removed_at.is_none()))
}
