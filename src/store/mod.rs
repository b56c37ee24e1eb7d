//! store: the archive of files.
//!
//! Takes bytes and returns the digest and the locator under which they are stored. It knows no URL, no table and no product.
//! Once [`Put::finish`] returns, the file survives a power cut and reads back byte for byte, or reading it fails: whatever is
//! read, whole or in part, is verified before its last byte is returned. The same bytes are stored once.
//!
//! [`Archive`] encodes, checks and unpacks; it works over any [`Store`] of objects. [`LocalStore`] is the one in a folder.
mod archive;
mod aside;
mod audit;
mod blocks;
mod copies;
mod encode;
mod journal;
mod local;
mod member;
mod names;
mod object;
mod pass;
mod put;
mod read;
mod seek;
mod zip;

pub use archive::Archive;
pub use copies::{CopyPath, copies_in};
pub use journal::{AbandonedFiles, UnrecordedFile};
pub use local::{LocalStore, space_of};
pub use member::MemberReader;
pub use names::{Paths, member_path};
pub use object::{Body, Object, ObjectEntry, Space, Store, Upload};
pub use put::{Put, PutResult};
pub use read::Bytes;
pub use zip::{Budget, Listing, Member, MemberError};

use crate::domain::{Breakage, Digest, Locator};

/// What can go wrong with the archive.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the archive has no file {0}")]
    Missing(Digest),
    #[error("the file {0} is damaged: it does not read back as it was archived")]
    Damaged(Digest),
    #[error("the file {0} is damaged: the medium does not return its bytes")]
    Unreadable(Digest),
    #[error("the file {digest} is damaged: the archive has {what} in its place; remove that")]
    NotAFile { digest: Digest, what: &'static str },
    /// Nothing was stored.
    #[error("the bytes are those of another file, {found}")]
    OtherFile { found: Digest },
    #[error(
        "the file {digest} is stored in an encoding that needs the file {base}; this version of Acervo reads and writes \
         no such encoding"
    )]
    UnsupportedBase { digest: Digest, base: Digest },
    /// Says which member of a zip, and why. The zip itself is as it was archived.
    #[error("{0}")]
    Member(String),
    #[error("there is no disk space to decompress the file: {0}")]
    DiskFull(String),
    #[error("the archive: {0}")]
    Io(#[from] std::io::Error),
    #[error("the archive: work was interrupted")]
    Interrupted,
}

impl StoreError {
    /// The file that does not read back as it was archived, if that is the error.
    pub fn damaged(&self) -> Option<Digest> {
        match self {
            Self::Missing(digest)
            | Self::Damaged(digest)
            | Self::Unreadable(digest)
            | Self::NotAFile { digest, .. } => Some(*digest),
            Self::OtherFile { .. }
            | Self::UnsupportedBase { .. }
            | Self::Member(_)
            | Self::DiskFull(_)
            | Self::Io(_)
            | Self::Interrupted => None,
        }
    }

    /// What is wrong with the file that [`StoreError::damaged`] names.
    pub fn breakage(&self) -> Breakage {
        match self {
            Self::Missing(_) => Breakage::Missing,
            Self::NotAFile { .. } => Breakage::NotAFile,
            Self::Damaged(_) | Self::OtherFile { .. } => Breakage::Wrong,
            Self::Unreadable(_)
            | Self::UnsupportedBase { .. }
            | Self::Member(_)
            | Self::DiskFull(_)
            | Self::Io(_)
            | Self::Interrupted => Breakage::Unreadable,
        }
    }

    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io(e) if matches!(e.kind(), StorageFull | QuotaExceeded))
    }
}

/// Encodings with a base are not implemented; where one is met, that is an error and not damage.
fn require_no_base(locator: &Locator) -> Result<(), StoreError> {
    match locator.base {
        Some(base) => Err(StoreError::UnsupportedBase { digest: locator.digest, base }),
        None => Ok(()),
    }
}

impl From<tokio::task::JoinError> for StoreError {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::Interrupted
    }
}
