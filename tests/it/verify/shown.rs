use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{archive_of, digest_of, named, objects, verify};
use crate::harness::{Db, KEY, Options, TestApp, on_each_database, sha256};

on_each_database!(status_and_graphql_show_what_is_broken, 2 threads);
async fn status_and_graphql_show_what_is_broken(db: Db) {
    let archive = archive_of(db, 9).await;
    let app = archive.open().await;
    app.indexed().await;
    const STATE: &str = "{ status { verification { broken bytesRead cycleProgress lastCycleEndedAt
        lastRun { files bytes broken share scheduled endedAt } } damaged jobs { name nextAt schedule } } }";
    let before = app.query(STATE).await["status"].clone();
    assert_eq!(
        (&before["verification"]["broken"], &before["verification"]["lastRun"]),
        (&Value::from(0), &Value::Null)
    );
    assert_eq!(before["jobs"][2]["name"], "verify", "{before}");
    assert!(before["jobs"][2]["nextAt"].is_string(), "{before}");
    let objects = objects(&archive);
    let stray = sha256(b"stray");
    std::fs::write(
        objects[0].parent().expect("a folder").parent().expect("a folder").join(&stray[..2]).join(&stray),
        b"stray",
    )
    .expect("an object");
    for object in &objects[..4] {
        std::fs::write(object, b"x").expect("an object");
    }
    let (code, _) = verify(&archive, &[]).await;
    assert_eq!(code, Some(1), "{db:?}");
    let state = app.query(STATE).await["status"].clone();
    let run = &state["verification"]["lastRun"];
    assert_eq!(
        (&state["verification"]["broken"], &state["damaged"], &run["broken"]),
        (&Value::from(5), &Value::from(4), &Value::from(5)),
        "{db:?}: {state}"
    );
    assert_eq!(
        (&run["files"], run["share"].as_f64(), &run["scheduled"]),
        (&Value::from(9), Some(1.0), &Value::from(false)),
        "{db:?}: {state}"
    );
    assert!(state["verification"]["lastCycleEndedAt"].is_string(), "{db:?}: {state}");
    let mut found = BTreeMap::new();
    let mut after = Value::Null;
    loop {
        let query = "query($after: String) { brokenItems(first: 2, after: $after) { totalCount nodes { kind sha256 nextStep revisionCount
            revisions { name publicationId } } pageInfo { hasNextPage endCursor } } }";
        let page = app.query_with(query, serde_json::json!({ "after": after })).await["brokenItems"].clone();
        assert_eq!(page["totalCount"], 5, "{db:?}: {page}");
        for item in page["nodes"].as_array().expect("a list") {
            found.insert(named(&item["sha256"]), named(&item["kind"]));
            let uses = if item["kind"] == "ORPHAN" { 0 } else { 1 };
            assert_eq!(
                (&item["revisionCount"], item["revisions"].as_array().map(Vec::len)),
                (&Value::from(uses), Some(uses)),
                "{item}"
            );
        }
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    let mut expected: BTreeMap<String, String> =
        objects[..4].iter().map(|object| (digest_of(object), "WRONG".to_owned())).collect();
    expected.insert(stray, "ORPHAN".to_owned());
    assert_eq!(found, expected, "{db:?}");
    assert_eq!(app.query("{ verifyRuns { totalCount nodes { id } } }").await["verifyRuns"]["totalCount"], 1);
    let metrics = app.get("/metrics").await.text().await.expect("text");
    assert!(metrics.contains("acervo_broken_items 5"), "{db:?}: {metrics}");
    let ready = app.get("/readyz").await.text().await.expect("text");
    assert!(ready.contains("\"broken\":5"), "{db:?}: {ready}");
    let printed = archive.run(&["status"], "").await;
    assert!(String::from_utf8_lossy(&printed.stdout).contains("5 BROKEN"), "{db:?}: {printed:?}");
    app.leaves_work_unsettled("a sweep may begin at any moment");
}

