mod load;

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use acervo::leaves;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::connections::NOTIFICATION;
use crate::harness::links::FileServer;
use crate::harness::polling::Polling;
use crate::harness::process::{Served, free_port, run};
use crate::harness::{Db, Options, PATIENCE, TOKEN, TestApp, bytes_in, files_in, holding, on_each_database};
use crate::history_of_years as years;
use crate::retention::{DECKS, PLAN, history_of, history_on};
use crate::sweep::{Closed, RUNS, at_once, check, nothing_dangles, run_as_planned, serve, stderr};

const STOPPED: &str = "stopped before the end";

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A run that is asked to stop at a fault point, and one after it. Of more removals than one batch.
async fn retention_stopped_at(db: Db, fault: &str, marked: u64) {
    let what = format!("{db:?}, {fault}");
    let app = history_on(db, 40, &at_once()).await;
    let plan = app.query(PLAN).await["retentionPlan"]["lines"]["nodes"].clone();
    let archive = Closed::of(app).await;
    let stopped = archive.run(&["retention", "run"], fault).await;
    assert_eq!(stopped.status.code(), Some(1), "{what}: {}", stdout(&stopped));
    assert!(stderr(&stopped).contains(STOPPED), "{what}: {}", stderr(&stopped));
    // The run has ended with what it did, and its lock is free.
    let app = archive.open().await;
    let runs = app.query(RUNS).await["retentionRuns"]["nodes"].clone();
    assert!(runs[0]["endedAt"].is_string(), "{what}: {runs}");
    assert_eq!(runs[0]["removed"].as_u64(), Some(marked), "{what}: {runs}");
    let archive = Closed::of(app).await;
    run_as_planned(archive, &plan, &what).await;
}

on_each_database!(a_run_of_retention_stops_between_batches_and_the_next_continues, 2 threads);
async fn a_run_of_retention_stops_between_batches_and_the_next_continues(db: Db) {
    let faults =
        [("stop-in-plan=1*off->return", 0), ("stop-in-marks=1*off->return", 25), ("stop-in-sweep=9*off->return", 38)];
    for (fault, marked) in faults {
        retention_stopped_at(db, fault, marked).await;
    }
}

/// One database after the other: the fault point is the process's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_run_that_is_stopped_runs_again_after_the_next_start() {
    const JOB_RUNS: &str =
        "{ jobRuns(name: \"retention\") { totalCount nodes { outcome detail } } status { jobs { nextAt } } }";
    let policy = DECKS.replace("[retention]\n", "[retention]\nschedule = \"30 2 * * *\"\njitter = \"0s\"\n");
    for db in Db::all() {
        let app = history_on(db, 12, &policy).await;
        app.until(JOB_RUNS, |data| data["status"]["jobs"][0]["nextAt"].is_string()).await;
        // Other tests of this process reach the fault point too; it stops this archive's process alone.
        let (stop, clock) = (app.app.stop.clone(), app.app.clock.clone());
        fail::cfg_callback("stop-in-plan", move || stop.cancel()).expect("a fault point");
        clock.advance(Duration::from_secs(86_400));
        leaves::record(&app.app).known_time().save(clock.now()).await.expect("a time");
        tokio::time::timeout(PATIENCE, app.app.stop.cancelled()).await.expect("a run that is stopped");
        app.leaves_work_unsettled("the next service runs it again");
        fail::remove("stop-in-plan");
        let database_url = app.app.settings.database_url.as_ref().map(|url| url.expose_secret().to_owned());
        let folder = app.stop().await;
        let config = Some(folder.path().join("acervo.toml"));
        let app =
            TestApp::with(Options { folder: Some(folder), config, database_url, clock, ..Options::default() }).await;
        let data = app.until(JOB_RUNS, |data| data["jobRuns"]["nodes"][0]["outcome"] == "succeeded").await;
        assert_eq!(data["jobRuns"]["totalCount"], 1, "{db:?}: {data}");
        assert_eq!(data["jobRuns"]["nodes"][0]["detail"]["removed"], 10, "{db:?}: {data}");
        app.indexed().await;
    }
}

/// People copy the one file that they know. A service that ended in order has left nothing in a log beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_service_leaves_everything_in_one_database_file() {
    let app = TestApp::with(Options { without_jobs: true, ..Options::default() }).await;
    assert_eq!(app.notify(NOTIFICATION).await.0, 202);
    let folder = app.stop().await;
    let data = folder.path().join("data");
    assert_eq!(files_of_database(&data), ["acervo.db"]);
    let mut served = Served::start(folder.path(), free_port(), "info");
    let listed = served.query("{ notifications { totalCount } }").await;
    assert_eq!(listed["notifications"]["totalCount"], 1);
    assert_eq!(served.notify(NOTIFICATION).await.0, 202);
    assert_eq!(served.terminate(), Some(0), "{}", served.logged());
    assert_eq!(files_of_database(&data), ["acervo.db"]);
}

