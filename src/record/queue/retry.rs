//! Queueing notifications again: page by page, since a query may match millions.
use std::collections::HashSet;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
};
use tokio::time::Instant;

use super::Queue;
use super::predicates::is_in;
use crate::domain::{NotificationStatus as Status, PublicationId, millis};
use crate::engine::record::batch::{self, PAGE, padded};
use crate::engine::record::entity::notifications;
use crate::engine::record::publications::mark_awaited;
use crate::engine::record::rows::natural;
use crate::engine::record::{NotificationQuery, RecordError};
use notifications::Column as N;

/// The statuses in which the file is needed and may be fetched again.
const WANTING: [Status; 3] = [Status::Queued, Status::Retrying, Status::Failed];

/// What `retry` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryCounts {
    pub matched: u64,
    pub queued: u64,
    /// Their links have expired.
    pub expired: u64,
}

#[derive(FromQueryResult)]
struct Candidate {
    id: Uuid,
    status: Status,
    publication_id: Option<Uuid>,
}

impl Queue {
    /// Queues the notifications again that match a query, as long as their link has not expired and their file is not archived.
    pub async fn retry(&self, query: &NotificationQuery, now: Timestamp) -> Result<RetryCounts, RecordError> {
        let mut counts = self.count_for_retry(query, now).await?;
        // Only notifications with a link can be queued again.
        let mut after = (millis(now), Uuid::max());
        loop {
            let began = Instant::now();
            let page = self.links_after(after).await?;
            let Some(last) = page.last() else { return Ok(counts) };
            after = *last;
            let ids = page.into_iter().map(|(_, id)| id).collect();
            let queued = self.queue_again(query, ids, now).await?;
            counts.queued += queued;
            if queued > 0 {
                self.db.notify_queue();
                self.db.notify_feed();
            }
            batch::pause(began).await;
        }
    }

    /// Queues the notifications of some publications again that wait for their file, as long as their link has not expired. Returns how
    /// many. Reads no other notifications; those that have failed are left out.
    pub async fn retry_waiting(&self, publications: &[PublicationId], now: Timestamp) -> Result<u64, RecordError> {
        let mut queued = 0;
        for some in publications.chunks(PAGE as usize) {
            let ids: Vec<Uuid> = notifications::Entity::find()
                .select_only()
                .column(N::Id)
                .filter(N::PublicationId.is_in(padded(some.iter().map(|id| id.0).collect())))
                .filter(N::NextAttemptAt.is_not_null())
                .filter(N::Link.is_not_null())
                .filter(N::LinkExpiresAt.gt(millis(now)))
                .into_tuple()
                .all(self.db.jobs_reader())
                .await?;
            for page in ids.chunks(PAGE as usize) {
                queued += self.queue_again(&NotificationQuery::default(), page.to_vec(), now).await?;
            }
        }
        if queued > 0 {
            self.db.notify_queue();
            self.db.notify_feed();
        }
        Ok(queued)
    }

    /// The publications of failed notifications whose link has not expired. Reads all links that have not.
    pub async fn failed_with_link(&self, now: Timestamp) -> Result<HashSet<PublicationId>, RecordError> {
        let ids: Vec<Option<Uuid>> = notifications::Entity::find()
            .select_only()
            .column(N::PublicationId)
            .distinct()
            .filter(N::Link.is_not_null())
            .filter(N::LinkExpiresAt.gt(millis(now)))
            .filter(N::Status.eq(Status::Failed))
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?;
        Ok(ids.into_iter().flatten().map(PublicationId).collect())
    }

    /// How many match a query, and how many of these have expired links.
    async fn count_for_retry(&self, query: &NotificationQuery, now: Timestamp) -> Result<RetryCounts, RecordError> {
        let by_status: Vec<(Status, i64)> = notifications::Entity::find()
            .select_only()
            .column(N::Status)
            .column_as(N::Id.count(), "n")
            .filter(query.condition())
            .group_by(N::Status)
            .into_tuple()
            .all(self.db.reader())
            .await?;
        let sum = |statuses: &[Status]| {
            let of_these = by_status.iter().filter(|(status, _)| statuses.contains(status));
            of_these.map(|(_, n)| natural(*n)).sum::<Result<u64, RecordError>>()
        };
        let alive = notifications::Entity::find()
            .filter(query.condition())
            .filter(N::Link.is_not_null())
            .filter(N::LinkExpiresAt.gt(millis(now)))
            .filter(N::Status.is_in(WANTING))
            .count(self.db.reader())
            .await?;
        let wanting = sum(&WANTING)?;
        let expired = sum(&[Status::Expired])? + wanting.saturating_sub(alive);
        Ok(RetryCounts { matched: sum(Status::ALL)?, queued: 0, expired })
    }

