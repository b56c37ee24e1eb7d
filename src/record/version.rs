//! Detects whether anything was committed since an earlier moment.
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};
use tokio::sync::{mpsc, oneshot};

/// Stands for the state of the whole record: as long as it is the same, no process has committed anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version(String);

type Reply = oneshot::Sender<Version>;

/// Reads the version once for all concurrent requests.
pub(super) struct VersionReader {
    connection: DatabaseConnection,
    requests: mpsc::UnboundedSender<Reply>,
    task: tokio::task::JoinHandle<()>,
}

impl VersionReader {
    pub fn start(connection: DatabaseConnection) -> Self {
        let (requests, mut pending) = mpsc::unbounded_channel::<Reply>();
        let reader = connection.clone();
        let task = tokio::spawn(async move {
            let mut waiting = Vec::new();
            // A request during a read gets the next one: that has what was committed before the request.
            while pending.recv_many(&mut waiting, 1_024).await > 0 {
                match read(&reader).await {
                    Ok(version) => waiting.drain(..).for_each(|reply| drop(reply.send(version.clone()))),
                    Err(e) => {
                        tracing::debug!(error = %e, "the version of the database cannot be read");
                        waiting.clear();
                    }
                }
            }
        });
        Self { connection, requests, task }
    }
}

impl Drop for VersionReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// SQLite counts, for each connection, the commits of all others that it sees; PostgreSQL names the transactions that a
/// snapshot sees.
async fn read(connection: &DatabaseConnection) -> Result<Version, DbErr> {
    let backend = connection.get_database_backend();
    let statement = match backend {
        sea_orm::DbBackend::Sqlite => "PRAGMA data_version",
        _ => "SELECT CAST(pg_current_snapshot() AS text)",
    };
    let row = connection.query_one_raw(Statement::from_string(backend, statement)).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("the version of the database cannot be read".to_owned()))?;
    Ok(Version(match backend {
        sea_orm::DbBackend::Sqlite => row.try_get_by_index::<i64>(0)?.to_string(),
        _ => row.try_get_by_index(0)?,
    }))
}

impl VersionReader {
    /// Ends the work.
    pub async fn close(&self) -> Result<(), DbErr> {
        self.task.abort();
        self.connection.close_by_ref().await
    }

    /// The present state; `None` if the database did not answer.
    pub async fn present(&self) -> Option<Version> {
        let (reply, version) = oneshot::channel();
        self.requests.send(reply).ok()?;
        version.await.ok()
    }
}
