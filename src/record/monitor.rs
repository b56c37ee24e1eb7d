//! Counts for operators and metrics.
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::RecordError;
use super::db::Db;
use super::entity::{notifications, products, totals};
use super::intake::{UNRESOLVABLE, UNRESOLVED, with_priority};
use super::rows::{millis_of, natural, texts};
use crate::domain::{NotificationStatus as Status, millis, timestamp};
use notifications::Column as N;

/// Links that expire soon and whose files are not archived yet.
#[derive(Clone, Debug, Default)]
pub struct ExpiringLinks {
    pub count: u64,
    /// When the first one expires.
    pub first: Option<Timestamp>,
    /// Of some of their products.
    pub names: Vec<String>,
}

/// Notifications that are recorded and have no publication yet.
#[derive(Clone, Debug, Default)]
pub struct Unresolved {
    pub count: u64,
    /// When the first of them was received.
    pub since: Option<Timestamp>,
}

/// Notifications that were accepted with a warning.
#[derive(Clone, Debug, Default)]
pub struct RecentWarnings {
    pub count: u64,
    /// The last warning.
    pub last: Option<String>,
}

/// Notifications received within this time are normally being fetched.
const SETTLING: Duration = Duration::from_secs(60);

/// A reason why notifications have no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// RETRYING, FAILED or EXPIRED.
    pub status: Status,
    pub reason: String,
    /// How many of the last ones have it.
    pub count: u64,
    /// The product of one of them.
    pub name: Option<String>,
}

/// Notifications of each kind whose reasons are counted, and reasons that are listed.
const FAILURES_READ: u64 = 1_000;
const REASONS_MAX: usize = 5;

/// Waiting notifications among which the oldest is looked for.
const OLDEST_OF: u64 = 10_000;

/// The state of the whole archive.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// How many notifications are in each state.
    pub by_status: Vec<(Status, u64)>,
    /// When the next link expires whose file is not archived yet.
    pub next_link_expiry: Option<Timestamp>,
    pub last_notification_at: Option<Timestamp>,
    /// When the oldest notification was received whose file is still to be fetched.
    pub waiting_since: Option<Timestamp>,
    pub products: u64,
    pub publications: u64,
    pub revisions: u64,
    /// Distinct files, including removed ones.
    pub files: u64,
    /// Of the distinct files, as published and as stored.
    pub size: i64,
    pub stored_size: i64,
}

impl Counts {
    pub fn of(&self, status: Status) -> u64 {
        self.by_status.iter().find(|(s, _)| *s == status).map_or(0, |(_, n)| *n)
    }
}

/// Counts for operators and metrics.
#[derive(Clone)]
pub struct Monitor {
    pub(super) db: Db,
}

impl Monitor {
    /// Notifications that are recorded and have no publication yet, those that could not be resolved included.
    pub async fn unresolved(&self) -> Result<Unresolved, RecordError> {
        let mut all = Unresolved::default();
        for priority in [UNRESOLVED, UNRESOLVABLE] {
            let counted = notifications::Entity::find()
                .select_only()
                .column_as(N::Id.count(), "n")
                .column_as(N::ReceivedAt.min(), "since")
                .filter(with_priority(priority));
            let counted: Option<(i64, Option<i64>)> = counted.into_tuple().one(self.db.jobs_reader()).await?;
            let (count, since) = counted.unwrap_or_default();
            all.count += natural(count)?;
            all.since = all.since.into_iter().chain(since.map(timestamp)).min();
        }
        Ok(all)
    }

    /// Notifications accepted with a warning since an instant.
    pub async fn warned(&self, since: Timestamp) -> Result<RecentWarnings, RecordError> {
        let reader = self.db.jobs_reader();
        let all = notifications::Entity::find()
            .filter(N::Warnings.is_not_null())
            .filter(N::ReceivedAt.gte(millis(since)))
            .select_only();
        let count: Option<i64> = all.clone().column_as(N::Id.count(), "n").into_tuple().one(reader).await?;
        let last: Option<Option<String>> =
            all.column(N::Warnings).order_by(N::ReceivedAt, Order::Desc).limit(1).into_tuple().one(reader).await?;
        let last = texts(last.flatten().as_deref())?;
        let last = (!last.is_empty()).then(|| last.join("; "));
        Ok(RecentWarnings { count: natural(count.unwrap_or_default())?, last })
    }

