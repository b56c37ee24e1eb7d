//! Writing revisions: a new one, the intervals of all that a publication has, and what its product counts.
use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveModelTrait, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, Set};

use super::entity::{notifications, products, publications, revisions};
use super::rows::long;
use super::{Fetched, RecordError, StoredFile, feed};
use crate::domain::{
    ChangeKind, Interval, NotificationId, Place, PublicationId, PublicationStatus, RevisionId, latest, millis,
    superseded_at, timestamp,
};

pub(super) fn publication_of(row: &notifications::Model) -> Result<Uuid, RecordError> {
    row.publication_id.ok_or_else(|| RecordError::Corrupt(format!("the notification {} has no publication", row.id)))
}

pub(super) fn new_revision(
    row: &notifications::Model,
    fetched: &Fetched,
    known: usize,
    now: Timestamp,
) -> Result<revisions::Model, RecordError> {
    let warnings = serde_json::to_string(&fetched.warnings).map_err(|e| RecordError::Corrupt(e.to_string()))?;
    Ok(revisions::Model {
        id: Uuid::now_v7(),
        publication_id: publication_of(row)?,
        number: i32::try_from(known + 1).unwrap_or(i32::MAX),
        notification_id: row.id,
        digest: fetched.file.digest.0.to_vec(),
        file_name: fetched.file_name.clone(),
        extension: fetched.extension.clone(),
        content_type: fetched.content_type.clone(),
        announced_at: row.announced_at,
        announced_by: row.id,
        received_at: row.received_at,
        archived_at: millis(now),
        superseded_at: None,
        purged_at: None,
        held: false,
        hold_reason: None,
        warnings,
        held_by: None,
        held_at: None,
        purge_run: None,
        purge_rule: None,
        swept_at: None,
    })
}

pub(super) fn intervals(revisions: &[revisions::Model]) -> Vec<Interval> {
    let interval = |row: &revisions::Model| Interval {
        place: Place {
            announced_at: timestamp(row.announced_at),
            announced_by: NotificationId(row.announced_by),
            number: row.number,
        },
        archived_at: timestamp(row.archived_at),
    };
    revisions.iter().map(interval).collect()
}

/// Sets the intervals of all revisions anew, and what the publication shows. The last of `known` is the new one.
pub(super) async fn place(
    txn: &DatabaseTransaction,
    publication: &publications::Model,
    known: &mut [revisions::Model],
    now: Timestamp,
) -> Result<(), DbErr> {
    let intervals = intervals(known);
    let id = PublicationId(publication.id);
    let mut told = Vec::new();
    if let Some(new) = known.last() {
        told.push((ChangeKind::Archived, id, Some(RevisionId(new.id))));
    }
    for (i, row) in known.iter_mut().enumerate() {
        let until = superseded_at(&intervals, i).map(millis);
        if until == row.superseded_at {
            continue;
        }
        row.superseded_at = until;
        let ended = revisions::ActiveModel { id: Set(row.id), superseded_at: Set(until), ..Default::default() };
        ended.update_without_returning(txn).await?;
        told.push((ChangeKind::Superseded, id, Some(RevisionId(row.id))));
    }
    let shown = latest(&intervals).map(|i| known[i].id);
    let row = publications::ActiveModel {
        id: Set(publication.id),
        status: Set(PublicationStatus::Archived.as_str().to_owned()),
        latest_revision_id: Set(shown),
        revision_count: Set(i32::try_from(known.len()).unwrap_or(i32::MAX)),
        ..Default::default()
    };
    row.update_without_returning(txn).await?;
    feed::tell(txn, millis(now), told).await
}

pub(super) async fn count(
    txn: &DatabaseTransaction,
    publication: &publications::Model,
    file: &StoredFile,
) -> Result<(), DbErr> {
    use products::Column as P;
    let plus = |column: P, by: i64| Expr::col(column).add(by);
    products::Entity::update_many()
        .col_expr(P::RevisionCount, plus(P::RevisionCount, 1))
        .col_expr(P::Size, plus(P::Size, long(file.size)))
        .col_expr(P::StoredSize, plus(P::StoredSize, long(file.stored_size)))
        .filter(P::Id.eq(publication.product_id))
        .exec(txn)
        .await?;
    Ok(())
}
