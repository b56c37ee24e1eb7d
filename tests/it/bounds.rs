//! The limits of queries: time, memory, number at once; and that nothing else waits for queries.
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use acervo::leaves::index::{Deadline, IndexError, Pool};
use serde_json::{Value, json};

use crate::harness::notice::{NOWHERE, Notice};
use crate::harness::process::{self, Served, free_port};
use crate::harness::socket::Socket;
use crate::harness::{KEY, Options, PATIENCE, TOKEN, TestApp, until};

/// The service as a process, with a fault point and settings.
pub fn served(folder: &Path, faults: &str, settings: &str) -> Served {
    std::fs::write(folder.join("acervo.toml"), settings).expect("a file");
    let mut command = process::acervo(folder);
    command.env("FAILPOINTS", faults);
    Served::spawn(command, folder.join("log.txt"), free_port(), "warn")
}

async fn ask(url: &str, query: &str) -> reqwest::Response {
    let body = json!({ "query": query });
    let request = reqwest::Client::new().post(format!("{url}/graphql")).bearer_auth(KEY).json(&body);
    request.send().await.expect("a response")
}

async fn ask_for(url: String, body: Value) -> Value {
    let request = reqwest::Client::new().post(format!("{url}/graphql")).bearer_auth(KEY).json(&body);
    request.send().await.expect("a response").json().await.expect("JSON")
}

pub async fn notify(url: &str, number: u32) -> u16 {
    let body = Notice::new(format!("Aviso {number}")).link(format!("{NOWHERE}/{number}")).to_string();
    let request = reqwest::Client::new().post(format!("{url}/webhook")).header("authorization", TOKEN);
    request.header("content-type", "application/json").body(body).send().await.expect("a response").status().as_u16()
}

pub async fn get(url: &str, path: &str) -> (u16, String) {
    let answer = reqwest::Client::new().get(format!("{url}{path}")).bearer_auth(KEY).send().await.expect("a response");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

/// A first notification, found by the index: an empty one is not gone through.
pub async fn begun(url: &str) {
    assert_eq!(notify(url, 1).await, 202);
    until("an index", async || {
        let answer: Value = ask(url, "{ status { indexLag publications } }").await.json().await.ok()?;
        (answer["data"]["status"] == json!({ "indexLag": 0, "publications": 1 })).then_some(())
    })
    .await;
}

pub fn metric(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// Waits until a metric has a value.
async fn until_metric(url: &str, name: &str, value: f64) {
    until(&format!("{name} {value}"), async || {
        let (_, metrics) = get(url, "/metrics").await;
        (metric(&metrics, name) == Some(value)).then_some(())
    })
    .await;
}

const LIST: &str = "{ publications(first: 1) { totalCount } }";
const OVERDUE: &str = "acervo_index_computations{state=\"overdue\"}";
const WAITING: &str = "acervo_queries_waiting";
const RUNNING: &str = "acervo_index_computations{state=\"running\"}";

/// The last defence: a computation that does not check its deadline.
#[tokio::test]
async fn hung_computations_are_counted_and_block_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "[query]\ntimeout = \"500ms\"\nindex_threads = 2\n";
    let service = served(folder.path(), "index.hang=2*sleep(600000)->off", settings);
    let url = &service.url;
    begun(url).await;
    for _ in 0..2 {
        let answer: Value = ask(url, LIST).await.json().await.expect("JSON");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "TIMEOUT", "{answer}");
    }
    let (_, reason) =
        until("not ready", async || Some(get(url, "/readyz").await).filter(|(code, _)| *code == 503)).await;
    assert!(reason.contains("index") && reason.contains("restart"), "{reason}");
    let (_, metrics) = get(url, "/metrics").await;
    assert_eq!(metric(&metrics, OVERDUE), Some(2.0), "{metrics}");
    assert_eq!(metric(&metrics, "acervo_index_overdue_total"), Some(2.0));
    assert_eq!(notify(url, 2).await, 202);
    // What needs no index is answered as before.
    let answer: Value = ask(url, "{ notifications { totalCount } }").await.json().await.expect("JSON");
    assert_eq!(answer["data"]["notifications"]["totalCount"], 2, "{answer}");
}

