use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use crate::harness::{Db, KEY, TestApp, on_each_database, samples, until};

const EXPORTS: [&str; 9] = [
    "publications.csv",
    "publications.ndjson",
    "publications.parquet",
    "revisions.csv",
    "revisions.ndjson",
    "revisions.parquet",
    "notifications.csv",
    "notifications.ndjson",
    "notifications.parquet",
];

async fn some_products(app: &TestApp) {
    for number in 1..=3 {
        let product = samples::product(number, &format!("Produto {number}"), "dados.csv", format!("{number}"));
        app.portal.add(product);
        app.portal.enviar(number).await;
    }
    app.settled(3).await;
}

struct ExportResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl ExportResponse {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }
}

/// With a client that unpacks nothing.
async fn send(app: &TestApp, method: Method, export: &str, headers: &[(&str, &str)]) -> ExportResponse {
    let client = reqwest::Client::builder().no_proxy().no_gzip().build().expect("a client");
    let mut request = client.request(method, format!("{}/export/{export}", app.url)).bearer_auth(KEY);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("a response");
    let (status, headers) = (answer.status(), answer.headers().clone());
    ExportResponse { status, headers, body: answer.bytes().await.expect("a body").to_vec() }
}

async fn get(app: &TestApp, export: &str, headers: &[(&str, &str)]) -> ExportResponse {
    send(app, Method::GET, export, headers).await
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let app = TestApp::start().await;
    some_products(&app).await;
    // No time is given of the current second, in which another change may come.
    until("a time of an earlier second", async || {
        get(&app, "publications.csv", &[]).await.header("last-modified").map(|_| ())
    })
    .await;
    for export in EXPORTS {
        for coding in ["identity", "gzip", "zstd"] {
            let headers = [("accept-encoding", coding)];
            let whole = get(&app, export, &headers).await;
            let head = send(&app, Method::HEAD, export, &headers).await;
            assert_eq!((whole.status, head.status), (StatusCode::OK, StatusCode::OK), "{export} {coding}");
            assert!(whole.body.len() > 50 && head.body.is_empty(), "{export} {coding}");
            for name in [
                "content-type",
                "content-disposition",
                "content-encoding",
                "etag",
                "last-modified",
                "cache-control",
                "vary",
            ] {
                assert_eq!(head.header(name), whole.header(name), "{export} {coding}: {name}");
            }
            let length = head.header("content-length").map(|length| length.parse::<usize>().expect("a number"));
            assert!(length.is_none_or(|length| length == whole.body.len()), "{export} {coding}: {length:?}");
            // What is known already has no body either, and claims no length that is wrong.
            let tag = whole.header("etag").expect("a tag").to_owned();
            for method in [Method::GET, Method::HEAD] {
                let known = send(&app, method, export, &[headers[0], ("if-none-match", &tag)]).await;
                assert_eq!(known.status, StatusCode::NOT_MODIFIED, "{export} {coding}");
                assert_eq!(known.header("etag"), Some(&*tag));
                assert_eq!(known.header("content-length"), None, "{export} {coding}");
            }
        }
    }
    // What GET refuses, HEAD refuses.
    assert_eq!(send(&app, Method::HEAD, "publications.csv?nada=1", &[]).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(send(&app, Method::HEAD, "products.csv", &[]).await.status, StatusCode::NOT_FOUND);
    // Only GET has ranges, and only of what is not compressed.
    for (method, coding) in [(Method::HEAD, "identity"), (Method::GET, "gzip")] {
        let headers = [("range", "bytes=0-3"), ("accept-encoding", coding)];
        let answer = send(&app, method, "publications.csv", &headers).await;
        assert_eq!((answer.status, answer.header("content-range")), (StatusCode::OK, None));
    }
}

#[tokio::test]
async fn each_coding_has_a_tag_of_its_own_and_weights_are_heeded() {
    let app = TestApp::start().await;
    some_products(&app).await;
    for export in ["publications.csv", "revisions.ndjson"] {
        let mut tags = std::collections::BTreeSet::new();
        for (accepted, coding) in [("identity", None), ("gzip", Some("gzip")), ("zstd", Some("zstd"))] {
            let answer = get(&app, export, &[("accept-encoding", accepted)]).await;
            assert_eq!(answer.header("content-encoding"), coding);
            assert!(answer.header("vary").is_some_and(|vary| vary.contains("accept-encoding")), "{coding:?}");
            let tag = answer.header("etag").expect("a tag").to_owned();
            let again = get(&app, export, &[("accept-encoding", accepted)]).await;
            assert_eq!(again.header("etag"), Some(&*tag), "{coding:?}");
            tags.insert(tag);
        }
        assert_eq!(tags.len(), 3, "{tags:?}");
        // A tag of one coding is none of another.
        for tag in &tags {
            let answer = get(&app, export, &[("accept-encoding", "identity"), ("if-none-match", tag)]).await;
            let is_plain = !tag.contains('-');
            let expected = if is_plain { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
            assert_eq!(answer.status, expected, "{tag}");
        }
    }
    for (accepted, coding) in [
        ("gzip;q=0, zstd;q=0", None),
        ("gzip; q=0.5, zstd ;Q=0.1", Some("gzip")),
        ("zstd;q=0., gzip;q=1.000", Some("gzip")),
        ("gzip ; q = 0", None),
        ("*", Some("zstd")),
        ("*;q=0, identity", None),
        ("identity;q=0, gzip", Some("gzip")),
        ("br", None),
        ("deflate, x-gzip", Some("gzip")),
        ("identity, gzip;q=0.5", None),
    ] {
        let answer = get(&app, "publications.csv", &[("accept-encoding", accepted)]).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (StatusCode::OK, coding), "{accepted}");
    }
    // Parquet is compressed already: one form, whatever is requested.
    let plain = get(&app, "revisions.parquet", &[("accept-encoding", "identity")]).await;
    let asked = get(&app, "revisions.parquet", &[("accept-encoding", "gzip, zstd")]).await;
    assert_eq!((asked.header("content-encoding"), asked.header("etag")), (None, plain.header("etag")));
}

#[tokio::test]
async fn conditions_are_those_of_the_standard() {
    let app = TestApp::start().await;
    some_products(&app).await;
    app.app.clock.advance(std::time::Duration::from_secs(60));
    let first = get(&app, "publications.csv", &[]).await;
    let tag = first.header("etag").expect("a tag").to_owned();
    let modified = first.header("last-modified").expect("an instant").to_owned();
    let weak = format!("W/{tag}");
    let among = format!("\"other\", {tag}");
    for (headers, status) in [
        (vec![("if-none-match", "*")], 304),
        (vec![("if-none-match", &*tag)], 304),
        (vec![("if-none-match", &weak)], 304),
        (vec![("if-none-match", &among)], 304),
        (vec![("if-none-match", "\"other\""), ("if-none-match", &tag)], 304),
        (vec![("if-none-match", "\"other\"")], 200),
        (vec![("if-match", "*")], 200),
        (vec![("if-match", &tag)], 200),
        (vec![("if-match", "\"other\""), ("if-match", &tag)], 200),
        (vec![("if-match", "\"other\"")], 412),
        (vec![("if-match", &weak)], 412),
        (vec![("if-modified-since", &*modified)], 304),
        (vec![("if-modified-since", "Thu, 20 Feb 2020 12:00:00 GMT")], 200),
        (vec![("if-modified-since", &modified), ("if-none-match", "\"other\"")], 200),
        (vec![("if-modified-since", "ontem")], 200),
        (vec![("if-unmodified-since", "Thu, 20 Feb 2020 12:00:00 GMT")], 412),
    ] {
        let answer = get(&app, "publications.csv", &headers).await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}");
    }
    // What changed just now has no `Last-Modified`: the next change may fall into the same second.
    app.portal.change(1, |one| samples::replace(one, &b"mudou"[..]));
    app.portal.enviar(1).await;
    app.settled(4).await;
    let answer = get(&app, "publications.csv", &[("if-modified-since", &modified)]).await;
    assert_eq!(answer.status, StatusCode::OK);
}

