use acervo::config::{Overrides, load};
use serde_json::{Value, json};

use crate::harness::notice::form;
use crate::harness::packing::{deflate, gzip, zlib};
use crate::harness::socket::Socket;
use crate::harness::{KEY, Options, TOKEN, TestApp, raw};

const MUTATION: &str = r#"{ "query": "mutation { retryNotifications(filter: {}) { matched } }" }"#;
const QUESTION: &str = r#"{ "query": "{ status { version } }" }"#;
const NOTIFICATION: &str =
    r#"{ "nome": "Acomph", "dataProduto": "09/05/2025", "url": "http://127.0.0.1:9/x?token=segredo" }"#;

async fn without_keys() -> TestApp {
    let values = vec![("api.token", String::new()), ("receiver.token", String::new())];
    TestApp::with(Options { values, without_jobs: true, ..Options::default() }).await
}

async fn with_keys(values: Vec<(&'static str, String)>) -> TestApp {
    TestApp::with(Options { values, without_jobs: true, ..Options::default() }).await
}

fn port(app: &TestApp) -> &str {
    app.url.rsplit(':').next().expect("a port")
}

/// A change over each protocol, with what it needs.
async fn attempts(app: &TestApp, target: &str, headers: &[&str]) -> [u16; 3] {
    let bearer = format!("Authorization: Bearer {KEY}");
    let token = format!("X-Token: {TOKEN}");
    let json = "Content-Type: application/json";
    let with = |more: &[&'static str]| headers.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
    let mut keyed = with(&[]);
    keyed.extend([bearer.as_str(), json]);
    let mut known = with(&[]);
    known.extend([token.as_str(), json]);
    let mut untyped = with(&[]);
    untyped.push(token.as_str());
    [
        raw::status(app, &format!("POST {target}/graphql HTTP/1.1"), &keyed, MUTATION).await,
        raw::status(app, &format!("POST {target}/webhook HTTP/1.1"), &known, NOTIFICATION).await,
        raw::status(app, &format!("POST {target}/webhook HTTP/1.1"), &untyped, NOTIFICATION).await,
    ]
}

const TAKEN: [u16; 3] = [200, 202, 202];
const REFUSED: [u16; 3] = [403; 3];

#[tokio::test]
async fn a_foreign_page_changes_nothing() {
    for app in [without_keys().await, with_keys(Vec::new()).await] {
        let port = port(&app).to_owned();
        let host = format!("Host: 127.0.0.1:{port}");
        for (headers, expected) in [
            (vec![], TAKEN),
            (vec![format!("Origin: http://127.0.0.1:{port}")], TAKEN),
            (vec![format!("Origin: http://127.0.0.1:{port}"), "Sec-Fetch-Site: same-origin".into()], TAKEN),
            (vec!["Sec-Fetch-Site: none".into()], TAKEN),
            (vec!["Origin: https://evil.example".into()], REFUSED),
            (vec!["Origin: null".into()], REFUSED),
            (vec!["Origin: ".into()], REFUSED),
            (vec!["Origin: http://127.0.0.1:1".into()], REFUSED),
            (vec!["Origin: http://127.0.0.1".into()], REFUSED),
            (vec![format!("Origin: http://localhost:{port}")], REFUSED),
            (vec![format!("Origin: http://127.0.0.1.evil.example:{port}")], REFUSED),
            (vec![format!("Origin: http://127.0.0.1:{port}"), "Origin: https://evil.example".into()], REFUSED),
            (vec!["Sec-Fetch-Site: cross-site".into()], REFUSED),
            (vec!["Sec-Fetch-Site: same-site".into()], REFUSED),
            (vec![format!("Origin: http://127.0.0.1:{port}"), "Sec-Fetch-Site: cross-site".into()], REFUSED),
        ] {
            let mut all = vec![host.as_str()];
            all.extend(headers.iter().map(String::as_str));
            assert_eq!(attempts(&app, "", &all).await, expected, "{all:?}");
        }
        // A form of another page.
        let form = ["Content-Type: application/x-www-form-urlencoded", "Origin: https://evil.example", &host];
        assert_eq!(raw::status(&app, "POST /webhook HTTP/1.1", &form, "nome=a&url=http://127.0.0.1/x").await, 403);
    }
}

#[tokio::test]
async fn a_foreign_host_name_opens_nothing_without_credentials() {
    for has_keys in [false, true] {
        let app = if has_keys { with_keys(Vec::new()).await } else { without_keys().await };
        let port = port(&app).to_owned();
        for host in ["127.0.0.1", "localhost", "LOCALHOST.", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"] {
            for host in [format!("Host: {host}:{port}"), format!("Host: {host}"), format!("Host: {host}:1")] {
                assert_eq!(attempts(&app, "", &[&host]).await, TAKEN, "{host}");
            }
        }
        // Notifications with correct credentials are accepted under any name: a refused one is lost, and no web page has them.
        let known = if has_keys { 202 } else { 403 };
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "192.0.2.1",
            "[2001:db8::1]",
            "localhost..",
            "acervo",
        ] {
            for host in [format!("Host: {host}:{port}"), format!("Host: {host}")] {
                assert_eq!(attempts(&app, "", &[&host]).await, [403, known, known], "{host}");
                let origin = host.replace("Host: ", "Origin: http://");
                assert_eq!(attempts(&app, "", &[&host, &origin]).await, REFUSED, "{host}");
            }
        }
        let ours = format!("Host: 127.0.0.1:{port}");
        let evil = format!("http://evil.example:{port}");
        assert_eq!(attempts(&app, &evil, &[&ours]).await, [403, known, known], "absolute form");
        assert_eq!(attempts(&app, &format!("http://127.0.0.1:{port}"), &[&ours]).await, TAKEN, "absolute form");
        assert_eq!(attempts(&app, "", &[]).await, [403, known, known], "no host");
        assert_eq!(attempts(&app, "", &[&ours, "Host: evil.example"]).await, [400; 3], "two hosts");
        assert_eq!(attempts(&app, "", &["Host: a b"]).await, [400; 3], "no host at all");
        assert_eq!(attempts(&app, "", &["Host: 127.0.0.1@evil.example"]).await, [403, known, known], "a user");
    }
}

/// Without a key, `Host` must be one of our names; with a key it can be any.
#[tokio::test]
async fn reading_under_a_foreign_host_name_needs_a_key() {
    for has_keys in [false, true] {
        let app = if has_keys { with_keys(Vec::new()).await } else { without_keys().await };
        let ours = format!("Host: 127.0.0.1:{}", port(&app));
        let key = format!("Authorization: {KEY}");
        for line in [
            "GET /export/publications.csv HTTP/1.1",
            "GET /graphql?query={status{version}} HTTP/1.1",
            "GET /metrics HTTP/1.1",
            "HEAD /export/publications.csv HTTP/1.1",
        ] {
            let status = raw::status(&app, line, &["Host: evil.example", &key], "").await;
            assert_eq!(status, if has_keys { 200 } else { 403 }, "{line}");
            assert_eq!(raw::status(&app, line, &[&ours, &key], "").await, 200, "{line}");
        }
        for path in ["/healthz", "/readyz", "/webhook"] {
            assert_eq!(raw::status(&app, &format!("GET {path} HTTP/1.1"), &["Host: 10.0.0.7:8080"], "").await, 200);
        }
    }
}

#[tokio::test]
async fn the_authority_of_http2_is_checked() {
    for app in [without_keys().await, with_keys(Vec::new()).await] {
        let port: u16 = port(&app).parse().expect("a port");
        let client = reqwest::Client::builder()
            .no_proxy()
            .http2_prior_knowledge()
            .resolve("evil.example", ([127, 0, 0, 1], port).into())
            .build()
            .expect("a client");
        for (host, expected) in [("evil.example", 403), ("127.0.0.1", 200)] {
            let request = client.post(format!("http://{host}:{port}/graphql")).bearer_auth(KEY);
            let request = request.header("content-type", "application/json").body(MUTATION);
            assert_eq!(request.send().await.expect("a response").status().as_u16(), expected, "{host}");
        }
    }
}

#[tokio::test]
async fn public_url_host_names_and_cors_origins_are_accepted() {
    let app = with_keys(vec![
        ("public_url", "https://acervo.example.com".into()),
        ("host_names", "acervo, Interno.Example".into()),
        ("api.cors_origins", "https://paineis.example.com".into()),
    ])
    .await;
    for host in ["acervo.example.com", "ACERVO.example.com:443", "acervo:8080", "interno.example.", "127.0.0.1:8080"] {
        assert_eq!(attempts(&app, "", &[&format!("Host: {host}")]).await, TAKEN, "{host}");
    }
    for headers in [
        // A proxy that forwards the name, and one that does not.
        ["Host: acervo.example.com", "Origin: https://acervo.example.com", "Sec-Fetch-Site: same-origin"],
        ["Host: 127.0.0.1:8080", "Origin: https://acervo.example.com", "Sec-Fetch-Site: same-origin"],
        ["Host: acervo.example.com", "Origin: https://paineis.example.com", "Sec-Fetch-Site: same-site"],
        ["Host: acervo:8080", "Origin: http://acervo:8080", "Sec-Fetch-Site: same-origin"],
    ] {
        assert_eq!(attempts(&app, "", &headers).await, TAKEN, "{headers:?}");
    }
    for headers in [
        ["Host: acervo.example.com", "Origin: https://acervo.example.com:8443"],
        ["Host: acervo.example.com", "Origin: https://outros.example.com"],
        ["Host: acervo.example.com", "Origin: http://paineis.example.com"],
    ] {
        assert_eq!(attempts(&app, "", &headers).await, REFUSED, "{headers:?}");
    }
    // Queries with a key are answered under any name.
    let headers = ["Host: outro", "Content-Type: application/json", &format!("Authorization: {KEY}")];
    assert_eq!(raw::status(&app, "POST /graphql HTTP/1.1", &headers, QUESTION).await, 200);
}

#[tokio::test]
async fn a_foreign_page_opens_no_websocket() {
    for app in [without_keys().await, with_keys(Vec::new()).await] {
        let address = app.url.trim_start_matches("http://");
        let open = async |host: &str, origin: Option<&str>| {
            let headers = [("authorization", KEY), ("host", host)];
            let headers: Vec<_> = headers.into_iter().chain(origin.map(|origin| ("origin", origin))).collect();
            Socket::open_with(&app.url, &headers).await.err()
        };
        assert_eq!(open(address, None).await, None);
        assert_eq!(open(address, Some(&app.url)).await, None);
        for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
            assert_eq!(open(address, Some(origin)).await, Some(403), "{origin}");
        }
        assert_eq!(open("evil.example", None).await, Some(403));
        assert_eq!(open("evil.example", Some("http://evil.example")).await, Some(403));
    }
}

