//! Errors as the asker sees them: a code, and a message that names the value and the bound, never an inside.
use async_graphql::{Error, ErrorExtensions, Response, ServerError};

use crate::query::QueryError;

/// The codes of `extensions.code`.
pub mod code {
    pub const BAD_USER_INPUT: &str = "BAD_USER_INPUT";
    pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
    pub const FORBIDDEN: &str = "FORBIDDEN";
    pub const NOT_FOUND: &str = "NOT_FOUND";
    pub const TOO_COMPLEX: &str = "TOO_COMPLEX";
    pub const TIMEOUT: &str = "TIMEOUT";
    pub const INTERNAL: &str = "INTERNAL";
}

pub(super) fn coded(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

pub(super) fn bad(message: impl Into<String>) -> Error {
    coded(code::BAD_USER_INPUT, message)
}

/// Gives every error of an answer a code. Those without one come from the document itself.
pub(super) fn with_codes(mut answer: Response) -> Response {
    let is_bare =
        |error: &ServerError| error.extensions.as_ref().is_none_or(|extensions| extensions.get("code").is_none());
    for error in answer.errors.iter_mut().filter(|error| is_bare(error)) {
        let heavy = error.message.contains("too complex") || error.message.contains("too deep");
        let code = if heavy { code::TOO_COMPLEX } else { code::BAD_USER_INPUT };
        error.extensions.get_or_insert_default().set("code", code);
    }
    answer
}

pub(super) fn internal(error: &dyn std::fmt::Display) -> Error {
    tracing::error!(%error, "a question could not be answered");
    coded(code::INTERNAL, "the archive could not answer; the log of the service says why")
}

/// A question's error for the asker. Not a `From`: async-graphql turns every error that can be printed into one of its
/// own, insides included, so each is passed through here by name.
pub(super) fn shown(error: QueryError) -> Error {
    match &error {
        QueryError::BadInput(message) => bad(message.clone()),
        QueryError::NotFound { .. } => coded(code::NOT_FOUND, error.to_string()),
        QueryError::Damaged { .. } | QueryError::Unsupported(_) | QueryError::Busy(_) => {
            coded(code::INTERNAL, error.to_string())
        }
        QueryError::TimedOut { .. } | QueryError::Overloaded => coded(code::TIMEOUT, error.to_string()),
        QueryError::TooLarge { .. } | QueryError::Crowded { .. } => coded(code::TOO_COMPLEX, error.to_string()),
        QueryError::Record(e) => internal(e),
        QueryError::Index(e) => internal(e),
        QueryError::Store(e) => internal(e),
    }
}
