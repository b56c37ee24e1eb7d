//! What an operator reads: `acervo status`, its exit code, and the log.
use std::time::Duration;

use acervo::portal::Faults;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::bounds::{notify, served};
use crate::harness::notice::Notice;
use crate::harness::process::acervo;
use crate::harness::samples::product;
use crate::harness::{Db, TestApp, on_each_database, until};

/// Runs a command on the archive of a running service. Returns its exit code and its output.
async fn printed(app: &TestApp, args: &[&str]) -> (Option<i32>, String) {
    let mut command = acervo(app.folder.path());
    command.envs(app.app.settings.database_url.iter().map(|url| ("ACERVO_DATABASE_URL", url.expose_secret())));
    command.args(args);
    let output = tokio::task::spawn_blocking(move || command.output().expect("a binary that starts"));
    let output = output.await.expect("a thread");
    assert!(output.stderr.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

async fn object(app: &TestApp) -> (Option<i32>, Value) {
    let (code, text) = printed(app, &["status", "--format", "json"]).await;
    (code, serde_json::from_str(&text).expect("JSON"))
}

on_each_database!(status_says_what_needs_a_hand_and_exits_with_1, 2 threads);
async fn status_says_what_needs_a_hand_and_exits_with_1(db: Db) {
    let app = TestApp::on(db).await;
    app.portal.add(product(1, "IPDO", "ipdo.txt", &b"x"[..]));
    app.archive(1).await;
    let (code, text) = printed(&app, &["status"]).await;
    assert_eq!(code, Some(0), "{db:?}: {text}");
    assert!(text.contains("needs a hand         nothing"), "{db:?}: {text}");
    assert!(text.contains(" s ago)") || text.contains(" min ago)"), "{db:?}: {text}");
    let (code, status) = object(&app).await;
    assert_eq!((code, &status["needs"]), (Some(0), &json!([])), "{db:?}: {status}");
    // A link that expires before its file is here.
    assert_eq!(app.notify(&Notice::full("Perdida").to_string()).await.0, 202);
    app.until("{ status { retrying } }", |data| data["status"]["retrying"] == 1).await;
    app.app.clock.advance(Duration::from_secs(2 * 86_400));
    app.until("{ status { lost } }", |data| data["status"]["lost"] == 1).await;
    let (code, text) = printed(&app, &["status"]).await;
    assert_eq!(code, Some(1), "{db:?}: {text}");
    for part in ["needs a hand         1 publication is lost: Perdida", "\"Enviar\"", "acervo acknowledge", "1 expired"]
    {
        assert!(text.contains(part), "{db:?}: {part}: {text}");
    }
    let (code, status) = object(&app).await;
    assert_eq!(code, Some(1), "{db:?}: {status}");
    assert_eq!((&status["lost"], &status["lostPublications"][0]["name"]), (&json!(1), &json!("Perdida")));
    assert_eq!(status["needs"].as_array().map(Vec::len), Some(1), "{db:?}: {status}");
    assert_eq!(status["failures"][0]["status"], "expired", "{db:?}: {status}");
    assert_eq!(printed(&app, &["acknowledge", "--all"]).await.0, Some(0), "{db:?}");
    let (code, text) = printed(&app, &["status"]).await;
    assert_eq!(code, Some(0), "{db:?}: {text}");
    assert!(text.contains("lost publications    0, 1 acknowledged"), "{db:?}: {text}");
    app.indexed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_names_paused_hosts_and_why_files_are_missing() {
    let app = TestApp::start().await;
    app.leaves_work_unsettled("the portal answers 503 for good");
    app.portal.set_faults(Faults { status: Some(503), ..Faults::default() });
    for number in 1..=12 {
        app.portal.add(product(number, &format!("Deck {number}"), "deck.txt", &b"x"[..]));
        app.portal.enviar(number).await.expect("a product of that number");
    }
    let paused = "{ status { pausedHosts { host until } retrying } }";
    app.until(paused, |data| data["status"]["pausedHosts"][0]["host"] == "127.0.0.1").await;
    let text = until("a paused host", async || {
        let (_, text) = printed(&app, &["status"]).await;
        (text.contains("paused host          127.0.0.1, until ") && text.contains("503")).then_some(text)
    })
    .await;
    assert!(text.contains("retrying") && text.contains("tried again by itself"), "{text}");
}

/// Logins that are refused: the settings to compare, and keys with the time since their use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_names_the_settings_that_refused_logins_missed() {
    let app = TestApp::start().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let wrong = client.post(format!("{}/webhook", app.url)).header("x-token", "errado").body("{}").send().await;
    assert_eq!(wrong.expect("a response").status(), 401);
    app.until("{ status { sources { denied } } }", |data| data["status"]["sources"][0]["denied"] == 1).await;
    let (code, text) = printed(&app, &["status"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("logins of the source default are refused"), "{text}");
    assert!(text.contains("→ compare `receiver.token` with the portal's form"), "{text}");
    let keys: Vec<&str> = text.lines().filter(|line| line.starts_with("key ")).collect();
    assert!(!keys.is_empty(), "{text}");
    for key in keys {
        assert!(key.contains(" ago)") || key.contains("never used"), "{key}");
    }
}

/// A flood of what cannot be recorded is one line of the log, with the setting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_refused_notifications_is_one_line_of_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = served(folder.path(), "intake-before-commit=sleep(300)", "[receiver]\nqueue = 1\n");
    let mut refused = 0;
    for _ in 0..3 {
        let sent = (0..40).map(|number| notify(&service.url, number));
        let statuses = futures_util::future::join_all(sent).await;
        refused += statuses.iter().filter(|status| **status == 503).count();
    }
    assert!(refused >= 20, "only {refused} were refused");
    let lines = until("a line of the log", async || {
        let logged = service.logged();
        let lines: Vec<String> =
            logged.lines().filter(|line| line.contains("answered 503")).map(str::to_owned).collect();
        (!lines.is_empty()).then_some(lines)
    })
    .await;
    assert_eq!(lines.len(), 1, "{refused}: {lines:?}");
    let line: Value = serde_json::from_str(&lines[0]).expect("JSON");
    let text = line.to_string();
    assert!(text.contains("receiver.queue") && text.contains("\"ERROR\"") && text.contains("\"count\""), "{line}");
}

/// One line for each archived file, with the ids that lead to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_the_log_has_the_ids_of_its_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = crate::harness::process::Served::start(folder.path(), crate::harness::process::free_port(), "info");
    let portal = crate::harness::portal(&format!("{}/webhook", service.url), acervo::domain::Clock::default()).await;
    portal.add(product(7, "IPDO", "ipdo.txt", &b"ordem"[..]));
    portal.enviar(7).await.expect("a product of that number");
    service.settled(1).await;
    let query = "{ notifications { nodes { id revision { id sha256 } } } }";
    let row = service.query(query).await["notifications"]["nodes"][0].clone();
    let logged = service.logged();
    let lines: Vec<&str> = logged.lines().filter(|line| line.contains("\"archived\"")).collect();
    assert_eq!(lines.len(), 1, "{logged}");
    for id in [&row["id"], &row["revision"]["id"], &row["revision"]["sha256"]] {
        assert!(lines[0].contains(id.as_str().expect("an id")), "{id}: {}", lines[0]);
    }
}
