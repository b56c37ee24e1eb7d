//! Changes of a notification's status that several of the queue's transactions make.
use std::collections::HashMap;

use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, UpdateMany};

use crate::domain::NotificationStatus as Status;
use crate::engine::record::batch;
use crate::engine::record::entity::notifications;
use notifications::Column as C;

/// Removes leases; the attempt that began is not counted. Returns how many.
pub(super) async fn release(txn: &DatabaseTransaction, which: Expr) -> Result<u64, DbErr> {
    let released = notifications::Entity::update_many()
        .col_expr(C::Status, Expr::value(Status::Queued))
        .col_expr(C::Attempts, Expr::col(C::Attempts).sub(1))
        .col_expr(C::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(C::Lease, Expr::value(None::<Uuid>))
        .filter(which)
        .exec(txn)
        .await?;
    Ok(released.rows_affected)
}

/// Settles notifications whose file cannot be fetched, as `status`. One that has made a revision of a file that seemed broken, and was
/// to be fetched once more, ends with that revision.
pub(super) async fn end_without_file(
    txn: &DatabaseTransaction,
    rows: &[notifications::Model],
    status: Status,
    reason: &(dyn Fn(&notifications::Model) -> String + Sync),
) -> Result<(), DbErr> {
    let (archived, without): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.revision_id.is_some());
    // Hundreds that end together usually have the same reason.
    let mut by_reason: HashMap<String, Vec<Uuid>> = HashMap::new();
    for row in without {
        by_reason.entry(reason(row)).or_default().push(row.id);
    }
    let update = notifications::Entity::update_many;
    for (reason, ids) in by_reason {
        let update = ended(update(), status, Expr::value(reason));
        update.filter(C::Id.is_in(batch::padded(ids))).exec(txn).await?;
    }
    let ids: Vec<Uuid> = archived.iter().map(|row| row.id).collect();
    if !ids.is_empty() {
        let update = ended(update(), Status::Archived, Expr::value(None::<String>));
        let update = update.col_expr(C::Link, Expr::value(None::<String>));
        update.filter(C::Id.is_in(batch::padded(ids))).exec(txn).await?;
    }
    Ok(())
}

/// What is written when a notification gets its final status.
pub(super) fn ended(
    update: UpdateMany<notifications::Entity>,
    status: Status,
    error: Expr,
) -> UpdateMany<notifications::Entity> {
    update
        .col_expr(C::Status, Expr::value(status))
        .col_expr(C::NextAttemptAt, Expr::value(None::<i64>))
        .col_expr(C::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(C::Lease, Expr::value(None::<Uuid>))
        .col_expr(C::Error, error)
}
