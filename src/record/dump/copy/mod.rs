//! All rows of an instance, out of one database and into another, whichever each of them is.
//!
//! Unlike an export, a copy has every table: links, sessions, keys that were revoked, positions of hooks, what verification found. Rows
//! have the same ids and numbers, and numbers that were assigned once are not assigned again. `mark.rs` has the mark of a copy in progress.
mod mark;
mod sequences;

use std::collections::HashMap;

use sea_orm::sea_query::{OnConflict, Value};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityName, EntityTrait, IdenStatic, Iterable, ModelTrait,
    PaginatorTrait, PrimaryKeyToColumn, QueryFilter,
};

use super::{Columns, Dump, insert_into, json, read_table};
use crate::domain::{Digest, Encoding, StoredFile};
use crate::engine::record::batch::padded;
use crate::engine::record::entity::{
    changes, files, findings, hook_deliveries, hook_events, hook_letters, hooks, job_runs, key_uses, members,
    notifications, product_aliases, product_removals, products, publications, replays, retention_runs, revisions,
    revoked_keys, sessions, source_hours, sources, state, totals, validators, verify_cycles, verify_runs,
};
use crate::engine::record::{RecordError, postgres};

pub use mark::{CopyStart, CopyState};
pub use sequences::Sequence;

macro_rules! tables {
    ($($table:ident = $name:ident,)+) => {
        /// A table, in the order in which they are copied.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Table { $($table),+ }

        impl Table {
            pub const ALL: &[Self] = &[$(Self::$table),+];

            /// Its name in the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$table => $name::Entity.table_name()),+ }
            }

            async fn read(self, db: &impl ConnectionTrait, after: Option<&Columns>) -> Result<Vec<Columns>, RecordError> {
                match self { $(Self::$table => read_after::<$name::Entity>(db, after).await),+ }
            }

            /// Inserts rows, or replaces those with their keys.
            async fn write(self, txn: &DatabaseTransaction, rows: &[Columns]) -> Result<(), RecordError> {
                match self {
                    $(Self::$table => insert_into::<$name::Entity>(txn, rows, Some(replacing::<$name::Entity>())).await),+
                }
            }

            async fn delete_all(self, txn: &DatabaseTransaction) -> Result<(), RecordError> {
                match self { $(Self::$table => _ = $name::Entity::delete_many().exec(txn).await?),+ }
                Ok(())
            }

            async fn count(self, db: &impl ConnectionTrait) -> Result<u64, RecordError> {
                match self { $(Self::$table => Ok($name::Entity::find().count(db).await?)),+ }
            }

            fn key_of(self, row: &Columns) -> Columns {
                match self { $(Self::$table => key_of::<$name::Entity>(row)),+ }
            }
        }
    };
}

tables! {
    Sources = sources,
    SourceHours = source_hours,
    Products = products,
    ProductAliases = product_aliases,
    Publications = publications,
    Revisions = revisions,
    Files = files,
    Members = members,
    Notifications = notifications,
    Replays = replays,
    Validators = validators,
    Changes = changes,
    RetentionRuns = retention_runs,
    ProductRemovals = product_removals,
    JobRuns = job_runs,
    KeyUses = key_uses,
    RevokedKeys = revoked_keys,
    Sessions = sessions,
    Findings = findings,
    VerifyRuns = verify_runs,
    VerifyCycles = verify_cycles,
    Hooks = hooks,
    HookEvents = hook_events,
    HookLetters = hook_letters,
    HookDeliveries = hook_deliveries,
    State = state,
    // The last: triggers count what is written to the others.
    Totals = totals,
}

impl Table {
    /// Tables that say something about processes, and nothing about the instance.
    pub const NOT_COPIED: &[&str] = &["replicas"];
}

/// A position in all rows: after some rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPosition {
    pub table: Table,
    /// The key of the last row; none at the beginning of the table.
    pub after: Option<Columns>,
}

/// The rows of a table in one number, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSum {
    pub rows: u64,
    /// Of the SHA-256 of each row.
    sum: [u64; 4],
}

