//! Counts for those who watch the service.
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::RecordError;
use super::db::Db;
use super::entity::{notifications, products, totals};
use super::rows::{natural, texts};
use crate::domain::{NotificationStatus as Status, millis, timestamp};
use notifications::Column as N;

/// Links that die soon while their files are still wanted.
#[derive(Clone, Debug, Default)]
pub struct Dying {
    pub count: u64,
    /// When the first one dies.
    pub first: Option<Timestamp>,
    /// Of some of their products.
    pub names: Vec<String>,
}

/// Notifications that were taken with a warning.
#[derive(Clone, Debug, Default)]
pub struct Warned {
    pub count: u64,
    /// What the last one was warned of.
    pub last: Option<String>,
}

/// What was received a moment ago is on its way and no worry yet.
const SETTLING: Duration = Duration::from_secs(60);

/// The state of the whole archive.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// How many notifications are in each state.
    pub by_status: Vec<(Status, u64)>,
    /// Of the links that are still wanted, when the first one dies.
    pub next_link_expiry: Option<Timestamp>,
    pub last_notification_at: Option<Timestamp>,
    pub products: u64,
    pub publications: u64,
    pub revisions: u64,
    /// Different files, those that were removed among them.
    pub files: u64,
    /// Of the different files, as published and as stored.
    pub size: i64,
    pub stored_size: i64,
}

impl Counts {
    pub fn of(&self, status: Status) -> u64 {
        self.by_status.iter().find(|(s, _)| *s == status).map_or(0, |(_, n)| *n)
    }
}

/// Counts for those who watch the service.
#[derive(Clone)]
pub struct Monitor {
    pub(super) db: Db,
}

impl Monitor {
    /// Those taken with a warning since an instant.
    pub async fn warned(&self, since: Timestamp) -> Result<Warned, RecordError> {
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
        Ok(Warned { count: natural(count.unwrap_or_default()), last })
    }

    /// The totals are kept by the database's triggers: nothing is gone through to count it.
    pub async fn counts(&self) -> Result<Counts, RecordError> {
        let reader = self.db.jobs_reader();
        let totals = totals::Entity::find().all(reader).await?;
        let totals: HashMap<&str, i64> = totals.iter().map(|row| (row.name.as_str(), row.n)).collect();
        let total =
            |name: &str| totals.get(name).copied().ok_or_else(|| RecordError::Corrupt(format!("no total of {name}")));
        let by_status = Status::ALL
            .iter()
            .map(|status| Ok((*status, natural(total(&format!("notifications/{}", status.as_str()))?))));
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
            products: products::Entity::find().count(reader).await?,
            publications: natural(total("publications")?),
            revisions: natural(total("revisions")?),
            files: natural(total("files")?),
            size: total("files/size")?,
            stored_size: total("files/stored_size")?,
        })
    }

    /// The links that die within some time and whose files are still wanted; `names` of them are named.
    pub async fn dying(&self, now: Timestamp, within: Duration, names: u64) -> Result<Dying, RecordError> {
        let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        // Nearly all were received earlier: the sum keeps the index of these from being taken for the one to use.
        let received_at = Expr::col(N::ReceivedAt).add(0);
        let dying = notifications::Entity::find()
            .filter(N::NextAttemptAt.is_not_null())
            .filter(N::LinkExpiresAt.lte(millis(now).saturating_add(ms(within))))
            .filter(received_at.lte(millis(now).saturating_sub(ms(SETTLING))));
        let some: Vec<(Option<i64>, Option<String>)> = dying
            .clone()
            .select_only()
            .columns([N::LinkExpiresAt, N::Name])
            .order_by(N::LinkExpiresAt, Order::Asc)
            .limit(names)
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?;
        Ok(Dying {
            count: dying.count(self.db.jobs_reader()).await?,
            first: some.first().and_then(|(at, _)| at.map(timestamp)),
            names: some.into_iter().filter_map(|(_, name)| name).collect(),
        })
    }
}
