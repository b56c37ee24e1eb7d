//! How a file is stored: what names its object, and the sizes of both.
use std::str::FromStr;

use super::Digest;

/// How a file's bytes are encoded in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    Plain,
    /// One zstd frame.
    Zstd,
}

impl Encoding {
    /// The encodings of objects that are decoded without a base, the usual one first.
    pub const WITHOUT_BASE: [Self; 2] = [Self::Zstd, Self::Plain];

    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Zstd => "zstd",
        }
    }
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::WITHOUT_BASE.into_iter().find(|encoding| encoding.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is not an encoding of stored files; expected plain or zstd"))
    }
}

/// Names an object of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Locator {
    /// Of the published bytes, whatever the encoding.
    pub digest: Digest,
    pub encoding: Encoding,
    /// The file that is needed to decode the object. No encoding in use has one.
    pub base: Option<Digest>,
}

/// A file whose bytes are in the store. All that is needed to read it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoredFile {
    pub digest: Digest,
    pub encoding: Encoding,
    /// As in [`Locator`].
    pub base: Option<Digest>,
    /// Bytes as published.
    pub size: u64,
    /// Bytes in the store.
    pub stored_size: u64,
}

impl StoredFile {
    pub fn locator(&self) -> Locator {
        Locator { digest: self.digest, encoding: self.encoding, base: self.base }
    }
}
