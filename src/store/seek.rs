//! Files that are read out of order, as zips are: the object itself where it is a plain file of this machine, or a copy.
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::blocks::{BLOCK, BlockList};
use super::pass::check_block;
use super::{Archive, StoreError};
use crate::domain::{Digest, StoredFile};

/// Copies up to this size stay in memory.
const IN_MEMORY_MAX: usize = 1 << 20;

/// Bytes written between two checks of the free space.
const CHECK_SPACE_BYTES: u64 = 16 << 20;

pub(super) trait Seekable: Read + Seek + Send {}
impl<T: Read + Seek + Send> Seekable for T {}

/// A temporary file, which leaves free the disk space that others need.
pub struct Spool {
    archive: Archive,
    file: tempfile::SpooledTempFile,
    written: u64,
    checked_at: u64,
}

impl Archive {
    /// The folder for temporary files.
    pub fn scratch_folder(&self) -> &std::path::Path {
        &self.scratch
    }

    /// An empty temporary file. It needs no removal.
    pub fn spool(&self) -> Spool {
        let file = tempfile::spooled_tempfile_in(IN_MEMORY_MAX, &self.scratch);
        Spool { archive: self.clone(), file, written: 0, checked_at: 0 }
    }
}

impl Spool {
    /// Bytes that were written.
    pub fn length(&self) -> u64 {
        self.written
    }

    /// An error if there is no space for `bytes` more.
    pub fn check_space(&self, bytes: u64) -> Result<(), StoreError> {
        match &self.archive.space_check {
            Some(check) if bytes > IN_MEMORY_MAX as u64 => check(bytes).map_err(StoreError::DiskFull),
            _ => Ok(()),
        }
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.written += bytes.len() as u64;
        if self.written > self.checked_at + CHECK_SPACE_BYTES {
            self.checked_at = self.written;
            self.check_space(CHECK_SPACE_BYTES)?;
        }
        Ok(self.file.write_all(bytes)?)
    }

    pub fn into_reader(mut self) -> Result<tempfile::SpooledTempFile, StoreError> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(self.file)
    }
}

/// A plain object; each block is checked when it is loaded.
pub(super) struct CheckedFile {
    opened: std::fs::File,
    file: StoredFile,
    blocks: BlockList,
    at: u64,
    /// The block that was loaded last, and where it begins.
    block: Vec<u8>,
    block_at: u64,
}

impl CheckedFile {
    pub fn new(opened: std::fs::File, file: StoredFile, blocks: BlockList) -> Self {
        Self { opened, file, blocks, at: 0, block: Vec::new(), block_at: 0 }
    }

    fn load(&mut self) -> io::Result<()> {
        let first = self.at - self.at % BLOCK as u64;
        let is_loaded = !self.block.is_empty() && self.block_at == first;
        if is_loaded {
            return Ok(());
        }
        self.block.clear();
        self.opened.seek(SeekFrom::Start(first))?;
        (&mut self.opened).take(BLOCK as u64).read_to_end(&mut self.block)?;
        self.block_at = first;
        check_block(&self.blocks, self.file, first, &self.block).map_err(|damage| {
            self.block.clear();
            io::Error::other(damage)
        })
    }
}

impl Read for CheckedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.file.size || buffer.is_empty() {
            return Ok(0);
        }
        self.load()?;
        let from = (self.at - self.block_at) as usize;
        let rest = self.block.get(from..).filter(|rest| !rest.is_empty());
        let rest = rest.ok_or_else(|| io::Error::other(StoreError::Damaged(self.file.digest)))?;
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
            SeekFrom::End(by) => self.file.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// The damage that an error of reading comes from, where it passed through a library.
pub(super) fn damage_in(error: &io::Error) -> Option<Digest> {
    error.get_ref()?.downcast_ref::<StoreError>()?.damaged()
}
