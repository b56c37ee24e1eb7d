//! Rows that the database packs into one JSON text, an array of arrays. Lists and exports read thousands of rows, and with SQLite
//! each row is handed from thread to thread and each of its values copied; packed, reading takes less than half the time.
//!
//! [`packed!`] declares such a row once: its fields, the columns they are read from, and how each is packed and unpacked
//! follow from the fields' types.
use jiff::Timestamp;
use sea_orm::DbBackend;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::rows::{local, texts};
use crate::domain::{
    Digest, Granularity, Period, ProductId, PublicationId, PublicationStatus, RevisionId, StoredFile, timestamp,
};

/// A value of a packed row. JSON has neither ids nor bytes nor instants, and SQLite has no booleans.
pub(super) trait Pack: Sized {
    type Json: DeserializeOwned;

    /// The SQL that puts the value of `column` into the JSON.
    fn pack(column: &str, _: DbBackend) -> String {
        column.to_owned()
    }

    /// The SQL for the value of `column` in a view for other programs.
    fn in_view(column: &str, _: DbBackend) -> String {
        column.to_owned()
    }

    fn unpack(json: Self::Json) -> Result<Self, String>;
}

/// A column of a packed row.
pub(super) struct Column {
    pub name: &'static str,
    pub source: &'static str,
    pub pack: fn(&str, DbBackend) -> String,
    pub in_view: fn(&str, DbBackend) -> String,
}

/// A row that is read packed.
pub(super) trait PackedRow: DeserializeOwned {
    /// In the order of its fields.
    const COLUMNS: &'static [Column];
    /// The tables that it is read from.
    const FROM: &'static str;

    /// The SQL that makes one JSON text of all rows.
    fn select(backend: DbBackend) -> String {
        Self::select_from(backend, Self::FROM)
    }

    /// The same, of some rows of these tables, under the same names.
    fn select_from(backend: DbBackend, from: &str) -> String {
        let columns: Vec<String> = Self::COLUMNS.iter().map(|column| (column.pack)(column.source, backend)).collect();
        let row = array(&columns.join(","), backend);
        let rows = match backend {
            DbBackend::Sqlite => format!("json_group_array({row})"),
            _ => format!("CAST(json_agg({row}) AS text)"),
        };
        format!("SELECT {rows} FROM {from}")
    }
}

fn array(values: &str, backend: DbBackend) -> String {
    let function = if backend == DbBackend::Sqlite { "json_array" } else { "json_build_array" };
    format!("{function}({values})")
}

