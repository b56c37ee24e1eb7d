//! A body on its way: counted, bounded, watched.
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    CONTENT_DISPOSITION, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED, RETRY_AFTER,
};
use reqwest::{Response, StatusCode};
use tokio::time::Instant;

use super::{FetchError, name};
use crate::domain::Validator;

/// A file whose bytes are coming.
pub struct Download {
    response: Response,
    /// The published name, where the portal gave one.
    pub name: Option<String>,
    /// The media type without its parameters, where the portal gave one.
    pub content_type: Option<String>,
    /// What tells this content from the next, where the portal gave anything that does.
    pub validator: Option<Validator>,
    received: u64,
    max_bytes: u64,
    stall: Duration,
    /// When the watched stretch began, and what was received before it.
    watched: (Instant, u64),
}

/// A transfer that brings less than this while it may bring nothing is as good as stalled: else a portal that drips could
/// keep every hand busy.
const STALLED_BELOW: u64 = 1 << 10;

impl Download {
    pub(super) fn new(response: Response, max_bytes: u64, stall: Duration) -> Result<Self, FetchError> {
        let status = response.status();
        if status != StatusCode::OK {
            return Err(FetchError::Status { status: status.as_u16(), retry_after: retry_after(response.headers()) });
        }
        if response.content_length().is_some_and(|length| length > max_bytes) {
            return Err(FetchError::TooLarge { max: max_bytes });
        }
        let headers = response.headers();
        let name = headers.get(CONTENT_DISPOSITION).and_then(|value| name::from_disposition(value.as_bytes()));
        let content_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
            .filter(|value| value.contains('/'));
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let validator = Validator::of_answer(text(ETAG), text(LAST_MODIFIED), text(DATE));
        let watched = (Instant::now(), 0);
        Ok(Self { response, name, content_type, validator, received: 0, max_bytes, stall, watched })
    }

    /// How many bytes are to come, where the portal says so.
    pub fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes; `None` once the whole file was had. A body that ends early is an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let Some(bytes) = self.response.chunk().await.map_err(FetchError::network)? else {
            return if self.received == 0 { Err(FetchError::Empty) } else { Ok(None) };
        };
        self.received += bytes.len() as u64;
        let (since, before) = self.watched;
        if since.elapsed() >= self.stall {
            if self.received - before < STALLED_BELOW {
                return Err(FetchError::Network(format!("fewer than {STALLED_BELOW} bytes came in {:?}", self.stall)));
            }
            self.watched = (Instant::now(), self.received);
        }
        if self.received > self.max_bytes {
            return Err(FetchError::TooLarge { max: self.max_bytes });
        }
        Ok(Some(bytes))
    }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Duration::try_from(at.duration_since(jiff::Timestamp::now())).ok()
}
