pub mod drawn;

use acervo::graphql::{Caller, FieldByField, TakesJson, to_json};
use acervo::leaves::record::Notification;
use acervo::query::{PublicationRow, Queries, RevisionRow, StatsRow, TableRow};
use async_graphql::{Executor, Request, Variables};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::graphql::some_history;
use crate::harness::TestApp;
use drawn::{Drawn, Types};

/// The columns of a row that are fields in GraphQL, where a notification has its publication and revision as objects.
pub fn fields_of<Row: TableRow>() -> Vec<&'static str> {
    let is_field = |name: &&str| Row::column("attempts").is_none() || !["publicationId", "revisionId"].contains(name);
    Row::COLUMNS.iter().map(|column| column.name).filter(is_field).collect()
}

fn types() -> Types {
    Types::new([
        fields_of::<PublicationRow>(),
        fields_of::<RevisionRow>(),
        fields_of::<Notification>(),
        fields_of::<StatsRow>(),
    ])
}

fn request(text: &str, variables: &Value) -> Request {
    let caller = Caller { may_operate: true, may_administer: true, name: "teste".into() };
    Request::new(text).variables(Variables::from_json(variables.clone())).data(caller)
}

/// The lists are selected in every way that fragments, aliases, repeated selections and conditions allow. The fast path, the
/// resolvers of each field and a direct implementation of the specification give the same result.
#[test]
fn random_documents_are_merged_as_the_specification_says() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let app = runtime.block_on(async {
        let app = TestApp::start().await;
        some_history(&app).await;
        let announced = r#"{ "nome": "só anunciado", "dataProduto": "09/05/2025", "url": "https://example.com/x" }"#;
        assert_eq!(app.notify(announced).await.0, 202);
        app.settled(31).await;
        assert_eq!(app.query("{ publications { totalCount } }").await["publications"]["totalCount"], 31);
        app
    });
    let types = types();
    let schema = acervo::graphql::schema(&app.app, &Queries::new(app.app.clone()));
    let answer = |request: Request| -> Value {
        let answer = runtime.block_on(schema.execute(request));
        let json = to_json(&answer).expect("JSON");
        let read: Value = serde_json::from_slice(&json).expect("JSON");
        // A key that is written twice would not be visible in the parsed value.
        assert_eq!(read.to_string().len(), json.len(), "{read}");
        read
    };
    // Every row and column first: the lists of columns and the resolvers of fields agree.
    let all = types.everything().replace("3", "100");
    let slow = answer(request(&all, &json!({})).data(FieldByField));
    assert_eq!(slow["data"]["publications"]["nodes"].as_array().map(Vec::len), Some(31), "{slow}");
    assert_eq!(answer(request(&all, &json!({})).data(TakesJson)), slow);
    assert_eq!(answer(request(&all, &json!({}))), slow);
    let everything = answer(request(&types.everything(), &json!({})).data(FieldByField));
    assert_eq!(everything["errors"], Value::Null);
    let data = &everything["data"];
    assert_eq!(data["publicationStats"].as_array().map(Vec::len), Some(7), "{data}");
    // `PROPTEST_CASES` makes it a longer run.
    let config = crate::harness::cases(ProptestConfig::default().cases);
    proptest!(config, |(bytes in prop::collection::vec(any::<u8>(), 0..200))| {
        let drawn = Drawn::new(&types, &bytes);
        let (text, variables) = (drawn.text(), drawn.variables());
        let expected = json!({ "data": drawn.answer(data) });
        let quick = answer(request(&text, &variables).data(TakesJson));
        prop_assert_eq!(&quick, &expected, "written flat: {}", text);
        let slow = answer(request(&text, &variables).data(TakesJson).data(FieldByField));
        prop_assert_eq!(&slow, &expected, "field by field: {}", text);
        // Over a WebSocket the lists are values, not JSON.
        let values = answer(request(&text, &variables));
        prop_assert_eq!(&values, &expected, "as values: {}", text);
    });
    runtime.block_on(async move { app.stop().await });
}

