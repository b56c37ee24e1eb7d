use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;

use crate::harness::links::FileServer;
use crate::harness::notice::Notice;
use crate::harness::polling::until;
use crate::harness::process::{Served, acervo, free_port};
use crate::harness::{KEY, TOKEN};

/// How a collector answers.
#[derive(Clone, Copy, Debug)]
enum Taking {
    All,
    Nothing,
    /// It never answers.
    Hanging,
}

/// Requests: their headers and bodies.
type Sent = Vec<(HeaderMap, Vec<u8>)>;

/// A collector that keeps what it is sent.
#[derive(Clone)]
struct Collector {
    url: String,
    taking: Arc<Mutex<Taking>>,
    sent: Arc<Mutex<Sent>>,
}

impl Collector {
    async fn start(taking: Taking) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let collector = Self { url, taking: Arc::new(Mutex::new(taking)), sent: Arc::default() };
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        collector
    }

    fn take(&self, taking: Taking) {
        *self.taking.lock().expect("a lock") = taking;
    }

    fn bodies(&self) -> Sent {
        self.sent.lock().expect("a lock").clone()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let decoded = |(_, body): (HeaderMap, Vec<u8>)| ExportTraceServiceRequest::decode(&*body).expect("OTLP");
        self.bodies().into_iter().map(decoded).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let taking = *collector.taking.lock().expect("a lock");
    match taking {
        Taking::All => {
            collector.sent.lock().expect("a lock").push((headers, body.to_vec()));
            StatusCode::OK
        }
        Taking::Nothing => StatusCode::SERVICE_UNAVAILABLE,
        Taking::Hanging => std::future::pending().await,
    }
}

fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.clone()) {
        Some(Any::StringValue(text)) => text,
        Some(Any::IntValue(number)) => number.to_string(),
        other => panic!("another kind of value: {other:?}"),
    };
    of.iter().map(|one| (one.key.clone(), text(&one.value))).collect()
}

/// A service that sends its spans to this address, with further variables.
fn serve(folder: &std::path::Path, collector: &str, variables: &[(&str, &str)]) -> Served {
    let mut command = acervo(folder);
    command.env("ACERVO_LOG_OTLP_ENDPOINT", collector).env("OTEL_BSP_SCHEDULE_DELAY", "50");
    command.envs(variables.iter().copied());
    tokio::task::block_in_place(|| Served::spawn(command, folder.join("log.txt"), free_port(), "info"))
}

