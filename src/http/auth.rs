//! API keys: who asks, and what that one may do.
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::origin::{self, Named};
use super::server::Exchange;
use super::{Http, Problem, bodies, throttle};
use crate::config::{Api, Role};
use crate::domain::Digest;
use crate::graphql::Asker;
use crate::receive::decodings;

/// What clients are told about Basic credentials; RFC 7617 says how non-ASCII ones are sent then.
pub(super) const BASIC_CHALLENGE: &str = "Basic realm=\"acervo\", charset=\"UTF-8\"";

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub role: Role,
    /// Of the key.
    pub name: String,
    /// Administrator only because no key is configured.
    pub is_implicit: bool,
}

impl Caller {
    /// As the questions know it.
    pub fn asker(self) -> Asker {
        Asker { may_operate: self.role >= Role::Operator, may_administer: self.role >= Role::Admin, name: self.name }
    }

    /// A caller without a key must use one of our host names: this stops DNS rebinding.
    pub fn may_ask(&self, named: Named) -> bool {
        !self.is_implicit || named.is_ours
    }
}

/// A key as it may be meant: its bytes read as UTF-8 and as Latin-1.
pub(super) struct ShownKey(Vec<String>);

/// Requires a key of the API and attaches its role to the request; lets everyone pass where the API is open.
pub(super) async fn require_key(State(http): State<Http>, mut request: Request, next: Next) -> Response {
    let shown = shown_key(request.method(), request.uri(), request.headers());
    let Some(caller) = caller(&http.app.settings.api, shown.as_ref()) else {
        return match shown {
            Some(_) => deny(&http, "api", request).await,
            None => bodies::refuse(unauthenticated(false), request).await,
        };
    };
    if !caller.may_ask(named(&request)) {
        return bodies::refuse(origin::foreign_host(&http), request).await;
    }
    let Some(permit) = permit(&http, request.extensions().get::<Exchange>()).await else {
        return bodies::refuse(busy(), request).await;
    };
    // Held until the response was sent where the connection is known, else until it is ready.
    let _permit = match request.extensions().get::<Exchange>() {
        Some(exchange) => {
            exchange.hold(permit);
            None
        }
        None => Some(permit),
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// How long a request waits for another to end.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(2);

/// A permit for one request; where there is none, requests that withhold their bodies lose theirs.
async fn permit(http: &Http, exchange: Option<&Exchange>) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = http.requests.clone().try_acquire_owned() {
        return Some(permit);
    }
    let _yielding = exchange.map(Exchange::yielding);
    exchange.inspect(|exchange| exchange.evict_withheld_body());
    timeout(PERMIT_TIMEOUT, http.requests.clone().acquire_owned()).await.ok()?.ok()
}

fn named(request: &Request) -> Named {
    request.extensions().get::<Named>().copied().unwrap_or(Named { is_ours: false, may_be_ours: false })
}

/// The response where as many requests are under way as there may be.
pub(super) fn busy() -> Problem {
    Problem::new(503, "too many requests are under way; ask again in a moment").header(header::RETRY_AFTER, "1")
}

/// The response to a wrong key, late enough that guessing is slow.
pub(super) async fn deny(http: &Http, door: &'static str, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let exchange = parts.extensions.get::<Exchange>().cloned();
    let until = denied_until(http, door, exchange.as_ref(), &parts.headers);
    // Many may wait at once: nothing is kept of them.
    drop(parts);
    bodies::discard(body).await;
    let is_throttled = wait_denied(http, until, exchange.as_ref()).await;
    let mut response =
        if is_throttled { too_many().into_response() } else { unauthenticated_at(door, true).into_response() };
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Until when the answer to a wrong key is delayed.
pub(super) enum Until {
    Denied(Instant),
    Throttled(Instant),
}

/// Counts a wrong key and gives it its turn.
pub(super) fn denied_until(http: &Http, door: &'static str, exchange: Option<&Exchange>, headers: &HeaderMap) -> Until {
    metrics::counter!("acervo_denied_total", "door" => door).increment(1);
    if door != "webhook" {
        http.app.denied.note_key();
    }
    let address = throttle::client_address(&http.app.settings.trusted_proxies, exchange, headers);
    let now = Instant::now();
    match http.throttle.delay(address, now) {
        Some(delay) => Until::Denied(now + delay),
        None => Until::Throttled(now + throttle::DENIED_DELAY_MAX),
    }
}

/// Waits for the turn of a wrong key, in a place that is given to whoever needs one. Whether it came too often.
pub(super) async fn wait_denied(http: &Http, until: Until, exchange: Option<&Exchange>) -> bool {
    let _marked = exchange.map(Exchange::yielding);
    match until {
        Until::Denied(until) => {
            tokio::time::sleep_until(until).await;
            false
        }
        Until::Throttled(until) => {
            let turn = http.throttle.waiting.try_acquire();
            if let (Err(_), Some(exchange)) = (&turn, exchange) {
                exchange.connection.close();
            }
            tokio::time::sleep_until(until).await;
            true
        }
    }
}

fn too_many() -> Problem {
    Problem::new(429, "too many wrong keys came from this address; try again in a while")
        .header(header::RETRY_AFTER, "10")
}

/// The response to a missing or unknown key.
pub(super) fn unauthenticated(has_key: bool) -> Problem {
    let detail = if has_key { "the key is not known here" } else { "a key is needed: `Authorization: Bearer KEY`" };
    Problem::new(401, detail)
        .header(header::WWW_AUTHENTICATE, "Bearer")
        .header(header::WWW_AUTHENTICATE, BASIC_CHALLENGE)
}

fn unauthenticated_at(door: &str, has_key: bool) -> Problem {
    match door {
        "webhook" => crate::receive::ReceiveError::Unauthenticated.into(),
        _ => unauthenticated(has_key),
    }
}

pub(super) fn caller(api: &Api, shown: Option<&ShownKey>) -> Option<Caller> {
    if let Some(ShownKey(decodings)) = shown {
        let digests: Vec<Digest> = decodings.iter().map(|key| Digest::of(key.as_bytes())).collect();
        let found = api.keys.iter().find(|known| digests.iter().any(|digest| known.hash.0.ct_eq(&digest.0).into()));
        if let Some(known) = found {
            return Some(Caller { role: known.role, name: known.name.clone(), is_implicit: false });
        }
        // A wrong key is told so even where none is needed.
        if !api.keys.is_empty() {
            return None;
        }
    }
    match (api.open, api.keys.is_empty()) {
        // Nobody but this machine reaches us: that was checked at start.
        (false, true) => Some(Caller { role: Role::Admin, name: "this machine".to_owned(), is_implicit: true }),
        (true, _) => Some(Caller { role: Role::Reader, name: "anyone".to_owned(), is_implicit: false }),
        (false, false) => None,
    }
}

/// A key as it may be written in a message: bare, or after `Bearer`.
pub(super) fn key_in_text(shown: &str) -> ShownKey {
    ShownKey(vec![without_scheme(shown).to_owned()])
}

fn without_scheme(shown: &str) -> &str {
    match shown.trim().split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        _ => shown.trim(),
    }
}

/// The key that a request shows: in `Authorization` in any form, or as `?key=` where nothing is changed.
pub(super) fn shown_key(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<ShownKey> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let keys = decodings(value.as_bytes()).into_iter().flat_map(|shown| {
            let (scheme, rest) = shown.trim().split_once(' ').unwrap_or(("", shown.trim()));
            if !scheme.eq_ignore_ascii_case("basic") {
                return vec![without_scheme(&shown).to_owned()];
            }
            let pairs = crate::receive::basic_decodings(rest.trim());
            pairs.iter().filter_map(|pair| pair.split_once(':')).map(|(_, password)| password.to_owned()).collect()
        });
        return Some(ShownKey(keys.collect()));
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    url::form_urlencoded::parse(uri.query()?.as_bytes())
        .find(|(name, _)| name == "key")
        .map(|(_, key)| ShownKey(vec![key.into_owned()]))
}
