//! Wakes the other processes of a PostgreSQL database after a commit, and is woken by them (NOTIFY and LISTEN).
//!
//! This saves them the time until their next poll and is nothing to rely on: a notification may be lost, with the connection that
//! listens, or because the database was away. Whoever waits for commits polls as well.
use std::sync::OnceLock;
use std::time::Duration;

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{RecordError, postgres};

/// The channel of PostgreSQL, one for each database.
const CHANNEL: &str = "acervo";

/// One connection listens, one notifies.
const CONNECTIONS: u32 = 2;

/// How long after the connection was lost it is opened again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// A connection on which nothing came for so long is tested, since the other end of a silent one may be gone.
const TESTED_AFTER: Duration = Duration::from_secs(30);
const TEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What a commit brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Changes of the feed.
    Fed,
    /// Work for the fetchers.
    Queued,
}

impl News {
    const ALL: [Self; 2] = [Self::Fed, Self::Queued];

    fn as_str(self) -> &'static str {
        match self {
            Self::Fed => "fed",
            Self::Queued => "queued",
        }
    }
}

/// Counts of commits; whoever waits for some is woken when they grow.
#[derive(Clone, Debug, Default)]
pub(super) struct Commits {
    pub queued: watch::Sender<u64>,
    pub fed: watch::Sender<u64>,
}

impl Commits {
    pub fn note(&self, news: News) {
        let sender = match news {
            News::Fed => &self.fed,
            News::Queued => &self.queued,
        };
        sender.send_modify(|commits| *commits += 1);
    }
}

/// The other processes of the database.
pub(super) struct Peers {
    connections: DatabaseConnection,
    /// What this process sends comes back to it, and is nothing new.
    own: Uuid,
    told: Commits,
    telling: JoinHandle<()>,
    listening: OnceLock<JoinHandle<()>>,
}

impl Peers {
    pub async fn start(url: &SecretString) -> Result<Self, RecordError> {
        let connections = postgres::connect_lazily(url, CONNECTIONS, postgres::OPENING_MAX).await?;
        let (own, told) = (Uuid::now_v7(), Commits::default());
        let telling = tokio::spawn(tell(connections.clone(), own, told.fed.subscribe(), told.queued.subscribe()));
        Ok(Self { connections, own, told, telling, listening: OnceLock::new() })
    }

    /// From now on `commits` grow with what other processes commit.
    pub fn listen(&self, commits: &Commits) {
        self.listening.get_or_init(|| tokio::spawn(listen(self.connections.clone(), self.own, commits.clone())));
    }

    /// Tells the others, soon. What is told at once is told once.
    pub fn tell(&self, news: News) {
        self.told.note(news);
    }

    pub async fn close(&self) -> Result<(), DbErr> {
        self.end();
        self.connections.close_by_ref().await
    }

    fn end(&self) {
        self.telling.abort();
        self.listening.get().inspect(|listening| listening.abort());
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends a notification whenever there is news. It is outside of the transactions, so that none waits for it.
async fn tell(
    connections: DatabaseConnection,
    own: Uuid,
    mut fed: watch::Receiver<u64>,
    mut queued: watch::Receiver<u64>,
) {
    loop {
        let news = tokio::select! {
            changed = fed.changed() => changed.map(|()| News::Fed),
            changed = queued.changed() => changed.map(|()| News::Queued),
        };
        let Ok(news) = news else { return };
        let text = format!("SELECT pg_notify('{CHANNEL}', '{own} {}')", news.as_str());
        if let Err(e) = connections.execute_raw(Statement::from_string(DbBackend::Postgres, text)).await {
            tracing::debug!(error = %e, "other replicas could not be told of a commit; they will poll");
        }
    }
}

/// Notes what others tell. After a time without a connection there may be anything.
async fn listen(connections: DatabaseConnection, own: Uuid, commits: Commits) {
    loop {
        if let Err(e) = listen_once(&connections, own, &commits).await {
            tracing::debug!(error = %e, "this replica does not learn of the commits of others, and polls; trying again");
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

async fn listen_once(
    connections: &DatabaseConnection,
    own: Uuid,
    commits: &Commits,
) -> Result<(), sea_orm::sqlx::Error> {
    let mut listener = PgListener::connect_with(connections.get_postgres_connection_pool()).await?;
    listener.listen(CHANNEL).await?;
    News::ALL.into_iter().for_each(|news| commits.note(news));
    loop {
        match tokio::time::timeout(TESTED_AFTER, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => note(notification.payload(), own, commits),
            Ok(Ok(None)) => News::ALL.into_iter().for_each(|news| commits.note(news)),
            Ok(Err(e)) => return Err(e),
            Err(_) => {
                let test = sea_orm::sqlx::Executor::execute(&mut listener, "SELECT 1");
                match tokio::time::timeout(TEST_TIMEOUT, test).await {
                    Ok(tested) => tested.map(|_| ())?,
                    Err(_) => return Err(sea_orm::sqlx::Error::PoolTimedOut),
                }
            }
        }
    }
}

fn note(payload: &str, own: Uuid, commits: &Commits) {
    let Some((sender, text)) = payload.split_once(' ') else { return };
    let news = News::ALL.into_iter().find(|news| news.as_str() == text);
    if sender != own.to_string()
        && let Some(news) = news
    {
        commits.note(news);
    }
}
