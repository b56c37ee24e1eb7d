//! Commands that ask a remote instance.
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::harness::process::acervo;
use crate::harness::samples::{product, zip};
use crate::harness::{KEY, TestApp, sha256};

/// Runs a command in a folder without an archive, with these variables.
fn command(folder: &Path, variables: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = acervo(folder);
    command.env_remove("ACERVO_API_TOKEN").envs(variables.iter().copied()).args(args);
    command.output().expect("a binary that starts")
}

fn printed(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_instance_answers_the_same_commands() {
    let app = TestApp::start().await;
    let deck = zip(&[("SISTEMA.DAT", b"dados"), ("sub/VAZÕES.DAT", b"vazoes")]);
    app.portal.add(product(1, "Deck NEWAVE", "deck.zip", deck.clone()));
    app.portal.add(product(2, "IPDO", "ipdo.txt", "ipdo"));
    app.archive(1).await;
    app.archive(2).await;
    let (here, folder) = (tempfile::tempdir().expect("a folder"), app.folder.clone());
    let key_file = here.path().join("key");
    std::fs::write(&key_file, format!("{KEY}\n")).expect("a file");
    let (url, key_file) = (app.url.clone(), key_file.display().to_string());
    tokio::task::block_in_place(|| {
        let local = |args: &[&str]| printed(acervo(folder.path()).args(args).output().expect("a binary that starts"));
        let from_flags = |args: &[&str]| {
            printed(command(here.path(), &[], &[args, &["--url", &url, "--key-file", &key_file]].concat()))
        };
        let from_environment =
            |args: &[&str]| printed(command(here.path(), &[("ACERVO_URL", &url), ("ACERVO_KEY", KEY)], args));
        for args in [
            &["search", "deck", "--format", "json"][..],
            &["search", "--format", "csv", "--order", "name"],
            &["search", "fevereiro", "--status", "archived"],
            &["search", "ipdo", "--as-of", "2025-01-01"],
        ] {
            let own = local(args);
            assert_eq!(from_flags(args), own, "{args:?}");
            assert_eq!(from_environment(args), own, "{args:?}");
        }
        let rows: Value = serde_json::from_str(&local(&["search", "deck", "--format", "json"])).expect("JSON");
        let (publication, revision) =
            (rows[0]["id"].as_str().expect("an id"), rows[0]["revisionId"].as_str().expect("an id"));
        for (id, file) in [(revision, "r.zip"), (publication, "p.zip")] {
            from_flags(&["get", id, "-o", file]);
            assert_eq!(sha256(&std::fs::read(here.path().join(file)).expect("a file")), sha256(&deck));
        }
        assert_eq!(from_environment(&["get", revision, "--member", "sub/VAZÕES.DAT", "-o", "-"]), "vazoes");
        from_environment(&["get", revision]);
        assert!(here.path().join("deck.zip").exists(), "under its published name");
        let again = command(here.path(), &[("ACERVO_URL", &url), ("ACERVO_KEY", KEY)], &["get", revision]);
        assert_eq!(again.status.code(), Some(1), "no file is overwritten");
        let status = from_flags(&["status"]);
        assert!(status.contains("ready                yes") && status.contains("revisions            2"), "{status}");
        let status: Value = serde_json::from_str(&from_environment(&["status", "--format", "json"])).expect("JSON");
        assert_eq!((&status["ready"], &status["revisions"]), (&Value::Bool(true), &Value::from(2)), "{status}");
        let unknown = "019a0000-0000-7000-8000-000000000000";
        let missing = command(here.path(), &[("ACERVO_URL", &url), ("ACERVO_KEY", KEY)], &["get", unknown]);
        assert!(String::from_utf8_lossy(&missing.stderr).contains(unknown), "{missing:?}");
    });
    assert!(!here.path().join("data").exists(), "a remote instance needs no archive here");
}

/// What is wrong is said without the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_in_no_error() {
    let app = TestApp::start().await;
    let here = tempfile::tempdir().expect("a folder");
    let url = app.url.clone();
    let host = url.trim_start_matches("http://").to_owned();
    let with_key = format!("http://usuario:segredo-forte@{host}");
    let with_query = format!("{url}/?key=segredo-forte");
    let nowhere = "http://127.0.0.1:1";
    std::fs::write(here.path().join("two-lines"), "segredo-forte\noutra linha\n").expect("a file");
    let check = || {
        let cases: &[(&[&str], Option<i32>, &str)] = &[
            (&["search", "--url", &url], Some(1), "needs a key: give it with --key-file or ACERVO_KEY"),
            (&["search", "--url", &url, "--key", "segredo-forte"], Some(1), "does not accept the key"),
            (&["status", "--url", &url, "--key", "segredo-forte"], Some(1), "does not accept the key"),
            (&["search", "--url", nowhere, "--key", "segredo-forte"], Some(1), "127.0.0.1:1 cannot be reached"),
            (&["search", "--url", &with_key], Some(2), "has more than an address"),
            (&["search", "--url", &with_query], Some(2), "has more than an address"),
            (&["search", "--url", "acervo.example.com"], Some(2), "valid URL"),
            (&["search", "--url", "ftp://acervo.example.com"], Some(2), "https://"),
            (&["search", "--url", &url, "--key-file", "none"], Some(1), "`none` cannot be read"),
            (&["search", "--url", &url, "--key-file", "two-lines"], Some(2), "one line"),
            (&["search", "--url", &url, "--key-file", "x", "--key", "segredo-forte"], Some(2), "--key"),
            (&["search", "--key", "segredo-forte"], Some(2), "give its --url too"),
            (&["reindex", "--url", &url], Some(2), "--url is for search"),
        ];
        for (args, code, message) in cases {
            let output = command(here.path(), &[], args);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), *code, "{args:?}: {error}");
            assert!(error.contains(message), "{args:?}: {error}");
            assert!(!error.contains("segredo-forte") && output.stdout.is_empty(), "{args:?}: {error}");
        }
    };
    tokio::task::block_in_place(check);
}
