//! record: the system of record, and the only module that contains SQL.
//!
//! Rows go in and come out as plain values. When a method that writes returns, its changes are committed and synced. The module
//! owns the database and nothing else: it has no part in HTTP, files or the index, which reads what it needs from the feed.
//!
//! [`Record`] opens the database and hands out one repository for each concern, so that code that needs the queue gets only
//! the queue. The repositories share [`db::Db`]. Decisions are made in `domain`; the repositories read rows, call it, and write
//! the outcome.
//!
//! Every write, in either database, is part of a transaction that `Db::begin` starts. Writers take turns there (SQLite has one
//! connection for them, PostgreSQL an advisory lock), so a transaction reads and writes as if it were alone. Two things write
//! outside of it and change no row: SQLite's checkpoints (`checkpointer`), and migrations, which take the same lock without a time
//! limit (`connect`).
mod backup;
mod batch;
mod checkpointer;
mod compaction;
mod connect;
mod db;
mod dump;
mod entity;
mod feed;
mod files;
mod history;
mod hooks;
mod imports;
mod intake;
mod jobs;
mod keys;
mod known_time;
mod links;
mod locks;
mod losses;
#[path = "../../migrations/mod.rs"]
mod migrations;
mod monitor;
mod newest;
mod operation;
mod pack;
mod peers;
mod postgres;
mod publications;
mod queue;
mod replays;
mod replicas;
mod retention;
mod revision;
mod revisions;
mod rows;
mod sessions;
mod sources;
mod statements;
mod values;
mod verify;
mod version;
mod views;

use std::sync::Arc;

use sea_orm::DbErr;

use crate::config::Database;
pub use crate::domain::ReplayRule;
use db::Db;

pub use backup::{Backup, DatabaseCopy, StoredObject};
pub use compaction::{Compaction, LockHolder, ProductToCompact, Replacement, TimelineFile, TimelineKey};
pub use connect::Location;
pub use dump::{
    Columns, CopyStart, CopyState, Cursor, Dump, FileRow, Frozen, RestoreState, RowKind, RowPosition, Sequence,
    Snapshot, Table, TableSum,
};
pub use feed::Feed;
pub use files::{DamagedFile, Files, Removal};
pub use history::{CoveredPublication, History, NotificationQuery, Page, RecentFile};
pub use hooks::{
    HookAttempt, HookDelivery, HookEventRow, HookFailure, HookLetter, HookPosition, HookState, Hooks, LetterSubject,
    NewHookEvent, NewLetter, PendingMessage,
};
pub use imports::{IMPORT, Imported, ImportedFile, ImportedNotification, Imports};
pub use intake::{Intake, IntakeError, NewNotification};
pub use jobs::{JobRun, Jobs};
pub use keys::{Keys, RevokedKey};
pub use known_time::KnownTime;
pub use links::Links;
pub use locks::Locks;
pub use losses::{AcknowledgeError, Acknowledgement, LastNotification, Loss, LossCounts, Losses};
pub use monitor::{Counts, ExpiringLinks, Failure, Monitor, RecentWarnings, Unresolved};
pub use operation::{DayOfActivity, HeldRevision, OpenLink};
pub use queue::{Capacity, Claim, ClaimedNotification, FetchedFile, PreviousFetch, Queue, RetryCounts, Settlement};
pub use replays::{Replay, Replays};
pub use replicas::{Beaten, Heartbeat, Replica, Replicas};
pub use retention::{
    HoldError, Holds, Inventory, InventoryFile, InventoryProduct, InventoryPublication, InventoryRevision,
    ProductRemoval, ProductRemovals, RemovalExtent, Removals, Retention, RetentionRun,
};
pub use revision::Revision;
pub use rows::{Alias, Change, Member, Notification, Product, Publication};
pub use sessions::{Session, Sessions};
pub use sources::{API_KEYS, Source, Sources};
pub use statements::{WatchedStatement, WatchedValue};
pub use verify::{
    BrokenItem, FileState, Finding, OrphanRevision, PublicationRefs, Use, Uses, Verify, VerifyCycle, VerifyRun,
};
pub use version::Version;

