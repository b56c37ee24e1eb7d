use std::collections::BTreeMap;

use acervo::query::{Notification, PublicationRow, RevisionRow, TableRow};
use parquet::basic::{LogicalType, TimeUnit, Type as Physical};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};

use crate::harness::notice::Notice;
use crate::harness::{Db, KEY, TestApp, on_each_database, samples};
use crate::merging::fields_of;

const AWKWARD: &[&str] = &[
    "Resultados \"preliminares\" não consistidos  (vazões, semanais; PMO)",
    "=SOMA(A1:A9)",
    "+55 21 números",
    "@produto",
    "Precipitação por Satélite – ONS",
    "a|b\\c",
];

async fn some_products(app: &TestApp) {
    for (number, name) in (1..).zip(AWKWARD) {
        let number = app.portal.add(samples::product(number, name, "arquivo;1.csv", format!("conteúdo {number}")));
        app.portal.enviar(number).await;
    }
    app.settled(AWKWARD.len() as u64).await;
}

async fn get(app: &TestApp, path: &str) -> reqwest::Response {
    app.client.get(format!("{}/export/{path}", app.url)).bearer_auth(KEY).send().await.expect("a response")
}

async fn bytes(app: &TestApp, path: &str) -> Vec<u8> {
    let answer = get(app, path).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.bytes().await.expect("a body").to_vec()
}

/// The rows that GraphQL gives, by id.
async fn rows(app: &TestApp, list: &str, columns: &str) -> BTreeMap<String, Value> {
    let data = app.query(&format!("{{ {list}(first: 1000) {{ nodes {{ {columns} }} }} }}")).await;
    let nodes = data[list]["nodes"].as_array().expect("a list").clone();
    nodes.into_iter().map(|node| (node["id"].as_str().expect("an id").to_owned(), node)).collect()
}

/// The columns of a row that are fields in GraphQL. Only searches have a score.
fn columns_of<Row: TableRow>() -> String {
    let mut names = fields_of::<Row>();
    names.retain(|name| *name != "score");
    names.join(" ")
}

/// A workbook that is HTML, which is archived with a warning.
const SHEET: &[u8] = b"<html xmlns:x=\"urn:schemas-microsoft-com:office:excel\"><body><table><tr><td>Usina";

on_each_database!(every_format_says_what_graphql_says);
async fn every_format_says_what_graphql_says(db: Db) {
    let app = TestApp::on(db).await;
    some_products(&app).await;
    app.portal.add(samples::product(99, "Planilha", "planilha.xls", SHEET));
    let warned = app.archive(99).await;
    assert!(warned["revision"]["warnings"][0].is_string(), "{warned}");
    // One whose period is ignored, with a warning.
    let unset = Notice::new("Sem período").period("0001-01-01T00:00:00", "0001-01-01T00:00:00");
    assert_eq!(app.notify(&unset.to_string()).await.0, 202);
    app.leaves_work_unsettled("its link leads nowhere");
    app.until("{ notifications { totalCount } publications { totalCount } }", |data| {
        data["notifications"]["totalCount"] == 8 && data["publications"]["totalCount"] == 8
    })
    .await;
    let lists = [
        ("publications", columns_of::<PublicationRow>()),
        ("revisions", columns_of::<RevisionRow>()),
        // What its attempts change is left out: the link leads nowhere, and is tried again and again.
        (
            "notifications",
            columns_of::<Notification>().replace(" status attempts nextAttemptAt", "").replace(" error", ""),
        ),
    ];
    for (list, columns) in &lists {
        let wanted = rows(&app, list, columns).await;
        assert!(!wanted.is_empty(), "{list}");
        ndjson_says(&app, list, columns, &wanted).await;
        for (options, delimiter) in [("", b','), ("&delimiter=%3B&decimal=,&bom=true", b';'), ("&delimiter=tab", b'\t')]
        {
            csv_says(&app, list, columns, (options, delimiter), &wanted).await;
        }
        parquet_says(&app, list, columns, &wanted).await;
    }
    let empty = bytes(&app, "publications.parquet?search=nada").await;
    let reader = SerializedFileReader::new(bytes::Bytes::from(empty)).expect("a parquet file");
    assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
}

