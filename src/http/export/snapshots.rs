//! Exports kept as files for a while, for requests of parts of them.
//!
//! Programs that read Parquet by its address ask for its length and then for parts, without saying of which state. What they join must
//! come from one state, so a client's parts are those of the state that it was last told of, as long as this is kept or is still the
//! present one; after that it is sent the whole export.
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use tokio::sync::OnceCell;

use crate::domain::Digest;
use crate::export::ScratchFile;

/// How long a file is kept after it was last read.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Files that are kept, and their bytes together.
const FILES_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);
const BYTES_MAX: u64 = 1 << 30;

/// Clients whose state is remembered.
const CLIENTS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// A file of an export, and the number of the feed that it shows.
#[derive(Clone)]
pub(in crate::http) struct Snapshot {
    pub file: ScratchFile,
    pub feed: i64,
}

/// A file of an export, made by the first request that needs it.
type Cell = Arc<OnceCell<Snapshot>>;

pub(in crate::http) struct Snapshots {
    /// By their ETags.
    files: Mutex<LruCache<String, (Cell, Instant)>>,
    clients: Mutex<LruCache<Digest, Told>>,
}

/// What a client was told of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum Told {
    /// The ETag of the state that it has seen.
    State(String),
    /// It may have seen more than one state.
    Mixed,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self { files: Mutex::new(LruCache::new(FILES_MAX)), clients: Mutex::new(LruCache::new(CLIENTS_MAX)) }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Snapshots {
    /// The file of a state, if it is kept.
    pub fn kept(&self, tag: &str) -> Option<Snapshot> {
        let mut files = locked(&self.files);
        remove_old(&mut files);
        let (cell, read_at) = files.get_mut(tag)?;
        *read_at = Instant::now();
        cell.get().cloned()
    }

    /// The file of a state, made by `make` unless it is kept. Requests that come meanwhile wait for the same file.
    pub async fn get_or_make<E>(
        &self,
        tag: &str,
        make: impl Future<Output = Result<Snapshot, E>>,
    ) -> Result<Snapshot, E> {
        let cell = {
            let mut files = locked(&self.files);
            remove_old(&mut files);
            let (cell, read_at) = files.get_or_insert_mut(tag.to_owned(), || (Cell::default(), Instant::now()));
            *read_at = Instant::now();
            cell.clone()
        };
        let made = cell.get_or_try_init(|| make).await;
        let mut files = locked(&self.files);
        if made.is_err() && cell.get().is_none() {
            files.pop(tag);
        }
        // The oldest go first; one that is too large by itself goes too, once it was sent.
        while files.iter().filter_map(|(_, (cell, _))| cell.get()).map(|made| made.file.length()).sum::<u64>()
            > BYTES_MAX
        {
            files.pop_lru();
        }
        made.cloned()
    }

    pub fn told(&self, client: &Digest) -> Option<Told> {
        locked(&self.clients).get(client).cloned()
    }

    pub fn tell(&self, client: Digest, told: Told) {
        locked(&self.clients).put(client, told);
    }
}

fn remove_old(files: &mut LruCache<String, (Cell, Instant)>) {
    while files.peek_lru().is_some_and(|(_, (_, read_at))| read_at.elapsed() > KEPT_FOR) {
        files.pop_lru();
    }
}
