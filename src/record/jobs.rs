//! Runs of jobs: one row each, one run for each slot of a schedule.
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};

use super::db::Db;
use super::entity::{job_runs, state};
use super::newest::newest_first;
use super::{RecordError, batch};
use crate::domain::{millis, timestamp};
use job_runs::Column as C;

/// A run of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRun {
    pub id: String,
    pub name: String,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub outcome: Option<String>,
    pub detail: serde_json::Value,
}

impl TryFrom<job_runs::Model> for JobRun {
    type Error = RecordError;

    fn try_from(row: job_runs::Model) -> Result<Self, RecordError> {
        let broken = |_| RecordError::Corrupt(format!("`{}` is not the detail of the job run {}", row.detail, row.id));
        let detail = serde_json::from_str(&row.detail).map_err(broken)?;
        Ok(Self {
            id: row.id,
            name: row.name,
            started_at: timestamp(row.started_at),
            ended_at: row.ended_at.map(timestamp),
            outcome: row.outcome,
            detail,
        })
    }
}

/// Runs of scheduled jobs.
#[derive(Clone)]
pub struct Jobs {
    pub(super) db: Db,
}

impl Jobs {
    /// Takes a slot of a job's schedule; `None` if it is taken. `replica`: the id of the service that runs it, if others could.
    pub async fn begin(
        &self,
        name: &str,
        slot: Timestamp,
        replica: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>, RecordError> {
        let id = uuid::Uuid::now_v7().to_string();
        let row = job_runs::ActiveModel {
            id: Set(id.clone()),
            name: Set(name.to_owned()),
            slot: Set(millis(slot)),
            started_at: Set(millis(now)),
            ended_at: Set(None),
            outcome: Set(None),
            detail: Set("{}".to_owned()),
            replica: Set(replica.map(str::to_owned)),
        };
        let once = OnConflict::columns([C::Name, C::Slot]).do_nothing().to_owned();
        let txn = self.db.begin().await?;
        let inserted = job_runs::Entity::insert(row).on_conflict(once).exec_without_returning(&txn).await?;
        txn.commit().await?;
        Ok((inserted > 0).then_some(id))
    }

    pub async fn end(
        &self,
        id: &str,
        outcome: &str,
        detail: &serde_json::Value,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        job_runs::Entity::update_many()
            .col_expr(C::EndedAt, Expr::value(millis(now)))
            .col_expr(C::Outcome, Expr::value(outcome))
            .col_expr(C::Detail, Expr::value(detail.to_string()))
            .filter(C::Id.eq(id))
            .exec(&txn)
            .await?;
        Ok(txn.commit().await?)
    }

    /// Releases a slot, so that it can be taken again.
    pub async fn release(&self, id: &str) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        job_runs::Entity::delete_by_id(id).exec(&txn).await?;
        Ok(txn.commit().await?)
    }

    /// Ends the runs that an earlier process left open: for the start of the only process that works on this database.
    pub async fn end_interrupted(&self, now: Timestamp) -> Result<u64, RecordError> {
        let txn = self.db.begin().await?;
        let ended = job_runs::Entity::update_many()
            .col_expr(C::EndedAt, Expr::value(millis(now)))
            .col_expr(C::Outcome, Expr::value("interrupted"))
            .filter(C::EndedAt.is_null())
            .exec(&txn)
            .await?;
        txn.commit().await?;
        Ok(ended.rows_affected)
    }

    /// A page of runs, newest first, and how many there are.
    pub async fn runs(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<(Vec<JobRun>, u64), RecordError> {
        let mut all = job_runs::Entity::find();
        if let Some(name) = name {
            all = all.filter(C::Name.eq(name));
        }
        let (rows, total) = newest_first(&self.db, all, C::Id, after, limit).await?;
        Ok((rows.into_iter().map(JobRun::try_from).collect::<Result<_, _>>()?, total))
    }

    /// Since when a job has a schedule here: slots before that were never missed.
    pub async fn scheduled_since(&self, name: &str, schedule: &str, now: Timestamp) -> Result<Timestamp, RecordError> {
        let key = format!("scheduled:{name}");
        let value = format!("{} {schedule}", millis(now));
        if let Some(row) = state::Entity::find_by_id(&key).one(self.db.reader()).await? {
            let broken =
                || RecordError::Corrupt(format!("`{}` of `{key}` is not an instant and a schedule", row.value));
            let (since, of) = row.value.split_once(' ').ok_or_else(broken)?;
            let since = since.parse().map_err(|_| broken())?;
            if of == schedule {
                return Ok(timestamp(since));
            }
        }
        let row = state::ActiveModel { key: Set(key), value: Set(value) };
        let replace = OnConflict::column(state::Column::Key).update_column(state::Column::Value).to_owned();
        let txn = self.db.begin().await?;
        batch::insert(&txn, vec![row], Some(replace)).await?;
        txn.commit().await?;
        Ok(now)
    }
}
