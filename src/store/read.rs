//! A file on its way out: read a block at a time, and never ended as good before all of it was checked.
//!
//! Nothing is read ahead, and no thread is held between two blocks: a reader that stops asking costs a block and, where the
//! file is compressed, a decoder. The last block is held back until the whole was found to be what was archived.
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStoreExt};
use sha2::Digest as _;
use tokio_util::io::{StreamReader, SyncIoBridge};
use zstd::stream::read::Decoder;

use super::blocks::{BLOCK, BlockList, Hash};
use super::{Encoding, Key, Store, StoreError};
use crate::domain::Digest;

/// A file's bytes as they come.
pub type Bytes = Pin<Box<dyn Stream<Item = Result<bytes::Bytes, StoreError>> + Send>>;

/// Blocks that one visit to a thread goes through without giving any of them out.
const BLOCKS_AT_ONCE: usize = 32;

/// Files up to this size are read out of order from memory.
pub(super) const SPOOL_IN_MEMORY_MAX: usize = 1 << 20;

/// How much is spooled between two looks at the free space.
const LOOK_EVERY_BYTES: u64 = 16 << 20;

/// What zips need.
pub(super) trait Seekable: Read + Seek + Send {}
impl<T: Read + Seek + Send> Seekable for T {}

impl Store {
    /// The published bytes: all of them, or a part. Every byte of a part was checked before it is given out.
    pub async fn read(&self, key: Key, part: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        match part {
            None => Ok(self.pieces(Whole::new(self.open_object(key).await?.source(key)?, key, Emit::Published))),
            Some(part) => {
                let blocks = self.block_list(key).await?;
                let part = Part::new(self.open_object(key).await?, key, blocks, part)?;
                Ok(self.pieces(part))
            }
        }
    }

    /// The stored frame and its length, for a reader that can decode it; only for files that are kept as zstd. The frame is
    /// decoded on its way, so that one which does not give the published bytes is never sent to its end.
    pub async fn read_frame(&self, key: Key) -> Result<(u64, Bytes), StoreError> {
        let object = self.open_object(key).await?;
        let size = object.size;
        let source = Source::Zstd(Box::new(decoder(object.reader, true)?));
        Ok((size, self.pieces(Whole::new(source, key, Emit::Stored))))
    }

    /// Reads all of a file and checks it.
    pub async fn check(&self, key: Key) -> Result<(), StoreError> {
        let mut bytes = self.read(key, None).await?;
        while bytes.next().await.transpose()?.is_some() {}
        Ok(())
    }

    /// The hashes of the file's blocks, found by reading and checking the whole file the first time.
    pub(super) async fn block_list(&self, key: Key) -> Result<BlockList, StoreError> {
        let entry = self.lists.entry(key.digest);
        let read = || async {
            let mut whole = Whole::new(self.open_object(key).await?.source(key)?, key, Emit::Hashes);
            loop {
                let step;
                (whole, step) = self.step(whole).await?;
                if let Step::End = step? {
                    return Ok::<_, StoreError>(BlockList::from(whole.hashes));
                }
            }
        };
        let list = entry.get_or_try_init(read).await?.clone();
        self.lists.trim();
        Ok(list)
    }

    async fn open_object(&self, key: Key) -> Result<Object, StoreError> {
        self.open_path(&Self::path_of(key.digest, key.encoding), key.digest).await
    }

    async fn open_path(&self, path: &Path, digest: Digest) -> Result<Object, StoreError> {
        let found = self.objects.get(path).await.map_err(|e| missing(e, digest))?;
        let size = found.meta.size;
        Ok(match found.payload {
            GetResultPayload::File(file, _) => Object { size, file: Some(file.try_clone()?), reader: Box::new(file) },
            GetResultPayload::Stream(pieces) => {
                let pieces = StreamReader::new(pieces.map_err(io::Error::other));
                Object { size, file: None, reader: Box::new(SyncIoBridge::new(pieces)) }
            }
        })
    }

