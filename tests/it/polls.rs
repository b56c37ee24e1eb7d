//! The feed with a filter, and requests that wait for the next change.
use std::collections::BTreeSet;
use std::time::Duration;

use rand::RngExt as _;
use serde_json::{Value, json};

use crate::harness::samples::{self, product};
use crate::harness::socket::Socket;
use crate::harness::{Db, KEY, Options, TestApp, on_each_database, random, until};

const PAGE: &str = "query($after: String, $first: Int, $filter: PublicationFilter, $wait: Int) {
    changes(after: $after, first: $first, filter: $filter, wait: $wait) {
        edges { cursor node { kind publication { id name } revision { id } } } pageInfo { hasNextPage endCursor } } }";

async fn page(app: &TestApp, variables: Value) -> Value {
    app.query_with(PAGE, variables).await["changes"].clone()
}

fn edges(page: &Value) -> Vec<Value> {
    page["edges"].as_array().expect("a list").clone()
}

/// Reads the feed from a cursor to its end; gives what it read and where it ended.
async fn read_on(app: &TestApp, mut after: Value, first: i64, filter: &Value) -> (Vec<Value>, Value) {
    let mut all = Vec::new();
    loop {
        let next = page(app, json!({ "after": after, "first": first, "filter": filter })).await;
        let rows = edges(&next);
        let info = &next["pageInfo"];
        if let Some(last) = rows.last() {
            assert_eq!(info["endCursor"], last["cursor"], "the end of a page with rows is its last row");
        }
        all.extend(rows);
        after = info["endCursor"].clone();
        assert!(after.is_string(), "{info}");
        if info["hasNextPage"] == false {
            return (all, after);
        }
    }
}

fn filters() -> Vec<Value> {
    vec![
        json!({ "name": { "contains": "ipdo" } }),
        json!({ "name": { "startsWith": "DECK" }, "status": ["ARCHIVED"] }),
        json!({ "extension": ["txt"] }),
        json!({ "extension": ["pdf"], "status": ["ARCHIVED", "LOST"] }),
        json!({ "process": { "eq": "operacao em tempo real" } }),
        json!({ "name": { "contains": "inexistente" } }),
        json!({ "status": ["LOST"] }),
        json!({}),
    ]
}

on_each_database!(filtered_changes_are_those_of_matching_publications, 2 threads);
/// Readers with a filter, and one without, follow the feed through random writes. Each time, a reader with a filter finds what
/// the one without found, if its publication is in `publications` with the same filter.
async fn filtered_changes_are_those_of_matching_publications(db: Db) {
    let app = TestApp::on(db).await;
    let mut random = random();
    for (number, name, file) in [
        (1, "IPDO", "ipdo.pdf"),
        (2, "Deck NEWAVE", "deck.txt"),
        (3, "Deck DECOMP", "deck.pdf"),
        (4, "Acomph", "a.txt"),
    ] {
        app.portal.add(product(number, name, file, format!("arquivo {number}")));
    }
    let filters = filters();
    let mut everything: Value = Value::Null;
    let mut ends = vec![Value::Null; filters.len()];
    let mut sent = 0;
    for round in 0..6 {
        for step in 0..random.random_range(1..5) {
            let number = random.random_range(1..=4);
            match random.random_range(0..4) {
                0 => drop(app.portal.change(number, |one| samples::replace(one, format!("novo {round} {step}")))),
                1 => drop(app.portal.change(number, |one| one.name = format!("{} {round}", one.name))),
                2 => hold_some(&app, number).await,
                _ => {}
            }
            app.portal.enviar(number).await;
            sent += 1;
            app.settled(sent).await;
        }
        let (all, end) = read_on(&app, everything.clone(), 1_000, &Value::Null).await;
        everything = end;
        for (filter, end) in filters.iter().zip(&mut ends) {
            let query = "query($f: PublicationFilter) { publications(filter: $f, first: 1000) { nodes { id } } }";
            let found = app.query_with(query, json!({ "f": filter })).await;
            let ids: BTreeSet<&str> = found["publications"]["nodes"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(|node| node["id"].as_str())
                .collect();
            let expected: Vec<&Value> = all
                .iter()
                .filter(|edge| edge["node"]["publication"]["id"].as_str().is_some_and(|id| ids.contains(id)))
                .collect();
            let first = random.random_range(1..6);
            let (read, at) = read_on(&app, end.clone(), first, filter).await;
            assert_eq!(read.iter().collect::<Vec<_>>(), expected, "{db:?} {filter} by {first}, round {round}");
            *end = at;
        }
    }
}

/// Holds, or releases, the latest revision of a product.
async fn hold_some(app: &TestApp, number: u32) {
    let path = format!("/sites/7/39/Produtos/{number}");
    let query = "query($p: String!) { products(filter: { listPath: { eq: $p } }) { nodes {
        publications(first: 1) { nodes { revisionId revisions { held } } } } } }";
    let found = app.query_with(query, json!({ "p": path })).await;
    let publication = &found["products"]["nodes"][0]["publications"]["nodes"][0];
    let Some(id) = publication["revisionId"].as_str() else { return };
    let change = match publication["revisions"][0]["held"] == true {
        true => "mutation($id: ID!) { releaseRevision(id: $id) { id } }",
        false => "mutation($id: ID!) { holdRevision(id: $id, reason: \"auditoria\") { id } }",
    };
    app.query_with(change, json!({ "id": id })).await;
    app.indexed().await;
}

