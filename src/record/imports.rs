//! What comes from elsewhere: notifications that another receiver took, and files that the company has already.
//!
//! Both tell of the past, and both may be told twice: what is there already is left alone.
use std::collections::HashSet;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, Order, QueryFilter, QueryOrder, QuerySelect,
    Set, TransactionTrait,
};

use super::db::Db;
use super::entity::{notifications, products, publications, revisions};
use super::intake::{self, announce};
use super::publications::lose;
use super::revisions::{count, intervals, new_revision, place};
use super::rows::digest;
use super::{Fetched, NewNotification, RecordError, batch, files as stored_files, queue};
use crate::domain::{Announcement, Digest, NotificationStatus as Status, RevisionId, latest, millis, timestamp};
use notifications::Column as N;

/// The source of all that is imported.
pub const IMPORT: &str = "import";

/// A notification from elsewhere.
#[derive(Debug)]
pub struct ImportedNotification {
    pub notification: NewNotification,
    /// Whether its time is told, or guessed: then its bytes alone say whether it is known.
    pub is_dated: bool,
}

/// What became of an imported notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// Its link lives: the fetchers have it.
    Queued,
    /// Its link was dead already.
    Expired,
    /// It could not be understood; it is kept.
    Rejected,
    /// It is there already.
    Known,
}

/// A file that the company had before, and that is in the archive by now.
#[derive(Debug)]
pub struct ImportedFile {
    /// The row that tells of it.
    pub notification: NewNotification,
    pub fetched: Fetched,
}

/// Notifications and files that were received elsewhere.
#[derive(Clone)]
pub struct Imports {
    pub(super) db: Db,
}

impl Imports {
    /// Which of these are there already.
    pub async fn known(&self, batch: &[ImportedNotification]) -> Result<Vec<bool>, RecordError> {
        let txn = self.db.reader().begin().await?;
        let known = known(&txn, batch).await?;
        txn.rollback().await?;
        Ok(known)
    }

    /// Records notifications that were received elsewhere, those that are there already left out.
    pub async fn notifications(
        &self,
        batch: Vec<ImportedNotification>,
        now: Timestamp,
    ) -> Result<Vec<Imported>, RecordError> {
        let txn = self.db.begin().await?;
        let known = known(&txn, &batch).await?;
        let mut outcomes = vec![Imported::Known; batch.len()];
        let new: Vec<(usize, NewNotification)> = batch
            .into_iter()
            .enumerate()
            .filter(|(i, _)| !known[*i])
            .map(|(i, imported)| (i, imported.notification))
            .collect();
        let (places, new): (Vec<usize>, Vec<NewNotification>) = new.into_iter().unzip();
        let announced = announce::announce(&txn, &new).await?;
        let mut rows = Vec::with_capacity(new.len());
        let mut expired = Vec::new();
        for ((i, notification), announced) in places.iter().zip(&new).zip(&announced) {
            let mut row = intake::row(notification, announced.as_ref());
            // What is fresh goes before what is old.
            row.priority = Set(1);
            let is_dead = row.link_expires_at.as_ref().is_some_and(|at| at <= millis(now));
            outcomes[*i] = match announced {
                None => Imported::Rejected,
                Some(announced) if is_dead => {
                    row.status = Set(Status::Expired.as_str().to_owned());
                    row.next_attempt_at = Set(None);
                    row.link = Set(None);
                    row.error = Set(Some(format!("the link was dead when it was imported; {}", queue::ENVIAR)));
                    expired.push(announced.publication_id.0);
                    Imported::Expired
                }
                Some(_) => Imported::Queued,
            };
            rows.push(row);
        }
        batch::insert(&txn, rows, None).await?;
        lose(&txn, expired, now).await?;
        txn.commit().await?;
        self.db.queue_changed();
        self.db.feed_changed();
        Ok(outcomes)
    }

    /// Makes a revision of each file that differs from what was the latest at its time, in the order given; `None` where
    /// it does not, [`RecordError::FileGone`] where its bytes were removed meanwhile. `is_there` tells whether the archive
    /// has a file's bytes, as for [`super::Queue::settle`].
    pub async fn files<F: Future<Output = bool>>(
        &self,
        batch: Vec<ImportedFile>,
        now: Timestamp,
        is_there: impl Fn(&Fetched) -> F,
    ) -> Result<Vec<Result<Option<RevisionId>, RecordError>>, RecordError> {
        let txn = self.db.begin().await?;
        let mut made = Vec::with_capacity(batch.len());
        for imported in &batch {
            // What is there already leaves no trace: it is rolled back to here.
            let attempt = txn.begin().await?;
            let revision = import_file(&attempt, imported, now, is_there(&imported.fetched)).await;
            match revision {
                Ok(Some(_)) => attempt.commit().await?,
                Ok(None) | Err(RecordError::FileGone) => attempt.rollback().await?,
                Err(e) => return Err(e),
            }
            made.push(revision);
        }
        txn.commit().await?;
        self.db.feed_changed();
        Ok(made)
    }

