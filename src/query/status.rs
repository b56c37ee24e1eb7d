//! The status of the service.
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::{ContentStatus, HookRow, Queries, QueryError, Replica, Verification};
use crate::domain::{Digest, RevisionId};
use crate::engine::record::{
    API_KEYS, Counts, ExpiringLinks, Failure, LossCounts, RecentWarnings, Replay, Source, Unresolved, Version,
};

/// How long a warning of a notification stays in the status.
const WARNED_WITHIN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The status of a source of notifications.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    pub source: Source,
    /// Nothing came for longer than its own history makes likely.
    pub is_silent: bool,
}

/// The state of the service.
#[derive(Clone, Debug)]
pub struct Status {
    pub version: &'static str,
    pub ready: bool,
    /// The time of this status.
    pub at: Timestamp,
    pub started_at: Timestamp,
    pub counts: Counts,
    pub disk_free: Option<u64>,
    pub disk_size: Option<u64>,
    /// Why no file is fetched now, if so.
    pub fetching_waits: Option<String>,
    pub sources: Vec<SourceStatus>,
    /// Notifications that are recorded and have no publication yet.
    pub unresolved: Unresolved,
    /// Links that expire within `fetch.warn_before` and whose file is still missing.
    pub expiring: ExpiringLinks,
    /// Notifications of the last seven days that were taken with a warning.
    pub warned: RecentWarnings,
    /// Publications whose file is lost.
    pub lost: LossCounts,
    /// The newest replay.
    pub last_replay: Option<Replay>,
    /// Changes that the search index has not indexed yet.
    pub index_lag: i64,
    /// The last number of the feed.
    pub feed: i64,
    /// The services that share the database.
    pub replicas: Vec<Replica>,
    /// The text inside files; absent if it is not indexed.
    pub content: Option<ContentStatus>,
    /// Requests that wait for the next change.
    pub waiting_polls: usize,
    /// Wrong keys of the API since the archive exists, and when the last were counted.
    pub denied_keys: u64,
    pub last_denied_key_at: Option<Timestamp>,
    /// Files that do not read back as they were archived, as far as is known.
    pub damaged: DamagedFiles,
    /// Verification: the last run, the cycle, and how much is broken.
    pub verification: Verification,
    /// Hooks: how far each has come.
    pub hooks: Vec<HookRow>,
    /// What the threads of the index are doing.
    pub computing: crate::engine::index::PoolStatus,
}

impl Status {
    /// When the oldest notification was received that waits for its publication or its file.
    pub fn waiting_since(&self) -> Option<Timestamp> {
        self.counts.waiting_since.into_iter().chain(self.unresolved.since).min()
    }
}

/// The damaged files of the archive.
#[derive(Clone, Debug, Default)]
pub struct DamagedFiles {
    pub count: u64,
    /// Those that have been damaged for longest.
    pub first: Vec<DamagedFile>,
}

/// A file that does not read back as it was archived.
#[derive(Clone, Debug)]
pub struct DamagedFile {
    pub digest: Digest,
    pub since: Timestamp,
    /// The newest revision that has it, and its product's name.
    pub revision: Option<(RevisionId, String)>,
}

/// Damaged files that are listed one by one.
const DAMAGED_LISTED_MAX: u64 = 20;

/// The counts of one state of the record. Monitoring requests them again and again, and counting reads every row.
pub(super) type CountsCache = Arc<Mutex<Option<(Version, Counts)>>>;

impl Queries {
    pub(super) async fn counts(&self) -> Result<Counts, QueryError> {
        // One request counts; concurrent ones share its result.
        let mut counts_cache = self.counts_cache.lock().await;
        let version = self.record.version().await;
        if let Some((of, counts)) = &*counts_cache
            && Some(of) == version.as_ref()
        {
            return Ok(counts.clone());
        }
        let counts = self.record.monitor().counts().await?;
        *counts_cache = version.map(|version| (version, counts.clone()));
        Ok(counts)
    }

