use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::burst::ask;
use crate::harness::process::{Served, acervo, free_port};
use crate::harness::samples::product;
use crate::harness::{Db, Options, TestApp, bytes_in, database, files_in, on_each_database, postgres, sha256, until};
use crate::retention::{DECKS, PLAN, days, history_of, history_on};

/// A policy whose marks are swept by the run that makes them.
pub fn at_once() -> String {
    DECKS.replace("7d", "0s")
}

/// An archive that no service has open.
pub struct Closed {
    pub folder: Arc<TempDir>,
    pub database_url: Option<String>,
}

impl Closed {
    pub async fn of(app: TestApp) -> Self {
        let database_url = Self::address_of(&app);
        Self { folder: app.stop().await, database_url }
    }

    /// The database of a service, unless it is SQLite's.
    pub fn address_of(app: &TestApp) -> Option<String> {
        app.app.settings.database_url.as_ref().map(|url| url.expose_secret().to_owned())
    }

    pub async fn database(&self) -> sea_orm::DatabaseConnection {
        database::connect(&database::address(self.database_url.as_deref(), self.folder.path())).await
    }

    pub fn command(&self, fault: &str) -> std::process::Command {
        let mut command = acervo(self.folder.path());
        command.envs(self.database_url.iter().map(|url| ("ACERVO_DATABASE_URL", url)));
        if !fault.is_empty() {
            // Others wait for the lock of a killed process.
            command.env("FAILPOINTS", format!("lock-lasts=return(6000);{fault}"));
        }
        command
    }

    pub async fn run(&self, args: &[&str], fault: &str) -> Output {
        let mut command = self.command(fault);
        command.args(args);
        tokio::task::spawn_blocking(move || command.output().expect("a binary that starts")).await.expect("an output")
    }

