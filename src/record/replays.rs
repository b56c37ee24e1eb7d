//! Replays: runs of many notifications of one source, such as "Enviar Tudo", of publications that exist or are new.
//!
//! The run that a source is in is recorded, so that replicas and restarts continue the same one, in the commit that records its
//! notifications.
use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ColumnTrait, DatabaseConnection, DatabaseTransaction, EntityTrait, FromQueryResult, IntoActiveModel, JoinType,
    QueryFilter, QuerySelect, Set,
};

use super::db::Db;
use super::entity::{files, notifications, publications, replays, revisions, sources};
use super::intake::{AnnouncedPublication, Arrival, UNRESOLVED};
use super::newest::newest_first;
use super::rows::{long, natural};
use super::{NewHookEvent, RecordError, batch, hooks};
use crate::domain::{Digest, NotificationStatus as Status, ReplayRule, Run, millis, timestamp};
use notifications::Column as N;

/// A replay and its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub id: Uuid,
    pub source: String,
    pub started_at: Timestamp,
    /// When its last notification was received; `None` while more may come.
    pub ended_at: Option<Timestamp>,
    /// Notifications in it.
    pub announced: u64,
    /// Of these, those whose publication was known before the run.
    pub known: u64,
    /// Of these, those that wait for a file.
    pub waiting: u64,
    pub unchanged: u64,
    pub new_revisions: u64,
    /// Expired, failed or rejected.
    pub failed: u64,
    /// Bytes that it added to the archive, as stored.
    pub bytes_added: u64,
}

/// Continues each source's run, and returns for each notification the replay that it is part of.
pub(super) async fn follow(
    txn: &DatabaseTransaction,
    rule: ReplayRule,
    batch: &[Arrival],
    announced: &[Option<AnnouncedPublication>],
) -> Result<Vec<Option<Uuid>>, RecordError> {
    let mut order: Vec<usize> = (0..batch.len()).collect();
    order.sort_by_key(|i| (&batch[*i].source, batch[*i].received_at, batch[*i].id));
    let mut part_of = vec![None; batch.len()];
    for some in order.chunk_by(|a, b| batch[*a].source == batch[*b].source) {
        let Some(first) = some.first() else { continue };
        let source = &batch[*first].source;
        let mut run = present_run(txn, source).await?;
        // Where the present run began among these, none of the earlier ones belong to it.
        let mut begins = 0;
        for (n, i) in some.iter().enumerate() {
            let received_at = timestamp(millis(batch[*i].received_at));
            let mut continued = Run::at(run.clone(), received_at, &rule);
            if continued.count == 0 {
                begins = n;
                if let Some(over) = &run {
                    update(txn, over).await?;
                }
            }
            continued.add(received_at, announced[*i].as_ref().map(AnnouncedPublication::known_since));
            if continued.becomes_replay(&rule) {
                continued.replay = Some(begin(txn, source, &continued).await?);
                // Those of this batch that were received before that.
                some[begins..n].iter().for_each(|earlier| part_of[*earlier] = continued.replay);
            }
            part_of[*i] = continued.replay;
            run = Some(continued);
        }
        let Some(run) = run else { continue };
        update(txn, &run).await?;
        save(txn, source, &run).await?;
    }
    Ok(part_of)
}

/// Records the progress of the replay that a run is, if it is one.
async fn update(txn: &DatabaseTransaction, run: &Run<Uuid>) -> Result<(), RecordError> {
    let Some(replay) = run.replay else { return Ok(()) };
    replays::Entity::update_many()
        .col_expr(replays::Column::LastAt, Expr::value(millis(run.last_at)))
        .col_expr(replays::Column::Known, Expr::value(long(run.known)?))
        .filter(replays::Column::Id.eq(replay))
        .exec(txn)
        .await?;
    Ok(())
}

