//! Links that die before their files are archived: the wait ends, and publications without another hope are LOST.
use std::collections::HashSet;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::time::Instant;

use super::batch::{self, PAGE, padded};
use super::entity::{notifications, publications};
use super::queue::{ENVIAR, end_without_file};
use super::{Record, RecordError, feed};
use crate::domain::{ChangeKind, NotificationStatus as Status, PublicationId, PublicationStatus, millis};
use notifications::Column as N;

impl Record {
    /// Ends the wait for links that died, page by page. Returns how many notifications that were.
    pub async fn expire(&self, now: Timestamp) -> Result<u64, RecordError> {
        let mut expired = 0;
        loop {
            let began = Instant::now();
            let first = notifications::Entity::find().select_only().column(N::Id).filter(self.dead(now)).limit(1);
            let first: Option<Uuid> = first.into_tuple().one(&self.inner.jobs_reader).await?;
            if first.is_none() {
                return Ok(expired);
            }
            expired += self.expire_page(now).await?;
            batch::rest(began).await;
        }
    }

    async fn expire_page(&self, now: Timestamp) -> Result<u64, RecordError> {
        let txn = self.begin().await?;
        let page = notifications::Entity::find().filter(self.dead(now)).order_by_asc(N::LinkExpiresAt).limit(PAGE);
        let rows = page.all(&txn).await?;
        let reason = |row: &notifications::Model| match &row.error {
            Some(last) => format!("the link died before the file could be had (last: {last}); {ENVIAR}"),
            None => format!("the link was dead before the first attempt; {ENVIAR}"),
        };
        end_without_file(&txn, &rows, Status::Expired, &reason).await?;
        lose(&txn, rows.iter().filter_map(|row| row.publication_id).collect(), now).await?;
        notifications::Entity::update_many()
            .col_expr(N::Link, Expr::value(None::<String>))
            .filter(N::Id.is_in(padded(rows.iter().map(|row| row.id).collect())))
            .exec(&txn)
            .await?;
        txn.commit().await?;
        self.note_erased();
        self.tell_feed();
        Ok(rows.len() as u64)
    }

    /// What waits, or is held by a worker that is gone, with a link that died. In terms that the index of such links
    /// serves: by their states, all that waits would be gone through.
    fn dead(&self, now: Timestamp) -> Condition {
        let is_waiting = N::Status.ne(Status::Fetching.as_str());
        Condition::all()
            .add(N::NextAttemptAt.is_not_null())
            .add(N::LinkExpiresAt.lte(millis(now)))
            .add(Condition::any().add(is_waiting).add(Expr::col(N::LeaseUntil).lte(self.shared_clock(now))))
    }
}

/// Publications without a file whose last hope these notifications were are LOST.
pub(super) async fn lose(txn: &DatabaseTransaction, of: Vec<Uuid>, now: Timestamp) -> Result<(), DbErr> {
    let ids: HashSet<Uuid> = of.into_iter().collect();
    let mut ids: Vec<Uuid> = ids.into_iter().collect();
    ids.sort();
    for some in ids.chunks(PAGE as usize) {
        let hopeful: Vec<Uuid> = notifications::Entity::find()
            .select_only()
            .column(N::PublicationId)
            .distinct()
            .filter(N::PublicationId.is_in(padded(some.to_vec())))
            .filter(N::NextAttemptAt.is_not_null())
            .into_tuple()
            .all(txn)
            .await?;
        let hopeful: HashSet<Uuid> = hopeful.into_iter().collect();
        let hopeless = some.iter().filter(|id| !hopeful.contains(id)).copied().collect();
        let lost = set_status(txn, hopeless, PublicationStatus::Awaited, PublicationStatus::Lost).await?;
        feed::tell(txn, millis(now), lost.into_iter().map(|id| (ChangeKind::Lost, PublicationId(id), None)).collect())
            .await?;
    }
    Ok(())
}

/// Publications that were LOST are awaited again.
pub(super) async fn await_again(txn: &DatabaseTransaction, ids: Vec<Uuid>, now: Timestamp) -> Result<(), DbErr> {
    let awaited = set_status(txn, ids, PublicationStatus::Lost, PublicationStatus::Awaited).await?;
    let told = awaited.into_iter().map(|id| (ChangeKind::Announced, PublicationId(id), None));
    feed::tell(txn, millis(now), told.collect()).await
}

/// Gives those of these publications another status that have a certain one; returns which they were.
async fn set_status(
    txn: &DatabaseTransaction,
    ids: Vec<Uuid>,
    from: PublicationStatus,
    to: PublicationStatus,
) -> Result<Vec<Uuid>, DbErr> {
    use publications::Column as P;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Uuid, String)> = publications::Entity::find()
        .select_only()
        .columns([P::Id, P::Status])
        .filter(P::Id.is_in(padded(ids)))
        .into_tuple()
        .all(txn)
        .await?;
    let mut changed: Vec<Uuid> =
        rows.into_iter().filter(|(_, status)| status == from.as_str()).map(|(id, _)| id).collect();
    changed.sort();
    changed.dedup();
    if !changed.is_empty() {
        publications::Entity::update_many()
            .col_expr(P::Status, Expr::value(to.as_str()))
            .filter(P::Id.is_in(padded(changed.clone())))
            .exec(txn)
            .await?;
    }
    Ok(changed)
}
