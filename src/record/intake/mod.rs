//! Group commit: all notifications that wait are committed and synced as one, then each sender is told.
pub(super) mod announce;
mod incoming;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr, Set, sqlx};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::domain::{Link, NotificationStatus, fold, millis};
use crate::engine::record::db::Db;
use crate::engine::record::entity::{notifications, state};
use crate::engine::record::replays::{self, ReplayRule};
use crate::engine::record::{batch, connect, sources};

pub(super) use incoming::Announced;
pub use incoming::NewNotification;

/// Notifications of one commit.
const BATCH_MAX: usize = 256;

/// So many looks without a newcomer end the gathering of a batch.
const IDLE_LOOKS: usize = 16;

/// How long the commits of a batch may take. Longer than a PostgreSQL server takes to end a session that holds others up.
const COMMIT_MAX: Duration = Duration::from_secs(25);

/// How long a sender waits for the answer, whatever happens.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How long the database may take to show that it takes writes.
const PROBE_MAX: Duration = Duration::from_secs(5);

/// For how long an answer to that question is good.
const PROBED_FOR: Duration = Duration::from_secs(5);
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// Why a notification was not recorded; the portal is asked to send it again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    #[error("more notifications wait for the database than may")]
    Full,
    #[error("the database cannot take it: {0}")]
    Unavailable(String),
    #[error("the database did not answer in time; whether it took it is not known")]
    Unknown,
}

type Outcome = Result<(), Refusal>;

/// Something to be committed: a notification, or only a sign that the database takes writes.
struct Waiting {
    notification: Option<NewNotification>,
    done: oneshot::Sender<Outcome>,
}

/// Takes notifications in. Clones share the queue.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Waiting>,
    /// The last probe's outcome; who asks meanwhile waits for the same.
    probed: Arc<tokio::sync::Mutex<Option<(Instant, Outcome)>>>,
}

impl Intake {
    /// Records a notification. Once this returns `Ok`, it survives a power cut.
    pub async fn accept(&self, notification: NewNotification) -> Result<(), Refusal> {
        let accepted = self.commit(Some(notification));
        tokio::time::timeout(ANSWER_MAX, accepted).await.unwrap_or(Err(Refusal::Unknown))
    }

    /// Whether a notification could be recorded now: something is written the same way, at most every few seconds.
    pub async fn can_write(&self) -> Result<(), Refusal> {
        let mut probed = self.probed.lock().await;
        if let Some((at, outcome)) = &*probed
            && at.elapsed() < if outcome.is_ok() { PROBED_FOR } else { REFUSED_FOR }
        {
            return outcome.clone();
        }
        let outcome = tokio::time::timeout(PROBE_MAX, self.commit(None)).await.unwrap_or(Err(Refusal::Unknown));
        *probed = Some((Instant::now(), outcome.clone()));
        outcome
    }
}

impl Intake {
    /// At most `capacity` notifications wait for a commit at once. `writer` is the intake's alone.
    pub(super) fn start(db: Db, writer: DatabaseConnection, capacity: usize, rule: ReplayRule) -> Self {
        let (queue, waiting) = mpsc::channel(capacity);
        tokio::spawn(run(db, writer, rule, waiting));
        Self { queue, probed: Arc::default() }
    }

    async fn commit(&self, notification: Option<NewNotification>) -> Outcome {
        let (done, answer) = oneshot::channel();
        self.queue.try_send(Waiting { notification, done }).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => Refusal::Full,
            mpsc::error::TrySendError::Closed(_) => Refusal::Unavailable("it is closed".to_owned()),
        })?;
        answer.await.unwrap_or_else(|_| Err(Refusal::Unavailable("its writer stopped".to_owned())))
    }
}

/// Ends when the last `Intake` is gone and all that waited is committed.
async fn run(db: Db, writer: DatabaseConnection, rule: ReplayRule, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        gather(&mut waiting, &mut batch).await;
        let (mut notifications, mut senders, mut probes) = (Vec::new(), Vec::new(), Vec::new());
        for Waiting { notification, done } in batch.drain(..) {
            match notification {
                Some(notification) => {
                    notifications.push(notification);
                    senders.push(done);
                }
                None => probes.push(done),
            }
        }
        let until = Instant::now() + COMMIT_MAX;
        let outcome = match notifications.is_empty() {
            true => within(until, probe(&writer)).await.map_err(|e| e.refusal()),
            false => take(&writer, rule, &notifications, senders, until).await,
        };
        probes.into_iter().for_each(|done| tell(done, outcome.clone()));
        db.queue_changed();
        db.feed_changed();
    }
}

