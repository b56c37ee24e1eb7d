//! The credentials that the portal shows, and what they open.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::config::{self, Credentials};

/// The headers that may hold credentials, as they came: each in every way its bytes may be read.
#[derive(Debug, Default)]
pub struct Presented {
    pub authorization: Vec<SecretString>,
    pub x_token: Vec<SecretString>,
}

impl Presented {
    pub fn new(authorization: Option<&[u8]>, x_token: Option<&[u8]>) -> Self {
        let read = |bytes: Option<&[u8]>| {
            bytes.map(readings).unwrap_or_default().into_iter().map(SecretString::from).collect::<Vec<_>>()
        };
        Self { authorization: read(authorization), x_token: read(x_token) }
    }

    pub fn is_empty(&self) -> bool {
        self.authorization.is_empty() && self.x_token.is_empty()
    }
}

/// Bytes of a header as text: as UTF-8, and where they are not ASCII as Latin-1 too. Clients send either.
pub fn readings(bytes: &[u8]) -> Vec<String> {
    let utf8 = std::str::from_utf8(bytes).ok().map(str::to_owned);
    let latin1 = (!bytes.is_ascii()).then(|| encoding_rs::mem::decode_latin1(bytes).into_owned());
    utf8.into_iter().chain(latin1).collect()
}

/// The user and password of Basic credentials, `user:password`, likewise; none where they are not base64.
pub fn basic_readings(encoded: &str) -> Vec<String> {
    STANDARD.decode(encoded).map(|decoded| readings(&decoded)).unwrap_or_default()
}

/// How a request got in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// By its credentials.
    Known,
    /// Without any being asked for.
    Open,
}

pub(super) struct Gate {
    common: Credentials,
    sources: Vec<(String, Credentials)>,
    open: bool,
}

impl Gate {
    pub fn new(settings: &config::Receiver) -> Self {
        // Without any credentials the address is one that only this machine reaches: that was checked at start.
        let has_none = settings.credentials.is_empty() && settings.sources.iter().all(|(_, own)| own.is_empty());
        let open = settings.open || has_none;
        Self { common: settings.credentials.clone(), sources: settings.sources.clone(), open }
    }

    /// Whether a source has credentials of its own.
    pub fn knows(&self, source: &str) -> bool {
        self.sources.iter().any(|(name, _)| name == source)
    }

    pub fn admits(&self, source: &str, presented: &Presented) -> Option<Admission> {
        let own = self.sources.iter().find(|(name, credentials)| name == source && !credentials.is_empty());
        let wanted = own.map_or(&self.common, |(_, credentials)| credentials);
        if fits(wanted, presented) {
            return Some(Admission::Known);
        }
        (own.is_none() && self.open).then_some(Admission::Open)
    }
}

fn fits(wanted: &Credentials, presented: &Presented) -> bool {
    let authorization: Vec<&str> = presented.authorization.iter().map(|shown| shown.expose_secret().trim()).collect();
    let after = |scheme: &'static str| {
        authorization.iter().filter_map(move |shown| {
            let (head, rest) = shown.split_once(' ')?;
            head.eq_ignore_ascii_case(scheme).then(|| rest.trim())
        })
    };
    let x_tokens = presented.x_token.iter().map(|shown| shown.expose_secret().trim());
    let mut tokens = authorization.iter().copied().chain(after("bearer")).chain(x_tokens);
    let by_token = tokens.any(|shown| wanted.tokens.iter().any(|token| equal(shown, token.expose_secret())));
    let by_password = wanted.basic.as_ref().is_some_and(|(user, password)| {
        let expected = format!("{user}:{}", password.expose_secret());
        after("basic").flat_map(basic_readings).any(|shown| equal(&shown, &expected))
    });
    by_token || by_password
}

/// Takes as long for a wrong guess whose start is right.
fn equal(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}
