//! Opening the database: SQLite with one writer and several readers, or PostgreSQL.
use std::path::Path;
use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use secrecy::{ExposeSecret, SecretString};

use super::checkpointer::Checkpointer;
use super::migrations::Migrator;
use super::postgres::{OPENING_MAX, OPENING_QUICK_MAX};
use super::statements::Statements;
use super::version::VersionReader;
use super::{RecordError, postgres};

/// The key of the advisory lock with which PostgreSQL writers take turns; any number that nothing else uses.
const WRITER_LOCK: i64 = 0x6163_6572_766f;

/// The connections to the database.
pub(super) struct Connections {
    /// SQLite: exactly one connection.
    pub writer: DatabaseConnection,
    /// For notifications. A separate connection on PostgreSQL, so that no notification waits for a job.
    pub intake: DatabaseConnection,
    /// For queries from outside, which may be long and many.
    pub reader: DatabaseConnection,
    /// For frequent reads of the service itself, which no query from outside delays.
    pub jobs_reader: DatabaseConnection,
    /// SQLite: copies the write-ahead log back into the database.
    pub checkpointer: Option<Checkpointer>,
    pub versions: VersionReader,
}

/// Where the database is.
#[derive(Clone, Debug)]
pub enum Location {
    Sqlite(std::path::PathBuf),
    Postgres(SecretString),
}

impl Location {
    /// `sqlite://path`, `sqlite:path` or `postgres://…`.
    pub fn from_url(url: &SecretString) -> Self {
        match url.expose_secret().strip_prefix("sqlite:") {
            Some(path) => {
                // Options such as `?mode=rwc`, which other programs take there, have no effect here.
                let path = path.split('?').next().unwrap_or(path);
                Self::Sqlite(path.strip_prefix("//").unwrap_or(path).into())
            }
            None => Self::Postgres(url.clone()),
        }
    }

    /// Whether there is a database of Acervo.
    pub async fn is_initialized(&self) -> Result<bool, RecordError> {
        match self {
            Self::Sqlite(path) => Ok(path.metadata().is_ok_and(|file| file.len() > 0)),
            Self::Postgres(url) => {
                let database = postgres::connect(url, 1, OPENING_MAX).await?;
                let statement = "SELECT to_regclass('seaql_migrations') IS NOT NULL";
                let row = database.query_one_raw(Statement::from_string(DbBackend::Postgres, statement)).await?;
                let is_initialized = row.map(|row| row.try_get_by_index(0)).transpose()?;
                database.close().await?;
                Ok(is_initialized.unwrap_or(false))
            }
        }
    }
}

pub(super) async fn connect(
    location: &Location,
    sizes: crate::config::Database,
    seen: &Statements,
) -> Result<Connections, RecordError> {
    let connections = match location {
        Location::Sqlite(path) => {
            let writer = sqlite(path, 1, false).await?;
            migrate(&writer).await?;
            let checkpointer = Some(Checkpointer::start(path, sqlite(path, 1, false).await?, writer.clone()));
            // A connection that does nothing else: `data_version` changes only with the commits of others.
            let versions = VersionReader::start(sqlite(path, 1, true).await?);
            let (reader, jobs_reader) =
                (sqlite(path, sizes.readers, true).await?, sqlite(path, sizes.job_readers, true).await?);
            Connections { intake: writer.clone(), writer, reader, jobs_reader, checkpointer, versions }
        }
        Location::Postgres(url) => {
            let writer = postgres::connect(url, sizes.writers, OPENING_MAX).await?;
            migrate(&writer).await?;
            let intake = postgres::connect(url, 1, OPENING_QUICK_MAX).await?;
            let reader = postgres::connect(url, sizes.readers, OPENING_MAX).await?;
            let jobs_reader = postgres::connect(url, sizes.job_readers, OPENING_MAX).await?;
            let versions = VersionReader::start(reader.clone());
            Connections { writer, intake, reader, jobs_reader, checkpointer: None, versions }
        }
    };
    Ok(Connections {
        writer: seen.of(connections.writer, false),
        intake: seen.of(connections.intake, false),
        reader: seen.of(connections.reader, true),
        jobs_reader: seen.of(connections.jobs_reader, false),
        checkpointer: connections.checkpointer,
        versions: connections.versions,
    })
}

