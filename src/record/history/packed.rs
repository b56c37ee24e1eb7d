//! Publications and revisions as they are shown. Lists and exports read thousands of them, and this is where their time
//! goes: with SQLite each row is handed from thread to thread and each of its values copied. So the database packs the rows
//! that are asked for into one text, an array of arrays, which takes less than half the time.
use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, Statement};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::History;
use crate::domain::{Digest, Period, ProductId, PublicationId, RevisionId, timestamp};
use crate::engine::record::entity::revisions;
use crate::engine::record::rows::{corrupt, local, natural, texts};
use crate::engine::record::{Publication, RecordError, Revision, StoredFile};
use revisions::Column as R;

impl History {
    pub async fn publications_by_id(
        &self,
        ids: &[PublicationId],
    ) -> Result<HashMap<PublicationId, Publication>, RecordError> {
        let found = self.publications_whose("p.id", ids.iter().map(|id| id.0)).await?;
        Ok(found.into_iter().map(|row| (row.id, row)).collect())
    }

    /// All publications of a product, each with the time at which its first file came, or it was heard of.
    pub async fn publications_of(&self, product: ProductId) -> Result<Vec<(Publication, Timestamp)>, RecordError> {
        let rows = self.publications_whose("p.product_id", [product.0].into_iter()).await?;
        let mut first: HashMap<Uuid, i64> = HashMap::with_capacity(rows.len());
        for some in rows.chunks(1000) {
            let found: Vec<(Uuid, i64)> = revisions::Entity::find()
                .select_only()
                .column(R::PublicationId)
                .column_as(R::ArchivedAt.min(), "first")
                .filter(R::PublicationId.is_in(some.iter().map(|row| row.id.0)))
                .group_by(R::PublicationId)
                .into_tuple()
                .all(self.db.reader())
                .await?;
            first.extend(found);
        }
        let came = |row: Publication| {
            let at = first.get(&row.id.0).map_or(row.received_at, |at| timestamp(*at));
            (row, at)
        };
        Ok(rows.into_iter().map(came).collect())
    }

    pub async fn revisions_by_id(&self, ids: &[RevisionId]) -> Result<HashMap<RevisionId, Revision>, RecordError> {
        let found = self.revisions_whose("r.id", ids.iter().map(|id| id.0)).await?;
        Ok(found.into_iter().map(|row| (row.id, row)).collect())
    }

    /// All revisions of some publications, by number.
    pub async fn revisions_of(
        &self,
        ids: &[PublicationId],
    ) -> Result<HashMap<PublicationId, Vec<Revision>>, RecordError> {
        let mut rows = self.revisions_whose("r.publication_id", ids.iter().map(|id| id.0)).await?;
        rows.sort_by_key(|row| row.number);
        let mut found: HashMap<_, Vec<_>> = HashMap::with_capacity(ids.len());
        for row in rows {
            found.entry(row.publication_id).or_default().push(row);
        }
        Ok(found)
    }

    async fn publications_whose(
        &self,
        column: &str,
        is: impl Iterator<Item = Uuid>,
    ) -> Result<Vec<Publication>, RecordError> {
        let columns = [
            "{p.id}",
            "{p.product_id}",
            "o.name",
            "p.process",
            "p.macro_process",
            "p.reference_date",
            "p.period_start",
            "p.period_end",
            "p.granularity",
            "p.status",
            "p.received_at",
            "{p.latest_revision_id}",
            "p.revision_count",
        ];
        let from = "publications p LEFT JOIN products o ON o.id = p.product_id";
        let lines: Vec<PublicationLine> = self.packed(&columns, from, column, is).await?;
        lines.into_iter().map(TryInto::try_into).collect()
    }

    async fn revisions_whose(
        &self,
        column: &str,
        is: impl Iterator<Item = Uuid>,
    ) -> Result<Vec<Revision>, RecordError> {
        let columns = [
            "{r.id}",
            "{r.publication_id}",
            "r.number",
            "[r.digest]",
            "f.size",
            "f.stored_size",
            "f.encoding",
            "r.file_name",
            "r.extension",
            "r.content_type",
            "r.announced_at",
            "r.received_at",
            "r.archived_at",
            "r.superseded_at",
            "r.purged_at",
            "CASE WHEN r.held THEN 1 ELSE 0 END",
            "r.hold_reason",
            "r.held_by",
            "r.held_at",
            "r.purge_rule",
            "r.warnings",
        ];
        let from = "revisions r LEFT JOIN files f ON f.digest = r.digest";
        let lines: Vec<RevisionLine> = self.packed(&columns, from, column, is).await?;
        lines.into_iter().map(TryInto::try_into).collect()
    }

