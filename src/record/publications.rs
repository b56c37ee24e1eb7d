//! What becomes of publications without a file: LOST when the last hope is gone, awaited again when there is a new one.
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
