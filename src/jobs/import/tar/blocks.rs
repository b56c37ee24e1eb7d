//! The bytes of a tar, read block by block and entry by entry.
use std::io::{self, Read};

pub(super) const BLOCK: u64 = 512;

/// The bytes of a tar, and how many of them belong to the current entry.
pub(super) struct BlockReader<R> {
    reader: R,
    /// Bytes of the entry, and of the padding after it, that are still to be read.
    left: u64,
    padding: u64,
}

impl<R: Read> BlockReader<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, left: 0, padding: 0 }
    }

    /// Begins an entry of `size` bytes.
    pub fn begin(&mut self, size: u64) -> io::Result<()> {
        if size > i64::MAX as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an entry's size is not valid"));
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK) - size;
        Ok(())
    }

    /// Skips the rest of the entry.
    pub fn skip(&mut self) -> io::Result<()> {
        let left = self.left + self.padding;
        (self.left, self.padding) = (0, 0);
        let skipped = io::copy(&mut self.reader.by_ref().take(left), &mut io::sink())?;
        if skipped < left { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Reads a block outside of entries; false at the end.
    pub fn block(&mut self, block: &mut [u8]) -> io::Result<bool> {
        let mut read = 0;
        while read < block.len() {
            match self.reader.read(&mut block[read..]) {
                Ok(0) if read == 0 => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => read += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }
}

/// The bytes of the current entry. The end of the tar before the end of the entry is an error.
impl<R: Read> Read for BlockReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.reader.read(&mut buffer[..length])?;
        if read == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}
