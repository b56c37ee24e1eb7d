//! Commands that ask a remote instance.
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use serde_json::Value;

use crate::harness::process::acervo;
use crate::harness::samples::{product, replace, zip};
use crate::harness::{KEY, TestApp, files_in, sha256};

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

/// The files of a folder by their paths, with their bytes.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = files_in(folder).into_iter();
    let name = |path: &Path| path.strip_prefix(folder).expect("a path below").display().to_string();
    files.map(|path| (name(&path), std::fs::read(&path).expect("a file"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn diffs_members_and_many_files_are_the_same_from_a_remote_instance() {
    let app = TestApp::start().await;
    let deck = |value: &str| zip(&[("CASO.DAT", b"caso\n"), ("sub/VAZÕES.DAT", format!("1 {value}\n").as_bytes())]);
    app.portal.add(product(1, "Deck DECOMP", "deck.zip", deck("10.5")));
    let from = app.archive(1).await["revision"]["id"].as_str().expect("an id").to_owned();
    app.portal.change(1, |product| replace(product, deck("11.0")));
    let to = app.archive(1).await;
    let (to, publication) = (&to["revision"]["id"], &to["publication"]["id"]);
    let (to, publication) = (to.as_str().expect("an id"), publication.as_str().expect("an id"));
    app.portal.add(product(2, "DECOMP: relatório", "relatorio.txt", "texto"));
    app.archive(2).await;
    let here = tempfile::tempdir().expect("a folder");
    let (url, folder) = (app.url.clone(), app.folder.clone());
    let check = || {
        let variables = [("ACERVO_URL", url.as_str()), ("ACERVO_KEY", KEY)];
        let local = |args: &[&str]| acervo(folder.path()).args(args).output().expect("a binary that starts");
        let remote = |args: &[&str]| command(here.path(), &variables, args);
        for args in [
            &["diff", &from, to][..],
            &["diff", to],
            &["diff", publication, "--format", "json"],
            &["diff", &from, publication, "--member", "sub/vazões.dat"],
            &["diff", "--search", "deck decomp", "--member", "sub/VAZÕES.DAT", "--format", "json"],
            &["diff", "--search", "deck decomp", "--color", "always"],
            &["diff", "--search", "deck", "--as-of", "2125-01-01"],
            &["search", "--member", "*vazões*"],
            &["search", "decomp", "--member", "dat", "--format", "json", "--order", "name"],
            &["search", "--member", "dat", "--format", "csv", "--limit", "1"],
            &["search", "--member", "nenhum"],
            &["get", &from, "--list"],
            &["get", publication, "--list", "--format", "json"],
        ] {
            let (own, other) = (local(args), remote(args));
            assert!(own.status.success(), "{args:?}: {own:?}");
            assert_eq!(other, own, "{args:?}");
        }
        // What is wrong ends both in the same way, though not with the same words.
        for args in [
            &["diff", &from][..],
            &["diff", &from, to, "--member", "nenhum.dat"],
            &["diff", "--search", "nada que exista"],
            &["diff", "019a0000-0000-7000-8000-000000000000"],
        ] {
            assert_eq!((local(args).status.code(), remote(args).status.code()), (Some(1), Some(1)), "{args:?}");
        }
        let (own, other) = (folder.path().join("pasta"), here.path().join("pasta"));
        let get = |args: &[&str]| {
            let local = local(&[&["get", "-d", "pasta"], args].concat());
            let remote = remote(&[&["get", "-d", "pasta"], args].concat());
            assert_eq!((&remote.stdout, remote.status.code()), (&local.stdout, local.status.code()), "{args:?}");
            assert_eq!(tree(&other), tree(&own), "{args:?}");
            String::from_utf8(remote.stdout).expect("text")
        };
        assert!(get(&["--search", "decomp"]).starts_with("2 files added"));
        assert_eq!(tree(&other).len(), 2);
        // A run that was interrupted is continued, and what is there stays.
        let name = "Deck DECOMP";
        let deck = tree(&other).into_keys().find(|path| path.starts_with(name)).expect("the deck");
        for folder in [&own, &other] {
            std::fs::remove_file(folder.join(&deck)).expect("a file");
        }
        let printed = get(&["--search", "decomp"]);
        assert!(printed.starts_with("1 file") && printed.contains("1 file"), "{printed}");
        for folder in [&own, &other] {
            std::fs::write(folder.join(&deck), "outra coisa").expect("a file");
        }
        get(&["--search", "decomp", "--status", "archived"]);
        assert_eq!(tree(&other)[&deck], b"outra coisa");
        get(&["--search", "decomp", "--force", "--from", "2000-01-01", "--to", "2100-01-01"]);
        assert_ne!(tree(&other)[&deck], b"outra coisa");
        get(&["--process", "nenhum"]);
        get(&["--as-of", "2001-01-01"]);
    };
    tokio::task::block_in_place(check);
}

/// What a remote instance sends is not trusted: neither the paths of its list nor the bytes of its files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_instance_cannot_write_elsewhere() {
    let here = tempfile::tempdir().expect("a folder");
    let line = |path: &str| {
        let digest = sha256(b"conteudo");
        let id = "019a0000-0000-7000-8000-000000000000";
        format!(
            "{{\"path\":\"{path}\",\"revisionId\":\"{id}\",\"sha256\":\"{digest}\",\"size\":8,\"archivedAt\":\"2025-01-01T00:00:00Z\"}}\n"
        )
    };
    let list = Arc::new(Mutex::new(String::new()));
    let shown = list.clone();
    let router = Router::new()
        .route("/export/files.ndjson", get(move || std::future::ready(shown.lock().expect("a lock").clone())))
        .route("/files/{id}", get(|| std::future::ready("alterado")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let check = || {
        let get = |path: &str| {
            *list.lock().expect("a lock") = line(path);
            let output = command(here.path(), &[("ACERVO_URL", &url)], &["get", "-d", "dir/pasta"]);
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        for path in ["../fora.txt", "a/../../fora.txt", "/tmp/acervo-fora.txt", ".acervo/lock", ""] {
            let (code, error) = get(path);
            assert!(code == Some(1) && error.contains("cannot be read"), "{path}: {error}");
        }
        let (code, error) = get("produto/periodo/a.txt");
        assert!(code == Some(1) && error.contains("its SHA-256 is not"), "{error}");
    };
    tokio::task::block_in_place(check);
    assert!(files_in(here.path()).is_empty(), "{:?}", files_in(here.path()));
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
