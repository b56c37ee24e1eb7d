//! Group commit: all notifications that wait are committed and synced as one, then each sender is told.
use sea_orm::{DatabaseConnection, DbErr, Set};
use tokio::sync::{mpsc, oneshot, watch};

use super::incoming::{Announced, NewNotification};
use super::replays::{self, ReplayRule};
use super::{announce, batch, connect, entity::notifications, sources};
use crate::domain::{Link, NotificationStatus, fold, millis};

/// Notifications of one commit.
const BATCH_MAX: usize = 256;

/// So many looks without a newcomer end the gathering of a batch.
const IDLE_LOOKS: usize = 16;

/// Why a notification was not recorded; the portal is asked to send it again.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("more notifications wait for the database than may")]
    Full,
    #[error("the database cannot take it: {0}")]
    Unavailable(String),
}

struct Waiting {
    notification: NewNotification,
    done: oneshot::Sender<Result<(), Refusal>>,
}

pub(super) struct Intake {
    queue: mpsc::Sender<Waiting>,
}

impl super::Record {
    /// Records a notification. Once this returns `Ok`, it survives a power cut.
    pub async fn accept(&self, notification: NewNotification) -> Result<(), Refusal> {
        self.inner.intake.accept(notification).await
    }
}

impl Intake {
    pub fn start(
        writer: DatabaseConnection,
        capacity: usize,
        rule: ReplayRule,
        queued: watch::Sender<u64>,
        fed: watch::Sender<u64>,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(capacity);
        tokio::spawn(run(writer, rule, waiting, queued, fed));
        Self { queue }
    }

    async fn accept(&self, notification: NewNotification) -> Result<(), Refusal> {
        let (done, answer) = oneshot::channel();
        self.queue.try_send(Waiting { notification, done }).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => Refusal::Full,
            mpsc::error::TrySendError::Closed(_) => Refusal::Unavailable("it is closed".to_owned()),
        })?;
        answer.await.unwrap_or_else(|_| Err(Refusal::Unavailable("its writer stopped".to_owned())))
    }
}

/// Ends when the last `Intake` is gone and all that waited is committed.
async fn run(
    writer: DatabaseConnection,
    rule: ReplayRule,
    mut waiting: mpsc::Receiver<Waiting>,
    queued: watch::Sender<u64>,
    fed: watch::Sender<u64>,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        gather(&mut waiting, &mut batch).await;
        let (notifications, senders): (Vec<_>, Vec<_>) = batch.drain(..).map(|w| (w.notification, w.done)).unzip();
        let outcomes = match commit(&writer, rule, &notifications).await {
            Ok(()) => notifications.iter().map(|_| Ok(())).collect(),
            // One that the database will not take must not refuse its neighbours.
            Err(e) if notifications.len() > 1 => {
                tracing::warn!(error = %e, notifications = notifications.len(), "a batch could not be committed; committing one by one");
                let mut outcomes = Vec::with_capacity(notifications.len());
                for one in &notifications {
                    outcomes.push(
                        commit(&writer, rule, std::slice::from_ref(one))
                            .await
                            .map_err(|e| Refusal::Unavailable(e.to_string())),
                    );
                }
                outcomes
            }
            Err(e) => vec![Err(Refusal::Unavailable(e.to_string()))],
        };
        for (done, outcome) in senders.into_iter().zip(outcomes) {
            // A sender that hung up is not owed an answer; its notification is recorded all the same.
            let _ = done.send(outcome);
        }
        queued.send_modify(|n| *n += 1);
        fed.send_modify(|n| *n += 1);
    }
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