/// A value of GraphQL as the formats without lists have it.
fn flat(value: &Value) -> Value {
    match value {
        Value::Array(texts) => {
            texts.iter().map(|text| text.as_str().expect("a text")).collect::<Vec<_>>().join("; ").into()
        }
        other => other.clone(),
    }
}

/// The same values.
async fn ndjson_says(app: &TestApp, list: &str, columns: &str, wanted: &BTreeMap<String, Value>) {
    let names = columns.replace(' ', ",");
    let text = String::from_utf8(bytes(app, &format!("{list}.ndjson?columns={names}")).await).expect("text");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let lines = lines.map(|row| (row["id"].as_str().expect("an id").to_owned(), row));
    assert_eq!(lines.collect::<BTreeMap<String, Value>>(), *wanted);
}

/// The same as text, in every dialect.
async fn csv_says(
    app: &TestApp,
    list: &str,
    columns: &str,
    (options, delimiter): (&str, u8),
    wanted: &BTreeMap<String, Value>,
) {
    let names = columns.replace(' ', ",");
    let text = bytes(app, &format!("{list}.csv?columns={names}{options}")).await;
    let plain = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    assert_eq!(plain.len() < text.len(), options.contains("bom"));
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(plain);
    let header: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    assert_eq!(header.join(" "), columns);
    let mut count = 0;
    for row in reader.records() {
        let row = row.expect("a row");
        for (name, cell) in header.iter().zip(row.iter()) {
            let text = match flat(&wanted[&row[0]][name]) {
                Value::Null => String::new(),
                Value::String(text) => text,
                other => other.to_string(),
            };
            assert_eq!(cell, text, "{name}");
        }
        count += 1;
    }
    assert_eq!(count, wanted.len());
}