/// Documents that cannot be merged, or with invalid fragments, and a part of the error.
const NOT_MERGED: &[(&str, &str)] = &[
    ("{ publications { nodes { a: name a: size } } }", "selected as `a`"),
    ("{ publications { nodes { a: name ... on Publication { a: size } } } }", "selected as `a`"),
    ("{ publications(first: 1) { totalCount } ... { publications(first: 2) { totalCount } } }", "different arguments"),
    (
        "{ publications { ...A } } fragment A on PublicationConnection { ...B }
            fragment B on PublicationConnection { ...A }",
        "ecursion",
    ),
    (
        "{ publications { nodes { ...A } } }
            fragment A on Publication { product { publications { nodes { ...A } } } }",
        "",
    ),
    ("{ publications { ...Missing } }", "Missing"),
    ("{ publications { totalCount } } fragment Unused on Publication { name }", "Unused"),
    ("query($x: Int) { publications { totalCount } }", "x"),
    ("{ publications(first: $x) { totalCount } }", "x"),
    ("{ publications { totalCount @skip(unless: true) } }", ""),
    ("{ publications { totalCount @skip } }", ""),
    ("{ publications { totalCount @sometimes(if: true) } }", "sometimes"),
    ("{ publications { ... on Product { name } } }", "Product"),
];

/// Documents that select one list twice, and the fields that an object of the answer has.
const MERGED: &[(&str, &str, &[&str])] = &[
    ("{ publications { nodes { name } nodes { size } } }", "/publications/nodes/0", &["name", "size"]),
    (
        "{ publications { nodes { name } } publications { nodes { size name } } }",
        "/publications/nodes/0",
        &["name", "size"],
    ),
    ("{ publications { nodes { product { name } } nodes { name } } }", "/publications/nodes/0", &["name", "product"]),
    (
        "{ revisions { edges { node { size } } edges { node { fileName } cursor } } }",
        "/revisions/edges/0/node",
        &["fileName", "size"],
    ),
    (
        "{ publications { nodes { product { name } ... { product { id } } } } }",
        "/publications/nodes/0/product",
        &["id", "name"],
    ),
    (
        "{ publicationStats(groupBy: [PRODUCT]) { product }
                ... on Query { publicationStats(groupBy: [PRODUCT]) { publications } } }",
        "/publicationStats/0",
        &["product", "publications"],
    ),
    (
        "query A { publications { ...N ...S } } query B { status { ready } }
            fragment N on PublicationConnection { nodes { name } }
            fragment S on PublicationConnection { nodes { sha256 @skip(if: true) size } }",
        "/publications/nodes/0",
        &["name", "size"],
    ),
];

/// A list that is selected twice has the fields of both selections.
#[tokio::test]
async fn selections_of_one_list_are_merged() {
    let app = TestApp::start().await;
    some_history(&app).await;
    for &(query, path, keys) in MERGED {
        let body = json!({ "query": query, "operationName": query.starts_with("query A").then_some("A") });
        let answer = send(&app, &body).await.1;
        let object = answer["data"].pointer(path).and_then(Value::as_object);
        let found: Vec<&str> = object.map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default();
        let found: std::collections::BTreeSet<&str> = found.into_iter().collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), keys, "{query}: {answer}");
    }
}

#[tokio::test]
async fn selections_that_cannot_be_merged_are_refused() {
    let app = TestApp::start().await;
    for &(query, message) in NOT_MERGED {
        let (status, answer) = send(&app, &json!({ "query": query })).await;
        assert_eq!((status, answer["data"].clone()), (200, Value::Null), "{query}: {answer}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{query}: {answer}");
        assert!(answer["errors"].to_string().contains(message), "{query}: {answer}");
    }
}

async fn send(app: &TestApp, body: &Value) -> (u16, Value) {
    let request = app.client.post(format!("{}/graphql", app.url)).bearer_auth(crate::harness::KEY).json(body);
    let answer = request.send().await.expect("a response");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

/// Everything that a document skips leaves an object without fields, which is not null.
#[tokio::test]
async fn an_object_of_which_all_is_skipped_is_empty() {
    let app = TestApp::start().await;
    some_history(&app).await;
    let query = "query($all: Boolean!) {
        status { version @include(if: $all) }
        publications(first: 2) { nodes { name @include(if: $all) ... @include(if: $all) { size } } }
        products(first: 1) @include(if: $all) { totalCount } }";
    let data = app.query_with(query, json!({ "all": false })).await;
    assert_eq!(data, json!({ "status": {}, "publications": { "nodes": [{}, {}] } }));
    let data = app.query_with("query($a: Boolean!) { status @include(if: $a) { ready } }", json!({ "a": false })).await;
    assert_eq!(data, json!({}));
    assert!(app.query_with(query, json!({ "all": true })).await["publications"]["nodes"][0]["size"].is_number());
}

