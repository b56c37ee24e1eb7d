use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acervo::domain::NotificationStatus;
use acervo::jobs;
use acervo::leaves::record::{NewHookEvent, NotificationQuery, Replay, WatchedStatement, WatchedValue};
use acervo::portal::{Faults, Validators};
use sea_orm::sea_query::{Expr, PostgresQueryBuilder, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait, Value};
use serde_json::Value as Json;

use crate::harness::samples::{product, replace, zip};
use crate::harness::{Db, Options, TestApp, on_each_database, postgres};

/// Tables that grow with every notification or file.
const GROWING: &[&str] = &["notifications", "publications", "revisions", "files", "members", "changes", "validators"];

/// Indexes of the few rows among many that are worked on: a walk through one of these is short.
const SMALL: &[&str] = &[
    "notifications_file",
    "notifications_leased",
    "notifications_retrying",
    "notifications_expiring",
    "notifications_awaiting",
    "notifications_linked",
    "notifications_bodies",
    "notifications_unresolved",
    "notifications_unresolvable",
    "publications_lost",
    "revisions_purge",
    "files_tombstone",
    "files_removal_failed",
    "files_damaged",
    "files_to_list",
];

/// Rows of the growing tables in PostgreSQL, whose planner depends on their number.
const ROWS: u64 = 20_000;

/// How many of these one statement may read.
const LOOKED_AT_MAX: f64 = 2_000.0;

const POLICY: &str = "[retention]\ngrace = \"0s\"\n[[retention.policy]]\nname = \"all\"\nkeep_last = 1\n";

/// By their text.
type Seen = Arc<Mutex<BTreeMap<String, WatchedStatement>>>;

on_each_database!(no_statement_of_the_hot_paths_scans_a_growing_table, 2 threads);
async fn no_statement_of_the_hot_paths_scans_a_growing_table(db: Db) {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let config = folder.path().join("acervo.toml");
    std::fs::write(&config, POLICY).expect("a file");
    let options = Options {
        database_url: postgres::database(db),
        folder: Some(folder.clone()),
        config: Some(config),
        values: vec![("receiver.replay_gap", "1s".to_owned())],
        ..Options::default()
    };
    let app = TestApp::with(options).await;
    let seen = Seen::default();
    let watched = seen.clone();
    acervo::leaves::record(&app.app).watch_statements(move |statement| {
        if !statement.is_of_query {
            watched.lock().expect("a lock").entry(statement.sql.clone()).or_insert(statement);
        }
    });
    days_of_a_service(&app).await;
    let connection = app.database().await;
    let seen = std::mem::take(&mut *seen.lock().expect("a lock"));
    assert!(seen.len() > 60, "{db:?}: only {} statements were seen", seen.len());
    // Its own statements would wait for those that are explained, and these for them.
    app.stop().await;
    if db == Db::Postgres {
        fill(&connection).await;
    }
    let mut scans = Vec::new();
    for statement in seen.values() {
        for fault in faults(&connection, &sent(db, statement)).await {
            scans.push(format!("{fault}\n    {}", statement.sql));
        }
    }
    assert!(scans.is_empty(), "{db:?}: {} of {} statements:\n{}", scans.len(), seen.len(), scans.join("\n"));
    connection.close().await.expect("a closed connection");
}

on_each_database!(totals_equal_counts_and_include_older_rows, 2 threads);
async fn totals_equal_counts_and_include_older_rows(db: Db) {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let config = folder.path().join("acervo.toml");
    std::fs::write(&config, POLICY).expect("a file");
    let url = postgres::database(db);
    let options = || Options {
        database_url: url.clone(),
        folder: Some(folder.clone()),
        config: Some(config.clone()),
        ..Options::default()
    };
    let app = TestApp::with(options()).await;
    days_of_a_service(&app).await;
    let connection = app.database().await;
    let kept = totals(&connection).await;
    assert_eq!(kept, counted(&connection).await, "{db:?}");
    let received = connection.query_all_raw(sql(&connection, RECEIVED)).await.expect("rows").len();
    assert!(received > 0);
    app.stop().await;
    // As it was before the tables were there.
    for statement in undone(db) {
        connection.execute_unprepared(statement).await.unwrap_or_else(|e| panic!("{e}: {statement}"));
    }
    let app = TestApp::with(options()).await;
    assert_eq!(kept, totals(&connection).await, "{db:?}");
    assert_eq!(connection.query_all_raw(sql(&connection, RECEIVED)).await.expect("rows").len(), received, "{db:?}");
    assert_eq!(app.notify("{\"nome\": \"x\"}").await.0, 422);
    let rejected = "notifications/REJECTED";
    assert_eq!(totals(&connection).await[rejected], kept[rejected] + 1, "{db:?}");
    connection.close().await.expect("a closed connection");
}

