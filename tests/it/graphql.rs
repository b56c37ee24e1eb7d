use std::sync::Arc;

use acervo::portal::Version;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::harness::samples::product;
use crate::harness::{Db, KEY, Options, TestApp, on_each_database};

/// Thirty publications of three products, some with the same size and name.
pub async fn some_history(app: &TestApp) {
    for (number, name) in [
        (1, "Precipitação por Satélite – ONS"),
        (2, "DECK NEWAVE DEFINITIVO"),
        (3, "Resultados não consistidos  (PMO)"),
    ] {
        let mut product = product(number, name, "psat_20250220.txt", &b""[..]);
        product.process = if number == 2 { "Médio Prazo".into() } else { "Meteorologia e clima".into() };
        let first = product.versions.remove(0);
        for day in 0..10i64 {
            let date = jiff::civil::date(2025, 2, 20).saturating_add(jiff::Span::new().days(day));
            product.to_come.push(Version {
                period: acervo::portal::Periodicity::Daily.period_of(date),
                file_name: format!("arquivo_{}.txt", date.strftime("%Y%m%d")),
                content: acervo::portal::Content::Bytes(vec![b'x'; 1 + (day as usize % 3)].into()),
                ..first.clone()
            });
        }
        app.portal.add(product);
        for _ in 0..10 {
            app.portal.publish(number).await.expect("a delivery");
        }
    }
    app.settled(30).await;
}

