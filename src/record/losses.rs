//! Lost publications, and who has acknowledged that they are.
//!
//! A publication is lost when the last link to its file has expired. An operator who knows of it acknowledges it, so that an alert
//! ends; a new loss of the same publication is not acknowledged.
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, SelectStatement};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use super::RecordError;
use super::batch::{PAGE, padded};
use super::db::Db;
use super::entity::{notifications, products, publications};
use super::rows::natural;
use crate::domain::{NotificationId, NotificationStatus, PublicationId, PublicationStatus, millis, timestamp};
use notifications::Column as N;
use publications::Column as P;

/// A publication whose file is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    pub publication: PublicationId,
    /// The product's name.
    pub name: String,
    pub reference_date: String,
    pub lost_at: Option<Timestamp>,
    /// Why its file could not be fetched, as its last notification says.
    pub reason: Option<String>,
    pub last_notification: Option<LastNotification>,
    pub acknowledged: Option<Acknowledgement>,
}

/// The last notification of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastNotification {
    pub id: NotificationId,
    pub status: NotificationStatus,
}

/// Who knows of a loss, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    pub at: Timestamp,
    /// The name of the key, or the user of the machine.
    pub by: String,
}

/// How many publications are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossCounts {
    pub unacknowledged: u64,
    pub acknowledged: u64,
}

/// Why losses are not acknowledged. None of a request with such an id is.
#[derive(Debug, thiserror::Error)]
pub enum AcknowledgeError {
    #[error("the publication {0} does not exist")]
    Missing(PublicationId),
    #[error("the publication {0} is not lost: its status is {1}; `acervo lost` lists those that are")]
    NotLost(PublicationId, PublicationStatus),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<sea_orm::DbErr> for AcknowledgeError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Record(error.into())
    }
}

/// Lost publications.
#[derive(Clone)]
pub struct Losses {
    pub(super) db: Db,
}

/// The status is part of the text: an index has these rows alone.
fn is_lost() -> Expr {
    Expr::cust(format!("status = '{}'", PublicationStatus::Lost))
}

/// The ids of lost publications, for conditions.
pub(super) fn lost_ids() -> SelectStatement {
    QueryTrait::into_query(publications::Entity::find().select_only().column(P::Id).filter(is_lost()))
}

impl Losses {
    /// How many publications are lost.
    pub async fn counts(&self) -> Result<LossCounts, RecordError> {
        let counted = publications::Entity::find()
            .select_only()
            .column_as(P::Id.count(), "n")
            .column_as(P::LostAcknowledgedAt.count(), "acknowledged")
            .filter(is_lost());
        let counted: Option<(i64, i64)> = counted.into_tuple().one(self.db.jobs_reader()).await?;
        let (all, acknowledged) = counted.unwrap_or_default();
        Ok(LossCounts { unacknowledged: natural(all - acknowledged)?, acknowledged: natural(acknowledged)? })
    }

    /// Lost publications: those that are not acknowledged first, the last ones first.
    pub async fn list(&self, with_acknowledged: bool, limit: u64) -> Result<Vec<Loss>, RecordError> {
        let reader = self.db.jobs_reader();
        let mut lost = publications::Entity::find().filter(is_lost());
        if !with_acknowledged {
            lost = lost.filter(P::LostAcknowledgedAt.is_null());
        }
        let lost = lost
            .order_by(P::LostAcknowledgedAt.is_not_null(), Order::Asc)
            .order_by(P::LostAt, Order::Desc)
            .order_by(P::Id, Order::Asc)
            .limit(limit)
            .all(reader)
            .await?;
        let ids: HashSet<Uuid> = lost.iter().map(|row| row.product_id).collect();
        let named: Vec<(Uuid, String)> = products::Entity::find()
            .select_only()
            .columns([products::Column::Id, products::Column::Name])
            .filter(products::Column::Id.is_in(padded(ids.into_iter().collect())))
            .into_tuple()
            .all(reader)
            .await?;
        let names: HashMap<Uuid, String> = named.into_iter().collect();
        let mut losses = Vec::with_capacity(lost.len());
        for row in lost {
            let last = self.last_notification(&row).await?;
            losses.push(loss(row, &names, last)?);
        }
        Ok(losses)
    }

