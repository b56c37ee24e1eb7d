//! Publications without a file: LOST when no open notification is left, awaited again when there is one.
use std::collections::HashSet;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::batch::{PAGE, padded};
use super::entity::{notifications, publications};
use super::feed;
use crate::domain::{ChangeKind, PublicationId, PublicationStatus, millis};
use notifications::Column as N;

/// Marks publications as LOST that have no file and no open notification left, now that these have ended.
pub(super) async fn mark_lost(txn: &DatabaseTransaction, of: Vec<Uuid>, now: Timestamp) -> Result<(), DbErr> {
    let ids: HashSet<Uuid> = of.into_iter().collect();
    let mut ids: Vec<Uuid> = ids.into_iter().collect();
    ids.sort();
    for some in ids.chunks(PAGE as usize) {
        let open: Vec<Uuid> = notifications::Entity::find()
            .select_only()
            .column(N::PublicationId)
            .distinct()
            .filter(N::PublicationId.is_in(padded(some.to_vec())))
            .filter(N::NextAttemptAt.is_not_null())
            .into_tuple()
            .all(txn)
            .await?;
        let open: HashSet<Uuid> = open.into_iter().collect();
        let others = some.iter().filter(|id| !open.contains(id)).copied().collect();
        let lost = set_status(txn, others, PublicationStatus::Awaited, PublicationStatus::Lost).await?;
        note_loss(txn, &lost, now).await?;
        feed::append(
            txn,
            millis(now),
            lost.into_iter().map(|id| (ChangeKind::Lost, PublicationId(id), None)).collect(),
        )
        .await?;
    }
    Ok(())
}

/// Who acknowledged an earlier loss does not know of this one.
async fn note_loss(txn: &DatabaseTransaction, lost: &[Uuid], now: Timestamp) -> Result<(), DbErr> {
    use publications::Column as P;
    if lost.is_empty() {
        return Ok(());
    }
    publications::Entity::update_many()
        .col_expr(P::LostAt, Expr::value(millis(now)))
        .col_expr(P::LostAcknowledgedAt, Expr::value(None::<i64>))
        .col_expr(P::LostAcknowledgedBy, Expr::value(None::<String>))
        .filter(P::Id.is_in(padded(lost.to_vec())))
        .exec(txn)
        .await?;
    Ok(())
}

/// Marks publications that were LOST as awaited.
pub(super) async fn mark_awaited(txn: &DatabaseTransaction, ids: Vec<Uuid>, now: Timestamp) -> Result<(), DbErr> {
    let awaited = set_status(txn, ids, PublicationStatus::Lost, PublicationStatus::Awaited).await?;
    let changes = awaited.into_iter().map(|id| (ChangeKind::Announced, PublicationId(id), None));
    feed::append(txn, millis(now), changes.collect()).await
}

/// Changes the status of the given publications that have the status `from`. Returns their ids.
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
    let rows: Vec<(Uuid, PublicationStatus)> = publications::Entity::find()
        .select_only()
        .columns([P::Id, P::Status])
        .filter(P::Id.is_in(padded(ids)))
        .into_tuple()
        .all(txn)
        .await?;
    let mut changed: Vec<Uuid> = rows.into_iter().filter(|(_, status)| *status == from).map(|(id, _)| id).collect();
    changed.sort();
    changed.dedup();
    if !changed.is_empty() {
        publications::Entity::update_many()
            .col_expr(P::Status, Expr::value(to))
            .filter(P::Id.is_in(padded(changed.clone())))
            .exec(txn)
            .await?;
    }
    Ok(changed)
}
