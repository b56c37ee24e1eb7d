//! dense: files in as few bytes as possible, for the dense tier of the archive.
//!
//! Takes bytes and returns bytes. It knows no URL, table, product or folder. A file is encoded on its own or against a base, another
//! file that must then be at hand to decode it; its bytes as published, or its expanded form, in which deflate streams are
//! replaced by what they decompress to. [`encode`] tries what there is, keeps the smallest, and returns nothing that did not
//! decode to the file's SHA-256. [`decode`] returns the published bytes or an error.
//!
//! Both work on any thread that may be busy for seconds, and look at [`Work::stop`] between pieces. What they hold in memory is
//! bounded by [`Limits`]. `docs/archive-format.md` describes what is written.
mod decode;
mod encode;
mod expand;
mod form;
mod frame;
mod header;
mod png;
mod streams;
mod varint;

use std::sync::atomic::{AtomicBool, Ordering};

pub use decode::{Bases, Content, Object, content, decode};
pub use encode::{Base, Encoded, encode};
pub use frame::Effort;
pub use header::{BaseRef, FormRef, Header};

pub use crate::domain::DEPTH_MAX;

/// Longer files are neither encoded nor decoded: they would need too much memory.
pub const FILE_MAX: usize = 64 << 20;

/// What is done by default.
impl Default for Limits {
    fn default() -> Self {
        Self { file_max: FILE_MAX, effort: Effort { level: 19, table_log_max: 23 } }
    }
}

/// Bounds of memory and time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Larger files are not encoded at all.
    pub file_max: usize,
    pub effort: Effort,
}

/// The limits of a piece of work, and what ends it early.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    pub limits: Limits,
    /// Once it is set, the work ends with [`DenseError::Interrupted`].
    pub stop: &'a AtomicBool,
}

impl Work<'_> {
    fn check(&self) -> Result<(), DenseError> {
        if self.stop.load(Ordering::Relaxed) { Err(DenseError::Interrupted) } else { Ok(()) }
    }
}

/// How a file is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// As published.
    Plain,
    /// One zstd frame of the published bytes.
    Zstd,
    /// One zstd frame of the published bytes, with those of the base as its prefix.
    Delta,
    /// One zstd frame of the expanded form.
    Expanded,
    /// One zstd frame of the expanded form, with that of the base as its prefix.
    ExpandedDelta,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Plain, Self::Zstd, Self::Delta, Self::Expanded, Self::ExpandedDelta];

    fn code(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Zstd => 1,
            Self::Delta => 2,
            Self::Expanded => 3,
            Self::ExpandedDelta => 4,
        }
    }

    fn from_code(code: u8) -> Result<Self, DenseError> {
        let found = Self::ALL.into_iter().find(|kind| kind.code() == code);
        found.ok_or(DenseError::Damaged("it is of an unknown kind"))
    }

    pub fn needs_base(self) -> bool {
        matches!(self, Self::Delta | Self::ExpandedDelta)
    }

    /// Whether preflate-rs is needed to decode it.
    pub fn is_expanded(self) -> bool {
        matches!(self, Self::Expanded | Self::ExpandedDelta)
    }
}

/// Why a file can't be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum DenseError {
    #[error("the object is damaged: {0}")]
    Damaged(&'static str),
    #[error("the object has format {format}; this version of Acervo reads format 1")]
    UnknownFormat { format: u8 },
    #[error(
        "the object needs preflate-rs {}.{}.{} to decode; this version of Acervo has {}.{}.{}",
        .needed[0], .needed[1], .needed[2], .linked[0], .linked[1], .linked[2]
    )]
    OtherPreflate { needed: [u8; 3], linked: [u8; 3] },
    #[error("the base {0} has another expanded form than the object was made with")]
    OtherForm(crate::domain::Digest),
    #[error("the file has {size} bytes; files of more than {max} bytes are not encoded")]
    TooLarge { size: u64, max: u64 },
    #[error("zstd: {0}")]
    Zstd(&'static str),
    #[error("the base {digest}: {reason}")]
    Base { digest: crate::domain::Digest, reason: String },
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("work was interrupted")]
    Interrupted,
}
