//! Which rows a filtered export has: those of the publications that a search finds.
use std::collections::HashSet;

use serde_json::Value;
use uuid::Uuid;

use super::manifest::{digest, id, is_null};
use crate::domain::{Digest, millis};
use crate::engine::record::{Columns, Cursor, RowKind, Snapshot};

/// The rows of some publications.
pub(super) struct Selection {
    publications: HashSet<Uuid>,
    products: HashSet<Uuid>,
    /// Only revisions that were archived by this instant, in milliseconds.
    until: Option<i64>,
    revisions: HashSet<Uuid>,
    digests: HashSet<Digest>,
}

impl Selection {
    pub async fn of(
        publications: HashSet<Uuid>,
        as_of: Option<jiff::Timestamp>,
        snapshot: &Snapshot,
    ) -> anyhow::Result<Self> {
        let mut products = HashSet::new();
        let mut cursor = Cursor::default();
        loop {
            let rows = snapshot.next(RowKind::Publication, &mut cursor).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                if publications.contains(&id(row, "id")?) {
                    products.insert(id(row, "product_id")?);
                }
            }
        }
        let until = as_of.map(millis);
        Ok(Self { publications, products, until, revisions: HashSet::new(), digests: HashSet::new() })
    }

    /// Whether a row is part of the export, and what it has there. Kinds must come in the order of an export.
    pub fn take(&mut self, kind: RowKind, row: &mut Columns) -> anyhow::Result<bool> {
        Ok(match kind {
            RowKind::Product => self.products.contains(&id(row, "id")?),
            RowKind::Alias => self.products.contains(&id(row, "product_id")?),
            RowKind::Publication => self.publications.contains(&id(row, "id")?),
            RowKind::Revision => self.take_revision(row)?,
            RowKind::File | RowKind::Member => self.digests.contains(&digest(row)?),
            RowKind::Notification => self.has_notification(row)?,
            RowKind::Change => {
                self.publications.contains(&id(row, "publication_id")?)
                    && self.is_in_time(row, "at")
                    && (is_null(row, "revision_id") || self.revisions.contains(&id(row, "revision_id")?))
            }
            // Revisions refer to them, and removals to these.
            RowKind::RetentionRun => true,
            RowKind::ProductRemoval => self.products.contains(&id(row, "product_id")?),
            RowKind::Source | RowKind::SourceHour | RowKind::Replay | RowKind::Validator | RowKind::JobRun => false,
        })
    }

    fn take_revision(&mut self, row: &mut Columns) -> anyhow::Result<bool> {
        if !self.publications.contains(&id(row, "publication_id")?) || !self.is_in_time(row, "archived_at") {
            return Ok(false);
        }
        if !self.is_in_time(row, "superseded_at") {
            row.insert("superseded_at".to_owned(), Value::Null);
        }
        self.revisions.insert(id(row, "id")?);
        self.digests.insert(digest(row)?);
        Ok(true)
    }

    /// Those that a revision refers to are in it whenever they came.
    fn has_notification(&self, row: &Columns) -> anyhow::Result<bool> {
        if is_null(row, "publication_id") || !self.publications.contains(&id(row, "publication_id")?) {
            return Ok(false);
        }
        if is_null(row, "revision_id") {
            return Ok(self.is_in_time(row, "received_at"));
        }
        Ok(self.revisions.contains(&id(row, "revision_id")?))
    }

    fn is_in_time(&self, row: &Columns, name: &str) -> bool {
        let at = row.get(name).and_then(Value::as_i64);
        at.zip(self.until).is_none_or(|(at, until)| at <= until)
    }
}
