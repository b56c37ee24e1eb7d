//! One pass over an object, made step by step: what it decodes to is compared with what was archived.
use std::io::{self, BufReader, Read};
use std::ops::Range;

use sha2::Digest as _;
use zstd::stream::read::Decoder;

use super::StoreError;
use super::blocks::{BLOCK, BlockList, Hash};
use super::object::Object;
use crate::domain::{Digest, Encoding, StoredFile};

/// Blocks that one step goes through without giving any of them out.
const BLOCKS_PER_STEP: usize = 32;

/// What a step gives.
pub(super) enum Step {
    Piece(bytes::Bytes),
    /// Nothing yet.
    Again,
    /// All was given, and all was as it should be.
    End,
}

pub(super) trait Pass: Send + 'static {
    fn step(&mut self) -> Result<Step, StoreError>;
}

/// The published bytes of an object.
pub(super) enum Source {
    Plain(Box<dyn Read + Send>),
    Zstd(Box<FrameDecoder>),
}

type FrameDecoder = Decoder<'static, BufReader<Tee>>;

/// Copies what is read through it, where that is wanted.
pub(super) struct Tee {
    inner: Box<dyn Read + Send>,
    copy: Option<Vec<u8>>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if let Some(copy) = &mut self.copy {
            copy.extend_from_slice(&buffer[..n]);
        }
        Ok(n)
    }
}

impl Source {
    /// `copies`: the stored bytes are wanted too.
    pub fn new(object: Object, file: StoredFile, copies: bool) -> Result<Self, StoreError> {
        let inner = object.body.into_reader();
        Ok(match file.encoding {
            Encoding::Plain => Self::Plain(inner),
            Encoding::Zstd => {
                let tee = Tee { inner, copy: copies.then(Vec::new) };
                Self::Zstd(Box::new(Decoder::with_buffer(BufReader::with_capacity(BLOCK, tee))?))
            }
            Encoding::Dense => {
                let reason = "a dense object was read as a stream".to_owned();
                return Err(StoreError::Undecodable { digest: file.digest, reason });
            }
        })
    }

    /// The next block; shorter only at the end.
    fn block(&mut self, digest: Digest) -> Result<Vec<u8>, StoreError> {
        let mut block = Vec::with_capacity(BLOCK);
        let read = match self {
            Self::Plain(reader) => reader.take(BLOCK as u64).read_to_end(&mut block),
            Self::Zstd(decoder) => decoder.take(BLOCK as u64).read_to_end(&mut block),
        };
        match read {
            Ok(_) => Ok(block),
            Err(e) => Err(explained(e, digest)),
        }
    }

    fn copy(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Plain(_) => None,
            Self::Zstd(decoder) => decoder.get_mut().get_mut().copy.as_mut(),
        }
    }

    /// The stored bytes that were read since the last call.
    fn take_copy(&mut self) -> Vec<u8> {
        self.copy().map(std::mem::take).unwrap_or_default()
    }

    fn copy_len(&mut self) -> usize {
        self.copy().map_or(0, |copy| copy.len())
    }
}

/// An error of reading the object of a file.
pub(super) fn explained(error: io::Error, digest: Digest) -> StoreError {
    if error.raw_os_error() == Some(EIO) {
        tracing::debug!(%digest, %error, "the medium does not return a file of the archive");
        return StoreError::Unreadable(digest);
    }
    if is_damage(&error) {
        tracing::debug!(%digest, %error, "a file of the archive does not decode");
        return StoreError::Damaged(digest);
    }
    error.into()
}

/// The system's error where the medium no longer returns the bytes.
const EIO: i32 = 5;

/// Whether an error of reading is the decoder's, for a frame that is cut or altered.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Other | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}

/// What a pass over a whole file returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Emit {
    Published,
    Stored,
    /// Nothing: the hashes of the blocks are wanted.
    Hashes,
}