    /// The pieces of a pass over a file.
    fn pieces(&self, pass: impl Pass) -> Bytes {
        let store = self.clone();
        stream::try_unfold(Some(pass), move |pass| {
            let store = store.clone();
            async move {
                let Some(mut pass) = pass else { return Ok(None) };
                loop {
                    let step;
                    (pass, step) = store.step(pass).await?;
                    match step? {
                        Step::Piece(piece) => return Ok(Some((piece, Some(pass)))),
                        Step::Again => {}
                        Step::End => return Ok(None),
                    }
                }
            }
        })
        .boxed()
    }

    /// One step on a thread. The threads that read are few, however many readers there are.
    async fn step<P: Pass>(&self, mut pass: P) -> Result<(P, Result<Step, StoreError>), StoreError> {
        let _place = self.readers.acquire().await.map_err(|_| StoreError::Interrupted)?;
        Ok(tokio::task::spawn_blocking(move || {
            let step = pass.step();
            (pass, step)
        })
        .await?)
    }

    /// A file that can be read out of order. `is_checked`: no byte is given out that is not what was archived.
    pub(super) async fn seekable(&self, key: Key, is_checked: bool) -> Result<Box<dyn Seekable>, StoreError> {
        if key.encoding == Encoding::Plain {
            let blocks = if is_checked { Some(self.block_list(key).await?) } else { None };
            if let Some(file) = self.open_object(key).await?.file {
                return Ok(match blocks {
                    Some(blocks) => Box::new(CheckedFile::new(file, key, blocks)),
                    None => Box::new(BufReader::new(file)),
                });
            }
        }
        let mut spool = self.spool();
        spool.make_sure(key.size)?;
        let mut bytes = self.read(key, None).await?;
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            spool = tokio::task::spawn_blocking(move || spool.write(&piece).map(|()| spool)).await??;
        }
        Ok(Box::new(spool.into_reader()?))
    }

    pub(super) fn spool(&self) -> Spool {
        let file = tempfile::spooled_tempfile_in(SPOOL_IN_MEMORY_MAX, &self.scratch);
        Spool { store: self.clone(), file, written: 0, looked_at: 0 }
    }
}

/// A file of passing use, which leaves the disk the room that others need.
pub(super) struct Spool {
    store: Store,
    file: tempfile::SpooledTempFile,
    written: u64,
    looked_at: u64,
}

impl Spool {
    /// An error where there is no room for so many bytes more.
    pub fn make_sure(&self, coming: u64) -> Result<(), StoreError> {
        match &self.store.room {
            Some(room) if coming > SPOOL_IN_MEMORY_MAX as u64 => room(coming).map_err(StoreError::DiskFull),
            _ => Ok(()),
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.written += bytes.len() as u64;
        if self.written > self.looked_at + LOOK_EVERY_BYTES {
            self.looked_at = self.written;
            self.make_sure(LOOK_EVERY_BYTES)?;
        }
        Ok(self.file.write_all(bytes)?)
    }

    pub fn into_reader(mut self) -> Result<tempfile::SpooledTempFile, StoreError> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(self.file)
    }
}

fn missing(error: object_store::Error, digest: Digest) -> StoreError {
    match error {
        object_store::Error::NotFound { .. } => StoreError::Missing(digest),
        other => other.into(),
    }
}

/// Decodes the object at `path`, which holds the file of `key` in that key's encoding.
pub(super) async fn decode_at(store: &Store, path: &Path, key: Key) -> Result<Bytes, StoreError> {
    let source = store.open_path(path, key.digest).await?.source(key)?;
    Ok(store.pieces(Whole::new(source, key, Emit::Published)))
}

/// A stored object, opened.
struct Object {
    size: u64,
    /// Where it is a file of this machine: can be read out of order.
    file: Option<std::fs::File>,
    reader: Box<dyn Read + Send>,
}

impl Object {
    fn source(self, key: Key) -> Result<Source, StoreError> {
        Ok(match key.encoding {
            Encoding::Plain => Source::Plain(self.reader),
            Encoding::Zstd => Source::Zstd(Box::new(decoder(self.reader, false)?)),
        })
    }
}

type FrameDecoder = Decoder<'static, BufReader<Tee>>;

fn decoder(reader: Box<dyn Read + Send>, keeps: bool) -> io::Result<FrameDecoder> {
    let tee = Tee { inner: reader, kept: keeps.then(Vec::new) };
    Decoder::with_buffer(BufReader::with_capacity(BLOCK, tee))
}