    pub async fn open(&self) -> TestApp {
        let config = Some(self.folder.path().join("acervo.toml"));
        let (folder, database_url) = (Some(self.folder.clone()), self.database_url.clone());
        let app = TestApp::with(Options { folder, config, database_url, ..Options::default() }).await;
        app.leaves_work_unsettled("a sweep may begin at any moment");
        app
    }
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every revision's file: its bytes, or none since it was removed; nothing in between.
pub async fn check(app: &TestApp, what: &str) -> Vec<(String, u16)> {
    app.until("{ status { indexLag } }", |data| data["status"]["indexLag"] == 0).await;
    let data = app.query("{ revisions(first: 1000) { nodes { id sha256 } } }").await;
    let mut found = Vec::new();
    for node in data["revisions"]["nodes"].as_array().expect("a list") {
        let id = node["id"].as_str().expect("an id").to_owned();
        let answer = app.get(&format!("/files/{id}")).await;
        let status = answer.status().as_u16();
        assert!(status == 200 || status == 410, "{what}: {status}: {node}");
        if status == 200 {
            assert_eq!(node["sha256"], sha256(&answer.bytes().await.expect("bytes")), "{what}");
        }
        found.push((id, status));
    }
    found
}

/// The archive contains no file that is not recorded.
pub async fn nothing_dangles(app: &TestApp) {
    let folder = app.folder.path().join("data/archive");
    app.until("{ status { storedSize } }", |data| data["status"]["storedSize"] == bytes_in(&folder)).await;
}

const STEPS: [&str; 6] = [
    "retention-between-marks",
    "retention-after-mark",
    "retention-after-tombstone",
    "retention-between-deletes",
    "retention-after-delete",
    "retention-between-sweeps",
];

/// Killed at a step, undone, and run again.
async fn killed_at(db: Db, step: &str) {
    let what = format!("{db:?}, {step}");
    // Of more removals than one batch, or one of the steps is never reached.
    let app = history_on(db, 40, &at_once()).await;
    let plan = app.query(PLAN).await["retentionPlan"]["lines"]["nodes"].clone();
    let archive = Closed::of(app).await;
    let killed = archive.run(&["retention", "run"], &format!("{step}=return")).await;
    assert!(!killed.status.success(), "{what}: {}", String::from_utf8_lossy(&killed.stdout));
    // Undone as far as possible: what is restored has its bytes.
    let runs = archive.run(&["retention", "runs"], "").await;
    let printed = String::from_utf8_lossy(&runs.stdout).into_owned();
    let run = printed.strip_prefix("run ").and_then(|rest| rest.split(':').next()).expect("a run");
    let undone = archive.run(&["retention", "undo", run], "").await;
    assert!(undone.status.success(), "{what}: {}", stderr(&undone));
    let app = archive.open().await;
    let found = check(&app, &what).await;
    let kept = |id: &Value| found.iter().any(|(found, status)| *id == **found && *status == 200);
    for line in plan.as_array().expect("lines").iter().filter(|line| line["action"] == "KEEP") {
        assert!(kept(&line["revisionId"]), "{what}: {line}");
    }
    if step.ends_with("mark") || step.ends_with("marks") {
        assert!(found.iter().all(|(_, status)| *status == 200), "{what}: {found:?}");
    }
    let archive = Closed::of(app).await;
    run_as_planned(archive, &plan, &what).await;
}

/// Runs retention to its end: each revision is there, or gone, as the plan says.
pub async fn run_as_planned(archive: Closed, plan: &Value, what: &str) {
    let again = archive.run(&["retention", "run"], "").await;
    assert!(again.status.success(), "{what}: {}", stderr(&again));
    let app = archive.open().await;
    let found = check(&app, what).await;
    for line in plan.as_array().expect("lines") {
        let status = if line["action"] == "KEEP" { 200 } else { 410 };
        assert!(found.iter().any(|(id, is)| line["revisionId"] == **id && *is == status), "{what}: {line}");
    }
    nothing_dangles(&app).await;
}

on_each_database!(killed_at_every_step_nothing_that_stays_is_lost, 2 threads);
async fn killed_at_every_step_nothing_that_stays_is_lost(db: Db) {
    // Together: each waits for the lock of the killed run to lapse.
    let runs: Vec<_> = STEPS.iter().map(|step| tokio::spawn(killed_at(db, step))).collect();
    for run in runs {
        run.await.expect("a run that holds");
    }
}

on_each_database!(bytes_under_a_tombstone_are_stored_again, 2 threads);
/// What was removed and is published again is archived again, whatever the sweep was doing when it was killed.
async fn bytes_under_a_tombstone_are_stored_again(db: Db) {
    // Together: each waits for the lock of the killed run to lapse.
    tokio::join!(stored_again_after(db, "retention-after-tombstone"), stored_again_after(db, "retention-after-delete"),);
}

/// Twelve days, each archived before the next is published: each has a file of its own, and the first one's is removed.
async fn history_day_by_day(db: Db) -> TestApp {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let config = folder.path().join("acervo.toml");
    std::fs::write(&config, at_once()).expect("a file");
    let (folder, config) = (Some(folder), Some(config));
    let app =
        TestApp::with(Options { folder, config, database_url: postgres::database(db), ..Options::default() }).await;
    app.portal.add(days(12));
    for day in 1..=12 {
        app.portal.publish(1).await.expect("a delivery");
        app.settled(day).await;
    }
    app
}

async fn stored_again_after(db: Db, step: &str) {
    let app = history_day_by_day(db).await;
    let portal = app.portal.clone();
    let archive = Closed::of(app).await;
    let killed = archive.run(&["retention", "run"], &format!("{step}=return")).await;
    assert!(!killed.status.success(), "{step}");
    let app = archive.open().await;
    // The first day's file again, under another product.
    let bytes = "0 ".repeat(20_000);
    portal.set_webhook(acervo::portal::Webhook {
        url: format!("{}/webhook", app.url),
        credentials: acervo::portal::Credentials::Token(SecretString::from(crate::harness::TOKEN)),
    });
    portal.add(product(9, "De novo", "deck.txt", bytes.clone()));
    portal.enviar(9).await;
    let query = "{ publications(filter: { name: { eq: \"De novo\" } }) { nodes { status } } }";
    app.until(query, |data| data["publications"]["nodes"][0]["status"] == "ARCHIVED").await;
    let served: Vec<u16> = check(&app, step).await.into_iter().map(|(_, status)| status).collect();
    assert_eq!(served.iter().filter(|status| **status == 200).count(), 4, "{db:?}, {step}: {served:?}");
    nothing_dangles(&app).await;
    assert_eq!(check(&app, step).await.iter().filter(|(_, status)| *status == 200).count(), 4);
}

/// What was removed and is published again is archived again, whatever step of recording it a crash interrupts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_removed_bytes_are_recorded_again_loses_nothing() {
    for step in ["fetch-before-record", "fetch-before-second-try"] {
        let app = history_day_by_day(Db::Sqlite).await;
        let portal = app.portal.clone();
        let archive = Closed::of(app).await;
        let run = archive.run(&["retention", "run"], "").await;
        assert!(run.status.success(), "{}", stderr(&run));
        let mut served = serve(&archive, &format!("{step}=return")).await;
        portal.set_webhook(acervo::portal::Webhook {
            url: format!("{}/webhook", served.url),
            credentials: acervo::portal::Credentials::Token(SecretString::from(crate::harness::TOKEN)),
        });
        // The first day's file again, under another product.
        portal.add(product(9, "De novo", "deck.txt", "0 ".repeat(20_000)));
        portal.enviar(9).await;
        tokio::task::block_in_place(|| served.ended());
        let app = archive.open().await;
        let query = "{ publications(filter: { name: { eq: \"De novo\" } }) { nodes { status } } status { indexLag } }";
        app.until(query, |data| {
            data["publications"]["nodes"][0]["status"] == "ARCHIVED" && data["status"]["indexLag"] == 0
        })
        .await;
        let served: Vec<u16> = check(&app, step).await.into_iter().map(|(_, status)| status).collect();
        assert_eq!(served.iter().filter(|status| **status == 200).count(), 4, "{step}: {served:?}");
        nothing_dangles(&app).await;
    }
}

