use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::notice::Notice;
use crate::harness::process::{Served, acervo, free_port, in_shell, printed, run};
use crate::harness::samples::{product, zip};
use crate::harness::{Db, TestApp, database, files_in, on_each_database, postgres, sha256};

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
    let id = "019a0000-0000-7000-8000-000000000000";
    let wrong: [(&[&str], &str); 13] = [
        (&["get", "--search", "deck"], "-d DIR"),
        (&["search", "x", "--url", "127.0.0.1:8080"], "https://"),
        (&["retry"], "--since <INSTANT>"),
        (&["retry", "--since", "x"], "`x` is not a valid instant or duration"),
        (&["search", "--from", "24/13/2025"], "`24/13/2025` is not a valid day"),
        (&["search", "--as-of", "yesterday"], "`yesterday` is not a valid day or instant"),
        (&["get", "xyz"], "`xyz` is not a valid id"),
        (&["hold", "xyz", "--reason", "x"], "`xyz` is not a valid id"),
        (&["hold", id, "--reason", " "], "say why"),
        (&["retention", "run", "--now", "x"], "`x` is not a valid instant"),
        (&["simulate", "--files", "./none"], "./none cannot be read"),
        (&["simulate", "--link-life", "x"], "`x` is not a valid duration"),
        (&["import", "acervo.toml", "x", "--manifest", "m.csv"], "give one PATH"),
    ];
    for (args, expected) in wrong {
        let output = run(folder.path(), args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(expected), "{args:?}: {error}");
    }
    assert!(!folder.path().join("data").exists(), "a folder is left behind");
}

#[test]
fn the_schema_is_the_committed_one() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(printed(folder.path(), &["schema"]), include_str!("../../schema.graphql"));
}

#[test]
fn a_new_key_works_and_its_configuration_is_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = printed(folder.path(), &["token", "new", "--role", "reader", "--name", "power \"bi\""]);
    let key = text.lines().next().expect("a line").rsplit(' ').next().expect("a key").to_owned();
    let lines = text.split("for acervo.toml:").nth(1).expect("the lines");
    let file = folder.path().join("acervo.toml");
    std::fs::write(&file, lines).expect("a file");
    let overrides = acervo::config::Overrides { config: Some(file), values: Vec::new() };
    let settings = acervo::config::load(&overrides, &|_| None).expect("valid settings");
    assert_eq!(settings.api.keys[0].hash, acervo::domain::Digest::of(key.as_bytes()));
    assert_eq!(settings.api.keys[0].name, "power \"bi\"");
    let checked = printed(folder.path(), &["config", "check"]);
    assert!(checked.contains("2 keys"), "{checked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn search_get_status_and_retry_work_with_and_without_a_server() {
    let app = TestApp::start().await;
    let deck = zip(&[("C_ADIC.DAT", b"dados")]);
    app.portal.add(product(1, "Deck NEWAVE Preliminar", "deck.zip", deck.clone()));
    app.portal.add(product(2, "Precipitação por Satélite, \"ONS\"", "psat.txt", &b"chuva"[..]));
    app.portal.enviar_tudo().await;
    app.settled(2).await;
    let check = |folder: &std::path::Path, is_served: bool| {
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
        std::fs::remove_file(folder.join("saved.zip")).expect("the file");
        assert_eq!(run(folder, &["get", id, "--member", "C_ADIC.DAT", "-o", "-"]).stdout, b"dados");
        let output = run(folder, &["status", "--format", "json"]);
        assert_eq!(output.status.code(), Some(if is_served { 0 } else { 1 }));
        let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((&status["ready"], &status["service"]["running"]), (&is_served.into(), &is_served.into()));
        let text = String::from_utf8(run(folder, &["status"]).stdout).expect("text");
        assert!(text.contains(if is_served { "ready                yes" } else { "not running" }), "{text}");
        assert_eq!((status["revisions"].as_i64(), status["notifications"]["archived"].as_i64()), (Some(2), Some(2)));
        assert_eq!(status["indexLag"], 0);
        assert!(printed(folder, &["retry", "--product", "deck"]).contains("1 matched, 0 queued again"));
    };
    let folder = app.folder.clone();
    tokio::task::block_in_place(|| check(folder.path(), true));
    app.stop().await;
    tokio::task::block_in_place(|| check(folder.path(), false));
}