#[test]
fn an_open_default_source_must_be_declared_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("acervo.toml");
    std::fs::write(&file, "[receiver.sources.mesa]\ntoken = \"segredo\"\n").expect("a file");
    let read = |values: &[(&str, &str)]| {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        load(&Overrides { config: Some(file.clone()), values }, &|_| None).expect("valid settings")
    };
    let refused = read(&[]).exposure().expect_err("a refusal").to_string();
    assert!(refused.contains("receiver.token") && !refused.contains("segredo"), "{refused}");
    read(&[("receiver.token", "x")]).exposure().expect("no refusal");
    let meant = read(&[("receiver.open", "true")]);
    meant.exposure().expect("no refusal");
    assert!(meant.exposure_warnings().iter().any(|warning| warning.contains("mesa")));
}

#[tokio::test]
async fn head_requests_take_the_key_as_get_requests_do() {
    let app = with_keys(Vec::new()).await;
    for (query, expected) in [(format!("?key={KEY}"), 200), ("?key=errada".to_owned(), 401), (String::new(), 401)] {
        for method in [reqwest::Method::GET, reqwest::Method::HEAD] {
            let url = format!("{}/export/revisions.csv{query}", app.url);
            let answer = app.client.request(method.clone(), url).send().await.expect("a response");
            assert_eq!(answer.status().as_u16(), expected, "{method} {query}");
        }
    }
}

