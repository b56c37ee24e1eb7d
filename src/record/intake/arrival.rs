//! What resolving needs to know of a recorded notification.
use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
};

use super::{NewNotification, UNRESOLVED, with_priority};
use crate::domain::{Announcement, Identity, NotificationId, NotificationStatus, Period, timestamp};
use crate::engine::record::RecordError;
use crate::engine::record::entity::notifications;
use crate::engine::record::rows::local;
use notifications::Column as N;

/// A recorded notification, as far as its publication, its replay and its source depend on it.
pub(in crate::engine::record) struct Arrival {
    pub id: NotificationId,
    pub source: String,
    pub received_at: Timestamp,
    pub announced_at: Timestamp,
    pub list_path: Option<String>,
    /// `None` for a rejected one.
    pub announcement: Option<Announcement>,
}

impl Arrival {
    pub fn of(notification: &NewNotification) -> Self {
        let notice = &notification.notice;
        Self {
            id: notification.id,
            source: notification.source.clone(),
            received_at: notification.received_at,
            announced_at: notification.announced_at(),
            list_path: notice.claims.list_path.clone(),
            announcement: notice.outcome.as_ref().ok().cloned(),
        }
    }

    /// The first notifications that are not resolved, in order of arrival.
    pub async fn unresolved(txn: &DatabaseTransaction, limit: u64) -> Result<Vec<Self>, RecordError> {
        let rows = notifications::Entity::find()
            .select_only()
            .columns([N::Id, N::Source, N::ReceivedAt, N::AnnouncedAt, N::Status, N::ListPath, N::Name, N::Process])
            .columns([N::MacroProcess, N::ReferenceDate, N::PeriodStart, N::PeriodEnd])
            .filter(with_priority(UNRESOLVED))
            .order_by_asc(N::ReceivedAt)
            .order_by_asc(N::Id)
            .limit(limit)
            .into_model::<Row>()
            .all(txn)
            .await?;
        rows.into_iter().map(Self::read).collect()
    }

    fn read(row: Row) -> Result<Self, RecordError> {
        let is_rejected = row.status == NotificationStatus::Rejected;
        let announcement = if is_rejected { None } else { Some(row.announcement()?) };
        Ok(Self {
            id: NotificationId(row.id),
            source: row.source,
            received_at: timestamp(row.received_at),
            announced_at: timestamp(row.announced_at),
            list_path: row.list_path,
            announcement,
        })
    }
}

/// The first notification that is not resolved.
pub(super) async fn first_unresolved<C: ConnectionTrait>(db: &C) -> Result<Option<Uuid>, DbErr> {
    let first = notifications::Entity::find().select_only().column(N::Id).filter(with_priority(UNRESOLVED));
    first.order_by_asc(N::ReceivedAt).order_by_asc(N::Id).limit(1).into_tuple().one(db).await
}

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    source: String,
    received_at: i64,
    announced_at: i64,
    status: NotificationStatus,
    list_path: Option<String>,
    name: Option<String>,
    process: Option<String>,
    macro_process: Option<String>,
    reference_date: Option<String>,
    period_start: Option<String>,
    period_end: Option<String>,
}

impl Row {
    fn announcement(&self) -> Result<Announcement, RecordError> {
        let required = |what: &str, value: &Option<String>| {
            let missing = || RecordError::Corrupt(format!("the notification {} has no {what}", self.id));
            value.clone().ok_or_else(missing)
        };
        let name = required("name", &self.name)?;
        Ok(Announcement {
            identity: Identity::of(self.list_path.as_deref(), &name),
            name,
            process: self.process.clone().unwrap_or_default(),
            macro_process: self.macro_process.clone().unwrap_or_default(),
            reference_date: required("reference date", &self.reference_date)?,
            period: Period {
                start: local(&required("period", &self.period_start)?)?,
                end: local(&required("period", &self.period_end)?)?,
            },
        })
    }
}
