use acervo::portal::{Content, Periodicity, Version};
use serde_json::{Value, json};

use crate::graphql::some_history;
use crate::harness::samples::{product, zip};
use crate::harness::{Db, TestApp, on_each_database};

fn refused<'a>(answer: &'a Value, what: &str) -> &'a str {
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{what}: {answer}");
    answer["errors"][0]["message"].as_str().expect("a message")
}

on_each_database!(long_and_odd_texts_are_compared_or_refused);
/// Texts up to the bound are compared, longer ones and control characters refused, whatever answers them.
async fn long_and_odd_texts_are_compared_or_refused(db: Db) {
    let app = TestApp::on(db).await;
    some_history(&app).await;
    for list in ["publications", "revisions", "products", "notifications"] {
        let kind = match list {
            "products" => "ProductFilter",
            "notifications" => "NotificationFilter",
            _ => "PublicationFilter",
        };
        let query = format!("query($f: {kind}) {{ {list}(filter: $f) {{ totalCount }} }}");
        for way in ["contains", "startsWith", "eq", "in"] {
            long_texts_are_compared(&app, &query, list, way).await;
            odd_texts_are_refused(&app, &query, list, way).await;
        }
        // White space of every kind is white space.
        let answer = app.ask(&query, json!({ "f": { "name": { "contains": "NEWAVE\t\n definitivo" } } })).await;
        assert!(answer["data"][list]["totalCount"].as_i64() > Some(0), "{db:?} {list}: {answer}");
        let many: Vec<String> = (0..5_001).map(|n| n.to_string()).collect();
        let answer = app.ask(&query, json!({ "f": { "name": { "in": many } } })).await;
        assert!(refused(&answer, list).contains("5001 values: at most 5000"), "{answer}");
        let answer = app.ask(&query, json!({ "f": { "name": { "in": many[1..] } } })).await;
        assert_eq!(answer["data"][list]["totalCount"], 0, "{db:?} {list}: {answer}");
    }
    for query in [
        "{ notifications(filter: { source: [\"a\\u0000\"] }) { totalCount } }",
        "{ publications(filter: { extension: \"\\u0000\" }) { totalCount } }",
        "{ publicationStats(groupBy: [], filter: { fileName: { contains: \"\\u0000\" } }) { publications } }",
        "{ jobRuns(name: \"\\u0000\") { totalCount } }",
        "{ revisions(first: 1) { nodes { members(match: \"\\u0000\") { totalCount } } } }",
        "mutation { retryNotifications(filter: { name: { contains: \"\\u0000\" } }) { matched } }",
    ] {
        let answer = app.ask(query, json!({})).await;
        assert!(refused(&answer, query).contains("U+0000"), "{db:?} {query}: {answer}");
    }
}

async fn long_texts_are_compared(app: &TestApp, query: &str, list: &str, way: &str) {
    for length in [1, 480, 500, 1_000, 2_000] {
        for letter in ["a", "ç", "漢", "%", "\\", ".", "aé"] {
            let text: String = letter.chars().cycle().take(length).collect();
            let text = if length == 1 { format!("{text}zzz") } else { text };
            let answer = app.ask(query, json!({ "f": { "name": { way: text } } })).await;
            assert_eq!(answer["data"][list]["totalCount"], 0, "{list} {way} {length} {letter}: {answer}");
        }
    }
}

async fn odd_texts_are_refused(app: &TestApp, query: &str, list: &str, way: &str) {
    for (text, problem) in [
        ("a".repeat(2_001), "2001 characters: at most 2000"),
        // Each of these is eighteen once it is folded.
        ("\u{fdfa}".repeat(200), "at most 2000"),
        ("a\0b".to_owned(), "U+0000"),
        ("\u{1b}[31m".to_owned(), "U+001B"),
        ("x\u{7f}".to_owned(), "U+007F"),
    ] {
        let answer = app.ask(query, json!({ "f": { "name": { way: text } } })).await;
        let message = refused(&answer, &format!("{list} {way}"));
        assert!(message.contains(problem) && message.contains(&format!("`name.{way}`")), "{message}");
    }
}

