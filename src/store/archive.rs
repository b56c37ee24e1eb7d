//! Where files lie, and how they are found again.
use std::path::{Path as FsPath, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use tokio::sync::Semaphore;

use super::blocks::BlockLists;
use super::{Put, StoreError};
use crate::domain::Digest;

/// Uploads in progress lie here until their digest is known.
const INCOMING: &str = "incoming";

/// How old an upload must be before it is taken for one that a crash left behind. Longer than any transfer.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 3600);

/// How a file's bytes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Plain,
    Zstd,
}

impl Encoding {
    /// The word for it in the record.
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
        [Self::Plain, Self::Zstd]
            .into_iter()
            .find(|e| e.as_str() == text)
            .ok_or_else(|| format!("no encoding `{text}`"))
    }
}

/// All that is needed to read a file back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub digest: Digest,
    pub size: u64,
    pub stored_size: u64,
    pub encoding: Encoding,
}

/// A file that is in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub key: Key,
    /// Whether the archive had it before.
    pub was_known: bool,
}

/// The archive; clones share it.
#[derive(Clone)]
pub struct Store {
    pub(super) objects: Arc<dyn ObjectStore>,
    root: PathBuf,
    /// For what must be read out of order.
    pub(super) scratch: PathBuf,
    pub(super) room: Option<Arc<Room>>,
    /// How many threads read at once.
    pub(super) readers: Arc<Semaphore>,
    pub(super) lists: Arc<BlockLists>,
}

/// Says whether so many bytes may be written to the scratch folder; an error says why not.
pub type Room = dyn Fn(u64) -> Result<(), String> + Send + Sync;

impl Store {
    /// Opens the archive in a folder, making it when it is not there. `scratch` is for files of passing use.
    pub fn open(root: &FsPath, scratch: &FsPath) -> Result<Self, StoreError> {
        std::fs::create_dir_all(root.join(INCOMING))?;
        std::fs::create_dir_all(scratch)?;
        // All folders are there and synced before any file is: of two that make one folder at the same time, the second
        // would find it there, rely on it, and be lost with it.
        for first in 0..=u8::MAX {
            std::fs::create_dir_all(root.join(format!("{first:02x}")))?;
        }
        std::fs::File::open(root)?.sync_all()?;
        if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::File::open(parent)?.sync_all()?;
        }
        let objects = LocalFileSystem::new_with_prefix(root)?.with_fsync(true);
        Ok(Self {
            objects: Arc::new(objects),
            root: root.to_owned(),
            scratch: scratch.to_owned(),
            room: None,
            readers: super::read::reader_places(),
            lists: Arc::default(),
        })
    }

    /// Has `room` asked before anything large is written to the scratch folder.
    pub fn with_room(self, room: impl Fn(u64) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { room: Some(Arc::new(room)), ..self }
    }

    /// Begins to archive a file.
    pub fn put(&self) -> Put {
        Put::new(self.clone())
    }

    pub(super) fn path_of(digest: Digest, encoding: Encoding) -> Path {
        let hex = digest.to_string();
        match encoding {
            Encoding::Plain => Path::from(format!("{}/{hex}", &hex[..2])),
            Encoding::Zstd => Path::from(format!("{}/{hex}.zst", &hex[..2])),
        }
    }

    pub(super) fn incoming() -> Path {
        Path::from(format!("{INCOMING}/{}", uuid::Uuid::now_v7()))
    }

    /// The file with these bytes, if the archive has it.
    pub(super) async fn find(&self, digest: Digest, size: u64) -> Result<Option<Key>, StoreError> {
        for encoding in [Encoding::Zstd, Encoding::Plain] {
            match self.objects.head(&Self::path_of(digest, encoding)).await {
                Ok(meta) => return Ok(Some(Key { digest, size, stored_size: meta.size, encoding })),
                Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(None)
    }

    /// Makes sure that a file which was found stays found: another may be putting it there at this moment, renamed already
    /// and its folder not yet synced.
    pub(super) async fn sync_folder_of(&self, digest: Digest) -> Result<(), StoreError> {
        let folder = self.root.join(&digest.to_string()[..2]);
        tokio::task::spawn_blocking(move || std::fs::File::open(folder)?.sync_all()).await??;
        Ok(())
    }

    /// How many bytes are stored for a file; an error where there are none.
    pub async fn stored_size(&self, key: Key) -> Result<u64, StoreError> {
        match self.objects.head(&Self::path_of(key.digest, key.encoding)).await {
            Ok(meta) => Ok(meta.size),
            Err(object_store::Error::NotFound { .. }) => Err(StoreError::Missing(key.digest)),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether the archive has a file, in that encoding.
    pub async fn has(&self, digest: Digest, encoding: Encoding) -> bool {
        self.objects.head(&Self::path_of(digest, encoding)).await.is_ok()
    }

    /// Removes a file. One that is gone already is no error.
    pub async fn remove(&self, digest: Digest, encoding: Encoding) -> Result<(), StoreError> {
        match self.objects.delete(&Self::path_of(digest, encoding)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Bytes free where the archive lies, for whoever runs as we do.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let stat = rustix::fs::statvfs(&self.root).map_err(std::io::Error::from)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Removes what a crash left half written. Files that a process may still be writing are left alone.
    pub fn sweep(&self) -> Result<u64, StoreError> {
        let now = SystemTime::now();
        let mut removed = 0;
        for folder in std::fs::read_dir(&self.root)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            let is_incoming = folder.file_name() == INCOMING;
            for file in std::fs::read_dir(folder.path())? {
                let file = file?;
                // The object store stages a file beside its place, under its name with `#` and a number.
                let is_staged = file.file_name().to_string_lossy().contains('#');
                let is_old = || {
                    file.metadata()
                        .and_then(|m| m.modified())
                        .is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > LEFT_BEHIND))
                };
                if (is_incoming || is_staged) && is_old() {
                    std::fs::remove_file(file.path())?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}
