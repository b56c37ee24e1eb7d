use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::civil::Date;
use serde_json::{Value, json};

use crate::harness::notice::Notice;
use crate::harness::samples::{self, product};
use crate::harness::socket::Socket;
use crate::harness::{Db, KEY, Options, TestApp, hostile, on_each_database};

/// Three products of some days each, one of them with a second revision.
async fn some_days(app: &TestApp) {
    for (number, name, days) in [(1, "IPDO", 6), (2, "Acomph", 4), (3, "Carga mensal", 1)] {
        let mut one = product(number, name, &format!("arquivo_{number}.txt"), &b""[..]);
        one.process = if number == 3 { "Médio Prazo".into() } else { "Tempo Real".into() };
        let first = one.versions.remove(0);
        for day in 0..days {
            let date = jiff::civil::date(2025, 2, 24).saturating_add(jiff::Span::new().days(i64::from(day)));
            one.to_come.push(acervo::portal::Version {
                period: acervo::portal::Periodicity::Daily.period_of(date),
                file_name: format!("arquivo_{number}_{}.txt", date.strftime("%Y%m%d")),
                content: acervo::portal::Content::Bytes(format!("{number} {day}").repeat(10).into()),
                ..first.clone()
            });
        }
        app.portal.add(one);
        for _ in 0..days {
            app.portal.publish(number).await.expect("a delivery");
        }
    }
    app.settled(11).await;
    app.portal.change(3, |one| samples::replace(one, &b"outra"[..]));
    app.portal.enviar(3).await;
    app.settled(12).await;
}

on_each_database!(groups_count_what_lists_show);
async fn groups_count_what_lists_show(db: Db) {
    let app = TestApp::on(db).await;
    some_days(&app).await;
    let data = app
        .query(
            "{ publications(first: 1000) { nodes { process periodStart size storedSize revisionCount } }
            by: publicationStats(groupBy: [PROCESS, PERIOD_MONTH]) {
                process bucket publications revisions size storedSize product status }
            all: publicationStats(groupBy: []) { publications revisions size storedSize } }",
        )
        .await;
    let naive = sums_by_process_and_month(&data["publications"]["nodes"]);
    let row = |row: &Value| {
        assert!(row["product"].is_null() && row["status"].is_null());
        let text = |name: &str| row[name].as_str().expect("a text").to_owned();
        let number = |name: &str| row[name].as_u64().expect("a number");
        let sums = ["publications", "revisions", "size", "storedSize"].map(number);
        ((text("process"), text("bucket")), sums)
    };
    let counted: Sums = data["by"].as_array().expect("a list").iter().map(row).collect();
    assert_eq!(counted, naive);
    let sum = |i: usize| naive.values().map(|sums| sums[i]).sum::<u64>();
    let all = json!([{ "publications": sum(0), "revisions": sum(1), "size": sum(2), "storedSize": sum(3) }]);
    assert_eq!(data["all"], all);
    assert_eq!(sum(1), 12);
}

/// Publications, revisions, bytes as published and bytes as stored, by process and month.
type Sums = BTreeMap<(String, String), [u64; 4]>;

fn sums_by_process_and_month(nodes: &Value) -> Sums {
    let mut naive = Sums::new();
    for node in nodes.as_array().expect("a list") {
        let text = |name: &str| node[name].as_str().expect("a text");
        let sums = naive.entry((text("process").to_owned(), text("periodStart")[..7].to_owned())).or_default();
        for (sum, field) in sums[1..].iter_mut().zip(["revisionCount", "size", "storedSize"]) {
            *sum += node[field].as_u64().expect("a number");
        }
        sums[0] += 1;
    }
    naive
}

