//! How a file is stored: what names its object, and the sizes of both.
use std::str::FromStr;

use super::Digest;

/// The longest chain: bases that are decoded one after another before a file is.
pub const DEPTH_MAX: u8 = 8;

/// How a file's bytes are encoded in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    Plain,
    /// One zstd frame.
    Zstd,
    /// A dense object, which may need another file to decode. `docs/archive-format.md` describes it.
    Dense,
}

impl Encoding {
    /// All of them, the usual one first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Plain, Self::Dense];

    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Zstd => "zstd",
            Self::Dense => "dense",
        }
    }
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|encoding| encoding.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is not an encoding of stored files; expected plain, zstd or dense"))
    }
}

/// Names an object of the store. A file has at most one object in each encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Locator {
    /// Of the published bytes, whatever the encoding.
    pub digest: Digest,
    pub encoding: Encoding,
}

/// What storing a file did to its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectChange {
    /// It had none, and has one now.
    New,
    /// It has a sound one already.
    Kept,
    /// It had one in this encoding that was damaged. A sound one replaced it, perhaps in another encoding.
    Replaced(Encoding),
}

/// A file whose bytes are in the store. All that is needed to read it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoredFile {
    pub digest: Digest,
    pub encoding: Encoding,
    /// The file that is needed to decode the object, where its encoding needs one.
    pub base: Option<Digest>,
    /// Bytes as published.
    pub size: u64,
    /// Bytes in the store.
    pub stored_size: u64,
}

impl StoredFile {
    pub fn locator(&self) -> Locator {
        Locator { digest: self.digest, encoding: self.encoding }
    }
}
