//! Conditions on notifications that the queue's statements share, each written so that its index applies.
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition};

use crate::domain::{NotificationStatus as Status, millis};
use crate::engine::record::entity::notifications;
use crate::engine::record::intake::UNRESOLVED;
use jiff::Timestamp;
use notifications::Column as C;

/// In a status that few notifications have. The value is part of the text: a plan that must serve every status scans the table.
pub(super) fn is_in(status: Status) -> Expr {
    Expr::cust(format!("status = '{}'", status.as_str()))
}

/// Waiting for the first attempt. What is not resolved yet is not: in the index it comes after these.
pub(super) fn is_queued() -> Expr {
    is_in(Status::Queued).and(C::Priority.lt(UNRESOLVED))
}

/// Waiting for an attempt.
pub(super) fn is_waiting() -> Expr {
    C::Status.is_in([Status::Queued, Status::Retrying])
}

/// Under a lease. Claims that were made together share one, and differ in their files.
pub(super) fn is_leased(lease: Uuid, file_key: &str) -> Expr {
    C::Lease.eq(lease).and(C::FileKey.eq(file_key))
}

/// Leased by a worker that is gone. Leases go by the clock that all processes of the database share.
pub(super) fn is_abandoned(clock: &Expr) -> Condition {
    Condition::all().add(is_in(Status::Fetching)).add(Expr::col(C::LeaseUntil).lte(clock.clone()))
}

/// Open, with an expired link, and not leased. Not by status: the index of open notifications by the expiry of their links serves
/// this, where an index by status would bring all that wait.
pub(super) fn has_expired_link(now: Timestamp, clock: Expr) -> Condition {
    let is_not_leased = Condition::any().add(C::Status.ne(Status::Fetching)).add(Expr::col(C::LeaseUntil).lte(clock));
    Condition::all().add(C::NextAttemptAt.is_not_null()).add(C::LinkExpiresAt.lte(millis(now))).add(is_not_leased)
}
