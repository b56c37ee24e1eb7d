//! store: the archive of files.
//!
//! Takes bytes and returns the digest and the locator under which they are stored. It knows no URL, no table and no product.
//! Once [`Put::finish`] returns, the file survives a power cut and reads back byte for byte, or reading it fails: whatever is
//! read, whole or in part, is verified before its last byte is returned. The same bytes are stored once.
//!
//! [`Archive`] encodes, checks and unpacks; it works over any [`Store`] of objects. [`LocalStore`] is the one in a folder,
//! [`S3Store`] the one in a bucket.
mod archive;
mod aside;
mod audit;
mod blocks;
mod copies;
mod dense;
mod duplicate;
mod encode;
mod folder;
mod journal;
mod local;
mod member;
mod names;
mod notes;
mod object;
mod pass;
mod put;
mod read;
mod s3;
mod seek;
mod unzip;
mod zip;

pub use archive::Archive;
pub use audit::Access;
pub use copies::{CopyPath, copies_in};
pub use duplicate::Copied;
pub use journal::{AbandonedFiles, UnrecordedFile};
pub use local::{LocalStore, space_of};
pub use member::MemberReader;
pub use names::{Paths, member_path};
pub use object::{AsideObject, Body, Object, ObjectEntry, Space, Store, Upload};
pub use put::{Put, PutResult};
pub use read::Bytes;
pub use s3::{BucketError, S3Store};
pub use seek::Spool;
pub use unzip::{Beginning, OpenFile, OpenMember, OpenZip};
pub use zip::{Budget, CancelOnDrop, Listing, Member, MemberError, Work};

use crate::domain::{Breakage, Digest};

/// The kind of an error of [`StoreError::is_away`]. No local file gives it, and no decoder.
const AWAY: std::io::ErrorKind = std::io::ErrorKind::ConnectionAborted;

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
    /// The object may be sound.
    #[error("the file {digest} cannot be decoded: {reason}")]
    Undecodable { digest: Digest, reason: String },
    #[error("the file {digest} cannot be decoded: its base {base} is damaged or missing")]
    BaseDamaged { digest: Digest, base: Digest },
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
            | Self::BaseDamaged { digest, .. }
            | Self::NotAFile { digest, .. } => Some(*digest),
            Self::OtherFile { .. }
            | Self::Undecodable { .. }
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
            | Self::BaseDamaged { .. }
            | Self::Undecodable { .. }
            | Self::Member(_)
            | Self::DiskFull(_)
            | Self::Io(_)
            | Self::Interrupted => Breakage::Unreadable,
        }
    }

    /// Whether the system denied access: the object may be sound, and other users may be able to read it.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Io(e) if e.kind() == std::io::ErrorKind::PermissionDenied)
    }

    /// Whether the service of a bucket cannot be reached, or failed at every try: that says nothing about a file.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Io(e) if e.kind() == AWAY)
    }

    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io(e) if matches!(e.kind(), StorageFull | QuotaExceeded))
    }
}

impl From<tokio::task::JoinError> for StoreError {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::Interrupted
    }
}
