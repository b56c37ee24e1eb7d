//! Bodies of requests: bounded each and together, in bytes and in time.
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::Problem;
use super::server::Exchange;

/// For a whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// For the next piece of it.
const PIECE_TIMEOUT: Duration = Duration::from_secs(10);

/// A sender that is still writing when the answer comes may never read it: so much of a body that is too large is read
/// and thrown away first.
const OVERSIZE_DISCARDED_MAX: usize = 8 << 20;

/// The same of a body that is not wanted, and for how long.
const UNWANTED_DISCARDED_MAX: usize = 256 << 10;
const UNWANTED_TIMEOUT: Duration = Duration::from_secs(1);

/// Room for all bodies under way together, once for the webhook and once for everything else.
const ROOM_KIB: usize = 24 << 10;

/// How long a body waits for room.
const ROOM_TIMEOUT: Duration = Duration::from_secs(5);
const ROOM_INTERVAL: Duration = Duration::from_millis(20);

/// The room that the bodies of some routes share.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_KIB)))
    }
}

/// A body that was read; its room is given back when this is dropped.
pub(super) struct Received {
    pub bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Reads a body of at most `bytes_max` bytes.
    pub async fn read(&self, body: Body, bytes_max: usize, exchange: Option<&Exchange>) -> Result<Received, Problem> {
        let until = Instant::now() + BODY_TIMEOUT;
        let mut pieces = body.into_data_stream();
        let (mut read, mut length, mut held) = (Vec::new(), 0_usize, None);
        while let Some(piece) = next_piece(&mut pieces, until).await? {
            length += piece.len();
            if length <= bytes_max {
                self.grow(&mut held, length, exchange).await?;
                read.extend_from_slice(&piece);
                continue;
            }
            (read, held) = (Vec::new(), None);
            if length > OVERSIZE_DISCARDED_MAX {
                break;
            }
        }
        if length > bytes_max {
            return Err(Problem::new(413, format!("the body has more than {bytes_max} bytes")));
        }
        Ok(Received { bytes: read.into(), _room: held })
    }

    /// Takes room for `length` bytes in all; where there is none, those who withhold the rest of their bodies lose theirs.
    async fn grow(
        &self,
        held: &mut Option<OwnedSemaphorePermit>,
        length: usize,
        exchange: Option<&Exchange>,
    ) -> Result<(), Problem> {
        let wanted = length.div_ceil(1 << 10) - held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = u32::try_from(wanted).map_err(|e| Problem::internal(&e))?;
        let until = Instant::now() + ROOM_TIMEOUT;
        loop {
            if let Ok(more) = self.0.clone().try_acquire_many_owned(wanted) {
                match held {
                    Some(held) => held.merge(more),
                    None => *held = Some(more),
                }
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Problem::new(503, "too many requests are being read at once; send it again")
                    .header(axum::http::header::RETRY_AFTER, "10"));
            }
            if let Some(exchange) = exchange {
                exchange.evict_withheld_body();
            }
            tokio::time::sleep(ROOM_INTERVAL).await;
        }
    }
}

async fn next_piece(pieces: &mut BodyDataStream, until: Instant) -> Result<Option<Bytes>, Problem> {
    let piece_until = until.min(Instant::now() + PIECE_TIMEOUT);
    match timeout_at(piece_until, pieces.next()).await {
        Ok(piece) => piece.transpose().map_err(|_| Problem::new(400, "the body ended before its end")),
        Err(_) => Err(Problem::new(408, "the body took too long")),
    }
}

/// Reads some of a body that is not wanted and throws it away.
pub(super) async fn discard(body: Body) {
    let mut pieces = body.into_data_stream();
    let discarded = async {
        let mut length = 0;
        while let Some(Ok(piece)) = pieces.next().await {
            length += piece.len();
            if length > UNWANTED_DISCARDED_MAX {
                break;
            }
        }
    };
    let _ = timeout(UNWANTED_TIMEOUT, discarded).await;
}

/// Answers a request whose body is not wanted.
pub(super) async fn refuse(problem: Problem, request: Request) -> Response {
    discard(request.into_body()).await;
    problem.into_response()
}
