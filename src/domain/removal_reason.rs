//! The reason for which a person removes a product.
use std::str::FromStr;

use super::text::{REASON_CHARS_MAX, clean};

/// A reason that says something, and fits into the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovalReason(String);

/// Why a text is not a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemovalReasonError {
    #[error("the reason is empty: say why the product is removed")]
    Empty,
    #[error("the reason has {chars} characters; at most {REASON_CHARS_MAX} are recorded")]
    TooLong { chars: usize },
}

impl RemovalReason {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RemovalReason {
    type Err = RemovalReasonError;

    fn from_str(text: &str) -> Result<Self, RemovalReasonError> {
        let reason = clean(text);
        let chars = reason.chars().count();
        match chars {
            0 => Err(RemovalReasonError::Empty),
            1..=REASON_CHARS_MAX => Ok(Self(reason)),
            _ => Err(RemovalReasonError::TooLong { chars }),
        }
    }
}