#[tokio::test]
async fn non_ascii_credentials_work_in_every_encoding() {
    use base64::Engine as _;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let latin1 = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
    let app = with_keys(vec![
        ("receiver.token", "coração".into()),
        ("receiver.username", "usuário".into()),
        ("receiver.password", "ação:é".into()),
        ("api.token", "código".into()),
    ])
    .await;
    let post = async |path: &str, name: &str, value: Vec<u8>, body: &str| {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
        );
        request.push_str(&format!("Content-Length: {}\r\n{name}: ", body.len()));
        let request = [request.as_bytes(), &value, b"\r\n\r\n", body.as_bytes()].concat();
        raw::exchange(&app, request).await
    };
    let opens = |answer: String| answer.starts_with("HTTP/1.1 20");
    for bytes in [|text: &str| text.as_bytes().to_vec(), latin1] {
        let with = |scheme: &str, text: &str| [scheme.as_bytes(), &bytes(text)].concat();
        for (name, value) in [
            ("Authorization", with("", "coração")),
            ("Authorization", with("Bearer ", "coração")),
            ("X-Token", with("", "coração")),
            ("Authorization", format!("Basic {}", encode(&bytes("usuário:ação:é"))).into_bytes()),
        ] {
            assert!(opens(post("/webhook", name, value.clone(), NOTIFICATION).await), "{name}: {value:?}");
        }
        for value in [with("Bearer ", "código"), format!("Basic {}", encode(&bytes("x:código"))).into_bytes()] {
            assert!(opens(post("/graphql", "Authorization", value.clone(), QUESTION).await), "{value:?}");
        }
        assert!(!opens(post("/webhook", "X-Token", with("", "coraçao"), NOTIFICATION).await));
    }
    for path in ["/webhook", "/graphql"] {
        let answer = post(path, "X-Nothing", Vec::new(), "{}").await.to_ascii_lowercase();
        assert!(answer.contains("basic realm=\"acervo\", charset=\"utf-8\""), "{answer}");
    }
}

