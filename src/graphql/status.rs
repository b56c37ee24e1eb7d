use async_graphql::SimpleObject;

use super::connection::int;
use super::retention::JobStatus;
use super::scalar::{DateTime, Long};
use crate::domain::NotificationStatus;
use crate::query::Status;

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
            jobs: Vec::new(),
        }
    }
}
