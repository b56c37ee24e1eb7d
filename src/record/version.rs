//! Whether anything was committed since.
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};
use tokio::sync::{mpsc, oneshot};

/// Stands for the state of the whole record: as long as it is the same, nothing was committed, by whatever process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

type Asker = oneshot::Sender<Version>;

/// Tells the version to all who ask at a time, for the price of one small question to the database.
pub(super) struct Versions {
    askers: mpsc::UnboundedSender<Asker>,
    task: tokio::task::JoinHandle<()>,
}

impl Versions {
    pub fn start(connection: DatabaseConnection) -> Self {
        let (askers, mut asked) = mpsc::unbounded_channel::<Asker>();
        let task = tokio::spawn(async move {
            let mut waiting = Vec::new();
            // Who asks while an answer is on its way gets the next: what was committed before the question is in it.
            while asked.recv_many(&mut waiting, 1_024).await > 0 {
                match read(&connection).await {
                    Ok(version) => waiting.drain(..).for_each(|asker| drop(asker.send(version.clone()))),
                    Err(e) => {
                        tracing::debug!(error = %e, "the database tells no version");
                        waiting.clear();
                    }
                }
            }
        });
        Self { askers, task }
    }
}

impl Drop for Versions {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// SQLite counts, for each connection, the commits of all others that it sees; PostgreSQL names the transactions that a
/// snapshot sees.
async fn read(connection: &DatabaseConnection) -> Result<Version, DbErr> {
    let backend = connection.get_database_backend();
    let question = match backend {
        sea_orm::DbBackend::Sqlite => "PRAGMA data_version",
        _ => "SELECT CAST(pg_current_snapshot() AS text)",
    };
    let row = connection.query_one_raw(Statement::from_string(backend, question)).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("the database tells no version".to_owned()))?;
    Ok(Version(match backend {
        sea_orm::DbBackend::Sqlite => row.try_get_by_index::<i64>(0)?.to_string(),
        _ => row.try_get_by_index(0)?,
    }))
}

impl Versions {
    /// The present state; `None` where the database did not answer.
    pub async fn ask(&self) -> Option<Version> {
        let (asker, answer) = oneshot::channel();
        self.askers.send(asker).ok()?;
        answer.await.ok()
    }
}