/// For serde: reads a field from its packed form.
pub(super) fn unpack<'de, D: Deserializer<'de>, T: Pack>(deserializer: D) -> Result<T, D::Error> {
    T::unpack(T::Json::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Declares a row that is read packed: each field with its type and its column.
macro_rules! packed {
    (
        $(#[$meta:meta])*
        pub struct $row:ident from $from:literal {
            $($(#[$doc:meta])* $name:ident: $type:ty = $source:expr,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
        pub struct $row {
            $($(#[$doc])* #[serde(deserialize_with = "crate::engine::record::pack::unpack")] pub $name: $type,)*
        }

        impl $crate::engine::record::pack::PackedRow for $row {
            const COLUMNS: &'static [$crate::engine::record::pack::Column] = &[$($crate::engine::record::pack::Column {
                name: stringify!($name),
                source: $source,
                pack: <$type as $crate::engine::record::pack::Pack>::pack,
                in_view: <$type as $crate::engine::record::pack::Pack>::in_view,
            },)*];
            const FROM: &'static str = $from;
        }
    };
}
pub(super) use packed;

/// Types whose JSON is the value.
macro_rules! as_it_is {
    ($($type:ty),+) => {$(
        impl Pack for $type {
            type Json = Self;

            fn unpack(json: Self) -> Result<Self, String> {
                Ok(json)
            }
        }
    )+};
}
as_it_is!(i32, String);

macro_rules! ids {
    ($($type:ident),+) => {$(
        impl Pack for $type {
            type Json = String;

            fn pack(column: &str, backend: DbBackend) -> String {
                match backend {
                    // The hexadecimal of NULL is an empty text.
                    DbBackend::Sqlite => format!("nullif(hex({column}), '')"),
                    _ => format!("CAST({column} AS text)"),
                }
            }

            fn in_view(column: &str, backend: DbBackend) -> String {
                id_in_view(column, backend)
            }

            fn unpack(json: String) -> Result<Self, String> {
                json.parse::<Uuid>().map(Self).map_err(|e| format!("`{json}` is not a valid id: {e}"))
            }
        }
    )+};
}
ids!(ProductId, PublicationId, RevisionId);

/// An id as it is in views.
pub(super) fn id_in_view(column: &str, backend: DbBackend) -> String {
    match backend {
        DbBackend::Sqlite => format!(
            "CASE WHEN {column} IS NULL THEN NULL ELSE lower(substr(hex({column}), 1, 8) || '-' || \
             substr(hex({column}), 9, 4) || '-' || substr(hex({column}), 13, 4) || '-' || substr(hex({column}), 17, 4) || \
             '-' || substr(hex({column}), 21)) END"
        ),
        _ => format!("CAST({column} AS text)"),
    }
}

/// A digest as it is in views.
pub(super) fn digest_in_view(column: &str, backend: DbBackend) -> String {
    match backend {
        DbBackend::Sqlite => format!("CASE WHEN {column} IS NULL THEN NULL ELSE lower(hex({column})) END"),
        _ => format!("encode({column}, 'hex')"),
    }
}

/// An instant, stored as milliseconds since 1970, as it is in views.
pub(super) fn instant_in_view(column: &str, backend: DbBackend) -> String {
    match backend {
        DbBackend::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%fZ', {column} / 1000.0, 'unixepoch')"),
        _ => format!("to_timestamp({column} / 1000.0)"),
    }
}

/// A São Paulo wall clock reading as it is in views.
pub(super) fn wall_clock_in_view(column: &str, backend: DbBackend) -> String {
    match backend {
        DbBackend::Sqlite => column.to_owned(),
        _ => format!("CAST({column} AS timestamp)"),
    }
}

impl Pack for bool {
    type Json = i32;

    fn pack(column: &str, _: DbBackend) -> String {
        format!("CASE WHEN {column} THEN 1 ELSE 0 END")
    }

    fn unpack(json: i32) -> Result<Self, String> {
        Ok(json != 0)
    }
}

/// Stored as milliseconds since 1970.
impl Pack for Timestamp {
    type Json = i64;

    fn in_view(column: &str, backend: DbBackend) -> String {
        instant_in_view(column, backend)
    }

    fn unpack(json: i64) -> Result<Self, String> {
        Ok(timestamp(json))
    }
}

/// Stored as a JSON list.
impl Pack for Vec<String> {
    type Json = String;

    fn unpack(json: String) -> Result<Self, String> {
        texts(Some(&json)).map_err(|e| e.to_string())
    }
}

macro_rules! words {
    ($($type:ident),+) => {$(
        impl Pack for $type {
            type Json = String;

            fn unpack(json: String) -> Result<Self, String> {
                json.parse()
            }
        }
    )+};
}
words!(Granularity, PublicationStatus);

/// The columns `…_start` and `…_end`.
impl Pack for Period {
    type Json = (String, String);

    fn pack(column: &str, backend: DbBackend) -> String {
        array(&format!("{column}_start,{column}_end"), backend)
    }

    fn unpack((start, end): Self::Json) -> Result<Self, String> {
        let read = |text: &str| local(text).map_err(|e| e.to_string());
        Ok(Self { start: read(&start)?, end: read(&end)? })
    }
}

/// The column is the digest; the rest is read from the row `f` of `files`.
impl Pack for StoredFile {
    type Json = (String, Option<u64>, Option<u64>, Option<String>, Option<String>);

    fn pack(column: &str, backend: DbBackend) -> String {
        let (digest, base) = match backend {
            // The hexadecimal of NULL is an empty text.
            DbBackend::Sqlite => (format!("hex({column})"), "nullif(hex(f.base), '')"),
            _ => (format!("encode({column}, 'hex')"), "encode(f.base, 'hex')"),
        };
        array(&format!("{digest},f.size,f.stored_size,f.encoding,{base}"), backend)
    }

    fn unpack((digest, size, stored_size, encoding, base): Self::Json) -> Result<Self, String> {
        let (Some(size), Some(stored_size), Some(encoding)) = (size, stored_size, encoding) else {
            return Err(format!("the file {digest} is not recorded"));
        };
        let parse = |text: &str| text.parse::<Digest>().map_err(|_| format!("`{text}` is not a valid digest"));
        let base = base.as_deref().map(parse).transpose()?;
        Ok(Self { digest: parse(&digest)?, encoding: encoding.parse()?, base, size, stored_size })
    }
}

impl<T: Pack> Pack for Option<T> {
    type Json = Option<T::Json>;

    fn pack(column: &str, backend: DbBackend) -> String {
        T::pack(column, backend)
    }

    fn in_view(column: &str, backend: DbBackend) -> String {
        T::in_view(column, backend)
    }

    fn unpack(json: Self::Json) -> Result<Self, String> {
        json.map(T::unpack).transpose()
    }
}
