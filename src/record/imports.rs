//! Imports: notifications that another receiver recorded, and files that the company already has.
//!
//! Both may be imported twice: what is recorded already does not change.
use std::collections::HashSet;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect, Set, TransactionTrait};

use super::db::Db;
use super::entity::{notifications, products, publications, revisions};
use super::intake::{self, Arrival, announce};
use super::publications::mark_lost;
use super::revisions::{RecordedRevision, add, publication_of, revisions_of};
use super::{FetchedFile, NewNotification, RecordError, Removal, batch, files as stored_files};
use crate::domain::{
    Announcement, Digest, Interval, NotificationStatus as Status, RevisionId, latest_at, link_had_expired_at_import,
    millis, renumbered,
};
use notifications::Column as N;

/// The source of imported notifications.
pub const IMPORT: &str = "import";

/// A notification from elsewhere.
#[derive(Debug)]
pub struct ImportedNotification {
    pub notification: NewNotification,
    /// Whether its time is given. If it is estimated, only its bytes decide whether it is recorded already.
    pub is_dated: bool,
}

/// The outcome for an imported notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// Its link has not expired: it waits for its file.
    Queued,
    /// Its link had expired.
    Expired,
    /// Its body cannot be used; it is recorded.
    Rejected,
    /// It is recorded already.
    Known,
}

/// A file that the company already had, and that is in the store now.
#[derive(Debug)]
pub struct ImportedFile {
    /// The notification that represents it.
    pub notification: NewNotification,
    pub fetched: FetchedFile,
}

/// Imported notifications and files.
#[derive(Clone)]
pub struct Imports {
    pub(super) db: Db,
}

impl Imports {
    /// Which of these are recorded already.
    pub async fn known(&self, batch: &[ImportedNotification]) -> Result<Vec<bool>, RecordError> {
        let txn = self.db.reader().begin().await?;
        let known = known(&txn, batch).await?;
        txn.rollback().await?;
        Ok(known)
    }

    /// Records notifications that were received elsewhere, except those that are recorded already.
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
        let (positions, new): (Vec<usize>, Vec<NewNotification>) = new.into_iter().unzip();
        let announced = announce::announce(&txn, &new.iter().map(Arrival::of).collect::<Vec<_>>()).await?;
        let mut rows = Vec::with_capacity(new.len());
        let mut expired = Vec::new();
        for ((i, notification), announced) in positions.iter().zip(&new).zip(&announced) {
            let mut row = intake::row(notification, announced.as_ref());
            // New announcements go first.
            row.priority = Set(1);
            let is_dead = row.link_expires_at.as_ref().is_some_and(|at| at <= millis(now));
            outcomes[*i] = match announced {
                None => Imported::Rejected,
                Some(announced) if is_dead => {
                    row.status = Set(Status::Expired);
                    row.next_attempt_at = Set(None);
                    row.link = Set(None);
                    row.error = Set(Some(link_had_expired_at_import()));
                    expired.push(announced.publication_id.0);
                    Imported::Expired
                }
                Some(_) => Imported::Queued,
            };
            rows.push(row);
        }
        batch::insert(&txn, rows, None).await?;
        mark_lost(&txn, expired, now).await?;
        txn.commit().await?;
        self.db.notify_queue();
        self.db.notify_feed();
        Ok(outcomes)
    }

    /// Makes a revision of each file that differs from what was the latest at its time, in the order given; `None` if
    /// it does not, [`RecordError::FileGone`] where its bytes are being removed. Nothing of the batch is recorded, and the
    /// error is [`RecordError::RemovedBefore`], where bytes of it need a confirmation, as for [`super::Queue::settle`].
    pub async fn files(
        &self,
        batch: &[&ImportedFile],
        now: Timestamp,
        confirmed: &[Removal],
    ) -> Result<Vec<Result<Option<RevisionId>, RecordError>>, RecordError> {
        let txn = self.db.begin().await?;
        let digests = batch.iter().map(|imported| imported.fetched.file.digest);
        let removals = stored_files::unconfirmed(&txn, digests, confirmed).await?;
        if !removals.is_empty() {
            return Err(RecordError::RemovedBefore(removals));
        }
        let mut made = Vec::with_capacity(batch.len());
        for imported in batch {
            // For a file that is recorded already, everything is rolled back to here.
            let attempt = txn.begin().await?;
            let revision = import_file(&attempt, imported, now, confirmed).await;
            match revision {
                Ok(Some(_)) => attempt.commit().await?,
                Ok(None) => {
                    attempt.rollback().await?;
                    note_known(&txn, &imported.fetched, now).await?;
                }
                Err(RecordError::FileGone) => attempt.rollback().await?,
                Err(e) => return Err(e),
            }
            made.push(revision);
        }
        txn.commit().await?;
        self.db.notify_feed();
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
        let known: Vec<RecordedRevision> = rows.iter().map(RecordedRevision::from).collect();
        let latest = latest_at(&intervals(&known), at).map(|i| known[i]);
        Ok(latest.map(|revision| (revision.interval.archived_at, revision.digest)))
    }
}

