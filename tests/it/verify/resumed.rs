use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{archive_of, decoded, digest_of, kinds, lock_runs_out, objects, verify, verify_with};
use crate::harness::samples::{product, text};
use crate::harness::{Db, Options, TestApp, on_each_database, postgres, sha256};
use crate::sweep::{Closed, stderr};

const STEPS: [&str; 6] = [
    "verify-after-mark",
    "verify-after-page",
    "verify-after-files",
    "verify-before-forget",
    "verify-before-end",
    "verify-after-end",
];

async fn killed_at(db: Db, step: &str) {
    let what = format!("{db:?}, {step}");
    let archive = archive_of(db, 16).await;
    let objects = objects(&archive);
    let mut expected = BTreeMap::new();
    for object in objects.iter().step_by(4) {
        std::fs::write(object, b"x").expect("an object");
        expected.insert(digest_of(object), "WRONG".to_owned());
    }
    // In the middle of the archive.
    let fault = if step == "verify-after-page" { format!("{step}=100*off->return") } else { format!("{step}=return") };
    let killed = verify_with(&archive, &[], &fault).await;
    assert!(!killed.status.success() && killed.status.code().is_none(), "{what}: {killed:?}");
    lock_runs_out(&archive).await;
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!((code, kinds(&report)), (Some(1), expected), "{what}: {report}");
    // Nothing was left out, whether it continued or began anew.
    assert_eq!(report["files"], 16, "{what}: {report}");
}

on_each_database!(a_run_that_is_killed_at_any_step_is_completed_by_the_next, 2 threads);
async fn a_run_that_is_killed_at_any_step_is_completed_by_the_next(db: Db) {
    futures_util::future::join_all(STEPS.map(|step| killed_at(db, step))).await;
}

on_each_database!(a_run_that_is_stopped_continues_where_it_was, 2 threads);
async fn a_run_that_is_stopped_continues_where_it_was(db: Db) {
    let archive = archive_of(db, 30).await;
    let object = objects(&archive).remove(0);
    std::fs::write(&object, b"x").expect("an object");
    let stopped = verify_with(&archive, &[], "stop-in-verify=200*off->return").await;
    assert_eq!(stopped.status.code(), Some(1), "{db:?}: {}", stderr(&stopped));
    assert!(stderr(&stopped).contains("stopped before the end"), "{db:?}: {}", stderr(&stopped));
    // What was found before the stop is listed too.
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!((code, &report["resumed"]), (Some(1), &Value::from(true)), "{db:?}: {report}");
    assert_eq!(report["files"], 30, "{db:?}: {report}");
    assert_eq!(kinds(&report).into_keys().collect::<Vec<_>>(), [digest_of(&object)], "{db:?}");
    // On request it begins anew.
    let stopped = verify_with(&archive, &["--sample", "1/1"], "stop-in-verify=200*off->return").await;
    assert_eq!(stopped.status.code(), Some(1), "{db:?}");
    let (_, report) = verify(&archive, &["--restart"]).await;
    assert_eq!((&report["resumed"], &report["files"]), (&Value::from(false), &Value::from(30)), "{db:?}: {report}");
}

/// Superseded files are deleted by the run that marks them.
const POLICY: &str = "[retention]\ngrace = \"0s\"\n[[retention.policy]]\nname = \"all\"\nkeep_last = 1\n";

on_each_database!(verifying_beside_fetching_and_retention_finds_nothing_wrong, 4 threads);
async fn verifying_beside_fetching_and_retention_finds_nothing_wrong(db: Db) {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let config = folder.path().join("acervo.toml");
    std::fs::write(&config, POLICY).expect("a file");
    let database_url = postgres::database(db);
    let options = Options {
        folder: Some(folder.clone()),
        config: Some(config),
        database_url: database_url.clone(),
        ..Options::default()
    };
    let app = TestApp::with(options).await;
    let archive = Closed { folder, database_url };
    let numbers: Vec<u32> = (1..=8)
        .map(|n| app.portal.add(product(n, &format!("Deck NEWAVE {n}"), "deck.zip", text(2000 + n as usize))))
        .collect();
    let mut runs = Vec::new();
    for round in 0..6_usize {
        for number in &numbers {
            app.portal.change(*number, |product| {
                crate::harness::samples::replace(product, text(3000 + 100 * round + *number as usize));
            });
            app.portal.enviar(*number).await.expect("a product");
        }
        let (verified, swept) =
            tokio::join!(verify(&archive, &["--max-rate", "off"]), archive.run(&["retention", "run"], ""));
        assert!(swept.status.success(), "{db:?}: {}", stderr(&swept));
        runs.push(verified);
    }
    app.settled(48).await;
    for (code, report) in runs {
        assert_eq!((code, &report["broken"]), (Some(0), &Value::from(0)), "{db:?}: {report}");
    }
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!(code, Some(0), "{db:?}: {report}");
    app.leaves_work_unsettled("a sweep may begin at any moment");
}

