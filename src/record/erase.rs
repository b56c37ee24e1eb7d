//! Dead links leave the database, and its files.
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::entity::notifications;
use super::{Record, RecordError};
use crate::domain::millis;

impl Record {
    /// Cuts out the links that died, and makes SQLite forget the pages that held any link cut since the last call.
    ///
    /// The write-ahead log keeps old pages until it is emptied; a reader in the middle of a long query can put that off,
    /// so an error-free return says whether it was done. Called every few seconds.
    pub async fn erase_links(&self, now: Timestamp) -> Result<bool, RecordError> {
        let erased = notifications::Entity::update_many()
            .col_expr(notifications::Column::Link, Expr::value(None::<String>))
            .filter(notifications::Column::Link.is_not_null())
            .filter(notifications::Column::LinkExpiresAt.lte(millis(now)))
            .exec(&self.inner.writer)
            .await?;
        if erased.rows_affected > 0 {
            self.note_erased();
        }
        if self.is_shared() || !self.inner.erased.swap(false, Ordering::AcqRel) {
            return Ok(true);
        }
        let row = self.inner.writer.query_one_raw(sea_orm::Statement::from_string(
            self.inner.writer.get_database_backend(),
            "PRAGMA wal_checkpoint(TRUNCATE)",
        ));
        let busy: i32 = row.await?.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
        if busy != 0 {
            self.note_erased();
        }
        Ok(busy == 0)
    }

    pub(super) fn note_erased(&self) {
        self.inner.erased.store(true, Ordering::Release);
    }
}
