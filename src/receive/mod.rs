//! receive: a raw notification is authenticated, bounded, parsed and recorded before we answer.
//!
//! Nothing slow happens here: no name is resolved, no file looked into. After a receipt the portal owes us nothing.
mod credentials;
mod unpack;

use std::sync::Arc;

use crate::app::{App, NoRoom};
use crate::domain::{Digest, Notice, NotificationId, excerpt};
use crate::record::{NewNotification, Refusal};

pub use credentials::{Admission, Presented, basic_readings, readings};

/// A notification that is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub id: NotificationId,
    /// Why it cannot be worked on, if so.
    pub rejected: Option<String>,
}

/// Why a notification was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    #[error("the credentials are missing or wrong: send what the portal's form was given")]
    Unauthenticated,
    #[error("there is no source of that name: use letters, digits, - and _, at most 64")]
    UnknownSource,
    #[error("the content type is `{0}`: send application/json or application/x-www-form-urlencoded")]
    ContentType(String),
    #[error("the content encoding is `{0}`: send one of {encodings}, or none", encodings = unpack::ENCODINGS)]
    ContentEncoding(String),
    #[error("the body is not {0}, as its Content-Encoding says")]
    NotPacked(String),
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    #[error("the body is no {0}")]
    NotAnObject(&'static str),
    #[error("the notification cannot be recorded now; send it again")]
    Overloaded(#[from] Refusal),
    #[error("the notification cannot be recorded now; send it again")]
    NoRoom(#[from] NoRoom),
}

/// Takes notifications; clones share all.
#[derive(Clone)]
pub struct Receiver {
    app: App,
    gate: Arc<credentials::Gate>,
}

/// How a body says it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Urlencoded,
    /// It does not say.
    Unsaid,
    /// As something else, which some senders say of everything.
    Other(String),
}

/// The headers that say how a body is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Written<'a> {
    pub content_type: Option<&'a str>,
    pub content_encoding: Option<&'a str>,
}

impl Receiver {
    pub fn new(app: App) -> Self {
        let gate = Arc::new(credentials::Gate::new(&app.settings.receiver));
        Self { app, gate }
    }

    /// Whether these credentials open this source's door. Asked before the body is read.
    pub fn admit(&self, source: &str, presented: &Presented) -> Result<Admission, Rejection> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if source.is_empty() || source.len() > 64 || !source.bytes().all(plain) {
            return Err(Rejection::UnknownSource);
        }
        self.gate.admits(source, presented).ok_or_else(|| {
            // Names that anybody may make up are counted where their credentials are.
            self.app.denied.note(if self.gate.knows(source) { source } else { "default" });
            Rejection::Unauthenticated
        })
    }

    /// Records a notification that was admitted.
    pub async fn receive(&self, source: &str, written: Written<'_>, body: &[u8]) -> Result<Receipt, Rejection> {
        self.app.disk.may_receive()?;
        let body = &*unpack::unpack(written.content_encoding, body, Notice::BYTES_MAX)?;
        let notice = notice_of(form_of(written.content_type), body)?;
        let rejected = notice.outcome.as_ref().err().map(ToString::to_string);
        let id = NotificationId::new();
        let notification = NewNotification {
            id,
            source: source.to_owned(),
            received_at: self.app.clock.now(),
            body_digest: Digest::of(body),
            notice,
        };
        // Recorded before the answer leaves: one that was held only in memory could be lost.
        self.app.record.accept(notification).await?;
        if let Some(reason) = &rejected {
            tracing::warn!(%id, source, reason, "a notification could not be understood");
        }
        Ok(Receipt { id, rejected })
    }
}

/// Reads a body. What is a JSON object is read as one whatever its type says, since clients send their default type with it.
fn notice_of(form: Form, body: &[u8]) -> Result<Notice, Rejection> {
    if let Some(notice) = Notice::from_json(body) {
        return Ok(notice);
    }
    let known_form = || Some(body).filter(|body| Notice::is_known_form(body)).and_then(Notice::from_form);
    match form {
        Form::Json => Err(Rejection::NotAnObject("JSON object")),
        Form::Urlencoded => Notice::from_form(body).ok_or(Rejection::NotAnObject("form")),
        Form::Unsaid => known_form().ok_or(Rejection::NotAnObject("JSON object")),
        Form::Other(said) => known_form().ok_or(Rejection::ContentType(said)),
    }
}

fn form_of(content_type: Option<&str>) -> Form {
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "" => Form::Unsaid,
        "application/json" | "text/json" => Form::Json,
        "application/x-www-form-urlencoded" => Form::Urlencoded,
        other if other.starts_with("application/") && other.ends_with("+json") => Form::Json,
        other => Form::Other(excerpt(other)),
    }
}