fn ids(page: &Value) -> Vec<String> {
    page["nodes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|node| node["id"].as_str().expect("an id").to_owned())
        .collect()
}

const ORDERS: [&str; 8] = [
    "PERIOD_DESC",
    "PERIOD_ASC",
    "ARCHIVED_DESC",
    "ARCHIVED_ASC",
    "RECEIVED_DESC",
    "NAME_ASC",
    "SIZE_DESC",
    "RELEVANCE",
];

/// A page of publications in an order; RELEVANCE needs a search.
async fn page(app: &TestApp, order: &str, arguments: &str) -> Value {
    let search = if order == "RELEVANCE" { "search: \"arquivo\", " } else { "" };
    let query = format!(
        "{{ publications({search}orderBy: {order}, {arguments}) {{
            totalCount nodes {{ id }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
    );
    app.query(&query).await["publications"].clone()
}

on_each_database!(every_order_pages_forwards_backwards_and_by_offset_the_same);
async fn every_order_pages_forwards_backwards_and_by_offset_the_same(db: Db) {
    let app = TestApp::on(db).await;
    some_history(&app).await;
    for order in ORDERS {
        let whole = page(&app, order, "first: 1000").await;
        let all = ids(&whole);
        assert_eq!((all.len(), whole["totalCount"].as_i64()), (30, Some(30)), "{order}");
        let (mut forwards, mut after) = (Vec::new(), Value::Null);
        loop {
            let some = page(&app, order, &format!("first: 7, after: {after}")).await;
            assert_eq!(some["totalCount"], 30);
            assert_eq!(some["pageInfo"]["hasPreviousPage"], !after.is_null());
            forwards.extend(ids(&some));
            after = some["pageInfo"]["endCursor"].clone();
            if some["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        assert_eq!(forwards, all, "{order} forwards");
        let (mut backwards, mut before) = (Vec::new(), Value::Null);
        loop {
            let some = page(&app, order, &format!("last: 7, before: {before}")).await;
            backwards = [ids(&some), backwards].concat();
            before = some["pageInfo"]["startCursor"].clone();
            if some["pageInfo"]["hasPreviousPage"] == false {
                break;
            }
        }
        assert_eq!(backwards, all, "{order} backwards");
        let mut by_offset = Vec::new();
        for offset in (0..30).step_by(7) {
            by_offset.extend(ids(&page(&app, order, &format!("first: 7, offset: {offset}")).await));
        }
        assert_eq!(by_offset, all, "{order} by offset");
    }
}

on_each_database!(notifications_page_newest_first);
async fn notifications_page_newest_first(db: Db) {
    let app = TestApp::on(db).await;
    some_history(&app).await;
    let page = async |arguments: String| {
        let query =
            format!("{{ notifications({arguments}) {{ nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }} }}");
        app.query(&query).await["notifications"].clone()
    };
    let all = ids(&page("first: 1000".into()).await);
    let mut sorted = all.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    assert_eq!(all, sorted, "newest first");
    let first = page("first: 20".into()).await;
    let rest = page(format!("first: 20, after: {}", first["pageInfo"]["endCursor"])).await;
    assert_eq!([ids(&first), ids(&rest)].concat(), all);
    assert_eq!(ids(&page("last: 3".into()).await), all[27..]);
}

/// Filters, and how many publications and revisions each leaves.
const NARROWED: &[(&str, u64)] = &[
    ("name: { eq: \"precipitacao  por SATELITE – ons\" }", 10),
    ("name: { eq: \"precipitacao\" }", 0),
    ("name: { in: [\"DECK NEWAVE DEFINITIVO\", \"nada\"] }", 10),
    ("name: { contains: \"SATÉLITE\" }", 10),
    ("name: { contains: \"consistidos (pmo)\" }", 10),
    ("name: { contains: \".*\" }", 0),
    ("name: { startsWith: \"deck\" }", 10),
    ("name: { startsWith: \"newave\" }", 0),
    ("process: { eq: \"MEDIO PRAZO\" }", 10),
    ("macroProcess: { contains: \"sistema\" }", 30),
    ("fileName: { contains: \"20250221\" }", 3),
    ("referenceDate: { eq: \"21/02/2025\" }", 3),
    ("extension: [\"TXT\", \"zip\"]", 30),
    ("extension: [\"zip\"]", 0),
    ("granularity: [DAY]", 30),
    ("granularity: [WEEK, MONTH]", 0),
    ("status: [ARCHIVED]", 30),
    ("status: [AWAITED, LOST, PURGED]", 0),
    ("status: []", 0),
    ("period: { from: \"2025-02-28\" }", 6),
    ("period: { to: \"2025-02-20\" }", 3),
    ("period: { from: \"2025-02-21\", to: \"2025-02-22\" }", 6),
    ("archivedAt: { from: \"2020-01-01T00:00:00Z\", to: \"2021-01-01T00:00:00Z\" }", 0),
    ("archivedAt: { from: \"2021-01-01T00:00:00Z\" }, name: { contains: \"deck\" }", 10),
    ("receivedAt: { to: \"2021-01-01T00:00:00Z\" }", 0),
    ("id: []", 0),
];

/// Filters of products, and of notifications.
const NARROWED_PRODUCTS: &[(&str, u64)] = &[
    ("name: { contains: \"deck\" }", 1),
    ("listPath: { eq: \"/sites/7/39/Produtos/2\" }", 1),
    ("process: { eq: \"meteorologia e clima\" }", 2),
];
const NARROWED_NOTIFICATIONS: &[(&str, u64)] = &[
    ("name: { contains: \"deck\" }", 10),
    ("status: [ARCHIVED]", 30),
    ("source: [\"default\"]", 30),
    ("source: [\"outra\"]", 0),
    ("name: { contains: \"100%\" }", 0),
];

#[tokio::test]
async fn filters_narrow() {
    let app = TestApp::start().await;
    some_history(&app).await;
    for (list, filters) in [
        ("publications", NARROWED),
        ("revisions", NARROWED),
        ("products", NARROWED_PRODUCTS),
        ("notifications", NARROWED_NOTIFICATIONS),
    ] {
        for (filter, expected) in filters {
            let data = app.query(&format!("{{ {list}(filter: {{ {filter} }}) {{ totalCount }} }}")).await;
            assert_eq!(data[list]["totalCount"], *expected, "{list}: {filter}");
        }
    }
    let one = app.query("{ publications(first: 1) { nodes { id productId } } }").await;
    let one = &one["publications"]["nodes"][0];
    for (filter, expected) in [(format!("id: [{}]", one["id"]), 1), (format!("productId: [{}]", one["productId"]), 10)]
    {
        let data = app.query(&format!("{{ publications(filter: {{ {filter} }}) {{ totalCount }} }}")).await;
        assert_eq!(data["publications"]["totalCount"], expected, "{filter}");
    }
}

#[tokio::test]
async fn searches_find_what_people_write() {
    let app = TestApp::start().await;
    some_history(&app).await;
    for (text, found) in [
        ("satelite precipitacao", 10),
        ("PRECIPITAÇÃO", 10),
        ("precip", 10),
        ("satelite precip", 10),
        ("precip satelite", 0),
        ("definitivo newave", 10),
        ("consistidos pmo", 10),
        ("arquivo 20250225", 3),
        ("arquivo_20250225.txt", 3),
        ("medio prazo", 10),
        ("meteorologia deck", 0),
        ("zzz", 0),
        ("!!!", 0),
        ("   ", 30),
    ] {
        let data = app
            .query_with(
                "query($t: String!) { publications(search: $t) { totalCount nodes { score } } }",
                json!({ "t": text }),
            )
            .await;
        assert_eq!(data["publications"]["totalCount"], found, "{text}");
        if found > 0 && !text.trim().is_empty() {
            assert!(data["publications"]["nodes"][0]["score"].as_f64().expect("a score") > 0.0, "{text}");
        }
    }
    let query = "{ products(search: \"satelite\", orderBy: RELEVANCE) { nodes {
        name publicationCount revisionCount firstPeriodStart lastPeriodEnd lastNotification { status }
        publications(first: 2) { totalCount nodes {
            product { name } revisions { number publication { name } } notifications { totalCount } } } } } }";
    let products = app.query(query).await;
    let product = &products["products"]["nodes"][0];
    assert_eq!((product["publicationCount"].as_i64(), product["revisionCount"].as_i64()), (Some(10), Some(10)));
    assert_eq!(
        (product["firstPeriodStart"].as_str(), product["lastPeriodEnd"].as_str()),
        (Some("2025-02-20T00:00:00"), Some("2025-03-01T23:59:59"))
    );
    assert_eq!(product["lastNotification"]["status"], "ARCHIVED");
    assert_eq!(product["publications"]["nodes"][0]["revisions"][0]["publication"]["name"], product["name"]);
    assert_eq!(product["publications"]["nodes"][0]["notifications"]["totalCount"], 1);
}

#[tokio::test]
async fn a_rename_is_seen_everywhere_and_the_old_name_still_finds() {
    let app = TestApp::start().await;
    some_history(&app).await;
    app.portal.change(1, |product| product.name = "Chuva por Satélite".into());
    app.portal.enviar(1).await;
    app.settled(31).await;
    for filter in ["name: { eq: \"Precipitação por Satélite – ONS\" }", "name: { eq: \"chuva por satelite\" }"] {
        let query = format!(
            "{{ publications(filter: {{ {filter} }}) {{ totalCount nodes {{ name }} }}
            products(filter: {{ {filter} }}) {{ nodes {{ name aliases {{ name firstSeenAt lastSeenAt }} }} }}
            notifications(filter: {{ {filter} }}) {{ totalCount }} }}"
        );
        let data = app.query(&query).await;
        assert_eq!(data["publications"]["totalCount"], 10, "{filter}");
        assert!(
            data["publications"]["nodes"]
                .as_array()
                .expect("a list")
                .iter()
                .all(|node| node["name"] == "Chuva por Satélite")
        );
        assert_eq!(data["products"]["nodes"][0]["aliases"].as_array().map(Vec::len), Some(2));
        assert_eq!(data["notifications"]["totalCount"], 11);
    }
}

