//! PostgreSQL: how a replica, or the server, can affect the others.
use std::path::Path;
use std::sync::OnceLock;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement, TransactionTrait};
use serde_json::json;

use crate::harness::cluster::Server;
use crate::harness::links::FileServer;
use crate::harness::notice::Notice;
use crate::harness::process::{Served, acervo, free_port};
use crate::harness::{Db, Options, PATIENCE, TOKEN, TestApp, files_in, on_each_database, postgres, sha256, until};

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

const REPLICAS: &str = "{ status { feed indexLag replicas { name version feed lag gone leads } } }";

/// A replica in a process of its own, which counts as gone after some seconds.
fn replica(folder: &std::path::Path, url: &str, name: &str, faults: &str) -> Served {
    let mut command = acervo(folder);
    command
        .env("ACERVO_DATA_DIR", folder.join(name))
        .env("ACERVO_ARCHIVE_URL", format!("file://{}", folder.join("archive").display()))
        .env("ACERVO_DATABASE_URL", url)
        .env("ACERVO_REPLICA_NAME", name)
        .env("FAILPOINTS", format!("replica-lasts=return(3000){faults}"));
    let log = folder.join(format!("{name}.log"));
    tokio::task::block_in_place(|| Served::spawn(command, log, free_port(), "info"))
}

