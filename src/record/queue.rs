//! The queue of fetches: the notification is the work item, held by a lease that runs out.
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult, Order, QueryFilter, QueryOrder,
    QuerySelect, UpdateMany,
};

use super::entity::{notifications, publications, revisions, validators};
use super::read::NotificationQuery;
use super::rows::digest;
use super::{Record, RecordError, batch, feed};
use crate::domain::{
    ChangeKind, Digest, Link, NotificationId, NotificationStatus as Status, PublicationId, PublicationStatus,
    Validator, millis, timestamp,
};
use notifications::Column as C;

/// What helps when a link is dead; the portal holds what was answered 202 for delivered.
pub(super) const ENVIAR: &str = "press \"Enviar\" for this product on the portal (\"Reenviar Pendentes\" leaves it out: the notification itself was delivered)";

/// Work for one fetch: all notifications that wait for one file.
#[derive(Debug)]
pub struct Claim {
    /// The fencing token, shared with what was claimed together.
    pub lease: Uuid,
    pub file_key: String,
    /// Of the lead's link.
    pub host: String,
    /// In the order of announcement; never empty.
    pub notifications: Vec<Claimed>,
    /// What the portal said of the file when it was fetched last; there only where its bytes are the latest revision of
    /// every publication that is waiting for it.
    pub known: Option<Known>,
}

/// A content that was fetched before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub validator: Validator,
    pub digest: Digest,
}

/// How many files may be claimed.
#[derive(Clone, Debug)]
pub struct Room {
    pub total: usize,
    /// Of one host of which nothing else is said.
    pub per_host: usize,
    pub hosts: HashMap<String, usize>,
}

impl Room {
    fn of(&self, host: &str) -> usize {
        self.hosts.get(host).copied().unwrap_or(self.per_host)
    }
}

#[derive(Clone, Debug)]
pub struct Claimed {
    pub id: NotificationId,
    pub link: Link,
    pub link_expires_at: Timestamp,
    /// The attempt that is about to be made, from 1.
    pub attempt: u32,
    pub name: String,
    pub is_file: Option<bool>,
    /// A revision that this notification made already, whose zip did not open.
    pub made_revision: bool,
}

impl Claim {
    /// The notification whose link lives longest.
    pub fn lead(&self) -> Option<&Claimed> {
        self.notifications.iter().max_by_key(|n| n.link_expires_at)
    }
}

/// A notification that may be claimed.
#[derive(FromQueryResult)]
struct Due {
    id: Uuid,
    file_key: Option<String>,
    host: Option<String>,
    priority: i32,
    link_expires_at: Option<i64>,
}

/// What `retry` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryCounts {
    pub matched: u64,
    pub queued: u64,
    /// Their links are dead.
    pub dead: u64,
}

