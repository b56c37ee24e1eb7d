//! A store in a folder: `ab/abcd…` for a plain object, `ab/abcd….zst` for a zstd frame, `incoming/` for uploads.
//!
//! `damaged/` has what was in the place of objects that are being repaired: `abcd….zst#` and an id.
//!
//! An upload is written to a file in `incoming/`, synced, renamed to the object's path, and the folder of that path is synced.
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use tokio::task::spawn_blocking;

use super::object::{Body, Object, ObjectEntry, Space, Store, Upload};
use super::{StoreError, aside};
use crate::domain::{Digest, Encoding, Locator};

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

    /// The names of files do not contain a base, so objects with one are refused.
    fn path_of(&self, locator: &Locator) -> Result<PathBuf, StoreError> {
        super::require_no_base(locator)?;
        let name = locator.digest.to_string();
        let folder = self.root.join(&name[..2]);
        Ok(match locator.encoding {
            Encoding::Plain => folder.join(name),
            Encoding::Zstd => folder.join(name + ".zst"),
        })
    }
}

#[async_trait]
impl Store for LocalStore {
    async fn put(&self) -> Result<Box<dyn Upload>, StoreError> {
        Ok(Box::new(LocalUpload { store: self.clone(), staged: None, unwritten: Bytes::new(), is_broken: false }))
    }

    async fn open(&self, locator: &Locator, offset: u64) -> Result<Object, StoreError> {
        let (path, digest) = (self.path_of(locator)?, locator.digest);
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
        let (path, digest) = (self.path_of(locator)?, locator.digest);
        spawn_blocking(move || match std::fs::metadata(path) {
            Ok(found) => require_file(&found, digest).map(|()| Some(found.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        })
        .await?
    }

    async fn sync(&self, locator: &Locator) -> Result<(), StoreError> {
        let path = self.path_of(locator)?;
        Ok(spawn_blocking(move || sync_folder_of(&path)).await??)
    }

    async fn delete(&self, locator: &Locator) -> Result<(), StoreError> {
        let (path, digest) = (self.path_of(locator)?, locator.digest);
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
        let (path, folder) = (self.path_of(locator)?, self.root.join(DAMAGED));
        Ok(spawn_blocking(move || aside::keep(&path, &folder)).await??)
    }

    async fn kept_aside(&self) -> Result<HashSet<Digest>, StoreError> {
        let folder = self.root.join(DAMAGED);
        let found = spawn_blocking(move || aside::found_in(&folder)).await??;
        Ok(found.into_iter().map(|(digest, _)| digest).collect())
    }

    async fn discard_aside(&self, file: Digest) -> Result<(), StoreError> {
        let folder = self.root.join(DAMAGED);
        Ok(spawn_blocking(move || aside::discard(&folder, file)).await??)
    }

    async fn remove_abandoned(&self, min_age: Duration) -> Result<u64, StoreError> {
        let root = self.root.clone();
        spawn_blocking(move || {
            let mut removed = remove_older(&root.join(INCOMING), min_age, |_| true)?;
            for folder in folders(&root) {
                // Earlier versions wrote uploads to the object's own folder, under its name with `#` and a number.
                removed += remove_older(&folder, min_age, |name| name.contains('#'))?;
            }
            Ok(removed)
        })
        .await?
    }

    fn space(&self) -> Result<Option<Space>, StoreError> {
        Ok(Some(space_of(&self.root)?))
    }
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
        let (path, digest) = (self.store.path_of(locator)?, locator.digest);
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

/// The folders of objects.
fn folders(root: &Path) -> impl Iterator<Item = PathBuf> {
    (0..=u8::MAX).map(move |first| root.join(format!("{first:02x}")))
}

/// Opens a regular file and nothing else: opening a named pipe would wait for a writer without limit.
pub(super) fn open_file(path: &Path, digest: Digest) -> Result<(File, u64), StoreError> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = match options.open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(StoreError::Missing(digest)),
        // Some special files cannot be opened at all.
        Err(e) => return Err(explained(e, path, digest)),
    };
    let metadata = file.metadata()?;
    require_file(&metadata, digest)?;
    Ok((file, metadata.len()))
}

/// The error of an operation on the path of an object; [`StoreError::NotAFile`] where that is the reason.
fn explained(error: io::Error, path: &Path, digest: Digest) -> StoreError {
    let found = std::fs::metadata(path).map(|found| require_file(&found, digest));
    match found {
        Ok(Err(not_a_file)) => not_a_file,
        Ok(Ok(())) | Err(_) => error.into(),
    }
}

fn require_file(found: &std::fs::Metadata, digest: Digest) -> Result<(), StoreError> {
    if found.is_file() {
        return Ok(());
    }
    let what = if found.is_dir() { "a folder" } else { special_kind(found) };
    Err(StoreError::NotAFile { digest, what })
}

#[cfg(unix)]
fn special_kind(found: &std::fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match found.file_type() {
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn special_kind(_: &std::fs::Metadata) -> &'static str {
    "something that is not a file"
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}

/// The objects of one folder. Files with other names are not objects.
fn list_folder(folder: &Path) -> Result<Vec<ObjectEntry>, StoreError> {
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Some(locator) = entry.file_name().to_str().and_then(locator_of) else { continue };
        match std::fs::metadata(entry.path()) {
            Ok(found) if found.is_file() => objects.push(ObjectEntry { locator, stored_size: found.len() }),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(objects)
}

pub(super) fn locator_of(name: &str) -> Option<Locator> {
    let (name, encoding) = match name.strip_suffix(".zst") {
        Some(name) => (name, Encoding::Zstd),
        None => (name, Encoding::Plain),
    };
    let digest: Digest = name.parse().ok()?;
    (digest.to_string() == name).then_some(Locator { digest, encoding, base: None })
}

fn remove_older(folder: &Path, min_age: Duration, is_upload: impl Fn(&str) -> bool) -> io::Result<u64> {
    let now = SystemTime::now();
    let mut removed = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !is_upload(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let removed_one = match entry.metadata().and_then(|found| found.modified()) {
            Ok(began) if now.duration_since(began).is_ok_and(|age| age >= min_age) => {
                std::fs::remove_file(entry.path())
            }
            Ok(_) => continue,
            Err(e) => Err(e),
        };
        match removed_one {
            Ok(()) => removed += 1,
            // It was finished or aborted at this moment.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(removed)
}
