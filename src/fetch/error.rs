use std::time::Duration;

use super::hosts::Health;
use crate::domain::Secrets;
use crate::engine::outgoing::{PrivateAddress, causes};

/// Why a file was not fetched. No error holds the link or a part of it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the portal answered {status}")]
    Status { status: u16, retry_after: Option<Duration> },
    #[error("refused: {0}")]
    Guarded(String),
    /// The link passes the guard, and what the portal redirects it to does not: the next response may be another.
    #[error("refused: {0}")]
    Misdirected(String),
    #[error("the file is larger than {max} bytes (fetch.max_bytes)")]
    TooLarge { max: u64 },
    #[error("the portal sent an empty body")]
    Empty,
    #[error("the portal sent an HTML page instead of a file")]
    Html,
    #[error("the portal's redirect cannot be followed: {0}")]
    Redirect(&'static str),
    #[error("the transfer failed: {0}")]
    Network(String),
    #[error("downloads cannot be set up: {0}")]
    SetUp(String),
}

impl FetchError {
    /// Whether every later attempt would fail too.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Guarded(_) | Self::TooLarge { .. } => true,
            Self::Status { .. }
            | Self::Misdirected(_)
            | Self::Empty
            | Self::Html
            | Self::Redirect(_)
            | Self::Network(_)
            | Self::SetUp(_) => false,
        }
    }

    /// Whether another link to the same file may work at once.
    pub fn is_of_the_link(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status < 500 && *status != 429,
            Self::Guarded(_) | Self::Misdirected(_) | Self::Empty | Self::Html | Self::Redirect(_) => true,
            Self::TooLarge { .. } | Self::Network(_) | Self::SetUp(_) => false,
        }
    }

    /// Whether the portal says that it does not know the link: it may later, so a retry soon is useless.
    pub fn is_unknown_to_portal(&self) -> bool {
        matches!(self, Self::Status { status: 401 | 403 | 404 | 410, .. })
    }

    /// What the error says about the host.
    pub fn health(&self) -> Health {
        match self {
            Self::Status { status: 429 | 503, retry_after } => Health::Failed { retry_after: *retry_after },
            Self::Status { status: 500..=599, .. } | Self::Network(_) => Health::Failed { retry_after: None },
            Self::Status { .. } | Self::Empty | Self::Html | Self::Redirect(_) | Self::TooLarge { .. } => {
                Health::Responded
            }
            Self::Guarded(_) | Self::Misdirected(_) | Self::SetUp(_) => Health::Unknown,
        }
    }

    /// How long the portal asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(super) fn network(error: reqwest::Error) -> Self {
        match PrivateAddress::cause_of(&error) {
            Some(reason) => Self::Misdirected(reason),
            None => Self::Network(causes(&error.without_url())),
        }
    }

    /// The error without what a portal may have put into it: the host of a redirect, the reason it gives for closing a
    /// connection.
    pub(super) fn redacted(self, secrets: &Secrets) -> Self {
        let clean = |text: String| secrets.redact(&text).unwrap_or(text);
        match self {
            Self::Guarded(text) => Self::Guarded(clean(text)),
            Self::Misdirected(text) => Self::Misdirected(clean(text)),
            Self::Network(text) => Self::Network(clean(text)),
            Self::SetUp(text) => Self::SetUp(clean(text)),
            other @ (Self::Status { .. } | Self::TooLarge { .. } | Self::Empty | Self::Html | Self::Redirect(_)) => {
                other
            }
        }
    }

    pub(super) fn set_up(error: reqwest::Error) -> Self {
        Self::SetUp(causes(&error.without_url()))
    }
}

#[cfg(test)]
mod tests {
    use super::FetchError;

    #[test]
    fn a_private_address_of_a_host_is_not_final() {
        assert!(!FetchError::Misdirected("the host resolves to 10.0.0.1".to_owned()).is_final());
        assert!(FetchError::Guarded("the link has no host".to_owned()).is_final());
    }
}
