//! API keys: who asks, and what that one may do.
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::{Http, Problem};
use crate::config::{Api, Role};
use crate::domain::Digest;
use crate::graphql::Asker;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub role: Role,
    /// Of the key.
    pub name: String,
}

impl Caller {
    /// As the questions know it.
    pub fn asker(self) -> Asker {
        Asker { may_operate: self.role >= Role::Operator, may_administer: self.role >= Role::Admin, name: self.name }
    }
}

/// Lets pass who shows a key, with its role; and everyone where the API is open.
pub(super) async fn require_key(State(http): State<Http>, mut request: Request, next: Next) -> Response {
    let api = &http.app.settings.api;
    let shown = shown_key(request.method(), request.uri(), request.headers());
    match caller(api, shown.as_deref()) {
        Some(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        None => {
            if shown.is_some() {
                repent(&http).await;
            }
            unknown(shown.is_some())
        }
    }
}

/// How long the answer to a wrong key takes, and how many such answers are under way at once: guessing goes no faster,
/// from however many places it is done.
const PENANCE: Duration = Duration::from_millis(300);
pub(super) const PENITENTS_MAX: usize = 16;

async fn repent(http: &Http) {
    metrics::counter!("acervo_api_denied_total").increment(1);
    let _place = http.penance.acquire().await;
    tokio::time::sleep(PENANCE).await;
}

/// What who shows no key is told, or one that is not known.
pub(super) fn unknown(has_key: bool) -> Response {
    let detail = if has_key { "the key is not known here" } else { "a key is needed: `Authorization: Bearer KEY`" };
    Problem::new(401, detail)
        .header(header::WWW_AUTHENTICATE, "Bearer")
        .header(header::WWW_AUTHENTICATE, "Basic realm=\"acervo\"")
        .into_response()
}

pub(super) fn caller(api: &Api, shown: Option<&str>) -> Option<Caller> {
    if let Some(key) = shown {
        let digest = Digest::of(key.as_bytes());
        let found = api.keys.iter().find(|known| known.hash.0.ct_eq(&digest.0).into());
        if let Some(known) = found {
            return Some(Caller { role: known.role, name: known.name.clone() });
        }
        // A wrong key is told so even where none is needed.
        if !api.keys.is_empty() {
            return None;
        }
    }
    match (api.open, api.keys.is_empty()) {
        // Nobody but this machine reaches us: that was checked at start.
        (false, true) => Some(Caller { role: Role::Admin, name: "this machine".to_owned() }),
        (true, _) => Some(Caller { role: Role::Reader, name: "anyone".to_owned() }),
        (false, false) => None,
    }
}

/// A key as it may be written: bare, or after `Bearer`.
pub(super) fn without_scheme(shown: &str) -> &str {
    match shown.trim().split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        _ => shown.trim(),
    }
}

pub(super) fn shown_key(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::trim);
    match shown {
        Some(shown) => {
            let (scheme, rest) = shown.split_once(' ').unwrap_or(("", shown));
            if scheme.eq_ignore_ascii_case("basic") {
                let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
                return decoded.split_once(':').map(|(_, password)| password.to_owned());
            }
            Some(without_scheme(shown).to_owned())
        }
        None if method == Method::GET => {
            let query = uri.query()?;
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == "key")
                .map(|(_, key)| key.into_owned())
        }
        None => None,
    }
}
