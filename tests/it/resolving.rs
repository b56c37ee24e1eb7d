use acervo::leaves;
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::harness::database::{address, connect};
use crate::harness::links::FileServer;
use crate::harness::notice::{NOWHERE, Notice};
use crate::harness::process::{Served, acervo, free_port};
use crate::harness::{Db, Options, TestApp, on_each_database, postgres, sha256, until};

/// How many a process records and does not resolve.
const MANY: usize = 300;

const STATUS: &str = "{ status { unresolved unresolvedSince publications queued } }";

const UNRESOLVED: &str = "{ notifications(first: 1000) { totalCount nodes { status publication { id } } } }";

fn notice(number: usize) -> String {
    Notice::new(format!("Produto {number}")).link(format!("{NOWHERE}/{number}")).to_string()
}

on_each_database!(what_is_recorded_is_listed_before_it_is_resolved_and_after_kills, 2 threads);
/// A process records notifications and resolves none; the next one is killed in the middle of resolving them, twice.
async fn what_is_recorded_is_listed_before_it_is_resolved_and_after_kills(db: Db) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = postgres::database(db);
    let command = |faults: &str| {
        let mut command = acervo(folder.path());
        command.envs(url.iter().map(|url| ("ACERVO_DATABASE_URL", url))).env("FAILPOINTS", faults);
        command
    };
    let log = folder.path().join("log.txt");
    let mut served = Served::spawn(command("resolve-begins=pause"), log.clone(), free_port(), "warn");
    for number in 0..MANY {
        assert_eq!(served.notify(&notice(number)).await.0, 202, "{db:?}");
    }
    let all = served.query(UNRESOLVED).await;
    assert_eq!(all["notifications"]["totalCount"], MANY, "{db:?}");
    let nodes = all["notifications"]["nodes"].as_array().expect("a list");
    assert!(nodes.iter().all(|node| *node == json!({ "status": "QUEUED", "publication": null })), "{db:?}");
    let status = served.query(STATUS).await["status"].clone();
    assert_eq!((&status["unresolved"], &status["publications"]), (&json!(MANY), &json!(0)), "{db:?}");
    assert!(status["unresolvedSince"].is_string(), "{db:?}: {status}");
    let readiness: serde_json::Value = served.get("/readyz").await.json().await.expect("JSON");
    let (ready, unresolved, broken) = (&readiness["ready"], &readiness["unresolved"], &readiness["broken"]);
    assert_eq!((ready, unresolved, broken), (&json!(true), &json!(MANY), &json!(0)), "{db:?}");
    served.kill();
    let connection = connect(&address(url.as_deref(), folder.path())).await;
    for _ in 0..2 {
        let mut child = command("resolve-before-commit=pause").arg("serve").env("ACERVO_LISTEN", "127.0.0.1:0").spawn();
        until("a writer in the middle of resolving", async || is_locked(&connection, db).await.then_some(())).await;
        let child = child.as_mut().expect("a process");
        child.kill().expect("a killed process");
        child.wait().expect("an ended process");
    }
    let served = Served::spawn(command(""), log, free_port(), "warn");
    let status = served.until(STATUS, |data| data["status"]["unresolved"] == 0).await;
    assert_eq!(status["status"]["publications"], MANY, "{db:?}");
    let all = served.query("{ notifications(first: 1000) { nodes { publication { product { name } } } } }").await;
    let nodes = all["notifications"]["nodes"].as_array().expect("a list");
    assert!(nodes.iter().all(|node| node["publication"]["product"]["name"].is_string()), "{db:?}");
}