/// All of a file. The last piece is withheld until the whole matched the digest.
pub(super) struct Whole {
    source: Source,
    file: StoredFile,
    emit: Emit,
    hasher: sha2::Sha256,
    size: u64,
    held_back: Option<bytes::Bytes>,
    hashes: Vec<Hash>,
    is_done: bool,
}

impl Whole {
    pub fn new(source: Source, file: StoredFile, emit: Emit) -> Self {
        let hasher = sha2::Sha256::new();
        Self { source, file, emit, hasher, size: 0, held_back: None, hashes: Vec::new(), is_done: false }
    }

    /// Of a pass that gave [`Step::End`].
    pub fn into_block_list(self) -> BlockList {
        self.hashes.into()
    }

    fn finish(&mut self) -> Result<Step, StoreError> {
        let digest = Digest(std::mem::take(&mut self.hasher).finalize().into());
        if self.size != self.file.size || digest != self.file.digest {
            return Err(StoreError::Damaged(self.file.digest));
        }
        self.is_done = true;
        let rest = self.source.take_copy();
        let last = match self.held_back.take() {
            Some(held_back) if rest.is_empty() => held_back,
            Some(held_back) => [&held_back[..], &rest].concat().into(),
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
        for _ in 0..BLOCKS_PER_STEP {
            let block = self.source.block(self.file.digest)?;
            if block.is_empty() {
                return self.finish();
            }
            self.hasher.update(&block);
            self.size += block.len() as u64;
            if self.size > self.file.size {
                return Err(StoreError::Damaged(self.file.digest));
            }
            let piece = match self.emit {
                Emit::Published => block,
                Emit::Stored if self.source.copy_len() >= BLOCK => self.source.take_copy(),
                Emit::Stored => continue,
                Emit::Hashes => {
                    self.hashes.push(super::blocks::hash(&block));
                    continue;
                }
            };
            if let Some(before) = self.held_back.replace(piece.into()) {
                return Ok(Step::Piece(before));
            }
        }
        Ok(Step::Again)
    }
}

/// A part of a file: each block of it is checked before any of it is returned.
pub(super) struct Part {
    source: Source,
    file: StoredFile,
    blocks: BlockList,
    wanted: Range<u64>,
    /// Where the next block begins.
    at: u64,
}

impl Part {
    /// The offset to open the object at: that of the first block of the part, or the beginning where a frame has to be decoded.
    pub fn first_block(file: StoredFile, wanted: &Range<u64>) -> u64 {
        match file.encoding {
            Encoding::Plain => wanted.start - wanted.start % BLOCK as u64,
            Encoding::Zstd | Encoding::Dense => 0,
        }
    }

    /// `at`: the offset that the object was opened at.
    pub fn new(source: Source, file: StoredFile, blocks: BlockList, wanted: Range<u64>, at: u64) -> Self {
        Self { source, file, blocks, wanted, at }
    }
}

impl Pass for Part {
    fn step(&mut self) -> Result<Step, StoreError> {
        for _ in 0..BLOCKS_PER_STEP {
            if self.at >= self.wanted.end {
                return Ok(Step::End);
            }
            let block = self.source.block(self.file.digest)?;
            let from = self.at;
            self.at += block.len() as u64;
            if block.is_empty() {
                return Err(StoreError::Damaged(self.file.digest));
            }
            if self.at <= self.wanted.start {
                continue;
            }
            check_block(&self.blocks, self.file, from, &block)?;
            let start = self.wanted.start.saturating_sub(from) as usize;
            let end = (self.wanted.end - from).min(block.len() as u64) as usize;
            return Ok(Step::Piece(bytes::Bytes::from(block).slice(start..end)));
        }
        Ok(Step::Again)
    }
}

/// An error if the block at an offset is not the one that was archived.
pub(super) fn check_block(blocks: &BlockList, file: StoredFile, at: u64, block: &[u8]) -> Result<(), StoreError> {
    let expected = usize::try_from(at / BLOCK as u64).ok().and_then(|index| blocks.get(index));
    if expected == Some(&super::blocks::hash(block)) { Ok(()) } else { Err(StoreError::Damaged(file.digest)) }
}
