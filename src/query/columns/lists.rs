//! The columns of each kind of row.
use super::{Cell, Column, Flat, Kind, is, may_be};
use crate::domain::Digest;
use crate::engine::record::{Notification, Revision};
use crate::query::{PublicationRow, RevisionRow, StatsRow};

fn hex<'a>(digest: Digest) -> Cell<'a> {
    digest.to_string().into()
}

/// A cell of the revision that a publication shows.
fn shown<'a, T: Into<Cell<'a>>>(row: &'a PublicationRow, of: fn(&'a Revision) -> T) -> Cell<'a> {
    row.shown.as_ref().map(of).into()
}

impl Flat for PublicationRow {
    const COLUMNS: &'static [Column<Self>] = &[
        is("id", Kind::Text, |row, _| Cell::Id(row.publication.id.0)),
        is("productId", Kind::Text, |row, _| Cell::Id(row.publication.product_id.0)),
        is("name", Kind::Text, |row, _| (&row.publication.name).into()),
        is("process", Kind::Text, |row, _| (&row.publication.process).into()),
        is("macroProcess", Kind::Text, |row, _| (&row.publication.macro_process).into()),
        is("referenceDate", Kind::Text, |row, _| (&row.publication.reference_date).into()),
        is("periodStart", Kind::Wall, |row, _| row.publication.period.start.into()),
        is("periodEnd", Kind::Wall, |row, _| row.publication.period.end.into()),
        is("granularity", Kind::Text, |row, _| row.publication.granularity.as_str().into()),
        is("status", Kind::Text, |row, _| row.status().as_str().into()),
        may_be("revisionId", Kind::Text, |row, _| shown(row, |revision| Cell::Id(revision.id.0))),
        may_be("revisionNumber", Kind::Int, |row, _| shown(row, |revision| revision.number)),
        is("revisionCount", Kind::Int, |row, _| row.publication.revision_count.into()),
        may_be("fileName", Kind::Text, |row, _| shown(row, |revision| &revision.file_name)),
        may_be("fileExtension", Kind::Text, |row, _| shown(row, |revision| revision.extension.as_ref())),
        may_be("contentType", Kind::Text, |row, _| shown(row, |revision| revision.content_type.as_ref())),
        may_be("size", Kind::Long, |row, _| shown(row, |revision| revision.file.size)),
        may_be("storedSize", Kind::Long, |row, _| shown(row, |revision| revision.file.stored_size)),
        may_be("sha256", Kind::Text, |row, _| shown(row, |revision| hex(revision.file.digest))),
        may_be("fileUrl", Kind::Text, |row, queries| {
            let present = row.shown.as_ref().filter(|revision| revision.purged_at.is_none());
            present.map(|revision| queries.file_url(revision.id)).into()
        }),
        is("receivedAt", Kind::Instant, |row, _| row.received_at().into()),
        may_be("archivedAt", Kind::Instant, |row, _| shown(row, |revision| revision.archived_at)),
        may_be("score", Kind::Float, |row, _| row.score.into()),
    ];
}

