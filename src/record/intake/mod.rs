//! Group commit: all notifications that wait are committed and synced together, then each sender gets its reply.
pub(super) mod announce;
mod incoming;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr, Set, sqlx};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::domain::{Link, NotificationStatus, ReplayRule, fold, millis};
use crate::engine::record::db::Db;
use crate::engine::record::entity::{notifications, state};
use crate::engine::record::replays;
use crate::engine::record::rows::list;
use crate::engine::record::{RecordError, batch, connect, sources};

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

/// Why a notification was not recorded; the portal is asked to send it again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IntakeError {
    #[error("too many notifications wait for the database")]
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
}

impl Intake {
    /// At most `capacity` notifications wait for a commit at once. Only the intake uses `writer`.
    pub(super) fn start(db: Db, writer: DatabaseConnection, capacity: usize, rule: ReplayRule) -> Self {
        let (queue, waiting) = mpsc::channel(capacity);
        tokio::spawn(run(db, writer, rule, waiting));
        Self { queue, probed: Arc::default() }
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
async fn run(db: Db, writer: DatabaseConnection, rule: ReplayRule, mut waiting: mpsc::Receiver<Pending>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        collect(&mut waiting, &mut batch).await;
        let (mut notifications, mut senders, mut probes) = (Vec::new(), Vec::new(), Vec::new());
        for Pending { notification, done } in batch.drain(..) {
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
            false => commit_all(&writer, rule, &notifications, senders, until).await,
        };
        probes.into_iter().for_each(|done| reply(done, outcome.clone()));
        db.notify_queue();
        db.notify_feed();
    }
}

/// Commits notifications, together or, if the database rejects one of them, one by one, and replies to each sender as soon as
/// its outcome is known. Returns whether the database accepts writes.
async fn commit_all(
    writer: &DatabaseConnection,
    rule: ReplayRule,
    notifications: &[NewNotification],
    senders: Vec<oneshot::Sender<Outcome>>,
    until: Instant,
) -> Outcome {
    let together = within(until, commit(writer, rule, notifications)).await;
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
            Ok(()) => within(until, commit(writer, rule, std::slice::from_ref(one))).await,
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
        RecordError::Corrupt(_) | RecordError::OutOfRange(_) => return true,
        RecordError::Database(error) => error.inner(),
        RecordError::Newer { .. } | RecordError::LeaseLost | RecordError::FileGone | RecordError::RemovedBefore(_) => {
            return false;
        }
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

async fn commit(writer: &DatabaseConnection, rule: ReplayRule, batch: &[NewNotification]) -> Result<(), RecordError> {
    let txn = connect::begin(writer).await?;
    let announced = announce::announce(&txn, batch).await?;
    let part_of = replays::follow(&txn, rule, batch, &announced).await?;
    sources::count_active_hours(&txn, batch).await?;
    let rows = batch.iter().zip(announced.into_iter().zip(part_of)).map(|(notification, (publication, replay))| {
        let mut row = row(notification, publication.as_ref());
        // New announcements go before what a replay repeats.
        row.priority = Set((replay.is_some() && publication.is_some_and(|p| p.has_revision)).into());
        row.replay_id = Set(replay);
        row
    });
    batch::insert(&txn, rows.collect(), None).await?;
    fail::fail_point!("intake-before-commit");
    Ok(txn.commit().await?)
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
        process: Set(notice.process.clone()),
        macro_process: Set(notice.macro_process.clone()),
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
