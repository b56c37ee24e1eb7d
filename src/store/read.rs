//! A file on its way out: decoded apart from the async threads, checked when it is read whole.
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::pin::Pin;

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStoreExt};
use sha2::Digest as _;
use tokio::sync::mpsc;
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};

use super::{Encoding, Key, Store, StoreError};
use crate::domain::Digest;

/// A file's bytes as they come.
pub type Bytes = Pin<Box<dyn Stream<Item = Result<bytes::Bytes, StoreError>> + Send>>;

/// Bytes in one piece of a stream.
const PIECE: usize = 128 << 10;

/// Pieces that wait for a slow reader.
const AHEAD: usize = 4;

/// Files up to this size are read out of order from memory.
const SPOOL_MAX: usize = 8 << 20;

/// What zips need.
pub(super) trait Seekable: Read + Seek + Send {}
impl<T: Read + Seek + Send> Seekable for T {}

impl Store {
    /// The published bytes: all of them, checked against the digest at the end, or a part.
    pub async fn read(&self, key: Key, part: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        decode_at(self, Self::path_of(key.digest, key.encoding), key, part).await
    }

    /// The stored frame, for a reader that can decode it. Only for files that are kept as zstd.
    pub async fn read_frame(&self, key: Key) -> Result<Bytes, StoreError> {
        let found =
            self.objects.get(&Self::path_of(key.digest, key.encoding)).await.map_err(|e| missing(e, key.digest))?;
        Ok(match found.payload {
            GetResultPayload::File(file, _) => {
                ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE).map_err(StoreError::from).boxed()
            }
            GetResultPayload::Stream(pieces) => pieces.map_err(StoreError::from).boxed(),
        })
    }

    /// A file that can be read out of order.
    pub(super) async fn seekable(&self, key: Key) -> Result<Box<dyn Seekable>, StoreError> {
        if key.encoding == Encoding::Plain {
            let found =
                self.objects.get(&Self::path_of(key.digest, key.encoding)).await.map_err(|e| missing(e, key.digest))?;
            if let GetResultPayload::File(file, _) = found.payload {
                return Ok(Box::new(io::BufReader::new(file)));
            }
        }
        let mut spool = self.spool();
        let mut bytes = self.read(key, None).await?;
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            spool = tokio::task::spawn_blocking(move || spool.write_all(&piece).map(|()| spool)).await??;
        }
        spool.seek(SeekFrom::Start(0))?;
        Ok(Box::new(spool))
    }

    pub(super) fn spool(&self) -> tempfile::SpooledTempFile {
        tempfile::spooled_tempfile_in(SPOOL_MAX, &self.scratch)
    }
}

fn missing(error: object_store::Error, digest: Digest) -> StoreError {
    match error {
        object_store::Error::NotFound { .. } => StoreError::Missing(digest),
        other => other.into(),
    }
}

/// Decodes the object at `path`, which holds the file of `key` in that key's encoding.
pub(super) async fn decode_at(
    store: &Store,
    path: Path,
    key: Key,
    part: Option<Range<u64>>,
) -> Result<Bytes, StoreError> {
    let found = store.objects.get(&path).await.map_err(|e| missing(e, key.digest))?;
    let source: Box<dyn Read + Send> = match found.payload {
        GetResultPayload::File(file, _) => Box::new(file),
        GetResultPayload::Stream(pieces) => {
            Box::new(SyncIoBridge::new(StreamReader::new(pieces.map_err(io::Error::other))))
        }
    };
    let (pieces, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let outcome = match key.encoding {
            Encoding::Plain => copy(source, key, part, &pieces),
            Encoding::Zstd => zstd::stream::read::Decoder::new(source)
                .map_err(StoreError::from)
                .and_then(|decoder| copy(decoder, key, part, &pieces)),
        };
        if let Err(e) = outcome {
            // A reader that went away needs no error.
            let _ = pieces.blocking_send(Err(e));
        }
    });
    let pieces =
        stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|piece| (piece, receiver)) });
    Ok(pieces.boxed())
}

fn copy(
    mut source: impl Read,
    key: Key,
    part: Option<Range<u64>>,
    pieces: &mpsc::Sender<Result<bytes::Bytes, StoreError>>,
) -> Result<(), StoreError> {
    let whole = part.is_none();
    let wanted = part.unwrap_or(0..u64::MAX);
    let mut hasher = whole.then(sha2::Sha256::new);
    let mut at = 0;
    let mut buffer = vec![0; PIECE];
    while at < wanted.end {
        let n = match source.read(&mut buffer) {
            Ok(n) => n,
            // The decoder says so where a frame is cut or altered.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::Other | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData
                ) =>
            {
                tracing::error!(digest = %key.digest, error = %e, "a file of the archive does not decode");
                return Err(StoreError::Damaged(key.digest));
            }
            Err(e) => return Err(e.into()),
        };
        if n == 0 {
            break;
        }
        if let Some(hasher) = &mut hasher {
            hasher.update(&buffer[..n]);
        }
        let start = wanted.start.saturating_sub(at).min(n as u64) as usize;
        let end = (wanted.end - at).min(n as u64) as usize;
        at += n as u64;
        if start < end && pieces.blocking_send(Ok(bytes::Bytes::copy_from_slice(&buffer[start..end]))).is_err() {
            return Ok(());
        }
    }
    let sound = match hasher {
        Some(hasher) => at == key.size && Digest(hasher.finalize().into()) == key.digest,
        None => at >= wanted.end,
    };
    if sound { Ok(()) } else { Err(StoreError::Damaged(key.digest)) }
}
