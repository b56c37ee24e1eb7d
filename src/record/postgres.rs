//! Opening PostgreSQL, so that no session of a frozen or disconnected replica delays the others.
//!
//! Writers take turns by a lock that ends with its session. So the server ends sessions whose client has vanished or does
//! nothing in the middle of a transaction, and every wait for a lock or a statement is limited.
use std::sync::OnceLock;
use std::time::Duration;

use sea_orm::sqlx::Executor;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use secrecy::{ExposeSecret, SecretString};

use super::RecordError;

/// What is set in each session unless the administrator or the database's address sets it. Times are in milliseconds,
/// those of keepalives in seconds. A session that idles in a transaction ends before those that wait for its lock give up.
const SETTINGS: &str = "SELECT set_config(s.name, v.value, false) FROM (VALUES \
    ('statement_timeout', '60000'), \
    ('lock_timeout', '15000'), \
    ('idle_in_transaction_session_timeout', '10000'), \
    ('tcp_keepalives_idle', '10'), \
    ('tcp_keepalives_interval', '5'), \
    ('tcp_keepalives_count', '3'), \
    ('tcp_user_timeout', '20000') \
    ) AS v (name, value) JOIN pg_settings s ON s.name = v.name \
    WHERE s.source = 'default' \
    OR (s.setting = '0' AND s.source NOT IN ('client', 'user', 'database', 'database user'))";

/// How long opening a connection, or waiting for a free one, may take.
pub(super) const OPENING_MAX: Duration = Duration::from_secs(10);

/// For operations that a request waits for.
pub(super) const OPENING_QUICK_MAX: Duration = Duration::from_secs(5);

/// What the server's `pg_stat_activity` shows of this process's sessions: a word, and an id of the process.
fn application_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| format!("acervo {:08x}", rand::random::<u32>()))
}

/// Other processes of Acervo, on any machine, that have sessions of this database.
pub(super) async fn other_processes(database: &DatabaseConnection) -> Result<u64, RecordError> {
    let statement = "SELECT COUNT(DISTINCT application_name) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name LIKE 'acervo %' AND application_name <> $1";
    let values = [application_name().into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, statement, values);
    let row = database.query_one_raw(statement).await?;
    let count: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
}

pub(super) async fn connect(
    url: &SecretString,
    connections_max: u32,
    opening_max: Duration,
) -> Result<DatabaseConnection, RecordError> {
    open(options(url, connections_max, opening_max)).await
}

/// The same without a connection: the first one is opened when it is needed.
pub(super) async fn connect_lazily(
    url: &SecretString,
    connections_max: u32,
    opening_max: Duration,
) -> Result<DatabaseConnection, RecordError> {
    let mut options = options(url, connections_max, opening_max);
    options.connect_lazy(true);
    open(options).await
}

async fn open(options: ConnectOptions) -> Result<DatabaseConnection, RecordError> {
    Database::connect(options).await.map_err(RecordError::from)
}

fn options(url: &SecretString, connections_max: u32, opening_max: Duration) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.expose_secret());
    options.max_connections(connections_max).sqlx_logging(false).acquire_timeout(opening_max);
    options.set_application_name(application_name());
    options.map_sqlx_postgres_pool_opts(|pool| {
        pool.after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(SETTINGS).await?;
                Ok(())
            })
        })
    });
    options
}
