use std::time::Duration;

/// Why a file was not had. Never holds the link.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the portal answered {status}")]
    Status { status: u16, retry_after: Option<Duration> },
    #[error("refused: {0}")]
    Guarded(String),
    /// The link is sound, and what it leads to at present is not: the next answer may be another.
    #[error("refused: {0}")]
    Astray(String),
    #[error("the file is larger than {max} bytes (fetch.max_bytes)")]
    TooLarge { max: u64 },
    #[error("the portal sent an empty body")]
    Empty,
    #[error("the portal sent an HTML page instead of a file")]
    Html,
    #[error("the portal redirected, but {0}")]
    Redirect(&'static str),
    #[error("the transfer failed: {0}")]
    Network(String),
    #[error("downloads cannot be set up: {0}")]
    SetUp(String),
}

impl FetchError {
    /// Whether no later attempt can succeed.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Guarded(_) | Self::TooLarge { .. } => true,
            Self::Status { .. }
            | Self::Astray(_)
            | Self::Empty
            | Self::Html
            | Self::Redirect(_)
            | Self::Network(_)
            | Self::SetUp(_) => false,
        }
    }

    /// Whether another link to the same file may do better at once.
    pub fn is_of_the_link(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status < 500 && *status != 429,
            Self::Guarded(_) | Self::Astray(_) | Self::Empty | Self::Html | Self::Redirect(_) => true,
            Self::TooLarge { .. } | Self::Network(_) | Self::SetUp(_) => false,
        }
    }

    /// Whether the portal says that it does not know the link: it may yet, but there is no use in asking soon.
    pub fn is_unknown_to_portal(&self) -> bool {
        matches!(self, Self::Status { status: 401 | 403 | 404 | 410, .. })
    }

    /// What it tells of the host.
    pub fn health(&self) -> super::Health {
        match self {
            Self::Status { status: 429 | 503, retry_after } => super::Health::Failed { retry_after: *retry_after },
            Self::Status { status: 500..=599, .. } | Self::Network(_) => super::Health::Failed { retry_after: None },
            Self::Status { .. } | Self::Empty | Self::Html | Self::Redirect(_) | Self::TooLarge { .. } => {
                super::Health::Answered
            }
            Self::Guarded(_) | Self::Astray(_) | Self::SetUp(_) => super::Health::Unknown,
        }
    }

    /// How long the portal asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(super) fn network(error: reqwest::Error) -> Self {
        match guarded(&error) {
            Some(refusal) => Self::Astray(refusal),
            None => Self::Network(causes(&error.without_url())),
        }
    }

    pub(super) fn set_up(error: reqwest::Error) -> Self {
        Self::SetUp(causes(&error.without_url()))
    }
}

/// The resolver's refusal, where that is at the bottom of an error.
fn guarded(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    match error.downcast_ref::<super::guard::Refused>() {
        Some(refused) => Some(refused.to_string()),
        None => guarded(error.source()?),
    }
}

/// All causes, each once.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