    pub async fn status(&self) -> Result<Status, QueryError> {
        let app = &self.app;
        // Before the counts, which then have all publications if this is nothing.
        let unresolved = self.record.monitor().unresolved().await?;
        let counts = self.counts().await?;
        let head = self.record.feed().head().await?;
        let at = app.index.position().map(|position| position.feed).unwrap_or_default();
        let now = app.clock.now();
        let space = app.store.space().ok().flatten();
        let mut sources = Vec::new();
        let (mut denied_keys, mut last_denied_key_at) = (app.denied.keys(), None);
        for source in self.record.sources().all().await? {
            if source.name == API_KEYS {
                denied_keys += source.denied;
                last_denied_key_at = source.last_denied_at;
                continue;
            }
            let is_silent = self.record.sources().is_silent(&source, app.settings.receiver.silence_floor, now).await?;
            sources.push(SourceStatus { source, is_silent });
        }
        Ok(Status {
            version: env!("CARGO_PKG_VERSION"),
            ready: self.not_ready().await.is_none(),
            at: now,
            started_at: app.started_at,
            counts,
            disk_free: space.as_ref().map(|space| space.free),
            disk_size: space.as_ref().map(|space| space.total),
            fetching_waits: app.disk.may_fetch().err().map(|e| e.to_string()),
            sources,
            unresolved,
            expiring: app.record.monitor().expiring_links(now, app.settings.fetch.warn_before, 5).await?,
            warned: app.record.monitor().warned(now - WARNED_WITHIN).await?,
            lost: app.record.losses().counts().await?,
            last_replay: app.record.replays().list(None, 1).await?.0.pop(),
            index_lag: (head - at).max(0),
            feed: head,
            replicas: self.replicas().await?,
            content: self.content_status(head)?,
            waiting_polls: self.admission().waiting_polls(),
            denied_keys,
            last_denied_key_at,
            damaged: self.damaged().await?,
            verification: self.verification().await?,
            hooks: self.hooks().await?,
            computing: app.computing.status(),
        })
    }

    async fn damaged(&self) -> Result<DamagedFiles, QueryError> {
        let (count, files) = self.app.record.files().damaged(DAMAGED_LISTED_MAX).await?;
        let ids: Vec<RevisionId> = files.iter().filter_map(|file| file.revision).collect();
        let rows = self.revision_rows(&ids).await?;
        let named = |id: RevisionId| rows.get(&id).map(|row| (id, row.publication.name.clone()));
        let first = files.into_iter().map(|file| DamagedFile {
            digest: file.digest,
            since: file.since,
            revision: file.revision.and_then(named),
        });
        Ok(DamagedFiles { count, first: first.collect() })
    }

    /// Why notifications have no file: those that are tried again, and those of the last seven days that ended without one.
    pub async fn failures(&self) -> Result<Vec<Failure>, QueryError> {
        Ok(self.app.record.monitor().failures(self.app.clock.now() - WARNED_WITHIN).await?)
    }

    /// How many publications are lost.
    pub async fn lost(&self) -> Result<LossCounts, QueryError> {
        Ok(self.app.record.losses().counts().await?)
    }

    /// How many notifications are recorded and not resolved yet.
    pub async fn unresolved(&self) -> Result<u64, QueryError> {
        Ok(self.record.monitor().unresolved().await?.count)
    }

    /// Why notifications cannot be accepted now, if so.
    pub async fn not_ready(&self) -> Option<String> {
        if self.app.stopping.is_cancelled() {
            return Some("the service is stopping".to_owned());
        }
        if let Err(e) = self.app.record.intake().can_write().await {
            tracing::error!(error = %e, "the database takes no writes");
            return Some("the database does not answer, or takes no writes".to_owned());
        }
        if let Err(e) = self.app.store.space() {
            tracing::error!(error = %e, "the archive does not answer");
            return Some("the archive does not answer".to_owned());
        }
        if let Err(e) = self.app.disk.may_receive() {
            return Some(e.to_string());
        }
        // Notifications would still be recorded, but no query could be answered until the service is restarted.
        let computing = self.app.computing.status();
        computing.is_stuck().then(|| {
            format!(
                "all {} threads of the index are stuck in computations that do not stop; restart the service",
                computing.overdue
            )
        })
    }
}