/// Searches for what no name holds, as long as is taken, in every order.
#[tokio::test]
async fn long_searches_find_nothing_or_are_refused() {
    let app = TestApp::start().await;
    some_history(&app).await;
    let query = "query($t: String!, $o: PublicationOrder!) { publications(search: $t, orderBy: $o) { totalCount nodes { score } } }";
    for text in
        ["漢".repeat(400), "漢".repeat(500), "a".repeat(500), "1".repeat(500), "a b ".repeat(125), "\u{1b}\0zzz".into()]
    {
        for order in ["RELEVANCE", "PERIOD_DESC"] {
            let answer = app.ask(query, json!({ "t": text, "o": order })).await;
            assert!(answer["errors"].is_null(), "{order} {text}: {answer}");
        }
        let answer = app
            .ask(
                "query($t: String!) { suggest(prefix: $t) { text } products(search: $t) { totalCount } }",
                json!({ "t": text }),
            )
            .await;
        assert!(answer["errors"].is_null(), "{text}: {answer}");
    }
    let answer = app.ask(query, json!({ "t": "漢".repeat(501), "o": "RELEVANCE" })).await;
    assert!(refused(&answer, "search").contains("at most 500"), "{answer}");
}

on_each_database!(an_export_is_refused_before_its_first_byte);
/// An export is refused before its first byte, or it is whole.
async fn an_export_is_refused_before_its_first_byte(db: Db) {
    let app = TestApp::on(db).await;
    some_history(&app).await;
    for list in ["publications.csv", "revisions.ndjson", "notifications.csv"] {
        for length in [480, 600, 1_000, 2_000] {
            let answer = app.get(&format!("/export/{list}?name={}", "a".repeat(length))).await;
            assert_eq!(answer.status(), 200, "{db:?} {list} {length}");
            assert!(answer.bytes().await.is_ok(), "{db:?} {list} {length}");
        }
        for text in ["a".repeat(2_001), "%00".into(), "%1B".into()] {
            let answer = app.get(&format!("/export/{list}?name={text}")).await;
            assert_eq!(answer.status(), 400, "{db:?} {list}");
            assert!(answer.text().await.expect("a body").contains("`name.contains`"), "{db:?} {list}");
        }
    }
}

fn dated(
    number: u32,
    name: &str,
    file: &str,
    periodicity: Periodicity,
    day: jiff::civil::Date,
) -> acervo::portal::Product {
    let mut product = product(number, name, file, format!("{number}"));
    product.periodicity = periodicity;
    product.versions[0] = Version { period: periodicity.period_of(day), ..product.versions[0].clone() };
    product
}

/// What people search for, and the names that are found.
const DATES: &[(&str, &[&str])] = &[
    ("24/09/2025", &["Diário", "Satélite"]),
    ("24-09-2025", &["Diário", "Satélite"]),
    ("24.09.2025", &["Diário", "Satélite"]),
    ("2025-09-24", &["Diário", "Satélite"]),
    ("20250924", &["Diário", "Satélite"]),
    ("24092025", &["Diário", "Satélite"]),
    ("24/9/2025", &["Diário", "Satélite"]),
    ("diario 24/09/2025", &["Diário"]),
    ("24/09/2025 satelite", &["Satélite"]),
    ("o satelite de 24/09/2025", &["Satélite"]),
    ("24/09/2025 25/09/2025", &[]),
    ("09/2025", &["Diário", "Outro dia", "Satélite"]),
    ("2025-09", &["Diário", "Outro dia", "Satélite"]),
    ("202509", &["Diário", "Outro dia", "Satélite"]),
    ("10/2025", &["DECOMP", "Mensal"]),
    ("202510", &["DECOMP", "Mensal"]),
    ("decomp 10/2025", &["DECOMP"]),
    ("DC202510", &["DECOMP"]),
    ("03/11/2025", &["Com membros"]),
    ("11/2025", &["Com membros"]),
    ("12/08/2025", &["Ata 12.08.2025"]),
    ("ata 20250812", &["Ata 12.08.2025"]),
    ("26/09/2025", &[]),
    ("31/02/2025", &[]),
    ("psat", &["Satélite"]),
    ("24/09", &[]),
];

