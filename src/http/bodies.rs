//! Bodies of requests, with limits on the bytes and the time of each, and on the bytes of all.
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::Problem;
use super::language::say;
use super::server::Exchange;

/// For a whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// For the next piece of it.
const PIECE_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that is still writing when the response comes may never read it, so this much of a body that is too large is
/// read and discarded first.
const OVERSIZE_DISCARDED_MAX: usize = 8 << 20;

/// The same for a body that is not needed, and for how long.
const UNWANTED_DISCARDED_MAX: usize = 256 << 10;
const UNWANTED_TIMEOUT: Duration = Duration::from_secs(1);

/// Memory for all bodies in progress together, once for the webhook and once for everything else.
const MEMORY_KIB: usize = 24 << 10;

/// How long a body waits for memory.
const MEMORY_TIMEOUT: Duration = Duration::from_secs(5);
const MEMORY_INTERVAL: Duration = Duration::from_millis(20);

/// The memory that the bodies of some routes share.
#[derive(Clone)]
pub(super) struct BodyMemory(Arc<Semaphore>);

impl Default for BodyMemory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MEMORY_KIB)))
    }
}

/// A body that was read; its memory is free again when this is dropped.
pub(super) struct ReceivedBody {
    pub bytes: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

impl BodyMemory {
    /// Reads a body of at most `bytes_max` bytes.
    pub async fn read(
        &self,
        body: Body,
        bytes_max: usize,
        exchange: Option<&Exchange>,
    ) -> Result<ReceivedBody, Problem> {
        let until = Instant::now() + BODY_TIMEOUT;
        let mut pieces = body.into_data_stream();
        let (mut read, mut length, mut permit) = (Vec::new(), 0_usize, None);
        while let Some(piece) = next_piece(&mut pieces, until).await? {
            length += piece.len();
            if length <= bytes_max {
                self.grow(&mut permit, length, exchange).await?;
                read.extend_from_slice(&piece);
                continue;
            }
            (read, permit) = (Vec::new(), None);
            if length > OVERSIZE_DISCARDED_MAX {
                break;
            }
        }
        if length > bytes_max {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, say!("problem-body-bytes", bytes = bytes_max)));
        }
        Ok(ReceivedBody { bytes: read.into(), _memory: permit })
    }

    /// Takes memory for `length` bytes in total. If none is free, a request that withholds the rest of its body loses its memory.
    async fn grow(
        &self,
        permit: &mut Option<OwnedSemaphorePermit>,
        length: usize,
        exchange: Option<&Exchange>,
    ) -> Result<(), Problem> {
        let wanted = length.div_ceil(1 << 10) - permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = u32::try_from(wanted).map_err(|e| Problem::internal(&e))?;
        let until = Instant::now() + MEMORY_TIMEOUT;
        loop {
            if let Ok(more) = self.0.clone().try_acquire_many_owned(wanted) {
                match permit {
                    Some(permit) => permit.merge(more),
                    None => *permit = Some(more),
                }
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, say!("problem-reading"))
                    .header(axum::http::header::RETRY_AFTER, "10"));
            }
            if let Some(exchange) = exchange {
                exchange.evict_withheld_body();
            }
            tokio::time::sleep(MEMORY_INTERVAL).await;
        }
    }
}

async fn next_piece(pieces: &mut BodyDataStream, until: Instant) -> Result<Option<Bytes>, Problem> {
    let piece_until = until.min(Instant::now() + PIECE_TIMEOUT);
    match timeout_at(piece_until, pieces.next()).await {
        Ok(piece) => piece
            .transpose()
            .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body ends before its announced length")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

/// Reads some of a body that is not needed and discards it.
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

/// Responds to a request whose body is not needed.
pub(super) async fn refuse(problem: Problem, request: Request) -> Response {
    discard(request.into_body()).await;
    problem.into_response()
}
