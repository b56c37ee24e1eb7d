//! Responses to queries are made on the query runtime, and so are their bodies: rows are written and compressed there. The main
//! threads, which the webhook needs, only pass on finished pieces. A client that reads these too slowly is disconnected.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, future, stream};
use tokio::sync::mpsc::{self, Sender};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::conditional::no_body;
use super::language;
use super::{Http, Problem};

/// Bytes of one piece. A response that has no more is passed on as a whole.
const PIECE_BYTES: usize = 64 << 10;
pub(super) const WHOLE_BYTES_MAX: usize = PIECE_BYTES;

/// What each piece that is read adds to a client's time: one that reads less than 32 KiB a second holds memory for nothing.
const TIME_PER_PIECE: Duration = Duration::from_secs(2);

pub(super) async fn respond_on_query_runtime(State(http): State<Http>, request: Request, next: Next) -> Response {
    let write_timeout = http.app.settings.query.write_timeout;
    let is_head = request.method() == Method::HEAD;
    let lang = language::language();
    let responding = http
        .app
        .query_runtime
        .run(language::within(lang, async move { pass_on(next.run(request).await, is_head, write_timeout).await }));
    let Some(responding) = responding else {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, language::say!("problem-stopping")).into_response();
    };
    responding.await.unwrap_or_else(|e| Problem::internal(&e).into_response())
}

/// A response whose body is made here and sent elsewhere.
async fn pass_on(response: Response, is_head: bool, write_timeout: Duration) -> Response {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let (parts, body) = response.into_parts();
    let length = body.size_hint().exact();
    if length.is_none() && (is_head || parts.status == StatusCode::NOT_MODIFIED) {
        // There is no body, and the length of the body of a GET is unknown.
        return Response::from_parts(parts, no_body());
    }
    let is_whole = length.is_some_and(|bytes| bytes <= PIECE_BYTES as u64);
    let mut body = body.into_data_stream();
    // Most responses are small: they are passed on as a whole.
    let mut first = BytesMut::new();
    while first.len() < PIECE_BYTES || is_whole {
        match body.next().await {
            // Not copied: most bodies come in one piece.
            Some(Ok(piece)) if first.is_empty() => first = piece.into(),
            Some(Ok(piece)) => first.extend_from_slice(&piece),
            Some(Err(e)) => return Problem::internal(&e).into_response(),
            None => return Response::from_parts(parts, Body::from(first.freeze())),
        }
    }
    let (sender, pieces) = mpsc::channel(1);
    let broken = Arc::new(AtomicBool::new(false));
    let client = Client { sender, broken: broken.clone(), write_timeout, time: write_timeout };
    tokio::spawn(client.send_all(first.freeze(), body));
    // A response that ends early must not be mistaken for a complete one.
    let end = stream::once(async move {
        broken
            .load(Ordering::Acquire)
            .then(|| Err(std::io::Error::other("the client did not read the response in time")))
    });
    let body = ReceiverStream::new(pieces).chain(end.filter_map(future::ready));
    Response::from_parts(parts, Body::from_stream(body))
}

/// The client that a response is sent to.
struct Client {
    sender: Sender<std::io::Result<Bytes>>,
    /// Set if the response ends early.
    broken: Arc<AtomicBool>,
    write_timeout: Duration,
    /// How long it may still keep the service waiting.
    time: Duration,
}

impl Client {
    async fn send_all(mut self, first: Bytes, mut rest: axum::body::BodyDataStream) {
        let mut piece = first;
        loop {
            while !piece.is_empty() {
                if !self.send(piece.split_to(piece.len().min(PIECE_BYTES))).await {
                    return;
                }
            }
            let next = tokio::select! {
                // Nobody reads what would be made then.
                () = self.sender.closed() => return,
                next = rest.next() => next,
            };
            piece = match next {
                Some(Ok(piece)) => piece,
                Some(Err(e)) => {
                    let _ = self.sender.send(Err(std::io::Error::other(e))).await;
                    return;
                }
                None => return,
            };
        }
    }

    async fn send(&mut self, piece: Bytes) -> bool {
        let began = Instant::now();
        match tokio::time::timeout(self.time, self.sender.send(Ok(piece))).await {
            Ok(sent) => {
                self.time = (self.time.saturating_sub(began.elapsed()) + TIME_PER_PIECE).min(self.write_timeout);
                sent.is_ok()
            }
            Err(_) => {
                metrics::counter!("acervo_responses_abandoned_total").increment(1);
                self.broken.store(true, Ordering::Release);
                false
            }
        }
    }
}
