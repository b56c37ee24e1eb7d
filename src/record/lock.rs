//! Locks between processes: one at a time, whatever machine it is on.
use jiff::Timestamp;
use sea_orm::{EntityTrait, Set};

use super::entity::state;
use super::{Record, RecordError, batch};
use crate::domain::millis;

impl Record {
    /// Takes a lock that others see, for so long; its holder may take it again. `false` while somebody else has it.
    pub async fn lock(&self, name: &str, holder: &str, now: Timestamp, until: Timestamp) -> Result<bool, RecordError> {
        let key = format!("lock:{name}");
        let txn = self.begin().await?;
        let held = state::Entity::find_by_id(&key).one(&txn).await?;
        let free = held.as_ref().is_none_or(|row| {
            let (owner, until) = row.value.split_once(' ').unwrap_or_default();
            owner == holder || until.parse::<i64>().is_ok_and(|until| until <= millis(now))
        });
        if free {
            let row = state::ActiveModel { key: Set(key), value: Set(format!("{holder} {}", millis(until))) };
            let replace = sea_orm::sea_query::OnConflict::column(state::Column::Key)
                .update_column(state::Column::Value)
                .to_owned();
            batch::insert(&txn, vec![row], Some(replace)).await?;
        }
        txn.commit().await?;
        Ok(free)
    }

    pub async fn unlock(&self, name: &str) -> Result<(), RecordError> {
        state::Entity::delete_by_id(format!("lock:{name}")).exec(&self.inner.writer).await?;
        Ok(())
    }
}