impl Record {
    /// Takes as many files' worth of due work as there is room for: what is fresh first, then the link that dies first.
    pub async fn claim(&self, now: Timestamp, lease_for: Duration, mut room: Room) -> Result<Vec<Claim>, RecordError> {
        let count = room.total;
        if count == 0 {
            return Ok(Vec::new());
        }
        let shut: Vec<String> = room.hosts.iter().filter(|(_, n)| **n == 0).map(|(name, _)| name.clone()).collect();
        let txn = self.begin().await?;
        // One fetch of a file at a time: what arrives meanwhile is served by it, or together by the next one.
        let underway: Vec<Option<String>> = notifications::Entity::find()
            .select_only()
            .column(C::FileKey)
            .distinct()
            .filter(C::Status.eq(Status::Fetching.as_str()))
            .filter(C::LeaseUntil.gt(millis(now)))
            .into_tuple()
            .all(&txn)
            .await?;
        let underway: Vec<String> = underway.into_iter().flatten().collect();
        let mut due = Vec::new();
        // State by state, so that each look-up is a short walk along the index, however long the queue is.
        for state in [in_state(Status::Queued, now), in_state(Status::Retrying, now), abandoned(now)] {
            let some = notifications::Entity::find()
                .select_only()
                .columns([C::Id, C::FileKey, C::Host, C::Priority, C::LinkExpiresAt])
                .filter(state)
                .filter(C::LinkExpiresAt.gt(millis(now)))
                .filter(C::FileKey.is_not_in(&underway))
                .filter(Condition::any().add(C::Host.is_null()).add(C::Host.is_not_in(&shut)))
                .order_by(C::Priority, Order::Asc)
                .order_by(C::LinkExpiresAt, Order::Asc)
                .order_by(C::Id, Order::Asc)
                // One file may have several notifications in line.
                .limit(count as u64 * 4);
            due.append(&mut some.into_model::<Due>().all(&txn).await?);
        }
        due.sort_by_key(|row| (row.priority, row.link_expires_at, row.id));
        let mut chosen: Vec<String> = Vec::new();
        for row in due {
            let Some(file_key) = row.file_key else { continue };
            if chosen.len() == count {
                break;
            }
            // What was recorded before hosts were has none.
            let host = row.host.unwrap_or_default();
            let left = room.of(&host);
            if left > 0 && !chosen.contains(&file_key) {
                room.hosts.insert(host, left - 1);
                chosen.push(file_key);
            }
        }
        let claims = claim_files(&txn, chosen, now, lease_for).await?;
        txn.commit().await?;
        Ok(claims)
    }

    /// Keeps a claim for longer. An error means that it is lost, and the work with it.
    pub async fn renew(&self, claim: &Claim, until: Timestamp) -> Result<(), RecordError> {
        let renewed = notifications::Entity::update_many()
            .col_expr(C::LeaseUntil, Expr::value(millis(until)))
            .filter(held(claim))
            .exec(&self.inner.writer)
            .await?;
        if renewed.rows_affected == 0 { Err(RecordError::LeaseLost) } else { Ok(()) }
    }

    /// Gives a claim back as it was found.
    pub async fn release(&self, claim: &Claim) -> Result<(), RecordError> {
        release(&self.inner.writer, held(claim)).await?;
        self.tell_queue();
        Ok(())
    }

    /// Gives back all that any process holds: for the start of the only process that works on this database.
    pub async fn release_all(&self) -> Result<u64, RecordError> {
        Ok(release(&self.inner.writer, C::Status.eq(Status::Fetching.as_str())).await?)
    }

    /// An attempt failed; another one is due at `next`.
    pub async fn settle_retry(&self, claim: &Claim, next: Timestamp, error: &str) -> Result<(), RecordError> {
        let update = notifications::Entity::update_many()
            .col_expr(C::Status, Expr::value(Status::Retrying.as_str()))
            .col_expr(C::NextAttemptAt, Expr::value(millis(next)))
            .col_expr(C::LeaseUntil, Expr::value(None::<i64>))
            .col_expr(C::Lease, Expr::value(None::<Uuid>))
            .col_expr(C::Error, Expr::value(error))
            .filter(held(claim));
        let settled = update.exec(&self.inner.writer).await?;
        self.tell_queue();
        if settled.rows_affected == 0 { Err(RecordError::LeaseLost) } else { Ok(()) }
    }

    /// No attempt can help.
    pub async fn settle_failed(&self, claim: &Claim, now: Timestamp, error: &str) -> Result<(), RecordError> {
        let txn = self.begin().await?;
        let rows = notifications::Entity::find().filter(held(claim)).all(&txn).await?;
        if rows.is_empty() {
            return Err(RecordError::LeaseLost);
        }
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        end(&txn, ids, Status::Failed, Expr::value(error)).await?;
        lose(&txn, rows.iter().filter_map(|row| row.publication_id).collect(), now).await?;
        txn.commit().await?;
        self.tell_feed();
        Ok(())
    }

