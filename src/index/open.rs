//! Opens an index. One that is missing, broken or of another version is replaced by an empty one.
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tantivy::directory::error::LockError;
use tantivy::directory::{Directory, DirectoryLock, INDEX_WRITER_LOCK};
use tantivy::schema::Schema;
use tantivy::{IndexReader, ReloadPolicy};
use tokio::sync::watch;

use super::columns::OpenColumns;
use super::directory::IndexDirectory;
use super::schema::{self, Fields};
use super::words::WordCache;
use super::{Contents, IndexError, Writer};
use crate::domain::PublicationId;

/// The file that makes a folder an index.
const META: &str = "meta.json";

/// How much of the feed the index contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last feed number in the index.
    pub feed: i64,
    /// The reindex request that the index was built for.
    pub epoch: u64,
}

impl Position {
    /// Whether it is that of an index that is still being built.
    pub fn is_unfinished(self) -> bool {
        self.epoch == UNFINISHED
    }
}

/// How far the build of an index has come that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfinishedBuild {
    /// The position that it is at once it is finished.
    pub goal: Position,
    /// Publications are added in the order of their ids; the last one that was added.
    pub after: Option<PublicationId>,
    /// How many were added.
    pub done: u64,
}

/// What a commit says of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Payload {
    pub position: Position,
    pub unfinished: Option<UnfinishedBuild>,
}

/// The epoch of an index that is still being built: never that of a finished one.
const UNFINISHED: u64 = u64::MAX;

impl From<Position> for Payload {
    fn from(position: Position) -> Self {
        Self { position, unfinished: None }
    }
}

impl From<UnfinishedBuild> for Payload {
    fn from(unfinished: UnfinishedBuild) -> Self {
        Self { position: Position { feed: 0, epoch: UNFINISHED }, unfinished: Some(unfinished) }
    }
}

impl Payload {
    pub fn format(&self) -> String {
        let Position { feed, epoch } = self.position;
        let text = format!("{} {feed} {epoch}", schema::VERSION);
        match self.unfinished {
            Some(UnfinishedBuild { goal, after: Some(after), done }) => {
                format!("{text} {} {} {} {done}", goal.feed, goal.epoch, after.0)
            }
            Some(UnfinishedBuild { after: None, .. }) | None => text,
        }
    }

    fn parse(payload: &str) -> Option<Self> {
        let mut parts = payload.split(' ');
        let version: u32 = parts.next()?.parse().ok()?;
        let position = Position { feed: parts.next()?.parse().ok()?, epoch: parts.next()?.parse().ok()? };
        (version == schema::VERSION).then(|| Self { position, unfinished: parse_unfinished(parts) })
    }
}

fn parse_unfinished<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<UnfinishedBuild> {
    let goal = Position { feed: parts.next()?.parse().ok()?, epoch: parts.next()?.parse().ok()? };
    let after = Some(PublicationId(parts.next()?.parse().ok()?));
    Some(UnfinishedBuild { goal, after, done: parts.next()?.parse().ok()? })
}

/// The position of the index, for code that waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The position that readers see, or an earlier one; `None` if no commit has one.
    pub position: Option<Position>,
    /// Whether this process writes the index. Without a writer the position does not change.
    pub has_writer: bool,
    /// How far a build has come that was not finished; `None` if the index is finished, or has no commit.
    pub unfinished: Option<UnfinishedBuild>,
}

/// The index in a folder. Clones share it.
#[derive(Clone)]
pub struct Index {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub index: tantivy::Index,
    pub directory: IndexDirectory,
    pub reader: IndexReader,
    pub fields: Fields,
    pub columns: OpenColumns,
    pub word_cache: WordCache,
    /// The index of the text inside files, if there is one.
    contents: OnceLock<Contents>,
    progress: watch::Sender<Progress>,
}

impl Progress {
    fn note(&mut self, committed: Option<Payload>) {
        self.position = committed.map(|payload| payload.position);
        self.unfinished = committed.and_then(|payload| payload.unfinished);
    }
}

impl Inner {
    /// Makes committed changes visible to readers.
    pub fn reload(&self) -> Result<(), IndexError> {
        // Read before the reload and published after it: a reader that sees the position also sees its documents.
        let committed = committed(&self.index);
        self.reader.reload()?;
        self.columns.retain(&self.reader.searcher());
        self.progress.send_modify(|progress| progress.note(committed));
        Ok(())
    }

    pub fn note_writer(&self, has_writer: bool) {
        self.progress.send_modify(|progress| progress.has_writer = has_writer);
    }
}

/// What the last commit says, if there is one of this version.
fn committed(index: &tantivy::Index) -> Option<Payload> {
    Payload::parse(&index.load_metas().ok()?.payload?)
}