/// Commits notifications, together or, where the database will not take one of them, one by one, and tells each sender as
/// soon as its outcome is known. Returns whether the database takes writes.
async fn take(
    writer: &DatabaseConnection,
    rule: ReplayRule,
    notifications: &[NewNotification],
    senders: Vec<oneshot::Sender<Outcome>>,
    until: Instant,
) -> Outcome {
    let together = within(until, commit(writer, rule, notifications)).await;
    let is_bad_row = match &together {
        Err(Failure::Database(e)) => is_of_a_row(e),
        Err(Failure::Late) | Ok(()) => false,
    };
    if !is_bad_row || notifications.len() == 1 {
        let outcome = together.map_err(|e| e.refusal());
        senders.into_iter().for_each(|done| tell(done, outcome.clone()));
        return if is_bad_row { Ok(()) } else { outcome };
    }
    tracing::warn!(notifications = notifications.len(), "a batch could not be committed; committing one by one");
    let mut broken: Outcome = Ok(());
    for (one, done) in notifications.iter().zip(senders) {
        let outcome = match &broken {
            Ok(()) => within(until, commit(writer, rule, std::slice::from_ref(one))).await,
            Err(refusal) => {
                tell(done, Err(refusal.clone()));
                continue;
            }
        };
        // One that the database will not take must not refuse its neighbours.
        let is_bad_row = matches!(&outcome, Err(Failure::Database(e)) if is_of_a_row(e));
        let outcome = outcome.map_err(|e| e.refusal());
        if !is_bad_row {
            broken = outcome.clone();
        }
        tell(done, outcome);
    }
    broken
}

fn tell(done: oneshot::Sender<Outcome>, outcome: Outcome) {
    // A sender that hung up is not owed an answer; its notification is recorded all the same.
    let _ = done.send(outcome);
}

/// Why a commit is not known to have happened.
enum Failure {
    Database(DbErr),
    Late,
}

impl Failure {
    fn refusal(&self) -> Refusal {
        match self {
            Self::Database(e) => Refusal::Unavailable(e.to_string()),
            Self::Late => Refusal::Unknown,
        }
    }
}

async fn within(until: Instant, work: impl Future<Output = Result<(), DbErr>>) -> Result<(), Failure> {
    match tokio::time::timeout_at(until, work).await {
        Ok(outcome) => outcome.map_err(Failure::Database),
        Err(_) => Err(Failure::Late),
    }
}

/// Whether an error is about what was to be written, and not about the database: then others may still be written.
fn is_of_a_row(error: &DbErr) -> bool {
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

/// Writes what means nothing, the way a notification is written.
async fn probe(writer: &DatabaseConnection) -> Result<(), DbErr> {
    let txn = connect::begin(writer).await?;
    let row = state::ActiveModel { key: Set("probe".to_owned()), value: Set("written".to_owned()) };
    let replace = OnConflict::column(state::Column::Key).update_column(state::Column::Value).to_owned();
    batch::insert(&txn, vec![row], Some(replace)).await?;
    txn.commit().await
}

/// Lets the requests that are being read come along: those that were answered by the last commit are already back with
/// the next. Costs a moment's look when nobody else is there.
async fn gather(waiting: &mut mpsc::Receiver<Waiting>, batch: &mut Vec<Waiting>) {
    let mut idle_looks = 0;
    while idle_looks < IDLE_LOOKS && batch.len() < BATCH_MAX {
        tokio::task::yield_now().await;
        match waiting.try_recv() {
            Ok(one) => {
                batch.push(one);
                idle_looks = 0;
            }
            Err(_) => idle_looks += 1,
        }
    }
}

async fn commit(writer: &DatabaseConnection, rule: ReplayRule, batch: &[NewNotification]) -> Result<(), DbErr> {
    let txn = connect::begin(writer).await?;
    let announced = announce::announce(&txn, batch).await?;
    let part_of = replays::follow(&txn, rule, batch, &announced).await?;
    sources::note_heard(&txn, batch).await?;
    let known = announced.into_iter().zip(part_of);
    let rows = batch.iter().zip(known).map(|(notification, (publication, replay))| {
        let mut row = row(notification, publication.as_ref());
        // What is new goes before what a replay says again.
        row.priority = Set((replay.is_some() && publication.is_some_and(|p| p.has_revision)).into());
        row.replay_id = Set(replay);
        row
    });
    batch::insert(&txn, rows.collect(), None).await?;
    fail::fail_point!("intake-before-commit");
    txn.commit().await
}

/// As it is recorded, of what is fresh.
pub(super) fn row(notification: &NewNotification, announced: Option<&Announced>) -> notifications::ActiveModel {
    let NewNotification { id, source, received_at, notice, body_digest } = notification;
    let understood = notice.outcome.as_ref().ok();
    let queued = understood.is_some();
    let status = if queued { NotificationStatus::Queued } else { NotificationStatus::Rejected };
    notifications::ActiveModel {
        id: Set(id.0),
        source: Set(source.clone()),
        received_at: Set(millis(*received_at)),
        status: Set(status.as_str().to_owned()),
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
        body_digest: Set(body_digest.0.to_vec()),
        product_id: Set(announced.map(|a| a.product_id)),
        publication_id: Set(announced.map(|a| a.publication_id.0)),
        revision_id: Set(None),
        host: Set(notice.link.as_ref().and_then(Link::host)),
        replay_id: Set(None),
        warnings: Set(
            (!notice.warnings.is_empty()).then(|| serde_json::Value::from(notice.warnings.clone()).to_string())
        ),
    }
}
