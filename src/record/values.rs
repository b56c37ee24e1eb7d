//! How domain types are stored, written once: statuses and kinds as their words, digests as their bytes. A stored value that a
//! type does not have is an error that names it.
use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, TryFromU64, TryGetError, TryGetable, Value};

use crate::domain::{
    Breakage, ChangeKind, DeliveryOutcome, Digest, Encoding, Granularity, HookEvent, NotificationStatus,
    PublicationStatus,
};

macro_rules! stored_as_text {
    ($($type:ident),+) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                value.as_str().into()
            }
        }

        impl TryGetable for $type {
            fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
                String::try_get_by(row, index)?.parse().map_err(|e| TryGetError::DbErr(DbErr::Type(e)))
            }
        }

        impl ValueType for $type {
            fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
                <String as ValueType>::try_from(value)?.parse().map_err(|_| ValueTypeErr)
            }

            fn type_name() -> String {
                stringify!($type).to_owned()
            }

            fn array_type() -> ArrayType {
                <String as ValueType>::array_type()
            }

            fn column_type() -> ColumnType {
                <String as ValueType>::column_type()
            }
        }

        impl Nullable for $type {
            fn null() -> Value {
                <String as Nullable>::null()
            }
        }
    )+};
}

stored_as_text!(
    Breakage,
    ChangeKind,
    DeliveryOutcome,
    Encoding,
    Granularity,
    HookEvent,
    NotificationStatus,
    PublicationStatus
);

impl From<Digest> for Value {
    fn from(digest: Digest) -> Self {
        digest.0.to_vec().into()
    }
}

impl TryGetable for Digest {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let bytes = Vec::<u8>::try_get_by(row, index)?;
        let wrong = || TryGetError::DbErr(DbErr::Type(format!("a digest of {} bytes; expected 32", bytes.len())));
        Self::from_slice(&bytes).ok_or_else(wrong)
    }
}

impl ValueType for Digest {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        Self::from_slice(&<Vec<u8> as ValueType>::try_from(value)?).ok_or(ValueTypeErr)
    }

    fn type_name() -> String {
        "Digest".to_owned()
    }

    fn array_type() -> ArrayType {
        <Vec<u8> as ValueType>::array_type()
    }

    fn column_type() -> ColumnType {
        <Vec<u8> as ValueType>::column_type()
    }
}

impl Nullable for Digest {
    fn null() -> Value {
        <Vec<u8> as Nullable>::null()
    }
}

/// Required of primary keys; the database never makes this one.
impl TryFromU64 for Digest {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::Type("a digest is not a number".to_owned()))
    }
}
