//! The columns of each kind of row.
use super::{Cell, Column, Kind, TableRow, nullable, required};
use crate::domain::Digest;
use crate::engine::record::{Notification, Revision};
use crate::query::{CoverageRow, FileMember, PublicationRow, RevisionRow, StatsRow};

fn hex<'a>(digest: Digest) -> Cell<'a> {
    digest.to_string().into()
}

/// A cell of a publication's revision.
fn of_revision<'a, T: Into<Cell<'a>>>(row: &'a PublicationRow, value: fn(&'a Revision) -> T) -> Cell<'a> {
    row.revision.as_ref().map(value).into()
}

impl TableRow for PublicationRow {
    const COLUMNS: &'static [Column<Self>] = &[
        required("id", Kind::Text, |row, _| Cell::Id(row.publication.id.0)),
        required("productId", Kind::Text, |row, _| Cell::Id(row.publication.product_id.0)),
        required("name", Kind::Text, |row, _| (&row.publication.name).into()),
        required("process", Kind::Text, |row, _| (&row.publication.process).into()),
        required("macroProcess", Kind::Text, |row, _| (&row.publication.macro_process).into()),
        required("referenceDate", Kind::Text, |row, _| (&row.publication.reference_date).into()),
        required("periodStart", Kind::Wall, |row, _| row.publication.period.start.into()),
        required("periodEnd", Kind::Wall, |row, _| row.publication.period.end.into()),
        required("granularity", Kind::Text, |row, _| row.publication.granularity.as_str().into()),
        required("status", Kind::Text, |row, _| row.status().as_str().into()),
        nullable("revisionId", Kind::Text, |row, _| of_revision(row, |revision| Cell::Id(revision.id.0))),
        nullable("revisionNumber", Kind::Int, |row, _| of_revision(row, |revision| revision.number)),
        required("revisionCount", Kind::Int, |row, _| row.publication.revision_count.into()),
        nullable("fileName", Kind::Text, |row, _| of_revision(row, |revision| &revision.file_name)),
        nullable("fileExtension", Kind::Text, |row, _| of_revision(row, |revision| revision.extension.as_ref())),
        nullable("contentType", Kind::Text, |row, _| of_revision(row, |revision| revision.content_type.as_ref())),
        nullable("size", Kind::Long, |row, _| of_revision(row, |revision| revision.file.size)),
        nullable("storedSize", Kind::Long, |row, _| of_revision(row, |revision| revision.file.stored_size)),
        nullable("sha256", Kind::Text, |row, _| of_revision(row, |revision| hex(revision.file.digest))),
        nullable("fileUrl", Kind::Text, |row, queries| {
            let present = row.revision.as_ref().filter(|revision| revision.purged_at.is_none());
            present.map(|revision| queries.file_url(revision.id)).into()
        }),
        required("receivedAt", Kind::Instant, |row, _| row.received_at().into()),
        nullable("archivedAt", Kind::Instant, |row, _| of_revision(row, |revision| revision.archived_at)),
        nullable("score", Kind::Float, |row, _| row.score.into()),
    ];
}

impl TableRow for RevisionRow {
    const COLUMNS: &'static [Column<Self>] = &[
        required("id", Kind::Text, |row, _| Cell::Id(row.revision.id.0)),
        required("publicationId", Kind::Text, |row, _| Cell::Id(row.revision.publication_id.0)),
        required("number", Kind::Int, |row, _| row.revision.number.into()),
        required("name", Kind::Text, |row, _| (&row.publication.name).into()),
        required("process", Kind::Text, |row, _| (&row.publication.process).into()),
        required("referenceDate", Kind::Text, |row, _| (&row.publication.reference_date).into()),
        required("periodStart", Kind::Wall, |row, _| row.publication.period.start.into()),
        required("periodEnd", Kind::Wall, |row, _| row.publication.period.end.into()),
        required("fileName", Kind::Text, |row, _| (&row.revision.file_name).into()),
        nullable("fileExtension", Kind::Text, |row, _| row.revision.extension.as_ref().into()),
        nullable("contentType", Kind::Text, |row, _| row.revision.content_type.as_ref().into()),
        required("size", Kind::Long, |row, _| row.revision.file.size.into()),
        required("storedSize", Kind::Long, |row, _| row.revision.file.stored_size.into()),
        required("sha256", Kind::Text, |row, _| hex(row.revision.file.digest)),
        nullable("fileUrl", Kind::Text, |row, queries| {
            row.revision.purged_at.is_none().then(|| queries.file_url(row.revision.id)).into()
        }),
        required("announcedAt", Kind::Instant, |row, _| row.revision.announced_at.into()),
        required("receivedAt", Kind::Instant, |row, _| row.revision.received_at.into()),
        required("archivedAt", Kind::Instant, |row, _| row.revision.archived_at.into()),
        nullable("supersededAt", Kind::Instant, |row, _| row.revision.superseded_at.into()),
        nullable("purgedAt", Kind::Instant, |row, _| row.revision.purged_at.into()),
        required("held", Kind::Flag, |row, _| row.revision.held.into()),
        nullable("holdReason", Kind::Text, |row, _| row.revision.hold_reason.as_ref().into()),
        required("warnings", Kind::Texts, |row, _| Cell::Texts(&row.revision.warnings)),
    ];
}

