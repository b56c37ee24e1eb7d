//! store: the archive of files.
//!
//! Takes bytes and gives back the digest they are kept under. Owns the archive folder and nothing else: it knows no
//! URL, no table, no product name. Once [`Put::finish`] returns, the file survives a power cut and reads back byte for
//! byte, or the read fails: whatever is read, whole or in part, is checked before its last byte is given out. The same
//! bytes are kept once.
//!
//! A file is one zstd frame, `ab/abcd….zst`, or plain, `ab/abcd…`, where that is smaller.
mod archive;
mod blocks;
mod encode;
mod member;
mod names;
mod put;
mod read;
mod zip;

pub use archive::{Encoding, Key, Store, Stored};
pub use member::Found;
pub use names::{Paths, member_path};
pub use put::Put;
pub use read::Bytes;
pub use zip::{Budget, Listing, Member, MemberError};

/// What can go wrong with the archive.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the archive has no file {0}")]
    Missing(crate::domain::Digest),
    #[error("the file {0} is damaged: it does not read back as it was archived")]
    Damaged(crate::domain::Digest),
    /// Says which member of a zip, and why. The zip itself is as it was archived.
    #[error("{0}")]
    Member(String),
    #[error("there is no room to unpack the file: {0}")]
    DiskFull(String),
    #[error("the archive folder: {0}")]
    Io(#[from] std::io::Error),
    #[error("the archive: {0}")]
    Object(#[from] object_store::Error),
    #[error("the archive: work was interrupted")]
    Interrupted,
}

impl StoreError {
    /// The file that is not there as it was archived.
    pub fn damaged(&self) -> Option<crate::domain::Digest> {
        match self {
            Self::Missing(digest) | Self::Damaged(digest) => Some(*digest),
            Self::Member(_) | Self::DiskFull(_) | Self::Io(_) | Self::Object(_) | Self::Interrupted => None,
        }
    }

    /// Whether there is no room left.
    pub fn is_full(&self) -> bool {
        fn full(error: &(dyn std::error::Error + 'static)) -> bool {
            let own =
                error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::StorageFull);
            own || error.source().is_some_and(full)
        }
        full(self)
    }
}

impl From<tokio::task::JoinError> for StoreError {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::Interrupted
    }
}
