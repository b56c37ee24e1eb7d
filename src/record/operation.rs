//! What operators see that is about many rows: the links that expire next, protected revisions, and what came and was archived by day.
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, Order, QueryFilter, QueryOrder, QueryResult, QuerySelect,
};

use super::entity::{files, notifications, publications, revisions};
use super::rows::natural;
use super::{Monitor, RecordError};
use crate::domain::{NotificationId, NotificationStatus, RevisionId, millis, timestamp};
use notifications::Column as N;
use revisions::Column as R;

/// A notification whose file is still to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenLink {
    pub id: NotificationId,
    /// The product's name as announced.
    pub name: Option<String>,
    pub reference_date: Option<String>,
    pub status: NotificationStatus,
    pub attempts: i32,
    pub expires_at: Option<Timestamp>,
    pub next_attempt_at: Option<Timestamp>,
    /// Of the last attempt.
    pub error: Option<String>,
}

/// A revision that is protected from retention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRevision {
    pub id: RevisionId,
    pub file_name: String,
    pub reference_date: String,
    pub reason: Option<String>,
    pub by: Option<String>,
    pub at: Option<Timestamp>,
}

/// What came and was archived on one day of São Paulo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayOfActivity {
    pub notifications: u64,
    /// Bytes of the revisions archived, as published.
    pub bytes: u64,
}

const DAY_MS: i64 = 86_400_000;

/// São Paulo is three hours behind UTC, and has had no daylight-saving time since 2019.
const OFFSET_MS: i64 = 3 * 3_600_000;

/// The day of an instant in São Paulo, counted from 1970-01-01.
fn day_of(column: &str) -> SimpleExpr {
    Expr::cust(format!("({column} - {OFFSET_MS}) / {DAY_MS}"))
}

impl Monitor {
    /// The notifications whose files are still to be fetched, those first whose links expire first.
    pub async fn open_links(&self, limit: u64) -> Result<Vec<OpenLink>, RecordError> {
        let rows = notifications::Entity::find()
            .filter(N::NextAttemptAt.is_not_null())
            .order_by(N::LinkExpiresAt, Order::Asc)
            .limit(limit)
            .select_only()
            .columns([
                N::Id,
                N::Name,
                N::ReferenceDate,
                N::Status,
                N::Attempts,
                N::LinkExpiresAt,
                N::NextAttemptAt,
                N::Error,
            ])
            .into_tuple::<OpenLinkRow>()
            .all(self.db.reader())
            .await?;
        let read = |(id, name, reference_date, status, attempts, expires_at, next, error): OpenLinkRow| OpenLink {
            id: NotificationId(id),
            name,
            reference_date,
            status,
            attempts,
            expires_at: expires_at.map(timestamp),
            next_attempt_at: next.map(timestamp),
            error,
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// The revisions that were protected last.
    pub async fn held(&self, limit: u64) -> Result<Vec<HeldRevision>, RecordError> {
        let rows = revisions::Entity::find()
            .filter(R::Held.eq(true))
            .order_by(R::HeldAt, Order::Desc)
            .limit(limit)
            .all(self.db.reader())
            .await?;
        let ids = rows.iter().map(|row| row.publication_id);
        let dates: BTreeMap<_, String> = publications::Entity::find()
            .filter(publications::Column::Id.is_in(ids))
            .select_only()
            .columns([publications::Column::Id, publications::Column::ReferenceDate])
            .into_tuple()
            .all(self.db.reader())
            .await?
            .into_iter()
            .collect::<BTreeMap<sea_orm::prelude::Uuid, String>>();
        let read = |row: revisions::Model| HeldRevision {
            id: RevisionId(row.id),
            reference_date: dates.get(&row.publication_id).cloned().unwrap_or_default(),
            file_name: row.file_name,
            reason: row.hold_reason,
            by: row.held_by,
            at: row.held_at.map(timestamp),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// What came and was archived, by day of São Paulo, since an instant.
    pub async fn activity(&self, since: Timestamp) -> Result<BTreeMap<Date, DayOfActivity>, RecordError> {
        let mut days: BTreeMap<Date, DayOfActivity> = BTreeMap::new();
        let counted: Vec<(i64, i64)> = notifications::Entity::find()
            .filter(N::ReceivedAt.gte(millis(since)))
            .select_only()
            .expr_as(day_of("received_at"), "day")
            .expr_as(Expr::cust("COUNT(*)"), "n")
            .group_by(day_of("received_at"))
            .into_tuple()
            .all(self.db.reader())
            .await?;
        for (day, count) in counted {
            days.entry(date(day)?).or_default().notifications = natural(count)?;
        }
        let digest = Expr::col((files::Entity, files::Column::Digest)).equals((revisions::Entity, R::Digest));
        let of_revisions = Query::select()
            .expr_as(day_of("revisions.archived_at"), Alias::new("day"))
            .expr_as(Expr::cust("CAST(SUM(files.size) AS BIGINT)"), Alias::new("bytes"))
            .from(revisions::Entity)
            .inner_join(files::Entity, digest)
            .and_where(Expr::col((revisions::Entity, R::ArchivedAt)).gte(millis(since)))
            .add_group_by([day_of("revisions.archived_at")])
            .to_owned();
        let rows = self.db.reader().query_all(&of_revisions).await?;
        let read = |row: QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
        let summed: Vec<(i64, i64)> = rows.into_iter().map(read).collect::<Result<_, DbErr>>()?;
        for (day, bytes) in summed {
            days.entry(date(day)?).or_default().bytes = natural(bytes)?;
        }
        Ok(days)
    }
}

type OpenLinkRow = (
    sea_orm::prelude::Uuid,
    Option<String>,
    Option<String>,
    NotificationStatus,
    i32,
    Option<i64>,
    Option<i64>,
    Option<String>,
);

fn date(day: i64) -> Result<Date, RecordError> {
    let wrong = || RecordError::Corrupt(format!("{day} days after 1970-01-01 is not a valid date"));
    let days = jiff::Span::new().try_days(day).map_err(|_| wrong())?;
    Date::constant(1970, 1, 1).checked_add(days).map_err(|_| wrong())
}