/// Dates as people write them find by reference date, by period, and inside the names of products, files and members.
#[tokio::test]
async fn whole_dates_are_found_as_people_write_them() {
    let app = TestApp::start().await;
    let day = jiff::civil::date;
    let members = zip(&[("pasta/nw20251103.dat", b"x")]);
    let mut with_members = dated(6, "Com membros", "pacote.zip", Periodicity::Daily, day(2024, 1, 5));
    with_members.versions[0].content = Content::Bytes(members.into());
    let products = [
        dated(1, "Diário", "a.txt", Periodicity::Daily, day(2025, 9, 24)),
        dated(2, "Outro dia", "b.txt", Periodicity::Daily, day(2025, 9, 25)),
        dated(3, "Mensal", "c.txt", Periodicity::Monthly, day(2025, 10, 1)),
        dated(4, "DECOMP", "DC202510-sem1.zip", Periodicity::Daily, day(2024, 1, 6)),
        dated(5, "Satélite", "psat_24092025.txt", Periodicity::Daily, day(2024, 1, 7)),
        with_members,
        dated(7, "Ata 12.08.2025", "ata.pdf", Periodicity::Daily, day(2024, 1, 8)),
    ];
    let total = products.len() as u64;
    for product in products {
        let number = app.portal.add(product);
        app.portal.enviar(number).await;
    }
    app.settled(total).await;
    for &(search, names) in DATES {
        for order in ["PERIOD_DESC", "RELEVANCE"] {
            let query = "query($t: String!, $o: PublicationOrder!) {
                publications(search: $t, orderBy: $o) { nodes { name score } } }";
            let data = app.query_with(query, json!({ "t": search, "o": order })).await;
            let nodes = data["publications"]["nodes"].as_array().expect("a list");
            let mut found: Vec<&str> = nodes.iter().filter_map(|node| node["name"].as_str()).collect();
            found.sort_unstable();
            assert_eq!(found, names, "{search} {order}");
        }
    }
}

on_each_database!(the_ends_of_the_calendar_are_instants);
/// Tools send the last day of the calendar for "no end", and its first for "no beginning".
async fn the_ends_of_the_calendar_are_instants(db: Db) {
    let app = TestApp::on(db).await;
    some_history(&app).await;
    let all = app.query("{ notifications { totalCount } }").await;
    let open = json!({ "from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59.9999999Z" });
    for field in ["archivedAt", "receivedAt"] {
        let query = "query($f: PublicationFilter) {
            publications(filter: $f) { totalCount } revisions(filter: $f) { totalCount } }";
        let data = app.query_with(query, json!({ "f": { field: open } })).await;
        assert!(data["publications"]["totalCount"].as_i64() > Some(0), "{db:?} {field}: {data}");
        let none = app.query_with(query, json!({ "f": { field: { "from": open["to"] } } })).await;
        assert_eq!(none["publications"]["totalCount"], 0, "{db:?} {field}");
    }
    let query = "query($f: NotificationFilter) { notifications(filter: $f) { totalCount } }";
    let data = app.query_with(query, json!({ "f": { "receivedAt": open } })).await;
    assert_eq!(data["notifications"], all["notifications"], "{db:?}");
    let query = "query($at: DateTime) { publications(asOf: $at) { totalCount } }";
    let data = app.query_with(query, json!({ "at": open["to"] })).await;
    assert!(data["publications"]["totalCount"].as_i64() > Some(0), "{db:?}: {data}");
    let answer = app.ask(query, json!({ "at": "9999-12-32T00:00:00Z" })).await;
    assert!(refused(&answer, "asOf").contains("9999-12-32T00:00:00Z"), "{answer}");
}
