//! API keys: who asks, and what that one may do.
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

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub role: Role,
    /// Of the key.
    pub name: String,
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
            let detail = if shown.is_some() {
                "the key is not known here"
            } else {
                "a key is needed: `Authorization: Bearer KEY`"
            };
            Problem::new(401, detail)
                .header(header::WWW_AUTHENTICATE, "Bearer")
                .header(header::WWW_AUTHENTICATE, "Basic realm=\"acervo\"")
                .into_response()
        }
    }
}

fn caller(api: &Api, shown: Option<&str>) -> Option<Caller> {
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

fn shown_key(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::trim);
    match shown {
        Some(shown) => {
            let (scheme, rest) = shown.split_once(' ').unwrap_or(("", shown));
            if scheme.eq_ignore_ascii_case("basic") {
                let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
                return decoded.split_once(':').map(|(_, password)| password.to_owned());
            }
            Some(if scheme.eq_ignore_ascii_case("bearer") { rest.trim() } else { shown }.to_owned())
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
