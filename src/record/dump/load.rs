//! Writing the rows of an export into an empty database, in steps that can be interrupted.
//!
//! While a restore is in progress the table `state` says so, with the SHA-256 of its manifest and the number of lines whose rows are
//! committed: each commit of rows changes the number.
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect, Set,
};
use serde_json::json;

use super::{Columns, Dump, RowKind, insert, is_empty};
use crate::domain::{Breakage, Digest, Encoding, StoredFile, millis};
use crate::engine::record::batch::padded;
use crate::engine::record::entity::{files, state};
use crate::engine::record::rows::long;
use crate::engine::record::{RecordError, batch};

const KEY: &str = "restore";

/// A restore that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreState {
    /// The SHA-256 of the manifest.
    pub manifest: Digest,
    /// Lines of the manifest whose rows are in the database.
    pub lines: u64,
}

impl Dump {
    /// The restore in progress, if there is one.
    pub async fn restoring(&self) -> Result<Option<RestoreState>, RecordError> {
        let Some(row) = state::Entity::find_by_id(KEY).one(self.db.jobs_reader()).await? else { return Ok(None) };
        let wrong = || RecordError::Corrupt(format!("`{}` is not the state of a restore", row.value));
        let (manifest, lines) = row.value.split_once(' ').ok_or_else(wrong)?;
        Ok(Some(RestoreState {
            manifest: manifest.parse().map_err(|_| wrong())?,
            lines: lines.parse().map_err(|_| wrong())?,
        }))
    }

    /// Begins a restore, unless the database has rows of its own: `false`.
    pub async fn begin_restore(&self, manifest: Digest) -> Result<bool, RecordError> {
        let txn = self.db.begin().await?;
        for kind in RowKind::ALL.iter().filter(|kind| !kind.is_of_the_service()) {
            if !is_empty(&txn, *kind).await? {
                return Ok(false);
            }
        }
        save_state(&txn, RestoreState { manifest, lines: 0 }).await?;
        txn.commit().await?;
        Ok(true)
    }

    /// Records files that were stored. Their rows are completed by [`Dump::load`].
    pub async fn add_files(&self, stored: &[(StoredFile, Option<Digest>)], now: Timestamp) -> Result<(), RecordError> {
        let row = |(file, stored_digest): &(StoredFile, Option<Digest>)| {
            Ok(files::ActiveModel {
                digest: Set(file.digest),
                size: Set(long(file.size)?),
                stored_size: Set(long(file.stored_size)?),
                encoding: Set(file.encoding),
                base: Set(file.base),
                depth: Set(0),
                stored_at: Set(millis(now)),
                stored_digest: Set(*stored_digest),
                ..Default::default()
            })
        };
        let rows = stored.iter().map(row).collect::<Result<Vec<_>, RecordError>>()?;
        let txn = self.db.begin().await?;
        batch::insert(&txn, rows, Some(OnConflict::new().do_nothing().to_owned())).await?;
        Ok(txn.commit().await?)
    }

    /// Writes the rows of the next lines, in one transaction with the new state.
    pub async fn load(
        &self,
        rows: Vec<(RowKind, Columns)>,
        state: RestoreState,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let mut by_kind: HashMap<RowKind, Vec<Columns>> = HashMap::new();
        for (kind, row) in rows {
            by_kind.entry(kind).or_default().push(row);
        }
        let txn = self.db.begin().await?;
        for (kind, rows) in by_kind {
            match kind {
                RowKind::File => load_files(&txn, rows, now).await?,
                RowKind::Notification => insert(&txn, kind, &without_leases(rows), None).await?,
                _ if kind.is_of_the_service() => {
                    insert(&txn, kind, &rows, Some(OnConflict::new().do_nothing().to_owned())).await?;
                }
                _ => insert(&txn, kind, &rows, None).await?,
            }
        }
        save_state(&txn, state).await?;
        Ok(txn.commit().await?)
    }

    /// Derives what follows from the rows: counts of products and, where revisions were left out, what publications show.
    pub async fn derive(&self, is_cut: bool) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        if is_cut {
            txn.execute_unprepared(PUBLICATIONS).await?;
        }
        txn.execute_unprepared(PRODUCTS).await?;
        if self.db.is_shared() {
            txn.execute_unprepared(SEQUENCE).await?;
        }
        txn.commit().await?;
        self.db.notify_feed();
        Ok(())
    }

    /// Ends the restore: from now on a service can use the database.
    pub async fn end_restore(&self) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        state::Entity::delete_by_id(KEY).exec(&txn).await?;
        Ok(txn.commit().await?)
    }
}

impl RowKind {
    /// Rows that a service writes before it has received anything.
    pub(super) fn is_of_the_service(self) -> bool {
        matches!(self, Self::Source | Self::SourceHour | Self::JobRun)
    }
}

