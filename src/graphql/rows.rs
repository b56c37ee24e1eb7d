//! Lists of rows. A selection of columns only is filled in one loop from the list of columns that the exports write from;
//! anything else is left to the resolvers, which for a list of a hundred rows take longer than finding and reading them. A list
//! is selected once: documents come here in their normal form (`normal`). For an edge that writes the whole response by
//! [`to_json`] the loop writes JSON itself; for others it makes values.
use std::borrow::Cow;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::resolve_list;
use async_graphql::{
    ContextSelectionSet, Name, OutputType, Pos, Positioned, Response, ServerError, ServerResult, Value,
};

use super::shape::PLACEHOLDER;
use crate::contract::too_large;
use crate::domain::format_instant;
use crate::query::{Cell, Column, PageText, Queries, TableRow};

/// A type of rows that lists consist of.
pub trait Row: OutputType + Clone {
    type Table: TableRow;

    /// What its columns are filled from.
    fn table_row(&self) -> &Self::Table;
}

/// Rows without columns of this kind: their lists are short.
impl TableRow for () {
    const COLUMNS: &'static [Column<Self>] = &[];
}

/// A list of rows.
pub struct Rows<'a, T: Row> {
    pub rows: Cow<'a, [T]>,
    /// The rows as they were written for another request.
    pub text: Option<&'a PageText>,
}

impl<T: Row> From<Vec<T>> for Rows<'static, T> {
    fn from(rows: Vec<T>) -> Self {
        Self { rows: rows.into(), text: None }
    }
}

impl<T: Row> OutputType for Rows<'_, T> {
    fn type_name() -> Cow<'static, str> {
        <Vec<T> as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<T> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        let may_write = ctx.data_opt::<FieldByField>().is_none();
        let wanted = may_write.then(|| columns_alone::<T>(&ctx.item.node)).flatten();
        let (Some(wanted), Some(queries)) = (wanted, ctx.data_opt::<Queries>()) else {
            return resolve_list(ctx, field, self.rows.iter(), Some(self.rows.len())).await;
        };
        Ok(match ctx.data_opt::<TakesJson>() {
            Some(TakesJson) => {
                let write = || rows_as_json(&self.rows, &wanted, queries, field.pos);
                Value::Binary(match self.text {
                    Some(text) => text.get_or_write(&selection_key(&wanted), write)?,
                    None => write()?.into(),
                })
            }
            None => {
                let rows = self.rows.iter().map(|row| object(row, &wanted, queries, field.pos));
                Value::List(rows.collect::<ServerResult<_>>()?)
            }
        })
    }
}

/// Added to a request whose lists are to be filled by resolvers; the fast path must give the same response.
pub struct FieldByField;

/// Added to a request whose response is written by [`to_json`]: its lists may be JSON already.
pub struct TakesJson;

/// A response as the specification defines it. The contract has no binary scalar: a binary value is JSON already.
pub fn to_json(answer: &Response) -> serde_json::Result<Vec<u8>> {
    let mut json = Vec::with_capacity(1 << 10);
    json.extend_from_slice(b"{\"data\":");
    write_value(&mut json, &answer.data)?;
    if !answer.errors.is_empty() {
        json.extend_from_slice(b",\"errors\":");
        serde_json::to_writer(&mut json, &answer.errors)?;
    }
    json.push(b'}');
    Ok(json)
}

fn write_value(json: &mut Vec<u8>, value: &Value) -> serde_json::Result<()> {
    match value {
        Value::Binary(ready) => json.extend_from_slice(ready),
        Value::List(values) => {
            json.push(b'[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    json.push(b',');
                }
                write_value(json, value)?;
            }
            json.push(b']');
        }
        Value::Object(fields) => {
            json.push(b'{');
            for (i, (name, value)) in fields.iter().enumerate() {
                if i > 0 {
                    json.push(b',');
                }
                serde_json::to_writer(&mut *json, name.as_str())?;
                json.push(b':');
                write_value(json, value)?;
            }
            json.push(b'}');
        }
        scalar => serde_json::to_writer(json, scalar)?,
    }
    Ok(())
}

