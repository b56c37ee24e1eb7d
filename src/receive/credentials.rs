//! Checks the credentials of a notification.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::config::{self, Credentials};

/// The headers that may hold credentials. Each is decoded in every plausible way.
#[derive(Debug, Default)]
pub struct PresentedCredentials {
    pub authorization: Vec<SecretString>,
    pub x_token: Vec<SecretString>,
}

impl PresentedCredentials {
    pub fn new(authorization: Option<&[u8]>, x_token: Option<&[u8]>) -> Self {
        let decode = |bytes: Option<&[u8]>| {
            bytes.map(decodings).unwrap_or_default().into_iter().map(SecretString::from).collect::<Vec<_>>()
        };
        Self { authorization: decode(authorization), x_token: decode(x_token) }
    }

    pub fn is_empty(&self) -> bool {
        self.authorization.is_empty() && self.x_token.is_empty()
    }
}

/// The possible texts of a header: UTF-8, and for non-ASCII bytes also Latin-1. Clients send either.
pub fn decodings(bytes: &[u8]) -> Vec<String> {
    let utf8 = std::str::from_utf8(bytes).ok().map(str::to_owned);
    let latin1 = (!bytes.is_ascii()).then(|| encoding_rs::mem::decode_latin1(bytes).into_owned());
    utf8.into_iter().chain(latin1).collect()
}

/// The possible texts of Basic credentials, `user:password`; empty if they are not valid base64.
pub fn basic_decodings(encoded: &str) -> Vec<String> {
    STANDARD.decode(encoded).map(|decoded| decodings(&decoded)).unwrap_or_default()
}

/// Why a notification is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its credentials are correct.
    Authenticated,
    /// The source needs no credentials.
    Open,
}

/// Knows the credentials of all sources.
pub(super) struct Authenticator {
    common: Credentials,
    sources: Vec<(String, Credentials)>,
    open: bool,
}

impl Authenticator {
    pub fn new(settings: &config::Receiver) -> Self {
        // Without any credentials only this machine can reach the address; `Settings::exposure` checked that at start.
        let has_none = settings.credentials.is_empty() && settings.sources.iter().all(|(_, own)| own.is_empty());
        let open = settings.open || has_none;
        Self { common: settings.credentials.clone(), sources: settings.sources.clone(), open }
    }

    /// Whether the source is configured.
    pub fn is_configured(&self, source: &str) -> bool {
        self.sources.iter().any(|(name, _)| name == source)
    }

    /// `None` if the credentials are missing or wrong.
    pub fn authenticate(&self, source: &str, presented: &PresentedCredentials) -> Option<Access> {
        let own = self.sources.iter().find(|(name, credentials)| name == source && !credentials.is_empty());
        let expected = own.map_or(&self.common, |(_, credentials)| credentials);
        if matches(expected, presented) {
            return Some(Access::Authenticated);
        }
        (own.is_none() && self.open).then_some(Access::Open)
    }
}

fn matches(expected: &Credentials, presented: &PresentedCredentials) -> bool {
    let authorization: Vec<&str> = presented.authorization.iter().map(|value| value.expose_secret().trim()).collect();
    let after = |scheme: &'static str| {
        authorization.iter().filter_map(move |value| {
            let (head, rest) = value.split_once(' ')?;
            head.eq_ignore_ascii_case(scheme).then(|| rest.trim())
        })
    };
    let x_tokens = presented.x_token.iter().map(|value| value.expose_secret().trim());
    let mut tokens = authorization.iter().copied().chain(after("bearer")).chain(x_tokens);
    let by_token = tokens.any(|sent| expected.tokens.iter().any(|token| is_equal(sent, token.expose_secret())));
    let by_password = expected.basic.as_ref().is_some_and(|(user, password)| {
        let pair = format!("{user}:{}", password.expose_secret());
        after("basic").flat_map(basic_decodings).any(|sent| is_equal(&sent, &pair))
    });
    by_token || by_password
}

/// Compares in constant time.
fn is_equal(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}
