//! Events that are not in the feed: late periods, silent sources, replays that ended.
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Set};

use super::{Hooks, head};
use crate::domain::{HookEvent, millis, timestamp};
use crate::engine::record::entity::{hook_events, hook_letters};
use crate::engine::record::{RecordError, batch};
use hook_events::Column as C;

/// An event to record.
#[derive(Clone, Debug)]
pub struct NewHookEvent {
    pub kind: HookEvent,
    pub at: Timestamp,
    /// The same for what is found again: it is recorded once.
    pub name: String,
    pub data: serde_json::Value,
}

/// A recorded event.
#[derive(Clone, Debug, PartialEq)]
pub struct HookEventRow {
    pub id: i64,
    pub at: Timestamp,
    /// The last change that was committed before.
    pub feed: i64,
    pub kind: HookEvent,
    pub data: serde_json::Value,
}

/// Records an event as a part of the transaction that it follows from.
pub async fn append(txn: &DatabaseTransaction, event: &NewHookEvent) -> Result<(), RecordError> {
    let row = hook_events::ActiveModel {
        at: Set(millis(event.at)),
        feed: Set(head(txn).await?),
        kind: Set(event.kind),
        name: Set(event.name.clone()),
        data: Set(event.data.to_string()),
        ..Default::default()
    };
    let once = OnConflict::column(C::Name).do_nothing().to_owned();
    Ok(batch::insert(txn, vec![row], Some(once)).await?)
}

impl Hooks {
    /// Records an event, unless it is recorded already.
    pub async fn raise(&self, event: &NewHookEvent) -> Result<(), RecordError> {
        let known = hook_events::Entity::find().filter(C::Name.eq(&event.name)).one(self.db.jobs_reader()).await?;
        if known.is_some() {
            return Ok(());
        }
        let txn = self.db.begin().await?;
        append(&txn, event).await?;
        txn.commit().await?;
        self.db.notify_feed();
        Ok(())
    }

    /// The events after one, oldest first.
    pub async fn events_after(&self, id: i64, limit: u64) -> Result<Vec<HookEventRow>, RecordError> {
        let rows = hook_events::Entity::find()
            .filter(C::Id.gt(id))
            .order_by(C::Id, Order::Asc)
            .limit(limit)
            .all(self.db.jobs_reader())
            .await?;
        rows.into_iter().map(HookEventRow::try_from).collect()
    }

    pub async fn event(&self, id: i64) -> Result<Option<HookEventRow>, RecordError> {
        let row = hook_events::Entity::find_by_id(id).one(self.db.jobs_reader()).await?;
        row.map(HookEventRow::try_from).transpose()
    }

    /// Forgets events from before an instant that all hooks have passed (`passed`, included) and no dead letter is about.
    pub async fn forget_events(&self, before: Timestamp, passed: i64) -> Result<u64, RecordError> {
        let dead = Query::select()
            .column(hook_letters::Column::Event)
            .from(hook_letters::Entity)
            .and_where(Expr::col(hook_letters::Column::Event).is_not_null())
            .to_owned();
        let txn = self.db.begin().await?;
        let gone = hook_events::Entity::delete_many()
            .filter(C::At.lt(millis(before)))
            .filter(C::Id.lte(passed))
            .filter(C::Id.not_in_subquery(dead))
            .exec(&txn)
            .await?;
        txn.commit().await?;
        Ok(gone.rows_affected)
    }
}

impl TryFrom<hook_events::Model> for HookEventRow {
    type Error = RecordError;

    fn try_from(row: hook_events::Model) -> Result<Self, RecordError> {
        let corrupt = |_| RecordError::Corrupt(format!("the data of the event {}", row.id));
        let data = serde_json::from_str(&row.data).map_err(corrupt)?;
        Ok(Self { id: row.id, at: timestamp(row.at), feed: row.feed, kind: row.kind, data })
    }
}