on_each_database!(groups_are_filtered_searched_and_limited);
async fn groups_are_filtered_searched_and_limited(db: Db) {
    let app = TestApp::on(db).await;
    some_days(&app).await;
    let data = app
        .query(
            "{ products: publicationStats(groupBy: [PRODUCT], filter: { process: { eq: \"TEMPO REAL\" } }) {
                product publications }
            found: publicationStats(groupBy: [STATUS, EXTENSION, GRANULARITY], search: \"ipdo\") {
                status extension granularity publications }
            one: publicationStats(groupBy: [PERIOD_DAY], limit: 1) { bucket publications } }",
        )
        .await;
    let mut products = data["products"].as_array().expect("a list").clone();
    products.sort_by_key(|row| row["product"].to_string());
    assert_eq!(
        products,
        [json!({ "product": "Acomph", "publications": 4 }), json!({ "product": "IPDO", "publications": 6 })]
    );
    assert_eq!(
        data["found"],
        json!([{ "status": "ARCHIVED", "extension": "txt", "granularity": "DAY", "publications": 6 }])
    );
    assert_eq!(data["one"], json!([{ "bucket": "2025-02-24", "publications": 3 }]));
    for wrong in ["[PERIOD_DAY, ARCHIVED_MONTH]", "[STATUS, STATUS]", "[STATUS], limit: -1"] {
        let answer = app.ask(&format!("{{ publicationStats(groupBy: {wrong}) {{ size }} }}"), json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    }
}

#[tokio::test]
async fn coverage_reports_what_is_missing() {
    let app = TestApp::start().await;
    some_days(&app).await;
    let id = app.query("{ products(filter: { name: { eq: \"IPDO\" } }) { nodes { id } } }").await["products"]["nodes"]
        [0]["id"]
        .clone();
    let query = "query($id: ID!) { coverage(productId: $id, from: \"2025-02-20\", to: \"2025-03-04\") {
        granularity expected archived late missing periods { periodStart periodEnd state publication { fileName } } } }";
    let data = app.query_with(query, json!({ "id": id })).await["coverage"].clone();
    // Monday to Saturday were seen; the second week's days are overdue by more than a year.
    assert_eq!(data["granularity"], "DAY");
    let periods = data["periods"].as_array().expect("a list");
    assert_eq!(
        (data["expected"].as_u64(), data["archived"].as_u64(), data["missing"].as_u64()),
        (Some(8), Some(6), Some(2))
    );
    assert_eq!(periods[0]["publication"]["fileName"], "arquivo_1_20250224.txt");
    assert_eq!((&periods[7]["state"], &periods[7]["periodStart"]), (&json!("MISSING"), &json!("2025-03-04T00:00:00")));
    assert!(periods[7]["publication"].is_null());
    for (from, to) in [("2025-03-05", "2025-03-04"), ("2000-01-01", "2025-01-01")] {
        let query =
            format!("query($id: ID!) {{ coverage(productId: $id, from: \"{from}\", to: \"{to}\") {{ expected }} }}");
        let answer = app.ask(&query, json!({ "id": id })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    }
    let unknown = "{ coverage(productId: \"019a0000-0000-7000-8000-000000000000\",
        from: \"2025-01-01\", to: \"2025-01-02\") { expected } }";
    assert_eq!(app.ask(unknown, json!({})).await["errors"][0]["extensions"]["code"], "NOT_FOUND");
}

#[tokio::test]
async fn suggestions_come_from_the_archive() {
    let app = TestApp::start().await;
    some_days(&app).await;
    let data = app.query("{ suggest(prefix: \"ac\") { text kind publications productId } }").await;
    assert_eq!(data["suggest"][0]["text"], "Acomph");
    assert_eq!((&data["suggest"][0]["kind"], &data["suggest"][0]["publications"]), (&json!("PRODUCT"), &json!(4)));
    let data = app.query("{ suggest(prefix: \"real\") { text kind publications } }").await;
    assert_eq!(data["suggest"], json!([{ "text": "Tempo Real", "kind": "PROCESS", "publications": 10 }]));
    let data = app.query("{ suggest(prefix: \"arquivo_2\", limit: 2) { text kind } }").await;
    assert_eq!(data["suggest"].as_array().map(Vec::len), Some(2));
    assert_eq!(data["suggest"][0]["kind"], "FILE");
    assert_eq!(app.query("{ suggest(prefix: \" \") { text } }").await["suggest"], json!([]));
}

