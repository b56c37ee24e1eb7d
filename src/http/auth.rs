//! API keys: the caller and what its role allows.
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::origin::{self, HostMatch};
use super::server::Exchange;
use super::{Http, Problem, bodies, throttle};
use crate::config::{Api, Role};
use crate::domain::Digest;
use crate::graphql;
use crate::receive::decodings;

/// The challenge for Basic credentials, with the charset of RFC 7617.
pub(super) const BASIC_CHALLENGE: &str = "Basic realm=\"acervo\", charset=\"UTF-8\"";

/// Who sent a request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub role: Role,
    /// Name of the key.
    pub name: String,
    /// Administrator only because no key is configured.
    pub is_implicit: bool,
}

impl Caller {
    /// As the resolvers know the caller.
    pub fn for_graphql(self) -> graphql::Caller {
        graphql::Caller {
            may_operate: self.role >= Role::Operator,
            may_administer: self.role >= Role::Admin,
            name: self.name,
        }
    }

    /// A caller without a key must use one of our host names: this stops DNS rebinding.
    pub fn may_ask(&self, named: HostMatch) -> bool {
        !self.is_implicit || named.is_ours
    }
}

/// A key in each way its bytes can be read: as UTF-8 and as Latin-1.
pub(super) struct PresentedKey(Vec<String>);

/// Requires a valid API key and attaches its role to the request; if the API is open, any caller passes.
pub(super) async fn require_key(State(http): State<Http>, mut request: Request, next: Next) -> Response {
    let presented = presented_key(request.method(), request.uri(), request.headers());
    let Some(caller) = caller(&http.app.settings.api, presented.as_ref()) else {
        return match presented {
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
    // Kept until the response has been sent if the connection is known, else until it is made.
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

/// How long a request waits for another one to end.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(2);

/// A permit for one request. If none is free, a request that withholds its body loses its permit.
async fn permit(http: &Http, exchange: Option<&Exchange>) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = http.requests.clone().try_acquire_owned() {
        return Some(permit);
    }
    let _yielding = exchange.map(Exchange::yielding);
    exchange.inspect(|exchange| exchange.evict_withheld_body());
    timeout(PERMIT_TIMEOUT, http.requests.clone().acquire_owned()).await.ok()?.ok()
}

fn named(request: &Request) -> HostMatch {
    request.extensions().get::<HostMatch>().copied().unwrap_or(HostMatch { is_ours: false, may_be_ours: false })
}

/// The response if the maximum of requests is in progress.
pub(super) fn busy() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests are in progress; try again in a moment")
        .header(header::RETRY_AFTER, "1")
}

/// The response to a wrong key, delayed so that guessing is slow.
pub(super) async fn deny(http: &Http, door: &'static str, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let exchange = parts.extensions.get::<Exchange>().cloned();
    let until = denied_until(http, door, exchange.as_ref(), &parts.headers);
    // Many may wait at once, so none of the request stays in memory.
    drop(parts);
    bodies::discard(body).await;
    let is_throttled = wait_denied(http, until, exchange.as_ref()).await;
    let mut response =
        if is_throttled { too_many().into_response() } else { unauthenticated_at(door, true).into_response() };
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Until when the response to a wrong key is delayed.
pub(super) enum Until {
    Denied(Instant),
    Throttled(Instant),
}

/// Counts a wrong key and decides its delay.
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

/// Waits until a wrong key may be answered. Until then the connection may be closed to free its slot. Returns whether too many came.
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
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many wrong keys came from this address; try again in a while")
        .header(header::RETRY_AFTER, "10")
}

/// The response to a missing or unknown key.
pub(super) fn unauthenticated(has_key: bool) -> Problem {
    let detail = if has_key { "the key is not known here" } else { "a key is needed: `Authorization: Bearer KEY`" };
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .header(header::WWW_AUTHENTICATE, "Bearer")
        .header(header::WWW_AUTHENTICATE, BASIC_CHALLENGE)
}

fn unauthenticated_at(door: &str, has_key: bool) -> Problem {
    match door {
        "webhook" => crate::receive::ReceiveError::Unauthenticated.into(),
        _ => unauthenticated(has_key),
    }
}

pub(super) fn caller(api: &Api, presented: Option<&PresentedKey>) -> Option<Caller> {
    if let Some(PresentedKey(decodings)) = presented {
        let digests: Vec<Digest> = decodings.iter().map(|key| Digest::of(key.as_bytes())).collect();
        let found = api.keys.iter().find(|known| digests.iter().any(|digest| known.hash.0.ct_eq(&digest.0).into()));
        if let Some(known) = found {
            return Some(Caller { role: known.role, name: known.name.clone(), is_implicit: false });
        }
        // A wrong key is an error even if none is needed.
        if !api.keys.is_empty() {
            return None;
        }
    }
    match (api.open, api.keys.is_empty()) {
        // Only this machine can connect: that was checked at start.
        (false, true) => Some(Caller { role: Role::Admin, name: "this machine".to_owned(), is_implicit: true }),
        (true, _) => Some(Caller { role: Role::Reader, name: "anyone".to_owned(), is_implicit: false }),
        (false, false) => None,
    }
}

/// A key in the payload of a message: bare, or after `Bearer`.
pub(super) fn key_in_text(presented: &str) -> PresentedKey {
    PresentedKey(vec![without_scheme(presented).to_owned()])
}

fn without_scheme(presented: &str) -> &str {
    match presented.trim().split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        _ => presented.trim(),
    }
}

/// The key of a request: in `Authorization` with any scheme, or as `?key=` in a request that changes nothing.
pub(super) fn presented_key(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<PresentedKey> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let keys = decodings(value.as_bytes()).into_iter().flat_map(|presented| {
            let (scheme, rest) = presented.trim().split_once(' ').unwrap_or(("", presented.trim()));
            if !scheme.eq_ignore_ascii_case("basic") {
                return vec![without_scheme(&presented).to_owned()];
            }
            let pairs = crate::receive::basic_decodings(rest.trim());
            pairs.iter().filter_map(|pair| pair.split_once(':')).map(|(_, password)| password.to_owned()).collect()
        });
        return Some(PresentedKey(keys.collect()));
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    url::form_urlencoded::parse(uri.query()?.as_bytes())
        .find(|(name, _)| name == "key")
        .map(|(_, key)| PresentedKey(vec![key.into_owned()]))
}
