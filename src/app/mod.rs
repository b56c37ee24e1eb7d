//! app: builds the leaves from the configuration and keeps them for the use cases; edges and tests get it.
mod disk;
mod folder;

use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::domain::{Clock, TrustedClock};
use crate::engine::fetch::Fetcher;
use crate::engine::index::{Index, IndexError, Pool, Writer};
use crate::engine::record::{Location, Record, ReplayRule};
use crate::engine::store::Archive;
use crate::threads::QueryRuntime;

pub use crate::engine::record::LOG_TARGETS as DATABASE_LOG_TARGETS;
pub use disk::{Disk, DiskFull};
pub use folder::{ArchiveNotFound, NotAFolder, RESERVE, Service, service};

/// How often the service saves the time, so that a clock that jumps ahead is detected across processes.
pub const TIME_SAVED_EVERY: Duration = Duration::from_secs(15);

/// The state of the process; clones share it, and every request makes several.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The parts of [`App`]. Only the use cases see the leaves.
pub struct Parts {
    pub settings: Settings,
    pub clock: Clock,
    /// The time by which links expire and sweeps are due; does not trust a clock that jumped ahead.
    pub(super) trust: TrustedClock,
    pub(super) record: Record,
    pub(super) store: Archive,
    pub(super) index: Index,
    /// The threads for computations on the index.
    pub(super) computing: Pool,
    /// The threads that run queries.
    pub query_runtime: QueryRuntime,
    pub(super) fetcher: Fetcher,
    pub(super) disk: Disk,
    /// Denied requests that the database has not counted yet.
    pub denied: DenialCounts,
    pub started_at: Timestamp,
    /// Set once the service is stopping.
    pub stopping: AtomicBool,
    /// Cancelled once the process has been asked to stop; long work checks it between two batches.
    pub stop: CancellationToken,
    /// Locked while this process serves from the data folder.
    lock: Option<File>,
}

/// Counts denied requests, by source: a flood of them must not become a flood of commits.
#[derive(Debug, Default)]
pub struct DenialCounts {
    by_source: Mutex<HashMap<String, u64>>,
    keys: AtomicU64,
    hosts: AtomicU64,
}

impl DenialCounts {
    pub fn note(&self, source: &str) {
        *self.counts().entry(source.to_owned()).or_default() += 1;
    }

    /// Counts a wrong key of the API.
    pub fn note_key(&self) {
        self.keys.fetch_add(1, Ordering::Relaxed);
    }

    /// Wrong keys of the API that the database has not counted yet.
    pub fn keys(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    /// Returns and resets the count.
    pub fn take_keys(&self) -> u64 {
        self.keys.swap(0, Ordering::Relaxed)
    }

    /// Counts a request whose Host is not a name of this service.
    pub fn note_host(&self) {
        self.hosts.fetch_add(1, Ordering::Relaxed);
    }

    /// Such requests since the start.
    pub fn hosts(&self) -> u64 {
        self.hosts.load(Ordering::Relaxed)
    }

    /// Returns and resets the counts by source.
    pub fn take(&self) -> HashMap<String, u64> {
        std::mem::take(&mut *self.counts())
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.by_source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a process does with the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Serve from it; only one process can.
    Server,
    /// Read or change something, perhaps while a service runs. Only some commands may create an archive.
    Command { may_create: bool },
}

impl App {
    pub async fn open(settings: Settings, role: Role, clock: Clock) -> anyhow::Result<Self> {
        let folder = &settings.data_dir;
        folder::require_folder("data_dir", folder)?;
        let archive = settings.archive_dir.clone().unwrap_or_else(|| folder.join("archive"));
        folder::require_folder("archive_url", &archive)?;
        let location = location(&settings);
        if role == (Role::Command { may_create: false }) {
            require_archive(&settings, &location).await?;
        }
        folder::make_private(folder)?;
        folder::free_reserve(folder);
        let lock = match role {
            Role::Server => Some(folder::lock(folder)?),
            Role::Command { .. } => None,
        };
        if let Location::Sqlite(path) = &location {
            folder::create_private_file(path)?;
            folder::narrow(path, 0o600)?;
        }
        let receiver = &settings.receiver;
        let rule = ReplayRule { at_least: receiver.replay_at_least as u64, gap: receiver.replay_gap };
        let record = Record::open(&location, receiver.queue, rule).await.context("the database cannot be opened")?;
        let trust = TrustedClock::default();
        let last_known = record.known_time().last().await?;
        match (role, service(folder)?) {
            (Role::Command { .. }, Service::Running(_)) => {
                trust.begin_while_service_runs(last_known, TIME_SAVED_EVERY, &clock);
            }
            (Role::Command { .. } | Role::Server, _) => trust.begin(last_known, &clock),
        }
        let store = Archive::open(&archive, &folder.join("tmp"))
            .with_context(|| format!("the archive folder {} cannot be opened", archive.display()))?;
        let index = open_index(&folder.join("index")).await?;
        let fetcher = Fetcher::new(&settings.fetch)?;
        let disk = Disk::new(store.clone(), folder, !record.is_shared(), &settings.disk);
        let disk_of_scratch = disk.clone();
        let store = store.with_space_check(move |bytes| disk_of_scratch.may_spool(bytes).map_err(|e| e.to_string()));
        Ok(Self(Arc::new(Parts {
            started_at: clock.now(),
            clock,
            trust,
            record,
            store,
            index,
            computing: Pool::new(settings.query.index_threads),
            query_runtime: QueryRuntime::start(settings.query.threads)
                .context("cannot start the threads for queries")?,
            fetcher,
            disk,
            denied: DenialCounts::default(),
            stopping: AtomicBool::default(),
            stop: CancellationToken::new(),
            lock,
            settings,
        })))
    }

    /// Closes the database, when requests and jobs have ended.
    pub async fn close(&self) -> anyhow::Result<()> {
        self.record.close().await.context("the database could not be closed")
    }

    /// Lets commands on this machine find the service.
    pub fn publish_address(&self, address: SocketAddr) {
        if let Some(lock) = &self.lock
            && let Err(e) = folder::publish(lock, address)
        {
            tracing::warn!(error = %e, "`acervo status` will not find the address of the service");
        }
    }

    /// The index's writer; `None` while another process has it.
    pub(super) fn index_writer(&self) -> Result<Option<Writer>, IndexError> {
        match self.index.writer() {
            Ok(writer) => Ok(Some(writer)),
            Err(IndexError::InUse) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// The location of the database.
fn location(settings: &Settings) -> Location {
    match &settings.database_url {
        Some(url) => Location::from_url(url),
        None => Location::Sqlite(settings.data_dir.join("acervo.db")),
    }
}

/// Whether there is an archive, for a command that needs confirmation to create one.
pub async fn has_archive(settings: &Settings) -> anyhow::Result<bool> {
    folder::require_folder("data_dir", &settings.data_dir)?;
    location(settings).is_initialized().await.context("the database cannot be opened")
}

async fn require_archive(settings: &Settings, location: &Location) -> anyhow::Result<()> {
    if location.is_initialized().await.context("the database cannot be opened")? {
        return Ok(());
    }
    let location = match location {
        Location::Sqlite(_) => settings.data_dir.display().to_string(),
        Location::Postgres(_) => "the database at database_url".to_owned(),
    };
    Err(ArchiveNotFound { location }.into())
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