    /// Notifications that have a link, in the order in which the links expire.
    async fn links_after(&self, (expires_at, id): (i64, Uuid)) -> Result<Vec<(i64, Uuid)>, RecordError> {
        let beyond = Expr::tuple([Expr::col(N::LinkExpiresAt), Expr::col(N::Id)])
            .gt(Expr::tuple([Expr::value(expires_at), Expr::value(id)]));
        Ok(notifications::Entity::find()
            .select_only()
            .columns([N::LinkExpiresAt, N::Id])
            .filter(N::Link.is_not_null())
            .filter(beyond)
            .order_by_asc(N::LinkExpiresAt)
            .order_by_asc(N::Id)
            .limit(PAGE)
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?)
    }

    /// Queues those of a page again that match the query and still need their file. Returns how many.
    async fn queue_again(
        &self,
        query: &NotificationQuery,
        page: Vec<Uuid>,
        now: Timestamp,
    ) -> Result<u64, RecordError> {
        let txn = self.db.begin().await?;
        let named = named(&txn, query, page, now).await?;
        // One without a publication is not resolved yet, and is queued then.
        let wanting = |row: &Candidate| WANTING.contains(&row.status) && row.publication_id.is_some();
        let again: Vec<Candidate> = named.into_iter().filter(wanting).collect();
        if again.is_empty() {
            txn.rollback().await?;
            return Ok(0);
        }
        notifications::Entity::update_many()
            .col_expr(N::Status, Expr::value(Status::Queued))
            .col_expr(N::Attempts, Expr::value(0))
            .col_expr(N::NextAttemptAt, Expr::value(millis(now)))
            .filter(N::Id.is_in(padded(again.iter().map(|row| row.id).collect())))
            .exec(&txn)
            .await?;
        mark_awaited(&txn, again.iter().filter_map(|row| row.publication_id).collect(), now).await?;
        crate::engine::record::feed::count_renewal(&txn).await?;
        txn.commit().await?;
        Ok(again.len() as u64)
    }

    /// Makes attempts due now that are scheduled after `latest`, later than any schedule does: the clock was wrong then.
    pub async fn bring_retries_forward(&self, latest: Timestamp, now: Timestamp) -> Result<u64, RecordError> {
        let put_off = is_in(Status::Retrying).and(N::NextAttemptAt.gt(millis(latest)));
        let any = notifications::Entity::find().filter(put_off.clone());
        if any.one(self.db.jobs_reader()).await?.is_none() {
            return Ok(0);
        }
        let txn = self.db.begin().await?;
        let changed = notifications::Entity::update_many()
            .col_expr(N::NextAttemptAt, Expr::value(millis(now)))
            .filter(put_off)
            .exec(&txn)
            .await?;
        txn.commit().await?;
        if changed.rows_affected > 0 {
            self.db.notify_queue();
        }
        Ok(changed.rows_affected)
    }
}

/// Those of a page whose links have not expired and that match a query. The page is selected first, by its ids, so that the query's conditions
/// are evaluated for its rows alone.
async fn named(
    txn: &DatabaseTransaction,
    query: &NotificationQuery,
    page: Vec<Uuid>,
    now: Timestamp,
) -> Result<Vec<Candidate>, DbErr> {
    let size = page.len() as u64;
    let columns = [
        N::Id,
        N::Status,
        N::PublicationId,
        N::ProductId,
        N::Source,
        N::ReceivedAt,
        N::NameFolded,
        N::Link,
        N::LinkExpiresAt,
    ];
    let page = Query::select()
        .columns(columns)
        .from(notifications::Entity)
        .and_where(Expr::col(N::Id).is_in(padded(page)))
        .limit(size)
        .to_owned();
    let is_valid = Condition::all().add(N::Link.is_not_null()).add(N::LinkExpiresAt.gt(millis(now)));
    let select = Query::select()
        .columns([N::Id, N::Status, N::PublicationId])
        .from_subquery(page, Alias::new("notifications"))
        .cond_where(query.condition().add(is_valid))
        .to_owned();
    Candidate::find_by_statement(txn.get_database_backend().build(&select)).all(txn).await
}
