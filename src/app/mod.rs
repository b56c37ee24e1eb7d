//! app: builds the leaves from the configuration and keeps them for the use cases; edges and tests get it.
mod access;
mod archive;
mod destination;
mod disk;
mod folder;
mod replica;
mod sessions;

use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::domain::{Clock, TrustedClock};
use crate::engine::fetch::Fetcher;
use crate::engine::index::{Contents, Index, IndexError, Pool, Writer};
use crate::engine::record::{Location, Record, ReplayRule};
use crate::engine::store::Archive;
use crate::threads::QueryRuntime;

pub use crate::engine::record::LOG_TARGETS as DATABASE_LOG_TARGETS;
pub use access::{Access, Derived, KeyState, Reloaded};
pub use destination::{Destination, MigrateTo};
pub use disk::{Disk, DiskFull};
pub use folder::{ArchiveNotFound, BACKUP_MARK, NotAFolder, RESERVE, Service, control_token, make_private, service};
pub use replica::ReplicaIdentity;
pub use sessions::NewSession;

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
    /// As they were read at the start; `access` has those that were read again.
    pub settings: Settings,
    /// Who may use the service.
    pub access: Access,
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
    /// This process among those that share the database.
    pub replica: ReplicaIdentity,
    /// Cancelled once the service is stopping: requests that wait for something are answered.
    pub stopping: CancellationToken,
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
    unrecorded: Mutex<Option<Unrecorded>>,
}

/// Notifications that were answered 503.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecorded {
    pub count: u64,
    /// Why the last one was.
    pub reason: String,
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

    /// Counts a notification that could not be recorded.
    pub fn note_unrecorded(&self, why: &dyn std::fmt::Display) {
        let mut unrecorded = self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner);
        let count = unrecorded.as_ref().map_or(0, |unrecorded| unrecorded.count) + 1;
        *unrecorded = Some(Unrecorded { count, reason: why.to_string() });
    }

    /// Returns and resets the count of those, if there are any.
    pub fn take_unrecorded(&self) -> Option<Unrecorded> {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).take()
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
    /// Restore an export into it; nothing else may use it meanwhile.
    Restore,
    /// Copy all of it; no service may run on it meanwhile.
    Copy,
}

impl App {
    pub async fn open(settings: Settings, role: Role, clock: Clock) -> anyhow::Result<Self> {
        let folder = &settings.data_dir;
        folder::require_folder("data_dir", folder)?;
        let archive = settings.archive();
        if let Some(archive) = archive.folder() {
            folder::require_folder("archive_url", archive)?;
        }
        let location = location(&settings);
        if let Location::Sqlite(path) = &location {
            folder::require_complete(folder, path)?;
        }
        if matches!(role, Role::Command { may_create: false } | Role::Copy) {
            require_archive(&settings, &location).await?;
        }
        folder::make_private(folder).context("data_dir")?;
        if let Some(archive) = archive.folder() {
            folder::make_archive_private(archive);
        }
        folder::free_reserve(folder);
        let lock = match role {
            Role::Server | Role::Restore | Role::Copy => Some(folder::lock(folder)?),
            Role::Command { .. } => None,
        };
        if let Location::Sqlite(path) = &location {
            folder::make_database_private(path)?;
        }
        let receiver = &settings.receiver;
        let rule = ReplayRule { at_least: receiver.replay_at_least as u64, gap: receiver.replay_gap };
        let record = Record::open_with(&location, settings.database, receiver.queue, rule)
            .await
            .context("the database cannot be opened")?;
        if role != Role::Restore && record.dump().restoring().await?.is_some() {
            record.close().await?;
            bail!("the archive is half restored; run `acervo restore` with the same folder again to complete it");
        }
        if record.dump().copying().await?.is_some() {
            record.close().await?;
            bail!(
                "the archive is a copy that is not complete; run `acervo migrate-to` again where the instance is that is copied"
            );
        }
        let trust = TrustedClock::default();
        let last_known = record.known_time().last().await?;
        match (role, service(folder)?) {
            (Role::Command { .. }, Service::Running(_)) => {
                trust.begin_while_service_runs(last_known, TIME_SAVED_EVERY, &clock);
            }
            (Role::Command { .. } | Role::Server | Role::Restore | Role::Copy, _) => trust.begin(last_known, &clock),
        }
        let store = archive::open(&archive, &folder.join("tmp"), role).await?;
        let index = open_index("index", &folder.join("index"), Index::open).await?;
        if settings.content.index {
            index.search_in(open_index("index of contents", &folder.join("content"), Contents::open).await?);
        }
        let fetcher = Fetcher::new(&settings.fetch)?;
        let disk = Disk::new(store.clone(), folder, !record.is_shared(), &settings.disk);
        let disk_of_scratch = disk.clone();
        let store = store.with_space_check(move |bytes| disk_of_scratch.may_spool(bytes).map_err(|e| e.to_string()));
        let app = Self(Arc::new(Parts {
            access: Access::new(settings.clone()),
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
            replica: ReplicaIdentity::new(settings.replica_name()),
            stopping: CancellationToken::new(),
            stop: CancellationToken::new(),
            lock,
            settings,
        }));
        app.read_revoked_keys().await?;
        Ok(app)
    }

    /// Closes the database, when requests and jobs have ended.
    pub async fn close(&self) -> anyhow::Result<()> {
        self.record.close().await.context("the database could not be closed")
    }

    /// Whether this process is a service, and no command.
    pub fn serves(&self) -> bool {
        self.lock.is_some()
    }

    /// Lets commands on this machine find the service.
    pub fn publish_address(&self, address: SocketAddr) {
        if let Some(lock) = &self.lock
            && let Err(e) = folder::publish(lock, address, &self.access.control_token)
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

/// Locks another data folder, on which no service may run.
pub(super) fn lock_folder(folder: &Path) -> anyhow::Result<File> {
    folder::lock(folder)
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

async fn open_index<T>(what: &str, folder: &Path, open: impl Fn(&Path) -> Result<T, IndexError>) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        match open(folder) {
            Err(IndexError::InUse) if began.elapsed() < INDEX_REPLACED_TIMEOUT => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            opened => {
                return opened.with_context(|| format!("the search {what} in {} cannot be opened", folder.display()));
            }
        }
    }
}
