//! Group commit: the notifications that wait are committed and synced together, then each sender gets its reply. What is committed is
//! one row each; `resolve` does the rest right afterwards.
//!
//! A commit takes as many as fit into one statement of a length that is used again and again, and leaves the others to the next one.
//! SQLite then needs one call for all: a statement outside of a transaction is one of its own.
pub(super) mod announce;
mod arrival;
mod incoming;
mod resolve;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{DatabaseConnection, DbBackend, DbErr, RuntimeErr, Set, sqlx};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::domain::{Link, NotificationStatus, ReplayRule, fold, millis};
use crate::engine::record::db::Db;
use crate::engine::record::entity::{notifications, state};
use crate::engine::record::rows::list;
use crate::engine::record::{Monitor, RecordError, batch, connect};
use resolve::{Progress, Resolver};

pub(super) use arrival::Arrival;
pub(super) use incoming::AnnouncedPublication;
pub use incoming::NewNotification;

/// Notifications of one commit.
const BATCH_MAX: usize = 256;

/// This many polls without another notification end the collection of a batch.
const IDLE_POLLS: usize = 16;

/// How long the commits of a batch may take. Longer than a PostgreSQL server takes to end a session that holds others up.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(25);

/// How long a sender waits for the reply, whatever happens.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the database may take to show that it accepts writes.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// For how long the outcome of a probe is reused.
const PROBE_VALID_FOR: Duration = Duration::from_secs(5);
const REFUSE_FOR: Duration = Duration::from_secs(1);

/// A notification that is recorded and waits for its publication and its place in the queue. A part of the priorities: in the index of the
/// queue it comes after all that can be fetched.
pub(super) const UNRESOLVED: i32 = 2;

/// One whose rows are broken: it is tried again now and then, and nothing waits for it.
pub(super) const UNRESOLVABLE: i32 = 3;

/// How long a reader waits until what was recorded before is resolved.
const CAUGHT_UP_TIMEOUT: Duration = Duration::from_secs(1);

/// A reader does not wait for a longer backlog.
const CAUGHT_UP_MAX: u64 = 1_000;

/// Why a notification was not recorded; the portal is asked to send it again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IntakeError {
    #[error("too many notifications wait for the database (`receiver.queue`)")]
    Full,
    #[error("the database cannot record it: {0}")]
    Unavailable(String),
    #[error("the database did not answer in time; whether it recorded it is not known")]
    Unknown,
}

type Outcome = Result<(), IntakeError>;

/// Something to be committed: a notification, or a probe whether the database accepts writes.
struct Pending {
    notification: Option<NewNotification>,
    done: oneshot::Sender<Outcome>,
}

/// Takes notifications in. Clones share the queue.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Pending>,
    /// The last probe's outcome. Concurrent callers wait for the same one.
    probed: Arc<tokio::sync::Mutex<Option<(Instant, Outcome)>>>,
    progress: Progress,
    db: Db,
}

impl Intake {
    /// Records a notification. Once this returns `Ok`, it survives a power cut.
    pub async fn accept(&self, notification: NewNotification) -> Result<(), IntakeError> {
        let accepted = self.commit(Some(notification));
        tokio::time::timeout(REPLY_TIMEOUT, accepted).await.unwrap_or(Err(IntakeError::Unknown))
    }

    /// Whether a notification could be recorded now. Finds out by a write of the same kind, at most every few seconds.
    pub async fn can_write(&self) -> Result<(), IntakeError> {
        let mut probed = self.probed.lock().await;
        if let Some((at, outcome)) = &*probed
            && at.elapsed() < if outcome.is_ok() { PROBE_VALID_FOR } else { REFUSE_FOR }
        {
            return outcome.clone();
        }
        let outcome = tokio::time::timeout(PROBE_TIMEOUT, self.commit(None)).await.unwrap_or(Err(IntakeError::Unknown));
        *probed = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// Resolves what an earlier or another process left unresolved, and what could not be resolved before.
    pub async fn resume(&self) -> Result<(), RecordError> {
        resolve::take_up_again(&self.db).await?;
        let unresolved = Monitor { db: self.db.clone() }.unresolved().await?.count;
        self.progress.recorded.send_modify(|n| *n += unresolved);
        Ok(())
    }

    /// Waits until what this process recorded before the call is resolved, so that a query shows it whole. Not behind a long backlog:
    /// then, and after a second, notifications are shown without their publications.
    pub async fn caught_up(&self) {
        let recorded = *self.progress.recorded.borrow();
        let mut resolved = self.progress.resolved.subscribe();
        if recorded.saturating_sub(*resolved.borrow()) <= CAUGHT_UP_MAX {
            let _ = tokio::time::timeout(CAUGHT_UP_TIMEOUT, resolved.wait_for(|n| *n >= recorded)).await;
        }
    }
}

impl Intake {
    /// At most `capacity` notifications wait for a commit at once. Only the intake uses `writer`.
    pub(super) fn start(db: Db, writer: DatabaseConnection, capacity: usize, rule: ReplayRule) -> Self {
        let (queue, waiting) = mpsc::channel(capacity);
        let progress = Progress::default();
        let resolver = Resolver::new(db.clone(), rule, progress.resolved.clone());
        tokio::spawn(resolver.run(progress.recorded.subscribe()));
        tokio::spawn(run(writer, progress.recorded.clone(), waiting));
        Self { queue, probed: Arc::default(), progress, db }
    }

