//! Copies SQLite's write-ahead log back into the database, and empties it after links were erased.
//!
//! Both use a separate connection that never waits: emptying the log takes the writer's lock and needs every reader to have
//! left the log, and a notification must not wait for a reader.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};
use tokio::time::Instant;

/// How often the log is copied back: often enough that reading through it stays fast.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);

/// A reader that keeps the log from being emptied for longer is logged.
const BLOCKED_MAX: Duration = Duration::from_secs(60);

/// How often it is logged again.
const WARN_EVERY: Duration = Duration::from_secs(600);

/// Works until it is dropped.
pub(super) struct Checkpointer {
    connection: DatabaseConnection,
    /// The log holds erased links.
    is_due: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Checkpointer {
    pub fn start(connection: DatabaseConnection) -> Self {
        // The last run may have ended before it emptied the log.
        let is_due = Arc::new(AtomicBool::new(true));
        let task = tokio::spawn(run(connection.clone(), is_due.clone()));
        Self { connection, is_due, task }
    }

    /// Requests that the log is emptied as soon as no reader needs it.
    pub fn empty_soon(&self) {
        self.is_due.store(true, Ordering::Release);
    }

    /// Tries once to empty the log, if that is due; `false` if a reader or a writer uses it.
    pub async fn try_empty(&self) -> Result<bool, DbErr> {
        try_empty(&self.connection, &self.is_due).await
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(connection: DatabaseConnection, is_due: Arc<AtomicBool>) {
    let mut blocked = Blocked::default();
    loop {
        tokio::time::sleep(CHECKPOINT_EVERY).await;
        let outcome = async {
            checkpoint(&connection, "PASSIVE").await?;
            try_empty(&connection, &is_due).await
        };
        match outcome.await {
            Ok(is_empty) => report(blocked.note(is_empty, Instant::now())),
            Err(e) => tracing::error!(error = %e, "the database's write-ahead log could not be copied back"),
        }
    }
}

async fn try_empty(connection: &DatabaseConnection, is_due: &AtomicBool) -> Result<bool, DbErr> {
    // Read before the attempt: links erased during it may still be in the log afterwards.
    if !is_due.swap(false, Ordering::AcqRel) {
        return Ok(true);
    }
    let outcome = checkpoint(connection, "TRUNCATE").await;
    if !matches!(outcome, Ok(true)) {
        is_due.store(true, Ordering::Release);
    }
    outcome
}

/// Whether it was done in full.
async fn checkpoint(connection: &DatabaseConnection, mode: &str) -> Result<bool, DbErr> {
    connection.execute_unprepared("PRAGMA busy_timeout = 0").await?;
    let backend = connection.get_database_backend();
    let statement = Statement::from_string(backend, format!("PRAGMA wal_checkpoint({mode})"));
    let row = connection.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| DbErr::Custom("wal_checkpoint returned no row".to_owned()))?;
    let busy: i32 = row.try_get_by_index(0)?;
    Ok(busy == 0)
}

/// For how long the log could not be emptied.
#[derive(Default)]
struct Blocked {
    since: Option<Instant>,
    warned_at: Option<Instant>,
}

#[derive(Debug, PartialEq)]
enum Report {
    Blocked { seconds: u64 },
    Emptied,
}

impl Blocked {
    fn note(&mut self, is_empty: bool, now: Instant) -> Option<Report> {
        if is_empty {
            return std::mem::take(self).warned_at.map(|_| Report::Emptied);
        }
        let blocked_for = now.duration_since(*self.since.get_or_insert(now));
        let is_reported = self.warned_at.is_some_and(|at| now.duration_since(at) < WARN_EVERY);
        if blocked_for < BLOCKED_MAX || is_reported {
            return None;
        }
        self.warned_at = Some(now);
        Some(Report::Blocked { seconds: blocked_for.as_secs() })
    }
}

fn report(report: Option<Report>) {
    match report {
        Some(Report::Blocked { seconds }) => tracing::warn!(
            seconds,
            "a program that reads the database prevents its write-ahead log (acervo.db-wal) from being emptied: erased links \
             stay in that file, and it grows; end long transactions of other programs"
        ),
        Some(Report::Emptied) => tracing::info!("the database's write-ahead log was emptied"),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_stays_blocked_is_reported_once_and_its_end_too() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut blocked = Blocked::default();
        assert_eq!(blocked.note(true, start), None);
        assert_eq!(blocked.note(false, start), None);
        assert_eq!(blocked.note(false, after(59)), None);
        assert_eq!(blocked.note(false, after(60)), Some(Report::Blocked { seconds: 60 }));
        assert_eq!(blocked.note(false, after(61)), None);
        assert_eq!(blocked.note(false, after(660)), Some(Report::Blocked { seconds: 660 }));
        assert_eq!(blocked.note(true, after(661)), Some(Report::Emptied));
        assert_eq!(blocked.note(false, after(662)), None);
    }
}