    /// Ends the wait for links that died. Returns how many notifications that were.
    pub async fn expire(&self, now: Timestamp) -> Result<u64, RecordError> {
        const AT_ONCE: u64 = 500;
        let dead = Condition::all()
            .add(C::LinkExpiresAt.lte(millis(now)))
            .add(Condition::any().add(C::Status.is_in(waiting())).add(abandoned(now)));
        if notifications::Entity::find().filter(dead.clone()).one(self.reader()).await?.is_none() {
            return Ok(0);
        }
        let txn = self.begin().await?;
        let rows = notifications::Entity::find().filter(dead).limit(AT_ONCE).all(&txn).await?;
        for row in &rows {
            let reason = match &row.error {
                Some(last) => format!("the link died before the file could be had (last: {last}); {ENVIAR}"),
                None => format!("the link was dead before the first attempt; {ENVIAR}"),
            };
            end(&txn, vec![row.id], Status::Expired, Expr::value(reason)).await?;
        }
        lose(&txn, rows.iter().filter_map(|row| row.publication_id).collect(), now).await?;
        let links = C::Id.is_in(rows.iter().map(|row| row.id));
        notifications::Entity::update_many()
            .col_expr(C::Link, Expr::value(None::<String>))
            .filter(links)
            .exec(&txn)
            .await?;
        txn.commit().await?;
        self.note_erased();
        self.tell_feed();
        Ok(rows.len() as u64)
    }

    /// When there is something to do next that no commit will tell of: an attempt, a lease or a link that runs out.
    pub async fn next_event(&self) -> Result<Option<Timestamp>, RecordError> {
        let first = |column: C, of: Status| {
            notifications::Entity::find().filter(C::Status.eq(of.as_str())).select_only().column_as(column.min(), "at")
        };
        let mut next: Option<i64> = None;
        for (column, status) in [
            (C::NextAttemptAt, Status::Queued),
            (C::NextAttemptAt, Status::Retrying),
            (C::LinkExpiresAt, Status::Retrying),
            (C::LeaseUntil, Status::Fetching),
        ] {
            let at: Option<Option<i64>> = first(column, status).into_tuple().one(self.reader()).await?;
            next = next.into_iter().chain(at.flatten()).min();
        }
        Ok(next.map(timestamp))
    }

    /// Queues again what a query names, as far as its link lives and its file is not there.
    pub async fn retry(&self, query: &NotificationQuery, now: Timestamp) -> Result<RetryCounts, RecordError> {
        let txn = self.begin().await?;
        let rows = notifications::Entity::find().filter(query.condition()).all(&txn).await?;
        let mut counts = RetryCounts { matched: rows.len() as u64, ..Default::default() };
        let mut again = Vec::new();
        for row in &rows {
            let wants_file =
                [Status::Queued, Status::Retrying, Status::Failed].iter().any(|s| row.status == s.as_str());
            let lives = row.link.is_some() && row.link_expires_at.is_some_and(|at| at > millis(now));
            if row.status == Status::Expired.as_str() || (wants_file && !lives) {
                counts.dead += 1;
            } else if wants_file {
                again.push(row);
            }
        }
        counts.queued = again.len() as u64;
        for some in again.chunks(500) {
            notifications::Entity::update_many()
                .col_expr(C::Status, Expr::value(Status::Queued.as_str()))
                .col_expr(C::Attempts, Expr::value(0))
                .col_expr(C::NextAttemptAt, Expr::value(millis(now)))
                .filter(C::Id.is_in(some.iter().map(|row| row.id)))
                .exec(&txn)
                .await?;
        }
        await_again(&txn, again.iter().filter_map(|row| row.publication_id).collect(), now).await?;
        txn.commit().await?;
        self.tell_queue();
        self.tell_feed();
        Ok(counts)
    }
}

fn waiting() -> [&'static str; 2] {
    [Status::Queued.as_str(), Status::Retrying.as_str()]
}

/// Held by a worker that is gone.
fn abandoned(now: Timestamp) -> Condition {
    Condition::all().add(C::Status.eq(Status::Fetching.as_str())).add(C::LeaseUntil.lte(millis(now)))
}

