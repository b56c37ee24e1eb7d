//! Copies of files in other folders: another archive, or objects of one without its folders. Nothing is written there.
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::dense::read_bounded;
use super::folder::{name_of, open_file};
use super::{Archive, AsideObject, StoreError};
use crate::domain::{Digest, Encoding, Locator};
use crate::engine::dense::{self, DenseError, Limits, Work};

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
            Encoding::Dense => {
                let object = read_bounded(file, digest)?;
                let beside = Beside(self.path.parent().unwrap_or(Path::new("")));
                let (stop, mut bytes) = (AtomicBool::new(false), Vec::new());
                let work = Work { limits: Limits::default(), stop: &stop };
                dense::decode(digest, &object, &beside, &work, &mut bytes)
                    .map_err(|e| StoreError::Undecodable { digest, reason: e.to_string() })?;
                Box::new(io::Cursor::new(bytes))
            }
        })
    }
}

/// The bases of a dense object: files in its own folder, or in that of another archive to which it belongs.
struct Beside<'a>(&'a Path);

impl dense::Bases for Beside<'_> {
    fn object(&self, digest: Digest) -> Result<dense::Object, DenseError> {
        let failed = |e: StoreError| DenseError::Base { digest, reason: e.to_string() };
        let outer = self.0.parent().into_iter().flat_map(|root| copies_in(root, digest));
        let copy = copies_in(self.0, digest).into_iter().chain(outer).next();
        let copy = copy.ok_or(failed(StoreError::Missing(digest)))?;
        let (file, _) = open_file(&copy.path, digest).map_err(failed)?;
        Ok(match copy.encoding {
            Encoding::Dense => dense::Object::Encoded(read_bounded(file, digest).map_err(failed)?),
            Encoding::Plain => dense::Object::Published(read_bounded(file, digest).map_err(failed)?),
            Encoding::Zstd => {
                let decoder = zstd::stream::read::Decoder::new(file)?;
                dense::Object::Published(read_bounded(decoder, digest).map_err(failed)?)
            }
        })
    }
}

/// The copies of a file in a folder that are named for its digest: in an archive, in the data folder of one, or side by side.
pub fn copies_in(folder: &Path, digest: Digest) -> Vec<CopyPath> {
    let name = digest.to_string();
    let first = &name[..2];
    let folders = [folder.join(first), folder.join("archive").join(first), folder.to_owned()];
    let named = folders
        .iter()
        .flat_map(|folder| Encoding::ALL.map(|encoding| (folder.join(name_of(digest, encoding)), encoding)));
    named.filter(|(path, _)| path.is_file()).map(|(path, encoding)| CopyPath { path, encoding }).collect()
}

impl Archive {
    /// The objects of a file that exist. Whether they are sound is not known.
    pub async fn objects_of(&self, digest: Digest) -> Result<Vec<Locator>, StoreError> {
        let mut found = Vec::new();
        for encoding in Encoding::ALL {
            let locator = Locator { digest, encoding };
            match self.store.contains(&locator).await {
                Ok(Some(_)) => found.push(locator),
                Err(e) if e.is_away() => return Err(e),
                Ok(None) | Err(StoreError::NotAFile { .. } | StoreError::Io(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(found)
    }

    /// Reads the bytes of an object that is kept aside. What it decodes to is not verified.
    pub async fn reader_of_aside(&self, aside: &AsideObject) -> Result<Box<dyn Read + Send>, StoreError> {
        let object = self.store.open_aside(aside).await?;
        Ok(match aside.locator.encoding {
            Encoding::Plain => object.body.into_reader(),
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(object.body.into_reader())?),
            Encoding::Dense => Box::new(self.decode_aside(aside.locator.digest, object).await?),
        })
    }

    /// Reads the bytes of an object. What it decodes to is not verified.
    pub async fn reader_of(&self, locator: Locator) -> Result<Box<dyn Read + Send>, StoreError> {
        let open = self.store.open(&locator, 0);
        Ok(match locator.encoding {
            Encoding::Plain => open.await?.body.into_reader(),
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(open.await?.body.into_reader())?),
            Encoding::Dense => Box::new(self.decode_dense(locator.digest, 0).await?),
        })
    }
}