on_each_database!(the_feed_continues_from_any_cursor_and_skips_nothing);
async fn the_feed_continues_from_any_cursor_and_skips_nothing(db: Db) {
    let app = TestApp::on(db).await;
    some_days(&app).await;
    let page = async |after: Value, first: u32| {
        let query = format!(
            "query($a: String) {{ changes(after: $a, first: {first}) {{
                edges {{ cursor node {{ at kind publication {{ id name }} revision {{ number }} }} }}
                pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        app.query_with(&query, json!({ "a": after })).await["changes"].clone()
    };
    let all = page(Value::Null, 1000).await;
    let all = all["edges"].as_array().expect("a list").clone();
    let kinds = |kind: &str| all.iter().filter(|edge| edge["node"]["kind"] == kind).count();
    assert_eq!((kinds("ANNOUNCED"), kinds("ARCHIVED"), kinds("SUPERSEDED")), (11, 12, 1));
    let mut walked = Vec::new();
    let mut after = Value::Null;
    loop {
        let some = page(after.clone(), 3).await;
        walked.extend(some["edges"].as_array().expect("a list").clone());
        if some["pageInfo"]["hasNextPage"] == false {
            after = some["pageInfo"]["endCursor"].clone();
            break;
        }
        after = some["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(walked, all);
    // Nothing new; then exactly the changes made in between.
    let nothing = page(after.clone(), 10).await;
    assert_eq!(nothing["edges"], json!([]));
    assert_eq!(
        nothing["pageInfo"],
        json!({ "hasNextPage": false, "endCursor": after }),
        "a reader continues from there"
    );
    // Without any change the end cursor is the start, and leads to all of them.
    let start = page(Value::Null, 0).await["pageInfo"]["endCursor"].clone();
    assert_eq!(page(start.clone(), 1000).await["edges"].as_array(), Some(&all), "{start}");
    app.portal.change(1, |one| samples::replace(one, &b"mudou"[..]));
    app.portal.enviar(1).await;
    app.settled(13).await;
    let new = page(after, 10).await;
    let kinds: Vec<&Value> =
        new["edges"].as_array().expect("a list").iter().map(|edge| &edge["node"]["kind"]).collect();
    assert_eq!(kinds, ["ARCHIVED", "SUPERSEDED"]);
    let answer = app.ask("{ changes(after: \"xyz\") { nodes { at } } }", json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
}

/// What subscriptions delivered, by their ids.
type Delivered = BTreeMap<String, Vec<Value>>;

/// Adds the data of the next message to what its subscription delivered.
async fn take_next(socket: &mut Socket, delivered: &mut Delivered) {
    let message = socket.next().await;
    let id = message["id"].as_str().expect("an id").to_owned();
    delivered.entry(id).or_default().push(message["payload"]["data"].clone());
}

/// Publishes another revision of a product's file, and waits until it is archived: the portal has the newest file alone.
async fn publish(app: &TestApp, product: u32, number: u64) {
    let data = app.query("{ notifications(first: 1) { totalCount } }").await;
    let before = data["notifications"]["totalCount"].as_u64().expect("a count");
    app.portal.change(product, |one| samples::replace(one, format!("novo {number}")));
    app.portal.enviar(product).await;
    app.settled(before + 1).await;
}

#[tokio::test]
async fn subscriptions_deliver_what_happens() {
    let app = TestApp::start().await;
    some_days(&app).await;
    let mut socket = Socket::open(&app.url).await;
    socket.introduce(json!({ "Authorization": format!("Bearer {KEY}") })).await;
    let archived = "subscription { publicationArchived(filter: { name: { contains: \"ipdo\" } }) {
        number fileName publication { name } } }";
    socket.subscribe("a", archived).await;
    socket.subscribe("n", "subscription { notificationReceived { name status } }").await;
    // A subscription delivers what happens after it began, which it does not report: so both are sent something until they
    // deliver it.
    let mut delivered = Delivered::new();
    let mut number = 1;
    while delivered.len() < 2 {
        number += 1;
        publish(&app, 1, number).await;
        let next = Duration::from_millis(100);
        while tokio::time::timeout(next, take_next(&mut socket, &mut delivered)).await.is_ok() {}
    }
    publish(&app, 2, 1).await;
    publish(&app, 1, number + 1).await;
    let last = json!({ "number": number + 1, "fileName": "arquivo_1_20250301.txt", "publication": { "name": "IPDO" } });
    let is_last = |data: &Value| data["publicationArchived"]["number"] == last["number"];
    let names = |delivered: &Delivered| -> Vec<Value> {
        delivered["n"].iter().map(|data| data["notificationReceived"]["name"].clone()).collect()
    };
    // One subscription may have begun before the other.
    let are_last = |delivered: &Delivered| names(delivered).ends_with(&[json!("Acomph"), json!("IPDO")]);
    while !delivered["a"].last().is_some_and(is_last) || !are_last(&delivered) {
        take_next(&mut socket, &mut delivered).await;
    }
    // Nothing is left out, and nothing of other products is delivered.
    let numbers = delivered["a"].iter().filter_map(|data| data["publicationArchived"]["number"].as_u64());
    let numbers: Vec<u64> = numbers.collect();
    assert_eq!(numbers, (numbers[0]..=number + 1).collect::<Vec<_>>());
    assert_eq!(delivered["a"].last(), Some(&json!({ "publicationArchived": last })));
}

#[tokio::test]
async fn a_socket_without_a_valid_key_is_closed() {
    let app = TestApp::start().await;
    for init in [json!({}), json!({ "authorization": "errado" })] {
        let mut socket = Socket::open(&app.url).await;
        socket.init(init.clone()).await;
        assert_eq!(socket.closed().await.0, 4403, "{init}");
    }
}

/// The longest message that a socket takes, and the longest body of a request.
const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// Hostile documents are refused before the database is queried, over HTTP and over a WebSocket.
#[tokio::test]
async fn hostile_documents_are_refused_without_a_statement() {
    let app = TestApp::with(Options { without_jobs: true, ..Options::default() }).await;
    let statements = Arc::new(Mutex::new(Vec::new()));
    let seen = statements.clone();
    acervo::leaves::record(&app.app)
        .watch_statements(move |statement| seen.lock().expect("a lock").push(statement.sql));
    for (what, query) in hostile::documents() {
        let request = app.client.post(format!("{}/graphql", app.url)).bearer_auth(KEY).json(&json!({ "query": query }));
        let response = request.send().await.expect("a response");
        let status = response.status().as_u16();
        let body: Value = response.json().await.expect("JSON");
        let is_too_long = query.len() > MESSAGE_BYTES_MAX;
        assert_eq!(status, if is_too_long { 413 } else { 200 }, "{what}: {body}");
        assert_eq!(body["errors"][0]["extensions"]["code"].is_string(), !is_too_long, "{what}: {body}");
        assert_eq!(body["data"], Value::Null, "{what}: {body}");
        let mut socket = Socket::connect(&app.url).await;
        if is_too_long {
            socket.is_cut_off_by(json!({ "id": "h", "type": "subscribe", "payload": { "query": query } })).await;
        } else {
            socket.subscribe("h", &query).await;
            let answer = socket.next().await;
            // Those that are refused as a whole are an error, those whose field is refused a result without data.
            let payload = &answer["payload"];
            let errors = if answer["type"] == "error" { payload } else { &payload["errors"] };
            assert!(errors[0]["extensions"]["code"].is_string(), "{what}: {answer}");
            assert_eq!(payload["data"], Value::Null, "{what}: {answer}");
        }
        let statements = std::mem::take(&mut *statements.lock().expect("a lock"));
        assert!(statements.is_empty(), "{what}: {statements:?}");
    }
}

#[tokio::test]
async fn batches_are_refused_and_what_tools_ask_is_answered() {
    let app = TestApp::start().await;
    some_days(&app).await;
    let batch: Vec<Value> = (0..100).map(|_| json!({ "query": "{ status { version } }" })).collect();
    let answer =
        app.client.post(format!("{}/graphql", app.url)).bearer_auth(KEY).json(&batch).send().await.expect("a response");
    assert_eq!(answer.status().as_u16(), 400);
    // A full introspection, and a thousand rows of every column.
    let columns = "{ publications(first: 1000) { totalCount nodes {
        id productId name process macroProcess referenceDate periodStart periodEnd granularity status
        revisionId revisionNumber revisionCount fileName fileExtension contentType size storedSize sha256 fileUrl
        receivedAt archivedAt product { name listPath } } } }";
    assert_eq!(app.query(columns).await["publications"]["totalCount"], 11);
    let introspection = "{ __schema { types { name fields(includeDeprecated: true) {
        name args { name type { name ofType { name ofType { name } } } }
        type { name kind ofType { name kind ofType { name kind ofType { name } } } } } } } }";
    app.query(introspection).await;
}

