//! Repeated requests for lists: the same response from memory, never an old one, and within every limit.
use std::path::Path;

use axum::body::Bytes;
use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};
use serde_json::{Value, json};

use crate::bounds::{get, metric, notify, served};
use crate::harness::process::{Served, acervo};
use crate::harness::{KEY, until};

const READER: &str = "leitora";

/// A key of a reader, as a part of the configuration.
fn reader() -> String {
    let hash = acervo::config::hash_of_key(READER);
    format!("[[api.keys]]\nname = \"bi\"\nrole = \"reader\"\nhash = \"{hash}\"\n")
}

/// A service with three archived files and nothing to do.
async fn settled(folder: &Path, faults: &str, settings: &str) -> Served {
    let mut manifest = "path,nome,dataProduto\n".to_owned();
    let files = folder.join("files");
    std::fs::create_dir(&files).expect("a folder");
    for number in 1..=3 {
        std::fs::write(files.join(format!("{number}.txt")), format!("conteúdo {number}")).expect("a file");
        manifest.push_str(&format!("{number}.txt,Carga Verificada,0{number}/05/2025\n"));
    }
    let path = folder.join("manifest.csv");
    std::fs::write(&path, manifest).expect("a file");
    let import = acervo(folder).args(["import", "--create", "--manifest"]).arg(&path).arg(&files).output();
    let import = import.expect("a binary that starts");
    assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    let service = served(folder, faults, settings);
    service
        .until("{ status { indexLag publications } }", |data| {
            data["status"] == json!({ "indexLag": 0, "publications": 3 })
        })
        .await;
    service
}

#[derive(Debug, PartialEq)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Sends a query, and returns the response as it came, but for its date.
async fn send(service: &Served, key: Option<&str>, query: &str, headers: &[(&str, &str)]) -> Reply {
    let client = reqwest::Client::builder().no_proxy().no_gzip().build().expect("a client");
    let mut request = client.post(format!("{}/graphql", service.url)).json(&json!({ "query": query }));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = key.into_iter().fold(request, |request, key| request.bearer_auth(key)).send().await;
    let response = response.expect("a response");
    let (status, mut headers) = (response.status(), response.headers().clone());
    headers.remove(header::DATE).expect("a date");
    Reply { status, headers, body: response.bytes().await.expect("a body") }
}

/// How many requests were answered from memory.
async fn repeated(service: &Served) -> f64 {
    let (_, metrics) = get(&service.url, "/metrics").await;
    metric(&metrics, "acervo_queries_repeated_total").unwrap_or(0.0)
}

/// Sends a query until it is answered from memory; every response must be the same.
async fn send_until_repeated(service: &Served, key: &str, query: &str, headers: &[(&str, &str)]) -> Reply {
    let first = send(service, Some(key), query, headers).await;
    until("a response from memory", async || {
        let before = repeated(service).await;
        assert_eq!(send(service, Some(key), query, headers).await, first, "{query} {headers:?}");
        (repeated(service).await > before).then_some(())
    })
    .await;
    first
}

const LIST: &str = "query Lista { __typename recentes: publications(first: 2) { totalCount pageInfo { endCursor hasNextPage }
    nodes { id nome: name revisionCount receivedAt fileUrl sha256 } } publications(last: 1) { edges { cursor node { id } } } }";

/// By every media type and coding, and executed on the threads for queries alone.
#[tokio::test]
async fn a_repeated_list_is_the_same_response_from_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = settled(folder.path(), "graphql.execute=return", "").await;
    let media = ["application/json", "application/graphql-response+json"];
    let codings = ["identity", "gzip", "zstd", "br, gzip;q=0.5"];
    for (accept, coding) in media.iter().flat_map(|accept| codings.iter().map(move |coding| (*accept, *coding))) {
        let reply = send_until_repeated(&service, KEY, LIST, &[("accept", accept), ("accept-encoding", coding)]).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert!(reply.headers[header::CONTENT_TYPE].to_str().expect("text").starts_with(accept), "{reply:?}");
        let sent = reply.headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().expect("text"));
        let expected = if coding == "br, gzip;q=0.5" { "gzip" } else { coding };
        assert_eq!(sent.unwrap_or("identity"), expected);
    }
    // By GET too, unless the address has a key.
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let address = format!("{}/graphql", service.url);
    let get = async |key: &[(&str, &str)]| {
        let request = client.get(&address).query(&[("query", LIST)]).query(key);
        let request = if key.is_empty() { request.bearer_auth(KEY) } else { request };
        request.send().await.expect("a response").text().await.expect("text")
    };
    let first = get(&[]).await;
    until("a response from memory", async || {
        let before = repeated(&service).await;
        assert_eq!(get(&[]).await, first);
        (repeated(&service).await > before).then_some(())
    })
    .await;
    let before = repeated(&service).await;
    for _ in 0..4 {
        assert_eq!(get(&[("key", KEY)]).await, first);
    }
    assert_eq!(repeated(&service).await, before);
    let log = service.logged();
    let executed: Vec<&str> = log.lines().filter(|line| line.contains("an operation is executed")).collect();
    assert!(!executed.is_empty(), "{log}");
    assert!(executed.iter().all(|line| line.contains("\"thread\":\"queries\"")), "{log}");
}

