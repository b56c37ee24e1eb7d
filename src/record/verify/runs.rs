//! Runs of verification, and the cycles that scheduled runs make.
use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Set};

use super::Verify;
use crate::domain::{Digest, Share, millis, timestamp};
use crate::engine::record::RecordError;
use crate::engine::record::entity::{verify_cycles, verify_runs};
use crate::engine::record::newest::newest_first;
use crate::engine::record::rows::{long, natural};
use verify_runs::Column as R;

/// A run of verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyRun {
    pub id: String,
    /// Whether the schedule started it.
    pub scheduled: bool,
    pub share: Share,
    pub started_at: Timestamp,
    /// When its progress was saved last.
    pub updated_at: Timestamp,
    /// Absent while it runs, and if it was interrupted.
    pub ended_at: Option<Timestamp>,
    /// The digest that it continues at; `None` once all files of its share are verified.
    pub next: Option<Digest>,
    pub files: u64,
    /// As published.
    pub bytes: u64,
    /// What is broken in its share, when it ended.
    pub broken: Option<u64>,
}

/// A pass over the whole archive, in one run or in many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyCycle {
    pub id: String,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Everything before this point is verified, see [`Share`].
    pub point: u64,
}

impl VerifyCycle {
    /// How much of the archive it has verified, from 0 to 1.
    pub fn progress(&self) -> f64 {
        self.point as f64 / Share::END as f64
    }
}

impl TryFrom<verify_runs::Model> for VerifyRun {
    type Error = RecordError;

    fn try_from(row: verify_runs::Model) -> Result<Self, RecordError> {
        let (from, to) = (natural(row.from_point)?, natural(row.to_point)?);
        let wrong = || RecordError::Corrupt(format!("the verify run {} is from {from} to {to}", row.id));
        Ok(Self {
            share: Share::new(from, to).ok_or_else(wrong)?,
            id: row.id,
            scheduled: row.scheduled,
            started_at: timestamp(row.started_at),
            updated_at: timestamp(row.updated_at),
            ended_at: row.ended_at.map(timestamp),
            next: row.next,
            files: natural(row.files)?,
            bytes: natural(row.bytes)?,
            broken: row.broken.map(natural).transpose()?,
        })
    }
}

impl TryFrom<verify_cycles::Model> for VerifyCycle {
    type Error = RecordError;

    fn try_from(row: verify_cycles::Model) -> Result<Self, RecordError> {
        Ok(Self {
            id: row.id,
            started_at: timestamp(row.started_at),
            ended_at: row.ended_at.map(timestamp),
            point: natural(row.point)?,
        })
    }
}

impl Verify {
    /// Begins a run.
    pub async fn begin_run(&self, share: Share, scheduled: bool, now: Timestamp) -> Result<VerifyRun, RecordError> {
        let id = uuid::Uuid::now_v7().to_string();
        let row = verify_runs::ActiveModel {
            id: Set(id.clone()),
            scheduled: Set(scheduled),
            from_point: Set(long(share.from)?),
            to_point: Set(long(share.to)?),
            started_at: Set(millis(now)),
            updated_at: Set(millis(now)),
            ended_at: Set(None),
            next: Set(Some(share.digests().first)),
            files: Set(0),
            bytes: Set(0),
            broken: Set(None),
        };
        let txn = self.db.begin().await?;
        verify_runs::Entity::insert(row).exec_without_returning(&txn).await?;
        txn.commit().await?;
        let missing = || RecordError::Corrupt(format!("the verify run {id} was not recorded"));
        self.run(&id).await?.ok_or_else(missing)
    }

