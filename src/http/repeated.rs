//! Repeated requests for lists are answered from memory, with the response that was made for an earlier one, until anything is
//! committed. This takes a few microseconds and runs nothing of the query, so it happens on the thread that received the request; two
//! changes of threads would cost more than the response. Everything else goes on to the query runtime.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::time::timeout;

use super::auth::Caller;
use super::bodies::ReceivedBody;
use super::query_runtime::WHOLE_BYTES_MAX;
use super::server::Exchange;
use super::{Http, Problem, graphql};
use crate::config::Role;
use crate::graphql::Repeatable;
use crate::query::StateCache;

/// Bytes of all responses.
const BYTES_MAX: usize = 4 << 20;

/// What a response takes in addition to the bytes of its body and its request.
const ENTRY_BYTES: usize = 1_000;

/// Longer requests, such as those with long lists of ids, are not repeated.
const TEXT_BYTES_MAX: usize = 4_000;

/// How long the database may take to say whether anything was committed. After that the query is executed, within its own limits.
const STATE_TIMEOUT: Duration = Duration::from_millis(500);

/// Responses to earlier requests.
pub(super) struct Responses(Mutex<StateCache<Key, Arc<StoredResponse>>>);

impl Default for Responses {
    fn default() -> Self {
        Self(Mutex::new(StateCache::new(BYTES_MAX)))
    }
}

/// Everything of a request that its response depends on, besides the archive.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    method: Method,
    /// The body of a POST, the query of a GET.
    text: Bytes,
    media: &'static str,
    coding: Option<HeaderValue>,
    role: Role,
}

impl Key {
    /// `None` for a request that is not answered from memory.
    fn of(request: &Parts, body: Option<&ReceivedBody>, caller: &Caller) -> Option<Self> {
        let text = match (&request.method, body) {
            (&Method::POST, Some(body)) => body.bytes.clone(),
            (&Method::GET, None) => {
                let query = request.uri.query().filter(|query| query.len() <= TEXT_BYTES_MAX)?;
                // Keys of the API are not kept.
                let has_key = url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "key");
                (!has_key).then(|| Bytes::copy_from_slice(query.as_bytes()))?
            }
            _ => return None,
        };
        (text.len() <= TEXT_BYTES_MAX).then(|| Self {
            method: request.method.clone(),
            text,
            media: graphql::media_type(&request.headers),
            coding: request.headers.get(header::ACCEPT_ENCODING).cloned(),
            role: caller.role,
        })
    }
}

struct StoredResponse {
    headers: HeaderMap,
    body: Bytes,
    cost_bytes: u64,
}

impl Responses {
    fn lock(&self) -> MutexGuard<'_, StateCache<Key, Arc<StoredResponse>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The response to a request that is still what the query would give. `None` if there is none, or if the query would have to
    /// wait for its turn.
    async fn present(&self, http: &Http, caller: &Caller, key: &Key) -> Option<Response> {
        if !self.lock().contains(key) {
            return None;
        }
        let state = timeout(STATE_TIMEOUT, http.queries.state()).await.ok()??;
        let stored = self.lock().get(&state, key).cloned()?;
        let _permit = http.queries.admission().try_admit(&caller.name, stored.cost_bytes)?;
        metrics::counter!("acervo_queries_repeated_total").increment(1);
        let mut response = Response::new(Body::from(stored.body.clone()));
        *response.headers_mut() = stored.headers.clone();
        Some(response)
    }

    /// Stores a response for as long as it is repeatable.
    fn store(&self, key: Key, repeatable: &Repeatable, headers: &HeaderMap, body: &[u8]) {
        let bytes = key.text.len() + body.len() + ENTRY_BYTES;
        // Both are copied, because their buffers may be larger.
        let key = Key { text: Bytes::copy_from_slice(&key.text), ..key };
        let body = Bytes::copy_from_slice(body);
        let stored = StoredResponse { headers: headers.clone(), body, cost_bytes: repeatable.cost_bytes };
        self.lock().insert(&repeatable.state, key, Arc::new(stored), bytes);
    }
}

/// Answers a repeated request; reads the body of any other one and passes it on.
pub(super) async fn answer_repeated(
    State(http): State<Http>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, mut body) = request.into_parts();
    let mut received = None;
    // What the handler refuses is not read here.
    if parts.method == Method::POST && graphql::check_json(&parts.headers).is_ok() {
        match graphql::read_body(&http, body, parts.extensions.get::<Exchange>()).await {
            Ok(read) => received = Some(read),
            Err(problem) => return problem.into_response(),
        }
        body = Body::empty();
    }
    let key = Key::of(&parts, received.as_ref(), &caller);
    if let Some(key) = &key
        && let Some(response) = http.responses.present(&http, &caller, key).await
    {
        return response;
    }
    if let Some(received) = received {
        parts.extensions.insert(Arc::new(received));
    }
    let mut response = next.run(Request::from_parts(parts, body)).await;
    match (key, response.extensions_mut().remove::<Repeatable>()) {
        (Some(key), Some(repeatable)) => store(&http, key, &repeatable, response).await,
        _ => response,
    }
}

/// Stores a response that is small, and returns it.
async fn store(http: &Http, key: Key, repeatable: &Repeatable, response: Response) -> Response {
    let is_small = response.body().size_hint().exact().is_some_and(|bytes| bytes <= WHOLE_BYTES_MAX as u64);
    if !is_small {
        return response;
    }
    let (parts, body) = response.into_parts();
    match axum::body::to_bytes(body, WHOLE_BYTES_MAX).await {
        Ok(body) => {
            http.responses.store(key, repeatable, &parts.headers, &body);
            Response::from_parts(parts, Body::from(body))
        }
        Err(e) => Problem::internal(&e).into_response(),
    }
}
