//! Claiming: files that are due, each with all notifications that wait for it, under one lease.
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait,
    FromQueryResult, Order, QueryFilter, QueryOrder, QuerySelect, Statement,
};

use super::Queue;
use super::predicates::{is_abandoned, is_in, is_leased, is_waiting};
use super::transitions::end_without_file;
use crate::domain::{
    Candidate, Digest, Link, NotificationId, NotificationStatus as Status, Turn, Validator, millis, timestamp,
};
use crate::engine::record::entity::{notifications, publications, revisions, validators};
use crate::engine::record::publications::mark_lost;
use crate::engine::record::rows::millis_of;
use crate::engine::record::{RecordError, batch, files};
use notifications::Column as C;

/// Notifications that one claim takes at most.
const NOTIFICATIONS_MAX: u64 = 1000;

/// New announcements, and what a replay repeats.
const PRIORITIES: [i32; 2] = [0, 1];

/// Work for one fetch: all notifications that wait for one file.
#[derive(Debug)]
pub struct Claim {
    /// The fencing token, shared with what was claimed together.
    pub lease: Uuid,
    pub file_key: String,
    /// Of the lead's link.
    pub host: String,
    /// In the order of announcement; never empty.
    pub notifications: Vec<ClaimedNotification>,
    /// What makes the fetch conditional. Present only if the bytes of the previous fetch are the latest revision of every
    /// publication that waits for the file.
    pub previous: Option<PreviousFetch>,
    turn: Turn,
}

/// What the portal said of a file when it was fetched last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousFetch {
    pub validator: Validator,
    pub digest: Digest,
}

/// How many files may be claimed.
#[derive(Clone, Debug)]
pub struct Capacity {
    pub total: usize,
    /// Of one host that is not in `hosts`.
    pub per_host: usize,
    pub hosts: HashMap<String, usize>,
}

impl Capacity {
    fn of(&self, host: &str) -> usize {
        self.hosts.get(host).copied().unwrap_or(self.per_host)
    }

    /// Hosts of which nothing may be claimed.
    fn exhausted(&self) -> Vec<String> {
        self.hosts.iter().filter(|(_, n)| **n == 0).map(|(name, _)| name.clone()).collect()
    }
}

#[derive(Clone, Debug)]
pub struct ClaimedNotification {
    pub id: NotificationId,
    pub received_at: Timestamp,
    pub link: Link,
    pub link_expires_at: Timestamp,
    /// The attempt that is about to be made, from 1.
    pub attempt: u32,
    pub name: String,
    pub is_file: Option<bool>,
    /// It has made a revision already, of a file that seemed broken.
    pub made_revision: bool,
    host: String,
}

impl Claim {
    /// The notification whose link this attempt uses.
    pub fn lead(&self) -> Option<&ClaimedNotification> {
        self.notifications.get(self.turn.index)
    }

    /// Whether another link to the file has its turn before this one has it again.
    pub fn has_another_link(&self) -> bool {
        self.turn.after > 0
    }