/// Fragments that contain each other twice, again and again, are refused without a walk through all of them.
#[tokio::test]
async fn fragments_that_multiply_are_refused() {
    let app = TestApp::start().await;
    let mut document = "{ publications { ...F0 } }".to_owned();
    for i in 0..40 {
        document.push_str(&format!(" fragment F{i} on PublicationConnection {{ ...F{0} ...F{0} }}", i + 1));
    }
    document.push_str(" fragment F40 on PublicationConnection { totalCount }");
    let answer = app.ask(&document, json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "TOO_COMPLEX", "{answer}");
    assert!(answer["errors"][0]["message"].to_string().contains("10000"), "{answer}");
}

const ORDER: &str =
    "query($o: PublicationOrder) { publications(orderBy: $o, first: 1) { totalCount nodes { periodStart } } }";
const FIRST: &str = "query($n: Int) { publications(first: $n) { nodes { name } } }";
const FILTER: &str = "query($f: PublicationFilter) { publications(filter: $f) { totalCount } }";
const INSIDE: &str = "query($n: String, $s: [PublicationStatus!]) {
    publications(filter: { name: { contains: $n }, status: $s }) { totalCount } }";
const STATS: &str =
    "query($g: [StatsDimension!]!, $l: Int = 1) { publicationStats(groupBy: $g, limit: $l) { product } }";