on_each_database!(an_announcement_of_what_is_there_changes_the_tag_of_revisions);
/// A revision that is announced again shows another `announcedAt`, and so its export is another file.
async fn an_announcement_of_what_is_there_changes_the_tag_of_revisions(db: Db) {
    let app = TestApp::on(db).await;
    some_products(&app).await;
    for (turn, export) in (4..).zip(["revisions.csv", "revisions.ndjson", "revisions.parquet"]) {
        let before = get(&app, export, &[]).await;
        let tag = before.header("etag").expect("a tag").to_owned();
        app.app.clock.advance(std::time::Duration::from_secs(5));
        app.portal.enviar(2).await;
        app.settled(turn).await;
        let status = app.query("{ notifications(first: 1) { nodes { status } } }").await;
        assert_eq!(status["notifications"]["nodes"][0]["status"], "UNCHANGED", "{db:?}");
        let after = get(&app, export, &[("if-none-match", &tag)]).await;
        assert_eq!(after.status, StatusCode::OK, "{db:?} {export}");
        assert_ne!(after.header("etag"), Some(&*tag), "{db:?} {export}");
        assert_ne!(after.body, before.body, "{db:?} {export}");
    }
}

on_each_database!(a_retry_that_changes_nothing_changes_the_tag_of_notifications);
/// What was queued again and came to the same end was tried more often: its export is another file.
async fn a_retry_that_changes_nothing_changes_the_tag_of_notifications(db: Db) {
    let app = TestApp::on(db).await;
    some_products(&app).await;
    let body = r#"{ "nome": "x", "dataProduto": "09/05/2025", "url": "https://example.com/x" }"#;
    assert_eq!(app.notify(body).await.0, 202);
    app.settled(4).await;
    let before = get(&app, "notifications.csv", &[]).await;
    let tag = before.header("etag").expect("a tag").to_owned();
    let retried = app.query("mutation { retryNotifications(filter: { status: [FAILED] }) { queued } }").await;
    app.settled(4).await;
    let after = get(&app, "notifications.csv", &[("if-none-match", &tag)]).await;
    let is_same = after.header("etag") == Some(&*tag);
    assert_eq!(is_same, retried["retryNotifications"]["queued"] == 0, "{db:?}: {retried}");
    let moved = get(&app, "publications.csv?search=produto", &[]).await;
    assert_ne!(moved.header("etag"), get(&app, "publications.csv", &[]).await.header("etag"));
}

