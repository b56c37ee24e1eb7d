//! Copies of files in other folders: another archive, or objects of one without its folders. Nothing is written there.
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::local::open_file;
use super::{Archive, StoreError};
use crate::domain::{Digest, Encoding, Locator};

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
    /// The objects of a file that exist, in the encodings without a base. Whether they are sound is not known.
    pub async fn objects_of(&self, digest: Digest) -> Result<Vec<Locator>, StoreError> {
        let mut found = Vec::new();
        for encoding in Encoding::WITHOUT_BASE {
            let locator = Locator { digest, encoding, base: None };
            match self.store.contains(&locator).await {
                Ok(Some(_)) => found.push(locator),
                Ok(None) | Err(StoreError::NotAFile { .. } | StoreError::Io(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(found)
    }

    /// Reads the bytes of an object. What it decodes to is not verified.
    pub async fn reader_of(&self, locator: Locator) -> Result<Box<dyn Read + Send>, StoreError> {
        let object = self.store.open(&locator, 0).await?;
        let stored = object.body.into_reader();
        Ok(match locator.encoding {
            Encoding::Plain => stored,
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(stored)?),
        })
    }
}