/// The run that a source is in, as it was recorded.
async fn present_run(txn: &DatabaseTransaction, source: &str) -> Result<Option<Run<Uuid>>, RecordError> {
    let Some(row) = sources::Entity::find_by_id(source).one(txn).await? else { return Ok(None) };
    let (Some(started_at), Some(last_at)) = (row.run_started_at, row.last_at) else { return Ok(None) };
    Ok(Some(Run {
        started_at: timestamp(started_at),
        last_at: timestamp(last_at),
        count: natural(row.run_count)?,
        known: natural(row.run_known)?,
        replay: row.run_replay,
    }))
}

async fn save(txn: &DatabaseTransaction, source: &str, run: &Run<Uuid>) -> Result<(), RecordError> {
    use sources::Column as C;
    let row = sources::ActiveModel {
        name: Set(source.to_owned()),
        last_at: Set(Some(millis(run.last_at))),
        run_started_at: Set(Some(millis(run.started_at))),
        run_count: Set(long(run.count)?),
        run_known: Set(long(run.known)?),
        run_replay: Set(run.replay),
        denied: Set(0),
        denied_at: Set(None),
    };
    let replaced = OnConflict::column(C::Name)
        .update_columns([C::LastAt, C::RunStartedAt, C::RunCount, C::RunKnown, C::RunReplay])
        .to_owned();
    Ok(batch::insert(txn, vec![row], Some(replaced)).await?)
}

/// Makes the run a replay, with those of its notifications that are recorded already.
async fn begin(txn: &DatabaseTransaction, source: &str, run: &Run<Uuid>) -> Result<Uuid, RecordError> {
    let id = Uuid::now_v7();
    let started_at = millis(run.started_at);
    let row = replays::Model {
        id,
        source: source.to_owned(),
        started_at,
        last_at: millis(run.last_at),
        ended_at: None,
        told: false,
        known: long(run.known)?,
    };
    batch::insert(txn, vec![row.into_active_model()], None).await?;
    // Written out: a plan that must serve any instant scans all that were ever received.
    let since = Expr::cust(format!("received_at >= {started_at}"));
    // Those that are not resolved yet come later.
    let earlier = || N::Source.eq(source).and(since.clone()).and(N::ReplayId.is_null()).and(N::Priority.lt(UNRESOLVED));
    // Evaluated for each of these few: a list would be made of all publications that have files.
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
        source,
        notifications = run.count,
        "a replay began: \"Enviar Tudo\" was pressed on the portal, or the like"
    );
    Ok(id)
}

#[derive(FromQueryResult)]
struct Tally {
    replay_id: Uuid,
    status: Status,
    n: i64,
}

/// Bulk replays.
#[derive(Clone)]
pub struct Replays {
    pub(super) db: Db,
    pub(super) rule: ReplayRule,
}

impl Replays {
    /// A page of replays, newest first, and how many there are.
    pub async fn list(&self, after: Option<Uuid>, limit: u64) -> Result<(Vec<Replay>, u64), RecordError> {
        let (all, id) = (replays::Entity::find(), replays::Column::Id);
        let (rows, total) = newest_first(&self.db, all, id, after, limit).await?;
        Ok((with_progress(self.db.reader(), rows).await?, total))
    }

    /// Whether a notification of a replay still waits for a file.
    async fn waits(&self, replay: Uuid) -> Result<bool, RecordError> {
        let open = notifications::Entity::find()
            .select_only()
            .column(N::Status)
            .filter(N::ReplayId.eq(replay))
            .filter(N::Status.is_in(Status::OPEN.iter().copied()))
            .limit(1);
        let open: Option<String> = open.into_tuple().one(self.db.jobs_reader()).await?;
        Ok(open.is_some())
    }

