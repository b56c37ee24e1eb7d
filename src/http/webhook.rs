//! The portal's door.
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::json;

use super::{Http, Problem};
use crate::domain::{Notice, Secret};
use crate::receive::{Presented, Turned};

const BODY_BYTES_MAX: usize = Notice::BYTES_MAX;

/// A sender that is still writing when the answer comes may never read it: so much of a body that is too large is read
/// and thrown away first.
const DRAINED_BYTES_MAX: usize = 8 << 20;

/// A body of a few kilobytes that takes longer is not coming.
const BODY_MAX: Duration = Duration::from_secs(30);

pub(super) async fn default_source(state: State<Http>, request: Request) -> Response {
    answer(state, "default", request).await
}

pub(super) async fn named_source(state: State<Http>, Path(source): Path<String>, request: Request) -> Response {
    answer(state, &source, request).await
}

async fn answer(State(http): State<Http>, source: &str, request: Request) -> Response {
    match *request.method() {
        Method::POST => {}
        // The portal was seen to look whether somebody is there.
        Method::GET | Method::HEAD | Method::OPTIONS => {
            return ([(header::ALLOW, "POST, GET, HEAD, OPTIONS")], "Acervo takes notifications here by POST.\n")
                .into_response();
        }
        _ => {
            return Problem::new(405, "notifications are sent by POST")
                .header(header::ALLOW, "POST, GET, HEAD, OPTIONS")
                .into_response();
        }
    }
    let began = Instant::now();
    let outcome = receive(&http, source, request).await;
    let status = outcome.as_ref().map_or_else(|problem| problem.status(), |response| response.status());
    metrics::counter!("acervo_notifications_total", "status" => status.as_str().to_owned()).increment(1);
    metrics::histogram!("acervo_notification_seconds").record(began.elapsed());
    outcome.into_response()
}

async fn receive(http: &Http, source: &str, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let admitted = http.receiver.admit(source, &presented(&parts.headers));
    let body =
        tokio::time::timeout(BODY_MAX, read(body)).await.map_err(|_| Problem::new(408, "the body took too long"))??;
    admitted?;
    let body = body.ok_or_else(|| Problem::new(413, format!("the body has more than {BODY_BYTES_MAX} bytes")))?;
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let receipt = http.receiver.receive(source, content_type, &body).await?;
    match receipt.rejected {
        None => Ok((StatusCode::ACCEPTED, Json(json!({ "id": receipt.id.to_string() }))).into_response()),
        Some(reason) => {
            Err(Problem::new(422, format!("recorded, but not understood: {reason}")).with("id", receipt.id.to_string()))
        }
    }
}

fn presented(headers: &HeaderMap) -> Presented {
    let secret = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(Secret::new);
    Presented { authorization: secret("authorization"), x_token: secret("x-token") }
}

/// The body; `None` where it is too large.
async fn read(body: Body) -> Result<Option<Bytes>, Problem> {
    let mut pieces = body.into_data_stream();
    let mut read = Vec::new();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Problem::new(400, "the body ended before its end"))?;
        length += piece.len();
        if length <= BODY_BYTES_MAX {
            read.extend_from_slice(&piece);
        } else if length > DRAINED_BYTES_MAX {
            break;
        }
    }
    Ok((length <= BODY_BYTES_MAX).then(|| read.into()))
}

impl From<Turned> for Problem {
    fn from(turned: Turned) -> Self {
        let detail = turned.to_string();
        match turned {
            Turned::Unauthenticated => {
                Self::new(401, detail).header(header::WWW_AUTHENTICATE, "Basic realm=\"acervo\"")
            }
            Turned::UnknownSource => Self::new(404, detail),
            Turned::ContentType(_) => Self::new(415, detail),
            Turned::NotAnObject(_) => Self::new(400, detail),
            Turned::Overloaded(refusal) => turned_away(&refusal, detail),
            Turned::NoRoom(no_room) => turned_away(&no_room, detail),
        }
    }
}

/// The portal keeps what is answered so for pending, and sends it again.
fn turned_away(why: &dyn std::fmt::Display, detail: String) -> Problem {
    tracing::error!(error = %why, "a notification was turned away");
    Problem::new(503, detail).header(header::RETRY_AFTER, "10")
}
