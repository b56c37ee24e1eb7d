use std::process::Stdio;

use sea_orm::ConnectionTrait;
use serde_json::Value;

use super::{
    SECOND_LOOK, archive_of, as_user, digest_of, kinds, marked, named, nothing_is_broken, objects, permit, verify,
    verify_with,
};
use crate::harness::{Db, Options, TestApp, on_each_database, until};
use crate::sweep::stderr;

on_each_database!(an_archive_that_is_not_mounted_is_an_error_and_no_damage, 2 threads);
async fn an_archive_that_is_not_mounted_is_an_error_and_no_damage(db: Db) {
    let archive = archive_of(db, 6).await;
    let folder = archive.folder.path().join("data/archive");
    let mounted = archive.folder.path().join("mounted");
    std::fs::rename(&folder, &mounted).expect("a folder");
    for what in ["missing", "empty", "another disk"] {
        if what != "missing" {
            std::fs::remove_dir_all(&folder).expect("a folder");
            std::fs::create_dir(&folder).expect("a folder");
        }
        if what == "another disk" {
            std::fs::create_dir_all(folder.join("lost+found")).expect("a folder");
            std::fs::create_dir_all(folder.join("ab")).expect("a folder");
            std::fs::write(folder.join("ab/notes.txt"), b"x").expect("a file");
        }
        for args in [vec![], vec!["--sample", "1/30"], vec!["--repair"]] {
            let output = verify_with(&archive, &args, "").await;
            let printed = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{db:?}: {what}: {printed}");
            assert!(printed.contains("has no objects") && printed.contains("archive_url"), "{db:?}: {what}: {printed}");
            assert!(printed.contains(&folder.display().to_string()), "{db:?}: {what}: {printed}");
        }
    }
    assert_eq!(marked(&archive).await, 0, "{db:?}");
    // A scheduled run fails with the same error.
    let options = Options {
        folder: Some(archive.folder.clone()),
        database_url: archive.database_url.clone(),
        values: vec![("verify.schedule", "* * * * * *".to_owned()), ("retention.jitter", "0s".to_owned())],
        ..Options::default()
    };
    let app = TestApp::with(options).await;
    let query = "{ jobRuns(name: \"verify\", first: 1) { nodes { outcome detail } } status { damaged verification { broken } } }";
    let data = app.until(query, |data| data["jobRuns"]["nodes"][0]["outcome"].is_string()).await;
    let run = &data["jobRuns"]["nodes"][0];
    assert_eq!(run["outcome"], "failed", "{db:?}: {data}");
    assert!(named(&run["detail"]["error"]).contains("has no objects"), "{db:?}: {data}");
    assert_eq!((&data["status"]["damaged"], &data["status"]["verification"]["broken"]), (&0.into(), &0.into()));
    app.leaves_work_unsettled("a run may begin at any moment");
    app.stop().await;
    std::fs::remove_dir_all(&folder).expect("a folder");
    std::fs::rename(&mounted, &folder).expect("a folder");
    nothing_is_broken(&archive, 6, "mounted again").await;
    // The objects are lost indeed.
    objects(&archive).iter().for_each(|object| std::fs::remove_file(object).expect("an object"));
    let (code, report) = verify(&archive, &["--accept-empty"]).await;
    assert_eq!(code, Some(1), "{db:?}: {report}");
    assert!(kinds(&report).len() == 6 && kinds(&report).values().all(|kind| kind == "MISSING"), "{db:?}: {report}");
    let files = archive.folder.path().join("files").display().to_string();
    let (code, report) = verify(&archive, &["--accept-empty", "--repair", "--from", &files]).await;
    assert_eq!(code, Some(0), "{db:?}: {report}");
    nothing_is_broken(&archive, 6, "restored").await;
}

