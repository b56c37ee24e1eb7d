use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;

use crate::config::Endpoint;
use crate::engine::outgoing::{PrivateAddress, causes};

/// Why a message was not delivered. No error contains the URL, a header or a secret.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("the endpoint answered {status}")]
    Status { status: u16, retry_after: Option<Duration> },
    #[error("the endpoint answered {status}, a redirect, which is not followed; give the final address as `url`")]
    Redirect { status: u16 },
    #[error("the endpoint did not answer within {} s", timeout.as_secs_f64())]
    TimedOut { timeout: Duration },
    #[error("refused: {0}")]
    Guarded(String),
    #[error("the endpoint cannot be reached: {0}")]
    Network(String),
    /// With the code of SMTP. What the server says with it may repeat addresses.
    #[error("the mail server answered {code}")]
    Mail { code: String },
    #[error("the message cannot be made: {0}")]
    Template(String),
    #[error("the hook cannot be set up: {0}")]
    SetUp(String),
}

/// The endpoint says that it is gone for good.
const GONE: u16 = 410;

/// Shorter values are parts of usual words, and no secret.
const SECRET_CHARS_MIN: usize = 6;

impl SendError {
    /// The status of the response, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } | Self::Redirect { status } => Some(*status),
            Self::TimedOut { .. }
            | Self::Guarded(_)
            | Self::Network(_)
            | Self::Mail { .. }
            | Self::Template(_)
            | Self::SetUp(_) => None,
        }
    }

    /// Whether the endpoint wants no further messages.
    pub fn is_gone(&self) -> bool {
        self.status() == Some(GONE)
    }

    /// How long the endpoint asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(super) fn network(error: reqwest::Error, timeout: Duration, endpoint: &Endpoint) -> Self {
        if let Some(reason) = PrivateAddress::cause_of(&error) {
            return Self::Guarded(reason);
        }
        if error.is_timeout() {
            return Self::TimedOut { timeout };
        }
        Self::Network(redacted(causes(&error.without_url()), endpoint))
    }

    pub(super) fn set_up(error: reqwest::Error, endpoint: &Endpoint) -> Self {
        Self::SetUp(redacted(causes(&error.without_url()), endpoint))
    }
}

/// The text without what an endpoint may have repeated of the request.
fn redacted(text: String, endpoint: &Endpoint) -> String {
    let url = Url::parse(endpoint.url.expose()).ok();
    let of_url = url.iter().flat_map(|url| [Some(url.path()), url.query()]).flatten();
    let of_headers = endpoint.headers.iter().map(|(_, value)| value.expose_secret());
    let secrets = of_url.chain(of_headers).filter(|secret| secret.chars().count() >= SECRET_CHARS_MIN);
    secrets.fold(text, |text, secret| text.replace(secret, "[REDACTED]"))
}
