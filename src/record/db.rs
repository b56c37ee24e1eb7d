//! What all repositories share: the connections, the only way to write, and notice of commits.
use std::sync::Arc;

use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbBackend, DbErr};
use tokio::sync::watch;

use super::checkpointer::Checkpointer;
use super::peers::{Commits, News, Peers};
use super::statements::Statements;
use super::version::VersionReader;
use super::{Location, RecordError, connect};
use crate::config::Database;

/// Clones share the connections.
#[derive(Clone)]
pub(super) struct Db(Arc<Inner>);

struct Inner {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    jobs_reader: DatabaseConnection,
    checkpointer: Option<Checkpointer>,
    statements: Statements,
    versions: VersionReader,
    /// Counts the commits of this process, and those of others that it is told of.
    commits: Commits,
    /// The other processes of the database, where there may be some.
    peers: Option<Peers>,
}

impl Db {
    /// Opens the database. Also returns the intake's writer, which only the intake uses.
    pub async fn open(location: &Location, connections: Database) -> Result<(Self, DatabaseConnection), RecordError> {
        let statements = Statements::default();
        let connect::Connections { writer, intake, reader, jobs_reader, checkpointer, versions } =
            connect::connect(location, connections, &statements).await?;
        let peers = match location {
            Location::Sqlite(_) => None,
            Location::Postgres(url) => Some(Peers::start(url).await?),
        };
        let commits = Commits::default();
        let inner = Inner { writer, reader, jobs_reader, checkpointer, statements, versions, commits, peers };
        Ok((Self(Arc::new(inner)), intake))
    }

    /// Closes the connections, after those who use them have finished.
    pub async fn close(&self) -> Result<(), DbErr> {
        let Inner { writer, reader, jobs_reader, checkpointer, versions, peers, .. } = &*self.0;
        if let Some(peers) = peers {
            peers.close().await?;
        }
        versions.close().await?;
        reader.close_by_ref().await?;
        jobs_reader.close_by_ref().await?;
        if let Some(checkpointer) = checkpointer {
            checkpointer.close().await?;
        }
        // SQLite's last connection copies the log back, so it must be one that may write.
        writer.close_by_ref().await
    }

    /// A transaction that writes; see [`connect::begin`].
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        if let Some(checkpointer) = &self.0.checkpointer {
            checkpointer.keep_short().await;
        }
        connect::begin(&self.0.writer).await
    }

    /// For queries from outside, which may be long and many.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.0.reader
    }

    /// For frequent reads of the service itself, which no query from outside delays.
    pub fn jobs_reader(&self) -> &DatabaseConnection {
        &self.0.jobs_reader
    }

    pub fn is_shared(&self) -> bool {
        self.0.writer.get_database_backend() != DbBackend::Sqlite
    }

    /// See [`connect::shared_clock`].
    pub fn shared_clock(&self, now: Timestamp) -> Expr {
        connect::shared_clock(self.0.writer.get_database_backend(), now)
    }

    pub fn checkpointer(&self) -> Option<&Checkpointer> {
        self.0.checkpointer.as_ref()
    }

    pub fn statements(&self) -> &Statements {
        &self.0.statements
    }

    pub fn versions(&self) -> &VersionReader {
        &self.0.versions
    }

    /// From now on this process is told of the commits of others, where the database can do that.
    pub fn listen_to_peers(&self) {
        if let Some(peers) = &self.0.peers {
            peers.listen(&self.0.commits);
        }
    }

    /// Changes with every commit of this process that queued something. Commits of others are told of, if nothing goes wrong.
    pub fn watch_queue(&self) -> watch::Receiver<u64> {
        self.0.commits.queued.subscribe()
    }

    /// The same for commits that added to the feed.
    pub fn watch_feed(&self) -> watch::Receiver<u64> {
        self.0.commits.fed.subscribe()
    }

    /// To be called after a commit that queued something.
    pub fn notify_queue(&self) {
        self.notify(News::Queued);
    }

    /// To be called after a commit that added to the feed.
    pub fn notify_feed(&self) {
        self.notify(News::Fed);
    }

    fn notify(&self, news: News) {
        self.0.commits.note(news);
        if let Some(peers) = &self.0.peers {
            peers.tell(news);
        }
    }

    /// To be called after a commit that erased links: the write-ahead log still contains them.
    pub fn links_erased(&self) {
        if let Some(checkpointer) = &self.0.checkpointer {
            checkpointer.empty_soon();
        }
    }
}
