//! hooks: sends messages to the endpoints and mailboxes that the configuration names.
//!
//! One attempt becomes one request or mail, and its response an outcome that says whether to try again. This module knows neither the
//! database nor what a message is about. Every address is checked when it is connected to, redirects are not followed, and an
//! attempt has a time limit. No error contains the URL, a header, a secret or an e-mail address.
mod error;
mod http;
mod mail;
mod sign;

use jiff::Timestamp;

pub use error::SendError;
pub use sign::signature;

use crate::config::{self, Target};
use http::HttpSender;
use mail::MailSender;

/// The key that allows private addresses, as messages name it.
const ALLOW_PRIVATE: &str = "allow_private of the hook";

/// What is sent.
#[derive(Clone, Debug)]
pub struct Message {
    /// The same for each attempt to deliver the same event.
    pub id: String,
    /// Of a mail.
    pub subject: Option<String>,
    pub content_type: String,
    pub body: String,
}

/// A message that was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The status of the response; a mail has none.
    pub status: Option<u16>,
}

/// Sends the messages of one hook.
pub struct Sender(Transport);

enum Transport {
    Http(Box<HttpSender>),
    Mail(Box<MailSender>),
}

impl Sender {
    pub fn new(hook: &config::Hook) -> Result<Self, SendError> {
        Ok(Self(match &hook.target {
            Target::Http(endpoint) => Transport::Http(Box::new(HttpSender::new(endpoint, hook.timeout)?)),
            Target::Email(mailbox) => Transport::Mail(Box::new(MailSender::new(mailbox, hook.timeout))),
        }))
    }

    /// Sends a message once. `now` is the time that is signed with it.
    pub async fn send(&self, message: &Message, now: Timestamp) -> Result<Delivered, SendError> {
        match &self.0 {
            Transport::Http(sender) => sender.send(message, now).await,
            Transport::Mail(sender) => sender.send(message, now).await,
        }
    }
}