/// What an object holds under a name.
enum SelectedColumn<T: Row> {
    TypeName,
    Column(&'static Column<T::Table>),
}

/// A selection of columns alone: the names in the response and their columns. None if there is a fragment, a directive or a
/// repeated name, none of which a normal form has.
fn columns_alone<T: Row>(selection: &SelectionSet) -> Option<Vec<(Name, SelectedColumn<T>)>> {
    let wanted = |selection: &Positioned<Selection>| {
        let Selection::Field(field) = &selection.node else { return None };
        let field = &field.node;
        if !field.directives.is_empty() {
            return None;
        }
        let wanted = match field.name.node.as_str() {
            // Taken out of the response later, which is not possible in JSON.
            "__typename" if field.response_key().node.as_str() == PLACEHOLDER => return None,
            "__typename" => SelectedColumn::TypeName,
            name => SelectedColumn::Column(T::Table::column(name)?),
        };
        Some((field.response_key().node.clone(), wanted))
    };
    let mut all: Vec<(Name, SelectedColumn<T>)> = Vec::with_capacity(selection.items.len());
    for item in &selection.items {
        let (name, wanted) = wanted(item)?;
        if all.iter().any(|(known, _)| *known == name) {
            return None;
        }
        all.push((name, wanted));
    }
    Some(all)
}

/// Whether a selection has columns alone.
pub(super) fn has_columns_alone<T: Row>(selection: &SelectionSet) -> bool {
    columns_alone::<T>(selection).is_some()
}

/// The columns of a selection and their names in the response, as the key of the written text.
fn selection_key<T: Row>(wanted: &[(Name, SelectedColumn<T>)]) -> String {
    let mut key = String::with_capacity(wanted.len() * 32);
    for (name, wanted) in wanted {
        let column = match wanted {
            SelectedColumn::TypeName => "__typename",
            SelectedColumn::Column(column) => column.name,
        };
        key.extend([name.as_str(), ":", column, ","]);
    }
    key
}

fn rows_as_json<T: Row>(
    rows: &[T],
    wanted: &[(Name, SelectedColumn<T>)],
    queries: &Queries,
    pos: Pos,
) -> ServerResult<Vec<u8>> {
    let keys: Vec<String> = wanted.iter().map(|(name, _)| format!("\"{name}\":")).collect();
    let type_name = format!("\"{}\"", T::type_name());
    let mut json = Vec::with_capacity(rows.len() * wanted.len() * 32 + 2);
    json.push(b'[');
    for (i, row) in rows.iter().enumerate() {
        json.extend_from_slice(if i > 0 { b",{" } else { b"{" });
        for (j, (key, (_, wanted))) in keys.iter().zip(wanted).enumerate() {
            if j > 0 {
                json.push(b',');
            }
            json.extend_from_slice(key.as_bytes());
            match wanted {
                SelectedColumn::TypeName => json.extend_from_slice(type_name.as_bytes()),
                SelectedColumn::Column(column) => {
                    let cell = in_range((column.cell)(row.table_row(), queries), column.name, pos)?;
                    serde_json::to_writer(&mut json, &cell).map_err(|e| ServerError::new(e.to_string(), Some(pos)))?;
                }
            }
        }
        json.push(b'}');
    }
    json.push(b']');
    Ok(json)
}

fn object<T: Row>(row: &T, wanted: &[(Name, SelectedColumn<T>)], queries: &Queries, pos: Pos) -> ServerResult<Value> {
    let mut object = IndexMap::with_capacity(wanted.len());
    for (name, wanted) in wanted {
        let value = match wanted {
            SelectedColumn::TypeName => Value::String(T::type_name().into_owned()),
            SelectedColumn::Column(column) => {
                value(in_range((column.cell)(row.table_row(), queries), column.name, pos)?)
            }
        };
        object.insert(name.clone(), value);
    }
    Ok(Value::Object(object))
}

/// A cell, unless it is a number that the contract's Int cannot hold.
fn in_range<'a>(cell: Cell<'a>, field: &str, pos: Pos) -> ServerResult<Cell<'a>> {
    match cell {
        Cell::Int(n) if i32::try_from(n).is_err() => Err(too_large(field, n.unsigned_abs(), pos)),
        cell => Ok(cell),
    }
}

fn value(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Text(text) => Value::String(text.into_owned()),
        Cell::Id(id) => Value::String(id.to_string()),
        Cell::Texts(texts) => Value::List(texts.iter().map(|text| Value::String(text.clone())).collect()),
        Cell::Int(n) => n.into(),
        Cell::Long(n) => n.into(),
        Cell::Float(n) => n.into(),
        Cell::Flag(flag) => flag.into(),
        Cell::Instant(at) => Value::String(format_instant(at)),
        Cell::Wall(at) => Value::String(at.to_string()),
    }
}

/// Declares types whose rows are resolved field by field only.
macro_rules! resolved_rows {
    ($($type:ty),+) => {$(
        impl $crate::graphql::rows::Row for $type {
            type Table = ();

            fn table_row(&self) -> &() {
                &()
            }
        }
    )+};
}
pub(super) use resolved_rows;

/// Declares the table rows that types are filled from.
macro_rules! table_rows {
    ($($type:ty => $table:ty),+) => {$(
        impl $crate::graphql::rows::Row for $type {
            type Table = $table;

            fn table_row(&self) -> &$table {
                &self.0
            }
        }
    )+};
}
pub(super) use table_rows;
