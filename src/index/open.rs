//! Opening: an index that is missing, broken or of another version is begun anew.
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::directory::error::LockError;
use tantivy::directory::{Directory, INDEX_WRITER_LOCK, MmapDirectory};
use tantivy::schema::Schema;
use tantivy::{IndexReader, ReloadPolicy};

use super::columns::OpenColumns;
use super::schema::{self, Fields};
use super::words::Known;
use super::{IndexError, Writer};

/// The file that makes a folder an index.
const META: &str = "meta.json";

/// How far the index has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last number of the feed that it holds.
    pub feed: i64,
    /// The wish for a new index that it was built for.
    pub epoch: u64,
}

impl Position {
    pub(super) fn payload(self) -> String {
        format!("{} {} {}", schema::VERSION, self.feed, self.epoch)
    }

    fn parse(payload: &str) -> Option<Self> {
        let mut parts = payload.split(' ');
        let version: u32 = parts.next()?.parse().ok()?;
        let feed = parts.next()?.parse().ok()?;
        let epoch = parts.next()?.parse().ok()?;
        (version == schema::VERSION).then_some(Self { feed, epoch })
    }
}

/// The index in a folder; clones share it.
#[derive(Clone)]
pub struct Index {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub index: tantivy::Index,
    pub reader: IndexReader,
    pub fields: Fields,
    pub columns: OpenColumns,
    pub known: Known,
    /// What the reader sees, or something before it.
    position: Mutex<Option<Position>>,
}

impl Inner {
    /// Lets readers see what was committed.
    pub fn reload(&self) -> Result<(), IndexError> {
        // Read first and told last: whoever sees the position finds all that it stands for.
        let position = committed(&self.index);
        self.reader.reload()?;
        self.columns.retain(&self.reader.searcher());
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = position;
        Ok(())
    }
}

/// How far the last commit had come; `None` where none tells.
fn committed(index: &tantivy::Index) -> Option<Position> {
    Position::parse(&index.load_metas().ok()?.payload?)
}

impl Index {
    /// Opens the index of a folder for reading. Where it is missing, broken or of another version, an empty one takes its
    /// place; [`IndexError::InUse`] while another process writes that one.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let error = match Self::open_existing(folder) {
            Ok(index) => return Ok(index),
            Err(e) => e,
        };
        std::fs::create_dir_all(folder)?;
        let directory = MmapDirectory::open(folder).map_err(tantivy::TantivyError::from)?;
        // Nobody may write the files that are removed below.
        let _lock = match directory.acquire_lock(&INDEX_WRITER_LOCK) {
            Ok(lock) => lock,
            Err(LockError::LockBusy) => return Err(IndexError::InUse),
            Err(LockError::IoError(e)) => return Err(IndexError::Io(std::io::Error::new(e.kind(), e))),
        };
        // Another process may have created it while this one waited for the lock.
        if let Ok(index) = Self::open_existing(folder) {
            return Ok(index);
        }
        if folder.join(META).exists() {
            tracing::warn!(error = %error, "the search index cannot be used; it is rebuilt from the database");
        }
        empty(folder)?;
        let (schema, fields) = schema::build();
        Self::with(tantivy::Index::create_in_dir(folder, schema)?, fields)
    }

    /// Opens the index of a folder as it is.
    fn open_existing(folder: &Path) -> Result<Self, IndexError> {
        let (schema, fields) = schema::build();
        let index = tantivy::Index::open_in_dir(folder)?;
        let opened = Self::with(index, fields)?;
        if !opened.is_of(&schema) {
            return Err(IndexError::Io(std::io::Error::other("it is of another version")));
        }
        Ok(opened)
    }

    /// The writer of this index; [`IndexError::InUse`] while another process, or another part of this one, has it.
    /// Dropping it lets others have it.
    pub fn writer(&self) -> Result<Writer, IndexError> {
        let writer = Writer::new(self.clone())?;
        // What another process committed until now counts as done.
        self.inner.reload()?;
        Ok(writer)
    }

    fn with(mut index: tantivy::Index, fields: Fields) -> Result<Self, IndexError> {
        // A question is answered by all processors, each for some of the segments. Threads inherit the priority of the one
        // that starts them.
        std::thread::scope(|scope| {
            let set = scope.spawn(|| {
                crate::threads::yield_to_others();
                index.set_default_multithread_executor()
            });
            set.join().map_err(|_| IndexError::Io(std::io::Error::other("its threads could not be started")))
        })??;
        let position = Mutex::new(committed(&index));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self {
            inner: Arc::new(Inner {
                index,
                reader,
                fields,
                columns: OpenColumns::default(),
                known: Known::default(),
                position,
            }),
        })
    }

    fn is_of(&self, schema: &Schema) -> bool {
        self.inner.index.schema() == *schema
            && (self.position().is_some() || self.inner.reader.searcher().num_docs() == 0)
    }

    /// How far what is found here has come; `None` where no commit told.
    pub fn position(&self) -> Option<Position> {
        *self.inner.position.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Empties a folder without removing it, since it may be a mount, and leaves the locks that are held on files in it.
fn empty(folder: &Path) -> Result<(), IndexError> {
    for entry in std::fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        if path.extension().is_some_and(|extension| extension == "lock") {
            continue;
        }
        if path.is_dir() {
            std::fs::remove_dir_all(path)?;
        } else {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
