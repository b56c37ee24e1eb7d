//! Writing revisions: a new one, the intervals of all that a publication has, and the counts of its product.
use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, Order, QueryFilter, QueryOrder, Set,
};

use super::entity::{notifications, products, publications, revisions};
use super::rows::{int, list, long};
use super::{FetchedFile, RecordError, feed};
use crate::domain::{
    ChangeKind, Digest, Interval, NotificationId, Position, PublicationId, PublicationStatus, RevisionId,
    StoredRevision, latest, millis, superseded_at, timestamp,
};

/// The publication of a notification that is not rejected.
pub(super) async fn publication_of(
    txn: &DatabaseTransaction,
    notification: &notifications::Model,
) -> Result<publications::Model, RecordError> {
    let missing = || RecordError::Corrupt(format!("the notification {} has no publication", notification.id));
    let id = notification.publication_id.ok_or_else(missing)?;
    publications::Entity::find_by_id(id).one(txn).await?.ok_or_else(missing)
}

/// A recorded revision: what decides the order of its publication's revisions.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordedRevision {
    pub id: Uuid,
    pub interval: Interval,
    pub superseded_at: Option<i64>,
    pub digest: Digest,
    pub is_purged: bool,
}

impl From<&revisions::Model> for RecordedRevision {
    fn from(row: &revisions::Model) -> Self {
        let position = Position {
            announced_at: timestamp(row.announced_at),
            announced_by: NotificationId(row.announced_by),
            number: row.number,
        };
        Self {
            id: row.id,
            interval: Interval { position, archived_at: timestamp(row.archived_at) },
            superseded_at: row.superseded_at,
            digest: row.digest,
            is_purged: row.purged_at.is_some(),
        }
    }
}

impl From<&RecordedRevision> for StoredRevision {
    fn from(known: &RecordedRevision) -> Self {
        let RecordedRevision { id, interval, digest, is_purged, .. } = *known;
        Self { id: RevisionId(id), interval, digest, is_purged }
    }
}

/// The revisions of a publication, by number.
pub(super) async fn revisions_of(txn: &DatabaseTransaction, publication: Uuid) -> Result<Vec<RecordedRevision>, DbErr> {
    let rows = revisions::Entity::find()
        .filter(revisions::Column::PublicationId.eq(publication))
        .order_by(revisions::Column::Number, Order::Asc)
        .all(txn)
        .await?;
    Ok(rows.iter().map(RecordedRevision::from).collect())
}

/// Makes a revision of a file for a notification, sets the intervals of the publication's others, and counts it. `known` are the
/// revisions that the publication has; the new one is added to them.
pub(super) async fn add(
    txn: &DatabaseTransaction,
    notification: &notifications::Model,
    fetched: &FetchedFile,
    known: &mut Vec<RecordedRevision>,
    publication: &publications::Model,
    archived_at: Timestamp,
    now: Timestamp,
) -> Result<RevisionId, RecordError> {
    let id = Uuid::now_v7();
    let number = int(known.len() + 1)?;
    let row = revisions::ActiveModel {
        id: Set(id),
        publication_id: Set(publication.id),
        number: Set(number),
        notification_id: Set(notification.id),
        digest: Set(fetched.file.digest),
        file_name: Set(fetched.file_name.clone()),
        extension: Set(fetched.extension.clone()),
        content_type: Set(fetched.content_type.clone()),
        announced_at: Set(notification.announced_at),
        announced_by: Set(notification.id),
        received_at: Set(notification.received_at),
        archived_at: Set(millis(archived_at)),
        held: Set(false),
        warnings: Set(list(&fetched.warnings)),
        // Columns that are not named are absent.
        ..Default::default()
    };
    revisions::Entity::insert(row).exec_without_returning(txn).await?;
    let position = Position {
        announced_at: timestamp(notification.announced_at),
        announced_by: NotificationId(notification.id),
        number,
    };
    known.push(RecordedRevision {
        id,
        interval: Interval { position, archived_at: timestamp(millis(archived_at)) },
        superseded_at: None,
        digest: fetched.file.digest,
        is_purged: false,
    });
    set_intervals(txn, publication.id, RevisionId(id), known, now).await?;
    count(txn, publication.product_id, fetched).await?;
    Ok(RevisionId(id))
}

/// Sets the intervals of a publication's revisions, `new` among them, and which of them it shows.
async fn set_intervals(
    txn: &DatabaseTransaction,
    publication: Uuid,
    new: RevisionId,
    known: &mut [RecordedRevision],
    now: Timestamp,
) -> Result<(), RecordError> {
    let intervals: Vec<Interval> = known.iter().map(|revision| revision.interval).collect();
    let mut changes = vec![(ChangeKind::Archived, PublicationId(publication), Some(new))];
    for (i, revision) in known.iter_mut().enumerate() {
        let until = superseded_at(&intervals, i).map(millis);
        if until == revision.superseded_at {
            continue;
        }
        revision.superseded_at = until;
        let row = revisions::ActiveModel { id: Set(revision.id), superseded_at: Set(until), ..Default::default() };
        row.update_without_returning(txn).await?;
        changes.push((ChangeKind::Superseded, PublicationId(publication), Some(RevisionId(revision.id))));
    }
    let row = publications::ActiveModel {
        id: Set(publication),
        status: Set(PublicationStatus::Archived),
        latest_revision_id: Set(latest(&intervals).map(|i| known[i].id)),
        revision_count: Set(int(known.len())?),
        ..Default::default()
    };
    row.update_without_returning(txn).await?;
    Ok(feed::append(txn, millis(now), changes).await?)
}

/// Adds a revision to the counts of its product.
async fn count(txn: &DatabaseTransaction, product: Uuid, fetched: &FetchedFile) -> Result<(), RecordError> {
    use products::Column as P;
    let plus = |column: P, by: i64| Expr::col(column).add(by);
    products::Entity::update_many()
        .col_expr(P::RevisionCount, plus(P::RevisionCount, 1))
        .col_expr(P::Size, plus(P::Size, long(fetched.file.size)?))
        .col_expr(P::StoredSize, plus(P::StoredSize, long(fetched.file.stored_size)?))
        .filter(P::Id.eq(product))
        .exec(txn)
        .await?;
    Ok(())
}