impl Index {
    /// Opens the index of a folder for reading. If it is missing, broken or of another version, it is replaced by an empty
    /// one. [`IndexError::InUse`] while another process writes it.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let create = |directory: IndexDirectory| {
            let (schema, fields) = schema::build();
            let index = tantivy::Index::create(directory.clone(), schema, tantivy::IndexSettings::default())?;
            Self::with(index, directory, fields)
        };
        open_or_replace(folder, Self::open_existing, create, |error| {
            tracing::warn!(%error, "the search index cannot be used; it is rebuilt from the database");
        })
    }

    /// Opens an existing index.
    fn open_existing(folder: &Path) -> Result<Self, IndexError> {
        let (schema, fields) = schema::build();
        let directory = IndexDirectory::open(folder)?;
        let opened = Self::with(tantivy::Index::open(directory.clone())?, directory, fields)?;
        if !opened.is_of(&schema) {
            return Err(IndexError::Io(std::io::Error::other("the index has another version")));
        }
        Ok(opened)
    }

    /// Takes the writer of this index. [`IndexError::InUse`] while another process, or another part of this one, has it.
    pub fn writer(&self) -> Result<Writer, IndexError> {
        let writer = Writer::new(self.clone())?;
        // Include what another process has committed.
        self.inner.reload()?;
        Ok(writer)
    }

    fn with(mut index: tantivy::Index, directory: IndexDirectory, fields: Fields) -> Result<Self, IndexError> {
        // A query runs on all processors, each for some of the segments. Threads inherit the priority of the thread that
        // starts them.
        std::thread::scope(|scope| {
            let set = scope.spawn(|| {
                crate::threads::lower_priority();
                index.set_default_multithread_executor()
            });
            set.join().map_err(|_| IndexError::Io(std::io::Error::other("the search threads could not be started")))
        })??;
        let mut progress = Progress::default();
        progress.note(committed(&index));
        let progress = watch::Sender::new(progress);
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self {
            inner: Arc::new(Inner {
                index,
                directory,
                reader,
                fields,
                columns: OpenColumns::default(),
                word_cache: WordCache::default(),
                contents: OnceLock::new(),
                progress,
            }),
        })
    }

    /// Searches inside files use this index from now on.
    pub fn search_in(&self, contents: Contents) {
        // It is set once, when the archive is opened.
        let _ = self.inner.contents.set(contents);
    }

    /// The index of the text inside files.
    pub fn contents(&self) -> Result<&Contents, IndexError> {
        self.inner.contents.get().ok_or(IndexError::NoContents)
    }

    fn is_of(&self, schema: &Schema) -> bool {
        self.inner.index.schema() == *schema
            && (self.position().is_some() || self.inner.reader.searcher().num_docs() == 0)
    }

    /// The position that readers see; `None` if no commit has one.
    pub fn position(&self) -> Option<Position> {
        self.inner.progress.borrow().position
    }

    /// How far a build has come that was not finished; `None` if the index is finished, or has no commit.
    pub fn unfinished(&self) -> Option<UnfinishedBuild> {
        self.inner.progress.borrow().unfinished
    }

    /// The position of the index, and whether it still moves.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.inner.progress.subscribe()
    }
}

/// Opens the index of a folder. If that fails, an empty one is created in its place, and `report` is told why if there was one.
/// [`IndexError::InUse`] while another process writes it.
pub(super) fn open_or_replace<I>(
    folder: &Path,
    open: impl Fn(&Path) -> Result<I, IndexError>,
    create: impl FnOnce(IndexDirectory) -> Result<I, IndexError>,
    report: impl FnOnce(&IndexError),
) -> Result<I, IndexError> {
    let error = match open(folder) {
        Ok(index) => return Ok(index),
        Err(e) => e,
    };
    std::fs::create_dir_all(folder)?;
    let directory = IndexDirectory::open(folder)?;
    // No other process may write the files that are removed below.
    let _lock = lock_writer(&directory)?;
    // Another process may have created it while this one waited for the lock.
    if let Ok(index) = open(folder) {
        return Ok(index);
    }
    if folder.join(META).exists() {
        report(&error);
    }
    empty(folder)?;
    create(directory)
}

/// Locks an index against other writers; [`IndexError::InUse`] while another process has it locked.
fn lock_writer(directory: &IndexDirectory) -> Result<DirectoryLock, IndexError> {
    directory.acquire_lock(&INDEX_WRITER_LOCK).map_err(|e| match e {
        LockError::LockBusy => IndexError::InUse,
        LockError::IoError(e) => IndexError::Io(std::io::Error::new(e.kind(), e)),
    })
}

/// Empties a folder but does not remove it, because it may be a mount point. Lock files stay, because they may be locked.
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
