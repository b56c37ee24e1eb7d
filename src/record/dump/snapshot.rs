//! All rows as they are at one moment.
use sea_orm::sea_query::Value;
use sea_orm::{AccessMode, DatabaseTransaction, IsolationLevel, TransactionTrait};

use super::{Columns, Dump, RowKind, read};
use crate::engine::record::RecordError;

/// Reads the rows of one moment, whatever is committed meanwhile. Nothing waits for it, but SQLite's write-ahead log grows until it
/// is closed, and PostgreSQL ends it if it is idle for ten seconds.
pub struct Snapshot {
    txn: DatabaseTransaction,
}

/// A position in the rows of one kind.
#[derive(Default)]
pub struct Cursor {
    last: Option<Vec<Value>>,
}

impl Dump {
    pub async fn snapshot(&self) -> Result<Snapshot, RecordError> {
        let reader = self.db.reader();
        let txn = match self.db.is_shared() {
            false => reader.begin().await?,
            true => reader.begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)).await?,
        };
        Ok(Snapshot { txn })
    }
}

impl Snapshot {
    /// The next rows of a kind; none after the last.
    pub async fn next(&self, kind: RowKind, cursor: &mut Cursor) -> Result<Vec<Columns>, RecordError> {
        let (rows, last) = read(&self.txn, kind, cursor.last.as_deref()).await?;
        if last.is_some() {
            cursor.last = last;
        }
        Ok(rows)
    }

    pub async fn close(self) -> Result<(), RecordError> {
        Ok(self.txn.rollback().await?)
    }
}
