//! Problem details as in RFC 9457.
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::language::{self, say};
use crate::query::{QueryError, quoted};

/// When a client that found the service busy is to try again.
pub(super) const RETRY_AFTER_SECS: &str = "5";

/// A response that says what is wrong.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    extra: Vec<(&'static str, String)>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), headers: Vec::new(), extra: Vec::new() }
    }

    pub fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// Adds a member to the standard ones.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.extra.push((name, value.into()));
        self
    }

    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request could not be answered");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, say!("problem-internal"))
    }
}

/// What a problem says, for edges that write it in another form.
#[derive(Clone, Debug)]
pub(super) struct ProblemDetail(pub String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // What other modules say is in English until here.
        let detail = language::language().error(&self.detail).into_owned();
        let mut body = json!({
            "type": "about:blank",
            "title": language::title(self.status),
            "status": self.status.as_u16(),
            "detail": &detail,
        });
        for (name, value) in self.extra {
            body[name] = value.into();
        }
        let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let content_language = (header::CONTENT_LANGUAGE, HeaderValue::from_static(language::language().tag()));
        let mut response = (self.status, [content_type, content_language], body.to_string()).into_response();
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-language"));
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response.extensions_mut().insert(ProblemDetail(detail));
        response
    }
}

fn unavailable(detail: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).header(header::RETRY_AFTER, RETRY_AFTER_SECS)
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match &error {
            QueryError::BadInput(message) => Self::new(StatusCode::BAD_REQUEST, message.clone()),
            QueryError::NotFound { what, id } => Self::new(
                StatusCode::NOT_FOUND,
                say!("problem-not-found", what = *what, id = language::language().error(id).into_owned()),
            ),
            QueryError::NoMember { path, files, similar } => {
                let ids: Vec<String> = files.iter().map(ToString::to_string).collect();
                let similar = if similar.is_empty() { "none".to_owned() } else { quoted(similar) };
                let (count, first) = (ids.len(), ids.first().cloned().unwrap_or_default());
                let revisions = ids.join(", ");
                let text = say!(
                    "problem-no-member",
                    path = path.as_str(),
                    count = count,
                    revisions = revisions,
                    id = first,
                    similar = similar
                );
                Self::new(StatusCode::NOT_FOUND, text)
            }
            QueryError::Purged(why) => Self::new(StatusCode::GONE, why.clone()),
            QueryError::Damaged { .. } => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            QueryError::Unsupported(_) => Self::new(StatusCode::NOT_IMPLEMENTED, error.to_string()),
            QueryError::Busy(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).header(header::RETRY_AFTER, "60")
            }
            QueryError::TimedOut { timeout } => unavailable(say!("problem-timeout", seconds = timeout.as_secs())),
            QueryError::Overloaded => unavailable(say!("problem-overloaded")),
            QueryError::IndexStopped => unavailable(say!("problem-index-stopped")),
            QueryError::Behind { mark, shown } => {
                unavailable(say!("problem-behind", mark = mark.to_string(), shown = *shown))
            }
            QueryError::Crowded { .. } => unavailable(error.to_string()),
            QueryError::TooLarge { bytes_max } => {
                Self::new(StatusCode::BAD_REQUEST, say!("problem-too-large", mebibytes = bytes_max >> 20))
            }
            QueryError::Record(e) => Self::internal(e),
            QueryError::Index(e) => Self::internal(e),
            QueryError::Store(e) => Self::internal(e),
        }
    }
}

/// A panic is logged by its position in the code alone, since its message may contain secrets.
pub(super) fn of_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::internal(&"a handler panicked").into_response()
}
