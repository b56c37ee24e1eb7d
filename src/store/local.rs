//! A store in a folder: `ab/abcd…` for a plain object, `ab/abcd….zst` for a zstd frame, `ab/abcd….acvd` for a dense object,
//! `incoming/` for uploads.
//!
//! `damaged/` has what was in the place of objects that are being repaired: `abcd….zst#` and an id.
//!
//! An upload is written to a file in `incoming/`, synced, renamed to the object's path, and the folder of that path is synced.
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use tokio::task::spawn_blocking;

use super::folder::{
    clock_of, explained, folders, list_folder, name_of, open_file, remove_older, require_file, sync_folder,
    sync_folder_of,
};
use super::object::{AsideObject, Body, Object, ObjectEntry, Space, Store, Upload};
use super::{StoreError, aside};
use crate::domain::Locator;

const INCOMING: &str = "incoming";

/// Created when something is kept aside for the first time.
const DAMAGED: &str = "damaged";

/// A store in a folder of this machine. Clones share it.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: Arc<Path>,
}

impl LocalStore {
    /// Opens the store in a folder, which is created where it does not exist.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(root.join(INCOMING))?;
        // All folders exist and are synced before any file does. If the first object of a folder created it, a second one
        // could rely on the folder before it is synced, and be lost with it.
        for folder in folders(root) {
            std::fs::create_dir_all(folder)?;
        }
        sync_folder(root)?;
        if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_folder(parent)?;
        }
        Ok(Self { root: root.into() })
    }

    fn path_of(&self, locator: &Locator) -> PathBuf {
        let folder = format!("{:02x}", locator.digest.0[0]);
        self.root.join(folder).join(name_of(locator.digest, locator.encoding))
    }
}

#[async_trait]
impl Store for LocalStore {
    async fn put(&self) -> Result<Box<dyn Upload>, StoreError> {
        Ok(Box::new(LocalUpload { store: self.clone(), staged: None, unwritten: Bytes::new(), is_broken: false }))
    }

    async fn open(&self, locator: &Locator, offset: u64) -> Result<Object, StoreError> {
        let (path, digest) = (self.path_of(locator), locator.digest);
        spawn_blocking(move || {
            let (mut file, stored_size) = open_file(&path, digest)?;
            if offset > 0 {
                file.seek(SeekFrom::Start(offset))?;
            }
            Ok(Object { stored_size, body: Body::File(file) })
        })
        .await?
    }

