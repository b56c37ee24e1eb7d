//! The columns of each table, with the names of the GraphQL contract.
use jiff::Timestamp;

use crate::domain::LocalDateTime;
use crate::query::{PublicationRow, Queries, RevisionRow};
use crate::record::Notification;

/// What can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Publications,
    Revisions,
    Notifications,
}

impl Table {
    pub const ALL: &[(&str, Self)] =
        &[("publications", Self::Publications), ("revisions", Self::Revisions), ("notifications", Self::Notifications)];

    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Publications => PUBLICATIONS,
            Self::Revisions => REVISIONS,
            Self::Notifications => NOTIFICATIONS,
        }
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Int,
    Long,
    Float,
    Flag,
    /// An instant, in UTC.
    Instant,
    /// São Paulo wall clock.
    Wall,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether it may be empty.
    pub optional: bool,
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Text(String),
    Int(i32),
    Long(i64),
    Float(f64),
    Flag(bool),
    Instant(Timestamp),
    Wall(LocalDateTime),
}

const fn is(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: false }
}

const fn may_be(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: true }
}

const PUBLICATIONS: &[Column] = &[
    is("id", Kind::Text),
    is("productId", Kind::Text),
    is("name", Kind::Text),
    is("process", Kind::Text),
    is("macroProcess", Kind::Text),
    is("referenceDate", Kind::Text),
    is("periodStart", Kind::Wall),
    is("periodEnd", Kind::Wall),
    is("granularity", Kind::Text),
    is("status", Kind::Text),
    may_be("revisionId", Kind::Text),
    may_be("revisionNumber", Kind::Int),
    is("revisionCount", Kind::Int),
    may_be("fileName", Kind::Text),
    may_be("fileExtension", Kind::Text),
    may_be("contentType", Kind::Text),
    may_be("size", Kind::Long),
    may_be("storedSize", Kind::Long),
    may_be("sha256", Kind::Text),
    may_be("fileUrl", Kind::Text),
    is("receivedAt", Kind::Instant),
    may_be("archivedAt", Kind::Instant),
    may_be("score", Kind::Float),
];

const REVISIONS: &[Column] = &[
    is("id", Kind::Text),
    is("publicationId", Kind::Text),
    is("number", Kind::Int),
    is("name", Kind::Text),
    is("process", Kind::Text),
    is("referenceDate", Kind::Text),
    is("periodStart", Kind::Wall),
    is("periodEnd", Kind::Wall),
    is("fileName", Kind::Text),
    may_be("fileExtension", Kind::Text),
    may_be("contentType", Kind::Text),
    is("size", Kind::Long),
    is("storedSize", Kind::Long),
    is("sha256", Kind::Text),
    may_be("fileUrl", Kind::Text),
    is("announcedAt", Kind::Instant),
    is("receivedAt", Kind::Instant),
    is("archivedAt", Kind::Instant),
    may_be("supersededAt", Kind::Instant),
    may_be("purgedAt", Kind::Instant),
    is("held", Kind::Flag),
    may_be("holdReason", Kind::Text),
    is("warnings", Kind::Text),
];

