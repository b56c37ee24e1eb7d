//! A fetched file becomes a revision, or is found equal to the latest: one transaction for all that it settles.
use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveModelTrait, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, Set};

use super::Queue;
use super::claim::{Claim, latest_with};
use super::transitions::{ended, release};
use crate::domain::{
    Digest, FileOutcome, NotificationStatus as Status, ObjectChange, RevisionId, StoredFile, StoredRevision, Validator,
    millis,
};
use crate::engine::record::entity::{notifications, revisions, validators};
use crate::engine::record::revisions::{add, publication_of, revisions_of};
use crate::engine::record::{Member, RecordError, Removal, batch, feed, files as stored_files};
use notifications::Column as N;

/// A file that is in the archive and not yet recorded.
#[derive(Clone, Debug)]
pub struct FetchedFile {
    pub file: StoredFile,
    pub change: ObjectChange,
    /// The digest of the object as stored; absent if the store had the object before.
    pub stored_digest: Option<Digest>,
    pub file_name: String,
    pub extension: Option<String>,
    pub content_type: Option<String>,
    pub warnings: Vec<String>,
    pub members: Vec<Member>,
    /// The members are incomplete, and listed once the file is recorded.
    pub list_later: bool,
    /// What makes the next fetch of the same address conditional.
    pub validator: Option<Validator>,
    /// Set if the file seems broken: when the notifications that it settles are fetched again.
    pub again_at: Option<Timestamp>,
}

/// The result of settling with a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    pub new_revisions: Vec<RevisionId>,
    pub unchanged: u32,
}

impl Queue {
    /// Settles the claim's notifications with the file. A notification recorded after the claim may announce a newer file, so it
    /// is left for its own fetch.
    ///
    /// If a sweep removed the same bytes before, the result is [`RecordError::RemovedBefore`] until the caller has found them in the
    /// store and confirms this with `confirmed`; under a tombstone it is [`RecordError::FileGone`].
    pub async fn settle(
        &self,
        claim: &Claim,
        fetched: &FetchedFile,
        now: Timestamp,
        confirmed: &[Removal],
    ) -> Result<Settlement, RecordError> {
        let txn = self.db.begin().await?;
        let mut served = leased(&txn, claim).await?;
        served.sort_by_key(|row| (row.announced_at, row.id));
        stored_files::save(&txn, fetched, now, confirmed).await?;
        save_validator(&txn, claim, fetched).await?;
        let mut settled = Settlement::default();
        for row in &served {
            settle_one(&txn, row, fetched, now, &mut settled).await?;
        }
        txn.commit().await?;
        self.db.links_erased();
        self.db.notify_feed();
        self.db.notify_queue();
        Ok(settled)
    }

    /// Settles the claim's notifications after the portal answered that the file has not changed since the previous fetch. `None`
    /// if that does not help because a publication latest_with another file by now: the claim is then released, and fetched without a
    /// condition next time.
    pub async fn settle_not_modified(&self, claim: &Claim) -> Result<Option<Settlement>, RecordError> {
        let Some(previous) = &claim.previous else {
            return Err(RecordError::Corrupt(format!("the claim of `{}` has no previous fetch", claim.file_key)));
        };
        let txn = self.db.begin().await?;
        let own = leased(&txn, claim).await?;
        let mut settled = Settlement::default();
        for row in &own {
            let Some(revision) = latest_with(&txn, row.publication_id, previous.digest).await? else {
                validators::Entity::delete_by_id(&claim.file_key).exec(&txn).await?;
                release(&txn, claim.is_leased()).await?;
                txn.commit().await?;
                self.db.notify_queue();
                return Ok(None);
            };
            announce_again(&txn, &revision, row).await?;
            let update = notifications::Entity::update_many().filter(N::Id.eq(row.id));
            ended(update, Status::Unchanged, Expr::value(None::<String>))
                .col_expr(N::RevisionId, Expr::value(revision.id))
                .col_expr(N::Link, Expr::value(None::<String>))
                .exec(&txn)
                .await?;
            settled.unchanged += 1;
        }
        txn.commit().await?;
        self.db.links_erased();
        self.db.notify_queue();
        Ok(Some(settled))
    }
}

