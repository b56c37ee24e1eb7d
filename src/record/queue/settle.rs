//! A fetched file becomes a revision, or is found equal to the latest: one transaction for all that it settles.
use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, Order, QueryFilter,
    QueryOrder, Set,
};

use super::Queue;
use super::claim::{Claim, shows};
use super::transitions::{ended, release};
use crate::domain::{NotificationStatus as Status, RevisionId, Validator, latest, millis};
use crate::engine::record::entity::{notifications, publications, revisions, validators};
use crate::engine::record::revisions::{count, intervals, new_revision, place, publication_of};
use crate::engine::record::{Member, RecordError, StoredFile, batch, files as stored_files};
use notifications::Column as N;

/// A file that is in the archive and not yet in the record.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub file: StoredFile,
    pub file_name: String,
    pub extension: Option<String>,
    pub content_type: Option<String>,
    pub warnings: Vec<String>,
    pub members: Vec<Member>,
    /// The members are not all there: they are listed once the file is recorded.
    pub list_later: bool,
    /// What tells this content of the portal's address from the next.
    pub validator: Option<Validator>,
    /// Set where the file looks broken: what it settles is fetched once more then.
    pub again_at: Option<Timestamp>,
}

/// What became of a fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    pub new_revisions: Vec<RevisionId>,
    pub unchanged: u32,
}

impl Queue {
    /// Settles the claim's notifications with the file. What was recorded after the claim may speak of a newer file, so it
    /// is left for a fetch of its own.
    ///
    /// `is_there` tells whether the archive has the bytes; it is asked inside the transaction, and only where a sweep removed
    /// them once. What it says holds until the commit: a sweep deletes only what a committed tombstone names, and under a
    /// tombstone nothing is settled.
    pub async fn settle(
        &self,
        claim: &Claim,
        fetched: &Fetched,
        now: Timestamp,
        is_there: impl Future<Output = bool>,
    ) -> Result<Settled, RecordError> {
        let txn = self.db.begin().await?;
        let own = notifications::Entity::find().filter(claim.is_leased());
        let mut served = own.all(&txn).await?;
        if served.is_empty() {
            return Err(RecordError::LeaseLost);
        }
        served.sort_by_key(|row| (row.announced_at, row.id));
        stored_files::save(&txn, fetched, now, is_there).await?;
        save_validator(&txn, claim, fetched).await?;
        let mut settled = Settled::default();
        for row in &served {
            settle_one(&txn, row, fetched, now, &mut settled).await?;
        }
        txn.commit().await?;
        self.db.links_erased();
        self.db.feed_changed();
        self.db.queue_changed();
        Ok(settled)
    }

    /// Settles the claim's notifications by the portal's answer that the file is still the known one. `None` where that no
    /// longer helps, since publications show another file by now; the claim is then released, to be fetched without a
    /// condition.
    pub async fn settle_not_modified(&self, claim: &Claim) -> Result<Option<Settled>, RecordError> {
        let txn = self.db.begin().await?;
        let own = notifications::Entity::find().filter(claim.is_leased()).all(&txn).await?;
        if own.is_empty() {
            return Err(RecordError::LeaseLost);
        }
        let Some(known) = &claim.known else { return Ok(None) };
        let mut settled = Settled::default();
        for row in &own {
            if !shows(&txn, row.publication_id, &known.digest.0).await? {
                validators::Entity::delete_by_id(&claim.file_key).exec(&txn).await?;
                release(&txn, claim.is_leased()).await?;
                txn.commit().await?;
                self.db.queue_changed();
                return Ok(None);
            }
            let publication = publications::Entity::find_by_id(publication_of(row)?).one(&txn).await?;
            let latest = publication.and_then(|publication| publication.latest_revision_id).ok_or_else(|| {
                RecordError::Corrupt(format!("the publication of the notification {} shows no revision", row.id))
            })?;
            if let Some(revision) = revisions::Entity::find_by_id(latest).one(&txn).await? {
                renew(&txn, &revision, row).await?;
                let update = notifications::Entity::update_many().filter(N::Id.eq(row.id));
                ended(update, Status::Unchanged, Expr::value(None::<String>))
                    .col_expr(N::RevisionId, Expr::value(revision.id))
                    .col_expr(N::Link, Expr::value(None::<String>))
                    .exec(&txn)
                    .await?;
                settled.unchanged += 1;
            }
        }
        txn.commit().await?;
        self.db.links_erased();
        self.db.queue_changed();
        Ok(Some(settled))
    }
}