    /// The rows of which a column has one of some values. `{}` is about an id, `[]` about bytes: JSON has neither.
    async fn packed<Line: DeserializeOwned>(
        &self,
        columns: &[&str],
        from: &str,
        column: &str,
        is: impl Iterator<Item = Uuid>,
    ) -> Result<Vec<Line>, RecordError> {
        let values: Vec<sea_orm::Value> = is.map(Into::into).collect();
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let backend = self.db.reader().get_database_backend();
        let columns = columns.join(",");
        let numbers = 1..=values.len();
        let (select, places) = match backend {
            DbBackend::Sqlite => {
                let columns = columns.replace(['{', '['], "hex(").replace(['}', ']'], ")");
                // SQLite looks through all names of parameters for each that has one.
                (
                    format!("json_group_array(json_array({columns}))"),
                    numbers.map(|_| "?".to_owned()).collect::<Vec<_>>(),
                )
            }
            _ => {
                let columns = columns.replace('{', "CAST(").replace('}', " AS text)");
                let columns = columns.replace('[', "encode(").replace(']', ", 'hex')");
                let select = format!("CAST(json_agg(json_build_array({columns})) AS text)");
                (select, numbers.map(|n| format!("${n}")).collect())
            }
        };
        let sql = format!("SELECT {select} FROM {from} WHERE {column} IN ({})", places.join(","));
        let row = self.db.reader().query_one_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
        let text: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        let Some(text) = text else { return Ok(Vec::new()) };
        serde_json::from_str(&text).map_err(|e| RecordError::Corrupt(format!("rows of {from} cannot be read: {e}")))
    }
}

/// In the order of the columns.
#[derive(Deserialize)]
struct PublicationLine {
    id: Uuid,
    product_id: Uuid,
    name: Option<String>,
    process: String,
    macro_process: String,
    reference_date: String,
    period_start: String,
    period_end: String,
    granularity: String,
    status: String,
    received_at: i64,
    latest_revision_id: Id,
    revision_count: i32,
}

/// An id that may be absent: the hexadecimal of nothing is an empty text.
#[derive(Deserialize)]
#[serde(from = "Option<String>")]
struct Id(Option<Uuid>);

impl From<Option<String>> for Id {
    fn from(text: Option<String>) -> Self {
        Self(text.and_then(|text| text.parse().ok()))
    }
}

impl TryFrom<PublicationLine> for Publication {
    type Error = RecordError;

    fn try_from(line: PublicationLine) -> Result<Self, RecordError> {
        Ok(Self {
            id: PublicationId(line.id),
            product_id: ProductId(line.product_id),
            name: line.name.unwrap_or_default(),
            process: line.process,
            macro_process: line.macro_process,
            reference_date: line.reference_date,
            period: Period { start: local(&line.period_start)?, end: local(&line.period_end)? },
            granularity: line.granularity.parse().map_err(RecordError::Corrupt)?,
            status: line.status.parse().map_err(RecordError::Corrupt)?,
            received_at: timestamp(line.received_at),
            latest_revision: line.latest_revision_id.0.map(RevisionId),
            revision_count: line.revision_count,
        })
    }
}

/// In the order of the columns.
#[derive(Deserialize)]
struct RevisionLine {
    id: Uuid,
    publication_id: Uuid,
    number: i32,
    digest: String,
    size: Option<i64>,
    stored_size: Option<i64>,
    encoding: Option<String>,
    file_name: String,
    extension: Option<String>,
    content_type: Option<String>,
    announced_at: i64,
    received_at: i64,
    archived_at: i64,
    superseded_at: Option<i64>,
    purged_at: Option<i64>,
    held: i32,
    hold_reason: Option<String>,
    held_by: Option<String>,
    held_at: Option<i64>,
    purge_rule: Option<String>,
    /// A list as JSON.
    warnings: String,
}

impl TryFrom<RevisionLine> for Revision {
    type Error = RecordError;

    fn try_from(line: RevisionLine) -> Result<Self, RecordError> {
        let (Some(size), Some(stored_size), Some(encoding)) = (line.size, line.stored_size, line.encoding) else {
            return Err(RecordError::Corrupt(format!("the revision {} names a file that is not recorded", line.id)));
        };
        let digest: Digest = line.digest.parse().map_err(|_| corrupt("a digest", &line.digest))?;
        let warnings = texts(Some(&line.warnings))?;
        Ok(Self {
            id: RevisionId(line.id),
            publication_id: PublicationId(line.publication_id),
            number: line.number,
            file: StoredFile { digest, size: natural(size), stored_size: natural(stored_size), encoding },
            file_name: line.file_name,
            extension: line.extension,
            content_type: line.content_type,
            announced_at: timestamp(line.announced_at),
            received_at: timestamp(line.received_at),
            archived_at: timestamp(line.archived_at),
            superseded_at: line.superseded_at.map(timestamp),
            purged_at: line.purged_at.map(timestamp),
            held: line.held != 0,
            hold_reason: line.hold_reason,
            held_by: line.held_by,
            held_at: line.held_at.map(timestamp),
            purge_rule: line.purge_rule,
            warnings,
        })
    }
}