const RECEIVED: &str = "SELECT source, hour, n FROM source_hours ORDER BY source, hour";

fn sql(connection: &DatabaseConnection, sql: &str) -> Statement {
    Statement::from_string(connection.get_database_backend(), sql)
}

async fn totals(connection: &DatabaseConnection) -> BTreeMap<String, i64> {
    pairs(connection, "SELECT name, n FROM totals").await
}

async fn counted(connection: &DatabaseConnection) -> BTreeMap<String, i64> {
    let mut all: BTreeMap<String, i64> =
        NotificationStatus::ALL.iter().map(|status| (format!("notifications/{}", status.as_str()), 0)).collect();
    for count in [
        "SELECT 'notifications/' || status, COUNT(*) FROM notifications GROUP BY status",
        "SELECT 'publications', COUNT(*) FROM publications",
        "SELECT 'revisions', COUNT(*) FROM revisions",
        "SELECT 'files', COUNT(*) FROM files",
        "SELECT 'files/size', CAST(COALESCE(SUM(size), 0) AS bigint) FROM files WHERE removed_at IS NULL",
        "SELECT 'files/stored_size', CAST(COALESCE(SUM(stored_size), 0) AS bigint) FROM files WHERE removed_at IS NULL",
    ] {
        all.extend(pairs(connection, count).await);
    }
    all
}

async fn pairs(connection: &DatabaseConnection, statement: &str) -> BTreeMap<String, i64> {
    let rows = connection.query_all_raw(sql(connection, statement)).await.expect("rows");
    let pair = |row: &sea_orm::QueryResult| {
        (row.try_get_by_index(0).expect("a name"), row.try_get_by_index(1).expect("a number"))
    };
    rows.iter().map(pair).collect()
}

/// Takes a step of the migrations back.
fn undone(db: Db) -> Vec<&'static str> {
    let triggers: &[&str] = match db {
        Db::Sqlite => &[
            "DROP TRIGGER notifications_counted",
            "DROP TRIGGER notifications_recounted",
            "DROP TRIGGER publications_counted",
            "DROP TRIGGER revisions_counted",
            "DROP TRIGGER files_counted",
            "DROP TRIGGER files_recounted",
        ],
        Db::Postgres => &[
            "DROP FUNCTION acervo_count_notifications CASCADE",
            "DROP FUNCTION acervo_recount_notifications CASCADE",
            "DROP FUNCTION acervo_count_rows CASCADE",
            "DROP FUNCTION acervo_count_bytes CASCADE",
            "DROP FUNCTION acervo_recount_bytes CASCADE",
        ],
    };
    let rest = [
        "DROP INDEX notifications_leased",
        "DROP INDEX notifications_retrying",
        "DROP INDEX notifications_expiring",
        "DROP INDEX notifications_awaiting",
        "DROP INDEX notifications_linked",
        "DROP INDEX notifications_bodies",
        "DROP TABLE totals",
        "DROP TABLE source_hours",
        "DELETE FROM seaql_migrations WHERE version = 'm20261125_000006_hot_paths'",
    ];
    triggers.iter().copied().chain(rest).collect()
}

on_each_database!(a_scan_is_detected, 2 threads);
async fn a_scan_is_detected(db: Db) {
    let app = TestApp::on(db).await;
    app.portal.add(product(1, "Produto 1", "a.csv", &b"x"[..]));
    app.archive(1).await;
    let connection = app.database().await;
    let _folder = app.stop().await;
    if db == Db::Postgres {
        fill(&connection).await;
    }
    for (sql, value) in [
        ("SELECT id FROM notifications WHERE list_path = $1", Value::from("x")),
        ("SELECT id FROM notifications WHERE status = $1", Value::from("ARCHIVED")),
        ("UPDATE notifications SET error = NULL WHERE received_at < $1", Value::from(i64::MAX)),
        ("SELECT count(*) FROM revisions WHERE archived_at > $1", Value::from(0i64)),
    ] {
        let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, [value]);
        assert!(!faults(&connection, &statement).await.is_empty(), "{db:?}: {sql}");
    }
}

