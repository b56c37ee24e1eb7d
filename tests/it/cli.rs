use serde_json::Value;

use crate::harness::process::{acervo, printed, run};
use crate::harness::samples::{product, zip};
use crate::harness::{TestApp, sha256};

#[test]
fn the_demo_shows_the_main_job_and_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = acervo(folder.path())
        .args(["demo", "--exit", "--listen", "127.0.0.1:0"])
        .output()
        .expect("a binary that starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("archived 44 files of 44 products"), "{text}");
    assert!(text.contains("DECK NEWAVE DEFINITIVO") && text.contains("/files/"), "{text}");
    assert!(std::fs::read_dir(folder.path()).expect("a folder").next().is_none(), "it left something behind");
}

#[test]
fn help_and_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    let help = printed(folder.path(), &["--help"]);
    for command in
        ["serve", "demo", "simulate", "search", "get", "status", "retry", "reindex", "schema", "config", "token"]
    {
        assert!(help.contains(&format!("  {command} ")), "{command}: {help}");
    }
    assert_eq!(run(folder.path(), &["nonsense"]).status.code(), Some(2));
    assert_eq!(run(folder.path(), &["status", "--set", "fetch.stal=1s"]).status.code(), Some(2));
    assert_eq!(run(folder.path(), &["get", "x"]).status.code(), Some(1));
    assert_eq!(run(folder.path(), &["retry"]).status.code(), Some(1));
}

#[test]
fn the_schema_is_the_committed_one() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(printed(folder.path(), &["schema"]), include_str!("../../schema.graphql"));
}

#[test]
fn a_new_key_opens_and_its_line_is_sound() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = printed(folder.path(), &["token", "new", "--role", "reader", "--name", "power \"bi\""]);
    let key = text.lines().next().expect("a line").rsplit(' ').next().expect("a key").to_owned();
    let lines = text.split("for acervo.toml:").nth(1).expect("the lines");
    let file = folder.path().join("acervo.toml");
    std::fs::write(&file, lines).expect("a file");
    let overrides = acervo::config::Overrides { config: Some(file), values: Vec::new() };
    let settings = acervo::config::load(&overrides, &|_| None).expect("sound settings");
    assert_eq!(settings.api.keys[0].hash, acervo::domain::Digest::of(key.as_bytes()));
    assert_eq!(settings.api.keys[0].name, "power \"bi\"");
    let checked = printed(folder.path(), &["config", "check"]);
    assert!(checked.contains("2 keys"), "{checked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn search_get_status_and_retry_beside_a_server_and_without_one() {
    let app = TestApp::start().await;
    let deck = zip(&[("C_ADIC.DAT", b"dados")]);
    app.portal.add(product(1, "Deck NEWAVE Preliminar", "deck.zip", deck.clone()));
    app.portal.add(product(2, "Precipitação por Satélite, \"ONS\"", "psat.txt", &b"chuva"[..]));
    app.portal.enviar_tudo().await;
    app.settled(2).await;
    let check = |folder: &std::path::Path| {
        let rows: Vec<Value> =
            serde_json::from_str(&printed(folder, &["search", "deck", "newa", "--format", "json"])).expect("JSON");
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["sha256"], sha256(&deck));
        let id = rows[0]["revisionId"].as_str().expect("an id");
        let table = printed(folder, &["search", "precipitacao", "--from", "2025-02-20", "--to", "2025-02-20"]);
        assert!(table.contains("psat.txt") && table.contains("1 of 1"), "{table}");
        assert!(printed(folder, &["search", "precipitacao", "--from", "2025-02-21"]).contains("nothing found"));
        assert!(printed(folder, &["search", "deck", "--as-of", "2025-01-01"]).contains("nothing found"));
        let csv = printed(folder, &["search", "precipitacao", "--format", "csv"]);
        assert!(csv.lines().nth(1).expect("a row").contains("\"Precipitação por Satélite, \"\"ONS\"\"\""), "{csv}");
        assert!(run(folder, &["get", id, "-o", "-"]).stdout == deck);
        printed(folder, &["get", id, "-o", "saved.zip"]);
        assert!(std::fs::read(folder.join("saved.zip")).expect("a file") == deck);
        assert_eq!(run(folder, &["get", id, "--member", "C_ADIC.DAT", "-o", "-"]).stdout, b"dados");
        let status: Value = serde_json::from_str(&printed(folder, &["status", "--format", "json"])).expect("JSON");
        assert_eq!((status["revisions"].as_i64(), status["notifications"]["archived"].as_i64()), (Some(2), Some(2)));
        assert_eq!(status["indexLag"], 0);
        assert!(printed(folder, &["retry", "--product", "deck"]).contains("1 matched, 0 queued again"));
    };
    let folder = app.folder.clone();
    tokio::task::block_in_place(|| check(folder.path()));
    app.stop().await;
    tokio::task::block_in_place(|| check(folder.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_newer_version_is_refused() {
    let app = TestApp::start().await;
    let folder = app.stop().await;
    let file = folder.path().join("data/acervo.db");
    let connection = sea_orm::Database::connect(format!("sqlite://{}", file.display())).await.expect("the database");
    use sea_orm::ConnectionTrait;
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m20991231_000001_later', 1)";
    connection.execute_unprepared(newer).await.expect("a step");
    connection.close().await.expect("a closed connection");
    let output = tokio::task::block_in_place(|| run(folder.path(), &["status"]));
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("newer Acervo") && error.contains("m20991231_000001_later"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portals_buttons_are_pressed_from_another_terminal() {
    let app = TestApp::start().await;
    app.portal.add(product(7, "Produto", "a.csv", &b"x"[..]));
    let at = app.portal.address().trim_start_matches("http://").to_owned();
    let folder = app.folder.clone();
    let press = |args: &[&str]| {
        tokio::task::block_in_place(|| printed(folder.path(), &[&["simulate", "--at", &at], args].concat()))
    };
    press(&["falhas", "{\"status\":500,\"times\":1}"]);
    assert!(press(&["enviar-tudo"]).contains("\"delivered\":1"));
    assert!(press(&["reenviar-pendentes"]).contains("\"sent\":0"));
    assert!(press(&["enviar", "7"]).contains("\"status\":202"));
    assert!(press(&["publicar", "7"]).contains("\"attempts\":3"));
    assert!(press(&["detalhes"]).contains("\"pendente\":false"));
    app.settled(3).await;
}
