//! app: builds the leaves from the configuration and holds them; the edges and the tests are handed it.
mod disk;

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use jiff::Timestamp;

use crate::config::Settings;
use crate::domain::Clock;
use crate::fetch::Fetcher;
use crate::index::{Index, IndexError, Writer};
use crate::record::{Location, Record, ReplayRule};
use crate::store::Store;

pub use disk::{Disk, NoRoom};

/// All that the process holds; clones share it, and are made several times for each request.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What [`App`] holds.
pub struct Parts {
    pub settings: Settings,
    pub clock: Clock,
    pub record: Record,
    pub store: Store,
    pub index: Index,
    pub fetcher: Fetcher,
    pub disk: Disk,
    /// Log-ins that were refused and are yet to be counted.
    pub denied: Denied,
    pub started_at: Timestamp,
    /// Set once the service has been asked to stop.
    pub stopping: AtomicBool,
    /// Held while this process is the one that serves from the data folder.
    _lock: Option<File>,
}

/// Counts log-ins that were refused, by source: a flood of them must not become a flood of commits.
#[derive(Debug, Default)]
pub struct Denied(Mutex<HashMap<String, u64>>);

impl Denied {
    pub fn note(&self, source: &str) {
        if let Ok(mut counts) = self.0.lock() {
            *counts.entry(source.to_owned()).or_default() += 1;
        }
    }

    /// Gives the counts away.
    pub fn take(&self) -> HashMap<String, u64> {
        self.0.lock().map(|mut counts| std::mem::take(&mut *counts)).unwrap_or_default()
    }
}

/// What a process is going to do with the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Serve from it, alone.
    Server,
    /// Look at it or change something, perhaps beside a server.
    Command,
}

impl App {
    pub async fn open(settings: Settings, role: Role, clock: Clock) -> anyhow::Result<Self> {
        let folder = &settings.data_dir;
        make_private(folder).with_context(|| format!("data_dir: the folder {} cannot be made", folder.display()))?;
        give_room(folder);
        let lock = match role {
            Role::Server => Some(lock(folder)?),
            Role::Command => None,
        };
        let location = match &settings.database_url {
            Some(url) => Location::from_url(url),
            None => Location::Sqlite(folder.join("acervo.db")),
        };
        let receiver = &settings.receiver;
        let rule = ReplayRule { at_least: receiver.replay_at_least as u64, gap: receiver.replay_gap };
        let record = Record::open(&location, receiver.queue, rule).await.context("the database cannot be opened")?;
        let archive = settings.archive_dir.clone().unwrap_or_else(|| folder.join("archive"));
        let store = Store::open(&archive, &folder.join("tmp"))
            .with_context(|| format!("the archive folder {} cannot be opened", archive.display()))?;
        let index = open_index(&folder.join("index")).await?;
        let fetcher = Fetcher::new(&settings.fetch)?;
        let disk = Disk::new(&archive, (!record.is_shared()).then_some(folder), &settings.disk);
        Ok(Self(Arc::new(Parts {
            started_at: clock.now(),
            settings,
            clock,
            record,
            store,
            index,
            fetcher,
            disk,
            denied: Denied::default(),
            stopping: AtomicBool::default(),
            _lock: lock,
        })))
    }

    /// The index's writer; `None` while another process, a server for instance, has it.
    pub fn index_writer(&self) -> Result<Option<Writer>, IndexError> {
        match self.index.writer() {
            Ok(writer) => Ok(Some(writer)),
            Err(IndexError::InUse) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// How long a process waits for another one that is replacing an index of another version.
const INDEX_REPLACED_TIMEOUT: Duration = Duration::from_secs(30);

async fn open_index(folder: &Path) -> anyhow::Result<Index> {
    let began = Instant::now();
    loop {
        match Index::open(folder) {
            Err(IndexError::InUse) if began.elapsed() < INDEX_REPLACED_TIMEOUT => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            opened => {
                return opened.with_context(|| format!("the search index in {} cannot be opened", folder.display()));
            }
        }
    }
}

/// A file of no use but its size: room that is kept for the hour when the disk is full.
pub const RESERVE: &str = "reserve";

/// With less than this the database cannot even be opened.
const OPENING_BYTES: u64 = 4 << 20;

/// Gives the kept room away where there is hardly any other, so that what frees the disk can be done at all.
fn give_room(folder: &Path) {
    let free = rustix::fs::statvfs(folder).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    if free.is_ok_and(|free| free < OPENING_BYTES) && std::fs::remove_file(folder.join(RESERVE)).is_ok() {
        tracing::warn!("the disk is full: the room that was kept for this hour is used");
    }
}

/// The folder holds links that live: nobody else may look into it.
fn make_private(folder: &PathBuf) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("serve.lock");
    let file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another acervo serves from {}; stop it, or set another data_dir (ACERVO_DATA_DIR)", folder.display())
        }
        Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("{} cannot be locked", path.display())),
    }
}
