//! The revisions that need something broken, for many broken items in one statement.
use std::collections::HashMap;
use std::hash::Hash;

use sea_orm::prelude::Uuid;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    Statement, TryGetable, Value,
};

use super::Verify;
use crate::domain::{Digest, PublicationId, RevisionId};
use crate::engine::record::RecordError;
use crate::engine::record::batch::padded;
use crate::engine::record::entity::revisions;
use crate::engine::record::rows::{long, natural};

/// A revision that needs a broken file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub revision: RevisionId,
    pub number: i32,
    pub file_name: String,
    pub publication: PublicationId,
    pub product: Option<String>,
    pub reference_date: Option<String>,
}

/// The first revisions that need something, in the order of their ids, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    pub first: Vec<Use>,
    pub total: u64,
}

#[derive(FromQueryResult)]
struct UseRow {
    id: Uuid,
    number: i32,
    file_name: String,
    publication_id: Uuid,
    name: Option<String>,
    reference_date: Option<String>,
}

impl From<UseRow> for Use {
    fn from(row: UseRow) -> Self {
        Self {
            revision: RevisionId(row.id),
            number: row.number,
            file_name: row.file_name,
            publication: PublicationId(row.publication_id),
            product: row.name,
            reference_date: row.reference_date,
        }
    }
}

impl Verify {
    /// The revisions that need each of these files, directly or through files that have it as a base: at most `limit` for each.
    pub async fn uses_of_files(&self, files: &[Digest], limit: u64) -> Result<HashMap<Digest, Uses>, RecordError> {
        self.uses_after(files, None, limit).await
    }

    /// The revisions that need a file, after one of them.
    pub async fn uses(&self, file: Digest, after: Option<RevisionId>, limit: u64) -> Result<Vec<Use>, RecordError> {
        Ok(self.uses_after(&[file], after, limit).await?.remove(&file).unwrap_or_default().first)
    }

    async fn uses_after(
        &self,
        files: &[Digest],
        after: Option<RevisionId>,
        limit: u64,
    ) -> Result<HashMap<Digest, Uses>, RecordError> {
        let mut values: Vec<Value> = padded(files.to_vec()).into_iter().map(Value::from).collect();
        let listed = self.numbered(1, values.len());
        let beyond = match after {
            Some(after) => {
                values.push(after.0.into());
                format!("AND revisions.id > {}", self.numbered(values.len(), 1))
            }
            None => String::new(),
        };
        // A chain of bases that is a circle ends too: UNION leaves out what it has. What is not in either table has no uses.
        let found = format!(
            "WITH RECURSIVE needing(root, digest) AS (
                SELECT digest, digest FROM files WHERE digest IN ({listed})
                UNION SELECT digest, digest FROM revisions WHERE digest IN ({listed})
                UNION SELECT needing.root, files.digest FROM needing JOIN files ON files.base = needing.digest
                    WHERE files.removed_at IS NULL
            ), found AS (
                SELECT needing.root AS root, revisions.id AS id FROM needing
                JOIN revisions ON revisions.digest = needing.digest
                WHERE revisions.swept_at IS NULL {beyond}
            )"
        );
        self.select_uses(&found, values, limit).await
    }

    /// The newest revision that has a file and was not removed.
    pub async fn newest_with(&self, file: Digest) -> Result<Option<RevisionId>, RecordError> {
        use revisions::Column as R;
        let id: Option<Uuid> = revisions::Entity::find()
            .select_only()
            .column(R::Id)
            .filter(R::Digest.eq(file))
            .filter(R::PurgedAt.is_null())
            .order_by_desc(R::Id)
            .into_tuple()
            .one(self.db.reader())
            .await?;
        Ok(id.map(RevisionId))
    }

    /// The revisions of each of these publications: at most `limit` for each.
    pub async fn uses_of_publications(
        &self,
        publications: &[PublicationId],
        limit: u64,
    ) -> Result<HashMap<PublicationId, Uses>, RecordError> {
        let ids = publications.iter().map(|id| id.0).collect();
        let by_id = self.uses_of_rows("publication_id", ids, limit).await?;
        Ok(by_id.into_iter().map(|(id, uses)| (PublicationId(id), uses)).collect())
    }

    /// Revisions by their ids.
    pub async fn uses_of_revisions(&self, revisions: &[RevisionId]) -> Result<HashMap<RevisionId, Uses>, RecordError> {
        let by_id = self.uses_of_rows("id", revisions.iter().map(|id| id.0).collect(), 1).await?;
        Ok(by_id.into_iter().map(|(id, uses)| (RevisionId(id), uses)).collect())
    }

    async fn uses_of_rows(&self, column: &str, ids: Vec<Uuid>, limit: u64) -> Result<HashMap<Uuid, Uses>, RecordError> {
        let values: Vec<Value> = padded(ids).into_iter().map(Value::from).collect();
        let listed = self.numbered(1, values.len());
        let found = format!("WITH found AS (SELECT {column} AS root, id FROM revisions WHERE {column} IN ({listed}))");
        self.select_uses(&found, values, limit).await
    }

    /// Selects the first uses of each root, and how many it has. `found` defines the pairs of root and revision.
    async fn select_uses<K: TryGetable + Eq + Hash>(
        &self,
        found: &str,
        mut values: Vec<Value>,
        limit: u64,
    ) -> Result<HashMap<K, Uses>, RecordError> {
        if values.is_empty() {
            return Ok(HashMap::new());
        }
        values.push(long(limit)?.into());
        let limit = self.numbered(values.len(), 1);
        let sql = format!(
            "{found}, placed AS (
                SELECT root, id, ROW_NUMBER() OVER (PARTITION BY root ORDER BY id) AS place,
                    COUNT(*) OVER (PARTITION BY root) AS total
                FROM found
            )
            SELECT placed.root AS root, placed.total AS total, revisions.id AS id, revisions.number AS number,
                revisions.file_name AS file_name, revisions.publication_id AS publication_id, products.name AS name,
                publications.reference_date AS reference_date
            FROM placed
            JOIN revisions ON revisions.id = placed.id
            LEFT JOIN publications ON publications.id = revisions.publication_id
            LEFT JOIN products ON products.id = publications.product_id
            WHERE placed.place <= {limit}
            ORDER BY placed.root, placed.place"
        );
        let db = self.db.reader();
        let mut uses: HashMap<K, Uses> = HashMap::new();
        for row in db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await? {
            let of_root = uses.entry(row.try_get("", "root")?).or_default();
            of_root.total = natural(row.try_get("", "total")?)?;
            of_root.first.push(UseRow::from_query_result(&row, "")?.into());
        }
        Ok(uses)
    }

    /// The placeholders of some values, from the nth on.
    fn numbered(&self, from: usize, count: usize) -> String {
        let sign = if self.db.reader().get_database_backend() == DbBackend::Sqlite { '?' } else { '$' };
        let all: Vec<String> = (from..from + count).map(|n| format!("{sign}{n}")).collect();
        all.join(", ")
    }
}
