//! Replays: runs of many notifications of one source, such as "Enviar Tudo", whether their publications are known or not.
//!
//! The run that a source is in lies in the database, so that replicas and restarts see the same one. It is followed
//! inside the commit that records the notifications.
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ColumnTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult, IntoActiveModel,
    JoinType, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::db::Db;
use super::entity::{files, notifications, publications, replays, revisions, sources};
use super::intake::{Announced, NewNotification};
use super::rows::natural;
use super::{RecordError, batch};
use crate::domain::{NotificationStatus as Status, millis, timestamp};
use notifications::Column as N;

/// What makes a run a replay.
#[derive(Clone, Copy, Debug)]
pub struct ReplayRule {
    /// Notifications in it.
    pub at_least: u64,
    /// No more than this between one and the next.
    pub gap: Duration,
}

impl ReplayRule {
    fn gap_ms(&self) -> i64 {
        i64::try_from(self.gap.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A bulk replay and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub id: Uuid,
    pub source: String,
    pub started_at: Timestamp,
    /// When its last notification came; `None` while more may come.
    pub ended_at: Option<Timestamp>,
    /// Notifications in it.
    pub announced: u64,
    /// Of these, those whose publication was known before the run.
    pub known: u64,
    /// Of these, those that still want a file.
    pub waiting: u64,
    pub unchanged: u64,
    pub new_revisions: u64,
    /// Expired, failed or rejected.
    pub failed: u64,
    /// What the archive grew by on the disk.
    pub bytes_added: u64,
}

/// Goes on with each source's run, and gives for each notification the replay that it is part of.
pub(super) async fn follow(
    txn: &DatabaseTransaction,
    rule: ReplayRule,
    batch: &[NewNotification],
    announced: &[Option<Announced>],
) -> Result<Vec<Option<Uuid>>, DbErr> {
    let mut order: Vec<usize> = (0..batch.len()).collect();
    order.sort_by_key(|i| (&batch[*i].source, batch[*i].received_at, batch[*i].id));
    let mut part_of = vec![None; batch.len()];
    for some in order.chunk_by(|a, b| batch[*a].source == batch[*b].source) {
        let Some(first) = some.first() else { continue };
        let name = &batch[*first].source;
        let known = sources::Entity::find_by_id(name).one(txn).await?;
        let mut source = known.unwrap_or_else(|| new_source(name));
        for i in some {
            let received_at = millis(batch[*i].received_at);
            if source.last_at.is_none_or(|last| received_at.saturating_sub(last) > rule.gap_ms()) {
                source.run_started_at = Some(received_at);
                source.run_count = 0;
                source.run_known = 0;
                source.run_replay = None;
            }
            source.last_at = Ord::max(source.last_at, Some(received_at));
            source.run_count += 1;
            source.run_known +=
                i64::from(announced[*i].as_ref().is_some_and(|a| a.is_known_before(source.run_started_at)));
            if source.run_replay.is_none() && natural(source.run_count) >= rule.at_least {
                source.run_replay = Some(begin(txn, &source).await?);
            }
            part_of[*i] = source.run_replay;
        }
        // Those of this batch that came before it was known for a replay.
        if let Some(replay) = source.run_replay {
            for i in some.iter().filter(|i| Some(millis(batch[**i].received_at)) >= source.run_started_at) {
                part_of[*i] = Some(replay);
            }
            replays::Entity::update_many()
                .col_expr(replays::Column::LastAt, Expr::value(source.last_at))
                .col_expr(replays::Column::Known, Expr::value(source.run_known))
                .filter(replays::Column::Id.eq(replay))
                .exec(txn)
                .await?;
        }
        save(txn, source).await?;
    }
    Ok(part_of)
}

fn new_source(name: &str) -> sources::Model {
    sources::Model {
        name: name.to_owned(),
        last_at: None,
        run_started_at: None,
        run_count: 0,
        run_known: 0,
        run_replay: None,
        denied: 0,
        denied_at: None,
    }
}

async fn save(txn: &DatabaseTransaction, source: sources::Model) -> Result<(), DbErr> {
    use sources::Column as C;
    let replaced = OnConflict::column(C::Name)
        .update_columns([C::LastAt, C::RunStartedAt, C::RunCount, C::RunKnown, C::RunReplay])
        .to_owned();
    batch::insert(txn, vec![source.into_active_model()], Some(replaced)).await
}

/// Makes the run a replay, those of its notifications that are recorded already included.
async fn begin(txn: &DatabaseTransaction, source: &sources::Model) -> Result<Uuid, DbErr> {
    let id = Uuid::now_v7();
    let started_at = source.run_started_at.unwrap_or_default();
    let row = replays::Model {
        id,
        source: source.name.clone(),
        started_at,
        last_at: source.last_at.unwrap_or_default(),
        ended_at: None,
        told: false,
        known: source.run_known,
    };
    batch::insert(txn, vec![row.into_active_model()], None).await?;
    // Written out: a plan that is made for any instant goes through all that were ever received.
    let since = Expr::cust(format!("received_at >= {started_at}"));
    let earlier = || N::Source.eq(&source.name).and(since.clone()).and(N::ReplayId.is_null());
    // Asked of each, since a list of all publications with files would be made for these few.
    let its_id = Expr::col((notifications::Entity, N::PublicationId));
    let with_file = Query::select()
        .expr(Expr::value(1))
        .from(publications::Entity)
        .and_where(Expr::col((publications::Entity, publications::Column::Id)).eq(its_id))
        .and_where(publications::Column::LatestRevisionId.is_not_null())
        .to_owned();
    notifications::Entity::update_many()
        .col_expr(N::Priority, Expr::value(1))
        .filter(earlier().and(Expr::exists(with_file)))
        .exec(txn)
        .await?;
    notifications::Entity::update_many().col_expr(N::ReplayId, Expr::value(id)).filter(earlier()).exec(txn).await?;
    tracing::info!(
        replay = %id,
        source = source.name,
        notifications = source.run_count,
        "a replay began: \"Enviar Tudo\" was pressed on the portal, or the like"
    );
    Ok(id)
}

#[derive(FromQueryResult)]
struct Tally {
    replay_id: Uuid,
    status: String,
    n: i64,
}

/// Bulk replays.
#[derive(Clone)]
pub struct Replays {
    pub(super) db: Db,
    pub(super) rule: ReplayRule,
}

impl Replays {
    /// Newest first, after one; and how many there are.
    pub async fn list(&self, after: Option<Uuid>, limit: u64) -> Result<(Vec<Replay>, u64), RecordError> {
        let mut all = replays::Entity::find();
        let total = all.clone().count(self.db.reader()).await?;
        if let Some(after) = after {
            all = all.filter(replays::Column::Id.lt(after));
        }
        let rows = all.order_by(replays::Column::Id, Order::Desc).limit(limit).all(self.db.reader()).await?;
        Ok((tallied(self.db.reader(), rows).await?, total))
    }

    /// Whether something of a replay still wants a file.
    async fn waits(&self, replay: Uuid) -> Result<bool, RecordError> {
        let open = notifications::Entity::find()
            .select_only()
            .column(N::Status)
            .filter(N::ReplayId.eq(replay))
            .filter(N::Status.is_in(Status::OPEN.iter().map(|status| status.as_str())))
            .limit(1);
        let open: Option<String> = open.into_tuple().one(self.db.jobs_reader()).await?;
        Ok(open.is_some())
    }

    /// Ends the replays whose last notification is too long ago, and gives those that are over and done with: nothing
    /// of them waits any more. Each is given once.
    pub async fn end(&self, now: Timestamp) -> Result<Vec<Replay>, RecordError> {
        use replays::Column as R;
        let open = replays::Entity::find().filter(R::Told.eq(false)).all(self.db.jobs_reader()).await?;
        let mut done = Vec::new();
        for mut row in open {
            if row.ended_at.is_none() {
                if millis(now).saturating_sub(row.last_at) <= self.rule.gap_ms() {
                    continue;
                }
                let txn = self.db.begin().await?;
                replays::Entity::update_many()
                    .col_expr(R::EndedAt, Expr::col(R::LastAt))
                    .filter(R::Id.eq(row.id))
                    .exec(&txn)
                    .await?;
                txn.commit().await?;
                row.ended_at = Some(row.last_at);
            }
            if self.waits(row.id).await? {
                continue;
            }
            let Some(replay) =
                tallied(self.db.jobs_reader(), vec![row]).await?.pop().filter(|replay| replay.waiting == 0)
            else {
                continue;
            };
            let txn = self.db.begin().await?;
            let told = replays::Entity::update_many()
                .col_expr(R::Told, Expr::value(true))
                .filter(R::Id.eq(replay.id))
                .filter(R::Told.eq(false))
                .exec(&txn)
                .await?;
            txn.commit().await?;
            // One of several replicas tells.
            done.extend((told.rows_affected > 0).then_some(replay));
        }
        Ok(done)
    }
}

/// Replays with how far they are.
async fn tallied(reader: &DatabaseConnection, rows: Vec<replays::Model>) -> Result<Vec<Replay>, RecordError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let tallies: Vec<Tally> = notifications::Entity::find()
        .select_only()
        .columns([N::ReplayId, N::Status])
        .column_as(N::Id.count(), "n")
        .filter(N::ReplayId.is_in(ids.clone()))
        .group_by(N::ReplayId)
        .group_by(N::Status)
        .into_model()
        .all(reader)
        .await?;
    let mut added = bytes_added(reader, ids).await?;
    let mut replays: Vec<Replay> = rows.into_iter().map(Replay::from).collect();
    for replay in &mut replays {
        replay.bytes_added = added.remove(&replay.id).unwrap_or_default();
        for tally in tallies.iter().filter(|tally| tally.replay_id == replay.id) {
            let n = natural(tally.n);
            replay.announced += n;
            match tally.status.parse().map_err(RecordError::Corrupt)? {
                Status::Queued | Status::Fetching | Status::Retrying => replay.waiting += n,
                Status::Archived => replay.new_revisions += n,
                Status::Unchanged => replay.unchanged += n,
                Status::Expired | Status::Failed | Status::Rejected => replay.failed += n,
            }
        }
    }
    Ok(replays)
}

/// Stored bytes of the files that came with each replay: those that were stored when its revision was made.
async fn bytes_added(reader: &DatabaseConnection, replays: Vec<Uuid>) -> Result<HashMap<Uuid, u64>, RecordError> {
    let made =
        notifications::Entity::belongs_to(revisions::Entity).from(N::RevisionId).to(revisions::Column::Id).into();
    let held =
        revisions::Entity::belongs_to(files::Entity).from(revisions::Column::Digest).to(files::Column::Digest).into();
    let stored_at = Expr::col((files::Entity, files::Column::StoredAt));
    let rows: Vec<(Uuid, Vec<u8>, i64)> = notifications::Entity::find()
        .select_only()
        .column(N::ReplayId)
        .column(revisions::Column::Digest)
        .column(files::Column::StoredSize)
        .join(JoinType::InnerJoin, made)
        .join(JoinType::InnerJoin, held)
        .filter(N::ReplayId.is_in(replays))
        .filter(N::Status.eq(Status::Archived.as_str()))
        .filter(stored_at.eq(Expr::col((revisions::Entity, revisions::Column::ArchivedAt))))
        .distinct()
        .into_tuple()
        .all(reader)
        .await?;
    let mut added: HashMap<Uuid, u64> = HashMap::new();
    for (replay, _, stored_size) in rows {
        *added.entry(replay).or_default() += natural(stored_size);
    }
    Ok(added)
}

impl From<replays::Model> for Replay {
    fn from(row: replays::Model) -> Self {
        Self {
            id: row.id,
            source: row.source,
            started_at: timestamp(row.started_at),
            ended_at: row.ended_at.map(timestamp),
            announced: 0,
            known: natural(row.known),
            waiting: 0,
            unchanged: 0,
            new_revisions: 0,
            failed: 0,
            bytes_added: 0,
        }
    }
}