/// Waits until a replica lists these, each gone or not, and one that is there as the one that leads; gives its name. Nothing is said of
/// which one that is: on a busy machine any of them may be silent for too long.
async fn until_listed(served: &Served, expected: &[(&str, bool)]) -> String {
    let expected: Vec<_> = expected.iter().map(|(name, gone)| json!([name, gone])).collect();
    let rows = |data: &serde_json::Value| data["status"]["replicas"].as_array().expect("a list").clone();
    let leaders = |data: &serde_json::Value| {
        let leading = rows(data).into_iter().filter(|row| row["leads"] == true && row["gone"] == false);
        leading.map(|row| row["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    let is_expected = |data: &serde_json::Value| {
        let known: Vec<_> = rows(data).iter().map(|row| json!([row["name"], row["gone"]])).collect();
        known == expected && leaders(data).len() == 1
    };
    leaders(&served.until(REPLICAS, is_expected).await).remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn replicas_know_each_other_and_one_leads() {
    let url = postgres::new_database();
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = replica(folder.path(), &url, "a", "");
    assert_eq!(until_listed(&first, &[("a", false)]).await, "a");
    let mut second = replica(folder.path(), &url, "b", "");
    until_listed(&second, &[("a", false), ("b", false)]).await;
    // Their indexes follow the same feed.
    assert_eq!(first.notify(&body(1)).await.0, 202);
    let caught_up = |data: &serde_json::Value| {
        let feed = data["status"]["feed"].as_i64().expect("a number");
        let rows = data["status"]["replicas"].as_array().expect("a list");
        feed > 0 && rows.iter().all(|row| row["feed"] == feed && row["lag"] == 0)
    };
    first.until(REPLICAS, caught_up).await;
    let ready: serde_json::Value = second.get("/readyz").await.json().await.expect("JSON");
    let names: Vec<_> = ready["replicas"].as_array().expect("a list").iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["a", "b"], "{ready}");
    // The fetch that fails is another change, which they have not at once either.
    until("no lag", async || {
        let ready: serde_json::Value = second.get("/readyz").await.json().await.ok()?;
        (ready["replicas"][1]["lag"] == 0).then_some(())
    })
    .await;
    let lines = ["index_lag{replica=\"a\"} 0", "leads{replica=\"a\"}", "gone{replica=\"b\"}", "leads{replica=\"b\"}"];
    until("the metrics of both", async || {
        let metrics = second.get("/metrics").await.text().await.ok()?;
        lines.iter().all(|line| metrics.contains(&format!("acervo_replica_{line}"))).then_some(())
    })
    .await;
    // One that is killed is shown as gone, and the other one leads.
    first.kill();
    assert_eq!(until_listed(&second, &[("a", true), ("b", false)]).await, "b");
    let printed = tokio::task::block_in_place(|| {
        let mut status = acervo(folder.path());
        status.env("ACERVO_DATABASE_URL", &url).env("FAILPOINTS", "replica-lasts=return(3000)");
        status.arg("status").output().expect("a binary that starts")
    });
    let printed = String::from_utf8(printed.stdout).expect("text");
    let is_shown = |line: &str| line.starts_with("replica a") && line.contains("NOT HEARD OF since");
    assert!(printed.lines().any(is_shown), "{printed}");
    // Started again it is there once, and one that is stopped in order is not listed.
    let first = replica(folder.path(), &url, "a", "");
    until_listed(&first, &[("a", false), ("b", false)]).await;
    assert_eq!(second.terminate(), Some(0));
    assert_eq!(until_listed(&first, &[("a", false)]).await, "a");
}

on_each_database!(a_service_is_its_own_only_replica, 2 threads);
async fn a_service_is_its_own_only_replica(db: Db) {
    let values = vec![("replica_name", "sozinho".to_owned())];
    let app = TestApp::with(Options { database_url: postgres::database(db), values, ..Options::default() }).await;
    let own = json!({ "name": "sozinho", "version": env!("CARGO_PKG_VERSION"), "feed": 0, "lag": 0, "gone": false, "leads": true });
    app.until(REPLICAS, |data| data["status"]["replicas"] == json!([own])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_replica_is_told_of_the_commits_of_others() {
    let url = postgres::new_database();
    let folder = tempfile::tempdir().expect("a folder");
    let first = replica(folder.path(), &url, "a", "");
    // Its index would follow within an hour.
    let second = replica(folder.path(), &url, "b", ";follow-checks-every=return(3600000)");
    let admin = Database::connect(&url).await.expect("the database");
    let listening = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'";
    let listeners = format!("SELECT count(DISTINCT pid) / 2 {listening}");
    until_one(&admin, &listeners).await;
    let found = async |n: usize| {
        let query = format!("{{ publications(search: \"Produto {n}\") {{ totalCount }} }}");
        second.until(&query, |data| data["publications"]["totalCount"] == 1).await;
    };
    assert_eq!(first.notify(&body(1)).await.0, 202);
    found(1).await;
    // Without its connection it misses what it was told of, and finds that when it listens again.
    admin.execute_unprepared(&format!("SELECT pg_terminate_backend(pid) {listening}")).await.expect("no listeners");
    assert_eq!(first.notify(&body(2)).await.0, 202);
    found(2).await;
    until_one(&admin, &listeners).await;
    assert_eq!(first.notify(&body(3)).await.0, 202);
    found(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_scheduled_job_of_a_replica_that_died_is_run_by_another() {
    let url = postgres::new_database();
    drop(on(url.clone()).await);
    let admin = Database::connect(&url).await.expect("the database");
    // The schedule is known for two days, so its last slot is due.
    let since = acervo::domain::millis(jiff::Timestamp::now()) - 2 * 24 * 3_600_000;
    let known = format!("INSERT INTO state (key, value) VALUES ('scheduled:verify', '{since} 20 3 * * *')");
    admin.execute_unprepared(&known).await.expect("a schedule");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("acervo.toml"), "[retention]\njitter = \"0s\"\n").expect("a file");
    let mut first = replica(folder.path(), &url, "a", ";lock-lasts=return(2000);verify-after-end=pause");
    let runs = "FROM job_runs WHERE name = 'verify'";
    until_one(&admin, &format!("SELECT count(*) {runs} AND ended_at IS NULL")).await;
    let slot = count(&admin, &format!("SELECT slot {runs}")).await;
    let second = replica(folder.path(), &url, "b", "");
    first.kill();
    until_one(&admin, &format!("SELECT count(*) {runs} AND outcome = 'succeeded'")).await;
    assert_eq!(count(&admin, &format!("SELECT slot {runs}")).await, slot);
    assert_eq!(count(&admin, &format!("SELECT count(*) {runs}")).await, 1);
    assert!(second.logged().contains("a replica is gone in the middle of a scheduled job"), "{}", second.logged());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn what_another_machine_is_storing_is_neither_reported_nor_deleted() {
    let url = postgres::new_database();
    let folder = tempfile::tempdir().expect("a folder");
    let links = FileServer::start().await;
    let path = "/sites/9/1/Produtos/1/a.txt";
    links.offer_as(path, b"o arquivo", "text/plain");
    // It stores the file and does not come to record it.
    let first = replica(folder.path(), &url, "a", ";fetch-before-record=pause");
    let link = links.link(&json!({ "URL": path, "IsFile": "True" }));
    assert_eq!(first.notify(&Notice::new("Produto").link(link).to_string()).await.0, 202);
    let object = folder.path().join("archive");
    let stored = || {
        files_in(&object).into_iter().filter(|path| path.display().to_string().contains(&sha256(b"o arquivo"))).count()
    };
    until("a stored file", async || (stored() == 1).then_some(())).await;
    // Another machine starts, which removes what is left over, and verifies.
    let second = replica(folder.path(), &url, "b", "");
    // The first one may count as gone: on a machine with one processor nothing of it runs any more.
    let knows_both = |data: &serde_json::Value| data["status"]["replicas"].as_array().expect("a list").len() == 2;
    second.until(REPLICAS, knows_both).await;
    let verify = || {
        let mut command = acervo(folder.path());
        command
            .env("ACERVO_DATA_DIR", folder.path().join("b"))
            .env("ACERVO_ARCHIVE_URL", format!("file://{}", object.display()))
            .env("ACERVO_DATABASE_URL", &url)
            .env("ACERVO_REPLICA_NAME", "b")
            .env("FAILPOINTS", "verify-second-look=return(0)");
        let output = tokio::task::block_in_place(|| command.arg("verify").output().expect("a binary that starts"));
        assert!(output.status.success(), "{output:?}");
    };
    verify();
    assert_eq!(stored(), 1);
}

/// An authority, and a certificate of it for 127.0.0.1 alone.
fn make_certificates(folder: &Path) {
    let line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt \
            -days 2 -subj /CN=Autoridade 2>&1 && \
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr \
            -subj /CN=servidor 2>&1 && \
        echo subjectAltName=IP:127.0.0.1 > names && \
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names \
            -out server.crt 2>&1 && chmod 600 server.key";
    let made = std::process::Command::new("sh").args(["-c", line]).current_dir(folder).output().expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn the_certificate_of_the_server_is_verified_as_the_url_says() {
    let authority = OnceLock::new();
    let server = tokio::task::block_in_place(|| {
        Server::start_with(false, |folder| {
            make_certificates(folder);
            authority.get_or_init(|| folder.join("ca.crt").display().to_string());
            let file = |name: &str| folder.join(name).display().to_string();
            format!(" -c ssl=on -c ssl_cert_file={} -c ssl_key_file={}", file("server.crt"), file("server.key"))
        })
    });
    let plain = server.address("postgres");
    let authority = authority.get().expect("an authority");
    let address = |name: &str, options: &str| format!("{}?{options}", plain.replace("127.0.0.1", name));
    let folder = tempfile::tempdir().expect("a folder");
    for (url, is_accepted) in [
        (address("127.0.0.1", "sslmode=verify-full"), false),
        (address("127.0.0.1", "sslmode=verify-ca"), false),
        (address("localhost", &format!("sslmode=verify-full&sslrootcert={authority}")), false),
        (address("localhost", &format!("sslmode=verify-ca&sslrootcert={authority}")), true),
        (address("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={authority}")), true),
    ] {
        let mut command = acervo(folder.path());
        command.env("ACERVO_DATABASE_URL", &url);
        if is_accepted {
            let log = folder.path().join("log.txt");
            let served = tokio::task::block_in_place(|| Served::spawn(command, log, free_port(), "info"));
            assert_eq!(served.notify(&body(1)).await.0, 202, "{url}");
            let admin = Database::connect(&plain).await.expect("the database");
            let of_service =
                "FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'acervo %'";
            assert!(count(&admin, &format!("SELECT count(*) {of_service} AND ssl")).await > 0, "{url}");
            assert_eq!(count(&admin, &format!("SELECT count(*) {of_service} AND NOT ssl")).await, 0, "{url}");
        } else {
            let output = tokio::task::block_in_place(|| command.arg("serve").output().expect("a binary that starts"));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains("certificate"), "{url}: {said}");
        }
    }
}
