//! Verification: its runs and cycles, and what is broken.
use async_graphql::{Enum, ID, SimpleObject};

use super::rows::resolved_rows;
use crate::contract::{Count, DateTime, Long};
use crate::domain::Breakage;
use crate::query;

resolved_rows!(VerifyRun, BrokenItem);

/// What is wrong with a part of the archive.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum BrokenKind {
    /// The object of a stored file does not exist.
    Missing,
    /// The object cannot be read.
    Unreadable,
    /// The object does not decode to the bytes that were archived.
    Wrong,
    /// There is something else in the place of the object, such as a folder.
    NotAFile,
    /// The object has other bytes than were stored, and still decodes to the bytes that were archived.
    Altered,
    /// An object that no row refers to.
    Orphan,
    /// A row refers to another row that does not exist, or nothing refers to the row of a stored file.
    Dangling,
    /// A row that the search index does not have.
    NotIndexed,
    /// An entry of the search index without a row.
    NotRecorded,
}

impl From<Breakage> for BrokenKind {
    fn from(kind: Breakage) -> Self {
        match kind {
            Breakage::Missing => Self::Missing,
            Breakage::Unreadable => Self::Unreadable,
            Breakage::Wrong => Self::Wrong,
            Breakage::NotAFile => Self::NotAFile,
            Breakage::Altered => Self::Altered,
            Breakage::Orphan => Self::Orphan,
            Breakage::Dangling => Self::Dangling,
            Breakage::NotIndexed => Self::NotIndexed,
            Breakage::NotRecorded => Self::NotRecorded,
        }
    }
}

/// One run of verification.
#[derive(SimpleObject, Clone)]
pub struct VerifyRun {
    id: ID,
    /// Whether the schedule started it.
    scheduled: bool,
    started_at: DateTime,
    /// When its progress was saved last.
    updated_at: DateTime,
    /// Null while it runs, and if it was interrupted: the next run continues it.
    ended_at: Option<DateTime>,
    /// The part of the archive that it verifies, from 0 to 1.
    share: f64,
    /// Files verified so far.
    files: Count,
    /// Bytes verified so far, as published.
    bytes: Long,
    /// What was broken in its share when it ended.
    broken: Option<Count>,
}

impl From<query::VerifyRun> for VerifyRun {
    fn from(run: query::VerifyRun) -> Self {
        Self {
            share: run.share.part(),
            id: run.id.into(),
            scheduled: run.scheduled,
            started_at: DateTime(run.started_at),
            updated_at: DateTime(run.updated_at),
            ended_at: run.ended_at.map(DateTime),
            files: Count(run.files),
            bytes: run.bytes.into(),
            broken: run.broken.map(Count),
        }
    }
}

/// The state of verification.
#[derive(SimpleObject)]
pub struct Verification {
    /// The last run, complete or not.
    last_run: Option<VerifyRun>,
    /// When the cycle of scheduled runs in progress began.
    cycle_started_at: Option<DateTime>,
    /// How much of the archive this cycle has verified, from 0 to 1.
    cycle_progress: Option<f64>,
    /// When the whole archive had been verified last, in one run or in many.
    last_cycle_ended_at: Option<DateTime>,
    /// Number of broken items, as far as is known: damaged files and what else was found. `brokenItems` lists them.
    broken: Count,
    /// Bytes read by all runs, as published.
    bytes_read: Long,
}

impl From<query::Verification> for Verification {
    fn from(state: query::Verification) -> Self {
        Self {
            last_run: state.last_run.map(VerifyRun::from),
            cycle_progress: state.cycle.as_ref().map(query::VerifyCycle::progress),
            cycle_started_at: state.cycle.map(|cycle| DateTime(cycle.started_at)),
            last_cycle_ended_at: state.last_cycle.and_then(|cycle| cycle.ended_at).map(DateTime),
            broken: Count(state.broken),
            bytes_read: state.bytes_read.into(),
        }
    }
}

/// Something broken: a damaged file, or something else that verification found.
#[derive(SimpleObject, Clone)]
pub struct BrokenItem {
    id: ID,
    kind: BrokenKind,
    /// The file, if it is about one.
    sha256: Option<String>,
    publication_id: Option<ID>,
    revision_id: Option<ID>,
    /// When it was found.
    since: DateTime,
    detail: String,
    /// What to do about it.
    next_step: String,
    /// The revisions that need it, at most 100.
    revisions: Vec<BrokenItemRevision>,
    /// Number of revisions that need it.
    revision_count: Count,
}

/// A revision that needs something broken.
#[derive(SimpleObject, Clone)]
pub struct BrokenItemRevision {
    id: ID,
    publication_id: ID,
    /// The product's name.
    name: Option<String>,
    reference_date: Option<String>,
    number: i32,
    file_name: String,
}

impl From<query::BrokenRow> for BrokenItem {
    fn from(row: query::BrokenRow) -> Self {
        let revision = |using: query::Use| BrokenItemRevision {
            id: using.revision.0.into(),
            publication_id: using.publication.0.into(),
            name: using.product,
            reference_date: using.reference_date,
            number: using.number,
            file_name: using.file_name,
        };
        Self {
            id: row.item.key.into(),
            kind: row.item.kind.into(),
            sha256: row.item.digest.map(|digest| digest.to_string()),
            publication_id: row.item.publication.map(|id| id.0.into()),
            revision_id: row.item.revision.map(|id| id.0.into()),
            since: DateTime(row.item.since),
            detail: row.detail,
            next_step: row.next_step,
            revisions: row.uses.into_iter().map(revision).collect(),
            revision_count: Count(row.uses_total),
        }
    }
}
