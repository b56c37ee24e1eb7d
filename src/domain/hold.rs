//! The reason for which a person protects a revision from retention.
use std::str::FromStr;

use super::text::{REASON_CHARS_MAX, clean};

/// A reason that says something, and fits into the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldReason(String);

/// Why a text is not a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldReasonError {
    #[error("the reason is empty: say why the revision must stay")]
    Empty,
    #[error("the reason has {chars} characters; at most {REASON_CHARS_MAX} are recorded")]
    TooLong { chars: usize },
}

impl HoldReason {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HoldReason {
    type Err = HoldReasonError;

    fn from_str(text: &str) -> Result<Self, HoldReasonError> {
        let reason = clean(text);
        let chars = reason.chars().count();
        match chars {
            0 => Err(HoldReasonError::Empty),
            1..=REASON_CHARS_MAX => Ok(Self(reason)),
            _ => Err(HoldReasonError::TooLong { chars }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HoldReason, HoldReasonError};

    #[test]
    fn a_reason_says_something_and_fits() {
        let parse = |text: &str| text.parse::<HoldReason>();
        assert_eq!(parse("  auditoria "), Ok(HoldReason("auditoria".to_owned())));
        assert_eq!(parse(" \n\t"), Err(HoldReasonError::Empty));
        assert!(parse(&"ç".repeat(1_000)).is_ok());
        assert_eq!(parse(&"ç".repeat(1_001)), Err(HoldReasonError::TooLong { chars: 1_001 }));
    }
}