/// An endless computation stops when its client goes away, and when its time is over.
#[tokio::test]
async fn work_stops_when_its_client_goes_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "[query]\ntimeout = \"60s\"\nindex_threads = 1\n";
    let service = served(folder.path(), "index.endless=1*return->off", settings);
    let url = service.url.clone();
    begun(&url).await;
    let asking = tokio::spawn({
        let url = url.clone();
        async move { ask(&url, LIST).await.status() }
    });
    until_metric(&url, RUNNING, 1.0).await;
    asking.abort();
    until_metric(&url, RUNNING, 0.0).await;
    let answer: Value = ask(&url, LIST).await.json().await.expect("JSON");
    assert_eq!(answer["data"]["publications"]["totalCount"], 1, "{answer}");
    assert_eq!(get(&url, "/readyz").await.0, 200);
}

#[tokio::test]
async fn a_pool_drops_a_computation_without_a_caller() {
    let pool = Pool::new(1);
    let watch = Deadline::at(Instant::now() + PATIENCE);
    let endless = |watch: &Deadline| -> Result<(), IndexError> {
        while !watch.is_over() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(IndexError::Interrupted)
    };
    let waiting = tokio::spawn({
        let (pool, watch) = (pool.clone(), watch.clone());
        async move { pool.run(&watch, endless).await }
    });
    until("it runs", async || (pool.status().running == 1).then_some(())).await;
    // A computation that is cancelled while it waits is never started.
    let behind = tokio::spawn({
        let (pool, watch) = (pool.clone(), watch.clone());
        async move { pool.run(&watch, |_| -> Result<(), IndexError> { panic!("begun") }).await }
    });
    until("another waits", async || (pool.status().waiting == 1).then_some(())).await;
    behind.abort();
    assert!(behind.await.is_err());
    waiting.abort();
    assert_eq!(pool.run(&watch, |_| Ok(5)).await.expect("a response"), 5);
    // A time-out alone ends it too.
    let soon = Deadline::at(Instant::now() + Duration::from_millis(50));
    assert!(matches!(pool.run(&soon, endless).await, Err(IndexError::Interrupted)));
    // A panic becomes an error, and the thread continues.
    assert!(pool.run(&watch, |_| -> Result<(), IndexError> { panic!("a defect") }).await.is_err());
    assert_eq!(pool.run(&watch, |_| Ok(6)).await.expect("a response"), 6);
    until("all has ended", async || {
        let status = pool.status();
        ((status.running, status.waiting) == (0, 0)).then_some(())
    })
    .await;
}

fn code(message: &Value) -> &Value {
    let errors = if message["payload"].is_array() { &message["payload"] } else { &message["payload"]["errors"] };
    &errors[0]["extensions"]["code"]
}

/// One admission for all protocols: while one query has the only slot, others wait and are then answered 503.
#[tokio::test]
async fn queries_beyond_the_limit_are_asked_to_retry() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "[query]\ntimeout = \"2s\"\nwait = \"100ms\"\nconcurrency = 1\nindex_threads = 4\n";
    let service = served(folder.path(), "index.endless=2*return->off", settings);
    let url = service.url.clone();
    begun(&url).await;
    let mut socket = Socket::connect(&url).await;
    for round in 0..2 {
        let asking = tokio::spawn({
            let url = url.clone();
            async move { ask(&url, LIST).await.json::<Value>().await.expect("JSON") }
        });
        let refused = until("no place", async || {
            let answer = ask(&url, "{ notifications { totalCount } }").await;
            (answer.status() == 503).then_some(answer)
        })
        .await;
        assert!(refused.headers().contains_key("retry-after"));
        let refused: Value = refused.json().await.expect("JSON");
        assert_eq!(refused["errors"][0]["extensions"]["code"], "TIMEOUT", "{refused}");
        let id = round.to_string();
        socket.subscribe(&id, LIST).await;
        let reported = socket.next().await;
        assert_eq!((&reported["type"], code(&reported)), (&json!("error"), &json!("TIMEOUT")), "{reported}");
        let late = asking.await.expect("a response");
        assert_eq!(late["errors"][0]["extensions"]["code"], "TIMEOUT", "{late}");
    }
    // The slot is free again.
    until("a slot", async || (ask(&url, LIST).await.status() == 200).then_some(())).await;
    socket.subscribe("last", LIST).await;
    assert_eq!(socket.next().await["payload"]["data"]["publications"]["totalCount"], 1);
}

