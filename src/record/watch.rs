//! Counts for those who watch the service.
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::{files, notifications, products, publications, revisions};
use super::{Record, RecordError};
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

#[derive(FromQueryResult)]
struct ByStatus {
    status: String,
    n: i64,
}

impl Record {
    pub async fn counts(&self) -> Result<Counts, RecordError> {
        let reader = self.reader();
        let by_status: Vec<ByStatus> = notifications::Entity::find()
            .select_only()
            .column(N::Status)
            .column_as(N::Id.count(), "n")
            .group_by(N::Status)
            .into_model()
            .all(reader)
            .await?;
        let next: Option<Option<i64>> = notifications::Entity::find()
            .filter(N::Status.is_in(Status::OPEN.iter().map(|s| s.as_str())))
            .select_only()
            .column_as(N::LinkExpiresAt.min(), "at")
            .into_tuple()
            .one(reader)
            .await?;
        let last = notifications::Entity::find().order_by(N::ReceivedAt, Order::Desc).one(reader).await?;
        // Sums are numeric on PostgreSQL; the cast keeps them whole numbers on both.
        let total = |column: files::Column| {
            sea_orm::sea_query::Expr::cust(format!(
                "CAST(COALESCE(SUM({}), 0) AS BIGINT)",
                sea_orm::IdenStatic::as_str(&column)
            ))
        };
        let sums: Option<(i64, i64)> = files::Entity::find()
            .filter(files::Column::RemovedAt.is_null())
            .select_only()
            .expr_as(total(files::Column::Size), "size")
            .expr_as(total(files::Column::StoredSize), "stored")
            .into_tuple()
            .one(reader)
            .await?;
        let (size, stored_size) = sums.unwrap_or_default();
        Ok(Counts {
            by_status: by_status
                .into_iter()
                .map(|row| Ok((row.status.parse().map_err(RecordError::Corrupt)?, super::rows::natural(row.n))))
                .collect::<Result<_, RecordError>>()?,
            next_link_expiry: next.flatten().map(timestamp),
            last_notification_at: last.map(|row| timestamp(row.received_at)),
            products: products::Entity::find().count(reader).await?,
            publications: publications::Entity::find().count(reader).await?,
            revisions: revisions::Entity::find().count(reader).await?,
            files: files::Entity::find().count(reader).await?,
            size,
            stored_size,
        })
    }

    /// The links that die within some time and whose files are still wanted; `names` of them are named.
    pub async fn dying(&self, now: Timestamp, within: Duration, names: u64) -> Result<Dying, RecordError> {
        let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let dying = notifications::Entity::find()
            .filter(N::Status.is_in(Status::OPEN.iter().map(|s| s.as_str())))
            .filter(N::LinkExpiresAt.lte(millis(now).saturating_add(ms(within))))
            .filter(N::ReceivedAt.lte(millis(now).saturating_sub(ms(SETTLING))));
        let some: Vec<(Option<i64>, Option<String>)> = dying
            .clone()
            .select_only()
            .columns([N::LinkExpiresAt, N::Name])
            .order_by(N::LinkExpiresAt, Order::Asc)
            .limit(names)
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok(Dying {
            count: dying.count(self.reader()).await?,
            first: some.first().and_then(|(at, _)| at.map(timestamp)),
            names: some.into_iter().filter_map(|(_, name)| name).collect(),
        })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), RecordError> {
        Ok(self.reader().ping().await?)
    }
}