const PUBLICATIONS: &str = "UPDATE publications SET \
    revision_count = (SELECT COUNT(*) FROM revisions r WHERE r.publication_id = publications.id), \
    latest_revision_id = (SELECT r.id FROM revisions r WHERE r.publication_id = publications.id \
     AND r.superseded_at IS NULL ORDER BY r.number DESC LIMIT 1), \
    status = COALESCE((SELECT CASE WHEN r.purged_at IS NULL THEN 'ARCHIVED' ELSE 'PURGED' END FROM revisions r \
     WHERE r.publication_id = publications.id AND r.superseded_at IS NULL ORDER BY r.number DESC LIMIT 1), status)";

const PRODUCTS: &str = "UPDATE products SET \
    publication_count = (SELECT COUNT(*) FROM publications p WHERE p.product_id = products.id), \
    revision_count = (SELECT COUNT(*) FROM publications p JOIN revisions r ON r.publication_id = p.id \
     WHERE p.product_id = products.id), \
    size = (SELECT COALESCE(SUM(f.size), 0) FROM publications p JOIN revisions r ON r.publication_id = p.id \
     JOIN files f ON f.digest = r.digest WHERE p.product_id = products.id), \
    stored_size = (SELECT COALESCE(SUM(f.stored_size), 0) FROM publications p JOIN revisions r ON r.publication_id = p.id \
     JOIN files f ON f.digest = r.digest WHERE p.product_id = products.id AND r.swept_at IS NULL), \
    first_period_start = (SELECT MIN(p.period_start) FROM publications p WHERE p.product_id = products.id), \
    last_period_end = (SELECT MAX(p.period_end) FROM publications p WHERE p.product_id = products.id)";

/// Rows with given numbers do not move PostgreSQL's sequence.
const SEQUENCE: &str = "SELECT setval(pg_get_serial_sequence('changes', 'number'), COALESCE(MAX(number), 1), \
    MAX(number) IS NOT NULL) FROM changes";

async fn save_state(
    txn: &DatabaseTransaction,
    RestoreState { manifest, lines }: RestoreState,
) -> Result<(), RecordError> {
    let row = state::ActiveModel { key: Set(KEY.to_owned()), value: Set(format!("{manifest} {lines}")) };
    let replace = OnConflict::column(state::Column::Key).update_column(state::Column::Value).to_owned();
    Ok(batch::insert(txn, vec![row], Some(replace)).await?)
}

/// No worker of the exported instance works on this one.
fn without_leases(mut rows: Vec<Columns>) -> Vec<Columns> {
    for row in &mut rows {
        row.insert("lease".to_owned(), json!(null));
        row.insert("lease_until".to_owned(), json!(null));
        if row.get("status") == Some(&json!("FETCHING")) {
            row.insert("status".to_owned(), json!("QUEUED"));
        }
    }
    rows
}

/// Stored files have their rows already, with how they are stored here. The others are gone, or damaged: their bytes were not in the
/// export.
async fn load_files(txn: &DatabaseTransaction, rows: Vec<Columns>, now: Timestamp) -> Result<(), RecordError> {
    let digests = rows.iter().map(digest_of).collect::<Result<Vec<_>, _>>()?;
    let known: Vec<Digest> = files::Entity::find()
        .select_only()
        .column(files::Column::Digest)
        .filter(files::Column::Digest.is_in(padded(digests)))
        .into_tuple()
        .all(txn)
        .await?;
    let known: HashSet<Digest> = known.into_iter().collect();
    let mut new = Vec::new();
    for mut row in rows {
        let digest = digest_of(&row)?;
        let instant = |name: &str| row.get(name).and_then(serde_json::Value::as_i64);
        if known.contains(&digest) {
            let stored_at = instant("stored_at")
                .ok_or_else(|| RecordError::InvalidRow("`stored_at` has an invalid value".to_owned()))?;
            let row = files::ActiveModel {
                digest: Set(digest),
                stored_at: Set(stored_at),
                list_at: Set(instant("list_at")),
                ..Default::default()
            };
            row.update_without_returning(txn).await?;
            continue;
        }
        let is_removed = instant("removed_at").is_some();
        let none = json!(null);
        let changed =
            [("encoding", json!(Encoding::Plain.as_str())), ("base", none.clone()), ("tombstone_at", none.clone())];
        changed.into_iter().for_each(|(name, value)| _ = row.insert(name.to_owned(), value));
        row.insert("stored_digest".to_owned(), none.clone());
        row.insert("compacted_at".to_owned(), none);
        row.insert("depth".to_owned(), json!(0));
        if !is_removed {
            row.insert("damaged_at".to_owned(), json!(millis(now)));
            row.insert("damage".to_owned(), json!(Breakage::Missing.as_str()));
            row.insert("stored_size".to_owned(), json!(0));
        }
        new.push(row);
    }
    insert(txn, RowKind::File, &new, None).await
}

fn digest_of(row: &Columns) -> Result<Digest, RecordError> {
    let digest = row.get("digest").and_then(serde_json::Value::as_str).and_then(|text| text.parse().ok());
    digest.ok_or_else(|| RecordError::InvalidRow("`digest` is not a SHA-256".to_owned()))
}
