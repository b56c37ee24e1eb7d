//! The services that share the database: each says now and then that it is there and how far its index is. One of them leads: it runs the
//! scheduled jobs. All of it is written in one transaction, because each commit empties the caches of queries.
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set,
};

use super::db::Db;
use super::entity::{changes, job_runs, replicas, state};
use super::locks;
use super::rows::millis_of;
use super::{RecordError, batch};
use crate::domain::{Lock, millis, timestamp};
use replicas::Column as R;

/// The lock of the service that leads.
const LEADER: &str = "scheduler";

/// How long a service that is gone is still listed.
const LISTED_FOR: Duration = Duration::from_secs(24 * 3600);

/// A service that shares the database, as it was when it was last heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    pub name: String,
    pub version: String,
    pub started_at: Timestamp,
    pub seen_at: Timestamp,
    /// The number of the feed that its index had then.
    pub feed: i64,
    /// The changes that its index did not have then.
    pub lag: i64,
    /// Not heard of for longer than one that works would be.
    pub is_gone: bool,
    /// Whether it runs the scheduled jobs.
    pub leads: bool,
}

/// What a service says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat<'a> {
    /// Of the process; a service that is started again has another one.
    pub id: &'a str,
    pub name: &'a str,
    pub version: &'a str,
    pub started_at: Timestamp,
    /// The number of the feed that its index has.
    pub feed: i64,
    /// For how long it counts as there, and leads if it does, unless it is heard of again.
    pub lasts: Duration,
}

/// What follows from a heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beaten {
    /// Whether the service leads.
    pub leads: bool,
    /// The jobs of runs that services which are gone have left. Their slots are free again.
    pub abandoned: Vec<String>,
}

/// The services that share the database.
#[derive(Clone)]
pub struct Replicas {
    pub(super) db: Db,
}

impl Replicas {
    /// Notes that a service is there. It leads from then on if no other does. The clock is the one that all share.
    pub async fn beat(&self, beat: &Heartbeat<'_>, now: Timestamp) -> Result<Beaten, RecordError> {
        let txn = self.db.begin().await?;
        let now = locks::read_clock(&txn, self.db.shared_clock(now)).await?;
        let row = replicas::ActiveModel {
            id: Set(beat.id.to_owned()),
            name: Set(beat.name.to_owned()),
            version: Set(beat.version.to_owned()),
            started_at: Set(millis(beat.started_at)),
            seen_at: Set(now),
            index_feed: Set(beat.feed),
            record_feed: Set(head(&txn).await?.max(beat.feed)),
        };
        let replace = OnConflict::column(R::Id)
            .update_columns([R::Name, R::Version, R::StartedAt, R::SeenAt, R::IndexFeed, R::RecordFeed])
            .to_owned();
        batch::insert(&txn, vec![row], Some(replace)).await?;
        let lasts = millis_of(beat.lasts)?;
        let oldest = now.saturating_sub(millis_of(LISTED_FOR)?);
        replicas::Entity::delete_many().filter(R::SeenAt.lt(oldest)).exec(&txn).await?;
        let lock = locks::read(&txn, LEADER).await?;
        let leads = lock.is_none_or(|lock| lock.is_free(now, lasts) || lock.holder == beat.id);
        let mut abandoned = Vec::new();
        if leads {
            let lock = Lock { holder: beat.id.to_owned(), until: now.saturating_add(lasts) };
            locks::write(&txn, LEADER, &lock).await?;
            abandoned = release_abandoned(&txn, now.saturating_sub(lasts)).await?;
        }
        txn.commit().await?;
        Ok(Beaten { leads, abandoned })
    }

    /// Forgets the earlier processes of a service that is starting, which has the same name.
    pub async fn forget_earlier(&self, id: &str, name: &str) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        replicas::Entity::delete_many().filter(R::Name.eq(name)).filter(R::Id.ne(id)).exec(&txn).await?;
        Ok(txn.commit().await?)
    }

    /// Forgets a service that has stopped, so that another one leads at once.
    pub async fn leave(&self, id: &str) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        replicas::Entity::delete_by_id(id).exec(&txn).await?;
        if locks::read(&txn, LEADER).await?.is_some_and(|lock| lock.holder == id) {
            state::Entity::delete_by_id(locks::key_of(LEADER)).exec(&txn).await?;
        }
        Ok(txn.commit().await?)
    }

    /// All that were heard of lately, by name. One counts as gone after it was silent for `lasts`.
    pub async fn all(&self, lasts: Duration, now: Timestamp) -> Result<Vec<Replica>, RecordError> {
        let reader = self.db.jobs_reader();
        let now = locks::read_clock(reader, self.db.shared_clock(now)).await?;
        let leader = locks::read(reader, LEADER).await?.filter(|lock| lock.until > now);
        let rows =
            replicas::Entity::find().order_by(R::Name, Order::Asc).order_by(R::Id, Order::Asc).all(reader).await?;
        let gone_before = now.saturating_sub(millis_of(lasts)?);
        let replica = |row: replicas::Model| Replica {
            leads: leader.as_ref().is_some_and(|lock| lock.holder == row.id),
            name: row.name,
            version: row.version,
            started_at: timestamp(row.started_at),
            seen_at: timestamp(row.seen_at),
            feed: row.index_feed,
            lag: row.record_feed - row.index_feed,
            is_gone: row.seen_at < gone_before,
        };
        Ok(rows.into_iter().map(replica).collect())
    }
}

async fn head(txn: &DatabaseTransaction) -> Result<i64, RecordError> {
    let number = changes::Entity::find().select_only().column(changes::Column::Number);
    let last: Option<i64> = number.order_by_desc(changes::Column::Number).limit(1).into_tuple().one(txn).await?;
    Ok(last.unwrap_or_default())
}

/// Deletes the open runs of services that were not heard of since an instant, so that their slots can be taken again. A service that was
/// only slow goes on with its run; what it does is safe beside another one, and its end finds no row.
async fn release_abandoned(txn: &DatabaseTransaction, gone_before: i64) -> Result<Vec<String>, RecordError> {
    let present = replicas::Entity::find().select_only().column(R::Id).filter(R::SeenAt.gte(gone_before));
    let open = job_runs::Entity::find()
        .filter(job_runs::Column::EndedAt.is_null())
        .filter(job_runs::Column::Replica.is_not_null())
        .filter(job_runs::Column::Replica.not_in_subquery(present.into_query()));
    let runs = open.all(txn).await?;
    if !runs.is_empty() {
        let ids = runs.iter().map(|run| run.id.clone());
        job_runs::Entity::delete_many().filter(job_runs::Column::Id.is_in(ids)).exec(txn).await?;
    }
    Ok(runs.into_iter().map(|run| run.name).collect())
}
