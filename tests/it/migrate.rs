use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use acervo::leaves::record::Table;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::json;

use crate::harness::links::FileServer;
use crate::harness::process::{Served, free_port};
use crate::harness::s3::{Proxy, TestBucket};
use crate::harness::samples::{noise, product, replace, text};
use crate::harness::{Db, Options, TestApp, files_in, postgres, sha256, until};
use crate::plain::{answers, archive, assert_same, bytes_of, stdout};
use crate::sweep::{Closed, stderr};

/// An instance that no service has open.
struct Side {
    closed: Closed,
    bucket: Option<TestBucket>,
}

impl Side {
    fn of(closed: Closed) -> Self {
        Self { closed, bucket: None }
    }

    /// A place for a copy.
    fn new(db: Db, bucket: Option<TestBucket>, config: &Path) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        std::fs::copy(config, folder.path().join("acervo.toml")).expect("a file");
        Self { closed: Closed { folder, database_url: postgres::database(db) }, bucket }
    }

    fn config(&self) -> std::path::PathBuf {
        self.closed.folder.path().join("acervo.toml")
    }

    fn data(&self) -> std::path::PathBuf {
        self.closed.folder.path().join("data")
    }

    fn command(&self, fault: &str) -> std::process::Command {
        let mut command = self.closed.command(fault);
        if let Some(bucket) = &self.bucket {
            command.env("ACERVO_ARCHIVE_URL", bucket.url()).envs(bucket.variables());
        }
        command
    }

    async fn run(&self, args: &[&str]) -> Output {
        output_of(self.command(""), args).await
    }

    /// Runs a command that must end well.
    async fn must(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert!(output.status.success(), "{args:?}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    }

    /// The options of `migrate-to` that lead here.
    fn options(&self) -> Vec<String> {
        let sqlite = || format!("sqlite://{}", self.data().join("acervo.db").display());
        let database = self.closed.database_url.clone().unwrap_or_else(sqlite);
        let archive = match &self.bucket {
            Some(bucket) => ["--archive-url".to_owned(), bucket.url()],
            None => ["--archive-dir".to_owned(), self.data().join("archive").display().to_string()],
        };
        ["--database-url".to_owned(), database].into_iter().chain(archive).collect()
    }

    async fn migrate(&self, to: &Self, more: &[&str], fault: &str) -> Output {
        let mut command = self.command(fault);
        if let Some(bucket) = &to.bucket {
            command.envs(bucket.variables());
        }
        let options = to.options();
        let args: Vec<&str> =
            ["migrate-to"].into_iter().chain(options.iter().map(String::as_str)).chain(more.iter().copied()).collect();
        output_of(command, &args).await
    }

    /// Everything as plain folders, by path. Links are part of it.
    async fn exported(&self) -> BTreeMap<String, String> {
        let plain = tempfile::tempdir().expect("a folder");
        let output = self.run(&["export", &plain.path().display().to_string(), "--links"]).await;
        assert!(output.status.code().is_some(), "{}", stderr(&output));
        let path = |file: &Path| file.strip_prefix(plain.path()).expect("a path in it").display().to_string();
        let found: BTreeMap<String, String> = files_in(plain.path())
            .iter()
            .map(|file| {
                let bytes = std::fs::read(file).expect("a file");
                let is_manifest = file.ends_with("manifest.ndjson");
                (path(file), if is_manifest { String::from_utf8(bytes).expect("text") } else { sha256(&bytes) })
            })
            .collect();
        assert!(found.contains_key("manifest.ndjson"), "{}", stderr(&output));
        found
    }

    async fn open(&self) -> TestApp {
        let Some(bucket) = &self.bucket else { return self.closed.open().await };
        let app = TestApp::with(Options {
            folder: Some(self.closed.folder.clone()),
            config: Some(self.config()),
            database_url: self.closed.database_url.clone(),
            values: vec![("archive_url", bucket.url())],
            environment: bucket.variables().into(),
            ..Options::default()
        })
        .await;
        app.leaves_work_unsettled("a sweep may begin at any moment");
        app
    }
}

/// An instance of all kinds of rows, whose files are compacted.
async fn dense_archive(db: Db) -> TestApp {
    let app = archive(db).await;
    let deck = noise(60_000);
    app.portal.add(product(50, "Deck denso", "deck.bin", deck.clone()));
    app.archive(50).await;
    app.portal.change(50, |product| replace(product, [deck, b"uma linha a mais".to_vec()].concat()));
    app.archive(50).await;
    app
}

async fn output_of(mut command: std::process::Command, args: &[&str]) -> Output {
    command.args(args);
    tokio::task::spawn_blocking(move || command.output().expect("a binary that starts")).await.expect("an output")
}

fn assert_equal(found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>, what: &str) {
    for (path, content) in expected {
        let other = found.get(path).unwrap_or_else(|| panic!("{what}: the export has no {path}"));
        if let Some((line, other)) = content.lines().zip(other.lines()).find(|(line, other)| line != other) {
            panic!("{what}: {path}:\n{line}\n{other}");
        }
        assert_eq!(content, other, "{what}: {path}");
    }
    assert_eq!(found.len(), expected.len(), "{what}: {:?}", found.keys());
}

/// Rows of each table of a database, except those of `state`, some of which belong to the database.
async fn rows_of(database: &DatabaseConnection) -> BTreeMap<&'static str, i64> {
    let mut found = BTreeMap::new();
    for table in Table::ALL.iter().copied().filter(|table| *table != Table::State) {
        let count = format!("SELECT COUNT(*) FROM {}", table.as_str());
        let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), count)).await;
        let count: i64 = row.expect("rows").expect("a row").try_get_by_index(0).expect("a number");
        found.insert(table.as_str(), count);
    }
    found
}