    /// Saves the progress of a run.
    pub async fn save_progress(&self, run: &VerifyRun, now: Timestamp) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        verify_runs::Entity::update_many()
            .col_expr(R::UpdatedAt, Expr::value(millis(now)))
            .col_expr(R::Next, Expr::value(run.next))
            .col_expr(R::Files, Expr::value(long(run.files)?))
            .col_expr(R::Bytes, Expr::value(long(run.bytes)?))
            .filter(R::Id.eq(&run.id))
            .filter(R::EndedAt.is_null())
            .exec(&txn)
            .await?;
        Ok(txn.commit().await?)
    }

    /// Ends a run.
    pub async fn end_run(&self, run: &str, broken: u64, now: Timestamp) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        verify_runs::Entity::update_many()
            .col_expr(R::UpdatedAt, Expr::value(millis(now)))
            .col_expr(R::EndedAt, Expr::value(millis(now)))
            .col_expr(R::Broken, Expr::value(long(broken)?))
            .filter(R::Id.eq(run))
            .exec(&txn)
            .await?;
        Ok(txn.commit().await?)
    }

    /// Gives up the runs that have not ended and that nobody continues: those of this kind, with this share if one is given.
    pub async fn give_up_runs(&self, scheduled: bool, share: Option<Share>) -> Result<(), RecordError> {
        let mut open =
            verify_runs::Entity::delete_many().filter(R::EndedAt.is_null()).filter(R::Scheduled.eq(scheduled));
        if let Some(share) = share {
            open = open.filter(R::FromPoint.eq(long(share.from)?)).filter(R::ToPoint.eq(long(share.to)?));
        }
        let txn = self.db.begin().await?;
        open.exec(&txn).await?;
        Ok(txn.commit().await?)
    }

    /// The last run that has not ended, of this kind and, if one is given, of this share.
    pub async fn open_run(&self, scheduled: bool, share: Option<Share>) -> Result<Option<VerifyRun>, RecordError> {
        let mut open = verify_runs::Entity::find().filter(R::EndedAt.is_null()).filter(R::Scheduled.eq(scheduled));
        if let Some(share) = share {
            open = open.filter(R::FromPoint.eq(long(share.from)?)).filter(R::ToPoint.eq(long(share.to)?));
        }
        let row = open.order_by(R::Id, Order::Desc).one(self.db.reader()).await?;
        row.map(VerifyRun::try_from).transpose()
    }

    pub async fn run(&self, id: &str) -> Result<Option<VerifyRun>, RecordError> {
        let row = verify_runs::Entity::find_by_id(id).one(self.db.reader()).await?;
        row.map(VerifyRun::try_from).transpose()
    }

    /// Newest first.
    pub async fn runs(&self, after: Option<&str>, limit: u64) -> Result<(Vec<VerifyRun>, u64), RecordError> {
        let (rows, total) = newest_first(&self.db, verify_runs::Entity::find(), R::Id, after, limit).await?;
        Ok((rows.into_iter().map(VerifyRun::try_from).collect::<Result<_, _>>()?, total))
    }

    /// Bytes that all runs have read, as published.
    pub async fn bytes_read(&self) -> Result<u64, RecordError> {
        let sum = Expr::cust("CAST(COALESCE(SUM(bytes), 0) AS bigint)");
        let row: Option<i64> = verify_runs::Entity::find()
            .select_only()
            .column_as(sum, "bytes")
            .into_tuple()
            .one(self.db.reader())
            .await?;
        natural(row.unwrap_or_default())
    }

    /// The cycle that is in progress.
    pub async fn open_cycle(&self) -> Result<Option<VerifyCycle>, RecordError> {
        use verify_cycles::Column as C;
        let open = verify_cycles::Entity::find().filter(C::EndedAt.is_null()).order_by(C::Id, Order::Desc);
        open.one(self.db.reader()).await?.map(VerifyCycle::try_from).transpose()
    }

    /// The last complete cycle.
    pub async fn last_cycle(&self) -> Result<Option<VerifyCycle>, RecordError> {
        use verify_cycles::Column as C;
        let ended = verify_cycles::Entity::find().filter(C::EndedAt.is_not_null()).order_by(C::EndedAt, Order::Desc);
        ended.one(self.db.reader()).await?.map(VerifyCycle::try_from).transpose()
    }

    /// Begins a cycle, or records one that is complete.
    pub async fn add_cycle(
        &self,
        started_at: Timestamp,
        ended_at: Option<Timestamp>,
    ) -> Result<VerifyCycle, RecordError> {
        let point = if ended_at.is_some() { Share::END } else { 0 };
        let id = uuid::Uuid::now_v7().to_string();
        let cycle = VerifyCycle { id, started_at, ended_at, point };
        let row = verify_cycles::ActiveModel {
            id: Set(cycle.id.clone()),
            started_at: Set(millis(started_at)),
            ended_at: Set(ended_at.map(millis)),
            point: Set(long(point)?),
        };
        let txn = self.db.begin().await?;
        verify_cycles::Entity::insert(row).exec_without_returning(&txn).await?;
        txn.commit().await?;
        Ok(cycle)
    }

    /// Everything up to a point is verified; at the last one the cycle ends.
    pub async fn advance_cycle(&self, cycle: &str, point: u64, now: Timestamp) -> Result<(), RecordError> {
        use verify_cycles::Column as C;
        let ended_at = (point >= Share::END).then(|| millis(now));
        let txn = self.db.begin().await?;
        verify_cycles::Entity::update_many()
            .col_expr(C::Point, Expr::value(long(point)?))
            .col_expr(C::EndedAt, Expr::value(ended_at))
            .filter(C::Id.eq(cycle))
            .exec(&txn)
            .await?;
        Ok(txn.commit().await?)
    }
}
