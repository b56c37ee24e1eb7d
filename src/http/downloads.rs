//! Slots for downloads. A client that does not read its download costs a block of memory and a slot, no thread; after a while it
//! loses the slot.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};

use super::Problem;
use crate::config;
use crate::query::FileError;

/// How long a request waits for a slot.
const WAIT: Duration = Duration::from_secs(5);

/// The slots of all downloads in progress.
pub(super) struct Downloads {
    all: Arc<Semaphore>,
    /// Of each key, by its name: there are as many as the settings name.
    by_key: Mutex<HashMap<String, Arc<Semaphore>>>,
    settings: config::Downloads,
}

/// A slot, released when dropped.
pub(super) struct Slot {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

/// What a download's task hands over.
enum Part<E> {
    Piece(Result<bytes::Bytes, E>),
    /// A stream that ends without it was interrupted.
    End,
}

impl Downloads {
    pub fn new(settings: &config::Downloads) -> Self {
        Self { all: Arc::new(Semaphore::new(settings.at_once)), by_key: Mutex::default(), settings: settings.clone() }
    }

    /// A slot for a download of this key; 503 if none comes free in time.
    pub async fn enter(&self, key: &str) -> Result<Slot, Problem> {
        let own = {
            let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
            let of_key = || Arc::new(Semaphore::new(self.settings.per_key));
            by_key.entry(key.to_owned()).or_insert_with(of_key).clone()
        };
        let busy = |whose: &str, number: usize, key: &str| {
            metrics::counter!("acervo_downloads_refused_total").increment(1);
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{number} downloads {whose} are in progress, which is the limit ({key})"),
            )
            .header(axum::http::header::RETRY_AFTER, "5")
        };
        let Ok(Ok(own)) = timeout(WAIT, own.acquire_owned()).await else {
            return Err(busy("with this key", self.settings.per_key, "downloads.per_key"));
        };
        match timeout(WAIT, self.all.clone().acquire_owned()).await {
            Ok(Ok(all)) => Ok(Slot { _all: all, _own: own }),
            Ok(Err(_)) | Err(_) => Err(busy("in all", self.settings.at_once, "downloads.at_once")),
        }
    }

    /// A body that reads no further than the client does. A client that takes nothing for too long is cut off, and so is one
    /// whose file turns out damaged: the connection ends before the body's length, so the download is not taken as complete.
    pub fn body<E>(
        &self,
        mut bytes: impl Stream<Item = Result<bytes::Bytes, E>> + Send + Unpin + 'static,
        slot: Slot,
    ) -> Body
    where
        E: From<FileError> + std::error::Error + Send + Sync + 'static,
    {
        let stall = self.settings.stall;
        let (parts, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let _place = slot;
            loop {
                let next = tokio::select! {
                    next = bytes.next() => next,
                    () = parts.closed() => return,
                };
                let (part, is_last) = match next {
                    None => (Part::End, true),
                    Some(Err(e)) => (Part::Piece(Err(e)), true),
                    Some(Ok(piece)) => (Part::Piece(Ok(piece)), false),
                };
                match timeout(stall, parts.send(part)).await {
                    Ok(Ok(())) if !is_last => {}
                    Ok(_) => return,
                    Err(_) => {
                        metrics::counter!("acervo_downloads_stalled_total").increment(1);
                        tracing::debug!(after = ?stall, "a download was ended because its client reads nothing");
                        return;
                    }
                }
            }
        });
        // A channel that closes early must not be mistaken for the end.
        let interrupted = tokio_stream::once(Part::Piece(Err(FileError::Interrupted.into())));
        let pieces = ReceiverStream::new(receiver).chain(interrupted).map_while(|part| match part {
            Part::Piece(piece) => Some(piece),
            Part::End => None,
        });
        Body::from_stream(pieces)
    }
}