/// The same, with types.
async fn parquet_says(app: &TestApp, list: &str, columns: &str, wanted: &BTreeMap<String, Value>) {
    let names = columns.replace(' ', ",");
    let file = bytes(app, &format!("{list}.parquet?columns={names}")).await;
    let reader = SerializedFileReader::new(bytes::Bytes::from(file)).expect("a parquet file");
    for column in reader.metadata().file_metadata().schema_descr_ptr().columns() {
        let instant = |in_utc| Some(LogicalType::timestamp(in_utc, TimeUnit::MILLIS));
        let expected = match column.name() {
            "size" | "storedSize" => (Physical::INT64, None),
            "number" | "revisionNumber" | "revisionCount" | "attempts" => (Physical::INT32, None),
            "held" => (Physical::BOOLEAN, None),
            "periodStart" | "periodEnd" => (Physical::INT64, instant(false)),
            name if name.ends_with("At") => (Physical::INT64, instant(true)),
            _ => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let found = (column.physical_type(), column.logical_type_ref().cloned());
        assert_eq!(found, expected, "{}", column.name());
    }
    let mut count = 0;
    for row in reader.get_row_iter(None).expect("rows") {
        let row = row.expect("a row");
        let cells: BTreeMap<&String, &Field> = row.get_column_iter().collect();
        let Field::Str(id) = cells[&"id".to_owned()] else { panic!("the id is not a text: {cells:?}") };
        for (name, cell) in cells {
            let want = flat(&wanted[id][name]);
            let found = match cell {
                Field::Null => Value::Null,
                Field::Str(text) => json!(text),
                Field::Int(number) => json!(number),
                Field::Long(number) => json!(number),
                Field::Bool(flag) => json!(flag),
                Field::TimestampMillis(at) => {
                    let text = want.as_str().expect("an instant").trim_end_matches('Z');
                    let expected: jiff::civil::DateTime = text.parse().expect("a date and a time");
                    let expected = jiff::tz::TimeZone::UTC.to_timestamp(expected).expect("an instant");
                    assert_eq!(*at, expected.as_millisecond(), "{list}: {name}");
                    continue;
                }
                other => panic!("{list}: {name}: {other:?}"),
            };
            assert_eq!(found, want, "{list}: {name}");
        }
        count += 1;
    }
    assert_eq!(count, wanted.len());
}

/// Parameters, and how many of the products they leave.
const NARROWED: &[(&str, usize)] = &[
    ("", 6),
    ("name=PRECIPITACAO", 1),
    ("search=satelite+precipitacao", 1),
    ("filter=%7B%22name%22%3A%7B%22startsWith%22%3A%22resultados%22%7D%7D", 1),
    ("periodFrom=2025-02-20&periodTo=2025-02-20", 6),
    ("periodFrom=2025-02-21", 0),
    ("status=ARCHIVED,PURGED&extension=csv&granularity=DAY", 6),
    ("status=LOST", 0),
    ("limit=4&orderBy=NAME_ASC", 4),
    ("limit=0", 0),
    ("archivedTo=2020-01-01T00:00:00Z", 0),
    ("archivedFrom=0001-01-01T00:00:00Z&archivedTo=9999-12-31T23:59:59Z", 6),
    ("receivedFrom=9999-12-31T23:59:59.9999999Z", 0),
    ("asOf=9999-12-31T23:59:59Z", 6),
    ("asOf=9998-11-25T20:59:59+00:00", 6),
    ("asOf=2020-01-01T00:00:00+03:00", 0),
    ("filter=%7B%22archivedAt%22%3A%7B%22to%22%3A%229999-12-31T23:59:59Z%22%7D%7D", 6),
    ("filter=null", 6),
    ("filter=null&name=PRECIPITACAO", 1),
    ("asOf=2020-01-01T00:00:00Z", 0),
    ("fileName=ARQUIVO;1", 6),
    ("productId=019a0000-0000-7000-8000-000000000000", 0),
];

/// Invalid parameters, and what the response says.
const WRONG: &[(&str, &str)] = &[
    ("names=x", "`names` is not a parameter"),
    ("status=GONE", "`status` holds `GONE`"),
    ("periodFrom=20/02/2025", "`periodFrom` is `20/02/2025`"),
    ("columns=name,nada", "`columns` holds `nada`"),
    ("delimiter=xx", "`delimiter` is `xx`"),
    ("orderBy=UP", "`orderBy` is `UP`"),
    ("orderBy=UP", "expected one of PERIOD_DESC"),
    ("status=perdida", "expected one of AWAITED"),
    ("nome=x", "`nome` is not a parameter of this export; it has archivedFrom, archivedTo, asOf, bom"),
    ("limit=-1", "`limit` is `-1`"),
    ("filter=x", "`filter` is not JSON"),
    ("filter=%5Bnull%5D", "`filter`"),
    ("asOf=2026-11-25T20:59:59", "`asOf` is `2026-11-25T20:59:59`"),
    ("asOf=9999-12-32T00:00:00Z", "`asOf` is `9999-12-32T00:00:00Z`"),
    ("filter=%7B%22nome%22%3A1%7D", "`filter`: `nome` is not a field"),
    ("limit=1&limit=2", "`limit` is given twice"),
];

#[tokio::test]
async fn parameters_narrow_as_filters_do() {
    let app = TestApp::start().await;
    some_products(&app).await;
    for (parameters, expected) in NARROWED {
        let text = bytes(&app, &format!("publications.csv?columns=name&{parameters}")).await;
        assert_eq!(String::from_utf8(text).expect("text").lines().count() - 1, *expected, "{parameters}");
    }
    let escaped = String::from_utf8(bytes(&app, "publications.csv?columns=name&formulas=escape").await).expect("text");
    assert!(escaped.contains("'=SOMA(A1:A9)\r\n") && escaped.contains("'+55 21") && escaped.contains("'@produto"));
    let notifications = bytes(&app, "notifications.ndjson?filter=null&receivedTo=9999-12-31T23:59:59Z").await;
    assert_eq!(String::from_utf8(notifications).expect("text").lines().count(), 6);
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let app = TestApp::start().await;
    let long = format!("search={}", "a".repeat(501));
    for (parameters, message) in WRONG.iter().copied().chain([(&*long, "`search` has 501 characters")]) {
        let response = get(&app, &format!("publications.csv?{parameters}")).await;
        assert_eq!(response.status(), 400, "{parameters}");
        let body: Value = response.json().await.expect("JSON");
        assert!(body["detail"].as_str().expect("a detail").contains(message), "{parameters}: {body}");
    }
    assert_eq!(get(&app, "products.csv").await.status(), 404);
    let url = format!("{}/export/publications.csv", app.url);
    assert_eq!(app.client.get(&url).send().await.expect("a response").status(), 401);
    assert_eq!(app.client.get(format!("{url}?key={KEY}")).send().await.expect("a response").status(), 200);
}

#[tokio::test]
async fn an_unchanged_refresh_costs_nothing() {
    let app = TestApp::start().await;
    some_products(&app).await;
    for list in ["publications.csv", "revisions.parquet", "notifications.ndjson"] {
        let first = get(&app, list).await;
        let tag = first.headers().get("etag").expect("a tag").clone();
        let again = |tag: reqwest::header::HeaderValue| {
            app.client.get(format!("{}/export/{list}", app.url)).bearer_auth(KEY).header("if-none-match", tag).send()
        };
        let same = again(tag.clone()).await.expect("a response");
        assert_eq!((same.status().as_u16(), same.bytes().await.expect("a body").len()), (304, 0), "{list}");
        let other = get(&app, &format!("{list}?limit=1")).await;
        assert_ne!(other.headers().get("etag"), Some(&tag));
        app.portal.change(1, |one| samples::replace(one, format!("mudou {list}")));
        let total =
            app.query("{ notifications(first: 1) { totalCount } }").await["notifications"]["totalCount"].as_u64();
        app.portal.enviar(1).await;
        app.settled(total.expect("a count") + 1).await;
        assert_eq!(again(tag).await.expect("a response").status(), 200, "{list}");
    }
    // A client that does not decompress.
    let plain = reqwest::Client::builder().no_proxy().no_gzip().build().expect("a client");
    let packed = plain.get(format!("{}/export/publications.csv", app.url)).bearer_auth(KEY);
    for coding in ["gzip", "zstd"] {
        let answer =
            packed.try_clone().expect("a request").header("accept-encoding", coding).send().await.expect("a response");
        assert_eq!(answer.headers().get("content-encoding").and_then(|v| v.to_str().ok()), Some(coding));
    }
    let packed = plain.get(format!("{}/export/publications.parquet", app.url)).bearer_auth(KEY);
    let answer = packed.header("accept-encoding", "gzip").send().await.expect("a response");
    assert!(answer.headers().get("content-encoding").is_none());
}

/// The views for SQL tools, the list of each, and its columns of text.
const VIEWS: &[(&str, &str, &str)] = &[
    (
        "bi_publications",
        "publications",
        "id productId name process macroProcess referenceDate granularity status revisionId fileName fileExtension \
        contentType sha256 fileUrl",
    ),
    (
        "bi_revisions",
        "revisions",
        "id publicationId name process referenceDate fileName fileExtension contentType sha256 fileUrl holdReason",
    ),
    ("bi_notifications", "notifications", "id source status error name process macroProcess referenceDate"),
    ("bi_products", "products", "id name process macroProcess listPath"),
];

on_each_database!(the_views_say_what_graphql_says);
/// The same rows by SQL alone.
async fn the_views_say_what_graphql_says(db: Db) {
    use sea_orm::{ConnectionTrait, Statement};
    let app = TestApp::on(db).await;
    some_products(&app).await;
    // One that has no file.
    assert_eq!(app.notify(&Notice::new("Sem arquivo").to_string()).await.0, 202);
    app.leaves_work_unsettled("its link leads nowhere");
    app.until("{ publications { totalCount } }", |data| data["publications"]["totalCount"] == 7).await;
    let sql = app.database().await;
    let ask = async |text: &str| {
        sql.query_all_raw(Statement::from_string(sql.get_database_backend(), text)).await.expect("rows")
    };
    for &(view, list, texts) in VIEWS {
        let wanted = rows(&app, list, texts).await;
        let found = ask(&format!("SELECT * FROM {view}")).await;
        assert_eq!(found.len(), wanted.len(), "{view}");
        for row in &found {
            let want = &wanted[&row.try_get::<String>("", "id").expect("an id")];
            for name in texts.split(' ') {
                let snake: String = name
                    .chars()
                    .flat_map(|c| if c.is_uppercase() { vec!['_', c.to_ascii_lowercase()] } else { vec![c] })
                    .collect();
                let cell: Option<String> = row.try_get("", &snake).expect("a text");
                // What waits is tried again and again.
                if !matches!(name, "error" | "status") {
                    assert_eq!(want[name].as_str(), cell.as_deref(), "{view}.{snake}");
                }
            }
        }
    }
    let sum = "SELECT CAST(count(*) AS bigint) AS n, CAST(sum(size) AS bigint) AS bytes FROM bi_publications
        WHERE status = 'ARCHIVED' AND period_start >= '2025-01-01' AND archived_at > '2020-01-01'";
    let row = &ask(sum).await[0];
    assert_eq!(row.try_get::<i64>("", "n").expect("a count"), 6);
    let all = app.query("{ publicationStats(groupBy: []) { size } }").await["publicationStats"][0]["size"].as_i64();
    assert_eq!(row.try_get::<Option<i64>>("", "bytes").expect("a sum"), all);
}

/// A client that does not decompress and has no key.
fn plain_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().no_gzip().build().expect("a client")
}

