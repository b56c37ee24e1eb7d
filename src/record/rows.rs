//! Rows as the plain values that leave this module, and numbers as they are stored.
use std::time::Duration;

use jiff::Timestamp;

use super::RecordError;
use super::entity::{members, notifications, product_aliases, products};
use super::pack::packed;
use crate::domain::{
    ChangeKind, Granularity, LocalDateTime, NotificationId, NotificationStatus, Period, ProductId, PublicationId,
    PublicationStatus, RevisionId, timestamp,
};

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

packed! {
    /// One product for one reference period.
    pub struct Publication from "publications p LEFT JOIN products o ON o.id = p.product_id" {
        id: PublicationId = "p.id",
        product_id: ProductId = "p.product_id",
        /// The product's present name.
        name: String = "o.name",
        process: String = "p.process",
        macro_process: String = "p.macro_process",
        reference_date: String = "p.reference_date",
        period: Period = "p.period",
        granularity: Granularity = "p.granularity",
        /// Of the latest revision.
        status: PublicationStatus = "p.status",
        /// When the last notification was received.
        received_at: Timestamp = "p.received_at",
        latest_revision: Option<RevisionId> = "p.latest_revision_id",
        revision_count: i32 = "p.revision_count",
    }
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
    /// As sent, without the link.
    pub body: Vec<u8>,
    pub publication_id: Option<PublicationId>,
    pub revision_id: Option<RevisionId>,
    /// What was unusual about it, and how it was read nevertheless.
    pub warnings: Vec<String>,
}

/// An entry of the feed.
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

/// As it is stored: always without an offset.
pub(super) fn local(text: &str) -> Result<LocalDateTime, RecordError> {
    text.parse().map(LocalDateTime).map_err(|_| corrupt("the date", text))
}

fn opt_local(text: &Option<String>) -> Result<Option<LocalDateTime>, RecordError> {
    text.as_deref().map(local).transpose()
}

/// For a column of 64 bits.
pub(super) fn long(n: u64) -> Result<i64, RecordError> {
    i64::try_from(n).map_err(|_| RecordError::OutOfRange(n.to_string()))
}

/// For a column of 32 bits.
pub(super) fn int(n: usize) -> Result<i32, RecordError> {
    i32::try_from(n).map_err(|_| RecordError::OutOfRange(n.to_string()))
}

pub(super) fn millis_of(span: Duration) -> Result<i64, RecordError> {
    let ms = span.as_millis();
    i64::try_from(ms).map_err(|_| RecordError::OutOfRange(format!("{ms} ms")))
}

/// A count or size from the database.
pub(super) fn natural(n: i64) -> Result<u64, RecordError> {
    u64::try_from(n).map_err(|_| corrupt("a count or size is negative:", &n.to_string()))
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
            size: natural(row.size)?,
            compressed_size: row.compressed_size.map(natural).transpose()?,
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
            status: row.status,
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

/// A JSON list of texts; an absent one is empty.
pub(super) fn texts(list: Option<&str>) -> Result<Vec<String>, RecordError> {
    match list {
        None | Some("[]") => Ok(Vec::new()),
        Some(text) => serde_json::from_str(text).map_err(|_| corrupt("the warnings", text)),
    }
}

/// Texts as they are stored.
pub(super) fn list(texts: &[String]) -> String {
    serde_json::Value::from(texts).to_string()
}
