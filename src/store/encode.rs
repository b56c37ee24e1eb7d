//! Hashing and compressing. Blocks, so it runs on threads for that.
use std::io::Write;

use sha2::Digest as _;
use zstd::stream::write::Encoder;

use crate::domain::{Digest, Encoding, StoredFile};

/// zstd's own default: files are compressed as fast as they arrive.
const LEVEL: i32 = 3;

/// Files up to this size stay in memory until it is known which encoding is smaller.
pub(super) const SMALL_MAX: u64 = 8 << 20;

/// A file being stored: its digest and frame so far.
pub(super) struct Encode {
    hasher: sha2::Sha256,
    /// Of the frame, as far as it was taken.
    frame_hasher: sha2::Sha256,
    encoder: Encoder<'static, Vec<u8>>,
    /// The bytes as they came, up to [`SMALL_MAX`].
    plain: Option<Vec<u8>>,
    size: u64,
}

/// A complete file.
pub(super) struct EncodedFile {
    pub digest: Digest,
    /// Of the whole frame.
    pub frame_digest: Digest,
    pub size: u64,
    /// The end of the frame, after what was taken before.
    pub frame: Vec<u8>,
    pub plain: Option<Vec<u8>>,
}

impl Encode {
    /// `size`: of the whole file, where it is known. zstd takes less memory for a small one, and compresses it better.
    pub fn new(size: Option<u64>) -> std::io::Result<Self> {
        let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.set_pledged_src_size(size)?;
        let (hasher, frame_hasher) = (sha2::Sha256::new(), sha2::Sha256::new());
        Ok(Self { hasher, frame_hasher, encoder, plain: Some(Vec::new()), size: 0 })
    }

    pub fn update(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.encoder.write_all(bytes)?;
        self.size += bytes.len() as u64;
        match &mut self.plain {
            Some(plain) if self.size <= SMALL_MAX => plain.extend_from_slice(bytes),
            _ => self.plain = None,
        }
        Ok(())
    }

    /// Bytes of the frame that can be taken.
    pub fn ready(&self) -> usize {
        self.encoder.get_ref().len()
    }

    pub fn take(&mut self) -> Vec<u8> {
        let frame = std::mem::take(self.encoder.get_mut());
        self.frame_hasher.update(&frame);
        frame
    }

    pub fn finish(mut self) -> std::io::Result<EncodedFile> {
        let frame = self.encoder.finish()?;
        self.frame_hasher.update(&frame);
        let [digest, frame_digest] = [self.hasher, self.frame_hasher].map(|hasher| Digest(hasher.finalize().into()));
        Ok(EncodedFile { digest, frame_digest, size: self.size, frame, plain: self.plain })
    }
}

impl EncodedFile {
    /// The file as it is to be stored, in the smaller encoding. `written`: bytes of the frame that were taken before.
    pub fn as_stored(&self, written: u64) -> StoredFile {
        let frame_size = written + self.frame.len() as u64;
        let is_plain = match written {
            0 => self.plain.as_ref().is_some_and(|plain| plain.len() <= self.frame.len()),
            _ => frame_size >= self.size,
        };
        let (encoding, stored_size) =
            if is_plain { (Encoding::Plain, self.size) } else { (Encoding::Zstd, frame_size) };
        StoredFile { digest: self.digest, encoding, base: None, size: self.size, stored_size }
    }
}
