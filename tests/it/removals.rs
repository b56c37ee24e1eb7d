use std::collections::HashSet;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::process::{acervo, run};
use crate::harness::samples::{product, replace};
use crate::harness::{Db, Options, TestApp, bytes_in, on_each_database, postgres, until};

const REMOVE: &str = "mutation($id: ID!, $name: String, $reason: String, $dry: Boolean!) {
    removeProduct(productId: $id, confirmName: $name, reason: $reason, dryRun: $dry) {
        name publications revisions bytesFreed held waiting
        removal { id name reason requestedBy completedAt removed sweepAfter undoneAt sweptAt } } }";

/// Two products that share the bytes of one file; the first has two revisions of one publication.
async fn two_products(app: &TestApp) -> String {
    let test = app.portal.add(product(1, "Produto de teste", "teste.txt", "versao um do teste\n".repeat(500)));
    app.archive(test).await;
    app.portal.change(test, |product| replace(product, "bytes compartilhados\n".repeat(500)));
    app.archive(test).await;
    app.archive(app.portal.add(product(2, "Outro", "outro.txt", "bytes compartilhados\n".repeat(500)))).await;
    app.indexed().await;
    let products = app.query("{ products(filter: { name: { eq: \"produto de teste\" } }) { nodes { id } } }").await;
    products["products"]["nodes"][0]["id"].as_str().expect("an id").to_owned()
}

async fn remove(app: &TestApp, id: &str, name: &str, reason: &str, dry: bool) -> Value {
    app.ask(REMOVE, json!({ "id": id, "name": name, "reason": reason, "dry": dry })).await
}

async fn on(db: Db, grace: &str) -> TestApp {
    let values = vec![("retention.grace", grace.to_owned())];
    TestApp::with(Options { values, database_url: postgres::database(db), ..Options::default() }).await
}

/// Name, status and revision count of all publications.
async fn publications(app: &TestApp) -> Vec<(String, String)> {
    let data = app.query("{ publications(orderBy: NAME_ASC) { nodes { name status } } }").await;
    let nodes = data["publications"]["nodes"].as_array().expect("a list").clone();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    nodes.iter().map(|node| (text(&node["name"]), text(&node["status"]))).collect()
}

