use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::ConnectionTrait;
use serde_json::Value;

use crate::harness::process::{Served, free_port};
use crate::harness::samples::{noise, product, replace, text};
use crate::harness::{Db, TestApp, files_in};
use crate::retention::{history_of, history_on};
use crate::sweep::{Closed, at_once, check, stderr};

/// A backup of a running service, made by a process beside it, in `data` of the folder that is returned.
async fn back_up(app: &TestApp, to: &Closed, args: &[&str], fault: &str) -> std::process::Output {
    let archive = Closed { folder: app.folder.clone(), database_url: Closed::address_of(app) };
    back_up_closed(&archive, to, args, fault).await
}

async fn back_up_closed(archive: &Closed, to: &Closed, args: &[&str], fault: &str) -> std::process::Output {
    let folder = to.folder.path().join("data").display().to_string();
    archive.run(&[&["backup", folder.as_str()], args].concat(), fault).await
}

/// A folder for a backup.
fn place(config: &Path) -> Closed {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    std::fs::copy(config, folder.path().join("acervo.toml")).expect("a file");
    Closed { folder, database_url: None }
}

fn stdout(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn assert_sound(backup: &Closed, what: &str) {
    let verified = backup.run(&["verify"], "").await;
    assert!(verified.status.success(), "{what}: {}{}", stdout(&verified), stderr(&verified));
}

fn assert_killed(output: &std::process::Output, what: &str) {
    assert!(output.status.code().is_none(), "{what}: it was not killed: {}", stderr(output));
}

/// How many files a line of the summary counts.
fn count(output: &std::process::Output, what: &str) -> u64 {
    let text = stdout(output);
    let line = text.lines().find(|line| line.contains(what));
    line.and_then(|line| line.split(' ').next()?.parse().ok()).unwrap_or(0)
}

fn added(output: &std::process::Output) -> u64 {
    count(output, " copied, ") + count(output, " bytes with the archive")
}

/// Notifications, fetches and runs of retention all the time; the copy is complete and consistent all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_has_every_file_that_its_database_names() {
    let app = history_of(12, &at_once()).await;
    let config = app.folder.path().join("acervo.toml");
    let before = app.query("{ notifications(first: 1000) { nodes { id } } }").await;
    let is_over = AtomicBool::new(false);
    let load = async {
        let mut sent = 0_u32;
        while !is_over.load(Ordering::Relaxed) {
            // The first product's newest file again with other bytes, which makes a revision that retention removes later.
            app.portal.change(1, |product| replace(product, format!("{sent} ").repeat(9_000)));
            app.portal.enviar(1).await;
            app.portal.add(product(100 + sent, &format!("Carga {sent}"), "carga.txt", text(500 + sent as usize)));
            app.portal.enviar(100 + sent).await;
            if sent % 4 == 1 {
                let archive = Closed { folder: app.folder.clone(), database_url: None };
                let compacted = archive.run(&["compact"], "").await;
                assert!(compacted.status.success(), "{}", stderr(&compacted));
            }
            if sent.is_multiple_of(4) {
                let _ = app.ask("mutation { runRetention(dryRun: false) { id } }", Value::Null).await;
            }
            sent += 1;
        }
        sent
    };
    let backups = async {
        let mut places = Vec::new();
        for fault in ["", "backup-between-objects=sleep(100)", "backup-after-database=sleep(3000)"] {
            let backup = place(&config);
            let output = back_up(&app, &backup, &[], fault).await;
            assert!(output.status.success(), "{fault}: {}{}", stdout(&output), stderr(&output));
            // And brought up to date while it goes on.
            let output = back_up(&app, &backup, &["--prune"], fault).await;
            assert!(output.status.success(), "{fault}: {}{}", stdout(&output), stderr(&output));
            places.push((backup, fault));
        }
        is_over.store(true, Ordering::Relaxed);
        places
    };
    let (sent, places) = tokio::join!(load, backups);
    assert!(sent > 3, "there was no load");
    app.leaves_work_unsettled("a run of retention may be going on");
    for (backup, fault) in places {
        assert!(!backup.folder.path().join("data/index").exists());
        assert_sound(&backup, fault).await;
        let copy = backup.open().await;
        copy.until("{ status { queued retrying fetching indexLag } }", |data| data["status"]["indexLag"] == 0).await;
        let has = copy.query("{ notifications(first: 1000) { nodes { id } } }").await;
        let has: Vec<&Value> = has["notifications"]["nodes"].as_array().expect("a list").iter().collect();
        let all = before["notifications"]["nodes"].as_array().expect("a list");
        assert!(all.iter().all(|node| has.contains(&node)), "{fault}: notifications are missing");
        let found = check(&copy, fault).await;
        assert!(found.len() >= 13, "{fault}: {}", found.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_backup_copies_only_what_is_new() {
    let app = history_of(6, &at_once()).await;
    let config = app.folder.path().join("acervo.toml");
    let backup = place(&config);
    let first = back_up(&app, &backup, &[], "").await;
    assert_eq!((added(&first), count(&first, "there already")), (7, 0), "{}", stdout(&first));
    app.portal.add(product(2, "Carga", "carga.txt", text(500)));
    app.portal.enviar(2).await;
    app.settled(8).await;
    let second = back_up(&app, &backup, &[], "").await;
    assert_eq!((added(&second), count(&second, "there already")), (1, 7), "{}", stdout(&second));
    // What retention removes stays in the backup until it is pruned.
    app.query("mutation { runRetention(dryRun: false) { id } }").await;
    let folder = app.folder.path().join("data/archive");
    app.until("{ status { storedSize revisions } }", |data| {
        data["status"]["storedSize"] == crate::harness::bytes_in(&folder) && files_in(&folder).len() < 8
    })
    .await;
    let left = files_in(&folder).len();
    let objects = backup.folder.path().join("data/archive");
    let third = back_up(&app, &backup, &[], "").await;
    assert!(third.status.success(), "{}", stderr(&third));
    assert_eq!(files_in(&objects).len(), 8);
    let pruned = back_up(&app, &backup, &["--prune"], "").await;
    assert_eq!(count(&pruned, " removed"), 8 - left as u64, "{}", stdout(&pruned));
    assert_eq!(files_in(&objects).len(), left);
    assert_sound(&backup, "pruned").await;
    // All bytes of its own.
    let copy = place(&config);
    let copied = back_up(&app, &copy, &["--copy"], "").await;
    assert_eq!(
        (count(&copied, " copied, "), count(&copied, " bytes with the archive")),
        (left as u64, 0),
        "{}",
        stdout(&copied)
    );
    assert_sound(&copy, "copied").await;
    use std::os::unix::fs::PermissionsExt;
    for found in files_in(&copy.folder.path().join("data")) {
        assert_eq!(found.metadata().expect("a file").permissions().mode() & 0o077, 0, "{}", found.display());
    }
}

/// Dense objects need others; they are copied as they are, exported as published, and restored as fresh ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dense_archive_is_backed_up_exported_and_restored() {
    let app = history_of(1, &at_once()).await;
    for number in 0..5_u8 {
        let content: Vec<u8> = noise(50_000).into_iter().chain([number; 100]).collect();
        if number == 0 {
            app.portal.add(product(2, "Deck", "deck.dat", content));
        } else {
            app.portal.change(2, |product| replace(product, content));
        }
        app.portal.enviar(2).await;
        app.settled(3 + u64::from(number)).await;
    }
    let config = app.folder.path().join("acervo.toml");
    let expected = check(&app, "fresh").await;
    let archive = Closed::of(app).await;
    let backup = place(&config);
    let made = back_up_closed(&archive, &backup, &[], "").await;
    assert_eq!(added(&made), 7, "{}", stderr(&made));
    let dense = |place: &Closed| {
        let objects = files_in(&place.folder.path().join("data/archive"));
        objects.iter().filter(|path| path.extension().is_some_and(|extension| extension == "acvd")).count()
    };
    let compacted = archive.run(&["compact"], "").await;
    assert!(compacted.status.success() && dense(&archive) >= 4, "{}{}", stdout(&compacted), stderr(&compacted));
    let made = back_up_closed(&archive, &backup, &["--prune"], "").await;
    assert!(made.status.success(), "{}", stderr(&made));
    assert_eq!((added(&made), dense(&backup)), (dense(&archive) as u64, dense(&archive)), "{}", stdout(&made));
    assert_sound(&backup, "dense").await;
    // Beside a compaction that does not end, too.
    let now = jiff::Timestamp::now().as_millisecond() + 50_000;
    let lock = format!("INSERT INTO state (key, value) VALUES ('lock:compaction', 'another {now}')");
    archive.database().await.execute_unprepared(&lock).await.expect("a lock");
    let again = back_up_closed(&archive, &backup, &["--prune"], "").await;
    assert_eq!((added(&again), count(&again, "there already")), (0, 7), "{}", stderr(&again));
    let plain = tempfile::tempdir().expect("a folder");
    let folder = plain.path().join("new").display().to_string();
    let exported = backup.run(&["export", &folder], "").await;
    assert!(exported.status.success(), "{}", stderr(&exported));
    let restored = place(&config);
    let output = restored.run(&["restore", &folder], "").await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(dense(&restored), 0);
    assert_sound(&restored, "restored").await;
    for place in [backup, restored] {
        let app = place.open().await;
        assert_eq!(check(&app, "copy").await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_killed_is_completed_by_the_next() {
    let app = history_of(6, &at_once()).await;
    let config = app.folder.path().join("acervo.toml");
    let archive = Closed::of(app).await;
    let steps = [
        "backup-between-objects=return",
        "backup-between-objects=3*off->return",
        "backup-after-database=return",
        "backup-before-rename=return",
    ];
    for step in steps {
        let backup = place(&config);
        let killed = back_up_closed(&archive, &backup, &[], step).await;
        assert_killed(&killed, step);
        // It is not taken for an archive, least of all for an empty one.
        for command in ["serve", "status"] {
            let refused = backup.run(&[command], "").await;
            assert_eq!(refused.status.code().map(|code| code > 0), Some(true), "{step}");
            assert!(stderr(&refused).contains("is a backup that is not complete"), "{step}: {}", stderr(&refused));
        }
        let next = back_up_closed(&archive, &backup, &[], "").await;
        assert!(next.status.success(), "{step}: {}", stderr(&next));
        assert_sound(&backup, step).await;
        // A later one that is killed leaves the backup as it was.
        let changed = back_up_closed(&archive, &backup, &["--prune"], "backup-between-prunes=return").await;
        assert_killed(&changed, step);
        assert_sound(&backup, step).await;
        let again = back_up_closed(&archive, &backup, &[], "backup-after-database=return").await;
        assert_killed(&again, step);
        assert_sound(&backup, step).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_object_is_named_and_the_rest_is_copied() {
    let app = history_of(6, &at_once()).await;
    let config = app.folder.path().join("acervo.toml");
    let archive = Closed::of(app).await;
    let objects = files_in(&archive.folder.path().join("data/archive"));
    let digest = objects[0].file_stem().expect("a name").to_string_lossy().into_owned();
    std::fs::remove_file(&objects[0]).expect("an object");
    let backup = place(&config);
    let output = back_up_closed(&archive, &backup, &[], "").await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains(&format!("{digest}: not in the backup: the archive has no file")),
        "{}",
        stderr(&output)
    );
    assert_eq!(added(&output), 6, "{}", stdout(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_written_only_where_it_can_harm_nothing() {
    let app = history_of(2, &at_once()).await;
    let config = app.folder.path().join("acervo.toml");
    let archive = Closed::of(app).await;
    let data = archive.folder.path().join("data");
    for own in [data.clone(), data.join("archive/copy")] {
        let refused = archive.run(&["backup", &own.display().to_string()], "").await;
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains("the archive's own folder"), "{}", stderr(&refused));
    }
    let other = place(&config);
    let full = other.folder.path().display().to_string();
    let refused = archive.run(&["backup", &full], "").await;
    assert!(stderr(&refused).contains("is not empty and has no backup"), "{}", stderr(&refused));
    // A service runs on the backup.
    let backup = place(&config);
    let made = back_up_closed(&archive, &backup, &[], "").await;
    assert!(made.status.success(), "{}", stderr(&made));
    let folder = backup.folder.clone();
    let start = tokio::task::spawn_blocking(move || Served::start(folder.path(), free_port(), "warn"));
    let mut served = start.await.expect("a service");
    let refused = back_up_closed(&archive, &backup, &[], "").await;
    assert!(stderr(&refused).contains("another acervo serves from"), "{}", stderr(&refused));
    assert_eq!(served.query("{ publications { totalCount } }").await["publications"]["totalCount"], 2);
    assert_eq!(served.terminate(), Some(0));
    let made = back_up_closed(&archive, &backup, &[], "").await;
    assert!(made.status.success(), "{}", stderr(&made));
    assert!(!backup.folder.path().join("data/index").exists(), "an index of another database is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn on_postgres_the_steps_are_named() {
    let app = history_on(Db::Postgres, 1, &at_once()).await;
    let backup = place(&app.folder.path().join("acervo.toml"));
    let refused = back_up(&app, &backup, &[], "").await;
    assert_eq!(refused.status.code(), Some(2));
    let message = stderr(&refused);
    assert!(message.contains("pg_dump") && message.contains("docs/export.md"), "{message}");
    assert!(!backup.folder.path().join("data").exists());
}