    async fn contains(&self, locator: &Locator) -> Result<Option<u64>, StoreError> {
        let (path, digest) = (self.path_of(locator), locator.digest);
        spawn_blocking(move || match std::fs::metadata(path) {
            Ok(found) => require_file(&found, digest).map(|()| Some(found.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        })
        .await?
    }

    async fn age(&self, locator: &Locator) -> Result<Option<Duration>, StoreError> {
        let (path, incoming) = (self.path_of(locator), self.root.join(INCOMING));
        spawn_blocking(move || match std::fs::metadata(path).and_then(|found| found.modified()) {
            Ok(put_at) => Ok(Some(clock_of(&incoming).duration_since(put_at).unwrap_or_default())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        })
        .await?
    }

    async fn sync(&self, locator: &Locator) -> Result<(), StoreError> {
        let path = self.path_of(locator);
        Ok(spawn_blocking(move || sync_folder_of(&path)).await??)
    }

    async fn delete(&self, locator: &Locator) -> Result<(), StoreError> {
        let (path, digest) = (self.path_of(locator), locator.digest);
        spawn_blocking(move || match std::fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(explained(e, &path, digest)),
        })
        .await?
    }

    fn list(&self) -> BoxStream<'static, Result<ObjectEntry, StoreError>> {
        let folders: Vec<PathBuf> = folders(&self.root).collect();
        let listed = stream::iter(folders).then(|folder| async { spawn_blocking(move || list_folder(&folder)).await? });
        listed.map_ok(|objects| stream::iter(objects.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn list_part(&self, first_byte: u8) -> BoxStream<'static, Result<ObjectEntry, StoreError>> {
        let folder = self.root.join(format!("{first_byte:02x}"));
        let listed = async move {
            let objects = spawn_blocking(move || match list_folder(&folder) {
                // Someone removed the folder, or put something else there: then it has no objects.
                Err(StoreError::Io(e))
                    if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    Ok(Vec::new())
                }
                listed => listed,
            })
            .await??;
            let is_of_part = move |entry: &ObjectEntry| entry.locator.digest.0[0] == first_byte;
            Ok::<_, StoreError>(stream::iter(objects.into_iter().filter(is_of_part).map(Ok)))
        };
        stream::once(listed).try_flatten().boxed()
    }

    async fn keep_aside(&self, locator: &Locator) -> Result<(), StoreError> {
        let (path, folder) = (self.path_of(locator), self.root.join(DAMAGED));
        Ok(spawn_blocking(move || aside::keep(&path, &folder)).await??)
    }

    async fn take_away(&self, locator: &Locator) -> Result<(), StoreError> {
        let (path, folder) = (self.path_of(locator), self.root.join(DAMAGED));
        Ok(spawn_blocking(move || aside::take_away(&path, &folder)).await??)
    }

    async fn kept_aside(&self) -> Result<Vec<AsideObject>, StoreError> {
        let folder = self.root.join(DAMAGED);
        Ok(spawn_blocking(move || aside::found_in(&folder)).await??)
    }

    async fn open_aside(&self, aside: &AsideObject) -> Result<Object, StoreError> {
        let (folder, aside) = (self.root.join(DAMAGED), aside.clone());
        spawn_blocking(move || aside::open(&folder, &aside)).await?
    }

    async fn discard(&self, aside: &AsideObject) -> Result<(), StoreError> {
        let (folder, aside) = (self.root.join(DAMAGED), aside.clone());
        Ok(spawn_blocking(move || aside::discard(&folder, &aside)).await??)
    }

    fn file_of(&self, locator: &Locator) -> Option<PathBuf> {
        Some(self.path_of(locator))
    }

    async fn share(&self, file: &Path, locator: &Locator) -> Result<bool, StoreError> {
        let (path, digest) = (self.path_of(locator), locator.digest);
        let (file, incoming) = (file.to_owned(), self.root.join(INCOMING));
        spawn_blocking(move || {
            let staged = incoming.join(uuid::Uuid::now_v7().to_string());
            // An own file that shares its blocks, else another name of the same file.
            if !(is_cloned(&file, &staged) || std::fs::hard_link(&file, &staged).is_ok()) {
                return Ok(false);
            }
            let placed =
                File::open(&staged).and_then(|file| file.sync_all()).and_then(|()| std::fs::rename(&staged, &path));
            if let Err(e) = placed {
                std::fs::remove_file(&staged)?;
                return Err(explained(e, &path, digest));
            }
            sync_folder_of(&path)?;
            Ok(true)
        })
        .await?
    }

    async fn remove_abandoned(&self, min_age: Duration) -> Result<u64, StoreError> {
        let root = self.root.clone();
        spawn_blocking(move || {
            let now = clock_of(&root.join(INCOMING));
            let mut removed = remove_older(&root.join(INCOMING), now, min_age, |_| true)?;
            for folder in folders(&root) {
                // Earlier versions wrote uploads to the object's own folder, under its name with `#` and a number.
                removed += remove_older(&folder, now, min_age, |name| name.contains('#'))?;
            }
            Ok(removed)
        })
        .await?
    }

    fn space(&self) -> Result<Option<Space>, StoreError> {
        Ok(Some(space_of(&self.root)?))
    }
}

/// Makes a new file that shares its blocks with another one, where the file system can.
#[cfg(target_os = "linux")]
fn is_cloned(from: &Path, to: &Path) -> bool {
    let clone = || {
        let from = File::open(from)?;
        let to = OpenOptions::new().write(true).create_new(true).open(to)?;
        Ok::<_, io::Error>(rustix::fs::ioctl_ficlone(&to, &from)?)
    };
    if clone().is_ok() {
        return true;
    }
    // The empty file that could not become a clone.
    let _ = std::fs::remove_file(to);
    false
}

#[cfg(not(target_os = "linux"))]
fn is_cloned(_: &Path, _: &Path) -> bool {
    false
}

/// The space of the disk that a folder is on.
pub fn space_of(folder: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Space { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
}

struct LocalUpload {
    store: LocalStore,
    /// The file, from the second write on.
    staged: Option<StagedFile>,
    /// The first write. A small object has no other, and is written, synced and renamed in one visit to a thread.
    unwritten: Bytes,
    /// Whether a step failed, so that bytes may be missing.
    is_broken: bool,
}

impl LocalUpload {
    /// Runs `work` on a thread, with the file of all bytes written before.
    async fn with_file<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(StagedFile) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if std::mem::replace(&mut self.is_broken, true) {
            return Err(StoreError::Interrupted);
        }
        let (staged, unwritten) = (self.staged.take(), std::mem::take(&mut self.unwritten));
        let incoming = self.store.root.join(INCOMING);
        let result = spawn_blocking(move || {
            let mut staged = staged.map_or_else(|| StagedFile::create(&incoming), Ok)?;
            staged.file.write_all(&unwritten)?;
            work(staged)
        })
        .await?;
        self.is_broken = result.is_err();
        result
    }
}

#[async_trait]
impl Upload for LocalUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        if self.staged.is_none() && self.unwritten.is_empty() && !self.is_broken {
            self.unwritten = bytes;
            return Ok(());
        }
        let append = move |mut staged: StagedFile| {
            staged.file.write_all(&bytes)?;
            Ok(staged)
        };
        self.staged = Some(self.with_file(append).await?);
        Ok(())
    }

    async fn read_back(&mut self) -> Result<Object, StoreError> {
        let (staged, object) = self
            .with_file(|staged| {
                let file = File::open(&staged.path)?;
                let stored_size = file.metadata()?.len();
                Ok((staged, Object { stored_size, body: Body::File(file) }))
            })
            .await?;
        self.staged = Some(staged);
        Ok(object)
    }

    async fn finish(mut self: Box<Self>, locator: &Locator) -> Result<(), StoreError> {
        let (path, digest) = (self.store.path_of(locator), locator.digest);
        self.with_file(move |mut staged| {
            staged.file.sync_all()?;
            std::fs::rename(&staged.path, &path).map_err(|e| explained(e, &path, digest))?;
            staged.is_renamed = true;
            Ok(sync_folder_of(&path)?)
        })
        .await
    }

    async fn abort(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A file in `incoming/`, removed when dropped.
struct StagedFile {
    path: PathBuf,
    file: File,
    is_renamed: bool,
}

impl StagedFile {
    fn create(incoming: &Path) -> io::Result<Self> {
        let path = incoming.join(uuid::Uuid::now_v7().to_string());
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file, is_renamed: false })
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.is_renamed
            && let Err(e) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(error = %e, path = %self.path.display(), "an unfinished upload could not be removed; it is removed after a day");
        }
    }
}