async fn sqlite(path: &Path, connections_max: u32, read_only: bool) -> Result<DatabaseConnection, RecordError> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    let path = path.to_owned();
    options.max_connections(connections_max).min_connections(1).sqlx_logging(false);
    options.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>).test_before_acquire(false);
    options.acquire_timeout(Duration::from_secs(30));
    options.map_sqlx_sqlite_opts(move |options| {
        options
            .filename(&path)
            .in_memory(false)
            .shared_cache(false)
            .create_if_missing(!read_only)
            .read_only(read_only)
            .journal_mode(SqliteJournalMode::Wal)
            // A 202 promises that a power cut loses nothing: each commit is synced.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(20))
            // Erased links must not remain in free pages.
            .pragma("secure_delete", "ON")
            // The checkpointer does this, so that no commit waits for it.
            .pragma("wal_autocheckpoint", "0")
            // The journal of a statement of the writer may hold links: it must not become a file, which would be outside of
            // the data folder. It is bounded by the transaction.
            .pragma("temp_store", if read_only { "DEFAULT" } else { "MEMORY" })
            // In KiB. The writer caches the ends of its indexes; readers rely on the system's page cache.
            .pragma("cache_size", if read_only { "-2000" } else { "-16000" })
            .statement_cache_capacity(300)
            // Lists come in pages of up to a thousand rows; every full buffer stops the thread that reads them.
            .row_buffer_size(1_000)
    });
    Database::connect(options).await.map_err(RecordError::from)
}

/// Applies the missing migrations in one transaction; refuses a database with migrations that this version does not have.
async fn migrate(writer: &DatabaseConnection) -> Result<(), RecordError> {
    let txn = begin_migration(writer).await?;
    Migrator::install(&txn).await?;
    let known: Vec<String> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
    let applied = Migrator::get_migration_models(&txn).await?;
    if let Some(newer) = applied.iter().find(|step| !known.contains(&step.version)) {
        return Err(RecordError::Newer { step: newer.version.clone() });
    }
    Migrator::up(&txn, None).await?;
    super::views::update(&txn).await?;
    txn.commit().await?;
    Ok(())
}

/// The time in milliseconds that all processes of the database share: leases and locks of machines whose clocks differ are only comparable
/// by one clock. SQLite is used by one machine, and so by one clock.
pub(super) fn shared_clock(backend: DbBackend, now: jiff::Timestamp) -> Expr {
    match backend {
        DbBackend::Sqlite => Expr::value(crate::domain::millis(now)),
        // Stable within a statement, so that an index can be used.
        _ => Expr::cust("(extract(epoch FROM statement_timestamp()) * 1000)::bigint"),
    }
}

/// A transaction that writes. In both databases writers take turns, so that what was read holds until the commit, and feed numbers
/// are assigned in commit order.
pub(super) async fn begin(writer: &DatabaseConnection) -> Result<DatabaseTransaction, sea_orm::DbErr> {
    match writer.get_database_backend() {
        DbBackend::Sqlite => {
            let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
            writer.begin_with_options(TransactionOptions { sqlite_transaction_mode, ..Default::default() }).await
        }
        _ => {
            let txn = writer.begin().await?;
            lock(&txn).await?;
            Ok(txn)
        }
    }
}

/// The same without time limits: a migration of years of rows takes long, and another replica may be applying it.
async fn begin_migration(writer: &DatabaseConnection) -> Result<DatabaseTransaction, sea_orm::DbErr> {
    if writer.get_database_backend() == DbBackend::Sqlite {
        return begin(writer).await;
    }
    let txn = writer.begin().await?;
    txn.execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
    lock(&txn).await?;
    Ok(txn)
}

async fn lock(txn: &DatabaseTransaction) -> Result<(), sea_orm::DbErr> {
    txn.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({WRITER_LOCK})")).await?;
    Ok(())
}