impl TableSum {
    fn add(&mut self, row: &Columns) {
        self.rows += 1;
        let digest = Digest::of(serde_json::Value::Object(row.clone()).to_string().as_bytes());
        for (lane, bytes) in self.sum.iter_mut().zip(digest.0.as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_le_bytes(*bytes));
        }
    }
}

/// The row of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRow {
    pub columns: Columns,
    pub file: StoredFile,
    /// Of the object as stored, if it is known.
    pub stored_digest: Option<Digest>,
    /// Whether its object must exist: it was neither deleted, nor is it about to be.
    pub is_stored: bool,
    pub is_damaged: bool,
}

impl FileRow {
    /// Whether another database has the same sound object.
    pub fn is_copied_as(&self, copy: &Self) -> bool {
        let is_sound = |row: &Self| row.is_stored && !row.is_damaged;
        is_sound(self) && is_sound(copy) && self.file == copy.file && self.stored_digest == copy.stored_digest
    }

    fn of(columns: Columns) -> Result<Self, RecordError> {
        let wrong = |name: &str| RecordError::Corrupt(format!("`{name}` of a file has an invalid value"));
        let text = |name: &str| columns.get(name).and_then(serde_json::Value::as_str);
        let digest = |name: &str| text(name).map(|text| text.parse::<Digest>().map_err(|_| wrong(name))).transpose();
        let size = |name: &str| {
            let size = columns.get(name).and_then(serde_json::Value::as_i64);
            size.and_then(|size| u64::try_from(size).ok()).ok_or_else(|| wrong(name))
        };
        let is_null = |name: &str| columns.get(name).is_none_or(serde_json::Value::is_null);
        let file = StoredFile {
            digest: digest("digest")?.ok_or_else(|| wrong("digest"))?,
            encoding: text("encoding")
                .and_then(|text| text.parse::<Encoding>().ok())
                .ok_or_else(|| wrong("encoding"))?,
            base: digest("base")?,
            size: size("size")?,
            stored_size: size("stored_size")?,
        };
        let stored_digest = digest("stored_digest")?;
        let is_stored = ["removed_at", "tombstone_at", "removal_failed_at"].into_iter().all(is_null);
        let is_damaged = !is_null("damaged_at");
        Ok(Self { file, stored_digest, is_stored, is_damaged, columns })
    }
}

/// A database in which nothing is committed until this is closed.
pub struct Frozen {
    txn: DatabaseTransaction,
}

impl Frozen {
    /// The next rows of a table that belong to a copy; `None` after the last. Moves the position.
    pub async fn next(&self, position: &mut RowPosition) -> Result<Option<Vec<Columns>>, RecordError> {
        next(&self.txn, position).await
    }

    /// The next files, by digest; none after the last.
    pub async fn files_after(&self, after: Option<Digest>) -> Result<Vec<FileRow>, RecordError> {
        files_after(&self.txn, after).await
    }

    pub async fn count(&self, table: Table) -> Result<u64, RecordError> {
        table.count(&self.txn).await
    }

    pub async fn sum(&self, table: Table) -> Result<TableSum, RecordError> {
        sum(&self.txn, table).await
    }

    /// The last numbers that were assigned.
    pub async fn sequences(&self) -> Result<Vec<Sequence>, RecordError> {
        sequences::read(&self.txn).await
    }

    pub async fn close(self) -> Result<(), RecordError> {
        Ok(self.txn.rollback().await?)
    }
}

impl Dump {
    /// Other processes that use this database. Those of SQLite's are not known: they are on this machine, and a service of theirs has
    /// locked the data folder.
    pub async fn other_processes(&self) -> Result<u64, RecordError> {
        if self.db.is_shared() { postgres::other_processes(self.db.jobs_reader()).await } else { Ok(0) }
    }

    /// Waits until no transaction writes, and lets none begin until the result is closed. On PostgreSQL this holds for all machines.
    pub async fn freeze(&self) -> Result<Frozen, RecordError> {
        let txn = self.db.begin().await?;
        if self.db.is_shared() {
            txn.execute_unprepared(
                "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0",
            )
            .await?;
        }
        Ok(Frozen { txn })
    }

    /// The next files, by digest; none after the last.
    pub async fn files_after(&self, after: Option<Digest>) -> Result<Vec<FileRow>, RecordError> {
        files_after(self.db.jobs_reader(), after).await
    }