async fn execute(database: &DatabaseConnection, statements: &[&str]) {
    for statement in statements {
        database.execute_unprepared(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
}

async fn texts(database: &DatabaseConnection, query: &str) -> Vec<String> {
    let rows = database.query_all_raw(Statement::from_string(database.get_database_backend(), query)).await;
    rows.expect("rows").iter().map(|row| row.try_get_by_index(0).expect("a text")).collect()
}

/// Rows that a history of some minutes does not have.
const ROWS: &[&str] = &[
    "INSERT INTO sessions (hash, key_hash, started_at, expires_at) VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 1, 9999999999999)",
    "INSERT INTO revoked_keys (hash, name, revoked_at) VALUES ('cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'painel', 5)",
    "INSERT INTO key_uses (name, last_used_at) VALUES ('Ação', 7), ('acao', 8), ('Zebra', 9), ('ágil', 10)",
    "INSERT INTO hook_events (at, feed, kind, name, data) VALUES (1, 2, 'silent', 'a', '{}'), (2, 3, 'silent', 'b', '{}')",
    "INSERT INTO hook_letters (hook, kind, event, at, dead_at, attempts, error) VALUES ('h', 'silent', 1, 1, 2, 3, 'x')",
    "INSERT INTO hook_deliveries (hook, message, kind, at, attempt, outcome, took) VALUES ('h', 'm', 'silent', 1, 1, 'delivered', 5)",
    "INSERT INTO hooks (name, created_at, feed, event, attempts, delivered, failed) VALUES ('h', 1, 2, 2, 0, 4, 1)",
    "DELETE FROM hook_events WHERE name = 'b'",
    "DELETE FROM hook_deliveries",
    "INSERT INTO verify_cycles (id, started_at, point) VALUES ('c', 1, 7)",
    "UPDATE publications SET lost_acknowledged_at = 5, lost_acknowledged_by = 'operador' WHERE revision_count = 1",
];

/// The commands of docs/operations.md.
fn documented() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let text = std::fs::read_to_string(path).expect("the document");
    text.lines().filter(|line| line.starts_with("acervo migrate-to ")).map(str::to_owned).collect()
}

/// What the document says, with its addresses replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs s3s-fs and PostgreSQL"]
async fn the_commands_of_the_document_move_an_instance() {
    let app = TestApp::start().await;
    app.portal.add(product(1, "Carga", "carga.txt", text(500)));
    app.archive(1).await;
    std::fs::write(app.folder.path().join("acervo.toml"), "").expect("a file");
    let one = Side::of(Closed::of(app).await);
    let exported = one.exported().await;
    let folder = one.closed.folder.path();
    let several = Side::new(Db::Postgres, Some(TestBucket::new()), &one.config());
    let bucket = several.bucket.as_ref().expect("a bucket");
    let url = several.closed.database_url.as_ref().expect("an address");
    std::fs::write(folder.join("new-database.url"), url).expect("a file");
    let commands = documented();
    assert_eq!(commands.len(), 3, "{commands:?}");
    let back = folder.join("new").display().to_string();
    for (number, line) in commands.iter().enumerate() {
        let line = line.replace("/etc/acervo/", &format!("{}/", folder.display()));
        let line = line.replace("s3://acervo/archive", &bucket.url()).replace("/srv/new", &back);
        let mut command = if number < 2 { one.command("") } else { several.command("") };
        command.envs(bucket.variables());
        let args: Vec<&str> = line.split(' ').skip(1).collect();
        let output = output_of(command, &args).await;
        assert!(output.status.success(), "{line}: {}", stderr(&output));
    }
    assert_equal(&several.exported().await, &exported, "several machines");
    let mut command = one.closed.command("");
    command.env("ACERVO_DATA_DIR", &back);
    let verified = output_of(command, &["verify"]).await;
    assert!(verified.status.success(), "{}", stderr(&verified));
}

/// From one machine to several and back: the exports of all three are the same, byte for byte, and each continues the work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs s3s-fs and PostgreSQL"]
async fn an_instance_moves_to_postgres_and_a_bucket_and_back() {
    let app = dense_archive(Db::Sqlite).await;
    let links = FileServer::start().await;
    let link = links.link(&json!({ "URL": "/sites/9/vivo.txt" }));
    let body = json!({ "nome": "Link vivo", "dataProduto": "01/02/2025", "url": link }).to_string();
    assert_eq!(app.notify(&body).await.0, 202);
    app.until("{ notifications(first: 1) { nodes { status } } }", |data| {
        data["notifications"]["nodes"][0]["status"] == "RETRYING"
    })
    .await;
    app.leaves_work_unsettled("the link leads to a file that is not there yet");
    let config = app.folder.path().join("acervo.toml");
    let one = Side::of(Closed::of(app).await);
    one.must(&["compact"]).await;
    let database = one.closed.database().await;
    execute(&database, ROWS).await;
    let dense = texts(&database, "SELECT encoding FROM files WHERE base IS NOT NULL AND removed_at IS NULL").await;
    assert!(!dense.is_empty(), "nothing is dense");
    let rows = rows_of(&database).await;
    database.close().await.expect("a closed database");
    let exported = one.exported().await;
    assert!(exported["manifest.ndjson"].contains("vivo.txt") || exported["manifest.ndjson"].contains("token="));
    let bucket = TestBucket::new();
    let proxy = Proxy::start(&bucket, 15).await;
    let several = Side::new(Db::Postgres, Some(bucket.behind(&proxy)), &config);
    let back = Side::new(Db::Sqlite, None, &config);
    for (from, to, what) in [(&one, &several, "to several machines"), (&several, &back, "back to one")] {
        let output = from.migrate(to, &[], "").await;
        assert!(output.status.success(), "{what}: {}{}", stdout(&output), stderr(&output));
        assert!(stdout(&output).contains("are the same in both databases"), "{what}: {}", stdout(&output));
        let database = to.closed.database().await;
        assert_eq!(rows_of(&database).await, rows, "{what}");
        assert_eq!(texts(&database, "SELECT hash FROM sessions").await, ["aa".repeat(32)], "{what}");
        assert_eq!(texts(&database, "SELECT name FROM revoked_keys WHERE revoked_at = 5").await, ["painel"], "{what}");
        let position = "SELECT name FROM hooks WHERE feed = 2 AND event = 2 AND delivered = 4";
        assert_eq!(texts(&database, position).await, ["h"], "{what}");
        database.close().await.expect("a closed database");
        assert_equal(&to.exported().await, &exported, what);
        // Again: it says that nothing is left to do.
        let again = from.migrate(to, &[], "").await;
        assert!(again.status.success() && stdout(&again).contains("nothing was copied"), "{what}: {}", stderr(&again));
    }
    for side in [&several, &back] {
        side.must(&["verify"]).await;
    }
    assert!(proxy.faults.load(std::sync::atomic::Ordering::Relaxed) > 0, "the proxy did nothing");
    let objects = |side: &Side| {
        let archive = side.data().join("archive");
        let path = |file: &std::path::PathBuf| file.strip_prefix(&archive).expect("a path").to_owned();
        files_in(&archive).iter().map(path).collect::<Vec<_>>()
    };
    assert_eq!(objects(&back), objects(&one));
    // Numbers of rows that were deleted are not assigned again.
    let database = back.closed.database().await;
    let next = "INSERT INTO hook_events (at, feed, kind, name, data) VALUES (3, 4, 'silent', 'c', '{}')";
    execute(&database, &[next]).await;
    let ids = texts(&database, "SELECT CAST(MAX(id) AS TEXT) FROM hook_events").await;
    assert_eq!(ids, ["3"]);
    database.close().await.expect("a closed database");
    let (mut expected, mut bytes) = (Vec::new(), BTreeMap::new());
    for side in [&one, &several, &back] {
        let app = side.open().await;
        // The file of the link is there now, and each of them fetches it.
        if expected.is_empty() {
            links.offer("/sites/9/vivo.txt", b"vivo", None);
        }
        app.until("{ notifications(first: 1) { nodes { status } } }", |data| {
            data["notifications"]["nodes"][0]["status"] == "ARCHIVED"
        })
        .await;
        app.indexed().await;
        let found = bytes_of(&app).await;
        let digests: Vec<Option<String>> = found.values().cloned().collect();
        app.portal.add(product(2, "Carga: A/B", "novo.txt", &b"novo"[..]));
        app.portal.enviar(2).await;
        app.until("{ revisions(first: 1) { nodes { fileName number } } }", |data| {
            data["revisions"]["nodes"][0] == json!({ "fileName": "novo.txt", "number": 2 })
        })
        .await;
        let products = app.query("{ products(first: 200) { nodes { id name revisionCount } } }").await;
        if expected.is_empty() {
            expected = vec![products, json!(digests.len())];
            bytes = found;
        } else {
            assert_eq!(vec![products, json!(digests.len())], expected);
            // Of revisions that were copied the id is the same; the one of the link is new in each.
            let same = found.iter().filter(|(id, digest)| bytes.get(*id) == Some(digest)).count();
            assert_eq!(same, bytes.len() - 1);
        }
        app.stop().await;
    }
}

/// All answers of a copy are those of the instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_answers_as_the_instance_does() {
    for db in Db::all() {
        let app = archive(db).await;
        let (expected, bytes) = (answers(&app).await, bytes_of(&app).await);
        let config = app.folder.path().join("acervo.toml");
        let one = Side::of(Closed::of(app).await);
        for to in Db::all() {
            let copy = Side::new(to, None, &config);
            let output = one.migrate(&copy, &[], "").await;
            assert!(output.status.success(), "{db:?} to {to:?}: {}{}", stdout(&output), stderr(&output));
            let app = copy.open().await;
            assert_same(&answers(&app).await, &expected, &format!("{db:?} to {to:?}"));
            assert_eq!(bytes_of(&app).await, bytes);
            app.stop().await;
        }
    }
}