/// Announces a file, and gives the notification's id once the file is archived.
async fn archive(served: &Served, links: &FileServer, number: usize) -> String {
    let path = format!("/sites/9/1/Produtos/{number}/arquivo-de-teste.txt");
    links.offer(&path, format!("arquivo {number}").as_bytes(), None);
    let link = links.link(&json!({ "URL": path, "IsFile": "True", "email": "pessoa@example.com" }));
    let body = Notice::new(format!("Produto {number}")).link(link).to_string();
    let request = served.client.post(format!("{}/webhook", served.url)).header("authorization", TOKEN).body(body);
    let answer = request.send().await.expect("a response");
    assert_eq!(answer.status(), 202);
    let answer: serde_json::Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
    let archived = "{ publications(filter: { status: [ARCHIVED] }) { totalCount } }";
    served.until(archived, |data| data["publications"]["totalCount"] == number).await;
    answer["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_is_one_trace_without_secrets() {
    let collector = Collector::start(Taking::All).await;
    let folder = tempfile::tempdir().expect("a folder");
    let links = FileServer::start().await;
    let header = [("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=segredo-do-coletor")];
    let mut served = serve(folder.path(), &format!("{}/", collector.url), &header);
    let id = archive(&served, &links, 1).await;
    let export = format!("{}/export/publications.csv?key={KEY}&search=palavra-secreta", served.url);
    assert_eq!(served.client.get(export).send().await.expect("a response").status(), 200);
    let of_it = || collector.spans().into_iter().filter(|span| hex::encode(&span.trace_id) == id.replace('-', ""));
    // What waits is sent at the stop, at the latest.
    tokio::task::block_in_place(|| served.terminate());
    let mut found: BTreeMap<String, Span> = of_it().map(|span| (span.name.clone(), span)).collect();
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["POST /webhook", "archive", "fetch", "index", "receive", "record", "store"],
        "{}",
        served.logged()
    );
    assert_eq!(of_it().count(), found.len(), "a span was sent twice");
    let root = found.remove("POST /webhook").expect("the root");
    assert!(root.parent_span_id.is_empty());
    for (name, span) in &found {
        assert_eq!(span.parent_span_id, root.span_id, "{name}");
        assert!(root.start_time_unix_nano <= span.start_time_unix_nano, "{name}");
        assert_eq!(attributes(&span.attributes)["acervo.notification.id"], id, "{name}");
    }
    let ended = |name: &str| found[name].end_time_unix_nano;
    assert!(ended("receive") <= ended("fetch") && ended("fetch") <= ended("store"), "{found:?}");
    assert!(ended("store") <= ended("record") && ended("record") <= ended("index"), "{found:?}");
    let shown = attributes(&root.attributes);
    assert_eq!((shown["http.route"].as_str(), shown["http.response.status_code"].as_str()), ("/webhook", "202"));
    let stored = attributes(&found["store"].attributes);
    assert_eq!(stored["acervo.file.sha256"], crate::harness::sha256(b"arquivo 1"));
    let (recorded, indexed) = (attributes(&found["record"].attributes), attributes(&found["index"].attributes));
    assert_eq!(recorded["acervo.revision.id"], indexed["acervo.revision.id"]);
    // Other requests have traces of their own, and what only watches the service has none.
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.name == "GET /export/{file}"), "{spans:?}");
    assert!(spans.iter().all(|span| !span.name.contains("readyz")), "{spans:?}");
    let requests = collector.requests();
    let resource = requests[0].resource_spans[0].resource.as_ref().expect("a resource");
    let resource = attributes(&resource.attributes);
    assert_eq!(resource["service.name"], "acervo");
    for (headers, body) in collector.bodies() {
        assert_eq!(headers["x-collector-key"], "segredo-do-coletor");
        let text = String::from_utf8_lossy(&body).into_owned();
        for secret in [KEY, TOKEN, "token=", "arquivo-de-teste", "pessoa@example.com", "palavra-secreta", "eyJ"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    assert!(!served.logged().contains("segredo-do-coletor"), "{}", served.logged());
}

/// It answers errors, never, or not at all: notifications and their files are handled as always.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_takes_nothing_changes_nothing() {
    let collector = Collector::start(Taking::Nothing).await;
    let folder = tempfile::tempdir().expect("a folder");
    let links = FileServer::start().await;
    let mut served = serve(folder.path(), &collector.url, &[]);
    archive(&served, &links, 1).await;
    let logged = |what: &'static str| {
        let served = &served;
        async move {
            until(what, async || served.logged().contains(what).then_some(())).await;
        }
    };
    logged("spans cannot be sent").await;
    archive(&served, &links, 2).await;
    collector.take(Taking::All);
    archive(&served, &links, 3).await;
    logged("spans are sent again").await;
    collector.take(Taking::Hanging);
    archive(&served, &links, 4).await;
    // It ends although the last spans cannot be sent.
    assert_eq!(tokio::task::block_in_place(|| served.terminate()), Some(0), "{}", served.logged());
    assert_eq!(served.logged().matches("spans cannot be sent").count(), 1, "{}", served.logged());
    // One that is not there.
    let mut served = serve(folder.path(), &format!("http://127.0.0.1:{}", free_port()), &[]);
    archive(&served, &links, 5).await;
    assert_eq!(tokio::task::block_in_place(|| served.terminate()), Some(0), "{}", served.logged());
}

#[test]
fn a_wrong_collector_is_named_without_its_value() {
    let folder = tempfile::tempdir().expect("a folder");
    for wrong in ["ftp://segredo", "segredo", "http://usuario:segredo@127.0.0.1:4318", "http://127.0.0.1/?key=segredo"]
    {
        let mut command = acervo(folder.path());
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", wrong).args(["config", "check"]);
        let output = command.output().expect("a binary that starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{wrong}: {error}");
        assert!(error.contains("log.otlp_endpoint") && !error.contains("segredo"), "{wrong}: {error}");
    }
}