    /// Its notifications, as long as it has its lease.
    pub(super) fn is_leased(&self) -> Expr {
        is_leased(self.lease, &self.file_key)
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
    /// Claims as many due files as there is capacity for: new announcements first, then the link that expires first. Links that
    /// had expired at `certain` are useless: that time has certainly passed, whatever the clock says (`now`).
    pub async fn claim(
        &self,
        now: Timestamp,
        certain: Timestamp,
        lease_for: Duration,
        mut capacity: Capacity,
    ) -> Result<Vec<Claim>, RecordError> {
        let count = capacity.total;
        if count == 0 {
            return Ok(Vec::new());
        }
        let due = self.due(now, certain, &capacity).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let exhausted = capacity.exhausted();
        let clock = self.db.shared_clock(now);
        let txn = self.db.begin().await?;
        // Another process may have claimed some since they were looked up.
        let in_progress = in_progress(&txn, &clock).await?;
        let mut chosen: Vec<String> = Vec::new();
        for row in due {
            let Some(file_key) = row.file_key else { continue };
            if chosen.len() == count {
                break;
            }
            // Notifications from before hosts were recorded have none, and count together.
            let host = row.host.unwrap_or_default();
            let left = capacity.of(&host);
            if left > 0 && !chosen.contains(&file_key) && !in_progress.contains(&file_key) {
                capacity.hosts.insert(host, left - 1);
                chosen.push(file_key);
            }
        }
        let claimed = claim_files(&txn, chosen, &exhausted, certain, &clock, lease_for, now).await?;
        txn.commit().await?;
        Ok(claimed)
    }

    /// What may be claimed, in the order in which it is to be. Read outside the writer. Host by host, so that what waits for a paused
    /// or busy host is not read, however much it is.
    async fn due(&self, now: Timestamp, certain: Timestamp, capacity: &Capacity) -> Result<Vec<Due>, RecordError> {
        let reader = self.db.jobs_reader();
        let (exhausted, clock) = (capacity.exhausted(), self.db.shared_clock(now));
        let in_progress = in_progress(reader, &clock).await?;
        let select = |state: Condition| {
            notifications::Entity::find()
                .select_only()
                .columns([C::Id, C::FileKey, C::Host, C::Priority, C::LinkExpiresAt])
                .filter(state)
                .filter(C::LinkExpiresAt.gt(millis(certain)))
                .filter(C::FileKey.is_not_in(&in_progress))
                .order_by(C::Priority, Order::Asc)
                .order_by(C::LinkExpiresAt, Order::Asc)
                .order_by(C::Id, Order::Asc)
                // Several notifications may wait for one file.
                .limit(capacity.total as u64 * 4)
                .into_model::<Due>()
        };
        let mut due = Vec::new();
        // What waits for its first attempt is due, whatever the clock said when it was received.
        for priority in PRIORITIES {
            let queued = || Condition::all().add(is_in(Status::Queued)).add(C::Priority.eq(priority));
            for host in hosts(reader, Status::Queued, priority).await?.iter().filter(|host| !exhausted.contains(host)) {
                due.append(&mut select(queued().add(C::Host.eq(host))).all(reader).await?);
            }
            due.append(&mut select(queued().add(C::Host.is_null())).all(reader).await?);
        }
        let is_open = Condition::any().add(C::Host.is_null()).add(C::Host.is_not_in(&exhausted));
        if self.may_retry(&exhausted).await? {
            let retrying = Condition::all().add(is_in(Status::Retrying)).add(C::NextAttemptAt.lte(millis(now)));
            due.append(&mut select(retrying.add(is_open.clone())).all(reader).await?);
        }
        due.append(&mut select(is_abandoned(&clock).add(is_open)).all(reader).await?);
        due.sort_by_key(|row| (row.priority, row.link_expires_at, row.id));
        Ok(due)
    }

    /// Whether something between two attempts waits for a host that is not exhausted.
    async fn may_retry(&self, exhausted: &[String]) -> Result<bool, RecordError> {
        if exhausted.is_empty() {
            return Ok(true);
        }
        let reader = self.db.jobs_reader();
        for priority in PRIORITIES {
            if hosts(reader, Status::Retrying, priority).await?.iter().any(|host| !exhausted.contains(host)) {
                return Ok(true);
            }
        }
        let without_host = Condition::all().add(is_in(Status::Retrying)).add(C::Host.is_null());
        Ok(notifications::Entity::find().filter(without_host).one(reader).await?.is_some())
    }
}

/// The hosts that notifications of a status and a priority wait for. One look-up for each.
async fn hosts(db: &DatabaseConnection, status: Status, priority: i32) -> Result<Vec<String>, DbErr> {
    let those = format!("SELECT MIN(host) FROM notifications WHERE status = '{status}' AND priority = {priority}");
    let statement = format!(
        "WITH RECURSIVE hosts(host) AS (SELECT ({those}) UNION ALL \
         SELECT ({those} AND notifications.host > hosts.host) FROM hosts WHERE hosts.host IS NOT NULL) \
         SELECT host FROM hosts WHERE host IS NOT NULL"
    );
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), statement)).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// The files that are being fetched. One fetch of a file at a time: notifications that are recorded in the meantime are served, all together, by
/// the next one.
async fn in_progress<D: ConnectionTrait>(db: &D, clock: &Expr) -> Result<Vec<String>, DbErr> {
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

/// Claims every notification that waits for one of these files, those between attempts included: one fetch of a file serves them
/// all. The claims come in the order of the files.
async fn claim_files(
    txn: &DatabaseTransaction,
    file_keys: Vec<String>,
    exhausted: &[String],
    certain: Timestamp,
    clock: &Expr,
    lease_for: Duration,
    now: Timestamp,
) -> Result<Vec<Claim>, RecordError> {
    if file_keys.is_empty() {
        return Ok(Vec::new());
    }
    let lease = Uuid::now_v7();
    let rows = waiting_for(txn, &file_keys, certain, clock).await?;
    let rows = end_unreadable(txn, rows, now).await?;
    notifications::Entity::update_many()
        .col_expr(C::Status, Expr::value(Status::Fetching))
        .col_expr(C::Attempts, Expr::col(C::Attempts).add(1))
        .col_expr(C::Lease, Expr::value(lease))
        .col_expr(C::LeaseUntil, clock.clone().add(millis_of(lease_for)?))
        .filter(C::Id.is_in(batch::padded(rows.iter().map(|(row, _)| row.id).collect())))
        .exec(txn)
        .await?;
    let fetched_before = validators::Entity::find()
        .filter(validators::Column::FileKey.is_in(batch::padded(file_keys.clone())))
        .all(txn)
        .await?;
    let mut claims = Vec::with_capacity(file_keys.len());
    for file_key in file_keys {
        let own: Vec<&(notifications::Model, ClaimedNotification)> =
            rows.iter().filter(|(row, _)| row.file_key.as_ref() == Some(&file_key)).collect();
        let before = fetched_before.iter().find(|before| before.file_key == file_key);
        let previous = match before {
            Some(before) if own.iter().all(|(row, _)| row.revision_id.is_none()) => {
                previous(txn, before, own.iter().map(|(row, _)| row)).await?
            }
            _ => None,
        };
        let notifications: Vec<ClaimedNotification> = own.iter().map(|(_, claimed)| claimed.clone()).collect();
        let candidates: Vec<Candidate<'_>> = notifications.iter().map(ClaimedNotification::candidate).collect();
        let turn = Turn::of(&candidates, exhausted);
        // None if another process ended them since they were looked up.
        let Some(host) = notifications.get(turn.index).map(|lead| lead.host.clone()) else { continue };
        claims.push(Claim { lease, file_key, host, notifications, previous, turn });
    }
    Ok(claims)
}

async fn waiting_for(
    txn: &DatabaseTransaction,
    file_keys: &[String],
    certain: Timestamp,
    clock: &Expr,
) -> Result<Vec<notifications::Model>, DbErr> {
    // The last condition holds for all of these; it shows that the index of files serves.
    let has_live_link = Condition::all()
        .add(C::LinkExpiresAt.gt(millis(certain)))
        .add(C::FileKey.is_in(batch::padded(file_keys.to_vec())))
        .add(C::NextAttemptAt.is_not_null());
    notifications::Entity::find()
        .filter(has_live_link.add(Condition::any().add(is_waiting()).add(is_abandoned(clock))))
        .order_by(C::AnnouncedAt, Order::Asc)
        .order_by(C::Id, Order::Asc)
        .limit(NOTIFICATIONS_MAX)
        .all(txn)
        .await
}

/// Notifications that cannot be fetched since their row is broken end as FAILED with the reason; the others are fetched.
async fn end_unreadable(
    txn: &DatabaseTransaction,
    rows: Vec<notifications::Model>,
    now: Timestamp,
) -> Result<Vec<(notifications::Model, ClaimedNotification)>, RecordError> {
    let mut readable = Vec::with_capacity(rows.len());
    for row in rows {
        match ClaimedNotification::read(&row) {
            Ok(claimed) => readable.push((row, claimed)),
            Err(e) => {
                let broken = RecordError::Corrupt(format!("the notification {}: {e}", row.id));
                tracing::error!(error = %broken, "a notification cannot be fetched");
                end_without_file(txn, std::slice::from_ref(&row), Status::Failed, &|_| broken.to_string()).await?;
                mark_lost(txn, row.publication_id.into_iter().collect(), now).await?;
            }
        }
    }
    Ok(readable)
}

impl ClaimedNotification {
    fn candidate(&self) -> Candidate<'_> {
        Candidate { link: &self.link, expires_at: self.link_expires_at, attempt: self.attempt }
    }

    fn read(row: &notifications::Model) -> Result<Self, String> {
        let missing = |what: &str| format!("it waits for its file and has no {what}");
        let link = Link::from_stored(row.link.clone().ok_or_else(|| missing("link"))?);
        let expires_at = row.link_expires_at.ok_or_else(|| missing("time at which its link expires"))?;
        let attempt = row.attempts.checked_add(1).and_then(|attempt| u32::try_from(attempt).ok());
        Ok(Self {
            id: NotificationId(row.id),
            received_at: timestamp(row.received_at),
            link_expires_at: timestamp(expires_at),
            attempt: attempt.ok_or_else(|| format!("it has had {} attempts", row.attempts))?,
            name: row.name.clone().ok_or_else(|| missing("name"))?,
            is_file: row.is_file,
            made_revision: row.revision_id.is_some(),
            // A link without a host, such as `file:///x`, is claimed as well: its attempt is refused, with the reason.
            host: link.host().unwrap_or_default(),
            link,
        })
    }
}