on_each_database!(a_product_is_removed_and_the_bytes_of_others_stay);
async fn a_product_is_removed_and_the_bytes_of_others_stay(db: Db) {
    let app = on(db, "0s").await;
    let id = two_products(&app).await;
    let cursor = app.query("{ changesCursor }").await["changesCursor"].clone();
    let dry = remove(&app, &id, "", "", true).await["data"]["removeProduct"].clone();
    assert_eq!((&dry["publications"], &dry["revisions"], &dry["held"]), (&json!(1), &json!(2), &json!(0)), "{dry}");
    assert!(dry["bytesFreed"].as_i64().expect("a number") > 0, "{dry}");
    assert_eq!(dry["removal"], Value::Null);
    // Another name, no name, no reason, an unknown product.
    for (id, name, reason, word) in [
        (id.as_str(), "Outro", "teste", "Produto de teste"),
        (id.as_str(), "", "teste", "Produto de teste"),
        (id.as_str(), "Produto de teste", " ", "reason"),
        ("0191d8b0-0000-7000-8000-000000000000", "Produto de teste", "teste", "0191d8b0"),
    ] {
        let refused = remove(&app, id, name, reason, false).await;
        assert!(refused["errors"][0]["message"].as_str().expect("a message").contains(word), "{refused}");
    }
    assert!(publications(&app).await.iter().all(|(_, status)| status == "ARCHIVED"));
    let before = bytes_in(&app.folder.path().join("data/archive"));
    let done = remove(&app, &id, "Produto de teste", "era um teste", false).await["data"]["removeProduct"].clone();
    let removal = &done["removal"];
    assert_eq!((&removal["removed"], &removal["reason"]), (&json!(2), &json!("era um teste")), "{done}");
    assert_ne!(removal["completedAt"], Value::Null);
    app.indexed().await;
    let expected = [("Outro", "ARCHIVED"), ("Produto de teste", "PURGED")];
    assert_eq!(publications(&app).await, expected.map(|(name, status)| (name.to_owned(), status.to_owned())));
    // Readers of the feed learn of it.
    let changes = "query($after: String) { changes(after: $after, first: 100) { nodes { kind publication { name } revision { number } } } }";
    let changes = app.query_with(changes, json!({ "after": cursor })).await["changes"]["nodes"].clone();
    let purged: HashSet<i64> = changes
        .as_array()
        .expect("a list")
        .iter()
        .map(|change| {
            assert_eq!(
                (&change["kind"], &change["publication"]["name"]),
                (&json!("PURGED"), &json!("Produto de teste"))
            );
            change["revision"]["number"].as_i64().expect("a number")
        })
        .collect();
    assert_eq!(purged, HashSet::from([1, 2]));
    // The sweep deletes what is its own, and the shared bytes stay.
    until("the files are deleted", async || {
        let bytes = bytes_in(&app.folder.path().join("data/archive"));
        (bytes < before).then_some(())
    })
    .await;
    let files = app.query("{ revisions(filter: { name: { eq: \"outro\" } }) { nodes { fileUrl } } }").await;
    let url = files["revisions"]["nodes"][0]["fileUrl"].as_str().expect("an address").to_owned();
    assert_eq!(app.get(&url).await.text().await.expect("text"), "bytes compartilhados\n".repeat(500));
    let listed =
        app.query("{ productRemovals { totalCount nodes { productId name reason requestedBy removed } } }").await;
    assert_eq!(listed["productRemovals"]["totalCount"], 1);
    assert_eq!(listed["productRemovals"]["nodes"][0]["productId"], json!(id));
    // Its notifications are still there, and a file that is published later is archived.
    let notified = app.query("{ notifications { totalCount } }").await;
    assert_eq!(notified["notifications"]["totalCount"], 3);
    app.portal.change(1, |product| replace(product, "versao nova\n"));
    app.archive(1).await;
    app.indexed().await;
    assert_eq!(publications(&app).await[1].1, "ARCHIVED");
}

on_each_database!(held_revisions_refuse_and_an_undo_brings_all_back);
async fn held_revisions_refuse_and_an_undo_brings_all_back(db: Db) {
    let app = on(db, "1d").await;
    let id = two_products(&app).await;
    let revisions = "{ revisions(filter: { name: { eq: \"produto de teste\" } }, orderBy: ARCHIVED_ASC) { nodes { id purgedAt purgeReason } } }";
    let held = app.query(revisions).await["revisions"]["nodes"][0]["id"].as_str().expect("an id").to_owned();
    let hold = "mutation($id: ID!) { holdRevision(id: $id, reason: \"auditoria\") { held } }";
    app.query_with(hold, json!({ "id": held })).await;
    let refused = remove(&app, &id, "Produto de teste", "teste", false).await;
    let message = refused["errors"][0]["message"].as_str().expect("a message");
    assert!(message.contains(&held) && message.contains("release"), "{message}");
    let listed = app.query("{ productRemovals { totalCount } retentionRuns { totalCount } }").await;
    assert_eq!(listed["productRemovals"]["totalCount"], 0);
    assert_eq!(listed["retentionRuns"]["totalCount"], 0);
    app.query_with("mutation($id: ID!) { releaseRevision(id: $id) { held } }", json!({ "id": held })).await;
    let done = remove(&app, &id, "Produto de teste", "teste", false).await["data"]["removeProduct"]["removal"].clone();
    let rows = app.query(revisions).await["revisions"]["nodes"].clone();
    for row in rows.as_array().expect("a list") {
        assert_ne!(row["purgedAt"], Value::Null);
        assert!(row["purgeReason"].as_str().expect("a reason").ends_with(": teste"), "{row}");
    }
    app.query_with("mutation($id: ID!) { undoRetention(runId: $id) { undoneAt } }", json!({ "id": done["id"] })).await;
    app.indexed().await;
    assert!(publications(&app).await.iter().all(|(_, status)| status == "ARCHIVED"));
    let listed = app.query("{ productRemovals { nodes { undoneAt } } }").await;
    assert_ne!(listed["productRemovals"]["nodes"][0]["undoneAt"], Value::Null);
}

