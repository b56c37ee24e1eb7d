use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::process::{Served, acervo, free_port};
use crate::harness::samples::{noise, product, replace, text, zip};
use crate::harness::{Db, KEY, Options, TestApp, files_in, on_each_database};
use crate::plain::stdout;
use crate::retention::history_on;
use crate::sweep::{Closed, at_once, stderr};

/// The entries of a zip, by their names.
fn entries(bytes: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("a zip");
    let mut found = BTreeMap::new();
    for number in 0..zip.len() {
        let mut entry = zip.by_index(number).expect("an entry");
        let mut content = Vec::new();
        // The checksum is verified at the end.
        entry.read_to_end(&mut content).expect("the entry's bytes");
        let name = entry.name().expect("a name").into_owned();
        assert!(found.insert(name.clone(), content).is_none(), "{name} is there twice");
    }
    found
}

/// The zip of a query, whole.
async fn files_zip(app: &TestApp, query: &str) -> Vec<u8> {
    let path = format!("/export/files.zip?{query}");
    let answer = app.get(&path).await;
    assert_eq!(answer.status(), 200, "{query}");
    assert_eq!(answer.headers()["content-type"], "application/zip");
    let length: usize = answer.headers()["content-length"].to_str().expect("text").parse().expect("a number");
    let bytes = answer.bytes().await.expect("a whole body").to_vec();
    assert_eq!(bytes.len(), length, "{query}");
    let head = app.client.head(format!("{}{path}", app.url)).bearer_auth(KEY).send().await.expect("a response");
    assert_eq!(head.headers()["content-length"].to_str().expect("text"), length.to_string());
    bytes
}