    /// The rows of files, by digest, where there are any.
    pub async fn files_of(&self, digests: Vec<Digest>) -> Result<HashMap<Digest, FileRow>, RecordError> {
        let found = files::Entity::find().filter(files::Column::Digest.is_in(padded(digests)));
        let rows = found.all(self.db.jobs_reader()).await?;
        let row = |row| {
            let row = FileRow::of(super::columns::<files::Entity>(&row)?)?;
            Ok((row.file.digest, row))
        };
        rows.into_iter().map(row).collect()
    }

    pub async fn count(&self, table: Table) -> Result<u64, RecordError> {
        table.count(self.db.jobs_reader()).await
    }

    pub async fn sum(&self, table: Table) -> Result<TableSum, RecordError> {
        sum(self.db.jobs_reader(), table).await
    }

    /// Deletes the rows of a table that would be copied, in one transaction with the new state.
    pub async fn clear(&self, table: Table, state: &CopyState) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        if self.db.is_shared() {
            txn.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
        }
        match table {
            Table::State => mark::clear_state(&txn).await?,
            table => table.delete_all(&txn).await?,
        }
        mark::save(&txn, state).await?;
        Ok(txn.commit().await?)
    }

    /// Writes rows, in place of those with their keys, in one transaction with the new state.
    pub async fn write(&self, table: Table, rows: &[Columns], state: &CopyState) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        table.write(&txn, rows).await?;
        mark::save(&txn, state).await?;
        Ok(txn.commit().await?)
    }
}

async fn next(db: &impl ConnectionTrait, position: &mut RowPosition) -> Result<Option<Vec<Columns>>, RecordError> {
    let mut rows = position.table.read(db, position.after.as_ref()).await?;
    let Some(last) = rows.last() else { return Ok(None) };
    position.after = Some(position.table.key_of(last));
    if position.table == Table::State {
        rows.retain(mark::is_copied);
    }
    Ok(Some(rows))
}

async fn sum(db: &impl ConnectionTrait, table: Table) -> Result<TableSum, RecordError> {
    let (mut sum, mut position) = (TableSum::default(), RowPosition { table, after: None });
    while let Some(rows) = next(db, &mut position).await? {
        rows.iter().for_each(|row| sum.add(row));
    }
    Ok(sum)
}

async fn files_after(db: &impl ConnectionTrait, after: Option<Digest>) -> Result<Vec<FileRow>, RecordError> {
    let after = after.map(|digest| [Value::from(digest)]);
    let (rows, _) = read_table::<files::Entity>(db, after.as_ref().map(<[Value; 1]>::as_slice)).await?;
    rows.into_iter().map(FileRow::of).collect()
}

async fn read_after<E: EntityTrait>(
    db: &impl ConnectionTrait,
    after: Option<&Columns>,
) -> Result<Vec<Columns>, RecordError> {
    let values = after.map(key_values::<E>).transpose()?;
    Ok(read_table::<E>(db, values.as_deref()).await?.0)
}

fn keys<E: EntityTrait>() -> Vec<E::Column> {
    E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect()
}

fn key_of<E: EntityTrait>(row: &Columns) -> Columns {
    let names: Vec<&str> = keys::<E>().iter().map(|column| column.as_str()).collect();
    row.iter()
        .filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn key_values<E: EntityTrait>(key: &Columns) -> Result<Vec<Value>, RecordError> {
    let value = |column: E::Column| {
        let name = column.as_str();
        let value = key.get(name).and_then(|value| {
            json::from_json(value, &<E::Model as ModelTrait>::get_value_type(column), json::is_text(name))
        });
        value.ok_or_else(|| RecordError::Corrupt(format!("the position of a copy has no valid `{name}`")))
    };
    keys::<E>().into_iter().map(value).collect()
}

/// On a row with the same key, every other column is replaced.
fn replacing<E: EntityTrait>() -> OnConflict {
    let keys = keys::<E>();
    let names: Vec<&str> = keys.iter().map(|column| column.as_str()).collect();
    let others: Vec<E::Column> = E::Column::iter().filter(|column| !names.contains(&column.as_str())).collect();
    OnConflict::columns(keys).update_columns(others).to_owned()
}
