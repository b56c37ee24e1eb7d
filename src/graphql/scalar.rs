//! The scalars of the contract.
use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
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
                "`{}` is not a valid instant; expected one such as 2025-02-20T23:59:59Z",
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

#[derive(Clone, Copy)]
pub struct Long(pub i64);

/// A 64-bit integer, as a JSON number.
#[Scalar(name = "Long")]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) if number.is_i64() => Ok(Self(number.as_i64().unwrap_or_default())),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

impl From<u64> for Long {
    fn from(n: u64) -> Self {
        Self(i64::try_from(n).unwrap_or(i64::MAX))
    }
}