on_each_database!(the_cursor_of_a_filter_moves_on_over_what_does_not_match);
async fn the_cursor_of_a_filter_moves_on_over_what_does_not_match(db: Db) {
    let app = TestApp::on(db).await;
    let start = app.query("{ changesCursor }").await["changesCursor"].clone();
    let nothing = page(&app, json!({})).await;
    assert_eq!(nothing["pageInfo"]["endCursor"], start, "an archive without a change begins there");
    for number in 1..=3 {
        app.portal.add(product(number, &format!("Produto {number}"), "a.txt", format!("{number}")));
        app.archive(number).await;
    }
    let filter = json!({ "name": { "eq": "inexistente" } });
    let empty = page(&app, json!({ "filter": filter, "after": start })).await;
    let head = app.query("{ changesCursor }").await["changesCursor"].clone();
    assert_eq!(empty["edges"], json!([]));
    assert_eq!(empty["pageInfo"], json!({ "hasNextPage": false, "endCursor": head }), "it reached the end of the feed");
    // Without a filter, and with one where nothing is new, the end of an empty page is the cursor that was given.
    for filter in [Value::Null, filter] {
        let again = page(&app, json!({ "filter": filter, "after": head })).await;
        assert_eq!(again["pageInfo"], json!({ "hasNextPage": false, "endCursor": head }));
    }
    app.portal.change(2, |one| samples::replace(one, &b"novo"[..]));
    app.archive(2).await;
    let new = page(&app, json!({ "after": head, "filter": { "name": { "eq": "produto 2" } } })).await;
    let kinds: Vec<Value> = edges(&new).iter().map(|edge| edge["node"]["kind"].clone()).collect();
    assert_eq!(kinds, ["ARCHIVED", "SUPERSEDED"], "the cursor of the moment is followed by what came later");
}

