//! Errors as the caller sees them: a code, and a message that names the value and the bound, never internals.
use async_graphql::{Error, ErrorExtensions, Pos, Response, ServerError, Value};

use crate::query::QueryError;

/// The codes of `extensions.code`.
pub mod code {
    pub const BAD_USER_INPUT: &str = "BAD_USER_INPUT";
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

/// A request error (specification, 7.1.1): the operation is not executed.
pub(super) fn request_error(code: &'static str, message: impl Into<String>, pos: Option<Pos>) -> ServerError {
    let mut error = ServerError::new(message, pos);
    error.extensions.get_or_insert_default().set("code", code);
    error
}

/// Whether a response says that its operation was not executed: then it has no data at all, not even none.
pub fn is_request_error(response: &Response) -> bool {
    response.is_err() && response.data == Value::Null && response.errors.iter().all(|error| error.path.is_empty())
}

/// Gives every error of a response a code. Those without one are async-graphql's own, about the document.
pub(super) fn with_codes(mut response: Response) -> Response {
    for error in &mut response.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", code::BAD_USER_INPUT);
        }
    }
    response
}

pub(super) fn internal(error: &dyn std::fmt::Display) -> Error {
    tracing::error!(%error, "a request could not be answered");
    coded(code::INTERNAL, "internal error; the log of the service has the details")
}

/// The error of a query for the caller. Not a `From`: async-graphql turns every error that can be displayed into one of its
/// own, internals included, so each goes through here explicitly.
pub(super) fn query_error(error: QueryError) -> Error {
    match &error {
        QueryError::BadInput(message) => bad(message.clone()),
        QueryError::NotFound { .. } | QueryError::NoMember { .. } | QueryError::Purged(_) => {
            coded(code::NOT_FOUND, error.to_string())
        }
        QueryError::Damaged { .. } | QueryError::Unsupported(_) | QueryError::Busy(_) | QueryError::IndexStopped => {
            coded(code::INTERNAL, error.to_string())
        }
        QueryError::TimedOut { .. } | QueryError::Overloaded | QueryError::Behind { .. } => {
            coded(code::TIMEOUT, error.to_string())
        }
        QueryError::TooLarge { .. } | QueryError::Crowded { .. } => coded(code::TOO_COMPLEX, error.to_string()),
        QueryError::Record(e) => internal(e),
        QueryError::Index(e) => internal(e),
        QueryError::Store(e) => internal(e),
    }
}
