//! `POST /webhook`: the portal's notifications.
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::origin::{self, HostMatch};
use super::server::Exchange;
use super::{Http, Problem, auth, bodies, feed};
use crate::domain::ParsedNotification;
use crate::receive::{Access, BodyHeaders, PresentedCredentials, ReceiveError};

pub(super) async fn default_source(state: State<Http>, request: Request) -> Response {
    answer(state, "default", request).await
}

pub(super) async fn named_source(state: State<Http>, Path(source): Path<String>, request: Request) -> Response {
    answer(state, &source, request).await
}

async fn answer(State(http): State<Http>, source: &str, request: Request) -> Response {
    match *request.method() {
        Method::POST => {}
        // The portal has been seen to check whether the address answers.
        Method::GET | Method::HEAD | Method::OPTIONS => {
            return ([(header::ALLOW, "POST, GET, HEAD, OPTIONS")], "Acervo takes notifications here by POST.\n")
                .into_response();
        }
        _ => {
            return Problem::new(StatusCode::METHOD_NOT_ALLOWED, "notifications are sent by POST")
                .header(header::ALLOW, "POST, GET, HEAD, OPTIONS")
                .into_response();
        }
    }
    receive(&http, source, request).await.into_response()
}

async fn receive(http: &Http, source: &str, request: Request) -> Result<Response, Problem> {
    let headers = request.headers();
    let presented = presented(headers);
    match http.receiver.authenticate(source, &presented) {
        Ok(Access::Authenticated) => {
            request.extensions().get::<Exchange>().inspect(|exchange| exchange.known());
        }
        // A caller without credentials must use one of our host names: this stops DNS rebinding.
        Ok(Access::Open) if named(&request).is_some_and(|named| named.may_be_ours) => {}
        Ok(Access::Open) => {
            bodies::discard(request.into_body()).await;
            return Err(origin::foreign_host(http));
        }
        Err(ReceiveError::Unauthenticated) if !presented.is_empty() => {
            return Ok(auth::deny(http, "webhook", request).await);
        }
        Err(error) => {
            bodies::discard(request.into_body()).await;
            return Err(error.into());
        }
    }
    let (parts, body) = request.into_parts();
    let body =
        http.webhook_memory.read(body, ParsedNotification::BYTES_MAX, parts.extensions.get::<Exchange>()).await?;
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let headers =
        BodyHeaders { content_type: text(header::CONTENT_TYPE), content_encoding: text(header::CONTENT_ENCODING) };
    let receipt = http.receiver.receive(source, headers, &body.bytes).await?;
    let mut response = match receipt.rejected {
        None => {
            let id = receipt.id.to_string();
            // Its number of the feed is not known yet, and nothing that could wait happens before the response.
            let feed = [(feed::ACERVO_FEED, id.clone())];
            (StatusCode::ACCEPTED, feed, Json(json!({ "id": id }))).into_response()
        }
        Some(reason) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("recorded, but not understood: {reason}"))
                .with("id", receipt.id.to_string())
                .into_response()
        }
    };
    // For the span of the request.
    response.extensions_mut().insert(receipt.id);
    Ok(response)
}

fn named(request: &Request) -> Option<HostMatch> {
    request.extensions().get::<HostMatch>().copied()
}

fn presented(headers: &HeaderMap) -> PresentedCredentials {
    let bytes = |name: &str| headers.get(name).map(|value| value.as_bytes());
    PresentedCredentials::new(bytes("authorization"), bytes("x-token"))
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        let detail = error.to_string();
        match error {
            ReceiveError::Unauthenticated => {
                Self::new(StatusCode::UNAUTHORIZED, detail).header(header::WWW_AUTHENTICATE, auth::BASIC_CHALLENGE)
            }
            ReceiveError::UnknownSource => Self::new(StatusCode::NOT_FOUND, detail),
            ReceiveError::ContentType(_) => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail),
            ReceiveError::ContentEncoding(_) => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
                .header(header::ACCEPT_ENCODING, "gzip, deflate, zstd"),
            ReceiveError::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail),
            ReceiveError::NotAnObject(_) | ReceiveError::BadEncoding(_) => Self::new(StatusCode::BAD_REQUEST, detail),
            ReceiveError::Overloaded(_) | ReceiveError::DiskFull(_) => unavailable(detail),
        }
    }
}

/// The portal keeps such a notification as pending and sends it again. `jobs/alarms.rs` logs how many there were, and why.
fn unavailable(detail: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).header(header::RETRY_AFTER, "10")
}
