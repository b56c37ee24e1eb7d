use async_graphql::{ID, SimpleObject};

use super::losses::LostPublication;
use super::replay::Replay;
use super::retention::JobStatus;
use super::verify::Verification;
use crate::app::KeyState;
use crate::contract::{Count, DateTime, Long};
use crate::domain::NotificationStatus;
use crate::query::{self, Status};

/// A source of notifications.
#[derive(SimpleObject)]
pub struct SourceStatus {
    name: String,
    last_notification_at: Option<DateTime>,
    /// Whether nothing has been received for longer than the source's own history makes likely.
    silent: bool,
    /// Total number of requests with wrong credentials.
    denied: Count,
    last_denied_at: Option<DateTime>,
}

impl From<query::SourceStatus> for SourceStatus {
    fn from(status: query::SourceStatus) -> Self {
        Self {
            name: status.source.name,
            last_notification_at: status.source.last_notification_at.map(DateTime),
            silent: status.is_silent,
            denied: Count(status.source.denied),
            last_denied_at: status.source.last_denied_at.map(DateTime),
        }
    }
}

/// A host that gets no requests for a while, because it failed repeatedly.
#[derive(SimpleObject)]
pub struct PausedHost {
    pub host: String,
    pub until: DateTime,
}

/// A stored file that does not read back as it was archived. "Enviar" for its product on the portal, or a backup,
/// repairs it.
#[derive(SimpleObject)]
pub struct DamagedFile {
    sha256: String,
    /// When the damage was found.
    since: DateTime,
    /// The newest revision that uses the file.
    revision_id: Option<ID>,
    /// The product's name.
    name: Option<String>,
}

impl From<query::DamagedFile> for DamagedFile {
    fn from(file: query::DamagedFile) -> Self {
        let (revision_id, name) = file.revision.map(|(id, name)| (ID::from(id.0), name)).unzip();
        Self { sha256: file.digest.to_string(), since: DateTime(file.since), revision_id, name }
    }
}

/// A key of the API.
#[derive(SimpleObject)]
pub struct ApiKey {
    name: String,
    /// reader, operator or admin.
    role: String,
    /// When it expires; null if it does not.
    expires_at: Option<DateTime>,
    /// When it was revoked; null if it was not.
    revoked_at: Option<DateTime>,
    /// When it was last used; null if it never was.
    last_used_at: Option<DateTime>,
}

impl From<query::KeyStatus> for ApiKey {
    fn from(status: query::KeyStatus) -> Self {
        let revoked_at = match status.state {
            KeyState::Revoked(at) => Some(DateTime(at)),
            KeyState::Valid | KeyState::Expired(_) => None,
        };
        Self {
            name: status.key.name,
            role: status.key.role.to_string(),
            expires_at: status.key.expires.map(DateTime),
            revoked_at,
            last_used_at: status.last_used_at.map(DateTime),
        }
    }
}

/// How far the text inside files is indexed.
#[derive(SimpleObject)]
pub struct ContentStatus {
    /// Changes whose files were not read yet.
    lag: Count,
    /// Files whose whole text is found.
    read: Count,
    /// Files of which something was left out: limits did not suffice, or a member could not be read.
    partly: Count,
    /// Files that could not be read.
    unreadable: Count,
}

impl From<query::ContentStatus> for ContentStatus {
    fn from(status: query::ContentStatus) -> Self {
        Self {
            lag: Count(status.lag.unsigned_abs()),
            read: Count(status.read),
            partly: Count(status.partly),
            unreadable: Count(status.unreadable),
        }
    }
}

/// A service that shares the database, with what it said of itself when it was last heard of.
#[derive(SimpleObject)]
pub struct ReplicaStatus {
    /// `replica_name`, or the names of its machine and of its data folder.
    name: String,
    version: String,
    started_at: DateTime,
    /// When it was last heard of, which happens every few seconds.
    seen_at: DateTime,
    /// The last number of the feed that its search index had.
    feed: Long,
    /// Changes that its search index did not have.
    lag: Count,
    /// Whether it was not heard of for so long that it has probably ended.
    gone: bool,
    /// Whether it runs the scheduled jobs.
    leads: bool,
}

impl From<query::Replica> for ReplicaStatus {
    fn from(replica: query::Replica) -> Self {
        Self {
            name: replica.name,
            version: replica.version,
            started_at: DateTime(replica.started_at),
            seen_at: DateTime(replica.seen_at),
            feed: replica.feed.into(),
            lag: Count(replica.lag.unsigned_abs()),
            gone: replica.is_gone,
            leads: replica.leads,
        }
    }
}