/// Requests of docs/bi.md as Power BI and Excel send them: stored credentials as Basic, GET, colons escaped.
#[tokio::test]
async fn the_recipes_for_spreadsheets_are_answered() {
    let app = TestApp::start().await;
    some_products(&app).await;
    let plain = plain_client();
    let url = |path: &str| format!("{}{path}", app.url);
    let refresh = "/export/revisions.csv?archivedFrom=2020-01-01T00%3A00%3A00Z&archivedTo=2099-01-01T00%3A00%3A00Z";
    let answer = plain.get(url(refresh)).basic_auth("power-bi", Some(KEY)).send().await.expect("a response");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.expect("text").lines().count(), AWKWARD.len() + 1);
    // Page by page, the variables as JSON.
    let query = "query($after: String) { publications(first: 3, after: $after) {
        nodes { id } pageInfo { hasNextPage endCursor } } }";
    let (mut read, mut after) = (0, Value::Null);
    while read < AWKWARD.len() {
        let variables = json!({ "after": after }).to_string();
        let request = plain.get(url("/graphql")).query(&[("query", query), ("variables", &variables)]);
        let answer: Value =
            request.basic_auth("x", Some(KEY)).send().await.expect("a response").json().await.expect("JSON");
        let page = &answer["data"]["publications"];
        read += page["nodes"].as_array().expect("a list").len();
        after = page["pageInfo"]["endCursor"].clone();
        assert_eq!(page["pageInfo"]["hasNextPage"], read < AWKWARD.len());
    }
    // By GET, as from a browser or a spreadsheet.
    let by_get = plain.get(url("/graphql")).query(&[("query", "{ publications { totalCount } }"), ("key", KEY)]);
    let answer: Value = by_get.send().await.expect("a response").json().await.expect("JSON");
    assert_eq!(answer["data"]["publications"]["totalCount"], AWKWARD.len());
}