/// A path, a type, a coding, a body, and the status of the response.
type Sent = (&'static str, Option<&'static str>, Option<&'static str>, Vec<u8>, u16);

/// Bodies as senders write and pack them.
fn sent() -> Vec<Sent> {
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 0).expect("memory");
    let body = NOTIFICATION.as_bytes();
    let huge = format!("{}{}", " ".repeat(1 << 20), NOTIFICATION);
    let json = Some("application/json");
    let form = form(&serde_json::from_str(NOTIFICATION).expect("JSON"));
    // UTF-16 without a byte order mark.
    let wide = |bytes: fn(u16) -> [u8; 2]| NOTIFICATION.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    vec![
        ("/webhook/", json, None, body.into(), 202),
        ("/webhook/mesa/", json, None, body.into(), 202),
        ("/webhook//", json, None, body.into(), 404),
        ("/webhook", None, None, body.into(), 202),
        ("/webhook", Some("text/plain; charset=utf-8"), None, body.into(), 202),
        ("/webhook", Some("text/plain"), None, b"nome=x".to_vec(), 415),
        ("/webhook", Some("text/html"), None, body.into(), 202),
        ("/webhook", Some("application/x-www-form-urlencoded"), None, body.into(), 202),
        ("/webhook", Some("application/octet-stream"), None, body.into(), 202),
        ("/webhook", Some("*/*"), None, body.into(), 202),
        ("/webhook", Some("text/plain"), None, form.clone(), 202),
        ("/webhook", None, None, form.clone(), 202),
        ("/webhook", json, None, form, 400),
        ("/webhook", None, None, b"nome=x".to_vec(), 400),
        ("/webhook", json, None, wide(u16::to_le_bytes), 202),
        ("/webhook", json, None, wide(u16::to_be_bytes), 202),
        ("/webhook", json, Some("gzip"), gzip(body), 202),
        ("/webhook", json, Some("X-GZIP"), gzip(body), 202),
        ("/webhook", json, Some("deflate"), zlib(body), 202),
        ("/webhook", json, Some("deflate"), deflate(body), 202),
        ("/webhook", json, Some("zstd"), zstd(body), 202),
        ("/webhook", json, Some("identity"), body.into(), 202),
        ("/webhook", json, Some("br"), body.into(), 415),
        ("/webhook", json, Some("gzip, gzip"), gzip(&gzip(body)), 415),
        ("/webhook", json, Some("gzip"), body.into(), 400),
        ("/webhook", json, Some("gzip"), gzip(body)[..20].to_vec(), 400),
        ("/webhook", json, Some("gzip"), gzip(huge.as_bytes()), 413),
        ("/webhook", json, Some("deflate"), zlib(huge.as_bytes()), 413),
        ("/webhook", json, Some("zstd"), zstd(huge.as_bytes()), 413),
    ]
}

#[tokio::test]
async fn content_types_and_codings_of_senders_are_accepted() {
    let app = with_keys(Vec::new()).await;
    let mut taken = 0;
    for (path, kind, encoding, body, expected) in sent() {
        let mut request = app.client.post(format!("{}{path}", app.url)).header("authorization", TOKEN).body(body);
        for (name, value) in [("content-type", kind), ("content-encoding", encoding)] {
            request = value.into_iter().fold(request, |request, value| request.header(name, value));
        }
        let answer = request.send().await.expect("a response");
        assert_eq!(answer.status().as_u16(), expected, "{path} {kind:?} {encoding:?}");
        if expected == 415 && encoding.is_some() {
            assert_eq!(answer.headers()["accept-encoding"], "gzip, deflate, zstd");
        }
        taken += u64::from(expected == 202);
    }
    let data = app.query("{ notifications { totalCount nodes { body } } }").await;
    assert_eq!(data["notifications"]["totalCount"], taken);
    let bodies = data["notifications"]["nodes"].as_array().expect("a list");
    assert!(bodies.iter().all(|one| one["body"]["nome"] == json!("Acomph")), "{:?}", Value::from(bodies.clone()));
}
