//! A copy of the database as it is at one moment, for a backup.
use std::path::Path;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, Statement,
};

use super::RecordError;
use super::db::Db;
use super::entity::{files, state};
use crate::domain::{Digest, Encoding, Locator};
use files::Column as F;

/// Copies of SQLite's database.
#[derive(Clone)]
pub struct Backup {
    pub(super) db: Db,
}

/// The object of a stored file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredObject {
    pub locator: Locator,
    /// Of the object as stored, if it is known.
    pub stored_digest: Option<Digest>,
}

impl Backup {
    /// Copies the database to a new file, as it is at one moment. No writer waits for it, but the write-ahead log grows until it ends.
    pub async fn copy_to(&self, path: &Path) -> Result<DatabaseCopy, RecordError> {
        let name = path.to_str().ok_or_else(|| RecordError::OutOfRange(format!("the path {}", path.display())))?;
        let vacuum = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [name.into()]);
        self.db.reader().execute_raw(vacuum).await?;
        let copy = DatabaseCopy { connection: open(path).await? };
        // Held by processes that do not work on the copy.
        state::Entity::delete_many().filter(state::Column::Key.starts_with("lock:")).exec(&copy.connection).await?;
        Ok(copy)
    }

    /// Copies the write-ahead log of another database back into it. Nothing else may use it.
    pub async fn copy_log_back(&self, path: &Path) -> Result<(), RecordError> {
        Ok(open(path).await?.close().await?)
    }

    /// The objects of stored files as they are now, by digest.
    pub async fn objects_after(&self, after: Option<Digest>, limit: u64) -> Result<Vec<StoredObject>, RecordError> {
        objects_after(self.db.reader(), after, limit).await
    }

    /// Those after a digest, up to another one.
    pub async fn objects_up_to(&self, after: Option<Digest>, last: Digest) -> Result<Vec<StoredObject>, RecordError> {
        let mut some = files::Entity::find().filter(F::Digest.lte(last));
        if let Some(after) = after {
            some = some.filter(F::Digest.gt(after));
        }
        objects(some, self.db.reader()).await
    }
}

/// A database that was copied.
pub struct DatabaseCopy {
    connection: DatabaseConnection,
}

impl DatabaseCopy {
    /// The objects that it needs, by digest.
    pub async fn objects_after(&self, after: Option<Digest>, limit: u64) -> Result<Vec<StoredObject>, RecordError> {
        objects_after(&self.connection, after, limit).await
    }

    /// Those of the files whose digest begins with a byte.
    pub async fn objects_of(&self, first_byte: u8) -> Result<Vec<StoredObject>, RecordError> {
        let (mut first, mut last) = ([0; 32], [0xff; 32]);
        (first[0], last[0]) = (first_byte, first_byte);
        objects(files::Entity::find().filter(F::Digest.between(Digest(first), Digest(last))), &self.connection).await
    }

    pub async fn close(self) -> Result<(), RecordError> {
        Ok(self.connection.close().await?)
    }
}

async fn open(path: &Path) -> Result<DatabaseConnection, RecordError> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    let path = path.to_owned();
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(move |options| {
        // Without a write-ahead log it is one file.
        let options = options.filename(&path).in_memory(false).shared_cache(false).create_if_missing(false);
        options
            .journal_mode(SqliteJournalMode::Delete)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
    });
    Ok(Database::connect(options).await?)
}

async fn objects_after<C: ConnectionTrait>(
    connection: &C,
    after: Option<Digest>,
    limit: u64,
) -> Result<Vec<StoredObject>, RecordError> {
    let mut all = files::Entity::find().order_by_asc(F::Digest).limit(limit);
    if let Some(after) = after {
        all = all.filter(F::Digest.gt(after));
    }
    objects(all, connection).await
}

/// What a sweep is about to delete, or could not delete, is not needed.
async fn objects<C: ConnectionTrait>(
    of: sea_orm::Select<files::Entity>,
    connection: &C,
) -> Result<Vec<StoredObject>, RecordError> {
    let rows: Vec<(Digest, Encoding, Option<Digest>)> = of
        .select_only()
        .columns([F::Digest, F::Encoding, F::StoredDigest])
        .filter(F::RemovedAt.is_null())
        .filter(F::TombstoneAt.is_null())
        .filter(F::RemovalFailedAt.is_null())
        .into_tuple()
        .all(connection)
        .await?;
    let object = |(digest, encoding, stored_digest): (Digest, Encoding, Option<Digest>)| StoredObject {
        locator: Locator { digest, encoding },
        stored_digest,
    };
    Ok(rows.into_iter().map(object).collect())
}