/// A query that waits is kept as text, and is executed as it was sent: with its variables, and the operation that it chose.
#[tokio::test]
async fn a_query_that_waited_gets_the_response_of_one_that_did_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "[query]\ntimeout = \"60s\"\nwait = \"30s\"\nconcurrency_per_key = 1\nindex_threads = 2\n";
    let service = served(folder.path(), "index.endless=1*return->off", settings);
    let url = service.url.clone();
    begun(&url).await;
    let holding = tokio::spawn({
        let url = url.clone();
        async move { ask(&url, LIST).await.status() }
    });
    // The only slot is taken.
    until_metric(&url, RUNNING, 1.0).await;
    let document = "query Other { status { publications } }
        query Named($text: String = \"none\", $some: Boolean!) {
            notifications(filter: { name: { contains: $text } }) { totalCount nodes { ...Known name @include(if: $some) } }
        }
        fragment Known on Notification { id }";
    let body = json!({ "query": document, "operationName": "Named", "variables": { "text": "Aviso", "some": true } });
    let mut socket = Socket::connect(&url).await;
    socket.send(json!({ "id": "waiting", "type": "subscribe", "payload": body })).await;
    let waiting = tokio::spawn(ask_for(url.clone(), body.clone()));
    until_metric(&url, WAITING, 2.0).await;
    holding.abort();
    let waited = waiting.await.expect("a response");
    let named = &waited["data"]["notifications"];
    assert_eq!((&named["totalCount"], &named["nodes"][0]["name"]), (&json!(1), &json!("Aviso 1")), "{waited}");
    assert_eq!(socket.next().await["payload"], waited);
    assert_eq!(ask_for(url.clone(), body).await, waited);
}

/// A request error over a WebSocket has a code, as over HTTP, and says what is wrong.
#[tokio::test]
async fn a_request_error_over_a_socket_has_a_code() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect(&app.url).await;
    let one = "notificationReceived { id }";
    for (number, (query, variables, reported)) in [
        ("{ nothing }".to_owned(), json!({}), "nothing"),
        ("{ status {".to_owned(), json!({}), "expected"),
        ("subscription { nothing }".to_owned(), json!({}), "nothing"),
        (format!("subscription {{ {one} publicationArchived {{ id }} }}"), json!({}), "selects 2 fields"),
        (
            format!("subscription {{ ...F }} fragment F on Subscription {{ {one} other: {one} }}"),
            json!({}),
            "selects 2 fields",
        ),
        (
            "subscription($s: Boolean!) { notificationReceived @skip(if: $s) { id } }".to_owned(),
            json!({ "s": true }),
            "every field of the subscription is skipped",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let payload = json!({ "query": query, "variables": variables, "operationName": "" });
        socket.send(json!({ "id": number.to_string(), "type": "subscribe", "payload": payload })).await;
        let answer = socket.next().await;
        let error = &answer["payload"][0];
        assert_eq!((&answer["type"], &answer["id"]), (&json!("error"), &json!(number.to_string())), "{answer}");
        assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{query}: {answer}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(reported)), "{query}: {answer}");
    }
    // An operation that the document does not have.
    let payload = json!({ "query": LIST, "operationName": "Nothing" });
    socket.send(json!({ "id": "unknown", "type": "subscribe", "payload": payload })).await;
    let answer = socket.next().await;
    assert_eq!((&answer["type"], code(&answer)), (&json!("error"), &json!("BAD_USER_INPUT")), "{answer}");
    // An error ends an operation, so nothing follows it, and its id is free. An empty name is none.
    let payload = json!({ "query": LIST, "operationName": "" });
    socket.send(json!({ "id": "unknown", "type": "subscribe", "payload": payload })).await;
    let answer = socket.next().await;
    assert!(answer["payload"]["data"]["publications"]["totalCount"].is_number(), "{answer}");
    assert_eq!(socket.next().await["type"], "complete");
    // What fails while it is executed is an answer.
    socket.subscribe("executed", "{ publication(id: \"x\") { id } }").await;
    let answer = socket.next().await;
    assert_eq!((&answer["type"], code(&answer)), (&json!("next"), &json!("BAD_USER_INPUT")), "{answer}");
    assert_eq!(socket.next().await["type"], "complete");
}

