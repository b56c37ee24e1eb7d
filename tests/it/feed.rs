//! `Acervo-Feed`: the number that an answer shows, and requests that require one, also on another replica.
use reqwest::Response;
use serde_json::{Value, json};

use acervo::jobs::Jobs;

use crate::harness::notice::Notice;
use crate::harness::samples::product;
use crate::harness::{Db, KEY, Options, TOKEN, TestApp, on_each_database, postgres};

const LIST: &str = "{ publications(search: \"acomph\") { nodes { id status } } }";

/// A second service on the same database and archive, with an index of its own. It has no jobs yet, so its index stays as it is.
async fn replica_of(app: &TestApp) -> TestApp {
    let archive = format!("file://{}", app.folder.path().join("data/archive").display());
    let database_url = Some(app.database_address());
    let values = vec![("archive_url", archive)];
    TestApp::with(Options { database_url, values, without_jobs: true, ..Options::default() }).await
}

fn feed(response: &Response) -> String {
    let value = response.headers().get("acervo-feed").unwrap_or_else(|| panic!("no number: {response:?}"));
    value.to_str().expect("text").to_owned()
}

fn number(response: &Response) -> i64 {
    feed(response).parse().expect("a number")
}

async fn post(app: &TestApp, query: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = app.client.post(format!("{}/graphql", app.url)).bearer_auth(KEY).json(&json!({ "query": query }));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("a response")
}

async fn notify(app: &TestApp, body: String) -> Response {
    let request = app.client.post(format!("{}/webhook", app.url)).header("authorization", TOKEN);
    request.header("content-type", "application/json").body(body).send().await.expect("a response")
}

async fn head_of_feed(app: &TestApp) -> i64 {
    acervo::leaves::record(&app.app).feed().head().await.expect("a number")
}

on_each_database!(answers_say_which_number_of_the_feed_they_show, 2 threads);
async fn answers_say_which_number_of_the_feed_they_show(db: Db) {
    let app = TestApp::on(db).await;
    assert_eq!(number(&post(&app, LIST, &[]).await), 0, "an empty archive");
    app.portal.add(product(1, "Acomph", "a.txt", "arquivo"));
    let archived = app.archive(1).await;
    let head = head_of_feed(&app).await;
    // Read from the rows, and then from memory.
    for _ in 0..3 {
        let response = post(&app, LIST, &[]).await;
        assert_eq!(number(&response), head);
        let found: Value = response.json().await.expect("JSON");
        assert_eq!(found["data"]["publications"]["nodes"][0]["status"], "ARCHIVED", "{found}");
    }
    for path in ["publications.csv", "revisions.ndjson", "publications.parquet", "notifications.csv", "files.zip"] {
        assert_eq!(number(&app.get(&format!("/export/{path}")).await), head, "{path}");
    }
    // A change has a number, and the next answer shows it.
    let id = archived["revision"]["id"].as_str().expect("an id");
    let hold = format!("mutation {{ holdRevision(id: \"{id}\", reason: \"auditoria\") {{ id }} }}");
    let changed = post(&app, &hold, &[]).await;
    let after = feed(&changed);
    assert!(number(&changed) > head, "{after}");
    assert_eq!(number(&changed), head_of_feed(&app).await);
    assert!(number(&post(&app, LIST, &[("acervo-feed", after.as_str())]).await) > head);
}

on_each_database!(what_was_answered_202_is_found_by_its_id, 2 threads);
async fn what_was_answered_202_is_found_by_its_id(db: Db) {
    let app = TestApp::on(db).await;
    for n in 0..20 {
        let response = notify(&app, Notice::new(format!("Acomph {n}")).to_string()).await;
        assert_eq!(response.status(), 202);
        let token = feed(&response);
        let answer: Value = response.json().await.expect("JSON");
        assert_eq!(answer["id"], token, "the same id");
        let found = post(
            &app,
            &format!("{{ publications(search: \"acomph {n}\") {{ totalCount }} }}"),
            &[("acervo-feed", &token)],
        )
        .await;
        assert_eq!(found.status(), 200);
        let found: Value = found.json().await.expect("JSON");
        assert_eq!(found["data"]["publications"]["totalCount"], 1, "{found}");
    }
    app.leaves_work_unsettled("the links lead nowhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_replica_never_answers_with_less_than_it_is_asked_for() {
    let first = TestApp::with(Options { database_url: Some(postgres::new_database()), ..Options::default() }).await;
    let second = replica_of(&first).await;
    first.portal.add(product(1, "Acomph", "a.txt", "arquivo"));
    let export = "/export/publications.csv";
    let before = second.get(export).await;
    assert_eq!(number(&before), 0);
    first.archive(1).await;
    let shown = feed(&post(&first, LIST, &[]).await);
    let required = [("acervo-feed", shown.as_str()), ("prefer", "wait=0")];
    for response in [post(&second, LIST, &required).await, second.get_with(export, &required).await] {
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("retry-after"));
        let problem: Value = response.json().await.expect("JSON");
        let detail = problem["detail"].as_str().expect("a text");
        assert!(detail.contains(&format!("up to 0, not yet {shown}")), "{detail}");
    }
    // Without the header it answers as it is, and says so.
    assert_eq!(number(&post(&second, LIST, &[]).await), 0);
    // These wait; the first of them perhaps longer than the index takes.
    let waiting = [("acervo-feed", shown.as_str()), ("prefer", "respond-async, wait=60")];
    let asked = async { tokio::join!(post(&second, LIST, &waiting), second.get_with(export, &waiting)) };
    let started = Jobs::start(&second.app);
    let ((found, rows), jobs) = tokio::join!(asked, started);
    assert!(number(&found) >= shown.parse().expect("a number"));
    let found: Value = found.json().await.expect("JSON");
    assert_eq!(found["data"]["publications"]["nodes"][0]["status"], "ARCHIVED", "{found}");
    assert!(rows.text().await.expect("text").contains("Acomph"));
    // A notification that one replica has answered is found on the other one.
    let token = feed(&notify(&first, Notice::new("Previsão").to_string()).await);
    let waiting = [("acervo-feed", token.as_str()), ("prefer", "wait=60")];
    let found: Value = post(&second, "{ publications(search: \"previsão\") { totalCount } }", &waiting)
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(found["data"]["publications"]["totalCount"], 1, "{found}");
    jobs.expect("jobs").stop().await;
    first.leaves_work_unsettled("the link leads nowhere");
}

#[tokio::test]
async fn a_number_that_does_not_come_or_is_none_is_refused() {
    let app = TestApp::start().await;
    for (value, status, said) in [
        ("9000000", 503, "up to 0, not yet 9000000"),
        ("-1", 400, "`Acervo-Feed` is `-1`"),
        ("amanhã", 400, "expected a number"),
        ("018f3d3a-0000-7000-8000-000000000000", 400, "there is no such notification"),
    ] {
        let response = post(&app, LIST, &[("acervo-feed", value), ("prefer", "wait=1")]).await;
        assert_eq!(response.status(), status, "{value}");
        let problem: Value = response.json().await.expect("JSON");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(said)), "{problem}");
    }
}