/// All that the service does on its own, and frequent queries.
async fn days_of_a_service(app: &TestApp) {
    publish_and_publish_again(app).await;
    fail_in_every_way(app).await;
    work_that_recurs(app).await;
}

/// New files, the same again, other contents, and a burst that is a replay.
async fn publish_and_publish_again(app: &TestApp) {
    app.portal.set_validators(Validators::Etag);
    for number in 1..=30 {
        let bytes = match number {
            1 => zip(&[("a.txt", b"a"), ("b.txt", b"b")]),
            _ => format!("conteúdo {number}").into_bytes(),
        };
        let name = if number == 1 { "a.zip" } else { "a.csv" };
        app.portal.add(product(number, &format!("Produto {number}"), name, bytes));
    }
    assert_eq!(app.portal.enviar_tudo().await.delivered, 30);
    app.settled(30).await;
    assert_eq!(app.portal.enviar_tudo().await.delivered, 30);
    app.settled(60).await;
    for number in 1..=10 {
        app.portal.change(number, |product| replace(product, format!("outro {number}").into_bytes()));
        assert_eq!(app.portal.enviar(number).await.expect("a product").status, Some(202));
    }
    app.settled(70).await;
}

/// Failures of each kind, the last of which outlives its link.
async fn fail_in_every_way(app: &TestApp) {
    for faults in [
        Faults { status: Some(500), times: Some(1), ..Faults::default() },
        Faults { expired: true, times: Some(1), ..Faults::default() },
        Faults { html: true, times: Some(2), ..Faults::default() },
    ] {
        app.portal.set_faults(faults);
        assert_eq!(app.portal.enviar(20).await.expect("a product").status, Some(202));
        app.until("{ status { queued } }", |data| data["status"]["queued"] == 0).await;
    }
    app.portal.set_faults(Faults { status: Some(503), ..Faults::default() });
    app.portal.add(product(31, "Produto 31", "a.csv", &b"x"[..]));
    for number in [21, 31] {
        assert_eq!(app.portal.enviar(number).await.expect("a product").status, Some(202));
    }
    app.until("{ status { retrying } }", |data| data["status"]["retrying"].as_u64() >= Some(1)).await;
    for filter in [r#"{}"#, r#"{ status: [FAILED, RETRYING], name: { contains: "produto" }, source: ["default"] }"#] {
        app.query(&format!("mutation {{ retryNotifications(filter: {filter}) {{ matched queued dead }} }}")).await;
    }
    app.until("{ status { retrying } }", |data| data["status"]["retrying"].as_u64() >= Some(1)).await;
    app.app.clock.advance(Duration::from_secs(2 * 86_400));
    app.until("{ status { expired retrying } }", |data| {
        data["status"]["expired"].as_u64() >= Some(1) && data["status"]["retrying"] == 0
    })
    .await;
    app.portal.set_faults(Faults::default());
}

/// The event of a replay that has ended.
fn ended(replay: &Replay) -> NewHookEvent {
    let (kind, name) = (acervo::domain::HookEvent::BurstEnded, replay.id.to_string());
    NewHookEvent { kind, at: replay.started_at, name, data: serde_json::json!({}) }
}

/// What is done every so often, or at the start.
async fn work_that_recurs(app: &TestApp) {
    let record = acervo::leaves::record(&app.app);
    let now = app.app.clock.now();
    record.queue().release_all().await.expect("released");
    record.intake().resume().await.expect("resumed");
    record.jobs().end_interrupted(now).await.expect("ended");
    record.links().erase(now).await.expect("erased");
    record.queue().next_event().await.expect("an event");
    record.monitor().expiring_links(now, Duration::from_secs(3600), 5).await.expect("counts");
    record.replays().end(now, ended).await.expect("replays");
    record.feed().head().await.expect("a number");
    record.feed().changes_after(0, 100).await.expect("changes");
    record.queue().retry(&NotificationQuery::default(), now).await.expect("counts");
    let run = jobs::retention::run(&app.app, now, false).await.expect("a run");
    assert!(run.run.removed > 0);
    record.retention().drop_old_bodies(now, 500).await.expect("a number");
    app.query("{ status { indexLag } }").await;
    app.until("{ status { indexLag } }", |data| data["status"]["indexLag"] == 0).await;
}