fn manifest(found: &BTreeMap<String, Vec<u8>>) -> Vec<Value> {
    let text = String::from_utf8(found["manifest.ndjson"].clone()).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn names(found: &BTreeMap<String, Vec<u8>>) -> Vec<&str> {
    found.keys().map(String::as_str).collect()
}

/// Products whose names are the same on some file systems, and a deck with two revisions. Returns when the first of these was
/// archived.
async fn decks(app: &TestApp) -> String {
    for (number, name, file) in [
        (1, "Deck NEWAVE Preliminar", "deck.zip"),
        (2, "Carga: A/B", "rel \"a\".txt"),
        (3, "Carga_ A\\B", "CON.txt"),
        (4, "Pequeno", "pequeno.bin"),
    ] {
        let content = if number == 4 { "x".to_owned() } else { format!("conteúdo de {name}").repeat(900) };
        app.archive(app.portal.add(product(number, name, file, content))).await;
    }
    let first = app.query("{ publications(search: \"newave\") { nodes { archivedAt } } }").await;
    app.portal.change(1, |deck| replace(deck, "segunda versão"));
    app.archive(1).await;
    first["publications"]["nodes"][0]["archivedAt"].as_str().expect("an instant").to_owned()
}

on_each_database!(the_zip_has_the_files_of_a_query);
async fn the_zip_has_the_files_of_a_query(db: Db) {
    let app = TestApp::on(db).await;
    let first_at = decks(&app).await;
    let all = entries(files_zip(&app, "").await);
    let deck = "Deck NEWAVE Preliminar/2025-02-20/deck.zip";
    let expected = [
        "Carga_ A_B (2)/2025-02-20/_CON.txt",
        "Carga_ A_B/2025-02-20/rel _a_.txt",
        deck,
        "Pequeno/2025-02-20/pequeno.bin",
        "manifest.ndjson",
    ];
    assert_eq!(names(&all), expected);
    assert_eq!(all[deck], "segunda versão".as_bytes());
    let lines = manifest(&all);
    assert_eq!(lines.len(), 4);
    for line in &lines {
        let bytes = &all[line["path"].as_str().expect("a path")];
        assert_eq!(line["sha256"], crate::harness::sha256(bytes));
        assert_eq!((line["size"].as_u64(), &line["missing"]), (Some(bytes.len() as u64), &Value::Null));
        assert!(line["revisionId"].is_string() && line["name"].is_string() && line.get("score").is_none(), "{line}");
    }
    // As it was known then, and with filters.
    let then = entries(files_zip(&app, &format!("search=deck+newave&asOf={first_at}")).await);
    assert_eq!(names(&then), [deck, "manifest.ndjson"]);
    assert!(then[deck].starts_with("conteúdo de Deck".as_bytes()));
    assert_eq!(names(&entries(files_zip(&app, "extension=bin").await)), [expected[3], "manifest.ndjson"]);
    assert_eq!(entries(files_zip(&app, "limit=2").await).len(), 3);
    assert_eq!(names(&entries(files_zip(&app, "name=nada").await)), ["manifest.ndjson"]);
    // A product has the same folder in every zip.
    let one = entries(files_zip(&app, "fileName=CON").await);
    assert_eq!(names(&one), [expected[0], "manifest.ndjson"]);
    for (query, word) in [("columns=name", "columns"), ("asOf=x", "asOf"), ("nada=1", "nada")] {
        let answer = app.get(&format!("/export/files.zip?{query}")).await;
        assert_eq!(answer.status(), 400, "{query}");
        assert!(answer.text().await.expect("text").contains(word));
    }
    let without_key = app.client.get(format!("{}/export/files.zip", app.url)).send().await.expect("a response");
    assert_eq!(without_key.status(), 401);
}

/// Programs that may be on this machine. Each ends with an error if anything is wrong with the zip.
const READERS: &[(&str, &[&str])] = &[
    ("unzip", &["-tqq"]),
    ("bsdtar", &["-tf"]),
    ("7z", &["t"]),
    (
        "python3",
        &[
            "-c",
            "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\nassert len(z.namelist()) > 4, z.namelist()",
        ],
    ),
];

#[tokio::test]
async fn other_programs_read_the_zip() {
    let app = TestApp::start().await;
    decks(&app).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("files.zip");
    std::fs::write(&path, files_zip(&app, "").await).expect("a file");
    let mut ran = 0;
    for (program, args) in READERS {
        // A program that is not installed checks nothing.
        let Ok(output) = Command::new(program).args(*args).arg(&path).output() else { continue };
        assert!(output.status.success(), "{program}: {}{}", stdout(&output), stderr(&output));
        ran += 1;
    }
    eprintln!("{ran} programs have read the zip");
}

/// Alters a byte in the middle of the object that has a file.
fn damage(app: &TestApp, digest: &str) {
    let objects = files_in(&app.folder.path().join("data/archive"));
    let object = objects.iter().find(|path| path.to_string_lossy().contains(digest)).expect("the object");
    let mut bytes = std::fs::read(object).expect("the object");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(object, bytes).expect("the object");
}

/// The zip, if the client has all that was promised.
async fn received(app: &TestApp, path: &str) -> Option<Vec<u8>> {
    let answer = app.get(path).await;
    if answer.status() == 500 {
        return None;
    }
    assert_eq!(answer.status(), 200);
    answer.bytes().await.ok().map(|bytes| bytes.to_vec())
}

on_each_database!(a_damaged_file_never_gives_a_zip_that_looks_complete);
async fn a_damaged_file_never_gives_a_zip_that_looks_complete(db: Db) {
    let app = TestApp::on(db).await;
    for number in 1..=3 {
        let mut bytes = noise(2 << 20);
        bytes[0] = number as u8;
        app.archive(app.portal.add(product(number, &format!("Produto {number}"), "a.bin", bytes))).await;
    }
    let data = app.query("{ publications(search: \"produto 2\") { nodes { sha256 } } }").await;
    damage(&app, data["publications"]["nodes"][0]["sha256"].as_str().expect("a digest"));
    let path = "/export/files.zip?orderBy=NAME_ASC";
    assert!(received(&app, path).await.is_none(), "the zip looks complete");
    // From then on the damage is known, and the zip says what is missing from it.
    let found = entries(received(&app, path).await.expect("a whole zip"));
    let expected = ["MISSING.txt", "Produto 1/2025-02-20/a.bin", "Produto 3/2025-02-20/a.bin", "manifest.ndjson"];
    assert_eq!(names(&found), expected);
    let missing = String::from_utf8_lossy(&found["MISSING.txt"]).into_owned();
    assert!(missing.contains("Produto 2 20/02/2025: the file ") && missing.contains("damaged"), "{missing}");
    let lines = manifest(&found);
    let line = lines.iter().find(|line| line["name"] == "Produto 2").expect("a line");
    assert!(line["path"].is_null() && line["missing"].as_str().is_some_and(|why| why.contains("damaged")), "{line}");
    assert_eq!(app.query("{ status { damaged } }").await["status"]["damaged"], 1);
}

/// A request is read on by hand, so that the rest is not sent yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_goes_while_the_zip_is_sent_ends_it() {
    let app = TestApp::start().await;
    for number in 1..=3 {
        let mut bytes = noise(16 << 20);
        bytes[0] = number as u8;
        app.archive(app.portal.add(product(number, &format!("Produto {number}"), "a.bin", bytes))).await;
    }
    let mut answer = app.get("/export/files.zip?orderBy=NAME_ASC").await;
    assert_eq!(answer.status(), 200);
    let mut read = answer.chunk().await.expect("a piece").expect("a piece").len();
    // The third file is still far away.
    let data = app.query("{ publications(search: \"produto 3\") { nodes { sha256 } } }").await;
    let digest = data["publications"]["nodes"][0]["sha256"].as_str().expect("a digest").to_owned();
    let objects = files_in(&app.folder.path().join("data/archive"));
    let object = objects.iter().find(|path| path.to_string_lossy().contains(&digest)).expect("the object");
    std::fs::remove_file(object).expect("the object");
    let failed = loop {
        match answer.chunk().await {
            Ok(Some(piece)) => read += piece.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(failed, "the zip ended as if it were complete, after {read} bytes");
    assert!(read >= 32 << 20, "{read}");
}

#[tokio::test]
async fn files_that_retention_removed_are_named() {
    let app = history_on(Db::Sqlite, 6, &at_once()).await;
    app.query("mutation { runRetention(dryRun: false) { id } }").await;
    app.until("{ publications(filter: { status: [PURGED] }) { totalCount } }", |data| {
        data["publications"]["totalCount"] == 3
    })
    .await;
    app.leaves_work_unsettled("the sweep may still run");
    let found = entries(files_zip(&app, "").await);
    let missing = String::from_utf8_lossy(&found["MISSING.txt"]).into_owned();
    assert_eq!(missing.matches("the file was removed by retention at ").count(), 3, "{missing}");
    assert_eq!(found.len(), 2 + 3);
    let lines = manifest(&found);
    assert_eq!(lines.iter().filter(|line| line["path"].is_null()).count(), 3);
}

/// Runs a command beside the service.
async fn run(app: &TestApp, args: &[&str]) -> std::process::Output {
    let beside = Closed { folder: app.folder.clone(), database_url: Closed::address_of(app) };
    beside.run(args, "").await
}

on_each_database!(files_of_a_search_are_written_to_a_folder);
async fn files_of_a_search_are_written_to_a_folder(db: Db) {
    let app = TestApp::on(db).await;
    let first_at = decks(&app).await;
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("novos/decks");
    let shown = dir.display().to_string();
    let get = async |more: &[&str]| run(&app, &[&["get", "-d", &shown], more].concat()).await;
    let output = get(&[]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("4 files added"), "{}", stdout(&output));
    // The same files as in the zip.
    let read = |dir: &Path| -> BTreeMap<String, Vec<u8>> {
        let name = |path: &Path| path.strip_prefix(dir).expect("below it").display().to_string();
        files_in(dir).iter().map(|path| (name(path), std::fs::read(path).expect("a file"))).collect()
    };
    let mut zipped = entries(files_zip(&app, "").await);
    zipped.remove("manifest.ndjson");
    assert_eq!(read(&dir), zipped);
    // Continued: what was left by an interrupted run is of no effect, and only what is absent is written.
    std::fs::create_dir(dir.join(".acervo")).expect("a folder");
    std::fs::write(dir.join(".acervo/file"), "metade").expect("a file");
    std::fs::remove_file(dir.join("Pequeno/2025-02-20/pequeno.bin")).expect("a file");
    let output = get(&[]).await;
    assert!(stdout(&output).starts_with("1 file added"), "{}", stdout(&output));
    assert!(stdout(&output).contains("3 files were there already"), "{}", stdout(&output));
    assert_eq!(read(&dir), zipped);
    // Nothing is overwritten unless it is requested.
    let deck = dir.join("Deck NEWAVE Preliminar/2025-02-20/deck.zip");
    let output = get(&["--search", "deck newave", "--as-of", &first_at]).await;
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stderr(&output).contains("deck.zip: not written: a file with other bytes exists; --force"));
    assert_eq!(read(&dir), zipped);
    let output = get(&["--search", "deck newave", "--as-of", &first_at, "--force"]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(std::fs::read(&deck).expect("a file").starts_with("conteúdo".as_bytes()));
    // Filters.
    let other = folder.path().join("outro").display().to_string();
    let output =
        run(&app, &["get", "--search", "carga", "--from", "2025-02-20", "--to", "2025-02-20", "-d", &other]).await;
    assert!(stdout(&output).starts_with("2 files added"), "{}", stdout(&output));
    let output = run(&app, &["get", "--process", "nenhum", "-d", &other]).await;
    assert!(stdout(&output).starts_with("0 files added") && output.status.success(), "{}", stdout(&output));
}

#[tokio::test]
async fn wrong_uses_of_get_are_refused() {
    let app = TestApp::start().await;
    let id = "019a0000-0000-7000-8000-000000000000";
    for args in [
        &["get"][..],
        &["get", id, "-d", "x"],
        &["get", id, "--process", "x"],
        &["get", "--search", "x"],
        &["get", id, "--format", "json"],
        &["get", id, "--list", "-o", "x"],
    ] {
        let output = run(&app, args).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn a_damaged_file_is_not_written_to_the_folder() {
    let app = TestApp::start().await;
    for number in 1..=2 {
        let bytes = [text(300_000), vec![number as u8]].concat();
        app.archive(app.portal.add(product(number, &format!("Produto {number}"), "a.bin", bytes))).await;
    }
    let data = app.query("{ publications(search: \"produto 1\") { nodes { sha256 } } }").await;
    damage(&app, data["publications"]["nodes"][0]["sha256"].as_str().expect("a digest"));
    let folder = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        let output = run(&app, &["get", "-d", &folder.path().display().to_string()]).await;
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        assert!(stderr(&output).contains("not written: the file "), "{}", stderr(&output));
        assert_eq!(files_in(folder.path()).len(), 1);
    }
}

#[tokio::test]
async fn members_are_listed_by_the_command_line() {
    let app = TestApp::start().await;
    let inner = zip(&[("DGER.DAT", b"geral")]);
    let deck = zip(&[("SISTEMA.DAT", b"sistema"), ("1aPublicacao.zip", &inner)]);
    let archived = app.archive(app.portal.add(product(1, "Deck", "deck.zip", deck))).await;
    let id = archived["revision"]["id"].as_str().expect("an id").to_owned();
    let output = run(&app, &["get", &id, "--list"]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    for path in ["SISTEMA.DAT", "1aPublicacao.zip", "1aPublicacao.zip/DGER.DAT"] {
        assert!(stdout(&output).lines().any(|line| line.trim_end().ends_with(path)), "{}", stdout(&output));
    }
    let output = run(&app, &["get", &id, "--list", "--format", "json"]).await;
    let listed: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(listed[2]["path"], "1aPublicacao.zip/DGER.DAT");
    assert_eq!(listed[2]["size"], 5);
    // In any case, also inside the nested zip.
    let output = run(&app, &["get", &id, "--member", "1APUBLICACAO.ZIP/dger.dat", "-o", "-"]).await;
    assert_eq!(stdout(&output), "geral");
}

#[tokio::test]
async fn members_are_searched_by_the_command_line() {
    let app = TestApp::start().await;
    let inner = zip(&[("Vazões.DAT", b"dentro")]);
    for (number, deck) in [(1, zip(&[("vazoes.dat", b"um"), ("outro.txt", b"x")])), (2, zip(&[("fundo.zip", &inner)]))]
    {
        app.archive(app.portal.add(product(number, &format!("Deck {number}"), "deck.zip", deck))).await;
    }
    let output = run(&app, &["search", "deck", "--member", "*vazoes*", "--format", "json"]).await;
    let mut found: Vec<Value> = serde_json::from_str(&stdout(&output)).expect("JSON");
    found.sort_by_key(|row| row["path"].to_string());
    let paths: Vec<&Value> = found.iter().map(|row| &row["path"]).collect();
    assert_eq!(paths, ["fundo.zip/Vazões.DAT", "vazoes.dat"]);
    assert!(found.iter().all(|row| row["revisionId"].is_string() && row["name"].is_string()), "{found:?}");
    let output = run(&app, &["search", "--member", "vazoes.dat", "--limit", "1"]).await;
    assert!(stdout(&output).contains("1 member, and more; see --limit"), "{}", stdout(&output));
    let output = run(&app, &["search", "deck", "1", "--member", "nada*"]).await;
    assert_eq!(stdout(&output), "nothing found\n");
}

/// A client that reads nothing does not keep others from the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_zips_hold_no_connection() {
    let values = vec![("downloads.per_key", "8".to_owned())];
    let app = TestApp::with(Options { values, ..Options::default() }).await;
    let number = app.portal.add(product(1, "Grande", "a.bin", noise(24 << 20)));
    app.archive(number).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let answer = app.get("/export/files.zip").await;
        assert_eq!(answer.status(), 200);
        clients.push(answer);
    }
    let more = app.portal.add(product(2, "Outro", "b.bin", "b"));
    app.portal.enviar(more).await;
    app.settled(2).await;
    assert_eq!(app.query("{ publications { totalCount } }").await["publications"]["totalCount"], 2);
    assert_eq!(app.ask("{ status { products } }", json!({})).await["data"]["status"]["products"], 2);
    drop(clients);
}

/// However large the zip, its memory is that of a few blocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_zip_takes_little_memory() {
    const FILES: usize = 40;
    const BYTES: usize = 4 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    let files = folder.path().join("arquivos");
    std::fs::create_dir(&files).expect("a folder");
    let mut manifest = "path,nome,dataProduto,receivedAt\n".to_owned();
    let mut bytes = noise(BYTES);
    for number in 0..FILES {
        bytes[0] = number as u8;
        std::fs::write(files.join(format!("{number}.bin")), &bytes).expect("a file");
        manifest += &format!("{number}.bin,Produto {number},20/02/2025,2025-02-21T12:00:00Z\n");
    }
    let list = folder.path().join("manifesto.csv");
    std::fs::write(&list, manifest).expect("a file");
    let paths = [&files, &list].map(|path| path.display().to_string());
    let imported = tokio::task::block_in_place(|| {
        acervo(folder.path()).args(["import", &paths[0], "--manifest", &paths[1], "--create"]).output()
    });
    let imported = imported.expect("a binary that starts");
    assert!(imported.status.success(), "{}{}", stdout(&imported), stderr(&imported));
    let served = tokio::task::block_in_place(|| Served::start(folder.path(), free_port(), "info"));
    served.indexed().await;
    // Once, so that what every process needs is there.
    assert_eq!(served.get("/export/files.zip?limit=1").await.bytes().await.expect("bytes").len() / BYTES, 1);
    let before = served.memory();
    let mut answer = served.get("/export/files.zip").await;
    let length = answer.headers()["content-length"].to_str().expect("text").parse::<usize>().expect("a number");
    let (mut read, mut checked, mut most) = (0, 0, 0);
    while let Some(piece) = answer.chunk().await.expect("a piece") {
        read += piece.len();
        if read > checked + BYTES {
            checked = read;
            most = most.max(served.memory());
        }
    }
    assert!(read == length && read > FILES * BYTES, "{read} of {length}");
    let grown = most.saturating_sub(before) >> 20;
    eprintln!("{} MiB sent, {grown} MiB more memory", read >> 20);
    assert!(grown < 48, "{grown} MiB");
}

/// The command of the tests, for what runs without a service.
#[test]
fn the_help_names_the_filters() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = acervo(folder.path()).args(["get", "--help"]).output().expect("a binary that starts");
    for option in ["--search", "--as-of", "--process", "--from", "--to", "--dir", "--list", "--force"] {
        assert!(stdout(&output).contains(option), "{option}");
    }
}
