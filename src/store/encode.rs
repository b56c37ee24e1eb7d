//! Hashing and compressing, apart from the async threads.
use std::io::Write;

use sha2::Digest as _;
use zstd::stream::write::Encoder;

use crate::domain::Digest;

/// zstd's own default: the fresh tier is written at the speed files arrive; the dense tier is for density.
const LEVEL: i32 = 3;

/// Files up to this size are kept in memory until it is known which form is smaller.
pub(super) const SMALL_MAX: u64 = 8 << 20;

/// A file on its way in: its digest and frame so far.
pub(super) struct Encode {
    hasher: sha2::Sha256,
    encoder: Encoder<'static, Vec<u8>>,
    /// The bytes as they came, while they are few.
    plain: Option<Vec<u8>>,
    size: u64,
}

/// All of it.
pub(super) struct Encoded {
    pub digest: Digest,
    pub size: u64,
    /// The end of the frame, beyond what was taken before.
    pub frame: Vec<u8>,
    pub plain: Option<Vec<u8>>,
}

impl Encode {
    pub fn new() -> std::io::Result<Self> {
        let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self { hasher: sha2::Sha256::new(), encoder, plain: Some(Vec::new()), size: 0 })
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

    /// How much of the frame waits to be taken.
    pub fn ready(&self) -> usize {
        self.encoder.get_ref().len()
    }

    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.encoder.get_mut())
    }

    pub fn finish(self) -> std::io::Result<Encoded> {
        let frame = self.encoder.finish()?;
        Ok(Encoded { digest: Digest(self.hasher.finalize().into()), size: self.size, frame, plain: self.plain })
    }
}