fn in_state(state: Status, now: Timestamp) -> Condition {
    Condition::all().add(C::Status.eq(state.as_str())).add(C::NextAttemptAt.lte(millis(now)))
}

/// Claims every notification that waits for one of these files, those between attempts included: one fetch of a file
/// serves them all. The claims come in the order of the files.
async fn claim_files(
    txn: &DatabaseTransaction,
    file_keys: Vec<String>,
    now: Timestamp,
    lease_for: Duration,
) -> Result<Vec<Claim>, RecordError> {
    if file_keys.is_empty() {
        return Ok(Vec::new());
    }
    let lease = Uuid::now_v7();
    // The last condition always holds of these; it says that the index of files will do.
    let lives = Condition::all()
        .add(C::LinkExpiresAt.gt(millis(now)))
        .add(C::FileKey.is_in(batch::padded(file_keys.clone())))
        .add(C::NextAttemptAt.is_not_null());
    let rows = notifications::Entity::find()
        .filter(lives.add(Condition::any().add(C::Status.is_in(waiting())).add(abandoned(now))))
        .order_by(C::AnnouncedAt, Order::Asc)
        .order_by(C::Id, Order::Asc)
        .limit(1000)
        .all(txn)
        .await?;
    let lease_for_ms = i64::try_from(lease_for.as_millis()).unwrap_or(i64::MAX);
    notifications::Entity::update_many()
        .col_expr(C::Status, Expr::value(Status::Fetching.as_str()))
        .col_expr(C::Attempts, Expr::col(C::Attempts).add(1))
        .col_expr(C::Lease, Expr::value(lease))
        .col_expr(C::LeaseUntil, Expr::value(millis(now).saturating_add(lease_for_ms)))
        .filter(C::Id.is_in(batch::padded(rows.iter().map(|row| row.id).collect())))
        .exec(txn)
        .await?;
    let said = validators::Entity::find()
        .filter(validators::Column::FileKey.is_in(batch::padded(file_keys.clone())))
        .all(txn)
        .await?;
    let mut claims = Vec::with_capacity(file_keys.len());
    for file_key in file_keys {
        let own: Vec<notifications::Model> =
            rows.iter().filter(|row| row.file_key.as_ref() == Some(&file_key)).cloned().collect();
        let said = said.iter().find(|said| said.file_key == file_key);
        let known = match said {
            Some(said) if own.iter().all(|row| row.revision_id.is_none()) => known(txn, said, &own).await?,
            _ => None,
        };
        let notifications: Vec<Claimed> = own.into_iter().filter_map(claimed).collect();
        let mut claim = Claim { lease, file_key, host: String::new(), notifications, known };
        let Some(lead) = claim.lead() else { continue };
        claim.host = lead.link.host().unwrap_or_default();
        claims.push(claim);
    }
    Ok(claims)
}

fn claimed(row: notifications::Model) -> Option<Claimed> {
    Some(Claimed {
        id: NotificationId(row.id),
        link: Link::from_kept(row.link?),
        link_expires_at: timestamp(row.link_expires_at.unwrap_or(i64::MAX)),
        attempt: u32::try_from(row.attempts + 1).unwrap_or(u32::MAX),
        name: row.name.unwrap_or_default(),
        is_file: row.is_file,
        made_revision: row.revision_id.is_some(),
    })
}

/// Which notifications a claim holds: several claims that were made together share their lease.
pub(super) fn held(claim: &Claim) -> Expr {
    C::Lease.eq(claim.lease).and(C::FileKey.eq(&claim.file_key))
}

/// What the portal said of a file, where its bytes are what all these notifications' publications show.
async fn known(
    txn: &DatabaseTransaction,
    said: &validators::Model,
    rows: &[notifications::Model],
) -> Result<Option<Known>, RecordError> {
    for row in rows {
        if !shows(txn, row.publication_id, &said.digest).await? {
            return Ok(None);
        }
    }
    let validator = Validator { etag: said.etag.clone(), last_modified: said.last_modified.clone() };
    Ok(Some(Known { validator, digest: digest(&said.digest)? }))
}