async fn known(txn: &DatabaseTransaction, batch: &[ImportedNotification]) -> Result<Vec<bool>, DbErr> {
    let digests: Vec<Digest> = batch.iter().map(|imported| imported.notification.body_digest).collect();
    let rows: Vec<(Digest, i64)> = notifications::Entity::find()
        .select_only()
        .columns([N::BodyDigest, N::ReceivedAt])
        // Written out: the index has imported ones only, and the planner must see that it applies.
        .filter(Expr::cust("source = 'import'"))
        .filter(N::BodyDigest.is_in(batch::padded(digests)))
        .into_tuple()
        .all(txn)
        .await?;
    let mut times: HashSet<(Digest, i64)> = rows.iter().copied().collect();
    let mut bodies: HashSet<Digest> = rows.into_iter().map(|(body, _)| body).collect();
    let is_known = |imported: &ImportedNotification| {
        let body = imported.notification.body_digest;
        let time = (body, millis(imported.notification.received_at));
        let known = if imported.is_dated { times.contains(&time) } else { bodies.contains(&body) };
        times.insert(time);
        bodies.insert(body);
        known
    };
    Ok(batch.iter().map(is_known).collect())
}

fn intervals(known: &[RecordedRevision]) -> Vec<Interval> {
    known.iter().map(|revision| revision.interval).collect()
}

/// The file is recorded already, and what the archive had of it was verified, or replaced if it was damaged or missing.
async fn note_known(txn: &DatabaseTransaction, fetched: &FetchedFile, now: Timestamp) -> Result<(), RecordError> {
    match stored_files::save_stored_again(txn, &fetched.file, fetched.stored_digest, now).await {
        // Nothing needs it any more.
        Ok(()) | Err(RecordError::FileGone) => Ok(()),
        Err(e) => Err(e),
    }
}

async fn import_file(
    txn: &DatabaseTransaction,
    imported: &ImportedFile,
    now: Timestamp,
    confirmed: &[Removal],
) -> Result<Option<RevisionId>, RecordError> {
    let ImportedFile { notification, fetched } = imported;
    let announced = announce::announce(txn, &[Arrival::of(notification)]).await?.pop().flatten();
    let missing = || RecordError::Corrupt(format!("the imported notification {} has no publication", notification.id));
    let publication_id = announced.as_ref().ok_or_else(missing)?.publication_id.0;
    let mut known = revisions_of(txn, publication_id).await?;
    let then = latest_at(&intervals(&known), notification.received_at).map(|i| known[i]);
    if then.is_some_and(|revision| revision.digest == fetched.file.digest) {
        return Ok(None);
    }
    stored_files::save(txn, fetched, now, confirmed).await?;
    let mut row = intake::row(notification, announced.as_ref());
    row.status = Set(Status::Archived);
    row.next_attempt_at = Set(None);
    batch::insert(txn, vec![row], None).await?;
    let row = notifications::Entity::find_by_id(notification.id.0).one(txn).await?.ok_or_else(missing)?;
    let publication = publication_of(txn, &row).await?;
    let revision = add(txn, &row, fetched, &mut known, &publication, notification.received_at, now).await?;
    notifications::Entity::update_many()
        .col_expr(N::RevisionId, Expr::value(revision.0))
        .filter(N::Id.eq(notification.id.0))
        .exec(txn)
        .await?;
    renumber(txn, &known).await?;
    Ok(Some(revision))
}

/// Numbers a publication's revisions in the order in which the company had them.
async fn renumber(txn: &DatabaseTransaction, known: &[RecordedRevision]) -> Result<(), DbErr> {
    let changed: Vec<(i32, Uuid)> =
        renumbered(&intervals(known)).into_iter().map(|(i, number)| (number, known[i].id)).collect();
    // No two may have one number at any moment, so they pass through numbers that no revision has.
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
