//! The log of deliveries: the last attempts of each hook.
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Set};

use super::{HookAttempt, Hooks};
use crate::domain::{DeliveryOutcome, millis, timestamp};
use crate::engine::record::entity::hook_deliveries;
use crate::engine::record::newest::newest_first;
use crate::engine::record::rows::{millis_of, natural};
use crate::engine::record::{RecordError, batch};
use hook_deliveries::Column as C;

/// An attempt that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookDelivery {
    pub id: i64,
    pub hook: String,
    /// The id of the message, the same for each attempt.
    pub message: String,
    /// The kind of the event, or `test`.
    pub kind: String,
    pub at: Timestamp,
    pub attempt: u32,
    pub outcome: DeliveryOutcome,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub took: Duration,
}

/// Adds an attempt, and forgets those of the hook beyond its last `max`.
pub(super) async fn log(
    txn: &DatabaseTransaction,
    attempt: &HookAttempt<'_>,
    outcome: DeliveryOutcome,
    max: u64,
) -> Result<(), RecordError> {
    let number = |n: u32| i32::try_from(n).map_err(|_| RecordError::OutOfRange(n.to_string()));
    let row = hook_deliveries::ActiveModel {
        hook: Set(attempt.hook.to_owned()),
        message: Set(attempt.message.to_owned()),
        kind: Set(attempt.kind.to_owned()),
        at: Set(millis(attempt.at)),
        attempt: Set(number(attempt.attempt)?),
        outcome: Set(outcome),
        status: Set(attempt.status.map(i32::from)),
        error: Set(attempt.error.map(str::to_owned)),
        took: Set(millis_of(attempt.took)?),
        ..Default::default()
    };
    batch::insert(txn, vec![row], None).await?;
    let oldest: Option<i64> = hook_deliveries::Entity::find()
        .select_only()
        .column(C::Id)
        .filter(C::Hook.eq(attempt.hook))
        .order_by(C::Id, Order::Desc)
        .offset(max)
        .limit(1)
        .into_tuple()
        .one(txn)
        .await?;
    if let Some(oldest) = oldest {
        hook_deliveries::Entity::delete_many()
            .filter(C::Hook.eq(attempt.hook))
            .filter(C::Id.lte(oldest))
            .exec(txn)
            .await?;
    }
    Ok(())
}

impl Hooks {
    /// A page of attempts, newest first, and how many there are.
    pub async fn deliveries(
        &self,
        hook: Option<&str>,
        before: Option<i64>,
        limit: u64,
    ) -> Result<(Vec<HookDelivery>, u64), RecordError> {
        let mut all = hook_deliveries::Entity::find();
        if let Some(hook) = hook {
            all = all.filter(C::Hook.eq(hook));
        }
        let (rows, total) = newest_first(&self.db, all, C::Id, before, limit).await?;
        Ok((rows.into_iter().map(HookDelivery::try_from).collect::<Result<_, _>>()?, total))
    }

    /// Adds an attempt that is not about an event: a test.
    pub async fn log_test(
        &self,
        attempt: &HookAttempt<'_>,
        outcome: DeliveryOutcome,
        max: u64,
    ) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        log(&txn, attempt, outcome, max).await?;
        Ok(txn.commit().await?)
    }
}

impl TryFrom<hook_deliveries::Model> for HookDelivery {
    type Error = RecordError;

    fn try_from(row: hook_deliveries::Model) -> Result<Self, RecordError> {
        let corrupt = |what: &str| RecordError::Corrupt(format!("the {what} of the delivery {}", row.id));
        Ok(Self {
            attempt: u32::try_from(row.attempt).map_err(|_| corrupt("attempt"))?,
            status: row.status.map(|status| u16::try_from(status).map_err(|_| corrupt("status"))).transpose()?,
            took: Duration::from_millis(natural(row.took)?),
            id: row.id,
            hook: row.hook,
            message: row.message,
            kind: row.kind,
            at: timestamp(row.at),
            outcome: row.outcome,
            error: row.error,
        })
    }
}
