//! receive: authenticates, limits, parses and records a notification before it is answered.
//!
//! Nothing slow happens here: no name is resolved and no file is opened. Once the portal has a 202 it does not send again.
mod credentials;
mod unpack;

use std::sync::Arc;
use std::time::Instant;

use crate::app::{App, Derived, DiskFull};
use crate::domain::{Digest, NotificationId, ParsedNotification, excerpt};
use crate::engine::record::{IntakeError, NewNotification};
use crate::spans::{Began, size};
use crate::stage::Stage;

pub use credentials::{Access, PresentedCredentials, basic_decodings, decodings};

/// A recorded notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub id: NotificationId,
    /// Why its body cannot be used, if so.
    pub rejected: Option<String>,
}

/// Why a notification was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    #[error("the credentials are missing or wrong; send those of `[receiver]`")]
    Unauthenticated,
    #[error("the source name is not valid; expected at most 64 letters, digits, - and _")]
    UnknownSource,
    #[error("the content type `{0}` is not supported; expected application/json or application/x-www-form-urlencoded")]
    ContentType(String),
    #[error("the content encoding `{0}` is not supported; expected one of {encodings}, or none", encodings = unpack::ENCODINGS)]
    ContentEncoding(String),
    #[error("the body is not valid {0}, which its Content-Encoding says it is")]
    BadEncoding(String),
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    #[error("the body is not a {0}")]
    NotAnObject(&'static str),
    #[error("the notification cannot be recorded now; send it again")]
    Overloaded(#[from] IntakeError),
    #[error("the notification cannot be recorded now; send it again")]
    DiskFull(#[from] DiskFull),
}

/// Receives notifications. Clones share their state.
#[derive(Clone)]
pub struct Receiver {
    app: App,
    authenticator: Arc<Derived<credentials::Authenticator>>,
}

/// The format that `Content-Type` declares.
#[derive(Clone, Debug, PartialEq, Eq)]
enum DeclaredFormat {
    Json,
    Urlencoded,
    /// No `Content-Type`.
    Missing,
    /// Another type. Some senders use the same one for everything.
    Other(String),
}

/// The headers that describe a body.
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyHeaders<'a> {
    pub content_type: Option<&'a str>,
    pub content_encoding: Option<&'a str>,
}

impl Receiver {
    pub fn new(app: App) -> Self {
        let authenticator =
            Arc::new(Derived::new(&app, |settings| credentials::Authenticator::new(&settings.receiver)));
        Self { app, authenticator }
    }

    /// Checks the credentials for a source. Called before the body is read.
    pub fn authenticate(&self, source: &str, presented: &PresentedCredentials) -> Result<Access, ReceiveError> {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if source.is_empty() || source.len() > 64 || !source.bytes().all(is_allowed) {
            return Err(ReceiveError::UnknownSource);
        }
        let authenticator = self.authenticator.get(&self.app);
        authenticator.authenticate(source, presented).ok_or_else(|| {
            // Unknown names, which any client can invent, are counted under `default`.
            self.app.denied.note(if authenticator.is_configured(source) { source } else { "default" });
            ReceiveError::Unauthenticated
        })
    }

    /// Records a notification whose credentials were checked.
    pub async fn receive(&self, source: &str, headers: BodyHeaders<'_>, body: &[u8]) -> Result<Receipt, ReceiveError> {
        let received = self.record(source, headers, body).await;
        match &received {
            Err(ReceiveError::Overloaded(why)) => self.app.denied.note_unrecorded(why),
            Err(ReceiveError::DiskFull(why)) => self.app.denied.note_unrecorded(why),
            Ok(_) | Err(_) => {}
        }
        received
    }

    async fn record(&self, source: &str, headers: BodyHeaders<'_>, body: &[u8]) -> Result<Receipt, ReceiveError> {
        let span = Began::now();
        self.app.disk.may_receive()?;
        let body = &*unpack::unpack(headers.content_encoding, body, ParsedNotification::BYTES_MAX)?;
        let notice = notice_of(declared_format(headers.content_type), body)?;
        let rejected = notice.outcome.as_ref().err().map(ToString::to_string);
        let id = NotificationId::new();
        let received = Instant::now();
        let notification = NewNotification {
            id,
            source: source.to_owned(),
            received_at: self.app.clock.now(),
            body_digest: Digest::of(body),
            notice,
        };
        // Recorded before the response is sent: after a 202 the portal does not send it again.
        self.app.record.intake().accept(notification).await?;
        Stage::Durable.reached_after(received.elapsed());
        let attributes = || vec![("acervo.source", source.to_owned().into()), ("acervo.body.size", size(body.len()))];
        span.end("receive", [id], attributes, rejected.as_ref().map(|_| "rejected"));
        if let Some(reason) = &rejected {
            tracing::warn!(%id, source, reason, "a notification was rejected");
        }
        Ok(Receipt { id, rejected })
    }
}

/// Parses a body. A JSON object is accepted whatever the declared format, because clients send their default type with it.
fn notice_of(format: DeclaredFormat, body: &[u8]) -> Result<ParsedNotification, ReceiveError> {
    if let Some(notice) = ParsedNotification::from_json(body) {
        return Ok(notice);
    }
    let known_form =
        || Some(body).filter(|body| ParsedNotification::is_known_form(body)).and_then(ParsedNotification::from_form);
    match format {
        DeclaredFormat::Json => Err(ReceiveError::NotAnObject("JSON object")),
        DeclaredFormat::Urlencoded => ParsedNotification::from_form(body).ok_or(ReceiveError::NotAnObject("form")),
        DeclaredFormat::Missing => known_form().ok_or(ReceiveError::NotAnObject("JSON object")),
        DeclaredFormat::Other(content_type) => known_form().ok_or(ReceiveError::ContentType(content_type)),
    }
}

fn declared_format(content_type: Option<&str>) -> DeclaredFormat {
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "" => DeclaredFormat::Missing,
        "application/json" | "text/json" => DeclaredFormat::Json,
        "application/x-www-form-urlencoded" => DeclaredFormat::Urlencoded,
        other if other.starts_with("application/") && other.ends_with("+json") => DeclaredFormat::Json,
        other => DeclaredFormat::Other(excerpt(other)),
    }
}
