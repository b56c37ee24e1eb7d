//! The receiver of notifications: who may send them, and what a replay is.
use std::time::Duration;

use secrecy::SecretString;

use super::layers::Layers;
use super::values::{self, Problem};

#[derive(Clone, Debug)]
pub struct Receiver {
    /// For the source `default`, and for every source without its own credentials.
    pub credentials: Credentials,
    pub sources: Vec<(String, Credentials)>,
    pub open: bool,
    pub queue: usize,
    /// The number of notifications from which a burst is a replay.
    pub replay_at_least: usize,
    /// The longest time between two notifications of a replay.
    pub replay_gap: Duration,
    /// No source is reported silent before this time.
    pub silence_floor: Duration,
}

impl Receiver {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let own = Credentials::read(layers, "receiver");
        let sources = layers
            .children("receiver.sources")
            .into_iter()
            .map(|key| (key.rsplit('.').next().unwrap_or_default().to_owned(), Credentials::read(layers, &key)))
            .collect();
        let open = layers.get("receiver.open", values::flag).unwrap_or_default();
        // All are read before any is missed: a key that was not read would be reported as unknown.
        let queue = layers.get("receiver.queue", values::count);
        let replay_at_least = layers.get("receiver.replay_at_least", values::count);
        let replay_gap = layers.get("receiver.replay_gap", values::duration);
        let silence_floor = layers.get("receiver.silence_floor", values::duration);
        Some(Self {
            credentials: own,
            sources,
            open,
            queue: queue?,
            replay_at_least: replay_at_least?,
            replay_gap: replay_gap?,
            silence_floor: silence_floor?,
        })
    }
}

impl Receiver {
    /// The keys that hold the credentials of a source: its own, or those of all. Empty if it needs none.
    pub fn keys_of(&self, source: &str) -> Vec<String> {
        let own = self.sources.iter().find(|(name, credentials)| name == source && !credentials.is_empty());
        let (prefix, credentials) = match own {
            Some((name, credentials)) => (format!("receiver.sources.{name}"), credentials),
            None => ("receiver".to_owned(), &self.credentials),
        };
        let names = [
            ("username", credentials.basic.is_some()),
            ("password", credentials.basic.is_some()),
            ("token", !credentials.tokens.is_empty()),
        ];
        names.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| format!("{prefix}.{name}")).collect()
    }
}

/// The credentials that a source may send; any one of them is accepted.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    pub basic: Option<(String, SecretString)>,
    pub tokens: Vec<SecretString>,
}

impl Credentials {
    pub fn is_empty(&self) -> bool {
        self.basic.is_none() && self.tokens.is_empty()
    }

    fn read(layers: &mut Layers, key: &str) -> Self {
        for secret in ["username", "password", "token"] {
            layers.secret_from_file(&format!("{key}.{secret}"));
        }
        let username = layers.secret(&format!("{key}.username"), values::username);
        let password = layers.secret(&format!("{key}.password"), values::credential);
        // White space around a header value is not part of it, so it is trimmed from tokens.
        let tokens = layers.list(&format!("{key}.token"), |value| values::credential(value).map(SecretString::from));
        let basic = match (username, password) {
            (Some(username), Some(password)) => Some((username, SecretString::from(password))),
            (None, None) => None,
            // A file that cannot be read was reported.
            _ if layers.problems.iter().any(|problem| is_file_of(&problem.key, key)) => None,
            (Some(_), None) => {
                layers.problems.push(Problem::new(&format!("{key}.password"), "is missing; a username needs one"));
                None
            }
            (None, Some(_)) => {
                layers.problems.push(Problem::new(&format!("{key}.username"), "is missing; a password needs one"));
                None
            }
        };
        Self { basic, tokens }
    }
}

/// Whether a key names the file of a user name or password of a source.
fn is_file_of(key: &str, source: &str) -> bool {
    key.strip_prefix(source).is_some_and(|rest| matches!(rest, ".username_file" | ".password_file"))
}
