//! What the portal shows, and what opens.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use crate::config::{self, Credentials};
use crate::domain::Secret;

/// The headers that may hold credentials, as they came.
#[derive(Debug, Default)]
pub struct Presented {
    pub authorization: Option<Secret>,
    pub x_token: Option<Secret>,
}

pub(super) struct Gate {
    common: Credentials,
    sources: Vec<(String, Credentials)>,
    open: bool,
}

impl Gate {
    pub fn new(settings: &config::Receiver) -> Self {
        // Without any credentials the address is one that only this machine reaches: that was checked at start.
        let open = settings.open || settings.credentials.is_empty();
        Self { common: settings.credentials.clone(), sources: settings.sources.clone(), open }
    }

    /// Whether a source has credentials of its own.
    pub fn knows(&self, source: &str) -> bool {
        self.sources.iter().any(|(name, _)| name == source)
    }

    pub fn opens(&self, source: &str, presented: &Presented) -> bool {
        let own = self.sources.iter().find(|(name, credentials)| name == source && !credentials.is_empty());
        match own {
            Some((_, credentials)) => fits(credentials, presented),
            None => self.open || fits(&self.common, presented),
        }
    }
}

fn fits(wanted: &Credentials, presented: &Presented) -> bool {
    let authorization = presented.authorization.as_ref().map(|shown| shown.expose().trim());
    let scheme = |name: &str| {
        let (head, rest) = authorization?.split_once(' ')?;
        head.eq_ignore_ascii_case(name).then(|| rest.trim())
    };
    let tokens = [authorization, scheme("bearer"), presented.x_token.as_ref().map(|shown| shown.expose().trim())];
    let by_token = wanted.tokens.iter().any(|token| tokens.iter().flatten().any(|shown| equal(shown, token.expose())));
    let by_password = wanted.basic.as_ref().is_some_and(|(user, password)| {
        let expected = format!("{user}:{}", password.expose());
        let shown = scheme("basic").and_then(|encoded| STANDARD.decode(encoded).ok());
        shown.is_some_and(|shown| bool::from(shown.ct_eq(expected.as_bytes())))
    });
    by_token || by_password
}

/// Takes as long for a wrong guess whose start is right.
fn equal(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}