/// The id of an operation that the client ended is free at once: nothing more is said of the old one.
#[tokio::test]
async fn an_id_can_be_used_again() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect(&app.url).await;
    for _ in 0..3 {
        socket.subscribe("a", "subscription { notificationReceived { id } }").await;
        socket.complete("a").await;
    }
    socket.complete("b").await;
    socket.subscribe("a", LIST).await;
    assert_eq!(socket.next().await["type"], "next");
    let end = socket.next().await;
    assert_eq!((&end["type"], &end["id"]), (&json!("complete"), &json!("a")), "{end}");
    socket.send(json!({ "type": "ping", "payload": { "x": 1 } })).await;
    assert_eq!(socket.next().await, json!({ "type": "pong", "payload": { "x": 1 } }));
}

/// A WebSocket is closed with the codes of the protocol.
#[tokio::test]
async fn a_socket_is_closed_with_the_codes_of_the_protocol() {
    let app = TestApp::start().await;
    let subscription = json!({ "id": "a", "type": "subscribe", "payload": { "query": LIST } });
    let wrong_key = json!({ "type": "connection_init", "payload": { "authorization": "wrong" } });
    for (is_introduced, message, code) in [
        (false, subscription.to_string(), 4401),
        (false, wrong_key.to_string(), 4403),
        (false, json!({ "type": "connection_init" }).to_string(), 4403),
        (false, "no JSON".to_owned(), 4400),
        (true, "no JSON".to_owned(), 4400),
        (true, json!({ "type": "x".repeat(500) }).to_string(), 4400),
        (true, json!({ "id": "a", "type": "start", "payload": { "query": LIST } }).to_string(), 4400),
        (true, json!({ "type": "subscribe", "payload": { "query": LIST } }).to_string(), 4400),
        (true, json!({ "id": "a", "type": "subscribe", "payload": { "variables": {} } }).to_string(), 4400),
        (true, json!({ "type": "connection_init" }).to_string(), 4429),
    ] {
        let mut socket = if is_introduced { Socket::connect(&app.url).await } else { Socket::open(&app.url).await };
        socket.send_text(message.clone()).await;
        let (closed_with, reason) = socket.closed().await;
        assert_eq!(closed_with, code, "{message}: {reason}");
    }
}

/// An id stands for one operation at a time.
#[tokio::test]
async fn a_second_operation_under_an_id_ends_the_socket() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect(&app.url).await;
    for _ in 0..2 {
        socket.subscribe(&"ç".repeat(200), "subscription { notificationReceived { id } }").await;
    }
    assert_eq!(socket.closed().await.0, 4409);
}

/// The deadline holds over a socket too.
#[tokio::test]
async fn a_query_over_a_socket_has_a_deadline() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = served(folder.path(), "index.endless=1*return->off", "[query]\ntimeout = \"300ms\"\n");
    begun(&service.url).await;
    let mut socket = Socket::connect(&service.url).await;
    socket.subscribe("a", LIST).await;
    let reported = socket.next().await;
    assert_eq!(code(&reported), "TIMEOUT", "{reported}");
}

#[tokio::test]
async fn subscriptions_are_limited_per_socket_and_in_all() {
    let values = vec![("query.subscriptions_per_socket", "2".to_owned()), ("query.subscriptions", "3".to_owned())];
    let app = TestApp::with(Options { values, ..Options::default() }).await;
    let listen = "subscription { notificationReceived { name } }";
    app.leaves_work_unsettled("the links lead nowhere");
    let mut one = Socket::connect(&app.url).await;
    for id in ["a", "b", "c"] {
        one.subscribe(id, listen).await;
    }
    let reported = one.next().await;
    assert_eq!((&reported["id"], code(&reported)), (&json!("c"), &json!("TOO_COMPLEX")), "{reported}");
    let mut other = Socket::connect(&app.url).await;
    for id in ["d", "e"] {
        other.subscribe(id, listen).await;
    }
    let reported = other.next().await;
    assert_eq!((&reported["id"], code(&reported)), (&json!("e"), &json!("TOO_COMPLEX")), "{reported}");
    // A released slot can be used by another.
    one.complete("a").await;
    let event = until("a place", async || {
        other.subscribe("f", "subscription { notificationReceived { status } }").await;
        let event = event_of(&mut other, "f", &app).await;
        if event["payload"]["data"].is_null() {
            assert_eq!(code(&event), "TOO_COMPLEX", "{event}");
            return None;
        }
        Some(event)
    })
    .await;
    let status = &event["payload"]["data"]["notificationReceived"]["status"];
    assert!(status.as_str().is_some_and(|status| !status.is_empty()), "{event}");
}