/// Whether a publication's latest revision has these bytes, and they are there.
pub(super) async fn shows(txn: &DatabaseTransaction, publication: Option<Uuid>, digest: &[u8]) -> Result<bool, DbErr> {
    let Some(id) = publication else { return Ok(false) };
    let Some(row) = publications::Entity::find_by_id(id).one(txn).await? else { return Ok(false) };
    let Some(latest) = row.latest_revision_id else { return Ok(false) };
    let revision = revisions::Entity::find_by_id(latest).one(txn).await?;
    Ok(revision.is_some_and(|revision| revision.digest == digest && revision.purged_at.is_none()))
}

pub(super) async fn release<C2: sea_orm::ConnectionTrait>(db: &C2, which: Expr) -> Result<u64, DbErr> {
    let released = notifications::Entity::update_many()
        .col_expr(C::Status, Expr::value(Status::Queued.as_str()))
        .col_expr(C::Attempts, Expr::col(C::Attempts).sub(1))
        .col_expr(C::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(C::Lease, Expr::value(None::<Uuid>))
        .filter(which)
        .exec(db)
        .await?;
    Ok(released.rows_affected)
}

/// Settles notifications for good.
async fn end(txn: &DatabaseTransaction, ids: Vec<Uuid>, status: Status, error: Expr) -> Result<(), DbErr> {
    ended(notifications::Entity::update_many(), status, error).filter(C::Id.is_in(ids)).exec(txn).await?;
    Ok(())
}

/// What is written of a notification that is settled for good.
pub(super) fn ended(
    update: UpdateMany<notifications::Entity>,
    status: Status,
    error: Expr,
) -> UpdateMany<notifications::Entity> {
    update
        .col_expr(C::Status, Expr::value(status.as_str()))
        .col_expr(C::NextAttemptAt, Expr::value(None::<i64>))
        .col_expr(C::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(C::Lease, Expr::value(None::<Uuid>))
        .col_expr(C::Error, error)
}

/// Publications without a file whose last hope these notifications were are LOST.
pub(super) async fn lose(txn: &DatabaseTransaction, mut ids: Vec<Uuid>, now: Timestamp) -> Result<(), DbErr> {
    let mut lost = Vec::new();
    ids.sort();
    ids.dedup();
    for id in ids {
        let hope =
            Condition::all().add(C::PublicationId.eq(id)).add(C::Status.is_in(Status::OPEN.iter().map(|s| s.as_str())));
        if notifications::Entity::find().filter(hope).one(txn).await?.is_some() {
            continue;
        }
        let changed = set_status(txn, vec![id], PublicationStatus::Awaited, PublicationStatus::Lost).await?;
        if changed > 0 {
            lost.push((ChangeKind::Lost, PublicationId(id), None));
        }
    }
    feed::tell(txn, millis(now), lost).await
}

async fn await_again(txn: &DatabaseTransaction, publications: Vec<Uuid>, now: Timestamp) -> Result<(), DbErr> {
    let mut told = Vec::new();
    for id in publications {
        if set_status(txn, vec![id], PublicationStatus::Lost, PublicationStatus::Awaited).await? > 0 {
            told.push((ChangeKind::Announced, PublicationId(id), None));
        }
    }
    feed::tell(txn, millis(now), told).await
}

async fn set_status(
    txn: &DatabaseTransaction,
    ids: Vec<Uuid>,
    from: PublicationStatus,
    to: PublicationStatus,
) -> Result<u64, DbErr> {
    let update = publications::Entity::update_many()
        .col_expr(publications::Column::Status, Expr::value(to.as_str()))
        .filter(publications::Column::Id.is_in(ids))
        .filter(publications::Column::Status.eq(from.as_str()));
    Ok(update.exec(txn).await?.rows_affected)
}