/// Keeps a copy of what is read through it, where that is wanted.
struct Tee {
    inner: Box<dyn Read + Send>,
    kept: Option<Vec<u8>>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(&buffer[..n]);
        }
        Ok(n)
    }
}

/// The published bytes of an object.
enum Source {
    Plain(Box<dyn Read + Send>),
    Zstd(Box<FrameDecoder>),
}

impl Source {
    /// The next block; shorter only at the end.
    fn block(&mut self, digest: Digest) -> Result<Vec<u8>, StoreError> {
        let mut block = Vec::with_capacity(BLOCK);
        let read = match self {
            Self::Plain(reader) => reader.take(BLOCK as u64).read_to_end(&mut block),
            Self::Zstd(decoder) => decoder.take(BLOCK as u64).read_to_end(&mut block),
        };
        match read {
            Ok(_) => Ok(block),
            Err(e) if is_damage(&e) => {
                tracing::debug!(%digest, error = %e, "a file of the archive does not decode");
                Err(StoreError::Damaged(digest))
            }
            Err(e) => Err(e.into()),
        }
    }

    /// What was read of the stored bytes since the last call.
    fn take_stored(&mut self) -> Vec<u8> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Zstd(decoder) => decoder.get_mut().get_mut().kept.as_mut().map(std::mem::take).unwrap_or_default(),
        }
    }

    fn stored_len(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Zstd(decoder) => decoder.get_ref().get_ref().kept.as_ref().map_or(0, Vec::len),
        }
    }
}

/// Whether an error of reading is the object's own: the decoder says so where a frame is cut or altered, and the system
/// where the medium gives the bytes no longer.
fn is_damage(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    error.raw_os_error() == Some(EIO)
        || matches!(error.kind(), io::ErrorKind::Other | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}

/// What a step of a pass gives.
enum Step {
    Piece(bytes::Bytes),
    /// Nothing yet.
    Again,
    /// All was given, and all was as it should be.
    End,
}

/// A pass over a file, made step by step.
trait Pass: Send + 'static {
    fn step(&mut self) -> Result<Step, StoreError>;
}

/// What a pass over a whole file gives out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Emit {
    Published,
    Stored,
    /// Nothing: the hashes of the blocks are wanted.
    Hashes,
}

/// All of a file, checked against its digest before the last piece is given out.
struct Whole {
    source: Source,
    key: Key,
    emit: Emit,
    hasher: sha2::Sha256,
    size: u64,
    held: Option<bytes::Bytes>,
    hashes: Vec<Hash>,
    is_done: bool,
}

impl Whole {
    fn new(source: Source, key: Key, emit: Emit) -> Self {
        let hasher = sha2::Sha256::new();
        Self { source, key, emit, hasher, size: 0, held: None, hashes: Vec::new(), is_done: false }
    }

    fn finish(&mut self) -> Result<Step, StoreError> {
        let digest = Digest(std::mem::take(&mut self.hasher).finalize().into());
        if self.size != self.key.size || digest != self.key.digest {
            return Err(StoreError::Damaged(self.key.digest));
        }
        self.is_done = true;
        let rest = self.source.take_stored();
        let last = match self.held.take() {
            Some(held) if rest.is_empty() => held,
            Some(held) => [&held[..], &rest].concat().into(),
            None => rest.into(),
        };
        Ok(if last.is_empty() { Step::End } else { Step::Piece(last) })
    }
}

impl Pass for Whole {
    fn step(&mut self) -> Result<Step, StoreError> {
        if self.is_done {
            return Ok(Step::End);
        }
        for _ in 0..BLOCKS_AT_ONCE {
            let block = self.source.block(self.key.digest)?;
            if block.is_empty() {
                return self.finish();
            }
            self.hasher.update(&block);
            self.size += block.len() as u64;
            if self.size > self.key.size {
                return Err(StoreError::Damaged(self.key.digest));
            }
            let piece = match self.emit {
                Emit::Published => block,
                Emit::Stored if self.source.stored_len() >= BLOCK => self.source.take_stored(),
                Emit::Stored => continue,
                Emit::Hashes => {
                    self.hashes.push(super::blocks::hash(&block));
                    continue;
                }
            };
            if let Some(before) = self.held.replace(piece.into()) {
                return Ok(Step::Piece(before));
            }
        }
        Ok(Step::Again)
    }
}

