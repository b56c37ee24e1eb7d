use async_graphql::{ID, SimpleObject};

use super::connection::int;
use super::replay::Replay;
use super::retention::JobStatus;
use super::scalar::{DateTime, Long};
use crate::domain::NotificationStatus;
use crate::query::{self, Status};

/// A source of notifications.
#[derive(SimpleObject)]
pub struct SourceStatus {
    name: String,
    last_notification_at: Option<DateTime>,
    /// Nothing came for longer than its own past makes likely at this hour.
    silent: bool,
    /// Log-ins that were refused, ever.
    denied: i32,
    last_denied_at: Option<DateTime>,
}

impl From<query::SourceStatus> for SourceStatus {
    fn from(status: query::SourceStatus) -> Self {
        Self {
            name: status.source.name,
            last_notification_at: status.source.last_notification_at.map(DateTime),
            silent: status.is_silent,
            denied: int(status.source.denied),
            last_denied_at: status.source.last_denied_at.map(DateTime),
        }
    }
}

/// A host that is left alone for a while.
#[derive(SimpleObject)]
pub struct PausedHost {
    pub host: String,
    pub until: DateTime,
}

/// A file of the archive that does not read back as it was archived: "Enviar" of its product on the portal heals it.
#[derive(SimpleObject)]
pub struct DamagedFile {
    sha256: String,
    since: DateTime,
    /// The newest revision that has it.
    revision_id: Option<ID>,
    /// Of the product.
    name: Option<String>,
}

impl From<query::DamagedFile> for DamagedFile {
    fn from(file: query::DamagedFile) -> Self {
        let (revision_id, name) = file.revision.map(|(id, name)| (ID::from(id.0), name)).unzip();
        Self { sha256: file.digest.to_string(), since: DateTime(file.since), revision_id, name }
    }
}

/// How the service is.
#[derive(SimpleObject)]
pub struct ServiceStatus {
    version: String,
    /// Whether notifications can be taken.
    ready: bool,
    started_at: DateTime,
    queued: i32,
    fetching: i32,
    retrying: i32,
    expired: i32,
    /// When the first link dies whose file is still wanted.
    next_link_expiry: Option<DateTime>,
    last_notification_at: Option<DateTime>,
    products: i32,
    publications: i32,
    revisions: i32,
    /// Bytes of all different files as published.
    size: Long,
    /// Bytes that the archive spends on them.
    stored_size: Long,
    /// Bytes free where the archive lies.
    disk_free: Option<Long>,
    /// Changes that the search index has yet to take in.
    index_lag: i32,
    /// How many files of the archive are known to be damaged.
    damaged: i32,
    /// Those that have been for longest, at most 20.
    damaged_files: Vec<DamagedFile>,
    /// Why no file is fetched now, if so: the disk is too full.
    fetching_waits: Option<String>,
    /// Wanted links that die soon (`fetch.warn_before`).
    dying_links: i32,
    /// Wrong keys that were shown to the API, ever. Wrong credentials of the webhook are counted by source.
    denied_keys: i32,
    /// Who sends notifications.
    sources: Vec<SourceStatus>,
    /// Notifications of the last seven days that were taken with a warning.
    warned: i32,
    /// The newest replay.
    last_replay: Option<Replay>,
    /// Hosts that fail steadily and are left alone for a while.
    pub paused_hosts: Vec<PausedHost>,
    /// Scheduled jobs.
    pub jobs: Vec<JobStatus>,
}

impl From<Status> for ServiceStatus {
    fn from(status: Status) -> Self {
        let counts = &status.counts;
        Self {
            version: status.version.to_owned(),
            ready: status.ready,
            started_at: DateTime(status.started_at),
            queued: int(counts.of(NotificationStatus::Queued)),
            fetching: int(counts.of(NotificationStatus::Fetching)),
            retrying: int(counts.of(NotificationStatus::Retrying)),
            expired: int(counts.of(NotificationStatus::Expired)),
            next_link_expiry: counts.next_link_expiry.map(DateTime),
            last_notification_at: counts.last_notification_at.map(DateTime),
            products: int(counts.products),
            publications: int(counts.publications),
            revisions: int(counts.revisions),
            size: Long(counts.size),
            stored_size: Long(counts.stored_size),
            disk_free: status.disk_free.map(Into::into),
            index_lag: i32::try_from(status.index_lag).unwrap_or(i32::MAX),
            damaged: i32::try_from(status.damaged.count).unwrap_or(i32::MAX),
            damaged_files: status.damaged.first.into_iter().map(DamagedFile::from).collect(),
            dying_links: int(status.dying.count),
            denied_keys: int(status.denied_keys),
            fetching_waits: status.fetching_waits,
            sources: status.sources.into_iter().map(SourceStatus::from).collect(),
            warned: int(status.warned.count),
            last_replay: status.last_replay.map(Replay::from),
            paused_hosts: Vec::new(),
            jobs: Vec::new(),
        }
    }
}