fn files_of_database(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    names.filter(|name| name.starts_with("acervo.db")).collect()
}

/// An archive with so many publications, whose index was never built.
async fn without_index(publications: usize) -> Closed {
    let folder = TestApp::with(Options { without_jobs: true, ..Options::default() }).await.stop().await;
    years::fill(&folder.path().join("data/acervo.db"), &years::products(40), publications).await;
    std::fs::write(folder.path().join("acervo.toml"), "").expect("a file");
    Closed { folder, database_url: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_of_the_index_stops_between_batches_and_continues_from_there() {
    const COUNTS: &str = "{ publications { totalCount } products { totalCount } revisions { totalCount }
        search: publications(search: \"deck decomp\") { totalCount } }";
    let whole = without_index(1_300).await.open().await;
    // Rows that were written without a service are no lag, so the counts tell when all are indexed.
    let has_all =
        |data: &Value| data["publications"]["totalCount"] == 1_300 && data["revisions"]["totalCount"] == 1_690;
    let expected = whole.until(COUNTS, has_all).await;
    let archive = without_index(1_300).await;
    let search = ["search", "deck decomp", "--format", "json"];
    let stopped = archive.run(&search, "stop-in-build=1*off->return").await;
    assert_eq!(stopped.status.code(), Some(1), "{}", stdout(&stopped));
    assert!(stderr(&stopped).contains(STOPPED), "{}", stderr(&stopped));
    let mut command = archive.command("");
    command.args(search).env("ACERVO_LOG", "acervo=debug");
    let goes_on = tokio::task::spawn_blocking(move || command.output().expect("an output")).await.expect("an output");
    assert!(goes_on.status.success(), "{}", stderr(&goes_on));
    assert!(stderr(&goes_on).contains("\"done\":500"), "it started again: {}", stderr(&goes_on));
    let app = archive.open().await;
    assert_eq!(app.until(COUNTS, has_all).await, expected);
}

/// Bodies whose links have expired.
fn expired_bodies(links: &FileServer, count: u32) -> String {
    let now = jiff::Timestamp::now().as_second();
    let line = |n: u32| {
        let claims = json!({ "URL": format!("/sites/1/Produtos/{}/a.txt", n % 50) });
        let url = links.link_at(&claims, now - 200_000 + i64::from(n), now - 113_600);
        let day = jiff::civil::date(2024, 1, 1).saturating_add(jiff::Span::new().days(n / 50));
        let body = json!({ "nome": format!("Produto {}", n % 50), "dataProduto": day.strftime("%d/%m/%Y").to_string(), "url": url });
        json!({ "receivedAt": "2025-02-20T12:00:00Z", "body": body }).to_string() + "\n"
    };
    (0..count).map(line).collect()
}

on_each_database!(an_import_of_bodies_stops_between_batches_and_continues_when_run_again, 2 threads);
async fn an_import_of_bodies_stops_between_batches_and_continues_when_run_again(db: Db) {
    let archive = Closed::of(history_on(db, 1, DECKS).await).await;
    let file = archive.folder.path().join("a.ndjson");
    std::fs::write(&file, expired_bodies(&FileServer::start().await, 900)).expect("a file");
    let file = file.display().to_string();
    let stopped = archive.run(&["import", &file], "stop-in-import=1*off->return").await;
    assert_eq!(stopped.status.code(), Some(1), "{db:?}: {}", stderr(&stopped));
    let reported = stdout(&stopped);
    assert!(reported.contains("400 notifications read") && reported.contains(STOPPED), "{db:?}: {reported}");
    let again = archive.run(&["import", &file], "").await;
    assert!(again.status.success(), "{db:?}: {}", stderr(&again));
    let reported = stdout(&again);
    assert!(reported.contains("900 notifications read") && reported.contains("400 skipped"), "{db:?}: {reported}");
    let app = archive.open().await;
    let data = app.query("{ notifications { totalCount } }").await;
    assert_eq!(data["notifications"]["totalCount"], 902, "{db:?}");
}

on_each_database!(an_import_of_files_stops_between_files_and_leaves_none_behind, 2 threads);
async fn an_import_of_files_stops_between_files_and_leaves_none_behind(db: Db) {
    for (is_tar, fault, imported) in
        [(false, "stop-in-import=20*off->return", 20), (true, "stop-in-tar=20*off->return", 0)]
    {
        let what = format!("{db:?}, {fault}");
        let archive = Closed::of(history_on(db, 1, DECKS).await).await;
        let folder = archive.folder.path().join("arquivos");
        std::fs::create_dir(&folder).expect("a folder");
        let mut manifest = "path,nome,dataProduto,receivedAt\n".to_owned();
        for day in 1..=30 {
            std::fs::write(folder.join(format!("{day:02}.txt")), format!("conteúdo {day}")).expect("a file");
            manifest += &format!("{day:02}.txt,Antigo,{day:02}/04/2024,2024-04-{day:02}T12:00:00Z\n");
        }
        let list = archive.folder.path().join("m.csv");
        std::fs::write(&list, manifest).expect("a file");
        let mut from = folder.clone();
        if is_tar {
            from = archive.folder.path().join("arquivos.tar");
            let mut packed = tar::Builder::new(std::fs::File::create(&from).expect("a tar"));
            packed.append_dir_all("", &folder).expect("files");
            packed.finish().expect("a tar");
        }
        let args =
            ["import".to_owned(), from.display().to_string(), "--manifest".to_owned(), list.display().to_string()];
        let args = args.each_ref().map(String::as_str);
        let stopped = archive.run(&args, fault).await;
        assert_eq!(stopped.status.code(), Some(1), "{what}: {}", stderr(&stopped));
        let reported = stdout(&stopped);
        assert!(reported.contains(&format!("{imported} archived")) && reported.contains(STOPPED), "{what}: {reported}");
        let app = archive.open().await;
        nothing_dangles(&app).await;
        let archive = Closed::of(app).await;
        let again = archive.run(&args, "").await;
        assert!(again.status.success(), "{what}: {}", stderr(&again));
        let reported = stdout(&again);
        assert!(reported.contains(&format!("{} archived", 30 - imported)), "{what}: {reported}");
        let app = archive.open().await;
        check(&app, &what).await;
        nothing_dangles(&app).await;
    }
}

on_each_database!(expired_links_are_erased_during_a_sweep, 2 threads);
/// A sweep that takes for ever keeps no link from being ended and erased, and ends when the service stops.
async fn expired_links_are_erased_during_a_sweep(db: Db) {
    let archive = Closed::of(history_on(db, 12, &at_once()).await).await;
    // Marked, and not swept yet.
    let killed = archive.run(&["retention", "run"], "retention-after-mark=return").await;
    assert!(!killed.status.success(), "{}", stdout(&killed));
    let folder = archive.folder.path().join("data/archive");
    let mut served = serve(&archive, "sweep-stalls=return").await;
    // The service ends the killed run right before it sweeps.
    served.until(RUNS, |data| data["retentionRuns"]["nodes"][0]["endedAt"].is_string()).await;
    let links = FileServer::start().await;
    let now = jiff::Timestamp::now().as_second();
    let link = links.link_at(&json!({ "URL": "/sites/1/Produtos/99/nunca.txt" }), now - 10, now + 3);
    let body = json!({ "nome": "Nunca", "dataProduto": "20/02/2025", "url": link });
    let request = reqwest::Client::new().post(format!("{}/webhook", served.url)).header("authorization", TOKEN);
    assert_eq!(request.json(&body).send().await.expect("an answer").status().as_u16(), 202);
    let stored = bytes_in(&folder);
    served
        .until("{ notifications(first: 1) { nodes { status } } }", |data| {
            data["notifications"]["nodes"][0]["status"] == "EXPIRED"
        })
        .await;
    let token = link.rsplit_once('=').expect("a token").1.to_owned();
    if db == Db::Sqlite {
        let data = archive.folder.path().join("data");
        crate::harness::until("the link is erased", async || holding(&data, token.as_bytes()).is_empty().then_some(()))
            .await;
    }
    assert_eq!(bytes_in(&folder), stored, "the sweep went on: nothing was tested");
    assert_eq!(tokio::task::block_in_place(|| served.terminate()), Some(0), "{}", served.logged());
    let app = archive.open().await;
    nothing_dangles(&app).await;
    check(&app, "afterwards").await;
}

/// Work that does not end is left behind when stopping has taken as long as it may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_ends_although_a_job_does_not() {
    let archive = Closed::of(history_of(12, &at_once()).await).await;
    let killed = archive.run(&["retention", "run"], "retention-after-mark=return").await;
    assert!(!killed.status.success(), "{}", stdout(&killed));
    let folder = archive.folder.path().join("data/archive");
    let files = files_in(&folder).len();
    let mut served = serve(&archive, "retention-between-deletes=sleep(3600000)").await;
    served.until(RUNS, |data| data["retentionRuns"]["nodes"][0]["endedAt"].is_string()).await;
    // It sleeps once it has deleted a file.
    crate::harness::until("the sweep has begun", async || (files_in(&folder).len() < files).then_some(())).await;
    assert_eq!(tokio::task::block_in_place(|| served.terminate()), Some(0), "{}", served.logged());
    assert!(served.logged().contains("stopping took too long"), "{}", served.logged());
    let app = archive.open().await;
    nothing_dangles(&app).await;
    check(&app, "afterwards").await;
}

const MARKED: &str = "SELECT COUNT(*) FROM revisions WHERE purged_at IS NOT NULL";

on_each_database!(a_run_whose_lock_was_stolen_stops, 2 threads);
/// Another holder has the lock in the middle of a run: the run notices when it renews the lock, and marks nothing more.
async fn a_run_whose_lock_was_stolen_stops(db: Db) {
    let archive = Closed::of(history_on(db, 40, &at_once()).await).await;
    let mut command = archive.command("retention-between-marks=sleep(3500)");
    command.args(["retention", "run"]);
    let run = tokio::task::spawn_blocking(move || command.output().expect("a binary that starts"));
    let database = archive.database().await;
    let polling = Polling::start();
    while count(&database, MARKED).await == 0 {
        assert!(!run.is_finished(), "{db:?}: nothing is marked");
        polling.pause(|| format!("{db:?}: nothing is marked")).await;
    }
    let until = jiff::Timestamp::now().as_millisecond() + 30_000;
    let steal = format!("UPDATE state SET value = 'thief {until}' WHERE key = 'lock:retention'");
    let stolen = database.execute_unprepared(&steal).await.expect("a lock");
    assert_eq!(stolen.rows_affected(), 1, "{db:?}");
    let output = run.await.expect("an output");
    assert_eq!(output.status.code(), Some(1), "{db:?}: {}", stdout(&output));
    assert!(stderr(&output).contains("another process has taken the lock"), "{db:?}: {}", stderr(&output));
    assert_eq!(count(&database, MARKED).await, 25, "{db:?}");
    let kept = "SELECT COUNT(*) FROM state WHERE key = 'lock:retention' AND value LIKE 'thief %'";
    assert_eq!(count(&database, kept).await, 1, "{db:?}: the thief's lock was released");
    database.close().await.expect("a closed connection");
}

on_each_database!(a_run_from_the_terminal_waits_until_the_clock_is_trusted, 2 threads);
/// What was noted of the time last is of an hour by which the clock would be a day ahead.
async fn a_run_from_the_terminal_waits_until_the_clock_is_trusted(db: Db) {
    let archive = Closed::of(history_on(db, 12, &at_once()).await).await;
    let yesterday = jiff::Timestamp::now().saturating_sub(jiff::SignedDuration::from_hours(25)).expect("an instant");
    let app = TestApp::with(Options {
        folder: Some(archive.folder.clone()),
        database_url: archive.database_url.clone(),
        without_jobs: true,
        ..Options::default()
    })
    .await;
    leaves::record(&app.app).known_time().save(yesterday).await.expect("a time");
    app.stop().await;
    let refused = archive.run(&["retention", "run"], "").await;
    assert_eq!(refused.status.code(), Some(1), "{db:?}: {}", stdout(&refused));
    assert!(stderr(&refused).contains("the clock"), "{db:?}: {}", stderr(&refused));
    let runs = archive.run(&["retention", "runs"], "").await;
    assert_eq!(stdout(&runs).trim(), "", "{db:?}");
    // Another instant than the clock's says nothing of it; the same one does.
    let other = yesterday.to_string();
    let refused = archive.run(&["retention", "run", "--now", &other], "").await;
    assert_eq!(refused.status.code(), Some(1), "{db:?}: {}", stdout(&refused));
    let now = jiff::Timestamp::now().to_string();
    let taken = archive.run(&["retention", "run", "--now", &now], "").await;
    assert!(taken.status.success(), "{db:?}: {}", stderr(&taken));
}

/// Next to a service that records the time, a few minutes are enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_does_not_trust_a_clock_minutes_ahead_of_a_running_service() {
    for (wrong, is_believed) in [(-600_000, false), (0, true)] {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        let config = folder.path().join("acervo.toml");
        std::fs::write(&config, at_once()).expect("a file");
        let clock = acervo::domain::Clock::default();
        clock.set_wrong(wrong);
        let app =
            TestApp::with(Options { folder: Some(folder.clone()), config: Some(config), clock, ..Options::default() })
                .await;
        leaves::record(&app.app).known_time().save(app.app.clock.now()).await.expect("a time");
        let output = tokio::task::block_in_place(|| run(folder.path(), &["retention", "run"]));
        assert_eq!(output.status.success(), is_believed, "{wrong}: {}", stderr(&output));
        assert_ne!(stderr(&output).contains("the clock"), is_believed, "{wrong}: {}", stderr(&output));
    }
}

async fn count(database: &DatabaseConnection, query: &str) -> i64 {
    let statement = Statement::from_string(database.get_database_backend(), query);
    let row = database.query_one_raw(statement).await;
    row.expect("an answer").expect("a row").try_get_by_index(0).expect("a count")
}