async fn save_validator(txn: &DatabaseTransaction, claim: &Claim, fetched: &Fetched) -> Result<(), DbErr> {
    use validators::Column as C;
    // What looks broken is to be fetched whole once more.
    let Some(validator) = fetched.validator.as_ref().filter(|_| fetched.again_at.is_none()) else { return Ok(()) };
    let row = validators::ActiveModel {
        file_key: Set(claim.file_key.clone()),
        etag: Set(validator.etag.clone()),
        last_modified: Set(validator.last_modified.clone()),
        digest: Set(fetched.file.digest.0.to_vec()),
    };
    let replaced = OnConflict::column(C::FileKey).update_columns([C::Etag, C::LastModified, C::Digest]).to_owned();
    batch::insert(txn, vec![row], Some(replaced)).await
}

async fn settle_one(
    txn: &DatabaseTransaction,
    row: &notifications::Model,
    fetched: &Fetched,
    now: Timestamp,
    settled: &mut Settled,
) -> Result<(), RecordError> {
    let missing = || RecordError::Corrupt(format!("the notification {} has no publication", row.id));
    let publication_id = row.publication_id.ok_or_else(missing)?;
    let publication = publications::Entity::find_by_id(publication_id).one(txn).await?.ok_or_else(missing)?;
    let mut known = revisions::Entity::find()
        .filter(revisions::Column::PublicationId.eq(publication_id))
        .order_by(revisions::Column::Number, Order::Asc)
        .all(txn)
        .await?;
    let last = latest(&intervals(&known)).map(|i| &known[i]);
    // A latest revision that retention removed is not there to be equal to.
    let equal = last.filter(|revision| revision.digest == fetched.file.digest.0 && revision.purged_at.is_none());
    let (status, revision_id) = match equal {
        Some(revision) => {
            renew(txn, revision, row).await?;
            // The second look at a file that seemed broken found it as it was: this notification made the revision.
            let own = row.revision_id == Some(revision.id);
            settled.unchanged += u32::from(!own);
            (if own { Status::Archived } else { Status::Unchanged }, revision.id)
        }
        None => {
            let revision = new_revision(row, fetched, known.len(), now)?;
            revisions::Entity::insert(revision.clone().into_active_model()).exec_without_returning(txn).await?;
            known.push(revision.clone());
            settled.new_revisions.push(RevisionId(revision.id));
            place(txn, &publication, &mut known, now).await?;
            count(txn, &publication, &fetched.file).await?;
            (Status::Archived, revision.id)
        }
    };
    let again_at = fetched.again_at.filter(|_| row.revision_id.is_none() && status == Status::Archived);
    let update =
        notifications::Entity::update_many().filter(N::Id.eq(row.id)).col_expr(N::RevisionId, Expr::value(revision_id));
    match again_at {
        Some(at) => {
            let why = fetched.warnings.first().map(String::as_str).unwrap_or("the file looks broken");
            update
                .col_expr(N::Status, Expr::value(Status::Retrying.as_str()))
                .col_expr(N::NextAttemptAt, Expr::value(millis(at)))
                .col_expr(N::Lease, Expr::value(None::<Uuid>))
                .col_expr(N::LeaseUntil, Expr::value(None::<i64>))
                .col_expr(N::Error, Expr::value(format!("{why}; it is kept as delivered and fetched once more")))
                .exec(txn)
                .await?;
        }
        None => {
            ended(update, status, Expr::value(None::<String>))
                .col_expr(N::Link, Expr::value(None::<String>))
                .exec(txn)
                .await?;
        }
    }
    Ok(())
}

/// The revision was announced again: it may now be the one announced last by a later word.
async fn renew(
    txn: &DatabaseTransaction,
    revision: &revisions::Model,
    row: &notifications::Model,
) -> Result<(), DbErr> {
    if (row.announced_at, row.id) > (revision.announced_at, revision.announced_by) {
        let renewed = revisions::ActiveModel {
            id: Set(revision.id),
            announced_at: Set(row.announced_at),
            announced_by: Set(row.id),
            ..Default::default()
        };
        renewed.update_without_returning(txn).await?;
        crate::engine::record::feed::count_renewal(txn).await?;
    }
    Ok(())
}