on_each_database!(notifications_over_four_connections_give_the_revisions_that_their_times_say, 2 threads);
/// Four senders announce the files of three publications in no order, while files are fetched and archived.
async fn notifications_over_four_connections_give_the_revisions_that_their_times_say(db: Db) {
    const PUBLICATIONS: usize = 3;
    const EACH: usize = 12;
    let app = TestApp::on(db).await;
    let links = FileServer::start().await;
    let base = jiff::Timestamp::now().as_second() - 1000;
    let content = |publication: usize, n: usize| format!("{db:?} {publication} {n}").into_bytes();
    let mut bodies: Vec<String> = Vec::new();
    for n in 0..EACH {
        for publication in 0..PUBLICATIONS {
            let path = format!("/sites/1/Produtos/{publication}/{n}.txt");
            links.offer(&path, &content(publication, n), None);
            let claims = json!({ "URL": path, "IsFile": "True" });
            let link = links.link_at(&claims, base + n as i64, base + 86_640);
            bodies.push(Notice::new(format!("Deck {publication}")).link(link).to_string());
        }
    }
    // Each sender has its own order.
    let senders = (0..4).map(|sender| {
        let mut own: Vec<&String> = bodies.iter().skip(sender).step_by(4).collect();
        own.rotate_left(sender * 2);
        let app = &app;
        async move {
            for body in own {
                assert_eq!(app.notify(body).await.0, 202);
            }
        }
    });
    futures_util::future::join_all(senders).await;
    app.settled((PUBLICATIONS * EACH) as u64).await;
    for publication in 0..PUBLICATIONS {
        let query = "query($n: String!) { publications(filter: { name: { eq: $n } }) {
            nodes { sha256 revisions { number sha256 announcedAt archivedAt supersededAt } } } }";
        let found = app.query_with(query, json!({ "n": format!("Deck {publication}") })).await;
        let nodes = found["publications"]["nodes"].as_array().expect("a list");
        assert_eq!(nodes.len(), 1, "{db:?}: {found}");
        let revisions = nodes[0]["revisions"].as_array().expect("a list");
        // Every file once, numbered as it was archived, each announced when its link says.
        let mut announced: Vec<&str> =
            revisions.iter().map(|revision| revision["announcedAt"].as_str().expect("an instant")).collect();
        for (i, revision) in revisions.iter().enumerate() {
            assert_eq!(revision["number"], i + 1, "{db:?}: {found}");
            let n = (0..EACH).find(|n| revision["sha256"] == sha256(&content(publication, *n)));
            let sent = jiff::Timestamp::from_second(base + n.expect("a known file") as i64).expect("an instant");
            assert_eq!(announced[i].parse().ok(), Some(sent), "{db:?}: {found}");
            // It was the latest until one that was announced later had come.
            let later =
                revisions.iter().filter(|other| other["announcedAt"].as_str() > revision["announcedAt"].as_str());
            let first = later.map(|other| other["archivedAt"].as_str().max(revision["archivedAt"].as_str())).min();
            assert_eq!(revision["supersededAt"].as_str(), first.flatten(), "{db:?}: {found}");
        }
        announced.sort_unstable();
        announced.dedup();
        assert_eq!(announced.len(), EACH, "{db:?}: {found}");
        let last = sha256(&content(publication, EACH - 1));
        assert_eq!(nodes[0]["sha256"], last, "{db:?}: {found}");
    }
}

/// Whether another connection is in the middle of a transaction that writes.
async fn is_locked(connection: &sea_orm::DatabaseConnection, db: Db) -> bool {
    let statement = match db {
        Db::Sqlite => {
            let begun = connection.execute_unprepared("PRAGMA busy_timeout = 0; BEGIN IMMEDIATE; ROLLBACK").await;
            return begun.is_err();
        }
        Db::Postgres => "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted",
    };
    let row = connection.query_one_raw(sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, statement)).await;
    row.expect("a count").expect("a row").try_get_by_index::<i64>(0).expect("a number") > 0
}

on_each_database!(one_that_cannot_be_resolved_is_set_aside_and_resolved_once_its_rows_are_mended);
async fn one_that_cannot_be_resolved_is_set_aside_and_resolved_once_its_rows_are_mended(db: Db) {
    let app = TestApp::with(Options { without_jobs: true, database_url: postgres::database(db), ..Options::default() });
    let app = app.await;
    let links = FileServer::start().await;
    let notify = async |name: &str| {
        let link = links.link(&json!({ "URL": format!("/sites/1/Produtos/{name}/a.txt"), "IsFile": "True" }));
        let body = Notice::new(name).link(link).to_string();
        assert_eq!(app.notify(&body).await.0, 202);
    };
    notify("quebrado").await;
    leaves::record(&app.app).intake().caught_up().await;
    execute(&app, "UPDATE products SET publication_count = 2147483647").await;
    for (name, reference) in [("quebrado", "01/02/2025"), ("inteiro", "01/02/2025")] {
        let body = Notice::new(name).reference(reference).link(links.link(&json!({
            "URL": format!("/sites/1/Produtos/{name}/a.txt"), "IsFile": "True"
        })));
        assert_eq!(app.notify(&body.to_string()).await.0, 202, "{db:?}");
    }
    let query = "{ notifications { nodes { name status error publication { referenceDate } } } status { unresolved } }";
    let data = app.query(query).await;
    let node = |data: &serde_json::Value, name: &str| {
        let nodes = data["notifications"]["nodes"].as_array().expect("a list").clone();
        nodes.into_iter().find(|node| node["name"] == name).expect("a notification")
    };
    assert_eq!(node(&data, "inteiro")["publication"]["referenceDate"], "01/02/2025", "{db:?}: {data}");
    let broken = node(&data, "quebrado");
    assert!(
        broken["error"].as_str().is_some_and(|error| error.contains("2147483647 publications")),
        "{db:?}: {broken}"
    );
    assert_eq!((&broken["publication"], &data["status"]["unresolved"]), (&json!(null), &json!(1)), "{db:?}");
    execute(&app, "UPDATE products SET publication_count = 1").await;
    leaves::record(&app.app).intake().resume().await.expect("resumed");
    let has_publication = |data: &serde_json::Value| !node(data, "quebrado")["publication"].is_null();
    let mended = node(&app.until(query, has_publication).await, "quebrado");
    assert_eq!(mended["publication"]["referenceDate"], "01/02/2025", "{db:?}: {mended}");
    assert!(mended["error"].is_null(), "{db:?}: {mended}");
}

async fn execute(app: &TestApp, sql: &str) {
    let connection = app.database().await;
    connection.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{e}: {sql}"));
    connection.close().await.expect("a closed connection");
}