on_each_database!(a_file_that_cannot_be_deleted_is_tried_again_and_blocks_no_other, 2 threads);
async fn a_file_that_cannot_be_deleted_is_tried_again_and_blocks_no_other(db: Db) {
    let app = history_on(db, 12, &at_once()).await;
    let lines = app.query(PLAN).await["retentionPlan"]["lines"]["nodes"].clone();
    let lines = lines.as_array().expect("lines");
    // Days that were announced together may share their bytes: one whose file goes with it.
    let doomed = lines.iter().find(|line| line["bytesFreed"].as_u64() > Some(0)).expect("a line");
    let query = format!("{{ revision(id: {}) {{ sha256 }} }}", doomed["revisionId"]);
    let digest = app.query(&query).await["revision"]["sha256"].as_str().expect("a digest").to_owned();
    let files = files_in(&app.folder.path().join("data/archive")).len();
    let freed = lines.iter().filter(|line| line["bytesFreed"].as_u64() > Some(0)).count();
    let archive = Closed::of(app).await;
    let folder = archive.folder.path().join("data/archive");
    let path = files_in(&folder).into_iter().find(|path| path.display().to_string().contains(&digest));
    let path = path.expect("its file");
    // A folder that is not empty cannot be deleted as a file, by any user.
    std::fs::remove_file(&path).expect("a file");
    std::fs::create_dir(&path).expect("a folder");
    std::fs::write(path.join("x"), "").expect("a file");
    let run = archive.run(&["retention", "run"], "").await;
    assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
    assert!(stderr(&run).contains("1 file could not be deleted"), "{}", stderr(&run));
    assert!(stderr(&run).contains(&digest), "the log does not say which: {}", stderr(&run));
    let left = files_in(&folder).len();
    assert_eq!(left, files - freed + 1, "the others are not gone");
    std::fs::remove_dir_all(&path).expect("a folder");
    let again = archive.run(&["retention", "run"], "").await;
    assert!(again.status.success(), "{}", stderr(&again));
    let app = archive.open().await;
    nothing_dangles(&app).await;
    assert_eq!(check(&app, "afterwards").await.iter().filter(|(_, status)| *status == 200).count(), 3);
}

