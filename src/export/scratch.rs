//! A temporary file that is written first and read afterwards. No thread of requests waits for the disk.
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::query::{FileBytes, FileError, Queries, Spool};

/// Bytes gathered before a thread writes them, and bytes of one read.
const BLOCK: usize = 128 << 10;

/// A temporary file that is being written.
pub(super) struct Scratch {
    /// `None` while a thread has it, and after a failed write.
    spool: Option<Spool>,
    gathered: Vec<u8>,
    length: u64,
}

impl Scratch {
    pub fn new(queries: &Queries) -> Self {
        Self { spool: Some(queries.spool()), gathered: Vec::new(), length: 0 }
    }

    /// A file that has `length` bytes already.
    pub fn written(spool: Spool, length: u64) -> Self {
        Self { spool: Some(spool), gathered: Vec::new(), length }
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    pub async fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.gathered.extend_from_slice(bytes);
        self.length += bytes.len() as u64;
        if self.gathered.len() >= BLOCK { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), FileError> {
        let mut spool = self.spool.take().ok_or(FileError::Interrupted)?;
        let bytes = std::mem::take(&mut self.gathered);
        let written = tokio::task::spawn_blocking(move || spool.append(&bytes).map(|()| spool));
        self.spool = Some(written.await??);
        Ok(())
    }

    pub async fn finish(mut self) -> Result<ScratchFile, FileError> {
        self.flush().await?;
        let file = self.spool.ok_or(FileError::Interrupted)?.into_reader()?;
        Ok(ScratchFile::of(file, self.length))
    }
}

/// A complete temporary file; clones read the same one. It is removed with the last of them.
#[derive(Clone)]
pub struct ScratchFile {
    file: Arc<Mutex<tempfile::SpooledTempFile>>,
    length: u64,
}

impl ScratchFile {
    /// A file that has `length` bytes.
    pub(super) fn of(file: tempfile::SpooledTempFile, length: u64) -> Self {
        Self { file: Arc::new(Mutex::new(file)), length }
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// The bytes of a part, in blocks.
    pub fn stream(&self, part: Range<u64>) -> FileBytes {
        stream::try_unfold((self.clone(), part), |(file, part)| async move {
            if part.is_empty() {
                return Ok(None);
            }
            let block = file.read(part.start, (part.end - part.start).min(BLOCK as u64)).await?;
            let next = part.start + block.len() as u64..part.end;
            Ok(Some((block, (file, next))))
        })
        .boxed()
    }

    /// Its lines, from the first.
    pub(super) fn lines(&self) -> Lines {
        Lines { bytes: self.stream(0..self.length), rest: Vec::new(), at: 0 }
    }

    async fn read(&self, at: u64, length: u64) -> Result<Bytes, FileError> {
        let file = self.file.clone();
        let read = move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let mut bytes = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut bytes)?;
            Ok(bytes.into())
        };
        tokio::task::spawn_blocking(read).await?
    }
}

/// The lines of a temporary file.
pub(super) struct Lines {
    bytes: FileBytes,
    /// Bytes that were read, and how many of them were returned.
    rest: Vec<u8>,
    at: usize,
}

impl Lines {
    /// The next line without its end; `None` at the end of the file.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.rest[self.at..]) {
                let line = self.rest[self.at..self.at + length].to_vec();
                self.at += length + 1;
                return Ok(Some(line));
            }
            self.rest.drain(..self.at);
            self.at = 0;
            match self.bytes.next().await.transpose()? {
                Some(block) => self.rest.extend_from_slice(&block),
                None => return Ok(None),
            }
        }
    }
}