    /// Ends the replays whose last notification is too long ago, and returns those of which no notification waits any more. Each
    /// is returned once, and the event that `event` makes of it is recorded with its end.
    pub async fn end(
        &self,
        now: Timestamp,
        event: impl Fn(&Replay) -> NewHookEvent,
    ) -> Result<Vec<Replay>, RecordError> {
        use replays::Column as R;
        let open = replays::Entity::find().filter(R::Told.eq(false)).all(self.db.jobs_reader()).await?;
        let mut done = Vec::new();
        for mut row in open {
            if row.ended_at.is_none() {
                if !self.rule.is_over(timestamp(row.last_at), now) {
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
                with_progress(self.db.jobs_reader(), vec![row]).await?.pop().filter(|replay| replay.waiting == 0)
            else {
                continue;
            };
            let txn = self.db.begin().await?;
            let ended = replays::Entity::update_many()
                .col_expr(R::Told, Expr::value(true))
                .filter(R::Id.eq(replay.id))
                .filter(R::Told.eq(false))
                .exec(&txn)
                .await?;
            // One of several replicas reports it.
            let is_first = ended.rows_affected > 0;
            if is_first {
                hooks::append(&txn, &event(&replay)).await?;
            }
            txn.commit().await?;
            if is_first {
                self.db.notify_feed();
                done.push(replay);
            }
        }
        Ok(done)
    }
}

/// Replays with their progress.
async fn with_progress(reader: &DatabaseConnection, rows: Vec<replays::Model>) -> Result<Vec<Replay>, RecordError> {
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
    let mut replays: Vec<Replay> = rows.into_iter().map(Replay::try_from).collect::<Result<_, _>>()?;
    for replay in &mut replays {
        // A replay of known files adds none.
        replay.bytes_added = added.remove(&replay.id).unwrap_or(0);
        for tally in tallies.iter().filter(|tally| tally.replay_id == replay.id) {
            let n = natural(tally.n)?;
            replay.announced += n;
            match tally.status {
                Status::Queued | Status::Fetching | Status::Retrying => replay.waiting += n,
                Status::Archived => replay.new_revisions += n,
                Status::Unchanged => replay.unchanged += n,
                Status::Expired | Status::Failed | Status::Rejected => replay.failed += n,
            }
        }
    }
    Ok(replays)
}

/// Stored bytes of the files that each replay added: those that were stored when its revision was made.
async fn bytes_added(reader: &DatabaseConnection, replays: Vec<Uuid>) -> Result<HashMap<Uuid, u64>, RecordError> {
    let made =
        notifications::Entity::belongs_to(revisions::Entity).from(N::RevisionId).to(revisions::Column::Id).into();
    let stored =
        revisions::Entity::belongs_to(files::Entity).from(revisions::Column::Digest).to(files::Column::Digest).into();
    let stored_at = Expr::col((files::Entity, files::Column::StoredAt));
    let rows: Vec<(Uuid, Digest, i64)> = notifications::Entity::find()
        .select_only()
        .column(N::ReplayId)
        .column(revisions::Column::Digest)
        .column(files::Column::StoredSize)
        .join(JoinType::InnerJoin, made)
        .join(JoinType::InnerJoin, stored)
        .filter(N::ReplayId.is_in(replays))
        .filter(N::Status.eq(Status::Archived))
        .filter(stored_at.eq(Expr::col((revisions::Entity, revisions::Column::ArchivedAt))))
        .distinct()
        .into_tuple()
        .all(reader)
        .await?;
    let mut added: HashMap<Uuid, u64> = HashMap::new();
    for (replay, _, stored_size) in rows {
        *added.entry(replay).or_default() += natural(stored_size)?;
    }
    Ok(added)
}

impl TryFrom<replays::Model> for Replay {
    type Error = RecordError;

    fn try_from(row: replays::Model) -> Result<Self, RecordError> {
        Ok(Self {
            id: row.id,
            source: row.source,
            started_at: timestamp(row.started_at),
            ended_at: row.ended_at.map(timestamp),
            announced: 0,
            known: natural(row.known)?,
            waiting: 0,
            unchanged: 0,
            new_revisions: 0,
            failed: 0,
            bytes_added: 0,
        })
    }
}
