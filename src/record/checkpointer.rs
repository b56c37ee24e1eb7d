//! Copies SQLite's write-ahead log back into the database, and empties it: after links were erased, and before it gets long.
//!
//! An empty log needs a moment in which nobody writes and no reader is in the log. While others write that moment never comes by
//! itself, so the writers of this process wait for it, but not longer than [`READERS_MAX`]: a reader that begins meanwhile reads
//! from the database alone, and one that stays longer must not keep a notification waiting.
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, RuntimeErr, Statement};
use tokio::time::Instant;

/// How often the log is copied back: often enough that reading through it stays fast.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);

/// A longer log is emptied: every reader searches it, and its file does not shrink. 16 MiB.
const LOG_PAGES_MAX: i32 = 4096;

/// Jobs that write wait until a log of this length is emptied: they write faster than it is copied back. 32 MiB.
const LOG_BYTES_MAX: u64 = 2 * LOG_PAGES_MAX as u64 * 4096;

/// How long the writers wait for readers to leave the log.
const READERS_MAX: Duration = Duration::from_millis(25);

/// The shortest time between two attempts to empty the log, unless it is too long and nothing blocks it.
const EMPTY_EVERY: Duration = Duration::from_secs(1);

/// A reader that keeps the log from being emptied for longer is logged.
const BLOCKED_MAX: Duration = Duration::from_secs(60);

/// How often it is logged again.
const WARN_EVERY: Duration = Duration::from_secs(600);

/// Works until it is dropped.
pub(super) struct Checkpointer {
    log: Log,
    task: tokio::task::JoinHandle<()>,
}

impl Checkpointer {
    /// `connection` is used for nothing else; `writer` is the only one of this process that writes.
    pub fn start(database: &Path, connection: DatabaseConnection, writer: DatabaseConnection) -> Self {
        let mut file = database.as_os_str().to_owned();
        file.push("-wal");
        let log = Log {
            connection,
            writer,
            file: file.into(),
            // The last run may have ended before it emptied the log.
            has_erased: Arc::new(AtomicBool::new(true)),
            blocked_at: Arc::default(),
        };
        Self { task: tokio::spawn(run(log.clone())), log }
    }

    /// Requests that the log is emptied soon: it holds erased links.
    pub fn empty_soon(&self) {
        self.log.empty_soon();
    }

    /// Empties a log that is too long. To be called before each transaction of a job.
    pub async fn keep_short(&self) {
        // The task reports what fails.
        if self.log.is_too_long() && !self.log.is_blocked() {
            let _ = self.log.try_empty(Log::is_too_long).await;
        }
    }

    /// Ends the work. Who closes the writer afterwards leaves no log behind.
    pub async fn close(&self) -> Result<(), DbErr> {
        self.task.abort();
        self.log.connection.close_by_ref().await
    }

    /// Tries once to empty the log, if it holds erased links; `false` if a reader or another process uses it.
    pub async fn try_empty(&self) -> Result<bool, DbErr> {
        self.log.try_empty(|log| log.has_erased.load(Ordering::Acquire)).await
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(log: Log) {
    let mut blocked = Blocked::default();
    let mut next_attempt = Instant::now();
    loop {
        tokio::time::sleep(CHECKPOINT_EVERY).await;
        // `None`: nothing had to be emptied.
        let outcome = async {
            let is_long = log.checkpoint("PASSIVE", Duration::ZERO).await?.pages >= LOG_PAGES_MAX;
            if Instant::now() < next_attempt || !(is_long || log.has_erased.load(Ordering::Acquire)) {
                return Ok(None);
            }
            log.try_empty(|_| true).await.map(Some)
        };
        match outcome.await {
            Ok(None) => {}
            Ok(Some(is_empty)) => {
                next_attempt = Instant::now() + EMPTY_EVERY;
                report(blocked.note(is_empty, Instant::now()));
            }
            Err(e) => tracing::error!(error = %e, "the database's write-ahead log could not be copied back"),
        }
    }
}

#[derive(Clone)]
struct Log {
    connection: DatabaseConnection,
    writer: DatabaseConnection,
    file: PathBuf,
    /// It holds erased links.
    has_erased: Arc<AtomicBool>,
    /// When a reader kept it from being emptied last.
    blocked_at: Arc<Mutex<Option<Instant>>>,
}

/// What `PRAGMA wal_checkpoint` reports: <https://www.sqlite.org/pragma.html#pragma_wal_checkpoint>.
struct Checkpoint {
    is_complete: bool,
    /// In the log, copied back or not.
    pages: i32,
}

impl Log {
    fn is_too_long(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.len() > LOG_BYTES_MAX)
    }

    /// Whether an attempt has just failed. Each keeps the writers waiting.
    fn is_blocked(&self) -> bool {
        let blocked_at = *self.blocked_at.lock().unwrap_or_else(PoisonError::into_inner);
        blocked_at.is_some_and(|at| at.elapsed() < EMPTY_EVERY)
    }

    /// Nothing has to be done, and that is a success, unless it is due when nobody else writes or makes an attempt.
    async fn try_empty(&self, is_due: impl Fn(&Self) -> bool) -> Result<bool, DbErr> {
        // Most is copied while others write; what is left takes a moment.
        self.checkpoint("PASSIVE", Duration::ZERO).await?;
        // The pool has one connection: who holds it is the only writer of this process.
        let turn = self.writer.get_sqlite_connection_pool().acquire().await;
        let turn = turn.map_err(|e| DbErr::Conn(RuntimeErr::SqlxError(e.into())))?;
        if !is_due(self) {
            return Ok(true);
        }
        // Read before the attempt: links erased after it may still be in the log.
        let had_erased = self.has_erased.swap(false, Ordering::AcqRel);
        let outcome = self.checkpoint("TRUNCATE", READERS_MAX).await;
        drop(turn);
        let is_empty = outcome.as_ref().is_ok_and(|checkpoint| checkpoint.is_complete);
        if had_erased && !is_empty {
            self.empty_soon();
        }
        *self.blocked_at.lock().unwrap_or_else(PoisonError::into_inner) = (!is_empty).then(Instant::now);
        outcome.map(|_| is_empty)
    }

    fn empty_soon(&self) {
        self.has_erased.store(true, Ordering::Release);
    }

    async fn checkpoint(&self, mode: &str, wait: Duration) -> Result<Checkpoint, DbErr> {
        self.connection.execute_unprepared(&format!("PRAGMA busy_timeout = {}", wait.as_millis())).await?;
        let backend = self.connection.get_database_backend();
        let statement = Statement::from_string(backend, format!("PRAGMA wal_checkpoint({mode})"));
        let row = self.connection.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| DbErr::Custom("wal_checkpoint returned no row".to_owned()))?;
        let busy: i32 = row.try_get_by_index(0)?;
        Ok(Checkpoint { is_complete: busy == 0, pages: row.try_get_by_index(1)? })
    }
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