impl Flat for RevisionRow {
    const COLUMNS: &'static [Column<Self>] = &[
        is("id", Kind::Text, |row, _| Cell::Id(row.revision.id.0)),
        is("publicationId", Kind::Text, |row, _| Cell::Id(row.revision.publication_id.0)),
        is("number", Kind::Int, |row, _| row.revision.number.into()),
        is("name", Kind::Text, |row, _| (&row.publication.name).into()),
        is("process", Kind::Text, |row, _| (&row.publication.process).into()),
        is("referenceDate", Kind::Text, |row, _| (&row.publication.reference_date).into()),
        is("periodStart", Kind::Wall, |row, _| row.publication.period.start.into()),
        is("periodEnd", Kind::Wall, |row, _| row.publication.period.end.into()),
        is("fileName", Kind::Text, |row, _| (&row.revision.file_name).into()),
        may_be("fileExtension", Kind::Text, |row, _| row.revision.extension.as_ref().into()),
        may_be("contentType", Kind::Text, |row, _| row.revision.content_type.as_ref().into()),
        is("size", Kind::Long, |row, _| row.revision.file.size.into()),
        is("storedSize", Kind::Long, |row, _| row.revision.file.stored_size.into()),
        is("sha256", Kind::Text, |row, _| hex(row.revision.file.digest)),
        may_be("fileUrl", Kind::Text, |row, queries| {
            row.revision.purged_at.is_none().then(|| queries.file_url(row.revision.id)).into()
        }),
        is("announcedAt", Kind::Instant, |row, _| row.revision.announced_at.into()),
        is("receivedAt", Kind::Instant, |row, _| row.revision.received_at.into()),
        is("archivedAt", Kind::Instant, |row, _| row.revision.archived_at.into()),
        may_be("supersededAt", Kind::Instant, |row, _| row.revision.superseded_at.into()),
        may_be("purgedAt", Kind::Instant, |row, _| row.revision.purged_at.into()),
        is("held", Kind::Flag, |row, _| row.revision.held.into()),
        may_be("holdReason", Kind::Text, |row, _| row.revision.hold_reason.as_ref().into()),
        is("warnings", Kind::Texts, |row, _| Cell::Texts(&row.revision.warnings)),
    ];
}

impl Flat for Notification {
    const COLUMNS: &'static [Column<Self>] = &[
        is("id", Kind::Text, |row, _| Cell::Id(row.id.0)),
        is("receivedAt", Kind::Instant, |row, _| row.received_at.into()),
        is("source", Kind::Text, |row, _| (&row.source).into()),
        is("status", Kind::Text, |row, _| row.status.as_str().into()),
        is("attempts", Kind::Int, |row, _| row.attempts.into()),
        may_be("nextAttemptAt", Kind::Instant, |row, _| row.next_attempt_at.into()),
        may_be("linkExpiresAt", Kind::Instant, |row, _| row.link_expires_at.into()),
        may_be("error", Kind::Text, |row, _| row.error.as_ref().into()),
        may_be("name", Kind::Text, |row, _| row.name.as_ref().into()),
        may_be("process", Kind::Text, |row, _| row.process.as_ref().into()),
        may_be("macroProcess", Kind::Text, |row, _| row.macro_process.as_ref().into()),
        may_be("referenceDate", Kind::Text, |row, _| row.reference_date.as_ref().into()),
        may_be("periodStart", Kind::Wall, |row, _| row.period_start.into()),
        may_be("periodEnd", Kind::Wall, |row, _| row.period_end.into()),
        may_be("publicationId", Kind::Text, |row, _| row.publication_id.map(|id| Cell::Id(id.0)).into()),
        may_be("revisionId", Kind::Text, |row, _| row.revision_id.map(|id| Cell::Id(id.0)).into()),
        is("warnings", Kind::Texts, |row, _| Cell::Texts(&row.warnings)),
    ];
}

/// A count; one that no Int can hold is refused when the cell is written.
fn count<'a>(n: u64) -> Cell<'a> {
    Cell::Int(n.try_into().unwrap_or(i64::MAX))
}

impl Flat for StatsRow {
    const COLUMNS: &'static [Column<Self>] = &[
        may_be("product", Kind::Text, |row, _| row.product.as_ref().into()),
        may_be("process", Kind::Text, |row, _| row.process.as_ref().into()),
        may_be("macroProcess", Kind::Text, |row, _| row.macro_process.as_ref().into()),
        may_be("status", Kind::Text, |row, _| row.status.as_ref().into()),
        may_be("extension", Kind::Text, |row, _| row.extension.as_ref().into()),
        may_be("granularity", Kind::Text, |row, _| row.granularity.as_ref().into()),
        may_be("bucket", Kind::Text, |row, _| row.bucket.as_ref().into()),
        is("publications", Kind::Int, |row, _| count(row.sums.publications)),
        is("revisions", Kind::Int, |row, _| count(row.sums.revisions)),
        is("size", Kind::Long, |row, _| row.sums.size.into()),
        is("storedSize", Kind::Long, |row, _| row.sums.stored_size.into()),
    ];
}
