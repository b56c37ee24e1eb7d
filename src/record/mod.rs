//! record: the system of record, and the only room that speaks SQL.
//!
//! Rows go in and come out as plain values. What `accept` and `settle` return for has been committed and synced. Owns
//! the database and nothing else: it knows no HTTP, no file, no index; what the index needs it reads from the feed.
//!
//! Writers take turns (SQLite has one connection for them, PostgreSQL a lock), so each transaction below reads and
//! writes as if it were alone.
mod announce;
mod archive;
mod batch;
mod claim;
mod connect;
mod damage;
mod entity;
mod erase;
mod expire;
mod feed;
mod holds;
mod import;
mod incoming;
mod intake;
mod inventory;
mod keeper;
mod lines;
mod listing;
mod lock;
#[path = "../../migrations/mod.rs"]
mod migrations;
mod postgres;
mod queue;
mod read;
mod replays;
mod retention;
mod retry;
mod rows;
mod runs;
mod shown;
mod sources;
mod statements;
mod sweep;
mod time;
mod version;
mod watch;
mod window;

use std::sync::Arc;

use sea_orm::{DatabaseConnection, DatabaseTransaction, DbBackend, DbErr};
use tokio::sync::watch as channel;

pub use archive::{Fetched, Settled};
pub use claim::{Claim, Claimed, Known, Room};
pub use connect::Location;
pub use damage::DamagedFile;
pub use holds::HoldError;
pub use import::{IMPORT, Imported, ImportedFile, ImportedNotification};
pub use incoming::NewNotification;
pub use intake::Refusal;
pub use inventory::{InventoryFile, InventoryProduct, InventoryPublication, InventoryRevision};
pub use read::{NotificationQuery, Page};
pub use replays::{Replay, ReplayRule};
pub use retention::RetentionRun;
pub use retry::RetryCounts;
pub use rows::{Alias, Change, Member, Notification, Product, Publication, Revision, StoredFile};
pub use runs::JobRun;
pub use shown::ShownFile;
pub use sources::{API_KEYS, Source};
pub use sweep::Tombstone;
pub use version::Version;
pub use watch::{Counts, Dying, Warned};

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(
        "the database was written by a newer Acervo (it has taken the step {step}, which this one does not know): start that version, or a later one"
    )]
    Newer { step: String },
    #[error("the database holds what should not be there: {0}")]
    Corrupt(String),
    #[error("the lease ran out and another worker has the notification")]
    LeaseLost,
    #[error("retention has removed the same bytes meanwhile, or is about to")]
    FileGone,
    #[error("the database: {0}")]
    Database(#[from] DbErr),
}

/// The database, shared by all who ask it.
#[derive(Clone)]
pub struct Record {
    inner: Arc<Inner>,
}

struct Inner {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    jobs_reader: DatabaseConnection,
    keeper: Option<keeper::Keeper>,
    statements: statements::Statements,
    versions: version::Versions,
    rule: ReplayRule,
    intake: intake::Intake,
    /// Counts this process's commits that gave work to the fetchers or the index.
    queued: channel::Sender<u64>,
    fed: channel::Sender<u64>,
}

impl Record {
    /// Opens the database and brings it to its present form. At most `queue` notifications wait for a commit at once;
    /// `rule` says which of them are a replay.
    pub async fn open(location: &Location, queue: usize, rule: ReplayRule) -> Result<Self, RecordError> {
        let statements = statements::Statements::default();
        let connect::Connections { writer, intake, reader, jobs_reader, keeper, versions } =
            connect::connect(location, &statements).await?;
        let (queued, _) = channel::channel(0);
        let (fed, _) = channel::channel(0);
        let intake = intake::Intake::start(intake, queue, rule, queued.clone(), fed.clone());
        let inner = Inner { writer, reader, jobs_reader, keeper, statements, versions, rule, intake, queued, fed };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether other processes may work on the same queue.
    pub fn is_shared(&self) -> bool {
        self.inner.writer.get_database_backend() != DbBackend::Sqlite
    }

    /// Tells of every commit of this process that queued something.
    pub fn watch_queue(&self) -> channel::Receiver<u64> {
        self.inner.queued.subscribe()
    }

    /// Tells of every commit of this process that added to the feed.
    pub fn watch_feed(&self) -> channel::Receiver<u64> {
        self.inner.fed.subscribe()
    }

    async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        connect::begin(&self.inner.writer).await
    }

    /// See [`connect::shared_clock`].
    fn shared_clock(&self, now: jiff::Timestamp) -> sea_orm::sea_query::Expr {
        connect::shared_clock(self.inner.writer.get_database_backend(), now)
    }

    fn reader(&self) -> &DatabaseConnection {
        &self.inner.reader
    }

    fn tell_queue(&self) {
        self.inner.queued.send_modify(|n| *n += 1);
    }

    fn tell_feed(&self) {
        self.inner.fed.send_modify(|n| *n += 1);
    }
}