    /// The last notification of a publication, with its error.
    async fn last_notification(&self, row: &publications::Model) -> Result<Option<Last>, RecordError> {
        let last = notifications::Entity::find()
            .select_only()
            .columns([N::Id, N::Status, N::Error])
            .filter(N::ProductId.eq(row.product_id))
            .filter(N::PublicationId.eq(row.id))
            .order_by(N::ReceivedAt, Order::Desc)
            .limit(1);
        let last: Option<(Uuid, NotificationStatus, Option<String>)> =
            last.into_tuple().one(self.db.jobs_reader()).await?;
        Ok(last.map(|(id, status, error)| (LastNotification { id: NotificationId(id), status }, error)))
    }

    /// Acknowledges losses in the name of `by`. Returns how many were not acknowledged before; the others keep who did it first.
    pub async fn acknowledge(&self, ids: &[PublicationId], by: &str, now: Timestamp) -> Result<u64, AcknowledgeError> {
        let mut ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        ids.sort();
        ids.dedup();
        let txn = self.db.begin().await?;
        let mut acknowledged = 0;
        for some in ids.chunks(PAGE as usize) {
            let found: Vec<(Uuid, PublicationStatus)> = publications::Entity::find()
                .select_only()
                .columns([P::Id, P::Status])
                .filter(P::Id.is_in(padded(some.to_vec())))
                .into_tuple()
                .all(&txn)
                .await?;
            let states: HashMap<Uuid, PublicationStatus> = found.into_iter().collect();
            for id in some {
                match states.get(id) {
                    Some(PublicationStatus::Lost) => {}
                    Some(other) => return Err(AcknowledgeError::NotLost(PublicationId(*id), *other)),
                    None => return Err(AcknowledgeError::Missing(PublicationId(*id))),
                }
            }
            acknowledged += acknowledge(&txn, P::Id.is_in(padded(some.to_vec())), by, now).await?;
        }
        txn.commit().await?;
        Ok(acknowledged)
    }

    /// Acknowledges all losses up to now. Returns how many.
    pub async fn acknowledge_all(&self, by: &str, now: Timestamp) -> Result<u64, RecordError> {
        let txn = self.db.begin().await?;
        let acknowledged = acknowledge(&txn, is_lost(), by, now).await?;
        txn.commit().await?;
        Ok(acknowledged)
    }
}

async fn acknowledge(
    txn: &sea_orm::DatabaseTransaction,
    which: Expr,
    by: &str,
    now: Timestamp,
) -> Result<u64, sea_orm::DbErr> {
    let done = publications::Entity::update_many()
        .col_expr(P::LostAcknowledgedAt, Expr::value(millis(now)))
        .col_expr(P::LostAcknowledgedBy, Expr::value(by))
        .filter(which.and(is_lost()))
        .filter(P::LostAcknowledgedAt.is_null())
        .exec(txn)
        .await?;
    Ok(done.rows_affected)
}

type Last = (LastNotification, Option<String>);

fn loss(row: publications::Model, names: &HashMap<Uuid, String>, last: Option<Last>) -> Result<Loss, RecordError> {
    let (last_notification, reason) = last.map_or((None, None), |(last, error)| (Some(last), error));
    let name = names.get(&row.product_id).cloned();
    let name = name.ok_or_else(|| RecordError::Corrupt(format!("the publication {} has no product", row.id)))?;
    let acknowledged = match (row.lost_acknowledged_at, row.lost_acknowledged_by) {
        (Some(at), Some(by)) => Some(Acknowledgement { at: timestamp(at), by }),
        (None, None) => None,
        _ => return Err(RecordError::Corrupt(format!("the publication {} is half acknowledged", row.id))),
    };
    Ok(Loss {
        publication: PublicationId(row.id),
        name,
        reference_date: row.reference_date,
        lost_at: row.lost_at.map(timestamp),
        reason,
        last_notification,
        acknowledged,
    })
}