/// Multiplies the rows, all of them settled long ago.
async fn fill(connection: &DatabaseConnection) {
    let sql = format!(
        "CREATE TEMP TABLE series AS SELECT n, gen_random_uuid() AS p, gen_random_uuid() AS r, gen_random_uuid() AS t,
             sha256(n::text::bytea) AS d FROM generate_series(1, {ROWS}) n;
         CREATE TEMP TABLE a AS SELECT * FROM publications WHERE latest_revision_id IS NOT NULL LIMIT 1;
         CREATE TEMP TABLE b AS SELECT r.* FROM revisions r WHERE purged_at IS NULL LIMIT 1;
         CREATE TEMP TABLE c AS SELECT * FROM notifications WHERE status = 'ARCHIVED' LIMIT 1;
         UPDATE c SET link = NULL, next_attempt_at = NULL, body = ''::bytea, replay_id = NULL;
         INSERT INTO publications SELECT (a).* FROM (
             SELECT jsonb_populate_record(a, jsonb_build_object(
                 'id', p, 'reference_date', n::text, 'latest_revision_id', r)) AS a FROM a, series) AS made;
         INSERT INTO files SELECT d, 10, 10, 'zstd', 0 FROM series;
         INSERT INTO members SELECT d, 0, 'a.txt', 1 FROM series;
         INSERT INTO validators SELECT n::text, 'x', NULL, d FROM series;
         INSERT INTO changes (at, kind, publication_id) SELECT 0, 'ANNOUNCED', p FROM series;
         INSERT INTO revisions SELECT (made.a).* FROM (
             SELECT jsonb_populate_record(b, jsonb_build_object(
                 'id', r, 'publication_id', p, 'digest', d)) AS a FROM b, series) AS made;
         INSERT INTO notifications SELECT (made.a).* FROM (
             SELECT jsonb_populate_record(c, jsonb_build_object(
                 'id', t, 'publication_id', p, 'revision_id', r, 'file_key', n::text,
                 'received_at', c.received_at - 86400000 - n)) AS a FROM c, series) AS made"
    );
    connection.execute_unprepared(&sql).await.expect("many rows");
    // Plans depend on it, and otherwise the server does it at a moment of its own.
    connection.execute_unprepared("VACUUM ANALYZE").await.expect("statistics");
}

/// A statement as it was sent.
fn sent(db: Db, statement: &WatchedStatement) -> Statement {
    let backend = if db == Db::Sqlite { DbBackend::Sqlite } else { DbBackend::Postgres };
    let values = statement.values.iter().map(|value| match value.clone() {
        WatchedValue::Bool(value) => Value::Bool(value),
        WatchedValue::Int(value) => Value::Int(value),
        WatchedValue::BigInt(value) => Value::BigInt(value),
        WatchedValue::Text(value) => Value::String(value),
        WatchedValue::Bytes(value) => Value::Bytes(value),
        WatchedValue::Uuid(value) => Value::Uuid(value),
        WatchedValue::Other(value) => panic!("a value of another type: {value}"),
    });
    Statement::from_sql_and_values(backend, statement.sql.clone(), values.collect::<Vec<_>>())
}

/// What is wrong with how a statement is answered.
async fn faults(connection: &DatabaseConnection, statement: &Statement) -> Vec<String> {
    let word = statement.sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if !["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&word.as_str()) || statement.sql.contains("pg_") {
        return Vec::new();
    }
    match connection.get_database_backend() {
        DbBackend::Sqlite => faults_of_sqlite(connection, statement).await,
        _ => faults_of_postgres(connection, statement, &word).await,
    }
}

async fn faults_of_sqlite(connection: &DatabaseConnection, statement: &Statement) -> Vec<String> {
    let explain = Statement {
        sql: format!("EXPLAIN QUERY PLAN {}", statement.sql),
        values: statement.values.clone(),
        db_backend: DbBackend::Sqlite,
    };
    let rows = connection.query_all_raw(explain).await.unwrap_or_else(|e| panic!("{e}: {}", statement.sql));
    let steps: Vec<String> = rows.iter().map(|row| row.try_get_by_index(3).expect("a step")).collect();
    let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE"));
    let fault = |step: &String| {
        let (kind, rest) = step.split_once(' ')?;
        let name = rest.split(' ').next()?;
        let table = table_of(name, &statement.sql);
        if !["SCAN", "SEARCH"].contains(&kind) || !GROWING.contains(&table) {
            return None;
        }
        // A page that was cut out before.
        if kind == "SCAN" && rest == name && statement.sql.contains("LIMIT ?) AS \"notifications\"") {
            return None;
        }
        let index = rest.split("INDEX ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        let keys = rest.split_once('(').map_or("", |(_, keys)| keys);
        let is_short = match kind {
            "SCAN" => SMALL.contains(&index) || (!sorts && is_a_first_page(&statement.sql)),
            // Of the states only those of the queue have few rows.
            _ if index == "notifications_status" => keys.starts_with("status=?") && names_open_states(statement),
            _ if SMALL.contains(&index) => true,
            // The first key must be given, or a page begin after it. What was received since a replay began is little.
            _ => is_given(keys) || (!sorts && is_a_page(&statement.sql)) || keys == "received_at>?)",
        };
        (!is_short).then(|| step.clone())
    };
    steps.iter().filter_map(fault).collect()
}

/// SQLite names a table by its alias.
fn table_of<'a>(name: &'a str, sql: &str) -> &'a str {
    GROWING
        .iter()
        .find(|table| sql.contains(&format!("{table} {name} ")) || sql.contains(&format!("{table} {name}\n")))
        .unwrap_or(&name)
}

