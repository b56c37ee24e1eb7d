//! Numbers that the database assigns. A row with a number of its own does not move PostgreSQL's sequence, and the last numbers may be
//! those of rows that were deleted since.
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};

use super::Dump;
use crate::engine::record::RecordError;

/// Tables whose numbers are assigned by the database, and the columns of these.
const NUMBERED: &[(&str, &str)] =
    &[("changes", "number"), ("hook_events", "id"), ("hook_letters", "id"), ("hook_deliveries", "id")];

/// The last number that was assigned to a row of a table; 0 if there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    table: &'static str,
    column: &'static str,
    last: i64,
}

pub(super) async fn read(txn: &DatabaseTransaction) -> Result<Vec<Sequence>, RecordError> {
    let mut found = Vec::new();
    for (table, column) in NUMBERED.iter().copied() {
        let statement = match txn.get_database_backend() {
            DbBackend::Sqlite => format!("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = '{table}'"),
            _ => format!(
                "SELECT COALESCE(pg_sequence_last_value(pg_get_serial_sequence('{table}', '{column}')::regclass), 0)"
            ),
        };
        let row = txn.query_one_raw(Statement::from_string(txn.get_database_backend(), statement)).await?;
        let last = row.map(|row| row.try_get_by_index(0)).transpose()?;
        let last = last.ok_or_else(|| RecordError::Corrupt(format!("{table} has no last number")))?;
        found.push(Sequence { table, column, last });
    }
    Ok(found)
}

impl Dump {
    /// Lets the next numbers follow these.
    pub async fn set_sequences(&self, sequences: &[Sequence]) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        for Sequence { table, column, last } in sequences {
            if self.db.is_shared() {
                let set = "SELECT setval(pg_get_serial_sequence";
                txn.execute_unprepared(&format!("{set}('{table}', '{column}'), {}, {})", (*last).max(1), *last > 0))
                    .await?;
            } else {
                txn.execute_unprepared(&format!("DELETE FROM sqlite_sequence WHERE name = '{table}'")).await?;
                let set = "INSERT INTO sqlite_sequence (name, seq) VALUES";
                txn.execute_unprepared(&format!("{set} ('{table}', {last})")).await?;
            }
        }
        Ok(txn.commit().await?)
    }
}