/// Documents with their variables, a path in the response, and the value there.
const COERCED: &[(&str, &str, &str, &str)] = &[
    (ORDER, "{}", "/publications/totalCount", "30"),
    (ORDER, r#"{ "o": "PERIOD_ASC" }"#, "/publications/nodes/0/periodStart", r#""2025-02-20T00:00:00""#),
    (ORDER, "{}", "/publications/nodes/0/periodStart", r#""2025-03-01T00:00:00""#),
    (
        "query($o: PublicationOrder! = PERIOD_ASC) {
            publications(orderBy: $o, first: 1) { nodes { periodStart } } }",
        "{}",
        "/publications/nodes/0/periodStart",
        r#""2025-02-20T00:00:00""#,
    ),
    ("query($l: Int) { suggest(prefix: \"deck\", limit: $l) { kind } }", "{}", "/suggest/0/kind", r#""PRODUCT""#),
    (
        "query($o: PublicationOrder, $l: Int) { ...Q }
            fragment Q on Query {
                publications(orderBy: $o) { totalCount } suggest(prefix: \"d\", limit: $l) { kind } }",
        "{}",
        "/publications/totalCount",
        "30",
    ),
    (FIRST, r#"{ "n": 2.0 }"#, "/publications/nodes/1/name", r#""DECK NEWAVE DEFINITIVO""#),
    (FIRST, r#"{ "n": 2 }"#, "/publications/nodes/2/name", "null"),
    (FIRST, r#"{ "n": null, "unknown": 5 }"#, "/publications/nodes/29/name", r#""Resultados não consistidos  (PMO)""#),
    (FILTER, "{}", "/publications/totalCount", "30"),
    (FILTER, r#"{ "f": null }"#, "/publications/totalCount", "30"),
    (FILTER, r#"{ "f": { "status": "ARCHIVED", "name": null } }"#, "/publications/totalCount", "30"),
    (FILTER, r#"{ "f": { "period": { "from": "2025-02-28", "to": null } } }"#, "/publications/totalCount", "6"),
    (INSIDE, "{}", "/publications/totalCount", "30"),
    (INSIDE, r#"{ "n": "deck", "s": "ARCHIVED" }"#, "/publications/totalCount", "10"),
    (INSIDE, r#"{ "n": null, "s": [] }"#, "/publications/totalCount", "0"),
    (
        "query($s: PublicationStatus!) { publications(filter: { status: [LOST, $s] }) { totalCount } }",
        r#"{ "s": "ARCHIVED" }"#,
        "/publications/totalCount",
        "30",
    ),
    ("{ publications(filter: { status: ARCHIVED }) { totalCount } }", "{}", "/publications/totalCount", "30"),
    (STATS, r#"{ "g": "PRODUCT" }"#, "/publicationStats/1", "null"),
    (STATS, r#"{ "g": ["PRODUCT"], "l": 2 }"#, "/publicationStats/2", "null"),
    (
        "query($n: String!, $d: Boolean) { __type(name: $n) { name fields(includeDeprecated: $d) { name } } }",
        r#"{ "n": "Member" }"#,
        "/__type/name",
        r#""Member""#,
    ),
];

/// Variables and arguments, by the specification's rules of coercion.
#[tokio::test]
async fn variables_and_arguments_are_coerced_as_the_specification_says() {
    let app = TestApp::start().await;
    some_history(&app).await;
    for &(query, variables, path, expected) in COERCED {
        let parsed = serde_json::from_str(variables).expect("JSON");
        let expected: Value = serde_json::from_str(expected).expect("JSON");
        let data = app.query_with(query, parsed).await;
        assert_eq!(data.pointer(path).cloned().unwrap_or_default(), expected, "{query} {variables}");
    }
    // One value is a list of one.
    let some = app.query("{ publications(first: 1, orderBy: PERIOD_ASC) { nodes { id } } }").await;
    let id = &some["publications"]["nodes"][0]["id"];
    let data = app.query_with(FILTER, json!({ "f": { "id": id } })).await;
    assert_eq!(data["publications"]["totalCount"], 1);
    // An integer is an id too, though none of this archive.
    let answer = app.ask("query($id: ID!) { publication(id: $id) { name } }", json!({ "id": 5 })).await;
    assert!(answer["errors"][0]["message"].to_string().contains("`id` is `5`"), "{answer}");
}

/// Documents with variables that cannot be coerced, and a part of the error.
const NOT_COERCED: &[(&str, &str, &str)] = &[
    (ORDER, r#"{ "o": "SOMETIMES" }"#, "SOMETIMES"),
    (ORDER, r#"{ "o": 1 }"#, "`1`"),
    (ORDER, r#"{ "o": null }"#, "orderBy"),
    (FIRST, r#"{ "n": 2.5 }"#, "2.5"),
    (FIRST, r#"{ "n": "2" }"#, "`$n`"),
    (FIRST, r#"{ "n": 3000000000 }"#, "3000000000"),
    (FIRST, r#"{ "n": true }"#, "true"),
    (FIRST, r#"{ "n": [1] }"#, "`$n`"),
    (FILTER, r#"{ "f": { "nome": "x" } }"#, "nome"),
    (FILTER, r#"{ "f": "x" }"#, "PublicationFilter"),
    (FILTER, r#"{ "f": { "name": { "contains": 5 } } }"#, "contains"),
    (FILTER, r#"{ "f": { "status": ["ARCHIVED", null] } }"#, "null"),
    (FILTER, r#"{ "f": { "period": { "from": "20/02/2025" } } }"#, "`20/02/2025` is not a valid day"),
    (FILTER, r#"{ "f": { "archivedAt": { "from": "ontem" } } }"#, "`ontem` is not a valid instant"),
    (FILTER, r#"{ "f": { "id": true } }"#, "id"),
    (STATS, "{}", "`$g`"),
    (STATS, r#"{ "g": null }"#, "`$g`"),
    (STATS, r#"{ "g": ["PRODUCT"], "l": null }"#, "limit"),
    ("query($id: ID!) { publication(id: $id) { name } status { ready } }", r#"{ "id": null }"#, "`$id`"),
    ("query($id: ID!) { publication(id: $id) { name } status { ready } }", "{}", "`$id`"),
    (
        "query($s: PublicationStatus) { publications(filter: { status: [$s] }) { totalCount } }",
        r#"{ "s": "ARCHIVED" }"#,
        "`$s`",
    ),
    (
        "query($s: PublicationStatus!) { publications(filter: { status: $s }) { totalCount } }",
        r#"{ "s": "ARCHIVED" }"#,
        "`$s`",
    ),
    ("query($n: String!) { publications(first: $n) { totalCount } }", r#"{ "n": "2" }"#, "first"),
    (
        "query($n: Int = null) {
            suggest(prefix: \"d\", limit: 3) { text } publicationStats(groupBy: [], limit: $n) { size } }",
        "{}",
        "limit",
    ),
    ("query($id: ID) { publication(id: $id) { name } }", r#"{ "id": "x" }"#, "id"),
    ("query($a: Boolean) { status { ready @skip(if: $a) } }", r#"{ "a": true }"#, "a"),
    ("{ publications(orderBy: \"NAME_ASC\") { totalCount } }", "{}", "NAME_ASC"),
    ("{ publications(first: 1.0) { totalCount } }", "{}", "first"),
    ("{ publications(first: 99999999999) { totalCount } }", "{}", "99999999999"),
    ("{ publications(filter: { nome: 1 }) { totalCount } }", "{}", "nome"),
    (
        "{ publications(filter: { period: { from: \"x\" } }) { totalCount } status { ready } }",
        "{}",
        "`x` is not a valid day",
    ),
    ("query($n: Int = \"x\") { publications(first: $n) { totalCount } }", "{}", "n"),
    ("query($n: Nothing) { publications(first: $n) { totalCount } }", "{}", "Nothing"),
    ("query($n: Int, $n: Int) { publications(first: $n) { totalCount } }", "{}", "n"),
];

/// Refused before anything is executed: there is no data, not even of other fields.
#[tokio::test]
async fn what_cannot_be_coerced_is_refused() {
    let app = TestApp::start().await;
    some_history(&app).await;
    for &(query, variables, message) in NOT_COERCED {
        let answer = app.ask(query, serde_json::from_str(variables).expect("JSON")).await;
        assert_eq!(answer["data"], Value::Null, "{query} {variables}: {answer}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{query} {variables}: {answer}");
        assert!(answer["errors"][0].get("path").is_none(), "{query} {variables}: {answer}");
        assert!(answer["errors"].to_string().contains(message), "{query} {variables}: {answer}");
    }
}

/// Escapes that the specification has and that the parser does not know.
#[tokio::test]
async fn strings_may_hold_every_escape_of_the_specification() {
    let app = TestApp::start().await;
    some_history(&app).await;
    for text in [r#""precipita\u{E7}\u00e3o""#, r#""precipita\u00E7\u{0000E3}o""#, "\"\"\"precipitação\"\"\""] {
        let data = app.query(&format!("{{ publications(search: {text}) {{ totalCount }} }}")).await;
        assert_eq!(data["publications"]["totalCount"], 10, "{text}");
    }
    for text in [r#""\uD83D\uDE00""#, r#""\u{1F600}""#] {
        let answer = app.ask(&format!("{{ publication(id: {text}) {{ name }} }}"), json!({})).await;
        assert!(answer["errors"][0]["message"].to_string().contains("`\u{1F600}`"), "{text}: {answer}");
    }
    for text in [r#""\uD83D""#, r#""\u{D83D}""#, r#""\u{110000}""#, r#""\u{}""#] {
        let answer = app.ask(&format!("{{ publications(search: {text}) {{ totalCount }} }}"), json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{text}: {answer}");
    }
}

/// Requests as libraries send them: empty values count as absent, and the weights of `Accept` are respected.
#[tokio::test]
async fn requests_are_read_as_the_specification_of_http_says() {
    let app = TestApp::start().await;
    let ask = "/graphql?query=%7B__typename%7D";
    for extra in [
        "",
        "&variables=",
        "&operationName=",
        "&extensions=",
        "&extensions=&variables=&operationName=",
        "&extensions=%7B%7D",
        "&variables=null",
        "&variables=%7B%7D",
    ] {
        assert_eq!(app.get(&format!("{ask}{extra}")).await.status(), 200, "{extra}");
    }
    for extra in ["&extensions=x", "&extensions=1", "&variables=x", "&variables=%5B%5D"] {
        assert_eq!(app.get(&format!("{ask}{extra}")).await.status(), 400, "{extra}");
    }
    const NEW: &str = "application/graphql-response+json";
    const OLD: &str = "application/json";
    for (accept, media) in [
        ("*/*", OLD),
        (NEW, NEW),
        ("application/graphql-response+json, application/json", NEW),
        ("application/json, application/graphql-response+json", NEW),
        ("application/graphql-response+json;q=0, application/json", OLD),
        ("application/graphql-response+json; Q=0.000", OLD),
        ("application/json, application/graphql-response+json;q=0.1", OLD),
        ("application/json;q=0.1, APPLICATION/GraphQL-Response+JSON; charset=utf-8", NEW),
        ("application/graphql-response+json;q=0.9, application/*;q=0.5", NEW),
        ("application/*", OLD),
        ("text/html, */*;q=0.1", OLD),
        ("application/json;q=0, */*", NEW),
        ("application/graphql-response+jsonx", OLD),
    ] {
        let answer = app.get_with(ask, &[("accept", accept)]).await;
        let shown = answer.headers()["content-type"].to_str().expect("a text").to_owned();
        assert_eq!((answer.status().as_u16(), shown), (200, format!("{media}; charset=utf-8")), "{accept}");
    }
}
