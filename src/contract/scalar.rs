//! The scalars of the contract.
use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, InputValueError, InputValueResult, Number, OutputType, Pos, Positioned, Scalar, ScalarType,
    ServerError, ServerResult, Value,
};
use jiff::Timestamp;

use crate::domain::{self, excerpt, format_instant, parse_instant};

#[derive(Clone, Copy)]
pub struct DateTime(pub Timestamp);

/// An instant: RFC 3339, in UTC, with milliseconds (2025-02-20T23:59:59.000Z).
#[Scalar(name = "DateTime")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let wrong = || {
            InputValueError::custom(format!(
                "`{}` is not a valid instant; expected one such as 2025-02-20T23:59:59Z (`asOf` also takes a day, such as 2025-02-20)",
                excerpt(text)
            ))
        };
        parse_instant(text).map(Self).ok_or_else(wrong)
    }

    fn to_value(&self) -> Value {
        Value::String(format_instant(self.0))
    }
}

#[derive(Clone, Copy)]
pub struct LocalDateTime(pub domain::LocalDateTime);

/// São Paulo wall clock: ISO 8601 without an offset, as the portal sends it (2025-02-20T23:59:59).
#[Scalar(name = "LocalDateTime")]
impl ScalarType for LocalDateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let wrong = || {
            InputValueError::custom(format!(
                "`{}` is not a valid wall clock reading; expected one such as 2025-02-20T23:59:59",
                excerpt(text)
            ))
        };
        domain::LocalDateTime::parse(text).map(Self).ok_or_else(wrong)
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

#[derive(Clone, Copy)]
pub struct LocalDate(pub jiff::civil::Date);

/// A calendar day (2025-02-20).
#[Scalar(name = "LocalDate")]
impl ScalarType for LocalDate {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let wrong = || {
            InputValueError::custom(format!("`{}` is not a valid day; expected one such as 2025-02-20", excerpt(text)))
        };
        domain::parse_local_date(text).map(Self).ok_or_else(wrong)
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// Holds whole numbers of 64 bits, signed or not, exactly.
#[derive(Clone)]
pub struct Long(Number);

/// A 64-bit integer, as a JSON number.
#[Scalar(name = "Long")]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) if number.is_i64() => Ok(Self(number.clone())),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.clone())
    }
}

impl From<u64> for Long {
    fn from(n: u64) -> Self {
        Self(n.into())
    }
}

impl From<i64> for Long {
    fn from(n: i64) -> Self {
        Self(n.into())
    }
}

/// A count as the contract's Int; an error if it does not fit into 32 bits (specification, 3.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u64);

impl OutputType for Count {
    fn type_name() -> Cow<'static, str> {
        <i32 as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <i32 as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        match i32::try_from(self.0) {
            Ok(n) => Ok(n.into()),
            Err(_) => Err(ctx.set_error_path(too_large(field.node.response_key().node.as_str(), self.0, field.pos))),
        }
    }
}

/// The error of a count that GraphQL's Int cannot hold.
pub fn too_large(field: &str, count: u64, pos: Pos) -> ServerError {
    let mut error = ServerError::new(format!("`{field}` is {count}, and an Int is at most {}", i32::MAX), Some(pos));
    error.extensions.get_or_insert_default().set("code", "INTERNAL");
    error
}
