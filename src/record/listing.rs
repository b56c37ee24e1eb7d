//! Zips whose members are listed after their files were recorded, since that takes long.
use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, Set};

use super::entity::{files, members, revisions};
use super::rows::{digest, long, natural};
use super::{Member, Record, RecordError, StoredFile, batch, feed};
use crate::domain::{ChangeKind, Digest, PublicationId, RevisionId, millis};
use files::Column as F;

impl Record {
    /// The file whose members are to be listed next.
    pub async fn next_to_list(&self, now: Timestamp) -> Result<Option<StoredFile>, RecordError> {
        let row = files::Entity::find()
            .filter(F::ListAt.lte(millis(now)))
            .filter(F::RemovedAt.is_null())
            .order_by_asc(F::ListAt)
            .one(self.reader())
            .await?;
        row.map(stored_file).transpose()
    }

    /// How a file is stored; `None` where its bytes are not in the archive.
    pub async fn stored_file(&self, file: Digest) -> Result<Option<StoredFile>, RecordError> {
        let row = files::Entity::find_by_id(file.0.to_vec()).filter(F::RemovedAt.is_null()).one(self.reader()).await?;
        row.map(stored_file).transpose()
    }

    /// Has a file's members listed later.
    pub async fn list_later(&self, file: Digest, at: Timestamp) -> Result<(), RecordError> {
        let txn = self.begin().await?;
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
        let txn = self.begin().await?;
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
        self.tell_feed();
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

async fn add_warning(txn: &DatabaseTransaction, row: revisions::Model, warning: &str) -> Result<(), RecordError> {
    let corrupt = |e: serde_json::Error| RecordError::Corrupt(e.to_string());
    let mut warnings: Vec<String> = serde_json::from_str(&row.warnings).map_err(corrupt)?;
    warnings.push(warning.to_owned());
    let warnings = serde_json::to_string(&warnings).map_err(corrupt)?;
    let changed = revisions::ActiveModel { id: Set(row.id), warnings: Set(warnings), ..Default::default() };
    changed.update_without_returning(txn).await?;
    Ok(())
}

pub(super) async fn insert_members(txn: &DatabaseTransaction, file: Digest, found: &[Member]) -> Result<(), DbErr> {
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
