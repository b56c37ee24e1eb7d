//! Sessions of people who logged in on the page with a key of the API.
//!
//! They are in the database, so that a restart logs out nobody and all services of an archive know the same ones. Each request of a
//! session reads its row (one row by its primary key), so a log-out applies at once on every machine. The database has only
//! the hash of the token that the browser has.
use jiff::SignedDuration;
use secrecy::SecretString;

use super::{App, KeyState};
use crate::config::ApiKey;
use crate::domain::Digest;
use crate::engine::record::{RecordError, Session};

/// Sessions of one key at once. Beyond that the oldest one ends.
const PER_KEY_MAX: u64 = 100;

/// The digits of a token: 256 random bits in hexadecimal.
const TOKEN_DIGITS: usize = 64;

/// A session that has just begun.
pub struct NewSession {
    /// The token for the browser.
    pub token: SecretString,
    pub lifetime: SignedDuration,
}

impl App {
    /// Begins a session of a key, which must be valid.
    pub async fn begin_session(&self, key: Digest) -> Result<NewSession, RecordError> {
        let token = hex::encode(rand::random::<[u8; TOKEN_DIGITS / 2]>());
        let started_at = self.clock.now();
        let lifetime = self.access.settings().api.session_lifetime;
        let expires_at = started_at.checked_add(lifetime).unwrap_or(jiff::Timestamp::MAX);
        let session = Session { hash: Digest::of(token.as_bytes()), key, started_at, expires_at };
        self.record.sessions().begin(&session, PER_KEY_MAX).await?;
        Ok(NewSession { token: SecretString::from(token), lifetime })
    }

    /// The key of a session that is still good. A session ends with its time or its key.
    pub async fn key_of_session(&self, token: &str) -> Result<Option<ApiKey>, RecordError> {
        if token.len() != TOKEN_DIGITS {
            return Ok(None);
        }
        let Some(session) = self.record.sessions().find(Digest::of(token.as_bytes())).await? else { return Ok(None) };
        let now = self.clock.now();
        if session.expires_at <= now {
            return Ok(None);
        }
        let settings = self.access.settings();
        let key = settings.api.keys.iter().find(|key| key.hash == session.key);
        Ok(key.filter(|key| self.access.state_of(key, now) == KeyState::Valid).cloned())
    }

    /// Ends a session, if the token is one's.
    pub async fn end_session(&self, token: &str) -> Result<(), RecordError> {
        self.record.sessions().end(Digest::of(token.as_bytes())).await
    }
}