/// The libraries of this module, as targets of the log. Their finer levels print statements, whose values may be links.
pub const LOG_TARGETS: &[&str] = &["sea_orm", "sea_orm_migration", "sqlx"];

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(
        "the database was written by a newer Acervo (it has the migration {step}, which this version does not have); start that version, or a later one"
    )]
    Newer { step: String },
    #[error("the database contains invalid data: {0}")]
    Corrupt(String),
    #[error("the lease ran out; another worker has the notification")]
    LeaseLost,
    #[error("another process has taken the lock of {0}")]
    LockLost(String),
    #[error("retention has removed the same bytes, or is about to")]
    FileGone,
    /// A row of an export.
    #[error("{0}")]
    InvalidRow(String),
    #[error("{0} does not fit into a number column of the database")]
    OutOfRange(String),
    /// The caller checks whether the store has the bytes, and repeats the call with the removals of those that it has.
    #[error("the same bytes were removed before, and it was not checked whether they are stored again")]
    RemovedBefore(Vec<Removal>),
    #[error("the database: {0}")]
    Database(DatabaseError),
}

/// An error of the database or of the connection to it. Only this module distinguishes its kinds; others log it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DatabaseError(DbErr);

impl DatabaseError {
    fn inner(&self) -> &DbErr {
        &self.0
    }
}

impl From<DbErr> for RecordError {
    fn from(error: DbErr) -> Self {
        match error {
            // A stored value that its type does not have; see `values`.
            DbErr::Type(what) => Self::Corrupt(what),
            error => Self::Database(DatabaseError(error)),
        }
    }
}

/// The database. Clones share it.
#[derive(Clone)]
pub struct Record(Arc<Repositories>);

struct Repositories {
    db: Db,
    intake: Intake,
    queue: Queue,
    links: Links,
    history: History,
    files: Files,
    retention: Retention,
    inventory: Inventory,
    holds: Holds,
    removals: Removals,
    product_removals: ProductRemovals,
    imports: Imports,
    feed: Feed,
    replays: Replays,
    sources: Sources,
    monitor: Monitor,
    jobs: Jobs,
    keys: Keys,
    sessions: Sessions,
    locks: Locks,
    replicas: Replicas,
    losses: Losses,
    known_time: KnownTime,
    verify: Verify,
    compaction: Compaction,
    dump: Dump,
    backup: Backup,
    hooks: Hooks,
}

impl Record {
    /// Opens the database and applies missing migrations. At most `queue` notifications wait for a commit at once;
    /// `rule` decides which of them are a replay.
    pub async fn open(location: &Location, queue: usize, rule: ReplayRule) -> Result<Self, RecordError> {
        Self::open_with(location, Database::default(), queue, rule).await
    }

    /// The same with numbers of connections.
    pub async fn open_with(
        location: &Location,
        connections: Database,
        queue: usize,
        rule: ReplayRule,
    ) -> Result<Self, RecordError> {
        let (db, intake_writer) = Db::open(location, connections).await?;
        Ok(Self(Arc::new(Repositories {
            intake: Intake::start(db.clone(), intake_writer, queue, rule),
            queue: Queue { db: db.clone() },
            links: Links { db: db.clone() },
            history: History { db: db.clone() },
            files: Files { db: db.clone() },
            retention: Retention { db: db.clone() },
            inventory: Inventory { db: db.clone() },
            holds: Holds { db: db.clone() },
            removals: Removals { db: db.clone() },
            product_removals: ProductRemovals { db: db.clone() },
            imports: Imports { db: db.clone() },
            feed: Feed { db: db.clone() },
            replays: Replays { db: db.clone(), rule },
            sources: Sources { db: db.clone() },
            monitor: Monitor { db: db.clone() },
            jobs: Jobs { db: db.clone() },
            keys: Keys { db: db.clone() },
            sessions: Sessions { db: db.clone() },
            locks: Locks { db: db.clone() },
            replicas: Replicas { db: db.clone() },
            losses: Losses { db: db.clone() },
            known_time: KnownTime { db: db.clone() },
            verify: Verify { db: db.clone() },
            compaction: Compaction { db: db.clone() },
            dump: Dump { db: db.clone() },
            backup: Backup { db: db.clone() },
            hooks: Hooks { db: db.clone() },
            db,
        })))
    }

