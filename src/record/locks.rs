//! Locks between processes: one holder at a time, on all machines. A lock has an owner and an end; an owner that does not
//! renew it in time loses it.
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait, Set};

use super::compaction::LockHolder;
use super::db::Db;
use super::entity::state;
use super::rows::millis_of;
use super::{RecordError, batch};
use crate::domain::Lock;

/// Locks between processes.
#[derive(Clone)]
pub struct Locks {
    pub(super) db: Db,
}

impl Locks {
    /// Takes a free lock for `hold_for`; `false` if another has it. The clock is the one that all processes of this database
    /// share.
    pub async fn take(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        hold_for: Duration,
    ) -> Result<bool, RecordError> {
        let (txn, now) = self.begin(now).await?;
        let hold_for = millis_of(hold_for)?;
        let is_free = read(&txn, name).await?.is_none_or(|lock| lock.is_free(now, hold_for) || lock.holder == holder);
        if is_free {
            write(&txn, name, &Lock { holder: holder.to_owned(), until: now.saturating_add(hold_for) }).await?;
        }
        txn.commit().await?;
        Ok(is_free)
    }

    /// Renews a lock, which then ends `hold_for` from now. `false` if the holder no longer has it.
    pub async fn renew(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        hold_for: Duration,
    ) -> Result<bool, RecordError> {
        let (txn, now) = self.begin(now).await?;
        let is_held = read(&txn, name).await?.is_some_and(|lock| lock.holder == holder);
        if is_held {
            let until = now.saturating_add(millis_of(hold_for)?);
            write(&txn, name, &Lock { holder: holder.to_owned(), until }).await?;
        }
        txn.commit().await?;
        Ok(is_held)
    }

    /// Releases a lock; `false` if the holder does not have it.
    pub async fn release(&self, name: &str, holder: &str) -> Result<bool, RecordError> {
        let txn = self.db.begin().await?;
        let is_held = read(&txn, name).await?.is_some_and(|lock| lock.holder == holder);
        if is_held {
            state::Entity::delete_by_id(key_of(name)).exec(&txn).await?;
        }
        txn.commit().await?;
        Ok(is_held)
    }

    /// A transaction that writes, and the time by the clock that all processes of the database share.
    async fn begin(&self, now: Timestamp) -> Result<(DatabaseTransaction, i64), RecordError> {
        let txn = self.db.begin().await?;
        let now = read_clock(&txn, self.db.shared_clock(now)).await?;
        Ok((txn, now))
    }
}

/// An error unless the lock is held by this holder, for a transaction that nobody else may make.
pub(super) async fn require_held(txn: &DatabaseTransaction, lock: LockHolder<'_>) -> Result<(), RecordError> {
    match read(txn, lock.lock).await? {
        Some(found) if found.holder == lock.holder => Ok(()),
        Some(_) | None => Err(RecordError::LockLost(lock.lock.to_owned())),
    }
}

pub(super) fn key_of(name: &str) -> String {
    format!("lock:{name}")
}

pub(super) async fn read<C: ConnectionTrait>(txn: &C, name: &str) -> Result<Option<Lock>, RecordError> {
    let row = state::Entity::find_by_id(key_of(name)).one(txn).await?;
    row.map(|row| row.value.parse().map_err(|e| RecordError::Corrupt(format!("`{}`: {e}", row.key)))).transpose()
}

pub(super) async fn write(txn: &DatabaseTransaction, name: &str, lock: &Lock) -> Result<(), RecordError> {
    let row = state::ActiveModel { key: Set(key_of(name)), value: Set(lock.to_string()) };
    let replace = OnConflict::column(state::Column::Key).update_column(state::Column::Value).to_owned();
    Ok(batch::insert(txn, vec![row], Some(replace)).await?)
}

pub(super) async fn read_clock<C: ConnectionTrait>(db: &C, clock: Expr) -> Result<i64, RecordError> {
    let statement = Query::select().expr_as(clock, "at").to_owned();
    let row = db.query_one(&statement).await?;
    let row = row.ok_or_else(|| RecordError::Corrupt("the database did not return the time".to_owned()))?;
    Ok(row.try_get_by_index(0)?)
}
