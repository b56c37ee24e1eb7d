//! Sources of notifications: when each sent some, and their refused logins.
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, Order, QueryFilter, QueryOrder, Set};

use super::db::Db;
use super::entity::{source_hours, sources};
use super::intake::Arrival;
use super::rows::{long, natural};
use super::{RecordError, batch};
use crate::domain::{Silence, history_start, millis, timestamp};

const HOUR_MS: i64 = 3_600_000;

/// Wrong API keys are counted like those of a source, under a name that no source can have.
pub const API_KEYS: &str = "(api keys)";

/// One source of notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub last_notification_at: Option<Timestamp>,
    /// All refused logins.
    pub denied: u64,
    pub last_denied_at: Option<Timestamp>,
}

fn hour_of(at: Timestamp) -> i64 {
    millis(at).div_euclid(HOUR_MS)
}

/// Counts notifications by source and hour.
pub(super) async fn count_active_hours(txn: &DatabaseTransaction, new: &[Arrival]) -> Result<(), DbErr> {
    use source_hours::Column as H;
    let mut active: BTreeMap<(&str, i64), i64> = BTreeMap::new();
    for notification in new {
        *active.entry((&notification.source, hour_of(notification.received_at))).or_default() += 1;
    }
    let rows = active.into_iter().map(|((source, hour), n)| source_hours::ActiveModel {
        source: Set(source.to_owned()),
        hour: Set(hour),
        n: Set(n),
    });
    let counted =
        OnConflict::columns([H::Source, H::Hour]).value(H::N, Expr::cust("source_hours.n + excluded.n")).to_owned();
    batch::insert(txn, rows.collect(), Some(counted)).await
}

/// Sources of notifications: when each sent some, and their refused logins.
#[derive(Clone)]
pub struct Sources {
    pub(super) db: Db,
}

impl Sources {
    /// All sources that ever sent something or were refused, by name.
    pub async fn all(&self) -> Result<Vec<Source>, RecordError> {
        let rows =
            sources::Entity::find().order_by(sources::Column::Name, Order::Asc).all(self.db.jobs_reader()).await?;
        let source = |row: sources::Model| {
            Ok(Source {
                name: row.name,
                last_notification_at: row.last_at.map(timestamp),
                denied: natural(row.denied)?,
                last_denied_at: row.denied_at.map(timestamp),
            })
        };
        rows.into_iter().map(source).collect()
    }

    /// The hours (since 1970, UTC) from one instant to another in which a source sent something, and how often in each.
    async fn active_hours(
        &self,
        source: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<HashMap<i64, u64>, RecordError> {
        use source_hours::Column as H;
        let rows = source_hours::Entity::find()
            .filter(H::Source.eq(source))
            .filter(H::Hour.between(hour_of(from), hour_of(to)))
            .all(self.db.jobs_reader())
            .await?;
        rows.into_iter().map(|row| Ok((row.hour, natural(row.n)?))).collect()
    }

    /// Whether a source has been silent for longer than its history makes likely, and for at least `floor`.
    pub async fn is_silent(&self, source: &Source, floor: Duration, now: Timestamp) -> Result<bool, RecordError> {
        let Some(last) = source.last_notification_at else { return Ok(false) };
        let silence = Silence { since: last, now };
        if !silence.lasts(floor) {
            return Ok(false);
        }
        Ok(silence.is_unlikely(&self.active_hours(&source.name, history_start(last), last).await?))
    }

    /// Counts refused logins.
    pub async fn note_denied(&self, source: &str, count: u64, at: Timestamp) -> Result<(), RecordError> {
        use sources::Column as C;
        let row = sources::ActiveModel {
            name: Set(source.to_owned()),
            last_at: Set(None),
            run_started_at: Set(None),
            run_count: Set(0),
            run_known: Set(0),
            run_replay: Set(None),
            denied: Set(long(count)?),
            denied_at: Set(Some(millis(at))),
        };
        let counted = OnConflict::column(C::Name)
            .value(C::Denied, Expr::cust("sources.denied + excluded.denied"))
            .update_column(C::DeniedAt)
            .to_owned();
        let txn = self.db.begin().await?;
        batch::insert(&txn, vec![row], Some(counted)).await?;
        Ok(txn.commit().await?)
    }
}