on_each_database!(importing_again_after_a_sweep_brings_no_bytes_back, 2 threads);
async fn importing_again_after_a_sweep_brings_no_bytes_back(db: Db) {
    let app = history_on(db, 1, &at_once()).await;
    let folder = app.folder.path().join("arquivos");
    std::fs::create_dir(&folder).expect("a folder");
    let mut manifest = "path,nome,dataProduto,receivedAt\n".to_owned();
    for day in 1..=20 {
        // Large enough to be compressed, and in two days the same.
        let content = format!("conteúdo {} ", day / 2).repeat(3000);
        std::fs::write(folder.join(format!("{day}.txt")), content).expect("a file");
        manifest += &format!("{day}.txt,Deck NEWAVE Antigo,{day:02}/01/2024,2024-01-{day:02}T12:00:00Z\n");
    }
    let list = app.folder.path().join("m.csv");
    std::fs::write(&list, manifest).expect("a file");
    let tar = app.folder.path().join("arquivos.tar");
    let mut packed = tar::Builder::new(std::fs::File::create(&tar).expect("a tar"));
    packed.append_dir_all("", &folder).expect("files");
    packed.finish().expect("a tar");
    let archive = Closed::of(app).await;
    let (from, list) = (folder.display().to_string(), list.display().to_string());
    let first = archive.run(&["import", &from, "--manifest", &list], "").await;
    assert!(first.status.success(), "{}", stderr(&first));
    let run = archive.run(&["retention", "run"], "").await;
    assert!(run.status.success(), "{}", stderr(&run));
    let kept = files_in(&archive.folder.path().join("data/archive"));
    for path in [from, tar.display().to_string()] {
        let again = archive.run(&["import", &path, "--manifest", &list], "").await;
        assert!(again.status.success(), "{}", stderr(&again));
        assert_eq!(files_in(&archive.folder.path().join("data/archive")), kept, "{db:?}: {path}");
    }
    let app = archive.open().await;
    nothing_dangles(&app).await;
    check(&app, "imported again").await;
}

pub async fn serve(archive: &Closed, fault: &str) -> Served {
    let (command, log) = (archive.command(fault), archive.folder.path().join("log.txt"));
    let port = free_port();
    tokio::task::spawn_blocking(move || Served::spawn(command, log, port, "warn")).await.expect("a server")
}

pub const RUNS: &str = "{ retentionRuns { nodes { id endedAt removed undoneAt } } }";

/// A run is a job: the response is sent while it continues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_run_is_answered_at_once_and_continues() {
    let archive = Closed::of(history_of(40, &at_once()).await).await;
    let served = serve(&archive, "retention-between-marks=1*sleep(8000)->off").await;
    let data = served.query("mutation { runRetention(dryRun: false) { id endedAt removed } }").await;
    assert!(data["runRetention"]["id"].is_string() && data["runRetention"]["endedAt"].is_null(), "{data}");
    let data = served.until(RUNS, |data| data["retentionRuns"]["nodes"][0]["endedAt"].is_string()).await;
    assert_eq!(data["retentionRuns"]["nodes"][0]["removed"], 38);
    drop(served);
    nothing_dangles(&archive.open().await).await;
}

on_each_database!(a_killed_run_is_ended_and_swept_by_the_next_start, 2 threads);
async fn a_killed_run_is_ended_and_swept_by_the_next_start(db: Db) {
    let archive = Closed::of(history_on(db, 40, &at_once()).await).await;
    let reserve = archive.folder.path().join("data/reserve");
    let served = serve(&archive, "retention-between-marks=return").await;
    let full = std::fs::metadata(&reserve).expect("a reserve").len();
    let response = ask(&reqwest::Client::new(), &served.url, "mutation { runRetention(dryRun: false) { id } }").await;
    assert!(response.is_none(), "it lived on: {response:?}");
    assert!(!reserve.exists(), "the run did not use the reserve");
    drop(served);
    let served = serve(&archive, "").await;
    let data = served.until(RUNS, |data| data["retentionRuns"]["nodes"][0]["endedAt"].is_string()).await;
    assert_eq!(data["retentionRuns"]["nodes"][0]["removed"], 25, "{db:?}");
    assert_eq!(std::fs::metadata(&reserve).expect("a reserve").len(), full);
    // Swept without a command.
    let folder = archive.folder.path().join("data/archive");
    served
        .until("{ status { storedSize } }", |data| {
            data["status"]["storedSize"] == bytes_in(&folder) && files_in(&folder).len() <= 41 - 25
        })
        .await;
    drop(served);
    check(&archive.open().await, "afterwards").await;
}