const NOTIFICATIONS: &[Column] = &[
    is("id", Kind::Text),
    is("receivedAt", Kind::Instant),
    is("source", Kind::Text),
    is("status", Kind::Text),
    is("attempts", Kind::Int),
    may_be("nextAttemptAt", Kind::Instant),
    may_be("linkExpiresAt", Kind::Instant),
    may_be("error", Kind::Text),
    may_be("name", Kind::Text),
    may_be("process", Kind::Text),
    may_be("macroProcess", Kind::Text),
    may_be("referenceDate", Kind::Text),
    may_be("periodStart", Kind::Wall),
    may_be("periodEnd", Kind::Wall),
    may_be("publicationId", Kind::Text),
    may_be("revisionId", Kind::Text),
];

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i32> for Value {
    fn from(n: i32) -> Self {
        Self::Int(n)
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Self::Long(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Instant(at)
    }
}

impl From<LocalDateTime> for Value {
    fn from(at: LocalDateTime) -> Self {
        Self::Wall(at)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What a publication has in some columns.
pub(super) fn publication(row: &PublicationRow, columns: &[&Column], queries: &Queries) -> Vec<Value> {
    let (own, shown) = (&row.publication, row.shown.as_ref());
    let value = |column: &&Column| match column.name {
        "id" => own.id.to_string().into(),
        "productId" => own.product_id.to_string().into(),
        "name" => own.name.as_str().into(),
        "process" => own.process.as_str().into(),
        "macroProcess" => own.macro_process.as_str().into(),
        "referenceDate" => own.reference_date.as_str().into(),
        "periodStart" => own.period.start.into(),
        "periodEnd" => own.period.end.into(),
        "granularity" => own.granularity.as_str().into(),
        "status" => row.status().as_str().into(),
        "revisionId" => shown.map(|revision| revision.id.to_string()).into(),
        "revisionNumber" => shown.map(|revision| revision.number).into(),
        "revisionCount" => own.revision_count.into(),
        "fileName" => shown.map(|revision| revision.file_name.as_str()).into(),
        "fileExtension" => shown.and_then(|revision| revision.extension.as_deref()).into(),
        "contentType" => shown.and_then(|revision| revision.content_type.as_deref()).into(),
        "size" => shown.map(|revision| revision.file.size).into(),
        "storedSize" => shown.map(|revision| revision.file.stored_size).into(),
        "sha256" => shown.map(|revision| revision.file.digest.to_string()).into(),
        "fileUrl" => {
            shown.filter(|revision| revision.purged_at.is_none()).map(|revision| queries.file_url(revision.id)).into()
        }
        "receivedAt" => shown.map_or(own.received_at, |revision| revision.received_at).into(),
        "archivedAt" => shown.map(|revision| revision.archived_at).into(),
        "score" => row.score.map_or(Value::Null, |score| Value::Float(score.into())),
        _ => Value::Null,
    };
    columns.iter().map(value).collect()
}

/// What a revision has in some columns.
pub(super) fn revision(row: &RevisionRow, columns: &[&Column], queries: &Queries) -> Vec<Value> {
    let (own, of) = (&row.revision, &row.publication);
    let value = |column: &&Column| match column.name {
        "id" => own.id.to_string().into(),
        "publicationId" => of.id.to_string().into(),
        "number" => own.number.into(),
        "name" => of.name.as_str().into(),
        "process" => of.process.as_str().into(),
        "referenceDate" => of.reference_date.as_str().into(),
        "periodStart" => of.period.start.into(),
        "periodEnd" => of.period.end.into(),
        "fileName" => own.file_name.as_str().into(),
        "fileExtension" => own.extension.as_deref().into(),
        "contentType" => own.content_type.as_deref().into(),
        "size" => own.file.size.into(),
        "storedSize" => own.file.stored_size.into(),
        "sha256" => own.file.digest.to_string().into(),
        "fileUrl" => own.purged_at.is_none().then(|| queries.file_url(own.id)).into(),
        "announcedAt" => own.announced_at.into(),
        "receivedAt" => own.received_at.into(),
        "archivedAt" => own.archived_at.into(),
        "supersededAt" => own.superseded_at.into(),
        "purgedAt" => own.purged_at.into(),
        "held" => own.held.into(),
        "holdReason" => own.hold_reason.as_deref().into(),
        "warnings" => own.warnings.join("; ").into(),
        _ => Value::Null,
    };
    columns.iter().map(value).collect()
}

/// What a notification has in some columns.
pub(super) fn notification(row: &Notification, columns: &[&Column]) -> Vec<Value> {
    let value = |column: &&Column| match column.name {
        "id" => row.id.to_string().into(),
        "receivedAt" => row.received_at.into(),
        "source" => row.source.as_str().into(),
        "status" => row.status.as_str().into(),
        "attempts" => row.attempts.into(),
        "nextAttemptAt" => row.next_attempt_at.into(),
        "linkExpiresAt" => row.link_expires_at.into(),
        "error" => row.error.as_deref().into(),
        "name" => row.name.as_deref().into(),
        "process" => row.process.as_deref().into(),
        "macroProcess" => row.macro_process.as_deref().into(),
        "referenceDate" => row.reference_date.as_deref().into(),
        "periodStart" => row.period_start.into(),
        "periodEnd" => row.period_end.into(),
        "publicationId" => row.publication_id.map(|id| id.to_string()).into(),
        "revisionId" => row.revision_id.map(|id| id.to_string()).into(),
        _ => Value::Null,
    };
    columns.iter().map(value).collect()
}