/// Every pair of a publication's days and the queried days: adjacent, inside, around, overlapping, one day, month ends, and
/// the days on which São Paulo changed its clocks.
#[tokio::test]
async fn periods_overlap_as_days_do() {
    use jiff::ToSpan;
    let app = TestApp::start().await;
    app.leaves_work_unsettled("the links lead nowhere");
    let day = |text: &str| text.parse::<Date>().expect("a day");
    let edges = [
        "2018-11-04",
        "2018-02-18",
        "2018-11-03",
        "2019-02-16",
        "2024-02-29",
        "2025-01-31",
        "2025-03-01",
        "2025-12-31",
    ];
    let mut publications: Vec<(Date, Date)> = Vec::new();
    for edge in edges.map(day) {
        for (before, after) in [(0, 0), (1, 0), (0, 1), (3, 3), (0, 6), (6, 0), (15, 15), (40, 40)] {
            publications.push((edge.saturating_sub(before.days()), edge.saturating_add(after.days())));
        }
    }
    publications.sort();
    publications.dedup();
    for (i, (first, last)) in publications.iter().enumerate() {
        let body = Notice::new(format!("p{i}")).without(&["dataProduto"]);
        let body = body.period(format!("{first}T00:00:00"), format!("{last}T23:59:59"));
        assert_eq!(app.notify(&body.to_string()).await.0, 202);
    }
    let count = publications.len();
    app.until("{ publications { totalCount } }", |data| data["publications"]["totalCount"] == count).await;
    let mut asked = 0;
    for edge in edges.map(day) {
        for from in -4i64..=4 {
            for to in from..=4 {
                let (from, to) = (edge.saturating_add((from * 3).days()), edge.saturating_add((to * 3).days()));
                let ranges = [(Some(from), Some(to)), (Some(from), None), (None, Some(to))];
                for (from, to) in if asked % 9 == 0 { &ranges[..] } else { &ranges[..1] } {
                    are_found(&app, &publications, *from, *to).await;
                }
                asked += 1;
            }
        }
    }
    assert!(asked >= 300, "{asked}");
}

/// The publications that overlap these days, and no others.
async fn are_found(app: &TestApp, publications: &[(Date, Date)], from: Option<Date>, to: Option<Date>) {
    let range = json!({ "from": from.map(|day| day.to_string()), "to": to.map(|day| day.to_string()) });
    let query = "query($r: LocalDateRange!) { publications(first: 1000, filter: { period: $r }) { nodes { name } } }";
    let data = app.query_with(query, json!({ "r": range })).await;
    let nodes = data["publications"]["nodes"].as_array().expect("a list");
    let found: BTreeSet<&str> = nodes.iter().map(|node| node["name"].as_str().expect("a name")).collect();
    let overlaps =
        |(first, last): &(Date, Date)| from.is_none_or(|from| *last >= from) && to.is_none_or(|to| *first <= to);
    let naive: Vec<String> =
        (0..publications.len()).filter(|i| overlaps(&publications[*i])).map(|i| format!("p{i}")).collect();
    assert_eq!(found, naive.iter().map(String::as_str).collect(), "{range}");
}
