//! The feed: every committed change of the archive, numbered in commit order.
//!
//! Writers take turns and numbers are assigned inside the writing transaction, so a reader that has seen number n has seen every
//! number below it.
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use tokio::sync::watch;

use super::db::Db;
use super::entity::{changes, publications, state};
use super::{Change, RecordError};
use crate::domain::{ChangeKind, PublicationId, RevisionId, timestamp};

/// Appends changes to the feed, at the time `at` in milliseconds.
pub(super) async fn append(
    txn: &DatabaseTransaction,
    at: i64,
    lines: Vec<(ChangeKind, PublicationId, Option<RevisionId>)>,
) -> Result<(), DbErr> {
    let rows = lines.into_iter().map(|(kind, publication_id, revision_id)| changes::ActiveModel {
        at: Set(at),
        kind: Set(kind),
        publication_id: Set(publication_id.0),
        revision_id: Set(revision_id.map(|id| id.0)),
        ..Default::default()
    });
    super::batch::insert(txn, rows.collect(), None).await
}

/// Appends a change for each publication of a product.
pub(super) async fn append_all_of_product(
    txn: &DatabaseTransaction,
    product_id: Uuid,
    at: i64,
    kind: ChangeKind,
) -> Result<(), DbErr> {
    let ids: Vec<Uuid> = publications::Entity::find()
        .select_only()
        .column(publications::Column::Id)
        .filter(publications::Column::ProductId.eq(product_id))
        .into_tuple()
        .all(txn)
        .await?;
    for some in ids.chunks(1000) {
        append(txn, at, some.iter().map(|id| (kind, PublicationId(*id), None)).collect()).await?;
    }
    Ok(())
}

/// The key under which renewals are counted.
const RENEWALS: &str = "renewals";

/// Counts a change of rows that is not in the feed, because searches find the same before and after it: a revision was announced
/// again, or notifications were queued again.
pub(super) async fn count_renewal(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    let first = state::ActiveModel { key: Set(RENEWALS.to_owned()), value: Set("1".to_owned()) };
    let counted = sea_orm::sea_query::OnConflict::column(state::Column::Key)
        .value(state::Column::Value, Expr::cust("CAST(CAST(state.value AS BIGINT) + 1 AS TEXT)"))
        .to_owned();
    state::Entity::insert(first).on_conflict(counted).exec_without_returning(txn).await.map(|_| ())
}

/// The key under which requests for a new index are counted.
const INDEX_EPOCH: &str = "index_epoch";

/// Every committed change, numbered in commit order.
#[derive(Clone)]
pub struct Feed {
    pub(super) db: Db,
}

impl Feed {
    /// Changes with every commit of this process that added to the feed, and soon after most of those of other processes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.db.watch_feed()
    }

    /// The changes after a number, oldest first.
    pub async fn changes_after(&self, number: i64, limit: u64) -> Result<Vec<Change>, RecordError> {
        let rows = changes::Entity::find()
            .filter(changes::Column::Number.gt(number))
            .order_by_asc(changes::Column::Number)
            .limit(limit)
            .all(self.db.jobs_reader())
            .await?;
        Ok(rows.into_iter().map(change_of).collect())
    }

    /// One change.
    pub async fn change(&self, number: i64) -> Result<Option<Change>, RecordError> {
        let row = changes::Entity::find_by_id(number).one(self.db.jobs_reader()).await?;
        Ok(row.map(change_of))
    }

    /// The last number assigned; 0 before the first.
    pub async fn head(&self) -> Result<i64, RecordError> {
        let last = changes::Entity::find().order_by_desc(changes::Column::Number).one(self.db.jobs_reader()).await?;
        Ok(last.map_or(0, |row| row.number))
    }

    /// How often rows changed without a change in the feed.
    pub async fn renewals(&self) -> Result<u64, RecordError> {
        let Some(row) = state::Entity::find_by_id(RENEWALS).one(self.db.reader()).await? else { return Ok(0) };
        row.value.parse().map_err(|_| RecordError::Corrupt(format!("`{}` is not a count of renewals", row.value)))
    }

    /// Grows with every request for a new index.
    pub async fn index_epoch(&self) -> Result<u64, RecordError> {
        index_epoch(self.db.jobs_reader()).await
    }

    /// Requests a new index from every process that has one.
    pub async fn request_reindex(&self) -> Result<u64, RecordError> {
        let txn = self.db.begin().await?;
        let next = index_epoch(&txn).await? + 1;
        let row = state::ActiveModel { key: Set(INDEX_EPOCH.to_owned()), value: Set(next.to_string()) };
        let replace =
            sea_orm::sea_query::OnConflict::column(state::Column::Key).update_column(state::Column::Value).to_owned();
        super::batch::insert(&txn, vec![row], Some(replace)).await?;
        txn.commit().await?;
        self.db.notify_feed();
        Ok(next)
    }
}

fn change_of(row: changes::Model) -> Change {
    Change {
        number: row.number,
        at: timestamp(row.at),
        kind: row.kind,
        publication_id: PublicationId(row.publication_id),
        revision_id: row.revision_id.map(RevisionId),
    }
}

async fn index_epoch<C: ConnectionTrait>(db: &C) -> Result<u64, RecordError> {
    let Some(row) = state::Entity::find_by_id(INDEX_EPOCH).one(db).await? else { return Ok(0) };
    row.value.parse().map_err(|_| RecordError::Corrupt(format!("`{}` is not an epoch of the index", row.value)))
}