on_each_database!(the_schedule_verifies_the_archive_share_by_share, 2 threads);
async fn the_schedule_verifies_the_archive_share_by_share(db: Db) {
    let archive = archive_of(db, 12).await;
    let object = objects(&archive).remove(7);
    std::fs::write(&object, b"x").expect("an object");
    // Every second, so that a cycle of three seconds takes some runs.
    let options = Options {
        folder: Some(archive.folder.clone()),
        database_url: archive.database_url.clone(),
        values: vec![
            ("verify.schedule", "* * * * * *".to_owned()),
            ("verify.cycle", "3s".to_owned()),
            ("retention.jitter", "0s".to_owned()),
        ],
        ..Options::default()
    };
    let app = TestApp::with(options).await;
    let query = "{ status { verification { broken lastCycleEndedAt } } verifyRuns { totalCount nodes { share files endedAt scheduled } } }";
    let data = app.until(query, |data| data["status"]["verification"]["lastCycleEndedAt"].is_string()).await;
    assert_eq!(data["status"]["verification"]["broken"], 1, "{db:?}: {data}");
    let runs = data["verifyRuns"]["nodes"].as_array().expect("a list");
    assert!(runs.len() > 1, "{db:?}: {data}");
    assert!(runs.iter().all(|run| run["scheduled"] == true), "{db:?}: {data}");
    app.leaves_work_unsettled("a run may begin at any moment");
    app.stop().await;
}

/// Content whose digest is among the first of an archive.
fn early(n: usize) -> Vec<u8> {
    let mut contents =
        (0..).map(|n: u32| format!("stray {n}").into_bytes()).filter(|bytes| sha256(bytes).starts_with("0"));
    contents.nth(n).expect("some content")
}

on_each_database!(what_was_put_right_before_a_run_continues_is_not_reported, 2 threads);
/// The run was interrupted after it found everything, or where other machines share the database while it waited for a second look.
async fn what_was_put_right_before_a_run_continues_is_not_reported(db: Db) {
    let archive = archive_of(db, 30).await;
    let folder = archive.folder.path().join("data/archive");
    let all = objects(&archive);
    let backup: Vec<Vec<u8>> = all.iter().map(|object| std::fs::read(object).expect("an object")).collect();
    let frames: Vec<usize> = (0..all.len()).filter(|n| all[*n].extension().is_some()).collect();
    let strays = [early(0), early(1)].map(|bytes| (folder.join(&sha256(&bytes)[..2]).join(sha256(&bytes)), bytes));
    for second_look in ["100", "60000"] {
        for (stray, bytes) in &strays {
            std::fs::write(stray, bytes).expect("an object");
        }
        // A second object of a file, of which the first one stays.
        let second = all[frames[0]].with_extension("");
        std::fs::write(&second, decoded(&all[frames[0]]).expect("bytes")).expect("an object");
        // Damage of two files, and an altered object.
        std::fs::remove_file(&all[frames[1]]).expect("an object");
        std::fs::remove_file(&all[frames[2]]).expect("an object");
        let mut altered = backup[frames[3]].clone();
        altered[4] ^= 0x10;
        std::fs::write(&all[frames[3]], altered).expect("an object");
        let fault = format!("verify-second-look=return({second_look});stop-in-verify=250*off->return");
        let args = ["verify", "--format", "json"];
        let stopped = archive.run(&args, &fault).await;
        assert!(stderr(&stopped).contains("stopped before the end"), "{db:?}: {stopped:?}");
        // All but one of each is put right.
        std::fs::remove_file(&strays[0].0).expect("an object");
        std::fs::remove_file(&second).expect("an object");
        std::fs::write(&all[frames[1]], &backup[frames[1]]).expect("an object");
        std::fs::write(&all[frames[3]], &backup[frames[3]]).expect("an object");
        let (code, report) = verify(&archive, &[]).await;
        assert_eq!((code, &report["resumed"]), (Some(1), &Value::from(true)), "{db:?}: {second_look}: {report}");
        let expected =
            [(sha256(&strays[1].1), "ORPHAN".to_owned()), (digest_of(&all[frames[2]]), "MISSING".to_owned())];
        assert_eq!(kinds(&report), expected.into(), "{db:?}: {second_look}: {report}");
        assert_eq!(report["files"], 30, "{db:?}: {second_look}: {report}");
        // What was found before is found by a new run too.
        let (_, report) = verify(&archive, &["--restart"]).await;
        assert_eq!(
            (report["items"].as_array().map(Vec::len), &report["files"]),
            (Some(2), &Value::from(30)),
            "{report}"
        );
        std::fs::write(&all[frames[2]], &backup[frames[2]]).expect("an object");
        std::fs::remove_file(&strays[1].0).expect("an object");
        let (code, report) = verify(&archive, &[]).await;
        assert_eq!(code, Some(0), "{db:?}: {second_look}: {report}");
    }
}
