//! Locks between processes: one at a time, whatever machine it is on.
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set};

use super::entity::state;
use super::rows::millis_of;
use super::{Record, RecordError, batch};

impl Record {
    /// Takes a lock that others see, for so long; its holder may take it again. `false` while somebody else has it. What
    /// counts is the clock that all who share the database go by.
    pub async fn lock(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        hold_for: Duration,
    ) -> Result<bool, RecordError> {
        let key = format!("lock:{name}");
        let txn = self.begin().await?;
        let now: i64 = read_clock(&txn, self.shared_clock(now)).await?;
        let hold_for = millis_of(hold_for);
        let held = state::Entity::find_by_id(&key).one(&txn).await?;
        let free = match &held {
            None => true,
            Some(row) => {
                let (owner, until) = parse(row)?;
                // One that ends later than any lock can was taken while the clock was wrong.
                owner == holder || until <= now || until > now.saturating_add(hold_for.saturating_mul(4))
            }
        };
        if free {
            let row =
                state::ActiveModel { key: Set(key), value: Set(format!("{holder} {}", now.saturating_add(hold_for))) };
            let replace = sea_orm::sea_query::OnConflict::column(state::Column::Key)
                .update_column(state::Column::Value)
                .to_owned();
            batch::insert(&txn, vec![row], Some(replace)).await?;
        }
        txn.commit().await?;
        Ok(free)
    }

    /// Gives a lock back. Another's is left alone.
    pub async fn unlock(&self, name: &str, holder: &str) -> Result<(), RecordError> {
        state::Entity::delete_many()
            .filter(state::Column::Key.eq(format!("lock:{name}")))
            .filter(state::Column::Value.starts_with(format!("{holder} ")))
            .exec(&self.inner.writer)
            .await?;
        Ok(())
    }
}

/// Who holds a lock, and until when.
fn parse(row: &state::Model) -> Result<(&str, i64), RecordError> {
    row.value.split_once(' ').and_then(|(owner, until)| Some((owner, until.parse().ok()?))).ok_or_else(|| {
        RecordError::Corrupt(format!("`{}` of `{}` is not the holder of a lock and an instant", row.value, row.key))
    })
}

async fn read_clock(txn: &DatabaseTransaction, clock: Expr) -> Result<i64, RecordError> {
    let statement = Query::select().expr_as(clock, "at").to_owned();
    let row = txn.query_one(&statement).await?;
    let row = row.ok_or_else(|| RecordError::Corrupt("the database does not tell the time".to_owned()))?;
    Ok(row.try_get_by_index(0)?)
}