/// Names come from outside: on a terminal they could move the cursor or read backwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_characters_in_names_reach_no_terminal() {
    let app = TestApp::start().await;
    let marks = "\u{202e}\u{2066}\u{200f}\u{61c}\u{9b}\u{1b}[2J\u{2028}";
    let name = format!("Deck{marks} {}", "NEWAVE ".repeat(60));
    app.portal.add(product(1, &name, &format!("deck{marks}.txt"), &b"x"[..]));
    app.archive(1).await;
    app.leaves_work_unsettled("a link leads nowhere");
    let odd = Notice::new(&*name).with("periodicidade", format!("x{marks}"));
    assert_eq!(app.notify(&odd.to_string()).await.0, 202);
    let folder = app.folder.clone();
    let moves = |text: &str| {
        text.chars().any(|c| (c.is_control() && c != '\n' && c != '\r') || acervo::domain::is_deceptive(c))
    };
    let check = || {
        for args in [
            &["search", "deck"][..],
            &["search", "deck", "--format", "csv"],
            &["search", "deck", "--format", "json"],
            &["status"],
            &["status", "--format", "json"],
        ] {
            let text = String::from_utf8(run(folder.path(), args).stdout).expect("text");
            assert!(!moves(&text), "{args:?}: {text:?}");
            assert!(args[0] == "search" || text.contains("`periodicidade` is"), "{args:?}: {text}");
        }
        let rows: Value =
            serde_json::from_str(&printed(folder.path(), &["search", "newave", "--format", "json"])).expect("JSON");
        // JSON contains the name in escapes.
        assert!(rows[0]["name"].as_str().expect("a name").starts_with("Deck\u{202e}\u{2066}\u{200f}\u{61c}"), "{rows}");
        let table = printed(folder.path(), &["search", "deck"]);
        assert!(table.contains("\\u202e") && table.contains('…'), "{table}");
        // One of the two has a file.
        let revision = rows.as_array().expect("a list").iter().find_map(|row| row["revisionId"].as_str());
        let got = run(folder.path(), &["get", revision.expect("an id")]);
        assert!(got.status.success(), "{got:?}");
        assert!(!moves(&String::from_utf8_lossy(&got.stderr)), "{got:?}");
        let refused = run(folder.path(), &["get", &format!("x{marks}")]);
        assert!(!moves(&String::from_utf8_lossy(&refused.stderr)), "{refused:?}");
    };
    tokio::task::block_in_place(check);
}