/// The state of the service.
#[derive(SimpleObject)]
pub struct ServiceStatus {
    version: String,
    /// Whether notifications can be accepted.
    ready: bool,
    started_at: DateTime,
    /// Notifications that wait for their first fetch.
    queued: Count,
    /// Notifications whose file is being fetched.
    fetching: Count,
    /// Notifications that wait for another fetch.
    retrying: Count,
    /// Notifications whose link expired before the file was fetched.
    expired: Count,
    /// When the next link expires whose file is still to be fetched.
    next_link_expiry: Option<DateTime>,
    last_notification_at: Option<DateTime>,
    products: Count,
    publications: Count,
    revisions: Count,
    /// Total size in bytes of all distinct files, as published.
    size: Long,
    /// Bytes on disk used by these files.
    stored_size: Long,
    /// Bytes free on the disk of the archive.
    disk_free: Option<Long>,
    /// Changes that are not yet in the search index.
    index_lag: Count,
    /// The last number of the feed.
    feed: Long,
    /// The services that share the database, by name. There is one, unless several share a PostgreSQL database. One that is gone is listed for
    /// a day.
    replicas: Vec<ReplicaStatus>,
    /// How far the text inside files is indexed; null if it is not (`content.index`).
    content: Option<ContentStatus>,
    /// Requests for `changes` that wait for the next one.
    waiting_polls: Count,
    /// Notifications that are recorded and whose publications are not known yet. More than a few for longer than a moment
    /// means that notifications arrive faster than they are processed, or that some cannot be (see their `error`).
    unresolved: Count,
    /// When the first of these was received.
    unresolved_since: Option<DateTime>,
    /// Number of stored files known to be damaged.
    damaged: Count,
    /// The files that have been damaged for longest, at most 20.
    damaged_files: Vec<DamagedFile>,
    /// Verification: the last run, the cycle, and how much is broken.
    verification: Verification,
    /// Why no file is fetched at present (the disk is too full); null when fetching is possible.
    fetching_waits: Option<String>,
    /// Links that expire soon (`fetch.warn_before`) and whose file is still to be fetched.
    dying_links: Count,
    /// Publications whose file is lost and that no operator has acknowledged (`acknowledgeLost`).
    lost: Count,
    /// Lost publications, at most 20: those that are not acknowledged first, the last ones first.
    pub lost_publications: Vec<LostPublication>,
    /// Total number of requests to the API with a wrong key. Wrong credentials on the webhook are counted per source.
    denied_keys: Count,
    /// The sources of notifications.
    sources: Vec<SourceStatus>,
    /// Notifications of the last seven days that were accepted with a warning.
    warned: Count,
    /// The most recent replay.
    last_replay: Option<Replay>,
    /// Hosts that get no requests for a while, because they failed repeatedly.
    pub paused_hosts: Vec<PausedHost>,
    /// The scheduled jobs.
    pub jobs: Vec<JobStatus>,
    /// The keys of the API, for callers with the role operator or admin; null for others.
    pub keys: Option<Vec<ApiKey>>,
}

impl From<Status> for ServiceStatus {
    fn from(status: Status) -> Self {
        let counts = &status.counts;
        Self {
            version: status.version.to_owned(),
            ready: status.ready,
            started_at: DateTime(status.started_at),
            queued: Count(counts.of(NotificationStatus::Queued)),
            fetching: Count(counts.of(NotificationStatus::Fetching)),
            retrying: Count(counts.of(NotificationStatus::Retrying)),
            expired: Count(counts.of(NotificationStatus::Expired)),
            next_link_expiry: counts.next_link_expiry.map(DateTime),
            last_notification_at: counts.last_notification_at.map(DateTime),
            products: Count(counts.products),
            publications: Count(counts.publications),
            revisions: Count(counts.revisions),
            size: counts.size.into(),
            stored_size: counts.stored_size.into(),
            disk_free: status.disk_free.map(Into::into),
            index_lag: Count(status.index_lag.unsigned_abs()),
            feed: status.feed.into(),
            replicas: status.replicas.into_iter().map(ReplicaStatus::from).collect(),
            content: status.content.map(ContentStatus::from),
            waiting_polls: Count(status.waiting_polls as u64),
            unresolved: Count(status.unresolved.count),
            unresolved_since: status.unresolved.since.map(DateTime),
            damaged: Count(status.damaged.count),
            damaged_files: status.damaged.first.into_iter().map(DamagedFile::from).collect(),
            verification: status.verification.into(),
            dying_links: Count(status.expiring.count),
            lost: Count(status.lost.unacknowledged),
            lost_publications: Vec::new(),
            denied_keys: Count(status.denied_keys),
            fetching_waits: status.fetching_waits,
            sources: status.sources.into_iter().map(SourceStatus::from).collect(),
            warned: Count(status.warned.count),
            last_replay: status.last_replay.map(Replay::from),
            paused_hosts: Vec::new(),
            jobs: Vec::new(),
            keys: None,
        }
    }
}
