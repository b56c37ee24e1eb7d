//! One list of columns for each kind of row, with the names of the GraphQL contract. The exports are written from it, and so are
//! lists in GraphQL of which only columns are selected.
mod lists;

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::Queries;
use crate::domain::{LocalDateTime, Stamp};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Texts,
    Int,
    Long,
    Float,
    Flag,
    /// An instant, in UTC.
    Instant,
    /// São Paulo wall clock.
    Wall,
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    /// Written as a text.
    Id(Uuid),
    Texts(&'a [String]),
    /// A writer returns an error if it does not fit into 32 bits.
    Int(i64),
    Long(u64),
    Float(f64),
    Flag(bool),
    Instant(Timestamp),
    Wall(LocalDateTime),
}

/// As in a GraphQL response.
impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Id(id) => serializer.serialize_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
            Self::Texts(texts) => texts.serialize(serializer),
            Self::Int(n) => serializer.serialize_i64(*n),
            Self::Long(n) => serializer.serialize_u64(*n),
            Self::Float(n) => serializer.serialize_f64(*n),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Instant(at) => serializer.serialize_str(Stamp::of_instant(*at).as_str()),
            Self::Wall(at) => serializer.serialize_str(Stamp::of_local(at.0).as_str()),
        }
    }
}

/// Reads a cell from its row.
type ReadCell<Row> = for<'a> fn(&'a Row, &Queries) -> Cell<'a>;

/// A column of rows of a kind.
pub struct Column<Row> {
    pub name: &'static str,
    pub kind: Kind,
    pub is_nullable: bool,
    pub cell: ReadCell<Row>,
}

/// A row without nested objects, as exports have it, and lists in GraphQL of which only columns are selected.
pub trait TableRow: Sized + Send + Sync + 'static {
    const COLUMNS: &'static [Column<Self>];

    fn column(name: &str) -> Option<&'static Column<Self>> {
        Self::COLUMNS.iter().find(|column| column.name == name)
    }
}

const fn required<Row>(name: &'static str, kind: Kind, cell: ReadCell<Row>) -> Column<Row> {
    Column { name, kind, is_nullable: false, cell }
}

const fn nullable<Row>(name: &'static str, kind: Kind, cell: ReadCell<Row>) -> Column<Row> {
    Column { name, kind, is_nullable: true, cell }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.as_str().into())
    }
}

impl From<i32> for Cell<'_> {
    fn from(n: i32) -> Self {
        Self::Int(n.into())
    }
}

impl From<u64> for Cell<'_> {
    fn from(n: u64) -> Self {
        Self::Long(n)
    }
}

impl From<f32> for Cell<'_> {
    fn from(n: f32) -> Self {
        Self::Float(n.into())
    }
}

impl From<bool> for Cell<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Timestamp> for Cell<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Instant(at)
    }
}

impl From<LocalDateTime> for Cell<'_> {
    fn from(at: LocalDateTime) -> Self {
        Self::Wall(at)
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