fn is_given(keys: &str) -> bool {
    keys.split(" AND ").next().is_some_and(|first| first.contains("=?") && !first.contains('>') && !first.contains('<'))
}

fn is_a_page(sql: &str) -> bool {
    sql.contains("LIMIT")
}

fn is_a_first_page(sql: &str) -> bool {
    sql.contains("LIMIT") && !sql.contains("WHERE")
}

fn names_open_states(statement: &Statement) -> bool {
    let values = statement.values.iter().flat_map(|values| &values.0);
    let states = values.filter_map(|value| match value {
        Value::String(Some(text)) => text.parse::<NotificationStatus>().ok(),
        _ => None,
    });
    states.into_iter().all(|state| NotificationStatus::OPEN.contains(&state))
}

async fn faults_of_postgres(connection: &DatabaseConnection, statement: &Statement, word: &str) -> Vec<String> {
    let values: Vec<&Value> = statement.values.iter().flat_map(|values| &values.0).collect();
    let types: Vec<&str> = values.iter().map(|value| type_of(value)).collect();
    let literals: Vec<String> = values.iter().map(|value| literal(value)).collect();
    let list = |items: Vec<String>| if items.is_empty() { String::new() } else { format!("({})", items.join(",")) };
    let types = list(types.into_iter().map(str::to_owned).collect());
    // What is there already cannot be added again.
    let options = if word == "INSERT" { "FORMAT JSON" } else { "ANALYZE, FORMAT JSON" };
    let mut found = Vec::new();
    // Prepared statements are planned for their values, or, once they were used a few times, for any.
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let txn = connection.begin().await.expect("a transaction");
        let prepare = format!("SET LOCAL plan_cache_mode = {mode}; PREPARE s{types} AS {}", statement.sql);
        txn.execute_unprepared(&prepare).await.unwrap_or_else(|e| panic!("{e}: {}", statement.sql));
        let explain = format!("EXPLAIN ({options}) EXECUTE s{}", list(literals.clone()));
        let row = txn.query_one_raw(Statement::from_string(DbBackend::Postgres, explain)).await;
        let row = row.unwrap_or_else(|e| panic!("{e}: {}", statement.sql)).expect("a plan");
        let plan: Json = row.try_get_by_index(0).expect("JSON");
        walk(&plan[0]["Plan"], &mut found);
        txn.execute_unprepared("DEALLOCATE s").await.expect("no statement");
        txn.rollback().await.expect("a transaction");
    }
    found.dedup();
    found
}

fn walk(node: &Json, found: &mut Vec<String>) {
    let (kind, table) = (node["Node Type"].as_str().unwrap_or_default(), node["Relation Name"].as_str());
    let number = |key: &str| node[key].as_f64().unwrap_or_default();
    if let Some(table) = table.filter(|table| GROWING.contains(table)) {
        let each = number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
        let rows = each * number("Actual Loops");
        let is_page = node["Index Cond"].is_null() && rows <= 1.0;
        if (kind == "Seq Scan" && !is_page) || rows > LOOKED_AT_MAX {
            found.push(format!("{kind} of {table}, {rows} rows, {}", node["Index Name"]));
        }
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        walk(child, found);
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Int(_) => "integer",
        Value::BigInt(_) => "bigint",
        Value::Bytes(_) => "bytea",
        Value::Uuid(_) => "uuid",
        Value::String(_) => "text",
        other => panic!("a value of another type: {other:?}"),
    }
}

fn literal(value: &Value) -> String {
    let select = Query::select().expr(Expr::value(value.clone())).to_string(PostgresQueryBuilder);
    select.trim_start_matches("SELECT ").to_owned()
}
