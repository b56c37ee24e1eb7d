//! Whole rows, out of one database and into another: what a plain export contains and a restore writes. A row is its columns as JSON, by
//! their names in the database.
mod copy;
mod json;
mod load;
mod snapshot;

use sea_orm::sea_query::{ArrayType, Expr, ExprTrait, OnConflict, Order, Value};
use sea_orm::{
    ActiveModelTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, IdenStatic, Iterable,
    ModelTrait, PrimaryKeyToColumn, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::Map;

use super::db::Db;
use super::entity::{
    changes, files, job_runs, members, notifications, product_aliases, product_removals, products, publications,
    replays, retention_runs, revisions, source_hours, sources, validators,
};
use super::{RecordError, batch};

pub use copy::{CopyStart, CopyState, FileRow, Frozen, RowPosition, Sequence, Table, TableSum};
pub use load::RestoreState;
pub use snapshot::{Cursor, Snapshot};

/// The columns of a row.
pub type Columns = Map<String, serde_json::Value>;

/// Reads whole rows for an export, and writes them in a restore.
#[derive(Clone)]
pub struct Dump {
    pub(super) db: Db,
}

macro_rules! kinds {
    ($($kind:ident $name:literal = $table:ident,)+) => {
        /// A kind of row, in the order of an export.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RowKind { $($kind),+ }

        impl RowKind {
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Its name in an export.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }
        }

        async fn read(
            txn: &DatabaseTransaction,
            kind: RowKind,
            after: Option<&[Value]>,
        ) -> Result<(Vec<Columns>, Option<Vec<Value>>), RecordError> {
            match kind { $(RowKind::$kind => read_table::<$table::Entity>(txn, after).await),+ }
        }

        async fn insert(
            txn: &DatabaseTransaction,
            kind: RowKind,
            rows: &[Columns],
            or: Option<OnConflict>,
        ) -> Result<(), RecordError> {
            match kind { $(RowKind::$kind => insert_into::<$table::Entity>(txn, rows, or).await),+ }
        }

        async fn is_empty(txn: &DatabaseTransaction, kind: RowKind) -> Result<bool, RecordError> {
            match kind { $(RowKind::$kind => Ok($table::Entity::find().one(txn).await?.is_none())),+ }
        }
    };
}

kinds! {
    Source "source" = sources,
    SourceHour "sourceHour" = source_hours,
    Product "product" = products,
    Alias "alias" = product_aliases,
    Publication "publication" = publications,
    Revision "revision" = revisions,
    File "file" = files,
    Member "member" = members,
    Notification "notification" = notifications,
    Replay "replay" = replays,
    Validator "validator" = validators,
    Change "change" = changes,
    RetentionRun "retentionRun" = retention_runs,
    ProductRemoval "productRemoval" = product_removals,
    JobRun "jobRun" = job_runs,
}

impl RowKind {
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

/// The next rows in the order of the primary key, and the key of the last one.
async fn read_table<E: EntityTrait>(
    txn: &impl ConnectionTrait,
    after: Option<&[Value]>,
) -> Result<(Vec<Columns>, Option<Vec<Value>>), RecordError> {
    let keys: Vec<E::Column> = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect();
    let by: Vec<Expr> = keys.iter().map(|key| in_one_order::<E>(txn.get_database_backend(), *key)).collect();
    let mut select = E::find().limit(batch::PAGE);
    for key in &by {
        select = select.order_by(key.clone(), Order::Asc);
    }
    if let Some(after) = after {
        select = select.filter(is_after(&by, after)?);
    }
    let rows = select.all(txn).await?;
    let last = rows.last().map(|row| keys.iter().map(|key| row.get(*key)).collect());
    Ok((rows.iter().map(columns::<E>).collect::<Result<_, _>>()?, last))
}

fn columns<E: EntityTrait>(row: &E::Model) -> Result<Columns, RecordError> {
    let column = |column: E::Column| {
        let name = column.as_str();
        Ok((name.to_owned(), json::to_json(row.get(column), json::is_text(name))?))
    };
    E::Column::iter().map(column).collect()
}

/// A key column, for an order that is the same in every database: PostgreSQL sorts text by the language of its server.
fn in_one_order<E: EntityTrait>(backend: DbBackend, key: E::Column) -> Expr {
    let column = Expr::col((E::default(), key));
    let is_text = E::Model::get_value_type(key) == ArrayType::String;
    if is_text && backend == DbBackend::Postgres { Expr::cust_with_expr("$1 COLLATE \"C\"", column) } else { column }
}

/// Written so that the index of the primary key is used for its first column at least.
fn is_after(keys: &[Expr], after: &[Value]) -> Result<Condition, RecordError> {
    match (keys, after) {
        ([key], [value]) => Ok(Condition::all().add(key.clone().gt(value.clone()))),
        ([first, second], [value, second_value]) => {
            let is_beyond =
                Condition::any().add(first.clone().gt(value.clone())).add(second.clone().gt(second_value.clone()));
            Ok(Condition::all().add(first.clone().gte(value.clone())).add(is_beyond))
        }
        _ => Err(RecordError::OutOfRange(format!("a primary key of {} columns", keys.len()))),
    }
}

/// Columns that are absent get the database's default; columns that this version does not have are an error.
async fn insert_into<E: EntityTrait>(
    txn: &DatabaseTransaction,
    rows: &[Columns],
    or: Option<OnConflict>,
) -> Result<(), RecordError>
where
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    let models = rows.iter().map(|row| {
        let mut model = <E::ActiveModel as ActiveModelTrait>::default();
        let mut known = 0;
        for column in E::Column::iter() {
            let name = column.as_str();
            let Some(value) = row.get(name) else { continue };
            known += 1;
            let wrong = || RecordError::InvalidRow(format!("`{name}` has an invalid value"));
            let typed = json::from_json(value, &E::Model::get_value_type(column), json::is_text(name));
            model.try_set(column, typed.ok_or_else(wrong)?).map_err(|_| wrong())?;
        }
        if known == row.len() { Ok(model) } else { Err(unknown_column::<E>(row)) }
    });
    Ok(batch::insert(txn, models.collect::<Result<Vec<_>, _>>()?, or).await?)
}

fn unknown_column<E: EntityTrait>(row: &Columns) -> RecordError {
    let known: Vec<&str> = E::Column::iter().map(|column| column.as_str()).collect();
    let name = row.keys().find(|name| !known.contains(&name.as_str())).cloned().unwrap_or_default();
    RecordError::InvalidRow(format!("this version has no column `{name}`; a newer Acervo wrote the export"))
}