on_each_database!(an_archive_that_is_unmounted_during_a_run_is_no_damage, 2 threads);
async fn an_archive_that_is_unmounted_during_a_run_is_no_damage(db: Db) {
    let archive = archive_of(db, 12).await;
    let (folder, unmounted) = (archive.folder.path().join("data/archive"), archive.folder.path().join("unmounted"));
    // So slow that it has files left when it was seen to have begun.
    let mut command = archive.command(SECOND_LOOK);
    command.args(["verify", "--max-rate", "100"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = command.spawn().expect("a binary");
    let database = archive.database().await;
    let begun = async || {
        let progress = "SELECT CAST(COALESCE(MAX(files), 0) AS bigint) FROM verify_runs";
        let statement = sea_orm::Statement::from_string(database.get_database_backend(), progress);
        let row = database.query_one_raw(statement).await.expect("a row").expect("a row");
        (row.try_get_by_index::<i64>(0).expect("a number") > 0).then_some(())
    };
    until("a run that has verified a file", begun).await;
    std::fs::rename(&folder, &unmounted).expect("a folder");
    let output = tokio::task::spawn_blocking(move || running.wait_with_output().expect("an output"));
    let output = output.await.expect("an output");
    std::fs::rename(&unmounted, &folder).expect("a folder");
    assert_eq!(output.status.code(), Some(1), "{db:?}: {output:?}");
    assert!(stderr(&output).contains("has no objects"), "{db:?}: {output:?}");
    assert_eq!(marked(&archive).await, 0, "{db:?}");
    database.close().await.expect("a closed connection");
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!((code, &report["resumed"], &report["files"]), (Some(0), &true.into(), &12.into()), "{db:?}: {report}");
}

on_each_database!(an_archive_that_may_not_be_read_is_an_error_and_no_damage, 2 threads);
async fn an_archive_that_may_not_be_read_is_an_error_and_no_damage(db: Db) {
    let archive = archive_of(db, 8).await;
    let objects = objects(&archive);
    let folder = archive.folder.path().join("data/archive");
    let folders: Vec<_> = (0..=255).map(|byte| folder.join(format!("{byte:02x}"))).collect();
    let denied = async |paths: &[std::path::PathBuf], mode: u32, restored: u32| {
        paths.iter().for_each(|path| permit(path, mode));
        let output = as_user(&archive, &["verify", "--format", "json"]).await;
        paths.iter().for_each(|path| permit(path, restored));
        output
    };
    for (what, paths, mode, restored) in [
        ("objects", &objects, 0o000, 0o600),
        ("folders", &folders, 0o000, 0o700),
        ("folders that can be listed", &folders, 0o400, 0o700),
    ] {
        let output = denied(paths, mode, restored).await;
        let printed = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{db:?}: {what}: {printed}");
        assert!(
            printed.contains("permission denied") && printed.contains("user that owns"),
            "{db:?}: {what}: {printed}"
        );
        assert!(printed.contains(&folder.display().to_string()), "{db:?}: {what}: {printed}");
        assert_eq!(marked(&archive).await, 0, "{db:?}: {what}");
    }
    // Single objects are unreadable.
    let output = denied(&objects[..2], 0o000, 0o600).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let expected = [&objects[0], &objects[1]].map(|object| (digest_of(object), "UNREADABLE".to_owned()));
    assert_eq!(kinds(&report), expected.into(), "{db:?}: {report}");
    nothing_is_broken(&archive, 8, "readable again").await;
    // So are the files of a folder, and the folder itself is listed.
    let one = objects[3].parent().expect("a folder").to_owned();
    let output = denied(std::slice::from_ref(&one), 0o000, 0o700).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let items = report["items"].as_array().expect("a list");
    let within = objects.iter().filter(|object| object.starts_with(&one)).count();
    assert_eq!(items.len(), within + 1, "{db:?}: {report}");
    assert!(items.iter().all(|item| item["kind"] == "UNREADABLE"), "{db:?}: {report}");
    let listed = items.iter().find(|item| item["sha256"].is_null()).expect("the folder");
    assert!(named(&listed["detail"]).contains("cannot be listed"), "{db:?}: {report}");
    nothing_is_broken(&archive, 8, "readable again").await;
}