    /// What was the latest revision of an announcement's publication at an instant: since when it is in the archive, and
    /// its bytes.
    pub async fn latest_at(
        &self,
        announcement: &Announcement,
        at: Timestamp,
    ) -> Result<Option<(Timestamp, Digest)>, RecordError> {
        use publications::Column as P;
        let product = products::Entity::find()
            .filter(products::Column::Identity.eq(announcement.identity.key()))
            .one(self.db.reader())
            .await?;
        let Some(product) = product else { return Ok(None) };
        let publication = publications::Entity::find()
            .filter(P::ProductId.eq(product.id))
            .filter(P::ReferenceDate.eq(&announcement.reference_date))
            .filter(P::PeriodStart.eq(announcement.period.start.to_string()))
            .filter(P::PeriodEnd.eq(announcement.period.end.to_string()))
            .one(self.db.reader())
            .await?;
        let Some(publication) = publication else { return Ok(None) };
        let rows = revisions::Entity::find()
            .filter(revisions::Column::PublicationId.eq(publication.id))
            .all(self.db.reader())
            .await?;
        let found = latest_of(&rows, at);
        found.map(|row| Ok((timestamp(row.archived_at), digest(&row.digest)?))).transpose()
    }
}

async fn known(txn: &DatabaseTransaction, batch: &[ImportedNotification]) -> Result<Vec<bool>, DbErr> {
    let digests: Vec<Vec<u8>> = batch.iter().map(|imported| imported.notification.body_digest.0.to_vec()).collect();
    let rows: Vec<(Vec<u8>, i64)> = notifications::Entity::find()
        .select_only()
        .columns([N::BodyDigest, N::ReceivedAt])
        // Written out, since the index holds imported ones alone and must be seen to serve.
        .filter(Expr::cust("source = 'import'"))
        .filter(N::BodyDigest.is_in(batch::padded(digests)))
        .into_tuple()
        .all(txn)
        .await?;
    let mut times: HashSet<(Vec<u8>, i64)> = rows.iter().cloned().collect();
    let mut bodies: HashSet<Vec<u8>> = rows.into_iter().map(|(body, _)| body).collect();
    let is_known = |imported: &ImportedNotification| {
        let body = imported.notification.body_digest.0.to_vec();
        let time = (body.clone(), millis(imported.notification.received_at));
        let known = if imported.is_dated { times.contains(&time) } else { bodies.contains(&body) };
        times.insert(time);
        bodies.insert(body);
        known
    };
    Ok(batch.iter().map(is_known).collect())
}

/// The revision that was the latest at an instant.
fn latest_of(rows: &[revisions::Model], at: Timestamp) -> Option<&revisions::Model> {
    let then: Vec<&revisions::Model> = rows.iter().filter(|row| row.archived_at <= millis(at)).collect();
    let places: Vec<_> = then.iter().flat_map(|row| intervals(std::slice::from_ref(*row))).collect();
    latest(&places).map(|i| then[i])
}

async fn import_file(
    txn: &DatabaseTransaction,
    imported: &ImportedFile,
    now: Timestamp,
    is_there: impl Future<Output = bool>,
) -> Result<Option<RevisionId>, RecordError> {
    let ImportedFile { notification, fetched } = imported;
    let one = std::slice::from_ref(notification);
    let announced = announce::announce(txn, one).await?.pop().flatten();
    let missing = || RecordError::Corrupt("an imported file has no publication".to_owned());
    let publication_id = announced.as_ref().ok_or_else(missing)?.publication_id.0;
    let publication = publications::Entity::find_by_id(publication_id).one(txn).await?.ok_or_else(missing)?;
    let mut known = revisions::Entity::find()
        .filter(revisions::Column::PublicationId.eq(publication_id))
        .order_by(revisions::Column::Number, Order::Asc)
        .all(txn)
        .await?;
    let then = latest_of(&known, notification.received_at);
    if then.is_some_and(|revision| revision.digest == fetched.file.digest.0) {
        return Ok(None);
    }
    stored_files::save(txn, fetched, now, is_there).await?;
    let mut row = intake::row(notification, announced.as_ref());
    row.status = Set(Status::Archived.as_str().to_owned());
    row.next_attempt_at = Set(None);
    batch::insert(txn, vec![row], None).await?;
    let seen = notifications::Entity::find_by_id(notification.id.0).one(txn).await?.ok_or_else(missing)?;
    let revision = new_revision(&seen, fetched, known.len(), notification.received_at)?;
    revisions::Entity::insert(revision.clone().into_active_model()).exec_without_returning(txn).await?;
    let made = RevisionId(revision.id);
    notifications::Entity::update_many()
        .col_expr(N::RevisionId, Expr::value(revision.id))
        .filter(N::Id.eq(notification.id.0))
        .exec(txn)
        .await?;
    known.push(revision);
    place(txn, &publication, &mut known, now).await?;
    count(txn, &publication, &fetched.file).await?;
    number_anew(txn, &known).await?;
    Ok(Some(made))
}

/// Numbers a publication's revisions in the order in which the company had them.
async fn number_anew(txn: &DatabaseTransaction, known: &[revisions::Model]) -> Result<(), DbErr> {
    let mut order: Vec<&revisions::Model> = known.iter().collect();
    order.sort_by_key(|row| (row.archived_at, row.number));
    let numbered = (1..).zip(order).filter(|(number, row)| row.number != *number);
    let changed: Vec<(i32, Uuid)> = numbered.map(|(number, row)| (number, row.id)).collect();
    // No two may have one number at any moment: by way of numbers that nobody has.
    for sign in [-1, 1] {
        for (number, id) in &changed {
            revisions::Entity::update_many()
                .col_expr(revisions::Column::Number, Expr::value(sign * number))
                .filter(revisions::Column::Id.eq(*id))
                .exec(txn)
                .await?;
        }
    }
    Ok(())
}
