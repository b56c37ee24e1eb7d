//! Resolving: recorded notifications get their products, publications, replays and places in the queue, in order of arrival.
//!
//! One task does this right after they are recorded. What a crash leaves unresolved is resolved after the next start. While
//! notifications pour in, the task leaves most of the writer's time to them: its transactions are short, and it pauses after each.
//! They wait in the database, not in memory.
use std::time::Duration;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoIden, Query, TableRef, ValueTuple};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};
use tokio::sync::watch;
use tokio::time::Instant;

use super::announce::announce;
use super::arrival::{self, Arrival};
use super::{AnnouncedPublication, UNRESOLVABLE, UNRESOLVED, is_of_a_row, with_priority};
use crate::domain::{ReplayRule, millis};
use crate::engine::record::db::Db;
use crate::engine::record::entity::notifications;
use crate::engine::record::{RecordError, batch, replays, sources};
use crate::stage::Stage;
use notifications::Column as N;

/// Notifications of one transaction. Within these bounds their number follows the time that a transaction takes.
const PAGE_MIN: u64 = 64;
const PAGE_MAX: u64 = 512;
const TRANSACTION_TIME: Duration = Duration::from_millis(20);

/// While notifications arrive, the pause after a transaction is so many times as long as it took.
const PAUSE_FACTOR: u32 = 2;

/// The same while more arrive in a second than can be resolved in a third of the time.
const PAUSE_FACTOR_FLOOD: u32 = 8;
const FLOOD_PER_SECOND: f64 = 2000.0;

/// A flood that does not end is resolved too, once some have waited for so long.
const BEHIND_MAX: Duration = Duration::from_secs(60);

/// How long the first of some waits for others: a transaction costs nearly as much for one as for many, and the next notification of a
/// sender that waits for each 202 would wait for it.
const COLLECTION_TIME: Duration = Duration::from_millis(5);

/// After so long without a notification, the next one is resolved at once.
const QUIET_AFTER: Duration = Duration::from_millis(20);

/// How long after an error of the database the next attempt is made.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How far this process has come. Both count notifications, from the start of the process.
#[derive(Clone, Default)]
pub(super) struct Progress {
    pub recorded: watch::Sender<u64>,
    pub resolved: watch::Sender<u64>,
}

pub(super) struct Resolver {
    db: Db,
    rule: ReplayRule,
    progress: watch::Sender<u64>,
    page: u64,
    /// How many of the next ones are resolved one by one: the database rejects one of them.
    one_by_one: u64,
}

impl Resolver {
    pub fn new(db: Db, rule: ReplayRule, progress: watch::Sender<u64>) -> Self {
        Self { db, rule, progress, page: PAGE_MIN, one_by_one: 0 }
    }

    /// Works whenever `recorded` changes; ends when its sender is gone.
    pub async fn run(mut self, mut recorded: watch::Receiver<u64>) {
        let mut busy_at: Option<Instant> = None;
        while recorded.changed().await.is_ok() {
            // A single one, such as a new file on a quiet day, has nothing to wait for.
            if busy_at.is_some_and(|at| at.elapsed() < QUIET_AFTER) {
                tokio::time::sleep(COLLECTION_TIME).await;
            }
            let behind_since = Instant::now();
            let mut last = (*recorded.borrow(), behind_since);
            loop {
                let (before, began) = (*recorded.borrow_and_update(), Instant::now());
                let per_second = (before - last.0) as f64 / (began - last.1).as_secs_f64();
                last = (before, began);
                match self.step().await {
                    Ok(0) => {
                        self.progress.send_replace(before);
                        break;
                    }
                    Ok(resolved) => {
                        self.progress.send_modify(|n| *n += resolved);
                        self.db.notify_queue();
                        self.db.notify_feed();
                        if recorded.has_changed().unwrap_or(false) {
                            let is_flood = per_second > FLOOD_PER_SECOND && behind_since.elapsed() < BEHIND_MAX;
                            let factor = if is_flood { PAUSE_FACTOR_FLOOD } else { PAUSE_FACTOR };
                            tokio::time::sleep(factor * began.elapsed()).await;
                        }
                    }
                    Err(e) => {
                        tracing::error!(error = %e, "recorded notifications could not be resolved; trying again");
                        tokio::time::sleep(RETRY_AFTER).await;
                        if recorded.has_changed().is_err() {
                            return;
                        }
                    }
                }
            }
            busy_at = Some(Instant::now());
        }
    }

    /// Resolves some notifications, or sets one aside. Returns how many; 0 if none is left.
    async fn step(&mut self) -> Result<u64, RecordError> {
        let limit = if self.one_by_one > 0 { 1 } else { self.page };
        let began = Instant::now();
        // Another replica may resolve it first: what is set aside must be what failed, not what is first afterwards.
        let alone = if limit == 1 { arrival::first_unresolved(self.db.jobs_reader()).await? } else { None };
        match resolve(&self.db, self.rule, limit).await {
            Ok(resolved) => {
                self.one_by_one = self.one_by_one.saturating_sub(1);
                self.adapt(resolved, began.elapsed());
                Ok(resolved)
            }
            Err(e) if is_of_a_row(&e) && limit == 1 => {
                self.one_by_one = self.one_by_one.saturating_sub(1);
                set_aside(&self.db, alone, &e).await?;
                Ok(1)
            }
            Err(e) if is_of_a_row(&e) => {
                tracing::warn!(error = %e, "notifications could not be resolved together; resolving them one by one");
                self.one_by_one = limit;
                Box::pin(self.step()).await
            }
            Err(e) => Err(e),
        }
    }