/// Only an administrator may.
#[tokio::test]
async fn operators_do_not_remove_products() {
    let hash = acervo::domain::Digest::of(b"operador").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("acervo.toml");
    std::fs::write(&config, format!("[[api.keys]]\nname = \"op\"\nrole = \"operator\"\nhash = \"sha256:{hash}\"\n"))
        .expect("a file");
    let app = TestApp::with(Options { config: Some(config), ..Options::default() }).await;
    let id = two_products(&app).await;
    let body = json!({ "query": REMOVE, "variables": { "id": id, "dry": true } });
    let request = app.client.post(format!("{}/graphql", app.url)).bearer_auth("operador").json(&body);
    let answer: Value = request.send().await.expect("a response").json().await.expect("JSON");
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
}

/// Killed between two transactions, a removal is completed by the service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_was_killed_is_completed() {
    for db in Db::all() {
        for fault in ["removal-after-begin", "removal-between-marks"] {
            let app = on(db, "1d").await;
            two_products(&app).await;
            let url = app.app.settings.database_url.clone();
            let folder = app.stop().await;
            let mut command = acervo(folder.path());
            command.envs(url.iter().map(|url| ("ACERVO_DATABASE_URL", url.expose_secret())));
            command.env("FAILPOINTS", format!("lock-lasts=return(6000);{fault}=return"));
            let command_line = ["remove", "produto de teste", "--reason", "teste", "--yes", "Produto de teste"];
            let killed = command.args(command_line).output().expect("a binary that starts");
            assert_eq!(killed.status.code(), None, "{fault}: {}", String::from_utf8_lossy(&killed.stderr));
            let database_url = url.map(|url| url.expose_secret().to_owned());
            let values = vec![("retention.grace", "1d".to_owned())];
            let app = TestApp::with(Options { folder: Some(folder), database_url, values, ..Options::default() }).await;
            app.until("{ productRemovals { nodes { completedAt removed } } }", |data| {
                let removal = &data["productRemovals"]["nodes"][0];
                removal["completedAt"] != Value::Null && removal["removed"] == 2
            })
            .await;
            app.indexed().await;
            assert_eq!(publications(&app).await[1].1, "PURGED", "{fault}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_asks_for_the_name_and_lists_removals() {
    let app = TestApp::start().await;
    let id = two_products(&app).await;
    let folder = app.stop().await;
    let folder = folder.path();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let dry = run(folder, &["remove", "PRODUTO de téste", "--dry-run"]);
    assert!(dry.status.success(), "{}", text(&dry.stderr));
    assert!(text(&dry.stdout).contains(&id) && text(&dry.stdout).contains("2 revisions"), "{}", text(&dry.stdout));
    for (arguments, code, word) in [
        (&["remove", "produto de teste", "--reason", "x"][..], 2, "--yes"),
        (&["remove", "produto de teste"], 2, "--reason"),
        (&["remove", "produto de teste", "--reason", "x", "--yes", "Outro"], 1, "Produto de teste"),
        (&["remove", "nada", "--reason", "x", "--yes", "nada"], 1, "nada"),
    ] {
        let refused = run(folder, arguments);
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains(word), "{arguments:?}: {}", text(&refused.stderr));
    }
    let none = run(folder, &["removals"]);
    assert!(text(&none.stdout).contains("no product was removed"));
    let done = run(folder, &["remove", &id, "--reason", "era um teste", "--yes", "Produto de teste"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let listed = run(folder, &["removals", "--format", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!((&listed[0]["removed"], &listed[0]["reason"]), (&json!(2), &json!("era um teste")));
    assert!(listed[0]["requestedBy"].as_str().expect("a name").contains("on this machine"));
}