on_each_database!(a_killed_undo_is_finished_by_the_next_start, 2 threads);
/// Of more revisions than one transaction takes back, so that it can be killed in between.
async fn a_killed_undo_is_finished_by_the_next_start(db: Db) {
    let app = history_on(db, 230, DECKS).await;
    let run = app.query("mutation { runRetention(dryRun: false) { id removed } }").await["runRetention"].clone();
    app.leaves_work_unsettled("the run continues after the response");
    let archive = Closed::of(app).await;
    let id = run["id"].as_str().expect("an id");
    // Marking pauses between batches, and may continue after the response.
    let app = archive.open().await;
    app.until(RUNS, |data| data["retentionRuns"]["nodes"][0]["endedAt"].is_string()).await;
    let marked = app.query(RUNS).await["retentionRuns"]["nodes"][0]["removed"].as_u64().expect("a count");
    assert!(marked > 100, "{marked}");
    let archive = Closed::of(app).await;
    let killed = archive.run(&["retention", "undo", id], "retention-between-undos=return").await;
    assert!(!killed.status.success());
    let app = archive.open().await;
    // Nothing of it is swept until then, even though the grace is over.
    app.app.clock.advance(Duration::from_secs(8 * 86_400));
    // First the index has all the marks, then it follows as they are removed.
    app.until("{ status { indexLag } }", |data| data["status"]["indexLag"] == 0).await;
    let purged = "{ publications(filter: { status: [PURGED] }) { totalCount } }";
    app.until(purged, |data| data["publications"]["totalCount"] == 0).await;
    let found = check(&app, "undone").await;
    assert_eq!(found.iter().filter(|(_, status)| *status == 200).count(), found.len(), "{db:?}");
    // And undone once more without harm.
    let undo = format!("mutation {{ undoRetention(runId: \"{id}\") {{ undoneAt }} }}");
    assert!(app.ask(&undo, json!({})).await["data"]["undoRetention"]["undoneAt"].is_string());
}

on_each_database!(a_sweep_whose_lock_is_stolen_stops, 2 threads);
/// Another process takes the lock while a sweep is between two deletions: the sweep deletes nothing more, and leaves the lock to
/// its new owner.
async fn a_sweep_whose_lock_is_stolen_stops(db: Db) {
    let archive = Closed::of(history_on(db, 40, &at_once()).await).await;
    let before = files_in(&archive.folder.path().join("data/archive")).len();
    // Long enough for a heartbeat, which finds the lock gone.
    let run = archive.run(&["retention", "run"], "retention-between-deletes=1*sleep(5000)");
    let (run, ()) = tokio::join!(run, steal_lock(&archive, before));
    assert!(!run.status.success(), "{db:?}: {}", String::from_utf8_lossy(&run.stdout));
    assert!(stderr(&run).contains("has taken the lock of retention"), "{db:?}: {}", stderr(&run));
    let after = files_in(&archive.folder.path().join("data/archive")).len();
    assert_eq!(before - after, 1, "{db:?}");
    let holder = lock_row(&archive.database().await).await;
    assert!(holder.is_some_and(|holder| holder.starts_with("thief ")), "{db:?}");
}

async fn lock_row(connection: &sea_orm::DatabaseConnection) -> Option<String> {
    use sea_orm::ConnectionTrait;
    let select = "SELECT value FROM state WHERE key = 'lock:retention'";
    let select = sea_orm::Statement::from_string(connection.get_database_backend(), select);
    let row = connection.query_one_raw(select).await.expect("a row");
    row.map(|row| row.try_get_by_index(0).expect("a text"))
}

/// Takes the lock from the sweep as soon as that has deleted something.
async fn steal_lock(archive: &Closed, whole: usize) {
    use sea_orm::ConnectionTrait;
    let connection = archive.database().await;
    let folder = archive.folder.path().join("data/archive");
    until("a deletion", async || (files_in(&folder).len() < whole).then_some(())).await;
    let steal = format!("UPDATE state SET value = 'thief {}' WHERE key = 'lock:retention'", i64::MAX / 4);
    connection.execute_unprepared(&steal).await.expect("a stolen lock");
    connection.close().await.expect("a closed connection");
}