/// The next message of a subscription to received notifications; notifications are sent until one arrives.
async fn event_of(socket: &mut Socket, id: &str, app: &TestApp) -> Value {
    loop {
        match tokio::time::timeout(Duration::from_millis(100), socket.next()).await {
            Ok(message) if message["id"] == id => return message,
            Ok(_) => {}
            Err(_) => assert_eq!(notify(&app.url, 1).await, 202),
        }
    }
}

/// Notifications of an old log, with bodies of `bytes` bytes.
fn old_log(folder: &Path, rows: u32, bytes: usize) {
    let log = folder.join("old.ndjson");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&log).expect("a file"));
    for n in 0..rows {
        let body = json!({
            "nome": format!("Produto {} {}", n % 7, "abc".repeat(40)),
            "dataProduto": "09/05/2024",
            "url": format!("https://apps08.ons.org.br/x{n}"),
            "observacao": "x".repeat(bytes),
        });
        let second = format!("2024-05-10T{:02}:{:02}:{:02}Z", n / 3600 % 24, n / 60 % 60, n % 60);
        writeln!(file, "{}", json!({ "receivedAt": second, "body": body })).expect("a file");
    }
    file.into_inner().expect("a file");
    process::printed(folder, &["import", "--create", log.to_str().expect("a path")]);
}

#[tokio::test]
async fn responses_are_limited_in_size() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    old_log(folder.path(), 60, 60_000);
    let values = vec![("query.answer_max", "1 MiB".to_owned()), ("query.memory", "16 MiB".to_owned())];
    let app = TestApp::with(Options { folder: Some(folder), values, without_jobs: true, ..Options::default() }).await;
    let rows = |first: u32, field: &str| {
        format!("{{ notifications(first: {first}) {{ totalCount nodes {{ id {field} }} }} }}")
    };
    let answer = app.ask(&rows(60, "body"), json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "TOO_COMPLEX", "{answer}");
    assert!(answer["errors"][0]["message"].as_str().expect("words").contains("1 MiB"), "{answer}");
    // Bodies are read only if they are selected.
    let data = app.query(&rows(60, "name")).await;
    assert_eq!(data["notifications"]["nodes"].as_array().map(Vec::len), Some(60));
    let data = app.query(&rows(1, "body")).await;
    assert_eq!(data["notifications"]["nodes"][0]["body"]["observacao"].as_str().map(str::len), Some(60_000));
}

/// Rows are read whole, whatever is selected: each alias counts with the rows of its page.
#[tokio::test]
async fn aliases_count_with_their_rows() {
    let app = TestApp::start().await;
    let aliased = |count: usize, field: &str| {
        let all: Vec<String> = (0..count).map(|n| format!("a{n}: {field}")).collect();
        format!("{{ {} }}", all.join(" "))
    };
    for (count, field) in [
        (60, "publications(first: 1000) { nodes { id } }"),
        (60, "revisions(first: 1000) { nodes { id } }"),
        (60, "notifications(first: 1000) { nodes { id } }"),
        (20, "publicationStats(groupBy: [PERIOD_DAY], limit: 10000) { bucket }"),
        (
            60,
            "coverage(productId: \"00000000-0000-0000-0000-000000000000\", from: \"2015-01-01\", to: \"2025-01-01\") { periods { state } }",
        ),
        (60, "retentionPlan { lines(first: 1000) { nodes { name } } }"),
    ] {
        let answer = app.ask(&aliased(count, field), json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "TOO_COMPLEX", "{field}: {answer}");
    }
    for field in [
        "publications(first: 20) { totalCount nodes { id name status } }",
        "notifications(first: 20) { nodes { id } }",
        "publicationStats(groupBy: [STATUS], limit: 10) { status publications }",
    ] {
        app.query(&aliased(60, field)).await;
    }
}