/// A request looks at so many changes and no more; its reader gets through all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_feed_is_compared_in_parts() {
    use sea_orm::ConnectionTrait;
    let app = TestApp::start().await;
    app.portal.add(product(1, "Raro", "a.txt", "raro"));
    app.portal.add(product(2, "Comum", "b.txt", "comum"));
    app.archive(1).await;
    app.archive(2).await;
    let after = app.query("{ changesCursor }").await["changesCursor"].clone();
    // 120,000 changes of another publication.
    let database = app.database().await;
    database.execute_unprepared(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
         INSERT INTO changes (at, kind, publication_id)
         SELECT 0, 'RENAMED', (SELECT id FROM publications WHERE product_id = (SELECT id FROM products WHERE name = 'Comum')) FROM n",
    ).await.expect("changes");
    app.portal.change(1, |one| samples::replace(one, &b"novo"[..]));
    app.archive(1).await;
    let statements = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = statements.clone();
    acervo::leaves::record(&app.app).watch_statements(move |statement| {
        if statement.sql.contains("\"changes\"") {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let filter = json!({ "name": { "eq": "raro" } });
    let mut at = after;
    let mut pages = Vec::new();
    loop {
        let before = statements.load(std::sync::atomic::Ordering::Relaxed);
        let next = page(&app, json!({ "after": at, "filter": filter, "first": 10 })).await;
        let read = statements.load(std::sync::atomic::Ordering::Relaxed) - before;
        assert!(read < 60, "{read} reads of the feed by one request, and by the jobs meanwhile");
        assert_ne!(next["pageInfo"]["endCursor"], at, "the cursor moves on");
        at = next["pageInfo"]["endCursor"].clone();
        pages.push(edges(&next).len());
        if next["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(pages, [0, 0, 2], "two parts in which nothing matches, and what came after them");
}

fn poll(app: &TestApp, variables: Value) -> tokio::task::JoinHandle<Value> {
    let request = app.client.post(format!("{}/graphql", app.url)).bearer_auth(KEY);
    let request = request.json(&json!({ "query": PAGE, "variables": variables }));
    tokio::spawn(async move { request.send().await.expect("a response").json().await.expect("JSON") })
}

/// Waits until so many requests wait.
async fn until_waiting(app: &TestApp, count: u64) {
    app.until("{ status { waitingPolls } }", |data| data["status"]["waitingPolls"] == count).await;
}

on_each_database!(a_request_waits_for_a_change_that_matches, 2 threads);
async fn a_request_waits_for_a_change_that_matches(db: Db) {
    let app = TestApp::on(db).await;
    for (number, name) in [(1, "IPDO"), (2, "Acomph")] {
        app.portal.add(product(number, name, "a.txt", name.to_owned()));
        app.archive(number).await;
    }
    // What is there already is returned at once, however long the request would wait.
    let there = page(&app, json!({ "filter": { "name": { "eq": "ipdo" } }, "wait": 60 })).await;
    assert_eq!(edges(&there).len(), 2);
    let head = app.query("{ changesCursor }").await["changesCursor"].clone();
    let ipdo = json!({ "name": { "eq": "ipdo" }, "status": ["ARCHIVED"] });
    let with_filter = poll(&app, json!({ "after": head, "filter": ipdo, "wait": 60 }));
    let mut socket = Socket::connect(&app.url).await;
    let after = head.as_str().expect("a cursor");
    socket.subscribe("w", &format!("{{ changes(after: \"{after}\", wait: 60) {{ nodes {{ kind }} }} }}")).await;
    // What does not match ends only the wait without a filter.
    app.portal.change(2, |one| samples::replace(one, &b"novo"[..]));
    app.archive(2).await;
    let next = socket.next().await;
    assert!(next["payload"]["data"]["changes"]["nodes"].as_array().is_some_and(|all| !all.is_empty()), "{next}");
    assert!(!with_filter.is_finished());
    app.portal.change(1, |one| samples::replace(one, &b"novo"[..]));
    app.portal.enviar(1).await;
    let found = with_filter.await.expect("a response");
    let rows = edges(&found["data"]["changes"]);
    assert_eq!(rows[0]["node"]["publication"]["name"], "IPDO", "{found}");
    app.settled(4).await;
    // Nothing comes: the answer is an empty page, and its cursor is past what does not match.
    let head = app.query("{ changesCursor }").await["changesCursor"].clone();
    let none = page(&app, json!({ "after": after, "filter": { "name": { "eq": "x" } }, "wait": 1 })).await;
    assert_eq!(none, json!({ "edges": [], "pageInfo": { "hasNextPage": false, "endCursor": head } }));
}

#[tokio::test]
async fn waits_are_bounded() {
    let values = vec![("query.subscriptions", "4".to_owned()), ("query.concurrency", "1".to_owned())];
    let app = TestApp::with(Options { values, ..Options::default() }).await;
    for wait in [-1, 61, i32::MAX] {
        let answer = app.ask(PAGE, json!({ "wait": wait })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
        assert!(answer["errors"][0]["message"].as_str().is_some_and(|m| m.contains("from 0 to 60")), "{answer}");
    }
    let twice =
        app.ask("{ a: changes(wait: 5) { nodes { kind } } b: changes(wait: 5) { nodes { kind } } }", json!({})).await;
    assert_eq!(twice["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{twice}");
    let many: Vec<String> = (0..2_000).map(|n| format!("produto {n}")).collect();
    let long = app.ask(PAGE, json!({ "wait": 5, "filter": { "name": { "in": many } } })).await;
    assert_eq!(long["errors"][0]["extensions"]["code"], "TOO_COMPLEX", "{long}");
    let broken = app.ask(PAGE, json!({ "wait": 5, "after": "xyz" })).await;
    assert_eq!(broken["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{broken}");

    // Half of the places are one key's. Those that wait hold no slot of the queries, of which there is one.
    let polls: Vec<_> = (0..2).map(|_| poll(&app, json!({ "wait": 60 }))).collect();
    until_waiting(&app, 2).await;
    let refused = app
        .client
        .post(format!("{}/graphql", app.url))
        .bearer_auth(KEY)
        .json(&json!({ "query": PAGE, "variables": { "wait": 60 } }))
        .send()
        .await
        .expect("a response");
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
    let refused: Value = refused.json().await.expect("JSON");
    assert!(refused["errors"][0]["message"].as_str().is_some_and(|m| m.contains("2 requests that wait")), "{refused}");
    // Clients that go away leave their places.
    for poll in polls {
        poll.abort();
        assert!(poll.await.is_err());
    }
    until_waiting(&app, 0).await;
}

/// While requests wait, the database is read for all of them together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_wait_cost_next_to_nothing() {
    let app = TestApp::start().await;
    app.portal.add(product(1, "IPDO", "a.txt", "ipdo"));
    app.archive(1).await;
    let head = app.query("{ changesCursor }").await["changesCursor"].clone();
    let polls: Vec<_> = (0..100)
        .map(|n| poll(&app, json!({ "after": head, "wait": 60, "filter": { "name": { "eq": if n % 2 == 0 { "ipdo" } else { "x" } } } })))
        .collect();
    until_waiting(&app, 100).await;
    let reads = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = reads.clone();
    acervo::leaves::record(&app.app).watch_statements(move |statement| {
        if statement.sql.contains("\"changes\"") {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    });
    // What other processes commit is looked for twice a second at most, for all of them and for each index. If each read on its own,
    // a hundred reads would be made at once. A slow machine only makes it take longer.
    let began = std::time::Instant::now();
    until("reads of the feed", async || (reads.load(std::sync::atomic::Ordering::Relaxed) >= 20).then_some(())).await;
    assert!(began.elapsed() > Duration::from_secs(2), "20 reads in {:?}", began.elapsed());
    app.portal.change(1, |one| samples::replace(one, &b"novo"[..]));
    app.archive(1).await;
    let mut answered = 0;
    for (n, poll) in polls.into_iter().enumerate() {
        if n % 2 == 0 {
            let found = poll.await.expect("a response");
            assert!(!edges(&found["data"]["changes"]).is_empty(), "{found}");
            answered += 1;
        } else {
            assert!(!poll.is_finished());
            poll.abort();
        }
    }
    assert_eq!(answered, 50);
}

/// The program of docs/bi.md that follows the feed.
fn program() -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/bi.md")).expect("a page");
    let blocks = page.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.into_iter().find(|block| block.contains("acervo.cursor")).expect("the program").to_owned()
}

/// A running program, and the lines that it prints.
struct Follower {
    child: std::process::Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Follower {
    fn start(app: &TestApp, folder: &std::path::Path) -> Self {
        use std::io::BufRead;
        let mut command = std::process::Command::new("python3");
        command.args(["-c", &program()]).current_dir(folder).env("ACERVO_URL", &app.url).env("ACERVO_KEY", KEY);
        command.env("no_proxy", "*").stdout(std::process::Stdio::piped());
        let mut child = command.spawn().expect("python3");
        let printed = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || printed.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    async fn prints(&self, expected: &str) {
        let line = until(expected, async || self.lines.try_recv().ok()).await;
        assert_eq!(line, expected);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program prints each file once, also those that are archived while it does not run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_that_follows_the_feed_continues_where_it_was() {
    let app = TestApp::start().await;
    app.portal.add(product(1, "Deck NEWAVE", "deck.txt", "deck"));
    app.portal.add(product(2, "IPDO", "ipdo.txt", "ipdo"));
    app.archive(1).await;
    app.archive(2).await;
    let folder = tempfile::tempdir().expect("a folder");
    let follower = Follower::start(&app, folder.path());
    follower.prints("Deck NEWAVE deck.txt").await;
    // It has stored its cursor once it waits for the next change.
    until_waiting(&app, 1).await;
    drop(follower);
    app.portal.change(1, |one| one.versions[0].file_name = "deck_2.txt".to_owned());
    app.portal.change(1, |one| samples::replace(one, &b"novo"[..]));
    app.archive(1).await;
    let follower = Follower::start(&app, folder.path());
    follower.prints("Deck NEWAVE deck_2.txt").await;
    until_waiting(&app, 1).await;
    app.portal.change(1, |one| samples::replace(one, &b"ainda mais novo"[..]));
    app.portal.enviar(1).await;
    follower.prints("Deck NEWAVE deck_2.txt").await;
    app.settled(4).await;
}

/// A service that stops answers at once those that wait, with an empty page to continue from.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_stops_answers_those_that_wait() {
    let app = TestApp::start().await;
    app.portal.add(product(1, "IPDO", "a.txt", "ipdo"));
    app.archive(1).await;
    let head = app.query("{ changesCursor }").await["changesCursor"].clone();
    let polls: Vec<_> = [Value::Null, json!({ "name": { "eq": "x" } })]
        .map(|filter| poll(&app, json!({ "after": head, "filter": filter, "wait": 60 })))
        .into();
    until_waiting(&app, 2).await;
    // Ends well before the drain would cut them off, and within the time of this test.
    tokio::time::timeout(Duration::from_secs(19), app.stop()).await.expect("a drain that waits for none of them");
    for poll in polls {
        let answer = poll.await.expect("a response");
        let expected = json!({ "edges": [], "pageInfo": { "hasNextPage": false, "endCursor": head } });
        assert_eq!(answer["data"]["changes"], expected, "{answer}");
    }
}