/// Requests of docs/bi.md as Grafana's Infinity sends them: POST, gzip, and its own way to write instants.
#[tokio::test]
async fn the_recipes_for_grafana_are_answered() {
    let app = TestApp::start().await;
    some_products(&app).await;
    let query = "{ publications(first: 1000,
        filter: { archivedAt: { from: \"2020-01-01T00:00:00.000Z\", to: \"2099-01-01T00:00:00.000Z\" } }) {
            nodes { name process referenceDate status fileName size archivedAt } } }";
    let request = plain_client().post(format!("{}/graphql", app.url)).bearer_auth(KEY);
    let request = request.header("accept-encoding", "gzip").header("content-type", "application/json");
    let request = request.body(json!({ "query": query, "variables": {} }).to_string());
    let answer = request.send().await.expect("a response");
    assert_eq!(answer.headers().get("content-encoding").and_then(|v| v.to_str().ok()), Some("gzip"));
    let packed = answer.bytes().await.expect("a body");
    let rows: Value = serde_json::from_reader(flate2::read::GzDecoder::new(&packed[..])).expect("JSON");
    let rows = rows["data"]["publications"]["nodes"].as_array().expect("a flat list").clone();
    assert_eq!(rows.len(), AWKWARD.len());
    assert!(rows.iter().all(|row| row.as_object().is_some_and(|row| row.values().all(|cell| !cell.is_object()))));
    let stats = app.query("{ publicationStats(groupBy: [ARCHIVED_DAY]) { bucket publications size } }").await;
    assert_eq!(stats["publicationStats"][0]["publications"], AWKWARD.len());
    // The panel, as the document has it.
    let panel = include_str!("../../docs/bi.md").split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    let panel: Value = serde_json::from_str(panel.expect("a panel")).expect("JSON");
    let query = panel["targets"][0]["url_options"]["body_graphql_query"].as_str().expect("a query");
    let query = query.replace("${__from:date:iso}", "2020-01-01T00:00:00.000Z");
    let data = app.query(&query.replace("${__to:date:iso}", "2099-01-01T00:00:00.000Z")).await;
    let row = &data["publications"]["nodes"][0];
    for column in panel["targets"][0]["columns"].as_array().expect("columns") {
        assert!(!row[column["selector"].as_str().expect("a name")].is_null(), "{column}: {row}");
    }
}

