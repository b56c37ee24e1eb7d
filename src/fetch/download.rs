//! The body of a response: counted, bounded, and watched for stalls.
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE, DATE, ETAG, HeaderName, LAST_MODIFIED};
use reqwest::{Response, StatusCode};
use tokio::time::Instant;

use super::{FetchError, name};
use crate::domain::{Link, Validator};
use crate::engine::outgoing::retry_after;

/// A file whose bytes are being received.
pub struct Download {
    response: Response,
    /// The published name, if the portal sent one.
    pub name: Option<String>,
    /// The media type without its parameters, if the portal sent one.
    pub content_type: Option<String>,
    /// What distinguishes this content from a later one, if the portal sent it.
    pub validator: Option<Validator>,
    /// Whose secrets no error may repeat.
    link: Link,
    received: u64,
    max_bytes: u64,
    stall: Duration,
    /// When the current stall interval began, and how many bytes were received before it.
    interval: (Instant, u64),
}

/// A transfer that brings fewer bytes than this in one stall interval is aborted like one that brings none: otherwise a
/// portal that sends a byte now and then could occupy every worker.
const STALLED_BELOW: u64 = 1 << 10;

impl Download {
    pub(super) fn new(response: Response, link: &Link, max_bytes: u64, stall: Duration) -> Result<Self, FetchError> {
        let status = response.status();
        if status != StatusCode::OK {
            return Err(FetchError::Status { status: status.as_u16(), retry_after: retry_after(response.headers()) });
        }
        if response.content_length().is_some_and(|length| length > max_bytes) {
            return Err(FetchError::TooLarge { max: max_bytes });
        }
        let headers = response.headers();
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        Ok(Self {
            name: headers.get(CONTENT_DISPOSITION).and_then(|value| name::from_disposition(value.as_bytes())),
            content_type: text(CONTENT_TYPE)
                .and_then(media_type)
                .filter(|value| link.secrets().redact(value).is_none()),
            validator: Validator::from_headers(text(ETAG), text(LAST_MODIFIED), text(DATE)),
            response,
            link: link.clone(),
            received: 0,
            max_bytes,
            stall,
            interval: (Instant::now(), 0),
        })
    }

    /// The size of the file, if the portal sent it.
    pub fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes; `None` after the last. A body that ends early is an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let chunk = self.response.chunk().await;
        let Some(bytes) = chunk.map_err(|e| FetchError::network(e).redacted(&self.link.secrets()))? else {
            return if self.received == 0 { Err(FetchError::Empty) } else { Ok(None) };
        };
        self.received += bytes.len() as u64;
        let (since, before) = self.interval;
        if since.elapsed() >= self.stall {
            if self.received - before < STALLED_BELOW {
                return Err(FetchError::Network(format!(
                    "fewer than {STALLED_BELOW} bytes were received in {:?}",
                    self.stall
                )));
            }
            self.interval = (Instant::now(), self.received);
        }
        if self.received > self.max_bytes {
            return Err(FetchError::TooLarge { max: self.max_bytes });
        }
        Ok(Some(bytes))
    }
}

/// A media type without its parameters, in lower case.
fn media_type(value: &str) -> Option<String> {
    let value = value.split_once(';').map_or(value, |(media_type, _)| media_type);
    Some(value.trim().to_ascii_lowercase()).filter(|value| value.contains('/'))
}
