//! Answers to requests: their order, and what is computed for them once.
use std::time::Duration;

use serde_json::{Value, json};

use crate::bounds::{begun, served};
use crate::harness::socket::Socket;
use crate::harness::{Db, KEY, Options, TestApp, on_each_database};

/// Announces so many products; gives their names and the ids of the notifications.
async fn announce(app: &TestApp, count: usize) -> Vec<(String, String)> {
    app.leaves_work_unsettled("the links lead nowhere");
    let mut sent = Vec::new();
    for n in 0..count {
        let name = format!("Produto {}", n % 20);
        let url = format!("http://127.0.0.1:9/x?token=segredo{n}");
        let body = json!({ "nome": name, "dataProduto": format!("{:02}/05/2025", n / 20 + 1), "url": url });
        let (status, answer) = app.notify(&body.to_string()).await;
        assert_eq!(status, 202, "{answer}");
        sent.push((name, answer["id"].as_str().expect("an id").to_owned()));
    }
    let query = "{ products { totalCount } status { indexLag } }";
    app.until(query, |data| data["products"]["totalCount"] == count.min(20) && data["status"]["indexLag"] == 0).await;
    sent
}

/// The names of an answer's fields, and those of its objects', in their order.
fn names(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| json!([name, names(value)])).collect(),
        Value::Array(items) => items.iter().map(names).collect(),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn fields_come_in_the_order_of_their_selection() {
    let app = TestApp::start().await;
    announce(&app, 25).await;
    for query in [
        "{ replays { edges { node { waiting id source announced } cursor } totalCount nodes { failed id } pageInfo { endCursor hasNextPage } } }",
        "{ changes { edges { cursor node { kind at } } nodes { publication { product { name id } id } kind } pageInfo { hasNextPage } } }",
        "{ status { jobs { nextAt name } version sources { silent name } queued sha: version ready } }",
        "{ publications { pageInfo { endCursor } nodes { product { id name } id revisions { id } name } totalCount } }",
        "{ z: jobRuns { nodes { name id } } publications { totalCount } a: status { ready } __typename }",
        "{ __schema { queryType { kind name } types { name kind } } status { version } }",
        "query($yes: Boolean!) { status { ...F ready @include(if: $yes) } } fragment F on ServiceStatus { version queued }",
        "mutation { retryNotifications(filter: { source: [\"x\"] }) { queued dead matched } }",
    ] {
        let answer = app.ask(query, json!({ "yes": true })).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        // The names of the document in their order; of a fragment, where it is spread.
        let text = query.split("fragment F").next().expect("a text").replace("...F", "version queued");
        let mut wanted = text.as_str();
        check_order(&mut wanted, &answer["data"], query);
    }
}

/// Each name of an answer stands in the document after the one before it.
fn check_order(document: &mut &str, value: &Value, query: &str) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let words = document.split(|c: char| !c.is_alphanumeric() && c != '_');
                let at = words.clone().position(|word| word == name);
                let at = at.unwrap_or_else(|| panic!("`{name}` is not in its place: {query}: {}", names(value)));
                let skipped: usize = words.take(at + 1).map(|word| word.len() + 1).sum();
                *document = document.get(skipped..).unwrap_or_default();
                check_order(document, value, query);
            }
        }
        Value::Array(items) => {
            let before = *document;
            let mut after = before;
            for item in items {
                let mut document = before;
                check_order(&mut document, item, query);
                after = document;
            }
            *document = after;
        }
        _ => {}
    }
}

/// The process ends when a second plan is made.
#[tokio::test]
async fn a_plan_is_made_once_for_all_fields_of_an_operators_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let hash = acervo::config::hash_of_key("leitora");
    let key = format!("[[api.keys]]\nname = \"bi\"\nrole = \"reader\"\nhash = \"{hash}\"\n");
    let service = served(folder.path(), "retention-plan=1*off->return", &key);
    begun(&service.url).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let all: Vec<String> = (0..100).map(|n| format!("a{n}: retentionPlan {{ at keep }}")).collect();
    let body = json!({ "query": format!("{{ {} }}", all.join(" ")) });
    let ask = async |key: &str| {
        let request = client.post(format!("{}/graphql", service.url)).bearer_auth(key).json(&body);
        request.send().await.expect("a response").json::<Value>().await.expect("JSON")
    };
    let answer = ask("leitora").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
    let answer = ask(KEY).await;
    let data = answer["data"].as_object().unwrap_or_else(|| panic!("no data: {answer}"));
    assert_eq!(data.len(), 100);
    assert!(data.values().all(|plan| *plan == data["a0"]), "{answer}");
}