on_each_database!(commands_create_no_archive, 2 threads);
/// In the wrong folder a command says so: with an empty archive it would report that nothing was ever published.
async fn commands_create_no_archive(db: Db) {
    let folder = tempfile::tempdir().expect("a folder");
    let database_url = postgres::database(db);
    std::fs::write(folder.path().join("a.ndjson"), "").expect("a file");
    let id = "019a0000-0000-7000-8000-000000000000";
    let commands: [&[&str]; 10] = [
        &["status"],
        &["search", "deck"],
        &["get", id],
        &["retry", "--status", "failed"],
        &["reindex"],
        &["hold", id, "--reason", "x"],
        &["retention", "plan"],
        &["retention", "run"],
        &["import", "a.ndjson"],
        &["import", "a.ndjson", "--dry-run"],
    ];
    let command = |args: &[&str]| {
        let mut command = acervo(folder.path());
        if let Some(url) = &database_url {
            command.env("ACERVO_DATABASE_URL", url);
        }
        tokio::task::block_in_place(|| command.args(args).output().expect("a binary that starts"))
    };
    for args in commands {
        let output = command(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(error.contains("there is no archive in") && error.contains("--data-dir"), "{args:?}: {error}");
        assert!(!folder.path().join("data").exists(), "{args:?} left a folder behind");
    }
    let created = command(&["import", "a.ndjson", "--create"]);
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    assert!(command(&["search", "deck"]).status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_that_is_a_file_is_named_in_the_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("nota.txt");
    std::fs::write(&file, "texto").expect("a file");
    std::fs::write(folder.path().join("a.ndjson"), "").expect("a file");
    std::os::unix::fs::symlink(folder.path().join("ausente"), folder.path().join("atalho")).expect("a link");
    let below = file.join("dados");
    let link = folder.path().join("atalho");
    let id = "019a0000-0000-7000-8000-000000000000";
    let commands: [&[&str]; 7] = [
        &["serve"],
        &["status"],
        &["search", "deck"],
        &["get", id],
        &["retention", "plan"],
        &["import", "a.ndjson", "--create"],
        &["import", "a.ndjson", "--dry-run"],
    ];
    for (data_dir, culprit) in [(&file, &file), (&below, &file), (&link, &link)] {
        for args in commands {
            let output = tokio::task::block_in_place(|| {
                let mut command = acervo(folder.path());
                command.env_remove("ACERVO_DATA_DIR").env("ACERVO_LISTEN", "127.0.0.1:0");
                command.arg("--data-dir").arg(data_dir).args(args).output().expect("a binary that starts")
            });
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
            for part in ["data_dir", "--data-dir", &format!("`{}`", culprit.display())] {
                assert!(error.contains(part), "{args:?}: {error}");
            }
            assert!(!error.contains("os error"), "{args:?}: {error}");
        }
    }
    let output = tokio::task::block_in_place(|| {
        let mut command = acervo(folder.path());
        command.env("ACERVO_ARCHIVE_URL", format!("file://{}", file.display())).env("ACERVO_LISTEN", "127.0.0.1:0");
        command.arg("serve").output().expect("a binary that starts")
    });
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("ACERVO_ARCHIVE_URL") && error.contains("nota.txt"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "texto");
}

/// `acervo search … | head` ends without a word once `head` has seen enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_pipe_is_not_an_error() {
    let app = TestApp::start().await;
    app.portal.add(product(1, "Produto", "a.csv", "linha\n".repeat(1 << 20)));
    let end = app.archive(1).await;
    let id = end["revision"]["id"].as_str().expect("an id").to_owned();
    let folder = app.folder.clone();
    let commands: [&[&str]; 6] = [
        &["search"],
        &["search", "--format", "csv"],
        &["status"],
        &["schema"],
        &["config", "default"],
        &["get", &id, "-o", "-"],
    ];
    tokio::task::block_in_place(|| {
        for args in commands {
            let mut child = acervo(folder.path())
                .args(args)
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .expect("a binary that starts");
            drop(child.stdout.take());
            let output = child.wait_with_output().expect("its end");
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
            assert_eq!(output.status.code(), Some(0), "{args:?}");
        }
    });
}

/// The output of a command that cannot be written is an error, unless its reader has ended.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let output = acervo(folder.path()).arg("schema").stdout(full).output().expect("a binary that starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output cannot be written"));
}

