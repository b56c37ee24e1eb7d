//! receive: a raw notification is authenticated, bounded, parsed and recorded before we answer.
//!
//! Nothing slow happens here: no name is resolved, no file looked into. After a receipt the portal owes us nothing.
mod credentials;

use std::sync::Arc;

use crate::app::{App, NoRoom};
use crate::domain::{Digest, Notice, NotificationId};
use crate::record::{NewNotification, Refusal};

pub use credentials::Presented;

/// A notification that is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub id: NotificationId,
    /// Why it cannot be worked on, if so.
    pub rejected: Option<String>,
}

/// Why a notification was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum Turned {
    #[error("the credentials are missing or wrong: send what the portal's form was given")]
    Unauthenticated,
    #[error("there is no source of that name: use letters, digits, - and _, at most 64")]
    UnknownSource,
    #[error("the content type is `{0}`: send application/json or application/x-www-form-urlencoded")]
    ContentType(String),
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

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Urlencoded,
}

impl Receiver {
    pub fn new(app: App) -> Self {
        let gate = Arc::new(credentials::Gate::new(&app.settings.receiver));
        Self { app, gate }
    }

    /// Whether these credentials open this source's door. Asked before the body is read.
    pub fn admit(&self, source: &str, presented: &Presented) -> Result<(), Turned> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if source.is_empty() || source.len() > 64 || !source.bytes().all(plain) {
            return Err(Turned::UnknownSource);
        }
        if self.gate.opens(source, presented) {
            return Ok(());
        }
        // Names that anybody may make up are counted where their credentials are.
        self.app.denied.note(if self.gate.knows(source) { source } else { "default" });
        Err(Turned::Unauthenticated)
    }

    /// Records a notification that was admitted.
    pub async fn receive(&self, source: &str, content_type: Option<&str>, body: &[u8]) -> Result<Receipt, Turned> {
        self.app.disk.may_receive()?;
        let notice = match form_of(content_type)? {
            Form::Json => Notice::from_json(body).ok_or(Turned::NotAnObject("JSON object"))?,
            Form::Urlencoded => Notice::from_form(body).ok_or(Turned::NotAnObject("form"))?,
        };
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

fn form_of(content_type: Option<&str>) -> Result<Form, Turned> {
    let Some(said) = content_type else { return Ok(Form::Json) };
    let media = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "" | "application/json" | "text/json" => Ok(Form::Json),
        "application/x-www-form-urlencoded" => Ok(Form::Urlencoded),
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(Form::Json),
        other => Err(Turned::ContentType(other.chars().take(60).collect())),
    }
}