    /// Why notifications have no file, the most frequent reasons first: of those between two attempts, and of those received since an
    /// instant that ended without one.
    pub async fn failures(&self, since: Timestamp) -> Result<Vec<Failure>, RecordError> {
        let retrying = notifications::Entity::find()
            .filter(Expr::cust(format!("status = '{}'", Status::Retrying)))
            .order_by(N::NextAttemptAt, Order::Asc);
        let ended = notifications::Entity::find()
            .filter(N::Status.is_in([Status::Failed, Status::Expired]))
            .filter(N::ReceivedAt.gte(millis(since)))
            .order_by(N::ReceivedAt, Order::Desc);
        let mut failures: Vec<Failure> = Vec::new();
        for kind in [retrying, ended] {
            let rows: Vec<(Status, Option<String>, Option<String>)> = kind
                .select_only()
                .columns([N::Status, N::Error, N::Name])
                .limit(FAILURES_READ)
                .into_tuple()
                .all(self.db.jobs_reader())
                .await?;
            for (status, reason, name) in rows {
                let reason = reason.unwrap_or_default();
                match failures.iter_mut().find(|known| known.status == status && known.reason == reason) {
                    Some(known) => known.count += 1,
                    None => failures.push(Failure { status, reason, count: 1, name }),
                }
            }
        }
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
        failures.truncate(REASONS_MAX);
        Ok(failures)
    }

    /// The totals are maintained by the database's triggers, so nothing is scanned.
    pub async fn counts(&self) -> Result<Counts, RecordError> {
        let reader = self.db.jobs_reader();
        let totals = totals::Entity::find().all(reader).await?;
        let totals: HashMap<&str, i64> = totals.iter().map(|row| (row.name.as_str(), row.n)).collect();
        let total = |name: &str| {
            totals.get(name).copied().ok_or_else(|| RecordError::Corrupt(format!("the total `{name}` is missing")))
        };
        let by_status =
            Status::ALL.iter().map(|status| Ok((*status, natural(total(&format!("notifications/{status}"))?)?)));
        let by_status: Vec<(Status, u64)> = by_status.collect::<Result<_, RecordError>>()?;
        let next: Option<Option<i64>> = notifications::Entity::find()
            .filter(N::NextAttemptAt.is_not_null())
            .select_only()
            .column_as(N::LinkExpiresAt.min(), "at")
            .into_tuple()
            .one(reader)
            .await?;
        let last: Option<i64> = notifications::Entity::find()
            .select_only()
            .column(N::ReceivedAt)
            .order_by(N::ReceivedAt, Order::Desc)
            .limit(1)
            .into_tuple()
            .one(reader)
            .await?;
        Ok(Counts {
            by_status: by_status.into_iter().filter(|(_, n)| *n > 0).collect(),
            next_link_expiry: next.flatten().map(timestamp),
            last_notification_at: last.map(timestamp),
            waiting_since: self.waiting_since().await?,
            products: products::Entity::find().count(reader).await?,
            publications: natural(total("publications")?)?,
            revisions: natural(total("revisions")?)?,
            files: natural(total("files")?)?,
            size: total("files/size")?,
            stored_size: total("files/stored_size")?,
        })
    }

    /// When the oldest notification was received that waits for its file: exact for up to [`OLDEST_OF`] of them, else the oldest of
    /// those whose links expire first, which are the oldest as long as all links live equally long.
    async fn waiting_since(&self) -> Result<Option<Timestamp>, RecordError> {
        let expiring = Query::select()
            .column(N::ReceivedAt)
            .from(notifications::Entity)
            .and_where(N::NextAttemptAt.is_not_null())
            .order_by(N::LinkExpiresAt, Order::Asc)
            .limit(OLDEST_OF)
            .to_owned();
        let waiting = Alias::new("waiting");
        let oldest = Query::select()
            .expr_as(Expr::col((waiting.clone(), N::ReceivedAt)).min(), Alias::new("at"))
            .from_subquery(expiring, waiting)
            .to_owned();
        let row = self.db.jobs_reader().query_one(&oldest).await?;
        let at: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        Ok(at.map(timestamp))
    }

    /// The links that expire within some time and whose files are not archived yet, with up to `names` of their products.
    pub async fn expiring_links(
        &self,
        now: Timestamp,
        within: Duration,
        names: u64,
    ) -> Result<ExpiringLinks, RecordError> {
        // Nearly all were received earlier: the sum keeps the planner from choosing their index.
        let received_at = Expr::col(N::ReceivedAt).add(0);
        let expiring = notifications::Entity::find()
            .filter(N::NextAttemptAt.is_not_null())
            .filter(N::LinkExpiresAt.lte(millis(now).saturating_add(millis_of(within)?)))
            .filter(received_at.lte(millis(now).saturating_sub(millis_of(SETTLING)?)));
        let some: Vec<(Option<i64>, Option<String>)> = expiring
            .clone()
            .select_only()
            .columns([N::LinkExpiresAt, N::Name])
            .order_by(N::LinkExpiresAt, Order::Asc)
            .limit(names)
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?;
        Ok(ExpiringLinks {
            count: expiring.count(self.db.jobs_reader()).await?,
            first: some.first().and_then(|(at, _)| at.map(timestamp)),
            names: some.into_iter().filter_map(|(_, name)| name).collect(),
        })
    }
}
