//! Lost publications: operators acknowledge them, and a new loss is not acknowledged.
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::notice::Notice;
use crate::harness::process::acervo;
use crate::harness::samples::product;
use crate::harness::{Db, Options, TestApp, on_each_database, postgres};

const DAY: Duration = Duration::from_secs(2 * 86_400);

const LOST: &str = "{ status { lost lostPublications {
    publicationId name referenceDate lostAt reason acknowledgedAt acknowledgedBy } } }";

async fn metric(app: &TestApp) -> Option<f64> {
    let text = app.get("/metrics").await.text().await.expect("text");
    text.lines().find_map(|line| line.strip_prefix("acervo_lost_publications ")?.parse().ok())
}

/// Announces a product by a link that leads nowhere, until it has expired.
async fn lose(app: &TestApp, names: &[&str], lost: u64) {
    for name in names {
        assert_eq!(app.notify(&Notice::full(*name).to_string()).await.0, 202);
    }
    let query = "{ status { unresolved queued fetching retrying } }";
    app.until(query, |data| data["status"]["unresolved"] == 0 && data["status"]["retrying"] == names.len()).await;
    app.app.clock.advance(DAY);
    app.until(LOST, |data| data["status"]["lost"] == lost).await;
}

/// Runs a command on the archive of a running service. Returns its exit code, its output and its errors.
async fn command(app: &TestApp, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = acervo(app.folder.path());
    command.envs(app.app.settings.database_url.iter().map(|url| ("ACERVO_DATABASE_URL", url.expose_secret())));
    command.args(args).env("USER", "ana");
    let output = tokio::task::spawn_blocking(move || command.output().expect("a binary that starts"));
    let output = output.await.expect("a thread");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

on_each_database!(an_acknowledged_loss_ends_the_alert_and_a_new_one_begins_it_again, 2 threads);
async fn an_acknowledged_loss_ends_the_alert_and_a_new_one_begins_it_again(db: Db) {
    let options = Options { database_url: postgres::database(db), ..Options::default() };
    let app = TestApp::with(options).await;
    assert_eq!(metric(&app).await, Some(0.0), "{db:?}");
    lose(&app, &["Um", "Dois", "Três"], 3).await;
    assert_eq!(metric(&app).await, Some(3.0), "{db:?}");
    let status = app.query(LOST).await["status"].clone();
    let listed = status["lostPublications"].as_array().expect("a list");
    assert_eq!(listed.len(), 3, "{db:?}: {status}");
    for loss in listed {
        assert!(loss["lostAt"].is_string() && loss["acknowledgedAt"].is_null(), "{db:?}: {loss}");
        assert_eq!(loss["referenceDate"], "09/05/2025", "{db:?}: {loss}");
        assert!(loss["reason"].as_str().is_some_and(|reason| reason.contains("expired")), "{db:?}: {loss}");
    }
    let id = |name: &str| {
        let loss = listed.iter().find(|loss| loss["name"] == name).expect("a loss");
        loss["publicationId"].as_str().expect("an id").to_owned()
    };
    // One by its id, twice: the first acknowledgement stays.
    let acknowledge = "mutation($ids: [ID!]) { acknowledgeLost(ids: $ids) { acknowledged remaining } }";
    for (acknowledged, remaining) in [(1, 2), (0, 2)] {
        let data = app.query_with(acknowledge, json!({ "ids": [id("Um")] })).await;
        assert_eq!(data["acknowledgeLost"], json!({ "acknowledged": acknowledged, "remaining": remaining }), "{db:?}");
    }
    let status = app.query(LOST).await["status"].clone();
    assert_eq!((&status["lost"], metric(&app).await), (&json!(2), Some(2.0)), "{db:?}: {status}");
    let last = &status["lostPublications"][2];
    assert_eq!((&last["name"], &last["acknowledgedBy"]), (&json!("Um"), &json!("api.token")), "{db:?}: {status}");
    let at: jiff::Timestamp = last["acknowledgedAt"].as_str().expect("an instant").parse().expect("an instant");
    assert!(app.app.clock.now().duration_since(at).as_secs() < 600, "{db:?}: {status}");
    // One by the command line.
    let (code, printed, errors) = command(&app, &["acknowledge", &id("Dois")]).await;
    assert_eq!((code, printed.trim()), (Some(0), "1 lost publications acknowledged"), "{db:?}: {errors}");
    let (_, printed, _) = command(&app, &["lost"]).await;
    assert!(printed.contains("Três") && !printed.contains("Um"), "{db:?}: {printed}");
    let (_, printed, _) = command(&app, &["lost", "--all", "--format", "json"]).await;
    let rows: Value = serde_json::from_str(&printed).expect("JSON");
    let by = |name: &str| {
        let row = rows.as_array().expect("a list").iter().find(|row| row["name"] == name).expect("a row");
        row["acknowledgedBy"].clone()
    };
    assert_eq!((by("Um"), by("Dois"), by("Três")), (json!("api.token"), json!("ana on this machine"), Value::Null));
    let (code, _, _) = command(&app, &["acknowledge", "--all"]).await;
    assert_eq!(code, Some(0));
    assert_eq!((app.query(LOST).await["status"]["lost"].clone(), metric(&app).await), (json!(0), Some(0.0)), "{db:?}");
    // The same publication is announced and lost again.
    lose(&app, &["Um"], 1).await;
    assert_eq!(metric(&app).await, Some(1.0), "{db:?}");
    let status = app.query(LOST).await["status"].clone();
    let first = &status["lostPublications"][0];
    assert_eq!(
        (&first["name"], &first["acknowledgedAt"], &first["acknowledgedBy"]),
        (&json!("Um"), &Value::Null, &Value::Null),
        "{db:?}"
    );
    app.indexed().await;
}

on_each_database!(only_operators_acknowledge_and_only_what_is_lost, 2 threads);
async fn only_operators_acknowledge_and_only_what_is_lost(db: Db) {
    let folder = std::sync::Arc::new(tempfile::tempdir().expect("a folder"));
    let config = folder.path().join("acervo.toml");
    let hash = acervo::domain::Digest::of(b"leitora");
    std::fs::write(&config, format!("[[api.keys]]\nname = \"leitora\"\nrole = \"reader\"\nhash = \"sha256:{hash}\"\n"))
        .expect("a file");
    let options = Options {
        database_url: postgres::database(db),
        folder: Some(folder.clone()),
        config: Some(config),
        ..Options::default()
    };
    let app = TestApp::with(options).await;
    app.portal.add(product(1, "IPDO", "ipdo.txt", &b"x"[..]));
    let archived = app.archive(1).await["publication"]["id"].as_str().expect("an id").to_owned();
    let nowhere = "019b0000-0000-7000-8000-000000000000";
    for (arguments, code, expected) in [
        (format!("ids: [\"{archived}\"]"), "BAD_USER_INPUT", "is not lost: its status is ARCHIVED"),
        (format!("ids: [\"{nowhere}\"]"), "NOT_FOUND", nowhere),
        ("ids: [\"x\"]".to_owned(), "BAD_USER_INPUT", "not a valid id"),
        ("ids: [\"x\"], all: true".to_owned(), "BAD_USER_INPUT", "exclude each other"),
        ("all: false".to_owned(), "BAD_USER_INPUT", "`ids` is missing"),
    ] {
        let answer =
            app.ask(&format!("mutation {{ acknowledgeLost({arguments}) {{ acknowledged }} }}"), json!({})).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], code, "{db:?}: {answer}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(expected)), "{db:?}: {answer}");
    }
    let body = json!({ "query": "mutation { acknowledgeLost(all: true) { acknowledged } }" });
    let refused = app.client.post(format!("{}/graphql", app.url)).bearer_auth("leitora").json(&body);
    let refused: Value = refused.send().await.expect("a response").json().await.expect("JSON");
    assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN", "{db:?}: {refused}");
    for (args, expected) in [
        (&["acknowledge"][..], "--all"),
        (&["acknowledge", "x"], "not a valid id"),
        (&["acknowledge", nowhere, "--all"], "--all"),
    ] {
        let (code, _, errors) = command(&app, args).await;
        assert_eq!(code, Some(2), "{db:?}: {args:?}: {errors}");
        assert!(errors.contains(expected), "{db:?}: {args:?}: {errors}");
    }
    let (code, _, errors) = command(&app, &["acknowledge", &archived]).await;
    assert_eq!(code, Some(1), "{db:?}: {errors}");
    assert!(errors.contains("is not lost"), "{db:?}: {errors}");
    assert_eq!(command(&app, &["lost"]).await.1.trim(), "nothing is lost", "{db:?}");
    app.indexed().await;
}
