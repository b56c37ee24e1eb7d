//! Lists of flat rows. A plain selection, of columns only, without fragments and directives, is filled in one loop from the
//! list of columns that the exports write from; all else is left to the resolvers of each field, which a list of a thousand
//! rows with all their columns keeps busy for longer than finding and reading them.
use std::borrow::Cow;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::resolve_list;
use async_graphql::{ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value};

use crate::domain::format_instant;
use crate::query::{Cell, Column, Flat, Queries};

/// A type of rows that stand in lists.
pub trait Row: OutputType + Clone {
    type Flat: Flat;

    /// What its columns are filled from.
    fn flat(&self) -> &Self::Flat;
}

/// Rows of which no column is filled so: their lists are short.
impl Flat for () {
    const COLUMNS: &'static [Column<Self>] = &[];
}

/// A list of rows.
pub struct Rows<'a, T: Row>(pub Cow<'a, [T]>);

impl<T: Row> From<Vec<T>> for Rows<'static, T> {
    fn from(rows: Vec<T>) -> Self {
        Self(rows.into())
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
        match (plain::<T>(&ctx.item.node), ctx.data_opt::<Queries>()) {
            (Some(wanted), Some(queries)) => {
                Ok(Value::List(self.0.iter().map(|row| object(row, &wanted, queries)).collect()))
            }
            _ => resolve_list(ctx, field, self.0.iter(), Some(self.0.len())).await,
        }
    }
}

/// What an object holds under a name.
enum Wanted<T: Row> {
    TypeName,
    Column(&'static Column<T::Flat>),
}

/// A plain selection: the names of the answer and what stands there.
fn plain<T: Row>(selection: &SelectionSet) -> Option<Vec<(Name, Wanted<T>)>> {
    let wanted = |selection: &Positioned<Selection>| {
        let Selection::Field(field) = &selection.node else { return None };
        let field = &field.node;
        if !field.directives.is_empty() {
            return None;
        }
        let wanted = match field.name.node.as_str() {
            "__typename" => Wanted::TypeName,
            name => Wanted::Column(T::Flat::column(name)?),
        };
        Some((field.response_key().node.clone(), wanted))
    };
    selection.items.iter().map(wanted).collect()
}

fn object<T: Row>(row: &T, wanted: &[(Name, Wanted<T>)], queries: &Queries) -> Value {
    let mut object = IndexMap::with_capacity(wanted.len());
    for (name, wanted) in wanted {
        let value = match wanted {
            Wanted::TypeName => Value::String(T::type_name().into_owned()),
            Wanted::Column(column) => value((column.cell)(row.flat(), queries)),
        };
        object.insert(name.clone(), value);
    }
    Value::Object(object)
}

fn value(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Text(text) => Value::String(text.into_owned()),
        Cell::Texts(texts) => Value::List(texts.iter().map(|text| Value::String(text.clone())).collect()),
        Cell::Int(n) => n.into(),
        Cell::Long(n) => n.into(),
        Cell::Float(n) => n.into(),
        Cell::Flag(flag) => flag.into(),
        Cell::Instant(at) => Value::String(format_instant(at)),
        Cell::Wall(at) => Value::String(at.to_string()),
    }
}

/// Says that rows are filled field by field only.
macro_rules! never_flat {
    ($($type:ty),+) => {$(
        impl $crate::graphql::flat::Row for $type {
            type Flat = ();

            fn flat(&self) -> &() {
                &()
            }
        }
    )+};
}
pub(super) use never_flat;

/// Says what rows are filled from.
macro_rules! flat {
    ($($type:ty => $flat:ty),+) => {$(
        impl $crate::graphql::flat::Row for $type {
            type Flat = $flat;

            fn flat(&self) -> &$flat {
                &self.0
            }
        }
    )+};
}
pub(super) use flat;