on_each_database!(the_last_notification_of_each_product_is_its_newest);
async fn the_last_notification_of_each_product_is_its_newest(db: Db) {
    let app = TestApp::on(db).await;
    let sent = announce(&app, 30).await;
    let data = app.query("{ products { nodes { name lastNotification { id name } } } }").await;
    let nodes = data["products"]["nodes"].as_array().expect("rows");
    assert_eq!(nodes.len(), 20);
    for node in nodes {
        let last = sent.iter().rev().find(|(name, _)| node["name"] == name.as_str()).expect("a product that was sent");
        assert_eq!(node["lastNotification"]["id"], last.1.as_str(), "{db:?}");
    }
}

/// Archives a file, in this process and without its jobs.
async fn import_file(app: &TestApp, number: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.txt"), format!("{number}")).expect("a file");
    let manifest = folder.path().join("manifest.csv");
    let row = format!("a.txt,Produto,{:02}/05/2025", number % 28 + 1);
    std::fs::write(&manifest, format!("path,nome,dataProduto\n{row}\n")).expect("a file");
    let files = folder.path().to_owned();
    let report = acervo::jobs::import::files(&app.app, &files, &manifest, false, &mut |_| {}).await.expect("an import");
    assert_eq!(report.archived, 1);
}

/// Without a writer of the index, a subscription that waits for it ends with an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_ends_where_the_index_has_no_writer() {
    let app = TestApp::with(Options { without_jobs: true, ..Options::default() }).await;
    let mut socket = Socket::connect(&app.url).await;
    socket.subscribe("a", "subscription { publicationArchived { id } }").await;
    // A subscription delivers what is archived after it began, which it does not report.
    let mut number = 0;
    let ended = loop {
        number += 1;
        import_file(&app, number).await;
        tokio::select! {
            message = socket.next() => break message,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    };
    assert_eq!(ended["payload"]["errors"][0]["extensions"]["code"], "INTERNAL", "{ended}");
    assert_eq!(socket.next().await["type"], "complete");
}

/// A refusal has another code than a failure, and gives the reason.
#[tokio::test]
async fn refusals_have_their_codes() {
    use base64::Engine as _;
    let app = TestApp::with(Options { without_jobs: true, ..Options::default() }).await;
    let dry = app.query("mutation { runRetention { id } }").await["runRetention"]["id"].clone();
    let nowhere = "0198b5c0-0000-7000-8000-000000000000";
    let cursor = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let zeros = "0".repeat(32);
    for (query, code, message) in [
        (format!("mutation {{ undoRetention(runId: {dry}) {{ id }} }}"), "BAD_USER_INPUT", "was a dry run"),
        (format!("mutation {{ undoRetention(runId: \"{nowhere}\") {{ id }} }}"), "NOT_FOUND", "there is no run"),
        ("mutation { undoRetention(runId: \"x\") { id } }".to_owned(), "BAD_USER_INPUT", "not a valid id"),
        (
            format!("mutation {{ holdRevision(id: \"{nowhere}\", reason: \" \") {{ id }} }}"),
            "BAD_USER_INPUT",
            "say why",
        ),
        (format!("mutation {{ holdRevision(id: \"{nowhere}\", reason: \"x\") {{ id }} }}"), "NOT_FOUND", nowhere),
        (
            "mutation { retryNotifications(filter: { name: { contains: \"\\u0001\" } }) { matched } }".to_owned(),
            "BAD_USER_INPUT",
            "control character",
        ),
        // Cursors of the right kind that no list gives.
        (
            format!("{{ retentionPlan {{ lines(after: \"{}\") {{ totalCount }} }} }}", cursor(&format!("#{zeros}i-1"))),
            "BAD_USER_INPUT",
            "cursor",
        ),
        (
            format!("{{ publicationStats(groupBy: [STATUS], limit: {}) {{ publications }} }}", i32::MAX),
            "BAD_USER_INPUT",
            "`limit` is 2147483647",
        ),
    ] {
        let answer = app.ask(&query, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{query}: {answer}");
        let reported = answer["errors"][0]["message"].as_str().expect("a message");
        assert!(reported.contains(message), "{query}: {answer}");
    }
}
