//! Copies of files in other folders: another archive, or objects of one without its folders. Nothing is written there.
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::local::open_file;
use super::{Archive, StoreError};
use crate::domain::{Digest, Encoding, StoredFile};

/// A file that may have the bytes of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPath {
    pub path: PathBuf,
    pub encoding: Encoding,
}

impl CopyPath {
    /// Opens the copy. What it decodes to is not verified.
    pub fn open(&self, digest: Digest) -> Result<Box<dyn Read + Send>, StoreError> {
        let (file, _) = open_file(&self.path, digest)?;
        Ok(match self.encoding {
            Encoding::Plain => Box::new(io::BufReader::new(file)),
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
        })
    }
}

/// The copies of a file in a folder that are named for its digest: in an archive, in the data folder of one, or side by side.
pub fn copies_in(folder: &Path, digest: Digest) -> Vec<CopyPath> {
    let name = digest.to_string();
    let first = &name[..2];
    let folders = [folder.join(first), folder.join("archive").join(first), folder.to_owned()];
    let named = folders.iter().flat_map(|folder| {
        [(folder.join(format!("{name}.zst")), Encoding::Zstd), (folder.join(&name), Encoding::Plain)]
    });
    named.filter(|(path, _)| path.is_file()).map(|(path, encoding)| CopyPath { path, encoding }).collect()
}

impl Archive {
    /// Reads the bytes of a file from its own object, which is replaced afterwards.
    pub async fn reader_of(&self, file: StoredFile) -> Result<Box<dyn Read + Send>, StoreError> {
        let object = self.store.open(&file.locator(), 0).await?;
        let stored = object.body.into_reader();
        Ok(match file.encoding {
            Encoding::Plain => stored,
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(stored)?),
        })
    }
}
