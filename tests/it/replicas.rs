//! PostgreSQL: how a replica, or the server, can affect the others.
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement, TransactionTrait};

use crate::harness::cluster::Server;
use crate::harness::notice::Notice;
use crate::harness::process::{Served, acervo, free_port};
use crate::harness::{Db, Options, PATIENCE, TOKEN, TestApp, on_each_database, postgres, until};

/// A body that needs no file.
const BODY: &str = "{\"nome\": \"x\"}";

/// The key of the lock under which writers take turns.
const WRITER_LOCK: i64 = 0x6163_6572_766f;

fn body(i: usize) -> String {
    Notice::new(format!("Produto {i}")).to_string()
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

async fn count(connection: &DatabaseConnection, sql: &str) -> i64 {
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.expect("a response");
    row.expect("a row").try_get_by_index(0).expect("a number")
}

async fn until_one(connection: &DatabaseConnection, sql: &str) {
    until(sql, async || (count(connection, sql).await > 0).then_some(())).await;
}

async fn on(url: String) -> TestApp {
    TestApp::with(Options { database_url: Some(url), without_jobs: true, ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_replica_frozen_in_the_middle_of_a_commit_does_not_stop_the_others() {
    let url = postgres::new_database();
    let healthy = on(url.clone()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = acervo(folder.path());
    command
        // The server ends idle transactions sooner than usual.
        .env("ACERVO_DATABASE_URL", format!("{url}?options[idle_in_transaction_session_timeout]=1000"))
        .env("FAILPOINTS", "intake-before-commit=pause");
    let log = folder.path().join("log.txt");
    let frozen = tokio::task::block_in_place(|| Served::spawn(command, log, free_port(), "info"));
    let hangs = healthy.client.post(format!("{}/webhook", frozen.url)).header("authorization", TOKEN).body(BODY);
    let hangs = tokio::spawn(hangs.send());
    let admin = Database::connect(&url).await.expect("the database");
    until_one(&admin, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted").await;
    let (status, answer) = within("another replica's notification", healthy.notify(BODY)).await;
    assert_eq!(status, 422, "{answer}");
    hangs.abort();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_lock_that_is_never_released_is_answered_503() {
    let url = postgres::new_database();
    let app = on(format!("{url}?options[lock_timeout]=500")).await;
    let other = Database::connect(&url).await.expect("the database");
    let txn = other.begin().await.expect("a transaction");
    txn.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({WRITER_LOCK})")).await.expect("the lock");
    let bodies: Vec<String> = (0..20).map(body).collect();
    let posts = futures_util::future::join_all(bodies.iter().map(|body| app.notify(body)));
    for (status, answer) in within("answers while the lock is held", posts).await {
        assert_eq!(status, 503, "{answer}");
    }
    assert_eq!(within("readiness", app.get("/readyz")).await.status(), 503);
    txn.rollback().await.expect("a transaction");
    let (status, answer) = within("an answer after that", app.notify(&body(1))).await;
    assert_eq!(status, 202, "{answer}");
    until("ready again", async || (app.get("/readyz").await.status() == 200).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn without_a_database_server_all_are_answered_together() {
    let server = tokio::task::block_in_place(|| Server::start(false));
    let app = on(server.address("postgres")).await;
    assert_eq!(app.notify(&body(0)).await.0, 202);
    assert_eq!(app.get("/readyz").await.status(), 200);
    drop(server);
    let readiness = async || within("readiness", app.get("/readyz")).await.status();
    until("not ready", async || (readiness().await == 503).then_some(())).await;
    // One after the other they would take several times as long as a test may.
    let bodies: Vec<String> = (0..40).map(body).collect();
    let posts = futures_util::future::join_all(bodies.iter().map(|body| app.notify(body)));
    for (status, answer) in within("answers without a server", posts).await {
        assert_eq!(status, 503, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_commit_of_unknown_outcome_is_not_answered_202() {
    let url = postgres::new_database();
    let app = on(url.clone()).await;
    let admin = Database::connect(&url).await.expect("the database");
    // A check at the end of the transaction takes long, and the session is ended during it.
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON notifications DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION slow()";
    admin.execute_unprepared(slow).await.expect("a trigger");
    let end = async {
        let committing =
            "FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query = 'COMMIT'";
        until_one(&admin, &format!("SELECT count(*) {committing}")).await;
        admin.execute_unprepared(&format!("SELECT pg_terminate_backend(pid) {committing}")).await.expect("an end");
    };
    let posted = body(1);
    let (answer, ()) = within("an answer", async { tokio::join!(app.notify(&posted), end) }).await;
    assert_eq!(answer.0, 503, "{}", answer.1);
    admin.execute_unprepared("DROP TRIGGER slow ON notifications").await.expect("no trigger");
    assert_eq!(within("the next", app.notify(&posted)).await.0, 202);
}

on_each_database!(a_notification_the_database_refuses_affects_no_other, 2 threads);
async fn a_notification_the_database_refuses_affects_no_other(db: Db) {
    let options = Options { database_url: postgres::database(db), without_jobs: true, ..Options::default() };
    let app = TestApp::with(options).await;
    let admin = app.database().await;
    // Refused as a violated constraint.
    let refuse = match db {
        Db::Sqlite => "CREATE UNIQUE INDEX odd ON notifications (name) WHERE name LIKE 'Produto 7%'",
        Db::Postgres => "ALTER TABLE notifications ADD CONSTRAINT odd CHECK (name IS DISTINCT FROM 'Produto 7')",
    };
    admin.execute_unprepared(refuse).await.expect("a constraint");
    if db == Db::Sqlite {
        assert_eq!(app.notify(&body(7)).await.0, 202);
    }
    let bodies: Vec<String> = (0..20).map(body).collect();
    let posts = futures_util::future::join_all(bodies.iter().map(|body| app.notify(body)));
    let refused: Vec<usize> = within("answers", posts)
        .await
        .iter()
        .enumerate()
        .filter(|(_, (status, _))| *status != 202)
        .map(|(i, (status, _))| {
            assert_eq!(*status, 503);
            i
        })
        .collect();
    assert_eq!(refused, [7], "{db:?}");
    assert_eq!(app.get("/readyz").await.status(), 200, "{db:?}");
}
