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

use super::access_log::AdmittedKey;
use super::language::say;
use super::origin::{self, HostMatch, Initiator};
use super::server::Exchange;
use super::session::{self, SessionToken};
use super::{Http, Problem, bodies, throttle};
use crate::app::{App, KeyState};
use crate::config::Role;
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
    /// The hash of the key; none if none was needed.
    pub key: Option<Digest>,
    /// Administrator only because no key is configured.
    pub is_implicit: bool,
    /// The session whose cookie came with the request instead of a key.
    pub session: Option<SessionToken>,
}

/// Why nobody is known by what a request presents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No key was presented, and one is needed.
    Missing,
    Unknown,
    /// The key was valid, so nobody guesses it: its holder is told.
    Ended(&'static str),
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

    /// Refuses a caller without a key who names a foreign host (DNS rebinding), or whose request a foreign page sent.
    pub fn check_page(&self, http: &Http, named: HostMatch) -> Result<(), Problem> {
        if self.key.is_some() {
            return Ok(());
        }
        let is_ours = if self.is_implicit { named.is_ours } else { named.may_be_ours };
        match named.initiator {
            _ if !is_ours => Err(origin::foreign_host(http)),
            Initiator::Foreign => Err(origin::foreign_page()),
            Initiator::Ours | Initiator::Listed | Initiator::Link => Ok(()),
        }
    }
}

/// A key in each way its bytes can be read: as UTF-8 and as Latin-1.
pub(super) struct PresentedKey(Vec<String>);

/// Requires a valid API key and attaches its role to the request; if the API is open, any caller passes.
pub(super) async fn require_key(State(http): State<Http>, request: Request, next: Next) -> Response {
    let presented = presented_key(request.method(), request.uri(), request.headers());
    match caller(&http.app, presented.as_ref()) {
        Ok(caller) => admit(&http, caller, request, next).await,
        Err(refusal) => refuse(&http, &refusal, request).await,
    }
}

/// The same, and the cookie of a session counts like its key.
pub(super) async fn require_caller(State(http): State<Http>, request: Request, next: Next) -> Response {
    let presented = session::Presented::by(&http, &request);
    match presented.caller(&http).await {
        Ok(Ok(caller)) => admit(&http, caller, request, next).await,
        Ok(Err(refusal)) => refuse(&http, &refusal, request).await,
        Err(problem) => bodies::refuse(problem, request).await,
    }
}

/// The response to a caller who was not recognised.
pub(super) async fn refuse(http: &Http, refusal: &Refusal, request: Request) -> Response {
    match refusal {
        Refusal::Unknown => deny(http, "api", request).await,
        Refusal::Missing | Refusal::Ended(_) => bodies::refuse(unauthenticated_because(refusal), request).await,
    }
}

/// Passes the request of a known caller on, within the limit of requests in progress.
pub(super) async fn admit(http: &Http, caller: Caller, mut request: Request, next: Next) -> Response {
    if let Err(problem) = caller.check_page(http, named(&request)) {
        return bodies::refuse(problem, request).await;
    }
    let Some(permit) = permit(http, request.extensions().get::<Exchange>()).await else {
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
    let admitted = AdmittedKey(caller.name.clone());
    request.extensions_mut().insert(caller.clone());
    let mut response = next.run(request).await;
    response.extensions_mut().insert(admitted);
    // Whoever writes a problem as a page writes it for this caller.
    response.extensions_mut().insert(caller);
    response
}

/// How long a request waits for another one to end.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(2);

/// A permit for one request. If none is free, a request that withholds its body loses its permit.
pub(super) async fn permit(http: &Http, exchange: Option<&Exchange>) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = http.requests.clone().try_acquire_owned() {
        return Some(permit);
    }
    let _yielding = exchange.map(Exchange::yielding);
    exchange.inspect(|exchange| exchange.evict_withheld_body());
    timeout(PERMIT_TIMEOUT, http.requests.clone().acquire_owned()).await.ok()?.ok()
}

pub(super) fn named(request: &Request) -> HostMatch {
    request.extensions().get::<HostMatch>().copied().unwrap_or(HostMatch::UNKNOWN)
}

/// The response if the maximum of requests is in progress.
pub(super) fn busy() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, say!("problem-busy")).header(header::RETRY_AFTER, "1")
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
    let mut response = if is_throttled { too_many().into_response() } else { unauthenticated_at(door).into_response() };
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
    Problem::new(StatusCode::TOO_MANY_REQUESTS, say!("problem-too-many-keys")).header(header::RETRY_AFTER, "10")
}

/// The response to an unknown key.
fn unauthenticated() -> Problem {
    unauthenticated_because(&Refusal::Unknown)
}

pub(super) fn unauthenticated_because(refusal: &Refusal) -> Problem {
    let detail = match refusal {
        Refusal::Missing => say!("problem-no-key"),
        Refusal::Unknown => say!("problem-unknown-key"),
        Refusal::Ended(why) => why.to_string(),
    };
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .header(header::WWW_AUTHENTICATE, "Bearer")
        .header(header::WWW_AUTHENTICATE, BASIC_CHALLENGE)
}

fn unauthenticated_at(door: &str) -> Problem {
    match door {
        "webhook" => crate::receive::ReceiveError::Unauthenticated.into(),
        _ => unauthenticated(),
    }
}

/// The caller who presents a key, or none.
pub(super) fn caller(app: &App, presented: Option<&PresentedKey>) -> Result<Caller, Refusal> {
    let settings = app.access.settings();
    let api = &settings.api;
    if let Some(PresentedKey(decodings)) = presented {
        let digests: Vec<Digest> = decodings.iter().map(|key| Digest::of(key.as_bytes())).collect();
        let found = api.keys.iter().find(|known| digests.iter().any(|digest| known.hash.0.ct_eq(&digest.0).into()));
        if let Some(known) = found {
            let now = app.clock.now();
            match app.access.state_of(known, now) {
                KeyState::Valid => {}
                KeyState::Expired(_) => return Err(Refusal::Ended("the key has expired; ask for a new one")),
                KeyState::Revoked(_) => return Err(Refusal::Ended("the key was revoked; ask for a new one")),
            }
            app.access.note_use(&known.name, now);
            let (role, name) = (known.role, known.name.clone());
            return Ok(Caller { role, name, key: Some(known.hash), is_implicit: false, session: None });
        }
        // A wrong key is an error even if none is needed.
        if !api.keys.is_empty() {
            return Err(Refusal::Unknown);
        }
    }
    match (api.open, api.keys.is_empty()) {
        // Only this machine can connect: that was checked at start.
        (false, true) => Ok(Caller {
            role: Role::Admin,
            name: "this machine".to_owned(),
            key: None,
            is_implicit: true,
            session: None,
        }),
        (true, _) => {
            Ok(Caller { role: Role::Reader, name: "anyone".to_owned(), key: None, is_implicit: false, session: None })
        }
        (false, false) => Err(Refusal::Missing),
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