    /// Closes the database; nothing can be read or written afterwards. The file of SQLite then contains everything: there is no
    /// write-ahead log beside it that a copy could miss.
    pub async fn close(&self) -> Result<(), RecordError> {
        Ok(self.0.db.close().await?)
    }

    /// Records notifications.
    pub fn intake(&self) -> &Intake {
        &self.0.intake
    }

    /// Notifications that wait for their files: leases, attempts, outcomes.
    pub fn queue(&self) -> &Queue {
        &self.0.queue
    }

    /// The links of notifications, which are erased once they expire or are used.
    pub fn links(&self) -> &Links {
        &self.0.links
    }

    /// Products, publications, revisions and notifications, read only.
    pub fn history(&self) -> &History {
        &self.0.history
    }

    /// Files: how each is stored, what is damaged, the members of zips.
    pub fn files(&self) -> &Files {
        &self.0.files
    }

    /// Retention runs, their marks, and undo.
    pub fn retention(&self) -> &Retention {
        &self.0.retention
    }

    /// What a retention plan is made from.
    pub fn inventory(&self) -> &Inventory {
        &self.0.inventory
    }

    /// Holds: revisions that are protected from retention.
    pub fn holds(&self) -> &Holds {
        &self.0.holds
    }

    /// Removals of whole products.
    pub fn product_removals(&self) -> &ProductRemovals {
        &self.0.product_removals
    }

    /// Files that are being deleted.
    pub fn removals(&self) -> &Removals {
        &self.0.removals
    }

    /// Imported notifications and files.
    pub fn imports(&self) -> &Imports {
        &self.0.imports
    }

    /// Every committed change, numbered in commit order.
    pub fn feed(&self) -> &Feed {
        &self.0.feed
    }

    pub fn replays(&self) -> &Replays {
        &self.0.replays
    }

    /// Sources of notifications: when each sent some, and their refused logins.
    pub fn sources(&self) -> &Sources {
        &self.0.sources
    }

    /// Counts for operators and metrics.
    pub fn monitor(&self) -> &Monitor {
        &self.0.monitor
    }

    /// Runs of scheduled jobs.
    pub fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    /// Keys of the API: when each was last used, and which were revoked.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Sessions of people who logged in on the page.
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// Locks between processes.
    pub fn locks(&self) -> &Locks {
        &self.0.locks
    }

    /// The services that share the database.
    pub fn replicas(&self) -> &Replicas {
        &self.0.replicas
    }

    /// Lost publications, and who has acknowledged them.
    pub fn losses(&self) -> &Losses {
        &self.0.losses
    }

    /// The time that has certainly passed.
    pub fn known_time(&self) -> &KnownTime {
        &self.0.known_time
    }

    /// Verification: what it reads, finds and remembers.
    pub fn verify(&self) -> &Verify {
        &self.0.verify
    }

    /// Compaction: files to encode densely, and the change from one object to another.
    pub fn compaction(&self) -> &Compaction {
        &self.0.compaction
    }

    /// Whole rows, for exports and restores.
    pub fn dump(&self) -> &Dump {
        &self.0.dump
    }

    /// Copies of SQLite's database.
    pub fn backup(&self) -> &Backup {
        &self.0.backup
    }

    /// Hooks: how far each has come, their dead letters and deliveries.
    pub fn hooks(&self) -> &Hooks {
        &self.0.hooks
    }

    /// From now on those who wait for commits are woken by those of other processes too, where the database can do that. They must poll all
    /// the same.
    pub fn listen_to_peers(&self) {
        self.0.db.listen_to_peers();
    }

    /// Whether other processes may work on the same queue.
    pub fn is_shared(&self) -> bool {
        self.0.db.is_shared()
    }

    /// The current state; `None` if the database did not respond.
    pub async fn version(&self) -> Option<Version> {
        self.0.db.versions().present().await
    }

    /// For tests: passes every statement that this process sends from now on to `watcher`. The first watcher stays.
    pub fn watch_statements(&self, watcher: impl Fn(WatchedStatement) + Send + Sync + 'static) {
        self.0.db.statements().watch(watcher);
    }
}