#[tokio::test]
async fn bounds_are_named_and_nothing_is_clamped() {
    let app = TestApp::start().await;
    some_history(&app).await;
    let page = app.query("{ publications(first: 1) { pageInfo { endCursor } } }").await;
    let cursor = page["publications"]["pageInfo"]["endCursor"].clone();
    let cases = [
        ("publications(first: 1001)".to_owned(), "BAD_USER_INPUT", "`first` is 1001: it must be from 0 to 1000"),
        ("publications(first: -1)".to_owned(), "BAD_USER_INPUT", "`first` is -1"),
        ("publications(last: 1001)".to_owned(), "BAD_USER_INPUT", "`last` is 1001"),
        ("publications(first: 1, last: 1)".to_owned(), "BAD_USER_INPUT", "`first` and `last`"),
        ("publications(offset: -1)".to_owned(), "BAD_USER_INPUT", "`offset` is -1"),
        ("publications(after: \"nonsense\")".to_owned(), "BAD_USER_INPUT", "the cursor `nonsense`"),
        (format!("publications(orderBy: NAME_ASC, after: {cursor})"), "BAD_USER_INPUT", "the cursor `"),
        (format!("notifications(after: {cursor})"), "BAD_USER_INPUT", "the cursor `"),
        ("publications(filter: { id: [\"x\"] })".to_owned(), "BAD_USER_INPUT", "`filter.id` is `x`"),
        (
            "publications(filter: { period: { from: \"20/02/2025\" } })".to_owned(),
            "BAD_USER_INPUT",
            "`20/02/2025` is not a valid day",
        ),
        ("publications(asOf: \"ontem\")".to_owned(), "BAD_USER_INPUT", "`ontem` is not a valid instant"),
        ("publications(orderBy: NONE)".to_owned(), "BAD_USER_INPUT", "NONE"),
    ];
    for (field, code, message) in cases {
        let answer = app.ask(&format!("{{ {field} {{ totalCount }} }}"), json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{field}: {answer}");
        assert!(answer["errors"][0]["message"].as_str().expect("a message").contains(message), "{field}: {answer}");
    }
    for (query, code) in [
        ("{ nonsense }", "BAD_USER_INPUT"),
        ("{", "BAD_USER_INPUT"),
        ("{ publication(id: \"x\") { id } }", "BAD_USER_INPUT"),
        (&format!("{{ {} id {} }}", "publications { nodes { product {".repeat(6), "} } }".repeat(6)), "TOO_COMPLEX"),
    ] {
        let answer = app.ask(query, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{query}: {answer}");
    }
    let query = "query($id: ID!) { publication(id: $id) { id } product(id: $id) { id } }";
    let nothing = app.query_with(query, json!({ "id": "0198b5c0-0000-7000-8000-000000000000" })).await;
    assert_eq!(nothing, json!({ "publication": null, "product": null }));
}

/// A service with the administrator's key of the tests and a reader's, `leitor`.
async fn with_a_reader() -> TestApp {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let config = folder.path().join("acervo.toml");
    let hash = acervo::config::hash_of_key("leitor");
    let key = format!("[[api.keys]]\nname = \"bi\"\nrole = \"reader\"\nhash = \"{hash}\"\n");
    std::fs::write(&config, key).expect("a file");
    TestApp::with(Options { folder: Some(folder), config: Some(config), without_jobs: true, ..Options::default() })
        .await
}

#[tokio::test]
async fn keys_open_in_every_form() {
    let app = with_a_reader().await;
    let url = format!("{}/graphql", app.url);
    let query = json!({ "query": "{ status { version } }" });
    let post = || app.client.post(&url).json(&query);
    let by_query = "?key=leitor&query={status{version}}";
    for (number, (request, expected)) in [
        (post().bearer_auth(KEY), 200),
        (post().bearer_auth("leitor"), 200),
        (post().header("authorization", "leitor"), 200),
        (post().basic_auth("qualquer", Some("leitor")), 200),
        (app.client.get(format!("{url}{by_query}")), 200),
        (app.client.post(format!("{url}?key=leitor")).json(&query), 401),
        (post(), 401),
        (post().bearer_auth("outro"), 401),
    ]
    .into_iter()
    .enumerate()
    {
        let response = request.send().await.expect("a response");
        assert_eq!(response.status().as_u16(), expected, "request {number}");
    }
}

#[tokio::test]
async fn roles_hold() {
    let app = with_a_reader().await;
    let url = format!("{}/graphql", app.url);
    let retry = json!({ "query": "mutation { retryNotifications(filter: {}) { matched } }" });
    let send = async |key: &str| -> Value {
        let request = app.client.post(&url).bearer_auth(key).json(&retry);
        request.send().await.expect("a response").json().await.expect("JSON")
    };
    assert_eq!(send("leitor").await["errors"][0]["extensions"]["code"], "FORBIDDEN");
    assert_eq!(send(KEY).await["data"]["retryNotifications"]["matched"], 0);
    // A GET request never changes anything, whatever its key.
    let mutation = format!("{url}?key={KEY}&query=mutation{{retryNotifications(filter:{{}}){{matched}}}}");
    assert_eq!(app.client.get(mutation).send().await.expect("a response").status(), 405);
}

#[tokio::test]
async fn requests_of_common_tools_are_answered() {
    let app = TestApp::start().await;
    let url = format!("{}/graphql", app.url);
    let send = |request: reqwest::RequestBuilder| async {
        let answer = request.bearer_auth(KEY).send().await.expect("a response");
        let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
        (answer.status().as_u16(), kind)
    };
    let valid = json!({ "query": "{ status { version } }", "variables": null, "operationName": null });
    assert_eq!(send(app.client.post(&url).json(&valid)).await, (200, "application/json; charset=utf-8".into()));
    let newer = "application/graphql-response+json";
    assert_eq!(
        send(app.client.post(&url).header("accept", newer).json(&valid)).await,
        (200, format!("{newer}; charset=utf-8"))
    );
    assert_eq!(send(app.client.post(&url).header("accept", newer).json(&json!({ "query": "{" }))).await.0, 400);
    assert_eq!(send(app.client.post(&url).json(&json!({ "query": "{" }))).await.0, 200);
    for body in [
        "{",
        "[]",
        "{}",
        "{\"query\":1}",
        "{\"query\":\"{status{version}}\",\"variables\":[]}",
        "{\"query\":\"{status{version}}\",\"operationName\":1}",
    ] {
        assert_eq!(
            send(app.client.post(&url).header("content-type", "application/json").body(body)).await.0,
            400,
            "{body}"
        );
    }
    assert_eq!(send(app.client.post(&url).header("content-type", "text/plain").body("{}")).await.0, 415);
    assert_eq!(send(app.client.put(&url).json(&valid)).await.0, 405);
    let named = "query A { status { version } } mutation B { retryNotifications(filter: {}) { matched } }";
    assert_eq!(send(app.client.get(&url).query(&[("query", named), ("operationName", "A")])).await.0, 200);
    assert_eq!(send(app.client.get(&url).query(&[("query", named), ("operationName", "B")])).await.0, 405);
}

on_each_database!(a_response_is_never_older_than_a_commit_of_any_process);
/// Pages are cached until something is committed, by any process.
async fn a_response_is_never_older_than_a_commit_of_any_process(db: Db) {
    let app = TestApp::on(db).await;
    app.portal.add(product(1, "Nome", "a.txt", "x"));
    app.archive(1).await;
    let other = app.database().await;
    for turn in 0..50 {
        for what in [format!("products SET name = 'Nome {turn}'"), format!("files SET size = {turn}")] {
            other.execute_unprepared(&format!("UPDATE {what}")).await.expect("a commit");
        }
        for _ in 0..3 {
            let data = app.query("{ publications { nodes { name } } status { size } }").await;
            assert_eq!(data["publications"]["nodes"][0]["name"], format!("Nome {turn}"), "{db:?}");
            assert_eq!(data["status"]["size"], turn, "{db:?}");
            // A list alone may be answered with the response to an earlier request.
            let data = app.query("{ publications { nodes { name size } } }").await;
            assert_eq!(
                data["publications"]["nodes"][0],
                json!({ "name": format!("Nome {turn}"), "size": turn }),
                "{db:?}"
            );
        }
    }
}
