//! Validators, so that unchanged files need not be sent again. Whether the real portal sends any is not known.
use super::Version;
use crate::domain::{Digest, http_date};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validators {
    #[default]
    None,
    /// A strong entity tag.
    Etag,
    /// The time at which the version was published.
    LastModified,
}

impl Validators {
    /// The validator of a version; `None` if its file cannot be read.
    pub(super) fn of(self, version: &Version) -> Option<(header::HeaderName, HeaderValue)> {
        let (name, text) = match self {
            Self::None => return None,
            Self::Etag => (header::ETAG, format!("\"{}\"", Digest::of(&version.content.bytes().ok()?))),
            Self::LastModified => (header::LAST_MODIFIED, http_date(version.published_at)?),
        };
        Some((name, HeaderValue::from_str(&text).ok()?))
    }
}

/// Whether the client has this version already.
pub(super) fn is_known(headers: &HeaderMap, name: &header::HeaderName, value: &HeaderValue) -> bool {
    let condition = if *name == header::ETAG { header::IF_NONE_MATCH } else { header::IF_MODIFIED_SINCE };
    headers.get(condition).is_some_and(|known| known == value)
}

pub(super) fn not_modified(name: header::HeaderName, value: HeaderValue) -> Response {
    let mut response = (StatusCode::NOT_MODIFIED, Body::empty()).into_response();
    response.headers_mut().insert(name, value);
    response
}
