//! The mark of a copy in progress, in `state` of the database that is written: of which instance, to which archive, and how far it is.
//! And the rows of `state` that belong to a database and not to the instance in it.
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::RowKind;
use super::{Columns, Dump, RowPosition, Table};
use crate::engine::record::entity::state;
use crate::engine::record::{RecordError, batch};

/// A copy into this database that has not ended.
const COPY: &str = "copy";

/// The instance of which this database is a complete copy.
const COPIED_FROM: &str = "copied_from";

/// A random id of the instance in this database.
const INSTANCE: &str = "instance";

/// Keys that are not copied, and beginnings of such keys: locks of processes, definitions of views.
const OWN: &[&str] = &[COPY, COPIED_FROM, INSTANCE, "restore", "probe"];
const OWN_PREFIXES: &[&str] = &["lock:", "view:"];

/// A copy that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyState {
    /// The instance that is copied.
    pub source: Uuid,
    /// The archive that its objects are copied to.
    pub archive: String,
    /// The rows up to here are copied; none while files are.
    pub rows: Option<RowPosition>,
}

/// How a copy into a database begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyStart {
    Begun,
    /// It was interrupted.
    Continued(CopyState),
    /// It has ended before.
    Complete,
    /// The database has another instance, or is the one to be copied.
    NotEmpty,
    /// It has a copy in progress: of another instance, or to another archive.
    Other(CopyState),
}

impl Dump {
    /// The id of the instance in this database, which is made when it is first asked for.
    pub async fn instance(&self) -> Result<Uuid, RecordError> {
        let txn = self.db.begin().await?;
        let new = state::ActiveModel { key: Set(INSTANCE.to_owned()), value: Set(Uuid::now_v7().to_string()) };
        batch::insert(&txn, vec![new], Some(OnConflict::new().do_nothing().to_owned())).await?;
        let id = read_id(&txn, INSTANCE).await?;
        txn.commit().await?;
        id.ok_or_else(|| RecordError::Corrupt(format!("`state` has no `{INSTANCE}`")))
    }

    /// The copy into this database that has not ended, if there is one.
    pub async fn copying(&self) -> Result<Option<CopyState>, RecordError> {
        read(self.db.jobs_reader()).await
    }

    /// Whether this database is a complete copy of an instance.
    pub async fn is_copy_of(&self, source: Uuid) -> Result<bool, RecordError> {
        Ok(read_id(self.db.jobs_reader(), COPIED_FROM).await? == Some(source))
    }

    /// Begins a copy of an instance into this database, or continues it.
    pub async fn begin_copy(&self, source: Uuid, archive: &str) -> Result<CopyStart, RecordError> {
        let txn = self.db.begin().await?;
        if let Some(state) = read(&txn).await? {
            let is_same = state.source == source && state.archive == archive;
            return Ok(if is_same { CopyStart::Continued(state) } else { CopyStart::Other(state) });
        }
        if read_id(&txn, COPIED_FROM).await? == Some(source) && read_id(&txn, INSTANCE).await? != Some(source) {
            return Ok(CopyStart::Complete);
        }
        for kind in RowKind::ALL.iter().filter(|kind| !kind.is_of_the_service()) {
            if !super::super::is_empty(&txn, *kind).await? {
                return Ok(CopyStart::NotEmpty);
            }
        }
        if read_id(&txn, INSTANCE).await? == Some(source) {
            return Ok(CopyStart::NotEmpty);
        }
        save(&txn, &CopyState { source, archive: archive.to_owned(), rows: None }).await?;
        txn.commit().await?;
        Ok(CopyStart::Begun)
    }

    /// Ends a copy: from now on a service can use the database.
    pub async fn end_copy(&self, source: Uuid) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        state::Entity::delete_by_id(COPY).exec(&txn).await?;
        put(&txn, COPIED_FROM, source.to_string()).await?;
        txn.commit().await?;
        self.db.notify_feed();
        Ok(())
    }
}

/// Whether a row of `state` belongs to the instance.
pub(super) fn is_copied(row: &Columns) -> bool {
    let key = row.get("key").and_then(Value::as_str).unwrap_or_default();
    !OWN.contains(&key) && !OWN_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

pub(super) async fn clear_state(txn: &DatabaseTransaction) -> Result<(), RecordError> {
    let is_own =
        OWN_PREFIXES.iter().fold(Condition::any().add(state::Column::Key.is_in(OWN.iter().copied())), |any, prefix| {
            any.add(state::Column::Key.starts_with(*prefix))
        });
    state::Entity::delete_many().filter(is_own.not()).exec(txn).await?;
    Ok(())
}

pub(super) async fn save(txn: &DatabaseTransaction, state: &CopyState) -> Result<(), RecordError> {
    let rows = state.rows.as_ref().map(|at| json!({ "table": at.table.as_str(), "after": at.after }));
    put(txn, COPY, json!({ "source": state.source, "archive": state.archive, "rows": rows }).to_string()).await
}

async fn put(txn: &DatabaseTransaction, key: &str, value: String) -> Result<(), RecordError> {
    let row = state::ActiveModel { key: Set(key.to_owned()), value: Set(value) };
    let replace = OnConflict::column(state::Column::Key).update_column(state::Column::Value).to_owned();
    Ok(batch::insert(txn, vec![row], Some(replace)).await?)
}

async fn read(db: &impl ConnectionTrait) -> Result<Option<CopyState>, RecordError> {
    let Some(row) = state::Entity::find_by_id(COPY).one(db).await? else { return Ok(None) };
    let state = serde_json::from_str(&row.value).ok().and_then(|value| parsed(&value));
    state.map(Some).ok_or_else(|| RecordError::Corrupt(format!("`{}` is not the state of a copy", row.value)))
}

fn parsed(value: &Value) -> Option<CopyState> {
    let rows = match &value["rows"] {
        Value::Null => None,
        rows => {
            let name = rows["table"].as_str()?;
            let table = *Table::ALL.iter().find(|table| table.as_str() == name)?;
            Some(RowPosition { table, after: rows["after"].as_object().cloned() })
        }
    };
    let source = value["source"].as_str()?.parse().ok()?;
    Some(CopyState { source, archive: value["archive"].as_str()?.to_owned(), rows })
}

async fn read_id(db: &impl ConnectionTrait, key: &str) -> Result<Option<Uuid>, RecordError> {
    let row = state::Entity::find_by_id(key).one(db).await?;
    let wrong = |value: &str| RecordError::Corrupt(format!("`{key}` of `state` is `{value}`, which is not an id"));
    row.map(|row| row.value.parse().map_err(|_| wrong(&row.value))).transpose()
}