/// The data folder contains links that work without a password: no other user of the machine may read it, whatever its
/// permissions were and whatever the shell's umask is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_folder_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    let widen = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a file of ours");
    };
    std::fs::create_dir(&data).expect("a folder");
    widen(&data, 0o755);
    let served = |log: &str| {
        let wide = in_shell("umask 0000; exec \"$0\" \"$@\"", &acervo(folder.path()));
        tokio::task::block_in_place(|| Served::spawn(wide, folder.path().join(log), free_port(), "info"))
    };
    let mut service = served("first.log");
    assert_eq!(mode(&data), 0o700);
    assert!(service.logged().contains("open to other users"), "{}", service.logged());
    for path in files_in(&data) {
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
    service.terminate();
    widen(&data.join("acervo.db"), 0o644);
    let service = served("second.log");
    assert_eq!(mode(&data.join("acervo.db")), 0o600);
    assert!(service.logged().contains("acervo.db"), "{}", service.logged());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_newer_version_is_refused() {
    let app = TestApp::start().await;
    let folder = app.stop().await;
    let connection = database::connect(&database::address(None, folder.path())).await;
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
        tokio::task::block_in_place(|| printed(folder.path(), &[&["simulate"], args, &["--at", &at]].concat()))
    };
    press(&["falhas", "{\"status\":500,\"times\":1}"]);
    assert!(press(&["enviar-tudo"]).contains("\"delivered\":1"));
    assert!(press(&["reenviar-pendentes"]).contains("\"sent\":0"));
    assert!(press(&["enviar", "7"]).contains("\"status\":202"));
    assert!(press(&["publicar", "7"]).contains("\"attempts\":3"));
    assert!(press(&["detalhes"]).contains("\"pendente\":false"));
    app.settled(3).await;
}

/// A stopped service with one file in its archive: its folder, the id of the revision, the bytes.
async fn one_file() -> (Arc<TempDir>, String, Vec<u8>) {
    let app = TestApp::start().await;
    let bytes = b"publicado ".repeat(50_000);
    app.portal.add(product(1, "Produto", "a.txt", bytes.clone()));
    let id = app.archive(1).await["revision"]["id"].as_str().expect("an id").to_owned();
    (app.stop().await, id, bytes)
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_replaces_nothing_without_force() {
    let (folder, id, bytes) = one_file().await;
    let folder = folder.path();
    let refused = |args: &[&str], word: &str| {
        let output = run(folder, &[&["get", &id], args].concat());
        let reported = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && reported.contains(word), "{args:?}: {reported}");
    };
    tokio::task::block_in_place(|| {
        std::fs::write(folder.join("a.txt"), b"mine").expect("a file");
        refused(&[], "--force");
        refused(&["-o", "a.txt"], "--force");
        assert_eq!(std::fs::read(folder.join("a.txt")).expect("a file"), b"mine");
        std::os::unix::fs::symlink("a.txt", folder.join("link.txt")).expect("a link");
        refused(&["-o", "link.txt"], "--force");
        printed(folder, &["get", &id, "-o", "link.txt", "--force"]);
        assert!(std::fs::read(folder.join("a.txt")).expect("a file") == bytes);
        assert!(folder.join("link.txt").is_symlink());
        std::os::unix::fs::symlink("nowhere", folder.join("dangling")).expect("a link");
        refused(&["-o", "dangling", "--force"], "broken symbolic link");
        std::fs::create_dir(folder.join("pasta")).expect("a folder");
        refused(&["-o", "pasta", "--force"], "is a folder");
        refused(&["-o", "nova/"], "is not the path of a file");
        refused(&["-o", "ausente/a.txt"], "does not exist");
    });
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_writes_into_devices_and_pipes_and_heeds_the_mask() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let (folder, id, bytes) = one_file().await;
    let folder = folder.path();
    tokio::task::block_in_place(|| {
        // A device and a pipe are written to, with or without --force, and are not replaced.
        for force in [&[][..], &["--force"]] {
            printed(folder, &[&["get", &id, "-o", "/dev/null"], force].concat());
        }
        assert!(std::fs::metadata("/dev/null").expect("a device").file_type().is_char_device());
        let pipe = folder.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).expect("bytes")
        });
        printed(folder, &["get", &id, "-o", "pipe"]);
        assert!(reader.join().expect("a reader") == bytes);
        assert!(std::fs::metadata(&pipe).expect("a pipe").file_type().is_fifo());
        // A new file has the mode that the shell's mask gives.
        let shell = format!("umask 027; exec {} get {id} -o novo.txt", env!("CARGO_BIN_EXE_acervo"));
        let mut command = std::process::Command::new("sh");
        let status =
            command.args(["-c", &shell]).current_dir(folder).env("ACERVO_DATA_DIR", folder.join("data")).status();
        assert!(status.expect("a shell").success());
        let mode = folder.join("novo.txt").metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let left: Vec<_> = std::fs::read_dir(folder)
            .expect("a folder")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        assert!(!left.iter().any(|name| name.starts_with(".tmp")), "{left:?}");
    });
}