/// A list, a filter, a parameter that filters the same field, and the field as the response names it.
const TWICE: &[(&str, &str, &str, &str)] = &[
    ("publications", r#"{ "name": { "contains": "produto" } }"#, "name=2", "name"),
    ("publications", r#"{ "process": { "eq": "x" } }"#, "process=2", "process"),
    ("publications", r#"{ "macroProcess": { "eq": "x" } }"#, "macroProcess=2", "macroProcess"),
    ("publications", r#"{ "fileName": { "eq": "x" } }"#, "fileName=2", "fileName"),
    ("revisions", r#"{ "status": ["ARCHIVED"] }"#, "status=LOST", "status"),
    ("revisions", r#"{ "extension": "csv" }"#, "extension=zip", "extension"),
    ("revisions", r#"{ "granularity": "DAY" }"#, "granularity=WEEK", "granularity"),
    ("publications", r#"{ "period": { "from": "2025-02-20" } }"#, "periodFrom=2025-02-21", "period.from"),
    ("publications", r#"{ "period": { "to": "2025-02-20" } }"#, "periodTo=2025-02-21", "period.to"),
    (
        "publications",
        r#"{ "archivedAt": { "from": "2025-02-20T00:00:00Z" } }"#,
        "archivedFrom=2025-02-21T00:00:00Z",
        "archivedAt.from",
    ),
    (
        "notifications",
        r#"{ "receivedAt": { "to": "2025-02-20T00:00:00Z" } }"#,
        "receivedTo=2025-02-21T00:00:00Z",
        "receivedAt.to",
    ),
    ("notifications", r#"{ "name": { "eq": "Produto 1" } }"#, "name=2", "name"),
    ("notifications", r#"{ "status": "ARCHIVED" }"#, "status=FAILED", "status"),
];

#[tokio::test]
async fn a_field_is_filtered_in_one_way() {
    let app = TestApp::start().await;
    some_products(&app).await;
    for (list, filter, parameter, field) in TWICE {
        let answer = get(&app, &format!("{list}.csv?{parameter}&filter={}", url_encoded(filter)), &[]).await;
        let text = String::from_utf8(answer.body).expect("text");
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{parameter}: {text}");
        let name = parameter.split('=').next().expect("a name");
        assert!(text.contains(&format!("`{field}`")) && text.contains(&format!("`{name}`")), "{parameter}: {text}");
    }
    // Where they are different fields, both hold.
    for (parameter, filter, lines) in [
        ("name=2", r#"{ "period": { "from": "2025-02-20" }, "name": null }"#, 2),
        ("periodTo=2025-02-19", r#"{ "period": { "from": "2025-02-01" } }"#, 1),
    ] {
        let answer = get(&app, &format!("publications.csv?{parameter}&filter={}", url_encoded(filter)), &[]).await;
        assert_eq!(String::from_utf8(answer.body).expect("text").lines().count(), lines, "{parameter}");
    }
}

#[tokio::test]
async fn a_column_is_given_once_and_a_filter_is_checked() {
    let app = TestApp::start().await;
    let filter = |filter: &str| format!("filter={}", url_encoded(filter));
    for (parameters, message) in [
        ("columns=id,name,id".to_owned(), "`columns` holds `id` twice"),
        ("columns=id&columns=name".to_owned(), "`columns` is given twice"),
        (filter(r#"{ "name": { "containz": "x" } }"#), "containz"),
        (filter(r#"{ "period": { "from": "x" } }"#), "`x` is not a valid day"),
        (filter(r#"{ "status": "GONE" }"#), "GONE"),
        (filter("[]"), "PublicationFilter"),
    ] {
        let answer = get(&app, &format!("publications.csv?{parameters}"), &[]).await;
        let text = String::from_utf8(answer.body).expect("text");
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{parameters}: {text}");
        assert!(text.contains(message), "{parameters}: {text}");
    }
}

fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The rows of a long export are read while they are sent, so that later commits may be in them: its tag is a weak one.
#[tokio::test]
async fn the_tag_of_an_export_that_is_read_while_it_is_sent_is_weak() {
    let app = TestApp::start().await;
    for n in 0..260 {
        assert_eq!(app.notify(&format!("{{ \"nome\": \"Produto {n}\" }}")).await.0, 422);
    }
    for export in ["notifications.csv", "notifications.ndjson", "notifications.parquet"] {
        let long = get(&app, export, &[]).await;
        let tag = long.header("etag").expect("a tag").to_owned();
        assert!(tag.starts_with("W/"), "{export}: {tag}");
        let known = get(&app, export, &[("if-none-match", &tag)]).await;
        assert_eq!((known.status, known.header("etag")), (StatusCode::NOT_MODIFIED, Some(&*tag)), "{export}");
        let matched = get(&app, export, &[("if-match", &tag)]).await;
        assert_eq!(matched.status, StatusCode::PRECONDITION_FAILED, "{export}");
        let short = get(&app, &format!("{export}?limit=250"), &[]).await;
        let tag = short.header("etag").expect("a tag").to_owned();
        assert!(tag.starts_with('"'), "{export}: {tag}");
        let matched = get(&app, &format!("{export}?limit=250"), &[("if-match", &tag)]).await;
        assert_eq!(matched.status, StatusCode::OK, "{export}");
    }
}