/// What is committed, and what comes into the index after that, is in the next response.
#[tokio::test]
async fn a_repeated_list_changes_with_the_archive() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = settled(folder.path(), "", "").await;
    let list = "{ publications { totalCount nodes { name status } } }";
    send_until_repeated(&service, KEY, list, &[]).await;
    assert_eq!(notify(&service.url, 1).await, 202);
    let data = service.until(list, |data| data["publications"]["totalCount"] == 4).await;
    let names = data["publications"]["nodes"].as_array().expect("rows").iter().map(|row| &row["name"]);
    assert_eq!(names.filter(|name| *name == "Aviso 1").count(), 1, "{data}");
}

/// Anything that depends on more than the archive and the request is executed each time.
#[tokio::test]
async fn other_queries_are_not_answered_from_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = settled(folder.path(), "", "").await;
    for query in [
        "{ publications { totalCount } status { version } }",
        "{ publications { nodes { id product { name } } } }",
        "{ publications { edges { node { id revisions { id } } } } }",
        "{ products { totalCount } }",
        "{ publications(first: -1) { totalCount } }",
        "{ __typename }",
        "mutation { retryNotifications(filter: { source: [\"x\"] }) { matched } }",
    ] {
        for _ in 0..4 {
            send(&service, Some(KEY), query, &[]).await;
        }
    }
    assert_eq!(repeated(&service).await, 0.0);
    // The same field by other requests: each with its own variables and operation.
    let query =
        "query A($first: Int) { publications(first: $first) { nodes { id } } } query B { publications { totalCount } }";
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for _ in 0..4 {
        for (body, rows) in [
            (json!({ "query": query, "operationName": "A", "variables": { "first": 1 } }), Some(1)),
            (json!({ "query": query, "operationName": "A", "variables": { "first": 2 } }), Some(2)),
            (json!({ "query": query, "operationName": "B" }), None),
        ] {
            let request = client.post(format!("{}/graphql", service.url)).bearer_auth(KEY).json(&body);
            let reply: Value = request.send().await.expect("a response").json().await.expect("JSON");
            let list = &reply["data"]["publications"];
            assert_eq!(list["nodes"].as_array().map(Vec::len), rows, "{body}: {reply}");
        }
    }
    assert!(repeated(&service).await > 0.0);
}

/// A key is checked for each request, and so is what it may do.
#[tokio::test]
async fn a_repeated_request_needs_a_key_and_its_rights() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut service = settled(folder.path(), "", &reader()).await;
    let list = send_until_repeated(&service, KEY, LIST, &[]).await;
    for key in [None, Some("errada")] {
        let refused = send(&service, key, LIST, &[]).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
    }
    assert_eq!(send_until_repeated(&service, READER, LIST, &[]).await, list);
    let both = "{ publications { totalCount } retentionPlan { at } }";
    for _ in 0..4 {
        let body = send(&service, Some(KEY), both, &[]).await.body;
        let reply: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(reply["data"]["retentionPlan"]["at"].is_string(), "{reply}");
        let body = send(&service, Some(READER), both, &[]).await.body;
        let reply: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(reply["errors"][0]["extensions"]["code"], "FORBIDDEN", "{reply}");
    }
    // Keys are revoked in the configuration.
    assert_eq!(service.terminate(), Some(0));
    let service = served(folder.path(), "", "");
    send_until_repeated(&service, KEY, LIST, &[]).await;
    assert_eq!(send(&service, Some(READER), LIST, &[]).await.status, StatusCode::UNAUTHORIZED);
}

/// While a key uses its only slot, a repeated request of it waits as any other does; that of another key does not.
#[tokio::test]
async fn a_repeated_request_has_no_precedence() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = "[query]\ntimeout = \"600s\"\nwait = \"100ms\"\nconcurrency_per_key = 1\nthreads = 4\n";
    let service = settled(folder.path(), "retention-plan=sleep(600000)", &format!("{limits}{}", reader())).await;
    send_until_repeated(&service, KEY, LIST, &[]).await;
    let list = send_until_repeated(&service, READER, LIST, &[]).await;
    let (url, client) = (service.url.clone(), reqwest::Client::new());
    let holding = tokio::spawn(async move {
        let body = json!({ "query": "{ retentionPlan { at } }" });
        client.post(format!("{url}/graphql")).bearer_auth(KEY).json(&body).send().await
    });
    let refused = until("the slot is taken", async || {
        let reply = send(&service, Some(KEY), LIST, &[]).await;
        (reply.status == StatusCode::SERVICE_UNAVAILABLE).then_some(reply)
    })
    .await;
    assert!(refused.headers.contains_key(header::RETRY_AFTER), "{refused:?}");
    assert_eq!(send_until_repeated(&service, READER, LIST, &[]).await, list);
    holding.abort();
}