/// The list of a search fits the terminal: a line a row, no rules, São Paulo's clock, the order and the status that are asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_fits_the_terminal() {
    let app = TestApp::start().await;
    for number in 1..=4 {
        let name = format!("Deck NEWAVE Preliminar de um nome muito longo que não cabe em linha nenhuma {number}");
        let file = format!("um_nome_de_arquivo_tambem_muito_longo_{number}.txt");
        app.portal.add(product(number, &name, &file, format!("deck {number}")));
        app.archive(number).await;
    }
    app.leaves_work_unsettled("a link leads nowhere");
    assert_eq!(app.notify(&Notice::new("Deck aguardado").to_string()).await.0, 202);
    app.until("{ publications { totalCount } status { indexLag } }", |data| {
        data["publications"]["totalCount"] == 5 && data["status"]["indexLag"] == 0
    })
    .await;
    let folder = app.folder.clone();
    let check = || {
        let search = |columns: Option<&str>, args: &[&str]| {
            let mut command = acervo(folder.path());
            command.envs(columns.map(|columns| ("COLUMNS", columns)));
            let output = command.arg("search").args(args).output().expect("a binary that starts");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).expect("text")
        };
        for columns in [60, 80, 100, 120, 160, 240] {
            let table = search(Some(&columns.to_string()), &["deck"]);
            let lines: Vec<&str> = table.lines().collect();
            assert_eq!(lines.len(), 1 + 5 + 1, "{columns}: {table}");
            assert!(lines.iter().all(|line| line.chars().count() <= columns), "{columns}: {table}");
            assert!(!table.contains('─') && table.contains("revision id"), "{columns}: {table}");
        }
        for (from, found) in [("09/05/2025", "Deck aguardado"), ("10/05/2025", "nothing found")] {
            let table = search(None, &["deck", "--from", from]);
            assert!(table.contains(found), "{from}: {table}");
        }
        let hint = search(None, &["inexistente"]);
        assert!(hint.starts_with("nothing found") && hint.contains("--in content"), "{hint}");
        let table = search(None, &["deck"]);
        assert!(table.contains("que não cabe em linha nenhuma 4") && table.contains("longo_4.txt"), "{table}");
        let rows: Value = serde_json::from_str(&search(None, &["deck", "--format", "json"])).expect("JSON");
        let archived_at = rows.as_array().expect("a list").iter().find_map(|row| row["archivedAt"].as_str());
        let archived_at: jiff::Timestamp = archived_at.expect("an instant").parse().expect("an instant");
        let clock = acervo::domain::sao_paulo().to_datetime(archived_at).strftime("%Y-%m-%d %H:%M").to_string();
        assert!(table.contains(&clock), "{clock}: {table}");
        let names = |args: &[&str]| -> Vec<String> {
            let rows: Value = serde_json::from_str(&search(None, args)).expect("JSON");
            rows.as_array()
                .expect("a list")
                .iter()
                .map(|row| row["name"].as_str().expect("a name").to_owned())
                .collect()
        };
        assert_eq!(names(&["--status", "awaited", "--format", "json"]), ["Deck aguardado"]);
        assert_eq!(names(&["--status", "archived,LOST", "--format", "json"]).len(), 4);
        assert_eq!(names(&["deck", "--order", "name", "--limit", "1", "--format", "json"]), ["Deck aguardado"]);
        let last = names(&["--order", "archived", "--status", "archived", "--limit", "1", "--format", "json"]);
        assert!(last[0].ends_with(" 4"), "{last:?}");
        for args in [&["search", "--status", "x"][..], &["search", "--order", "x"]] {
            assert_eq!(run(folder.path(), args).status.code(), Some(2), "{args:?}");
        }
    };
    tokio::task::block_in_place(check);
}