/// Requests of docs/bi.md as Python's `requests` sends them, and a deck, one member of its zip at a time.
#[tokio::test]
async fn the_recipes_for_python_are_answered() {
    let app = TestApp::start().await;
    some_products(&app).await;
    let plain = plain_client();
    let url = |path: &str| format!("{}{path}", app.url);
    let known = "/export/publications.ndjson?search=resultados&periodFrom=2025-02-20&periodTo=2025-02-20&\
        asOf=2099-09-04T12%3A00%3A00Z";
    let request = plain.get(url(known)).bearer_auth(KEY).header("accept-encoding", "gzip, deflate");
    assert_eq!(request.send().await.expect("a response").status(), 200);
    let deck = samples::zip(&[("DGER.DAT", b"DADOS GERAIS"), ("SISTEMA.DAT", b"SISTEMA")]);
    let number = app.portal.add(samples::product(900, "Deck NEWAVE Definitivo", "deck.zip", deck));
    app.archive(number).await;
    let query = "{ publications(search: \"deck newave\", orderBy: PERIOD_DESC, first: 1) { nodes { revisionId } } }";
    let latest = app.query(query).await["publications"]["nodes"][0].clone();
    let revision = latest["revisionId"].as_str().expect("a revision");
    let member = plain.get(url(&format!("/files/{revision}/members/DGER.DAT"))).bearer_auth(KEY).send().await;
    assert_eq!(member.expect("a response").text().await.expect("text"), "DADOS GERAIS");
}
