//! Publications and revisions, read packed (see `pack`).
use std::collections::HashMap;

use sea_orm::prelude::Uuid;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::History;
use crate::domain::{PublicationId, RevisionId};
use crate::engine::record::pack::PackedRow;
use crate::engine::record::{Publication, RecordError, Revision};

impl History {
    pub async fn publications_by_id(
        &self,
        ids: &[PublicationId],
    ) -> Result<HashMap<PublicationId, Publication>, RecordError> {
        let found: Vec<Publication> = self.packed("p.id", ids.iter().map(|id| id.0)).await?;
        Ok(found.into_iter().map(|row| (row.id, row)).collect())
    }

    pub async fn revisions_by_id(&self, ids: &[RevisionId]) -> Result<HashMap<RevisionId, Revision>, RecordError> {
        let found: Vec<Revision> = self.packed("r.id", ids.iter().map(|id| id.0)).await?;
        Ok(found.into_iter().map(|row| (row.id, row)).collect())
    }

    /// All revisions of some publications, by number.
    pub async fn revisions_of(
        &self,
        ids: &[PublicationId],
    ) -> Result<HashMap<PublicationId, Vec<Revision>>, RecordError> {
        let mut rows: Vec<Revision> = self.packed("r.publication_id", ids.iter().map(|id| id.0)).await?;
        rows.sort_by_key(|row| row.number);
        let mut found: HashMap<_, Vec<_>> = HashMap::with_capacity(ids.len());
        for row in rows {
            found.entry(row.publication_id).or_default().push(row);
        }
        Ok(found)
    }

    /// The rows in which `column` has one of these values.
    async fn packed<Row: PackedRow>(
        &self,
        column: &str,
        is: impl Iterator<Item = Uuid>,
    ) -> Result<Vec<Row>, RecordError> {
        let values: Vec<sea_orm::Value> = is.map(Into::into).collect();
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let backend = self.db.reader().get_database_backend();
        let numbers = 1..=values.len();
        let parameters: Vec<String> = match backend {
            // SQLite compares the names of all parameters for each that has one.
            DbBackend::Sqlite => numbers.map(|_| "?".to_owned()).collect(),
            _ => numbers.map(|n| format!("${n}")).collect(),
        };
        let sql = format!("{} WHERE {column} IN ({})", Row::select(backend), parameters.join(","));
        self.read_packed(Statement::from_sql_and_values(backend, sql, values)).await
    }

    /// The rows of a statement that packs them.
    pub(super) async fn read_packed<Row: PackedRow>(&self, statement: Statement) -> Result<Vec<Row>, RecordError> {
        let row = self.db.reader().query_one_raw(statement).await?;
        let text: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        let Some(text) = text else { return Ok(Vec::new()) };
        serde_json::from_str(&text)
            .map_err(|e| RecordError::Corrupt(format!("rows of {} cannot be read: {e}", Row::FROM)))
    }
}
