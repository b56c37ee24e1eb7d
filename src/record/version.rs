//! Whether anything was committed since.
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};

use super::{Record, RecordError};

/// Stands for the state of the whole record: as long as it is the same, nothing was committed, by whatever process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

impl Record {
    /// The present state, for the price of one small question.
    pub async fn version(&self) -> Result<Version, RecordError> {
        // SQLite counts, for each connection, the commits of all others that it sees; PostgreSQL names the transactions that
        // a snapshot sees.
        let ask = async |connection: &DatabaseConnection, question| {
            let statement = Statement::from_string(connection.get_database_backend(), question);
            let row = connection.query_one_raw(statement).await?;
            row.ok_or_else(|| DbErr::RecordNotFound("the database tells no version".to_owned()))
        };
        Ok(Version(match &self.inner.versions {
            Some(connection) => ask(connection, "PRAGMA data_version").await?.try_get_by_index::<i64>(0)?.to_string(),
            None => ask(self.reader(), "SELECT CAST(pg_current_snapshot() AS text)").await?.try_get_by_index(0)?,
        }))
    }
}