impl TableRow for FileMember {
    const COLUMNS: &'static [Column<Self>] = &[
        required("revisionId", Kind::Text, |row, _| Cell::Id(row.revision.id.0)),
        required("publicationId", Kind::Text, |row, _| Cell::Id(row.publication.id.0)),
        required("name", Kind::Text, |row, _| (&row.publication.name).into()),
        required("process", Kind::Text, |row, _| (&row.publication.process).into()),
        required("referenceDate", Kind::Text, |row, _| (&row.publication.reference_date).into()),
        required("periodStart", Kind::Wall, |row, _| row.publication.period.start.into()),
        required("periodEnd", Kind::Wall, |row, _| row.publication.period.end.into()),
        required("revisionNumber", Kind::Int, |row, _| row.revision.number.into()),
        required("archivedAt", Kind::Instant, |row, _| row.revision.archived_at.into()),
        required("fileName", Kind::Text, |row, _| (&row.revision.file_name).into()),
        required("sha256", Kind::Text, |row, _| hex(row.revision.file.digest)),
        required("path", Kind::Text, |row, _| (&row.member.path).into()),
        required("size", Kind::Long, |row, _| row.member.size.into()),
        nullable("compressedSize", Kind::Long, |row, _| row.member.compressed_size.into()),
        nullable("modifiedAt", Kind::Wall, |row, _| row.member.modified_at.into()),
        nullable("url", Kind::Text, |row, queries| {
            row.revision.purged_at.is_none().then(|| queries.member_url(row.revision.id, &row.member.path)).into()
        }),
    ];
}

impl TableRow for Notification {
    const COLUMNS: &'static [Column<Self>] = &[
        required("id", Kind::Text, |row, _| Cell::Id(row.id.0)),
        required("receivedAt", Kind::Instant, |row, _| row.received_at.into()),
        required("source", Kind::Text, |row, _| (&row.source).into()),
        required("status", Kind::Text, |row, _| row.status.as_str().into()),
        required("attempts", Kind::Int, |row, _| row.attempts.into()),
        nullable("nextAttemptAt", Kind::Instant, |row, _| row.next_attempt_at.into()),
        nullable("linkExpiresAt", Kind::Instant, |row, _| row.link_expires_at.into()),
        nullable("error", Kind::Text, |row, _| row.error.as_ref().into()),
        nullable("name", Kind::Text, |row, _| row.name.as_ref().into()),
        nullable("process", Kind::Text, |row, _| row.process.as_ref().into()),
        nullable("macroProcess", Kind::Text, |row, _| row.macro_process.as_ref().into()),
        nullable("referenceDate", Kind::Text, |row, _| row.reference_date.as_ref().into()),
        nullable("periodStart", Kind::Wall, |row, _| row.period_start.into()),
        nullable("periodEnd", Kind::Wall, |row, _| row.period_end.into()),
        nullable("publicationId", Kind::Text, |row, _| row.publication_id.map(|id| Cell::Id(id.0)).into()),
        nullable("revisionId", Kind::Text, |row, _| row.revision_id.map(|id| Cell::Id(id.0)).into()),
        required("warnings", Kind::Texts, |row, _| Cell::Texts(&row.warnings)),
    ];
}

impl TableRow for CoverageRow {
    const COLUMNS: &'static [Column<Self>] = &[
        required("productId", Kind::Text, |row, _| Cell::Id(row.product.id.0)),
        required("name", Kind::Text, |row, _| (&row.product.name).into()),
        required("process", Kind::Text, |row, _| (&row.product.process).into()),
        required("macroProcess", Kind::Text, |row, _| (&row.product.macro_process).into()),
        required("granularity", Kind::Text, |row, _| row.granularity.as_str().into()),
        required("periodStart", Kind::Wall, |row, _| row.judged.period.start.into()),
        required("periodEnd", Kind::Wall, |row, _| row.judged.period.end.into()),
        required("state", Kind::Text, |row, _| row.judged.state.as_str().into()),
        nullable("dueAt", Kind::Instant, |row, _| row.judged.due_at.into()),
        nullable("arrivedLateBySeconds", Kind::Long, |row, _| {
            row.judged.arrived_late_by.map(|late_by| late_by.as_secs().unsigned_abs()).into()
        }),
        nullable("publicationId", Kind::Text, |row, _| row.judged.publication.map(|id| Cell::Id(id.0)).into()),
    ];
}

/// A count; one that no Int can hold is refused when the cell is written.
fn count<'a>(n: u64) -> Cell<'a> {
    Cell::Int(n.try_into().unwrap_or(i64::MAX))
}

impl TableRow for StatsRow {
    const COLUMNS: &'static [Column<Self>] = &[
        nullable("product", Kind::Text, |row, _| row.product.as_ref().into()),
        nullable("process", Kind::Text, |row, _| row.process.as_ref().into()),
        nullable("macroProcess", Kind::Text, |row, _| row.macro_process.as_ref().into()),
        nullable("status", Kind::Text, |row, _| row.status.as_ref().into()),
        nullable("extension", Kind::Text, |row, _| row.extension.as_ref().into()),
        nullable("granularity", Kind::Text, |row, _| row.granularity.as_ref().into()),
        nullable("bucket", Kind::Text, |row, _| row.bucket.as_ref().into()),
        required("publications", Kind::Int, |row, _| count(row.sums.publications)),
        required("revisions", Kind::Int, |row, _| count(row.sums.revisions)),
        required("size", Kind::Long, |row, _| row.sums.size.into()),
        required("storedSize", Kind::Long, |row, _| row.sums.stored_size.into()),
    ];
}