on_each_database!(an_item_lists_what_needs_it_through_bases, 2 threads);
async fn an_item_lists_what_needs_it_through_bases(db: Db) {
    let archive = archive_of(db, 6).await;
    let all = objects(&archive);
    std::fs::remove_file(&all[0]).expect("an object");
    let database = archive.database().await;
    let digest = |n: usize| match db {
        Db::Sqlite => format!("x'{}'", digest_of(&all[n])),
        Db::Postgres => format!("decode('{}', 'hex')", digest_of(&all[n])),
    };
    // A chain, a second file with the same base, and a circle, which must not be endless.
    for (file, base) in [(1, 0), (2, 1), (3, 0), (0, 2)] {
        let sql = format!("UPDATE files SET base = {} WHERE digest = {}", digest(base), digest(file));
        database.execute_unprepared(&sql).await.unwrap_or_else(|e| panic!("{db:?}: {e}"));
    }
    database.close().await.expect("a closed connection");
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!(code, Some(1), "{db:?}");
    let items = report["items"].as_array().expect("a list");
    let of = |n: usize| items.iter().find(|item| item["sha256"] == digest_of(&all[n])).expect("an item");
    assert_eq!(of(0)["revisions"].as_array().map(Vec::len), Some(4), "{db:?}: {report}");
    let app = archive.open().await;
    let query = "{ brokenItems(first: 1000) { nodes { sha256 revisionCount revisions { id } } } }";
    let data = app.query(query).await;
    let nodes = data["brokenItems"]["nodes"].as_array().expect("a list");
    let node = nodes.iter().find(|node| node["sha256"] == digest_of(&all[0])).expect("an item");
    assert_eq!((&node["revisionCount"], node["revisions"].as_array().map(Vec::len)), (&json!(4), Some(4)), "{data}");
    // Without the list, the count is that of all.
    let data = app.query("{ brokenItems(first: 1000) { nodes { sha256 revisionCount nextStep } } }").await;
    let nodes = data["brokenItems"]["nodes"].as_array().expect("a list");
    let node = nodes.iter().find(|node| node["sha256"] == digest_of(&all[0])).expect("an item");
    assert_eq!(node["revisionCount"], 4, "{db:?}: {data}");
    assert!(named(&node["nextStep"]).contains("Deck "), "{db:?}: {data}");
    app.leaves_work_unsettled("a sweep may begin at any moment");
}

on_each_database!(a_cursor_that_was_made_up_is_refused, 2 threads);
async fn a_cursor_that_was_made_up_is_refused(db: Db) {
    let app = TestApp::on(db).await;
    let query = "query($after: String) { brokenItems(after: $after) { totalCount } }";
    let nil = "0".repeat(32);
    for key in [
        "file:",
        "file:xyz",
        "file:0:00",
        &format!("file:{}", sha256(b"x")),
        "",
        "a b",
        "a\0b",
        "\u{1f600}",
        &"x".repeat(5000),
    ] {
        let after = URL_SAFE_NO_PAD.encode(format!("k{nil}t{key}"));
        let answer = app.ask(query, json!({ "after": after })).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{db:?}: {key:?}: {answer}");
        assert!(named(&error["message"]).contains("cursor"), "{db:?}: {key:?}: {answer}");
    }
    // What may be a key is a position, whether there is such an item or not.
    for key in [format!("file:0:{}", sha256(b"x")), "orphan:x".to_owned(), "'; --".replace(' ', "")] {
        let after = URL_SAFE_NO_PAD.encode(format!("k{nil}t{key}"));
        assert_eq!(app.query_with(query, json!({ "after": after })).await["brokenItems"]["totalCount"], 0, "{key}");
    }
}

/// It is the operator's: it lists files that nothing needs, and what to do on the machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_broken_is_not_shown_to_readers() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let config = folder.path().join("acervo.toml");
    let keys = ["reader", "operator"].map(|role| {
        format!(
            "[[api.keys]]\nname = \"{role}\"\nrole = \"{role}\"\nhash = \"{}\"\n",
            acervo::config::hash_of_key(role)
        )
    });
    std::fs::write(&config, keys.concat()).expect("a file");
    let options = Options { folder: Some(folder), config: Some(config), without_jobs: true, ..Options::default() };
    let app = TestApp::with(options).await;
    let body = json!({ "query": "{ brokenItems { totalCount } }" });
    for (key, code) in [("reader", json!("FORBIDDEN")), ("operator", Value::Null), (KEY, Value::Null)] {
        let request = app.client.post(format!("{}/graphql", app.url)).bearer_auth(key).json(&body);
        let answer: Value = request.send().await.expect("a response").json().await.expect("JSON");
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{key}: {answer}");
    }
}
