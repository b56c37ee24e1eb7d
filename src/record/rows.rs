//! What goes in and comes out: rows as plain values.
use jiff::Timestamp;

use super::RecordError;
use super::entity::{members, notifications, product_aliases, products};
use crate::domain::{
    ChangeKind, Digest, Granularity, LocalDateTime, NotificationId, NotificationStatus, Period, ProductId,
    PublicationId, PublicationStatus, RevisionId, timestamp,
};

/// How the archive keeps a file's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    pub digest: Digest,
    pub size: u64,
    pub stored_size: u64,
    /// The store's word for it, given back to the store when the file is read.
    pub encoding: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    pub id: ProductId,
    pub list_path: Option<String>,
    pub name: String,
    pub process: String,
    pub macro_process: String,
    pub publication_count: i32,
    pub revision_count: i32,
    pub size: i64,
    pub stored_size: i64,
    pub first_period_start: Option<LocalDateTime>,
    pub last_period_end: Option<LocalDateTime>,
    pub aliases: Vec<Alias>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    pub name: String,
    pub first_seen_at: Timestamp,
    pub last_seen_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    pub id: PublicationId,
    pub product_id: ProductId,
    /// The product's current one.
    pub name: String,
    pub process: String,
    pub macro_process: String,
    pub reference_date: String,
    pub period: Period,
    pub granularity: Granularity,
    /// Of the latest revision.
    pub status: PublicationStatus,
    /// Of the last notification.
    pub received_at: Timestamp,
    pub latest_revision: Option<RevisionId>,
    pub revision_count: i32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    pub id: RevisionId,
    pub publication_id: PublicationId,
    pub number: i32,
    pub file: StoredFile,
    pub file_name: String,
    pub extension: Option<String>,
    pub content_type: Option<String>,
    pub announced_at: Timestamp,
    pub received_at: Timestamp,
    pub archived_at: Timestamp,
    pub superseded_at: Option<Timestamp>,
    pub purged_at: Option<Timestamp>,
    pub held: bool,
    pub hold_reason: Option<String>,
    pub held_by: Option<String>,
    pub held_at: Option<Timestamp>,
    /// What removed it.
    pub purge_rule: Option<String>,
    pub warnings: Vec<String>,
}

/// A file inside a zip; of a nested zip `outer.zip/inner.dat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub path: String,
    pub size: u64,
    pub compressed_size: Option<u64>,
    pub modified_at: Option<LocalDateTime>,
}

#[derive(Clone, Debug)]
pub struct Notification {
    pub id: NotificationId,
    pub received_at: Timestamp,
    pub source: String,
    pub status: NotificationStatus,
    pub attempts: i32,
    pub next_attempt_at: Option<Timestamp>,
    pub link_expires_at: Option<Timestamp>,
    pub error: Option<String>,
    pub name: Option<String>,
    pub process: Option<String>,
    pub macro_process: Option<String>,
    pub reference_date: Option<String>,
    pub period_start: Option<LocalDateTime>,
    pub period_end: Option<LocalDateTime>,
    /// As sent, the link cut out.
    pub body: Vec<u8>,
    pub publication_id: Option<PublicationId>,
    pub revision_id: Option<RevisionId>,
    /// What was odd about it and how it was read all the same.
    pub warnings: Vec<String>,
}

/// A line of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub number: i64,
    pub at: Timestamp,
    pub kind: ChangeKind,
    pub publication_id: PublicationId,
    pub revision_id: Option<RevisionId>,
}

pub(super) fn corrupt(what: &str, value: &str) -> RecordError {
    RecordError::Corrupt(format!("{what} `{value}`"))
}

/// As it is kept: always without an offset.
pub(super) fn local(text: &str) -> Result<LocalDateTime, RecordError> {
    text.parse().map(LocalDateTime).map_err(|_| corrupt("the date", text))
}

fn opt_local(text: &Option<String>) -> Result<Option<LocalDateTime>, RecordError> {
    text.as_deref().map(local).transpose()
}

pub(super) fn digest(bytes: &[u8]) -> Result<Digest, RecordError> {
    Digest::from_slice(bytes).ok_or_else(|| corrupt("the digest", &format!("{} bytes", bytes.len())))
}

pub(super) fn millis_of(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Sizes are below 2^63: the file system and the size cap see to it.
pub(super) fn long(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn natural(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

impl Product {
    pub(super) fn read(row: products::Model, aliases: Vec<Alias>) -> Result<Self, RecordError> {
        Ok(Self {
            id: ProductId(row.id),
            list_path: row.list_path,
            name: row.name,
            process: row.process,
            macro_process: row.macro_process,
            publication_count: row.publication_count,
            revision_count: row.revision_count,
            size: row.size,
            stored_size: row.stored_size,
            first_period_start: opt_local(&row.first_period_start)?,
            last_period_end: opt_local(&row.last_period_end)?,
            aliases,
        })
    }
}

impl From<product_aliases::Model> for Alias {
    fn from(row: product_aliases::Model) -> Self {
        Self { name: row.name, first_seen_at: timestamp(row.first_seen_at), last_seen_at: timestamp(row.last_seen_at) }
    }
}

impl Member {
    pub(super) fn read(row: members::Model) -> Result<Self, RecordError> {
        Ok(Self {
            path: row.path,
            size: natural(row.size),
            compressed_size: row.compressed_size.map(natural),
            modified_at: opt_local(&row.modified_at)?,
        })
    }
}

impl Notification {
    pub(super) fn read(row: notifications::Model) -> Result<Self, RecordError> {
        Ok(Self {
            id: NotificationId(row.id),
            received_at: timestamp(row.received_at),
            source: row.source,
            status: row.status.parse().map_err(RecordError::Corrupt)?,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.map(timestamp),
            link_expires_at: row.link_expires_at.map(timestamp),
            error: row.error,
            name: row.name,
            process: row.process,
            macro_process: row.macro_process,
            reference_date: row.reference_date,
            period_start: opt_local(&row.period_start)?,
            period_end: opt_local(&row.period_end)?,
            body: row.body,
            publication_id: row.publication_id.map(PublicationId),
            revision_id: row.revision_id.map(RevisionId),
            warnings: texts(row.warnings.as_deref())?,
        })
    }
}

/// A JSON list of texts; nothing is none.
pub(super) fn texts(list: Option<&str>) -> Result<Vec<String>, RecordError> {
    match list {
        None | Some("[]") => Ok(Vec::new()),
        Some(text) => serde_json::from_str(text).map_err(|_| corrupt("the warnings", text)),
    }
}