/// The claim's notifications; an error if the lease is lost.
async fn leased(txn: &DatabaseTransaction, claim: &Claim) -> Result<Vec<notifications::Model>, RecordError> {
    let rows = notifications::Entity::find().filter(claim.is_leased()).all(txn).await?;
    if rows.is_empty() { Err(RecordError::LeaseLost) } else { Ok(rows) }
}

async fn save_validator(txn: &DatabaseTransaction, claim: &Claim, fetched: &FetchedFile) -> Result<(), DbErr> {
    use validators::Column as C;
    // A file that seems broken is fetched in full once more.
    let Some(validator) = fetched.validator.as_ref().filter(|_| fetched.again_at.is_none()) else { return Ok(()) };
    let row = validators::ActiveModel {
        file_key: Set(claim.file_key.clone()),
        etag: Set(validator.etag.clone()),
        last_modified: Set(validator.last_modified.clone()),
        digest: Set(fetched.file.digest),
    };
    let replaced = OnConflict::column(C::FileKey).update_columns([C::Etag, C::LastModified, C::Digest]).to_owned();
    batch::insert(txn, vec![row], Some(replaced)).await
}

async fn settle_one(
    txn: &DatabaseTransaction,
    row: &notifications::Model,
    fetched: &FetchedFile,
    now: Timestamp,
    settled: &mut Settlement,
) -> Result<(), RecordError> {
    let publication = publication_of(txn, row).await?;
    let mut known = revisions_of(txn, publication.id).await?;
    let stored: Vec<StoredRevision> = known.iter().map(StoredRevision::from).collect();
    let own = row.revision_id.map(RevisionId);
    let outcome = FileOutcome::of(&stored, own, fetched.file.digest);
    let revision_id = match outcome {
        FileOutcome::New => {
            let id = add(txn, row, fetched, &mut known, &publication, now, now).await?;
            settled.new_revisions.push(id);
            id
        }
        FileOutcome::Unchanged(id) | FileOutcome::Confirmed(id) => {
            let revision = revisions::Entity::find_by_id(id.0).one(txn).await?;
            let revision = revision.ok_or_else(|| RecordError::Corrupt(format!("the revision {id} is gone")))?;
            announce_again(txn, &revision, row).await?;
            settled.unchanged += u32::from(matches!(outcome, FileOutcome::Unchanged(_)));
            id
        }
    };
    let update = notifications::Entity::update_many()
        .filter(N::Id.eq(row.id))
        .col_expr(N::RevisionId, Expr::value(revision_id.0));
    match fetched.again_at.filter(|_| outcome.may_be_fetched_again(own)) {
        Some(at) => {
            let why = fetched.warnings.first().map(String::as_str).unwrap_or("the file seems broken");
            update
                .col_expr(N::Status, Expr::value(Status::Retrying))
                .col_expr(N::NextAttemptAt, Expr::value(millis(at)))
                .col_expr(N::Lease, Expr::value(None::<Uuid>))
                .col_expr(N::LeaseUntil, Expr::value(None::<i64>))
                .col_expr(N::Error, Expr::value(format!("{why}; it is archived as delivered and fetched once more")))
                .exec(txn)
                .await?;
        }
        None => {
            ended(update, outcome.status(), Expr::value(None::<String>))
                .col_expr(N::Link, Expr::value(None::<String>))
                .exec(txn)
                .await?;
        }
    }
    Ok(())
}

/// Notes that a revision was announced again, which may make it the one announced last.
async fn announce_again(
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
        feed::count_renewal(txn).await?;
    }
    Ok(())
}
