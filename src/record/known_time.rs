//! The time that has certainly passed: when the last process ran, and what the portal's clock said.
use jiff::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Set};

use super::db::Db;
use super::entity::{changes, notifications, state};
use super::{IMPORT, RecordError};
use crate::domain::{millis, timestamp};
use notifications::Column as N;

/// The key of the last known time.
const KEY: &str = "clock";

/// The time that has certainly passed.
#[derive(Clone)]
pub struct KnownTime {
    pub(super) db: Db,
}

impl KnownTime {
    /// The last known time; `None` in a new archive.
    pub async fn last(&self) -> Result<Option<Timestamp>, RecordError> {
        let kept = state::Entity::find_by_id(KEY).one(self.db.jobs_reader()).await?;
        if let Some(row) = kept {
            let at = row.value.parse();
            let at = at.map_err(|_| RecordError::Corrupt(format!("`{}` of `{KEY}` is not an instant", row.value)))?;
            return Ok(Some(timestamp(at)));
        }
        let last =
            changes::Entity::find().order_by(changes::Column::Number, Order::Desc).one(self.db.jobs_reader()).await?;
        Ok(last.map(|row| timestamp(row.at)))
    }

    pub async fn save(&self, at: Timestamp) -> Result<(), RecordError> {
        let row = state::ActiveModel { key: Set(KEY.to_owned()), value: Set(millis(at).to_string()) };
        let replace = OnConflict::column(state::Column::Key).update_column(state::Column::Value).to_owned();
        let txn = self.db.begin().await?;
        state::Entity::insert(row).on_conflict(replace).exec_without_returning(&txn).await?;
        Ok(txn.commit().await?)
    }

    /// When the last notifications since an instant were sent, by the portal's clock, and received, by ours.
    pub async fn sent_and_received(&self, since: Timestamp) -> Result<Vec<(Timestamp, Timestamp)>, RecordError> {
        let rows: Vec<(Option<i64>, i64)> = notifications::Entity::find()
            .select_only()
            .columns([N::NotBefore, N::ReceivedAt])
            .filter(N::ReceivedAt.gte(millis(since)))
            .filter(N::NotBefore.is_not_null())
            .filter(N::Source.ne(IMPORT))
            .order_by(N::ReceivedAt, Order::Desc)
            .limit(50)
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?;
        Ok(rows.into_iter().filter_map(|(sent, received)| Some((timestamp(sent?), timestamp(received)))).collect())
    }
}