    async fn commit(&self, notification: Option<NewNotification>) -> Outcome {
        let (done, answer) = oneshot::channel();
        self.queue.try_send(Pending { notification, done }).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => IntakeError::Full,
            mpsc::error::TrySendError::Closed(_) => IntakeError::Unavailable("it is closed".to_owned()),
        })?;
        answer.await.unwrap_or_else(|_| Err(IntakeError::Unavailable("its writer stopped".to_owned())))
    }
}

/// Ends when the last `Intake` is gone and all that waited is committed.
async fn run(writer: DatabaseConnection, recorded: watch::Sender<u64>, mut waiting: mpsc::Receiver<Pending>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while !batch.is_empty() || waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        collect(&mut waiting, &mut batch).await;
        let (mut notifications, mut senders, mut probes) = (Vec::new(), Vec::new(), Vec::new());
        for Pending { notification, done } in batch.drain(..batch::length(batch.len())) {
            match notification {
                Some(notification) => {
                    notifications.push(notification);
                    senders.push(done);
                }
                None => probes.push(done),
            }
        }
        let until = Instant::now() + COMMIT_TIMEOUT;
        let outcome = match notifications.is_empty() {
            true => within(until, probe(&writer)).await.map_err(|e| e.error()),
            false => commit_all(&writer, &recorded, &notifications, senders, until).await,
        };
        probes.into_iter().for_each(|done| reply(done, outcome.clone()));
    }
}

/// Commits notifications, together or, if the database rejects one of them, one by one, and replies to each sender as soon as
/// its outcome is known. Returns whether the database accepts writes.
async fn commit_all(
    writer: &DatabaseConnection,
    recorded: &watch::Sender<u64>,
    notifications: &[NewNotification],
    senders: Vec<oneshot::Sender<Outcome>>,
    until: Instant,
) -> Outcome {
    let together = within(until, commit(writer, recorded, notifications)).await;
    let is_bad_row = match &together {
        Err(Failure::Record(e)) => is_of_a_row(e),
        Err(Failure::Late) | Ok(()) => false,
    };
    if !is_bad_row || notifications.len() == 1 {
        let outcome = together.map_err(|e| e.error());
        senders.into_iter().for_each(|done| reply(done, outcome.clone()));
        return if is_bad_row { Ok(()) } else { outcome };
    }
    tracing::warn!(notifications = notifications.len(), "a batch could not be committed; committing one by one");
    let mut broken: Outcome = Ok(());
    for (one, done) in notifications.iter().zip(senders) {
        let outcome = match &broken {
            Ok(()) => within(until, commit(writer, recorded, std::slice::from_ref(one))).await,
            Err(error) => {
                reply(done, Err(error.clone()));
                continue;
            }
        };
        // One that the database rejects must not refuse the others.
        let is_bad_row = matches!(&outcome, Err(Failure::Record(e)) if is_of_a_row(e));
        let outcome = outcome.map_err(|e| e.error());
        if !is_bad_row {
            broken = outcome.clone();
        }
        reply(done, outcome);
    }
    broken
}

fn reply(done: oneshot::Sender<Outcome>, outcome: Outcome) {
    // A sender that hung up needs no reply; its notification is recorded nevertheless.
    let _ = done.send(outcome);
}

/// Why it is not certain that a commit happened.
enum Failure {
    Record(RecordError),
    Late,
}

impl Failure {
    fn error(&self) -> IntakeError {
        match self {
            Self::Record(e) => IntakeError::Unavailable(e.to_string()),
            Self::Late => IntakeError::Unknown,
        }
    }
}

async fn within(until: Instant, work: impl Future<Output = Result<(), RecordError>>) -> Result<(), Failure> {
    match tokio::time::timeout_at(until, work).await {
        Ok(outcome) => outcome.map_err(Failure::Record),
        Err(_) => Err(Failure::Late),
    }
}

/// Whether an error is about the row and not about the database, so that other rows may still be written.
fn is_of_a_row(error: &RecordError) -> bool {
    let error = match error {
        // A broken row of one product, say, must not refuse the notifications of others.
        RecordError::Corrupt(_) | RecordError::OutOfRange(_) | RecordError::InvalidRow(_) => return true,
        RecordError::Database(error) => error.inner(),
        RecordError::Newer { .. }
        | RecordError::LeaseLost
        | RecordError::LockLost(_)
        | RecordError::FileGone
        | RecordError::RemovedBefore(_) => return false,
    };
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else {
        return false;
    };
    match &**error {
        sqlx::Error::Encode(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| match code.parse::<i32>() {
            // PostgreSQL's codes have five characters: data exceptions, violated constraints, limits exceeded.
            _ if code.len() == 5 => ["22", "23", "54"].iter().any(|class| code.starts_with(class)),
            // SQLite's: too big, a violated constraint, another type.
            Ok(code) => [18, 19, 20].contains(&(code & 0xff)),
            Err(_) => false,
        }),
        _ => false,
    }
}