/// A part of a file: each block of it is checked before any of it is given out.
struct Part {
    source: Source,
    key: Key,
    blocks: BlockList,
    wanted: Range<u64>,
    /// Where the next block begins.
    at: u64,
}

impl Part {
    fn new(object: Object, key: Key, blocks: BlockList, wanted: Range<u64>) -> Result<Self, StoreError> {
        let first = wanted.start - wanted.start % BLOCK as u64;
        match (object.file, key.encoding) {
            (Some(mut file), Encoding::Plain) => {
                file.seek(SeekFrom::Start(first))?;
                Ok(Self { source: Source::Plain(Box::new(file)), key, blocks, wanted, at: first })
            }
            (file, _) => {
                let source = Object { file, ..object }.source(key)?;
                Ok(Self { source, key, blocks, wanted, at: 0 })
            }
        }
    }
}

impl Pass for Part {
    fn step(&mut self) -> Result<Step, StoreError> {
        for _ in 0..BLOCKS_AT_ONCE {
            if self.at >= self.wanted.end {
                return Ok(Step::End);
            }
            let block = self.source.block(self.key.digest)?;
            let from = self.at;
            self.at += block.len() as u64;
            if block.is_empty() {
                return Err(StoreError::Damaged(self.key.digest));
            }
            if self.at <= self.wanted.start {
                continue;
            }
            check_block(&self.blocks, self.key, from, &block)?;
            let start = self.wanted.start.saturating_sub(from) as usize;
            let end = (self.wanted.end - from).min(block.len() as u64) as usize;
            return Ok(Step::Piece(bytes::Bytes::from(block).slice(start..end)));
        }
        Ok(Step::Again)
    }
}

fn check_block(blocks: &BlockList, key: Key, at: u64, block: &[u8]) -> Result<(), StoreError> {
    let expected = usize::try_from(at / BLOCK as u64).ok().and_then(|index| blocks.get(index));
    if expected == Some(&super::blocks::hash(block)) { Ok(()) } else { Err(StoreError::Damaged(key.digest)) }
}

/// A plain object, read out of order; each block is checked when it is loaded.
struct CheckedFile {
    file: std::fs::File,
    key: Key,
    blocks: BlockList,
    at: u64,
    /// The block that was loaded last, and where it begins.
    block: Vec<u8>,
    block_at: u64,
}

impl CheckedFile {
    fn new(file: std::fs::File, key: Key, blocks: BlockList) -> Self {
        Self { file, key, blocks, at: 0, block: Vec::new(), block_at: 0 }
    }

    fn load(&mut self) -> io::Result<()> {
        let first = self.at - self.at % BLOCK as u64;
        let is_loaded = !self.block.is_empty() && self.block_at == first;
        if is_loaded {
            return Ok(());
        }
        self.block.clear();
        self.file.seek(SeekFrom::Start(first))?;
        (&mut self.file).take(BLOCK as u64).read_to_end(&mut self.block)?;
        self.block_at = first;
        check_block(&self.blocks, self.key, first, &self.block).map_err(|damage| {
            self.block.clear();
            io::Error::other(damage)
        })
    }
}

impl Read for CheckedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.key.size || buffer.is_empty() {
            return Ok(0);
        }
        self.load()?;
        let from = (self.at - self.block_at) as usize;
        let rest = self.block.get(from..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for CheckedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.key.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// The damage that an error of reading comes from, where it passed through a library.
pub(super) fn damage_in(error: &io::Error) -> Option<Digest> {
    let inner = error.get_ref()?.downcast_ref::<StoreError>()?;
    match inner {
        StoreError::Damaged(digest) => Some(*digest),
        _ => None,
    }
}

/// Shared by all that read.
pub(super) fn reader_places() -> Arc<tokio::sync::Semaphore> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    Arc::new(tokio::sync::Semaphore::new((threads * 2).clamp(4, 32)))
}