const STEPS: [&str; 11] = [
    "migrate-after-begin=return",
    "migrate-after-objects=return",
    "migrate-between-files=return",
    "migrate-between-files=return",
    "migrate-after-files=return",
    "migrate-between-rows=return",
    "migrate-between-rows=2*off->return",
    "migrate-between-rows=4*off->return",
    "migrate-before-compare=return",
    "migrate-before-end=return",
    "migrate-after-end=return",
];

async fn killed_at_every_step(from: Db, to: Db, has_bucket: bool) {
    let app = dense_archive(from).await;
    let config = app.folder.path().join("acervo.toml");
    let one = Side::of(Closed::of(app).await);
    one.must(&["compact"]).await;
    let exported = one.exported().await;
    let copy = Side::new(to, has_bucket.then(TestBucket::new), &config);
    for step in STEPS {
        let killed = one.migrate(&copy, &[], step).await;
        assert!(killed.status.code().is_none(), "{step}: it was not killed: {}{}", stdout(&killed), stderr(&killed));
        if step == STEPS[10] {
            break;
        }
        let refused = copy.run(&["verify"]).await;
        assert!(stderr(&refused).contains("a copy that is not complete"), "{step}: {}", stderr(&refused));
    }
    let output = one.migrate(&copy, &[], "").await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("nothing was copied"), "{}", stdout(&output));
    assert_equal(&copy.exported().await, &exported, &format!("{from:?} to {to:?}"));
    copy.must(&["verify"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_continues_wherever_it_was_killed() {
    killed_at_every_step(Db::Sqlite, Db::Sqlite, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs s3s-fs and PostgreSQL"]
async fn a_copy_to_several_machines_continues_wherever_it_was_killed() {
    killed_at_every_step(Db::Sqlite, Db::Postgres, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_copy_to_one_machine_continues_wherever_it_was_killed() {
    killed_at_every_step(Db::Postgres, Db::Sqlite, false).await;
}

/// Files can be copied ahead while the service runs; what changes until it is stopped is copied then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_copied_ahead_while_the_service_runs() {
    let values = vec![("retention.grace", "0s".to_owned())];
    let app = TestApp::with(Options { values, ..Options::default() }).await;
    std::fs::write(app.folder.path().join("acervo.toml"), "[retention]\ngrace = \"0s\"\n").expect("a file");
    let deck = noise(60_000);
    for number in 1..=3 {
        let content = if number == 1 { deck.clone() } else { text(9_000 * number as usize) };
        app.portal.add(product(number, &format!("Carga {number}"), "carga.bin", content));
        app.archive(number).await;
    }
    app.indexed().await;
    let one = Side::of(Closed { folder: app.folder.clone(), database_url: None });
    let copy = Side::new(Db::Sqlite, None, &one.config());
    let ahead = one.migrate(&copy, &["--only-files"], "").await;
    assert!(ahead.status.success(), "{}", stderr(&ahead));
    assert!(stdout(&ahead).starts_with("3 files copied"), "{}", stdout(&ahead));
    let again = one.migrate(&copy, &["--only-files"], "").await;
    assert!(stdout(&again).contains("3 files were copied before"), "{}", stdout(&again));
    let refused = copy.run(&["status"]).await;
    assert!(stderr(&refused).contains("a copy that is not complete"), "{}", stderr(&refused));
    // A file more, another encoding of one, and bytes that retention removes.
    app.portal.change(1, |product| replace(product, [deck, b"uma linha a mais".to_vec()].concat()));
    app.archive(1).await;
    one.must(&["compact"]).await;
    one.must(&["remove", "Carga 3", "--reason", "teste", "--yes", "Carga 3"]).await;
    let archive = one.data().join("archive");
    until("bytes that are deleted", async || (files_in(&archive).len() == 3).then_some(())).await;
    let one = Side::of(Closed::of(app).await);
    let database = one.closed.database().await;
    let dense = texts(&database, "SELECT encoding FROM files WHERE base IS NOT NULL").await;
    database.close().await.expect("a closed database");
    assert!(!dense.is_empty(), "nothing is dense");
    let output = one.migrate(&copy, &[], "").await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("continued where the last copy was interrupted"), "{}", stdout(&output));
    assert!(stdout(&output).contains("removed from the copy"), "{}", stdout(&output));
    let names = |side: &Side| {
        let names = files_in(&side.data().join("archive"));
        names.iter().map(|file| file.file_name().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&copy), names(&one));
    assert_equal(&copy.exported().await, &one.exported().await, "after the second pass");
    copy.must(&["verify"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_object_is_named_and_does_not_stop_the_others() {
    let app = TestApp::start().await;
    for number in 1..=6 {
        app.portal.add(product(number, &format!("Carga {number}"), "carga.bin", noise(20_000 + number as usize)));
        app.portal.enviar(number).await;
        app.settled(u64::from(number)).await;
    }
    std::fs::write(app.folder.path().join("acervo.toml"), "").expect("a file");
    let one = Side::of(Closed::of(app).await);
    let objects = files_in(&one.data().join("archive"));
    assert_eq!(objects.len(), 6);
    let mut bytes = std::fs::read(&objects[1]).expect("an object");
    bytes[5_000] ^= 1;
    std::fs::write(&objects[1], &bytes).expect("an object");
    std::fs::remove_file(&objects[4]).expect("no object");
    let name = |at: usize| objects[at].file_stem().expect("a name").to_string_lossy().into_owned();
    let copy = Side::new(Db::Sqlite, None, &one.config());
    let output = one.migrate(&copy, &[], "").await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    for at in [1, 4] {
        assert!(stderr(&output).contains(&format!("{}: damaged here", name(at))), "{}", stderr(&output));
    }
    assert!(stdout(&output).starts_with("4 files copied"), "{}", stdout(&output));
    assert!(stdout(&output).contains("the copy is complete"), "{}", stdout(&output));
    let found = copy.exported().await;
    assert_equal(&found, &one.exported().await, "with damaged files");
    assert_eq!(found.values().filter(|content| content.len() == 64).count(), 5, "4 files and their sums");
    let app = copy.open().await;
    let data = app.query("{ status { damaged } }").await;
    assert_eq!(data["status"]["damaged"], 2);
}

/// What is not a copy of this instance is not touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_over_another_instance() {
    async fn with_files(files: u32) -> Side {
        let app = TestApp::start().await;
        for number in 1..=files {
            app.portal.add(product(number, &format!("Carga {number}"), "carga.txt", text(500 * number as usize)));
            app.portal.enviar(number).await;
            app.settled(u64::from(number)).await;
        }
        std::fs::write(app.folder.path().join("acervo.toml"), "").expect("a file");
        Side::of(Closed::of(app).await)
    }
    let (one, other) = (with_files(3).await, with_files(2).await);
    let before = other.exported().await;
    let said = |output: &Output, text: &str| {
        assert_eq!(output.status.code(), Some(1), "{}", stdout(output));
        assert!(stderr(output).contains(text), "{text}: {}", stderr(output));
    };
    said(&one.migrate(&other, &[], "").await, "has files, and is no copy of this instance");
    // The database alone is another's.
    let options = other.options();
    let empty = Side::new(Db::Sqlite, None, &one.config());
    let archive = empty.data().join("archive").display().to_string();
    let args = ["migrate-to", "--database-url", &options[1], "--archive-dir", &archive];
    said(&one.run(&args).await, "which is not a copy of this one");
    said(&one.migrate(&one, &[], "").await, "is the archive of this instance");
    let args = ["migrate-to", "--database-url", &one.options()[1], "--same-archive"];
    said(&one.run(&args).await, "which is not a copy of this one");
    assert_equal(&other.exported().await, &before, "a refused copy");
    // A copy of one is in progress, and so not one of the other.
    let copy = Side::new(Db::Sqlite, None, &one.config());
    let killed = one.migrate(&copy, &[], "migrate-between-rows=return").await;
    assert!(killed.status.code().is_none(), "{}", stderr(&killed));
    said(&other.migrate(&copy, &[], "").await, "a copy of another instance in progress");
    let args = ["migrate-to", "--database-url", &copy.options()[1], "--archive-dir", &archive];
    said(&one.run(&args).await, "a copy of this instance in progress whose archive is");
    // A service that runs would record what the copy does not have.
    let mut served = Served::start(one.closed.folder.path(), free_port(), "warn");
    said(&one.migrate(&copy, &[], "").await, "another acervo serves from");
    assert_eq!(served.terminate(), Some(0));
    let output = one.migrate(&copy, &[], "").await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert_equal(&copy.exported().await, &one.exported().await, "after all");
    // Complete, and used since.
    let app = copy.open().await;
    app.portal.add(product(9, "Depois", "depois.txt", text(700)));
    app.portal.enviar(9).await;
    app.settled(4).await;
    app.stop().await;
    said(&one.migrate(&copy, &[], "").await, "the copy is complete already, and may be in use");
}

/// A service on another machine has another data folder and the same database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn the_database_of_a_running_service_is_not_moved() {
    let app = TestApp::on(Db::Postgres).await;
    app.portal.add(product(1, "Carga", "carga.txt", text(500)));
    app.portal.enviar(1).await;
    app.settled(1).await;
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    std::fs::write(folder.path().join("acervo.toml"), "").expect("a file");
    let one = Side::of(Closed { folder, database_url: Closed::address_of(&app) });
    let copy = Side::new(Db::Sqlite, None, &one.config());
    let args = ["migrate-to", "--database-url", &copy.options()[1], "--same-archive"];
    let refused = one.run(&args).await;
    assert_eq!(refused.status.code(), Some(1), "{}", stdout(&refused));
    assert!(stderr(&refused).contains("1 other processes of acervo use the database"), "{}", stderr(&refused));
    app.stop().await;
    let output = one.run(&args).await;
    assert!(output.status.success(), "{}", stderr(&output));
}

/// The order of an export does not depend on the language of the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_server_that_sorts_by_a_language_exports_the_same() {
    let app = archive(Db::Sqlite).await;
    let config = app.folder.path().join("acervo.toml");
    let one = Side::of(Closed::of(app).await);
    let database = one.closed.database().await;
    let alias = "INSERT INTO product_aliases (product_id, name, name_folded, first_seen_at, last_seen_at) \
        SELECT id, n, n, 1, 2 FROM products, (SELECT 'Zebra' AS n UNION SELECT 'acao' UNION SELECT 'Ação' UNION SELECT 'B c') x";
    execute(&database, &[alias, ROWS[2]]).await;
    database.close().await.expect("a closed database");
    let mut copy = Side::new(Db::Postgres, None, &config);
    let plain = copy.closed.database_url.take().expect("an address");
    let name = format!("t{}", uuid::Uuid::now_v7().simple());
    let server = crate::harness::database::connect(&plain).await;
    let create =
        format!("CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'pt-BR' ENCODING 'UTF8'");
    execute(&server, &[&create]).await;
    server.close().await.expect("a closed connection");
    copy.closed.database_url = plain.rsplit_once('/').map(|(server, _)| format!("{server}/{name}"));
    let output = one.migrate(&copy, &[], "").await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert_equal(&copy.exported().await, &one.exported().await, "sorted in Portuguese");
}

/// A table that a later version adds must be copied too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_of_the_database_is_copied() {
    for db in Db::all() {
        let app = TestApp::on(db).await;
        let query = match db {
            Db::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            Db::Postgres => "SELECT CAST(tablename AS text) FROM pg_tables WHERE schemaname = current_schema()",
        };
        let mut found = texts(&app.database().await, query).await;
        found.retain(|name| name != "seaql_migrations" && !Table::NOT_COPIED.contains(&name.as_str()));
        found.sort();
        let mut copied: Vec<&str> = Table::ALL.iter().map(|table| table.as_str()).collect();
        copied.sort_unstable();
        assert_eq!(found, copied, "{db:?}");
    }
}