/// Writes a row without a meaning, in the way that a notification is written.
async fn probe(writer: &DatabaseConnection) -> Result<(), RecordError> {
    let txn = connect::begin(writer).await?;
    let row = state::ActiveModel { key: Set("probe".to_owned()), value: Set("written".to_owned()) };
    let replace = OnConflict::column(state::Column::Key).update_column(state::Column::Value).to_owned();
    batch::insert(&txn, vec![row], Some(replace)).await?;
    Ok(txn.commit().await?)
}

/// Waits a moment for requests that are being read: clients that the last commit answered send their next ones by now. Costs next
/// to nothing where there are none.
async fn collect(waiting: &mut mpsc::Receiver<Pending>, batch: &mut Vec<Pending>) {
    let mut idle_polls = 0;
    while idle_polls < IDLE_POLLS && batch.len() < BATCH_MAX {
        tokio::task::yield_now().await;
        match waiting.try_recv() {
            Ok(one) => {
                batch.push(one);
                idle_polls = 0;
            }
            Err(_) => idle_polls += 1,
        }
    }
}

async fn commit(
    writer: &DatabaseConnection,
    recorded: &watch::Sender<u64>,
    notifications: &[NewNotification],
) -> Result<(), RecordError> {
    let rows = notifications.iter().map(|notification| {
        let mut row = row(notification, None);
        row.priority = Set(UNRESOLVED);
        row.next_attempt_at = Set(None);
        row
    });
    let is_one_statement = batch::length(notifications.len()) == notifications.len();
    if writer.get_database_backend() == DbBackend::Sqlite && is_one_statement {
        fail::fail_point!("intake-before-commit");
        batch::insert(writer, rows.collect(), None).await?;
    } else {
        let txn = connect::begin(writer).await?;
        batch::insert(&txn, rows.collect(), None).await?;
        fail::fail_point!("intake-before-commit");
        txn.commit().await?;
    }
    recorded.send_modify(|n| *n += notifications.len() as u64);
    Ok(())
}

/// The value is part of the text: each of these has an index of its own.
pub(super) fn with_priority(priority: i32) -> Expr {
    Expr::cust(format!("priority = {priority}"))
}

/// The row of a new notification.
pub(super) fn row(
    notification: &NewNotification,
    announced: Option<&AnnouncedPublication>,
) -> notifications::ActiveModel {
    let NewNotification { id, source, received_at, notice, body_digest } = notification;
    let understood = notice.outcome.as_ref().ok();
    let queued = understood.is_some();
    let status = if queued { NotificationStatus::Queued } else { NotificationStatus::Rejected };
    notifications::ActiveModel {
        id: Set(id.0),
        source: Set(source.clone()),
        received_at: Set(millis(*received_at)),
        status: Set(status),
        attempts: Set(0),
        next_attempt_at: Set(queued.then(|| millis(*received_at))),
        lease_until: Set(None),
        lease: Set(None),
        error: Set(notice.outcome.as_ref().err().map(ToString::to_string)),
        link: Set(notice.link.as_ref().filter(|_| queued).map(|link| link.expose().to_owned())),
        file_key: Set(notice.link.as_ref().map(|link| link.file_key(&notice.claims))),
        list_path: Set(notice.claims.list_path.clone()),
        is_file: Set(notice.claims.is_file),
        not_before: Set(notice.claims.not_before.map(millis)),
        link_expires_at: Set(notification.link_expires_at().map(millis)),
        announced_at: Set(millis(notification.announced_at())),
        priority: Set(0),
        name_folded: Set(notice.name.as_deref().map(fold)),
        name: Set(notice.name.clone()),
        process: Set(used(understood.map(|a| &a.process), notice.process.as_ref())),
        macro_process: Set(used(understood.map(|a| &a.macro_process), notice.macro_process.as_ref())),
        reference_date: Set(understood.map(|a| a.reference_date.clone()).or_else(|| notice.reference_date.clone())),
        period_start: Set(understood.map(|a| a.period.start.to_string())),
        period_end: Set(understood.map(|a| a.period.end.to_string())),
        body: Set(notice.body.clone()),
        body_digest: Set(*body_digest),
        product_id: Set(announced.map(|a| a.product_id)),
        publication_id: Set(announced.map(|a| a.publication_id.0)),
        revision_id: Set(None),
        host: Set(notice.link.as_ref().and_then(Link::host)),
        replay_id: Set(None),
        warnings: Set((!notice.warnings.is_empty()).then(|| list(&notice.warnings))),
    }
}

/// An optional text as it was understood, which may be a number that was read as a text, else as it was sent.
fn used(understood: Option<&String>, sent: Option<&String>) -> Option<String> {
    understood.filter(|text| !text.is_empty()).or(sent).cloned()
}