/// A client that sends a request and reads nothing, with the smallest possible buffers in between.
fn unread(url: &str, path: &str) -> TcpStream {
    let address: SocketAddr = url.trim_start_matches("http://").parse().expect("an address");
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small window");
    socket.connect(&address.into()).expect("a connection");
    let mut stream: TcpStream = socket.into();
    let head = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {KEY}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("a request");
    stream
}

#[tokio::test]
async fn exports_are_limited_and_unread_ones_are_cancelled() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    old_log(folder.path(), 12_000, 10);
    let values = vec![
        ("query.exports", "1".to_owned()),
        ("query.wait", "50ms".to_owned()),
        ("query.write_timeout", "1s".to_owned()),
    ];
    let app = TestApp::with(Options { folder: Some(folder), values, without_jobs: true, ..Options::default() }).await;
    let path = "/export/notifications.ndjson";
    let _unread = unread(&app.url, path);
    let refused = until("no place", async || {
        let answer = app.get(&format!("{path}?limit=1")).await;
        (answer.status() == 503).then_some(answer)
    })
    .await;
    assert!(refused.headers().contains_key("retry-after"));
    // The webhook and queries are not affected.
    assert_eq!(notify(&app.url, 1).await, 202);
    app.query("{ notifications { totalCount } }").await;
    let read =
        until("it is cancelled", async || Some(app.get(path).await).filter(|answer| answer.status() == 200)).await;
    assert_eq!(read.text().await.expect("text").lines().count(), 12_001);
}

/// Without an applicable index the log is scanned in ranges; the result is that of one statement.
#[tokio::test]
async fn the_log_is_searched_in_windows() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    old_log(folder.path(), 6_500, 10);
    let app = TestApp::with(Options { folder: Some(folder), without_jobs: true, ..Options::default() }).await;
    let expected: Vec<u32> = (0..6_500).rev().filter(|n| n % 7 == 3).collect();
    let second = |n: u32| format!("2024-05-10T{:02}:{:02}:{:02}.000Z", n / 3600 % 24, n / 60 % 60, n % 60);
    let page = async |arguments: &str| {
        let query = format!(
            "{{ notifications(filter: {{ name: {{ startsWith: \"PRODUTO 3\" }} }}, {arguments}) {{
                totalCount pageInfo {{ endCursor startCursor hasNextPage hasPreviousPage }} nodes {{ receivedAt }} }} }}"
        );
        app.query(&query).await["notifications"].clone()
    };
    let times = |page: &Value| -> Vec<String> {
        let nodes = page["nodes"].as_array().expect("rows");
        nodes.iter().map(|node| node["receivedAt"].as_str().expect("an instant").to_owned()).collect()
    };
    let wanted = |rows: &[u32]| rows.iter().map(|n| second(*n)).collect::<Vec<_>>();
    let all = page("first: 1000").await;
    assert_eq!(all["totalCount"], expected.len());
    assert_eq!(times(&all), wanted(&expected));
    let mut after = String::new();
    for some in expected.chunks(400) {
        let one = page(&format!("first: 400{after}")).await;
        assert_eq!(times(&one), wanted(some));
        after = format!(", after: {}", one["pageInfo"]["endCursor"]);
    }
    for offset in [0, 1, 285, 286, 300, 900, 928, 929, 2_000] {
        let one = page(&format!("first: 10, offset: {offset}")).await;
        let rest = expected.get(offset..).unwrap_or_default();
        assert_eq!(times(&one), wanted(&rest[..rest.len().min(10)]), "offset {offset}");
    }
    let last = page("last: 700").await;
    assert_eq!(times(&last), wanted(&expected[expected.len() - 700..]));
    assert_eq!(page("first: 10, offset: 0").await["totalCount"], expected.len());
    let nothing =
        app.query("{ notifications(filter: { name: { contains: \"não há\" } }) { totalCount nodes { id } } }").await;
    assert_eq!(nothing["notifications"], json!({ "totalCount": 0, "nodes": [] }));
}
