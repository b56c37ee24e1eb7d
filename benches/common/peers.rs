//! Peers for the search benchmark: the same flat rows in SQLite with FTS5 and in PostgreSQL with full-text search, each with
//! the indexes that its manual recommends.
use std::path::Path;

use jiff::civil::Date;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

/// A query: words, a process and a period.
pub struct PeerQuery {
    pub typed: &'static str,
    pub process: &'static str,
    pub from: Date,
    pub to: Date,
}

pub struct Peer {
    connection: DatabaseConnection,
    backend: DbBackend,
}

/// The columns of a flat row as stored in the tables.
const COLUMNS: &str = "id, product_id, name, process, macro_process, reference_date, period_start, period_end, \
                       granularity, status, revision_id, revision_count, file_name, size, stored_size, received_at";

/// Rows per insert.
const ROWS: usize = 2_000;

impl Peer {
    /// SQLite with an external-content FTS5 table that ignores accents.
    pub async fn fts5(file: &Path, from: &Path) -> Self {
        // A file from an earlier run may contain other rows.
        let _ = std::fs::remove_file(file);
        let connection = connect(&format!("sqlite://{}?mode=rwc", file.display())).await;
        let run = async |sql: &str| connection.execute_unprepared(sql).await.expect("a statement");
        run("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144").await;
        run(&format!("ATTACH '{}' AS acervo", from.display())).await;
        run(&format!("CREATE TABLE flat AS SELECT {COLUMNS} FROM acervo.bi_publications")).await;
        run("CREATE INDEX by_process ON flat (process, period_start)").await;
        run("CREATE VIRTUAL TABLE words USING fts5 (name, process, macro_process, file_name, content = 'flat', \
             tokenize = 'unicode61 remove_diacritics 2')")
        .await;
        run("INSERT INTO words (words) VALUES ('rebuild')").await;
        run("INSERT INTO words (words) VALUES ('optimize')").await;
        run("ANALYZE").await;
        Self { connection, backend: DbBackend::Sqlite }
    }

    /// PostgreSQL with a GIN index over a vector of Portuguese stems without accents.
    pub async fn postgres(address: &str, fts5: &Self) -> Self {
        let connection = connect(address).await;
        let run = async |sql: &str| connection.execute_unprepared(sql).await.expect("a statement");
        run("CREATE EXTENSION unaccent").await;
        run("CREATE TEXT SEARCH CONFIGURATION pt (COPY = portuguese)").await;
        run("ALTER TEXT SEARCH CONFIGURATION pt ALTER MAPPING FOR hword, hword_part, word WITH unaccent, portuguese_stem").await;
        run("CREATE UNLOGGED TABLE flat (id text, product_id text, name text, process text, macro_process text, \
             reference_date text, period_start timestamp, period_end timestamp, granularity text, status text, \
             revision_id text, revision_count int, file_name text, size bigint, stored_size bigint, received_at text)")
        .await;
        copy(&fts5.connection, &connection).await;
        run("ALTER TABLE flat ADD COLUMN words tsvector").await;
        run("UPDATE flat SET words = to_tsvector('pt', name || ' ' || process || ' ' || macro_process || ' ' || translate(file_name, '_.', '  '))").await;
        run("CREATE INDEX by_words ON flat USING gin (words)").await;
        run("CREATE INDEX by_process ON flat (process, period_start)").await;
        run("VACUUM ANALYZE flat").await;
        Self { connection, backend: DbBackend::Postgres }
    }

    /// Selects the newest 50 and the count. Returns the count.
    pub async fn run(&self, query: &PeerQuery) -> usize {
        let typed: Vec<String> = query.typed.split_whitespace().map(str::to_owned).collect();
        let (from, to) = (query.from.to_string(), query.to.to_string());
        let (source, wanted) = match self.backend {
            DbBackend::Sqlite => {
                let words: Vec<String> = typed.iter().map(|word| format!("\"{word}\"")).collect();
                (
                    "words JOIN flat ON flat.rowid = words.rowid WHERE words MATCH $1 AND flat.process = $2 AND \
                     flat.period_end >= $3 || 'T00:00:00' AND flat.period_start <= $4 || 'T23:59:59'",
                    format!("{}*", words.join(" ")),
                )
            }
            _ => (
                "flat WHERE words @@ to_tsquery('pt', $1) AND process = $2 AND period_end >= $3::date AND \
                 period_start < $4::date + 1",
                format!("{}:*", typed.join(" & ")),
            ),
        };
        let columns = COLUMNS.split(", ").map(|column| format!("flat.{column}")).collect::<Vec<_>>().join(", ");
        let values = || vec![wanted.clone().into(), query.process.into(), from.clone().into(), to.clone().into()];
        let page = format!("SELECT {columns} FROM {source} ORDER BY flat.period_start DESC, flat.id LIMIT 50");
        let rows = self.all(&page, values()).await;
        assert!(rows.len() <= 50);
        let count = self.all(&format!("SELECT count(*) FROM {source}"), values()).await;
        usize::try_from(count[0].try_get_by_index::<i64>(0).expect("a count")).expect("a count")
    }

    async fn all(&self, sql: &str, values: Vec<sea_orm::Value>) -> Vec<sea_orm::QueryResult> {
        let statement = Statement::from_sql_and_values(self.backend, sql, values);
        self.connection.query_all_raw(statement).await.expect("rows")
    }
}

async fn connect(address: &str) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(address);
    // A single connection keeps attached databases and prepared statements.
    options.max_connections(1);
    Database::connect(options).await.expect("a database")
}

/// Copies the flat rows from the first peer.
async fn copy(source: &DatabaseConnection, target: &DatabaseConnection) {
    for from in (1..).step_by(ROWS) {
        let to = from + ROWS;
        let sql = format!("SELECT json_array({COLUMNS}) FROM flat WHERE rowid >= {from} AND rowid < {to}");
        let rows = source.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.expect("rows");
        let values: Vec<Vec<serde_json::Value>> = rows
            .iter()
            .map(|row| serde_json::from_str(&row.try_get_by_index::<String>(0).expect("a row")).expect("a row"))
            .collect();
        if values.is_empty() {
            return;
        }
        let literal = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => format!("'{}'", text.replace('\'', "''")),
            other => other.to_string(),
        };
        let tuples: Vec<String> =
            values.iter().map(|row| format!("({})", row.iter().map(literal).collect::<Vec<_>>().join(","))).collect();
        target.execute_unprepared(&format!("INSERT INTO flat VALUES {}", tuples.join(","))).await.expect("rows");
    }
}