/// What the portal said of a file, if its bytes are the latest revision of each of these notifications' publications.
async fn previous<'a>(
    txn: &DatabaseTransaction,
    before: &validators::Model,
    rows: impl Iterator<Item = &'a notifications::Model>,
) -> Result<Option<PreviousFetch>, DbErr> {
    let publications: Vec<Option<Uuid>> = rows.map(|row| row.publication_id).collect();
    for publication in publications {
        if latest_with(txn, publication, before.digest).await?.is_none() {
            return Ok(None);
        }
    }
    let validator = Validator { etag: before.etag.clone(), last_modified: before.last_modified.clone() };
    Ok(Some(PreviousFetch { validator, digest: before.digest }))
}

/// A publication's latest revision, if it has these bytes and they are stored and undamaged.
pub(super) async fn latest_with(
    txn: &DatabaseTransaction,
    publication: Option<Uuid>,
    digest: Digest,
) -> Result<Option<revisions::Model>, DbErr> {
    let Some(id) = publication else { return Ok(None) };
    let Some(row) = publications::Entity::find_by_id(id).one(txn).await? else { return Ok(None) };
    let Some(latest) = row.latest_revision_id else { return Ok(None) };
    let revision = revisions::Entity::find_by_id(latest).one(txn).await?;
    let latest = revision.filter(|revision| revision.digest == digest && revision.purged_at.is_none());
    Ok(if files::is_damaged(txn, digest).await? { None } else { latest })
}