    fn adapt(&mut self, resolved: u64, took: Duration) {
        if took > TRANSACTION_TIME {
            self.page = std::cmp::max(self.page / 2, PAGE_MIN);
        } else if resolved == self.page && took < TRANSACTION_TIME / 2 {
            self.page = std::cmp::min(self.page * 2, PAGE_MAX);
        }
    }
}

async fn resolve(db: &Db, rule: ReplayRule, limit: u64) -> Result<u64, RecordError> {
    fail::fail_point!("resolve-begins");
    let txn = db.begin().await?;
    let arrivals = Arrival::unresolved(&txn, limit).await?;
    if arrivals.is_empty() {
        txn.rollback().await?;
        return Ok(0);
    }
    let announced = announce(&txn, &arrivals).await?;
    let part_of = replays::follow(&txn, rule, &arrivals, &announced).await?;
    sources::count_active_hours(&txn, &arrivals).await?;
    let resolved = arrivals.iter().zip(announced).zip(part_of).map(|((arrival, announced), replay)| Resolved {
        id: arrival.id.0,
        // New announcements go before what a replay repeats.
        priority: (replay.is_some() && announced.as_ref().is_some_and(|announced| announced.has_revision)).into(),
        next_attempt_at: announced.as_ref().map(|_| millis(arrival.received_at)),
        replay,
        announced,
    });
    save(&txn, resolved.collect()).await?;
    fail::fail_point!("resolve-before-commit");
    txn.commit().await?;
    let now = Timestamp::now();
    arrivals.iter().for_each(|arrival| Stage::Resolved.reached(arrival.received_at, now));
    Ok(arrivals.len() as u64)
}

/// What is written into a notification's row.
struct Resolved {
    id: Uuid,
    announced: Option<AnnouncedPublication>,
    replay: Option<Uuid>,
    priority: i32,
    /// `None` for a rejected one.
    next_attempt_at: Option<i64>,
}

async fn save(txn: &DatabaseTransaction, resolved: Vec<Resolved>) -> Result<(), DbErr> {
    let values = |row: Resolved| {
        let announced = row.announced.as_ref();
        ValueTuple::Many(vec![
            row.id.into(),
            announced.map(|announced| announced.product_id).into(),
            announced.map(|announced| announced.publication_id.0).into(),
            row.replay.into(),
            row.priority.into(),
            row.next_attempt_at.into(),
        ])
    };
    let written = Alias::new("resolved");
    // Both databases name the columns of such a list so.
    let column = |n: u8| Expr::col((written.clone(), Alias::new(format!("column{n}"))));
    let values = batch::padded(resolved.into_iter().map(values).collect());
    let update = Query::update()
        .table(notifications::Entity)
        .from(TableRef::ValuesList(values, written.clone().into_iden()))
        .value(N::ProductId, column(2))
        .value(N::PublicationId, column(3))
        .value(N::ReplayId, column(4))
        .value(N::Priority, column(5))
        .value(N::NextAttemptAt, column(6))
        .and_where(Expr::col((notifications::Entity, N::Id)).eq(column(1)))
        .to_owned();
    txn.execute(&update).await.map(|_| ())
}

/// Sets an unresolved notification aside, with the reason, so that those after it do not wait for it. One that another process has
/// resolved by now stays resolved.
async fn set_aside(db: &Db, notification: Option<Uuid>, reason: &RecordError) -> Result<(), RecordError> {
    let Some(id) = notification else { return Ok(()) };
    tracing::error!(notification = %id, error = %reason, "a notification cannot be resolved; trying again every minute");
    let txn = db.begin().await?;
    notifications::Entity::update_many()
        .col_expr(N::Priority, Expr::value(UNRESOLVABLE))
        .col_expr(N::Error, Expr::value(reason.to_string()))
        .filter(N::Id.eq(id))
        .filter(with_priority(UNRESOLVED))
        .exec(&txn)
        .await?;
    Ok(txn.commit().await?)
}

/// Makes those that were set aside unresolved again.
pub(super) async fn take_up_again(db: &Db) -> Result<(), RecordError> {
    let aside = notifications::Entity::find().filter(with_priority(UNRESOLVABLE));
    if aside.one(db.jobs_reader()).await?.is_none() {
        return Ok(());
    }
    let txn = db.begin().await?;
    notifications::Entity::update_many()
        .col_expr(N::Priority, Expr::value(UNRESOLVED))
        .col_expr(N::Error, Expr::value(None::<String>))
        .filter(with_priority(UNRESOLVABLE))
        .exec(&txn)
        .await?;
    Ok(txn.commit().await?)
}
