//! The folder of the index, with fewer syncs than tantivy's own directory.
//!
//! Tantivy syncs each file when it is complete, and its list of files each time it begins one: sixteen syncs for a commit of one
//! document, one after the other. A commit only needs them before its `meta.json` is replaced. Here they wait until then, and run
//! at the same time, so that the file system can share the work.
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, TerminatingWrite, WatchCallback,
    WatchHandle, WritePtr,
};

/// Tantivy's list of the files that it may delete. If a power cut leaves a broken one, the index is rebuilt from the database.
const MANAGED: &str = ".managed.json";

/// Files that are synced at the same time.
const SYNCS: usize = 8;

/// Clones share the folder.
#[derive(Clone, Debug)]
pub(super) struct IndexDirectory {
    folder: PathBuf,
    inner: MmapDirectory,
    unsynced: Unsynced,
}

/// Complete files that are not synced yet. Locked during a sync: whoever calls [`Unsynced::sync`] then returns after it.
#[derive(Clone, Debug, Default)]
struct Unsynced(Arc<Mutex<Files>>);

#[derive(Debug, Default)]
struct Files {
    files: Vec<(PathBuf, File)>,
    /// A sync failed. The system reports that once, and a second sync of the same file would succeed.
    has_failed: bool,
}

impl Unsynced {
    fn lock(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, path: PathBuf, file: File) {
        let mut unsynced = self.lock();
        // The list of files replaces its predecessor.
        unsynced.files.retain(|(other, _)| *other != path);
        unsynced.files.push((path, file));
    }

    /// Syncs all files. If one fails, so does every later sync until [`IndexDirectory::forget_unsynced`].
    fn sync(&self) -> io::Result<()> {
        let mut unsynced = self.lock();
        if unsynced.has_failed {
            return Err(io::Error::other("a file of the index could not be synced"));
        }
        let synced = unsynced.files.chunks(SYNCS).try_for_each(sync_all);
        unsynced.has_failed = synced.is_err();
        if synced.is_ok() {
            unsynced.files.clear();
        }
        synced
    }
}

fn sync_all(files: &[(PathBuf, File)]) -> io::Result<()> {
    std::thread::scope(|scope| {
        let syncs: Vec<_> = files.iter().map(|(_, file)| scope.spawn(|| file.sync_data())).collect();
        let panicked = || io::Error::other("a thread that syncs a file panicked");
        syncs.into_iter().try_for_each(|sync| sync.join().map_err(|_| panicked())?)
    })
}

impl IndexDirectory {
    pub fn open(folder: &Path) -> tantivy::Result<Self> {
        let inner = MmapDirectory::open(folder)?;
        Ok(Self { folder: folder.to_owned(), inner, unsynced: Unsynced::default() })
    }

    /// Forgets files that no commit will contain, and that they could not be synced.
    pub fn forget_unsynced(&self) {
        *self.unsynced.lock() = Files::default();
    }
}

impl Directory for IndexDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.inner.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.unsynced.lock().files.retain(|(other, _)| other != path);
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = File::create_new(self.folder.join(path)).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => OpenWriteError::FileAlreadyExists(path.to_owned()),
            _ => OpenWriteError::wrap_io_error(e, path.to_owned()),
        })?;
        let writer = Written { path: path.to_owned(), file, unsynced: self.unsynced.clone() };
        Ok(BufWriter::new(Box::new(writer)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        if path == Path::new(MANAGED) {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(data)?;
            self.unsynced.add(path.to_owned(), file.persist(self.folder.join(path))?);
            return Ok(());
        }
        self.unsynced.sync()?;
        self.inner.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.unsynced.sync()?;
        self.inner.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.inner.acquire_lock(lock)
    }

    fn watch(&self, watch_callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(watch_callback)
    }
}

/// A file that is being written.
struct Written {
    path: PathBuf,
    file: File,
    unsynced: Unsynced,
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for Written {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.unsynced.add(self.path.clone(), self.file.try_clone()?);
        Ok(())
    }
}
