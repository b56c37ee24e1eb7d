//! Claiming: files that are due, each with all notifications that wait for it, under one lease.
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult, Order,
    QueryFilter, QueryOrder, QuerySelect,
};

use super::Queue;
use super::predicates::{is_abandoned, is_in, is_leased, is_waiting};
use crate::domain::{Digest, Link, NotificationId, NotificationStatus as Status, Validator, millis, timestamp};
use crate::engine::record::entity::{notifications, publications, revisions, validators};
use crate::engine::record::rows::digest;
use crate::engine::record::{RecordError, batch};
use notifications::Column as C;

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
    lead: Lead,
}

/// Whose link an attempt uses. Links to one file take turns, so that one that does not work keeps no other from being tried.
#[derive(Clone, Copy, Debug, Default)]
struct Lead {
    /// Which of the notifications.
    at: usize,
    /// How many different links have their turn after it.
    after: usize,
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

    /// Hosts of which nothing is to be claimed.
    fn shut(&self) -> Vec<String> {
        self.hosts.iter().filter(|(_, n)| **n == 0).map(|(name, _)| name.clone()).collect()
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
    /// The notification whose link this attempt uses.
    pub fn lead(&self) -> Option<&Claimed> {
        self.notifications.get(self.lead.at)
    }

    /// Its notifications, as long as it has its lease.
    pub(super) fn is_leased(&self) -> Expr {
        is_leased(self.lease, &self.file_key)
    }

    /// Whether another link to the file has its turn next, before this one comes again.
    pub fn has_another_link(&self) -> bool {
        self.lead.after > 0
    }
}

impl Lead {
    /// The link that lives longest has the first turn. Links to hosts that are left alone at present have none, unless
    /// there are no others.
    fn choose(notifications: &[Claimed], shut: &[String]) -> Self {
        let mut order: Vec<usize> = (0..notifications.len()).collect();
        order.sort_by_key(|i| (Reverse(notifications[*i].link_expires_at), *i));
        let mut links: Vec<usize> = Vec::new();
        for i in order {
            if !links.iter().any(|other| notifications[*other].link == notifications[i].link) {
                links.push(i);
            }
        }
        let is_shut = |i: &usize| notifications[*i].link.host().is_some_and(|host| shut.contains(&host));
        if !links.iter().all(is_shut) {
            links.retain(|i| !is_shut(i));
        }
        // Every attempt counts for all that wait for the file.
        let attempts = notifications.iter().map(|n| n.attempt).max().unwrap_or(1);
        let turn = (attempts.saturating_sub(1) as usize) % links.len().max(1);
        Self { at: links.get(turn).copied().unwrap_or_default(), after: links.len().saturating_sub(turn + 1) }
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

impl Queue {
    /// Takes as many files' worth of due work as there is room for: what is fresh first, then the link that dies first.
    /// Links that were dead at `certain` have no use any more: that time has come, whatever the clock says (`now`).
    pub async fn claim(
        &self,
        now: Timestamp,
        certain: Timestamp,
        lease_for: Duration,
        mut room: Room,
    ) -> Result<Vec<Claim>, RecordError> {
        let count = room.total;
        if count == 0 {
            return Ok(Vec::new());
        }
        let due = self.due(now, certain, &room).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let shut = room.shut();
        let clock = self.db.shared_clock(now);
        let txn = self.db.begin().await?;
        // Another process may have claimed some since they were looked up.
        let underway = underway(&txn, &clock).await?;
        let mut chosen: Vec<String> = Vec::new();
        for row in due {
            let Some(file_key) = row.file_key else { continue };
            if chosen.len() == count {
                break;
            }
            // What was recorded before hosts were has none.
            let host = row.host.unwrap_or_default();
            let left = room.of(&host);
            if left > 0 && !chosen.contains(&file_key) && !underway.contains(&file_key) {
                room.hosts.insert(host, left - 1);
                chosen.push(file_key);
            }
        }
        let claims = claim_files(&txn, chosen, &shut, certain, &clock, lease_for).await?;
        txn.commit().await?;
        Ok(claims)
    }

    /// What may be claimed, in the order in which it is to be. Read beside the writer: with hosts left alone, most of the
    /// queue may have to be gone through.
    async fn due(&self, now: Timestamp, certain: Timestamp, room: &Room) -> Result<Vec<Due>, RecordError> {
        let reader = self.db.jobs_reader();
        let (shut, clock) = (room.shut(), self.db.shared_clock(now));
        let underway = underway(reader, &clock).await?;
        // What waits for its first attempt is due, whatever the clock said when it was received.
        let queued = Condition::all().add(is_in(Status::Queued));
        let retrying = Condition::all().add(is_in(Status::Retrying));
        let is_due = C::NextAttemptAt.lte(millis(now));
        let mut due = Vec::new();
        // State by state, so that each look-up is a short walk along its index, however long the queue is.
        for state in [queued, retrying.add(is_due), is_abandoned(&clock)] {
            let some = notifications::Entity::find()
                .select_only()
                .columns([C::Id, C::FileKey, C::Host, C::Priority, C::LinkExpiresAt])
                .filter(state)
                .filter(C::LinkExpiresAt.gt(millis(certain)))
                .filter(C::FileKey.is_not_in(&underway))
                .filter(Condition::any().add(C::Host.is_null()).add(C::Host.is_not_in(&shut)))
                .order_by(C::Priority, Order::Asc)
                .order_by(C::LinkExpiresAt, Order::Asc)
                .order_by(C::Id, Order::Asc)
                // One file may have several notifications in line.
                .limit(room.total as u64 * 4);
            due.append(&mut some.into_model::<Due>().all(reader).await?);
        }
        due.sort_by_key(|row| (row.priority, row.link_expires_at, row.id));
        Ok(due)
    }
}

/// The files that are being fetched. One fetch of a file at a time: what arrives meanwhile is served, all of it together,
/// by the next one.
async fn underway<D: ConnectionTrait>(db: &D, clock: &Expr) -> Result<Vec<String>, DbErr> {
    let files: Vec<Option<String>> = notifications::Entity::find()
        .select_only()
        .column(C::FileKey)
        .distinct()
        .filter(is_in(Status::Fetching))
        .filter(Expr::col(C::LeaseUntil).gt(clock.clone()))
        .into_tuple()
        .all(db)
        .await?;
    Ok(files.into_iter().flatten().collect())
}

/// Claims every notification that waits for one of these files, those between attempts included: one fetch of a file
/// serves them all. The claims come in the order of the files.
async fn claim_files(
    txn: &DatabaseTransaction,
    file_keys: Vec<String>,
    shut: &[String],
    certain: Timestamp,
    clock: &Expr,
    lease_for: Duration,
) -> Result<Vec<Claim>, RecordError> {
    if file_keys.is_empty() {
        return Ok(Vec::new());
    }
    let lease = Uuid::now_v7();
    // The last condition always holds of these; it says that the index of files will do.
    let lives = Condition::all()
        .add(C::LinkExpiresAt.gt(millis(certain)))
        .add(C::FileKey.is_in(batch::padded(file_keys.clone())))
        .add(C::NextAttemptAt.is_not_null());
    let rows = notifications::Entity::find()
        .filter(lives.add(Condition::any().add(is_waiting()).add(is_abandoned(clock))))
        .order_by(C::AnnouncedAt, Order::Asc)
        .order_by(C::Id, Order::Asc)
        .limit(1000)
        .all(txn)
        .await?;
    notifications::Entity::update_many()
        .col_expr(C::Status, Expr::value(Status::Fetching.as_str()))
        .col_expr(C::Attempts, Expr::col(C::Attempts).add(1))
        .col_expr(C::Lease, Expr::value(lease))
        .col_expr(C::LeaseUntil, clock.clone().add(crate::engine::record::rows::millis_of(lease_for)))
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
        let lead = Lead::choose(&notifications, shut);
        let mut claim = Claim { lease, file_key, host: String::new(), notifications, known, lead };
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

/// Whether a publication's latest revision has these bytes, and they are there and sound.
pub(super) async fn shows(txn: &DatabaseTransaction, publication: Option<Uuid>, digest: &[u8]) -> Result<bool, DbErr> {
    let Some(id) = publication else { return Ok(false) };
    let Some(row) = publications::Entity::find_by_id(id).one(txn).await? else { return Ok(false) };
    let Some(latest) = row.latest_revision_id else { return Ok(false) };
    let revision = revisions::Entity::find_by_id(latest).one(txn).await?;
    let is_shown = revision.is_some_and(|revision| revision.digest == digest && revision.purged_at.is_none());
    Ok(is_shown && !crate::engine::record::files::is_damaged(txn, digest).await?)
}
