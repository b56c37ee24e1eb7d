use std::collections::BTreeSet;
use std::path::Path;

use sea_orm::ConnectionTrait;
use serde_json::Value;

use super::{
    archive_of, content, copied, decoded, digest_of, kinds, lock_runs_out, named, nothing_is_broken,
    nothing_is_kept_aside, objects, verify, verify_with,
};
use crate::harness::samples::{product, text};
use crate::harness::{Db, Options, TestApp, on_each_database, postgres, sha256};
use crate::sweep::{Closed, stderr};

on_each_database!(every_kind_of_damage_is_repaired_from_another_archive, 2 threads);
async fn every_kind_of_damage_is_repaired_from_another_archive(db: Db) {
    let archive = archive_of(db, 12).await;
    let backup = copied(&archive);
    let from = backup.path().display().to_string();
    let objects = objects(&archive);
    let sound: Vec<Vec<u8>> = objects.iter().map(|object| std::fs::read(object).expect("an object")).collect();
    std::fs::remove_file(&objects[0]).expect("an object");
    std::fs::write(&objects[1], b"x").expect("an object");
    std::fs::remove_file(&objects[2]).expect("an object");
    std::fs::create_dir(&objects[2]).expect("a folder");
    std::fs::write(objects[2].join("x"), b"x").expect("a file");
    // Two that the other archive does not have in a good state either.
    std::fs::write(&objects[3], b"x").expect("an object");
    let relative =
        |object: &Path| object.strip_prefix(archive.folder.path().join("data/archive")).expect("a path").to_owned();
    std::fs::write(backup.path().join(relative(&objects[3])), b"other").expect("a copy");
    std::fs::write(&objects[4], b"x").expect("an object");
    std::fs::remove_file(backup.path().join(relative(&objects[4]))).expect("a copy");
    // A second object of a file, which the repair removes, and one of no file, which it does not.
    let second = objects.iter().skip(5).find(|object| object.extension().is_some()).expect("an object");
    std::fs::write(second.with_extension(""), decoded(second).expect("bytes")).expect("an object");
    let stray = sha256(b"stray");
    let stray = archive.folder.path().join("data/archive").join(&stray[..2]).join(&stray);
    std::fs::write(&stray, b"stray").expect("an object");
    let (code, report) = verify(&archive, &["--repair", "--from", &from]).await;
    assert_eq!(
        (code, &report["broken"], &report["repaired"]),
        (Some(1), &Value::from(7), &Value::from(4)),
        "{db:?}: {report}"
    );
    let left: BTreeSet<String> = [&objects[3], &objects[4], &stray].map(|object| digest_of(object)).into();
    for item in report["items"].as_array().expect("a list") {
        assert_eq!(item["repaired"], !left.contains(&named(&item["sha256"])), "{db:?}: {item}");
    }
    for n in [0, 1, 2] {
        assert!(std::fs::read(&objects[n]).expect("an object") == sound[n], "{db:?}: {n}");
    }
    assert!(!second.with_extension("").exists() && stray.exists(), "{db:?}");
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!((code, kinds(&report).into_keys().collect()), (Some(1), left), "{db:?}: {report}");
    // Wrong bytes replaced nothing, and nothing is left of them.
    assert_eq!(std::fs::read(&objects[3]).expect("an object"), b"x", "{db:?}");
    assert_eq!(super::objects(&archive).len(), 13, "{db:?}");
    nothing_is_kept_aside(&archive);
    // Another object of the same archive has the bytes.
    let bytes = content((0..12).find(|n| sha256(&content(*n)) == digest_of(&objects[3])).expect("a file"));
    let other = match objects[3].extension() {
        Some(_) => objects[3].with_extension(""),
        None => objects[3].with_extension("zst"),
    };
    let encoded =
        if other.extension().is_some() { zstd::encode_all(&bytes[..], 19).expect("a frame") } else { bytes.clone() };
    std::fs::write(&other, encoded).expect("an object");
    let (_, report) = verify(&archive, &["--repair"]).await;
    let item = report["items"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|item| item["sha256"] == digest_of(&objects[3]) && item["kind"] == "WRONG");
    assert_eq!(item.expect("an item")["repaired"], true, "{db:?}: {report}");
    // Rows without a file are repaired with bytes, too.
    std::fs::remove_file(&stray).expect("an object");
    let database = archive.database().await;
    let files = archive.folder.path().join("files").display().to_string();
    let (code, report) = verify(&archive, &["--repair", "--from", &files]).await;
    assert_eq!(code, Some(0), "{db:?}: {report}");
    for args in [vec!["--repair"], vec!["--repair", "--from", &files]] {
        database.execute_unprepared("DELETE FROM files").await.expect("no rows");
        if args.len() > 1 {
            std::fs::remove_file(&objects[0]).expect("an object");
        }
        let (code, report) = verify(&archive, &args).await;
        assert_eq!(code, Some(0), "{db:?}: {args:?}: {report}");
        nothing_is_broken(&archive, 12, "rows that were lost").await;
    }
    database.close().await.expect("a closed connection");
}

on_each_database!(a_link_that_has_not_expired_is_fetched_again, 2 threads);
async fn a_link_that_has_not_expired_is_fetched_again(db: Db) {
    // A fetch that failed is not tried again by itself.
    let late = "1h".to_owned();
    let values = vec![("fetch.retry_first", late.clone()), ("fetch.retry_max", late)];
    let app = TestApp::with(Options { values, database_url: postgres::database(db), ..Options::default() }).await;
    let number = app.portal.add(product(1, "Carga", "a.bin", text(5000)));
    app.archive(number).await;
    let archive = Closed { folder: app.folder.clone(), database_url: postgres_url(&app) };
    std::fs::write(app.folder.path().join("acervo.toml"), "").expect("a file");
    let object = objects(&archive).remove(0);
    std::fs::write(&object, b"x").expect("an object");
    // Without a link there is nothing to fetch.
    let (code, report) = verify(&archive, &["--repair"]).await;
    assert_eq!(code, Some(1), "{db:?}");
    assert!(named(&report["items"][0]["repair"]).contains("not repaired"), "{db:?}: {report}");
    // A second notification of the file, which the portal cannot serve for now.
    app.portal.set_faults(acervo::portal::Faults { status: Some(404), ..Default::default() });
    app.portal.enviar(number).await.expect("a product");
    let query = "{ notifications(first: 1) { nodes { status attempts } } }";
    app.until(query, |data| data["notifications"]["nodes"][0]["status"] == "RETRYING").await;
    app.portal.set_faults(acervo::portal::Faults::default());
    let (code, report) = verify(&archive, &["--repair"]).await;
    assert_eq!(code, Some(1), "{db:?}");
    assert!(named(&report["items"][0]["repair"]).contains("queued 1 notification"), "{db:?}: {report}");
    app.settled(2).await;
    app.until("{ status { damaged } }", |data| data["status"]["damaged"] == 0).await;
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!(code, Some(0), "{db:?}: {report}");
}

/// The address of a service's database, if it is not the file in its folder.
fn postgres_url(app: &TestApp) -> Option<String> {
    use secrecy::ExposeSecret;
    app.app.settings.database_url.as_ref().map(|url| url.expose_secret().to_owned())
}

on_each_database!(files_are_repaired_from_another_service, 4 threads);
async fn files_are_repaired_from_another_service(db: Db) {
    let archive = archive_of(db, 6).await;
    let other = archive_of(db, 5).await.open().await;
    other.indexed().await;
    let from = other.url.clone();
    for object in objects(&archive) {
        std::fs::write(object, b"x").expect("an object");
    }
    let repair = async |key: Option<&str>| {
        let mut command = archive.command("");
        command.args(["verify", "--repair", "--from", &from, "--format", "json", "--log", "trace"]);
        command.envs(key.map(|key| ("ACERVO_FROM_KEY", key)));
        tokio::task::spawn_blocking(move || command.output().expect("a binary")).await.expect("an output")
    };
    let secret = "uma-chave-que-ninguem-pode-ver";
    for (key, what) in [(None, "401"), (Some(secret), "401")] {
        let output = repair(key).await;
        let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
        assert_eq!(output.status.code(), Some(1), "{db:?}: {printed}");
        assert!(printed.contains(what) && !printed.contains(secret), "{db:?}: {printed}");
    }
    let output = repair(Some(crate::harness::KEY)).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    assert_eq!((output.status.code(), &report["repaired"]), (Some(1), &Value::from(5)), "{db:?}: {report}");
    // The one that the other service does not have.
    let (_, report) = verify(&archive, &[]).await;
    assert_eq!(kinds(&report).into_keys().collect::<Vec<_>>(), [sha256(&content(5))], "{db:?}: {report}");
    // By digest, as a file is by its revision.
    let digest = sha256(&content(1));
    let answer = other.get(&format!("/files/{digest}")).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.expect("bytes") == content(1)[..]);
    assert_eq!(other.get(&format!("/files/{}", sha256(b"another"))).await.status(), 404);
    let with_password = archive.run(&["verify", "--repair", "--from", "http://user:segredo@127.0.0.1:1/"], "").await;
    assert_eq!(with_password.status.code(), Some(2), "{db:?}");
    assert!(!stderr(&with_password).contains("segredo"), "{db:?}: {}", stderr(&with_password));
}

const REPAIR_STEPS: [&str; 7] = [
    "repair-before-put",
    "repair-after-keep-aside",
    "repair-after-put",
    "repair-before-record",
    "repair-after-record",
    "repair-after-discard",
    "verify-after-mark",
];

async fn repair_killed_at(db: Db, step: &str) {
    let what = format!("{db:?}, {step}");
    let archive = archive_of(db, 5).await;
    let backup = archive.folder.path().join("files").display().to_string();
    let objects = objects(&archive);
    std::fs::write(&objects[0], b"x").expect("an object");
    std::fs::remove_file(&objects[1]).expect("an object");
    std::fs::remove_file(&objects[2]).expect("an object");
    std::fs::create_dir(&objects[2]).expect("a folder");
    for skipped in 0..3 {
        let fault = format!("{step}={skipped}*off->return");
        let killed = verify_with(&archive, &["--repair", "--from", &backup], &fault).await;
        lock_runs_out(&archive).await;
        // Those that are killed late leave less to do, and the last ones nothing.
        let is_killed = killed.status.code().is_none();
        assert!(is_killed || skipped > 0, "{what}: {killed:?}");
        // The damaged object is in its place or aside until the good one is there.
        let digest = digest_of(&objects[0]);
        let has = super::objects(&archive).into_iter().any(|object| object.display().to_string().contains(&digest));
        assert!(has, "{what}: {skipped}");
    }
    let (code, report) = verify(&archive, &["--repair", "--from", &backup]).await;
    assert_eq!(code, Some(0), "{what}: {report}");
    nothing_is_broken(&archive, 5, &what).await;
    nothing_is_kept_aside(&archive);
    assert_eq!(super::objects(&archive).len(), 5, "{what}");
}

on_each_database!(a_repair_that_is_killed_at_any_step_loses_nothing, 2 threads);
async fn a_repair_that_is_killed_at_any_step_loses_nothing(db: Db) {
    futures_util::future::join_all(REPAIR_STEPS.map(|step| repair_killed_at(db, step))).await;
}

/// A frame with the unused bit of its header flipped. It decodes as before.
fn altered(frame: &[u8]) -> Vec<u8> {
    let mut altered = frame.to_vec();
    altered[4] ^= 0x10;
    altered
}

on_each_database!(a_sound_object_is_never_absent_from_its_place, 2 threads);
/// Not even where the file system has no hard links: the object that is written again can be read at every moment.
async fn a_sound_object_is_never_absent_from_its_place(db: Db) {
    let archive = archive_of(db, 4).await;
    let object = objects(&archive).into_iter().find(|object| object.extension().is_some()).expect("an object");
    let frame = std::fs::read(&object).expect("an object");
    nothing_is_broken(&archive, 4, "before").await;
    for links in ["", "no-hard-links=return;"] {
        for step in ["repair-after-keep-aside", "repair-after-put", "repair-before-record", "repair-after-record"] {
            std::fs::write(&object, altered(&frame)).expect("an object");
            let killed = verify_with(&archive, &["--repair"], &format!("{links}{step}=return")).await;
            assert_eq!(killed.status.code(), None, "{db:?}: {links}{step}: {killed:?}");
            let bytes = decoded(&object).expect("an object in its place");
            assert_eq!(sha256(&bytes), digest_of(&object), "{db:?}: {links}{step}");
            lock_runs_out(&archive).await;
        }
        let (code, report) = verify(&archive, &["--repair"]).await;
        assert_eq!(code, Some(0), "{db:?}: {links}: {report}");
        assert!(std::fs::read(&object).expect("an object") == frame, "{db:?}: {links}");
        nothing_is_kept_aside(&archive);
    }
    // A damaged object that cannot be linked is kept aside too, until the good one is there.
    std::fs::write(&object, b"x").expect("an object");
    let files = archive.folder.path().join("files").display().to_string();
    let repair = ["--repair", "--from", &files];
    let killed = verify_with(&archive, &repair, "no-hard-links=return;repair-after-put=return").await;
    assert_eq!(killed.status.code(), None, "{db:?}: {killed:?}");
    let aside = |path: &std::path::PathBuf| path.display().to_string().contains('#');
    let kept: Vec<_> =
        objects(&archive).into_iter().filter(aside).map(|path| std::fs::read(path).expect("it")).collect();
    assert_eq!(kept, [b"x"], "{db:?}");
    lock_runs_out(&archive).await;
    let (code, report) = verify(&archive, &repair).await;
    assert_eq!(code, Some(0), "{db:?}: {report}");
    nothing_is_kept_aside(&archive);
}

on_each_database!(an_object_that_was_kept_aside_repairs_its_file, 2 threads);
async fn an_object_that_was_kept_aside_repairs_its_file(db: Db) {
    let archive = archive_of(db, 6).await;
    let objects = objects(&archive);
    let aside = archive.folder.path().join("data/archive/damaged");
    std::fs::create_dir_all(&aside).expect("a folder");
    let kept =
        |object: &Path, id: &str| aside.join(format!("{}#{id}", object.file_name().expect("a name").to_string_lossy()));
    // Of one file there is only a damaged copy, of another a damaged and a sound one.
    std::fs::rename(&objects[0], kept(&objects[0], "b")).expect("an object aside");
    std::fs::write(kept(&objects[0], "a"), b"x").expect("an object aside");
    std::fs::remove_file(&objects[1]).expect("an object");
    std::fs::write(kept(&objects[1], "a"), b"x").expect("an object aside");
    let (code, report) = verify(&archive, &["--repair"]).await;
    assert_eq!((code, &report["repaired"]), (Some(1), &Value::from(1)), "{db:?}: {report}");
    let (_, report) = verify(&archive, &[]).await;
    assert_eq!(kinds(&report).into_keys().collect::<Vec<_>>(), [digest_of(&objects[1])], "{db:?}: {report}");
    assert!(!kept(&objects[0], "a").exists() && kept(&objects[1], "a").exists(), "{db:?}");
    let files = archive.folder.path().join("files").display().to_string();
    let (code, report) = verify(&archive, &["--repair", "--from", &files]).await;
    assert_eq!(code, Some(0), "{db:?}: {report}");
    nothing_is_broken(&archive, 6, "repaired").await;
    nothing_is_kept_aside(&archive);
}

on_each_database!(a_second_object_is_not_deleted_before_the_other_was_read, 2 threads);
/// Killed between the two, the repair has both, and the next one ends it. So does a run that repairs nothing.
async fn a_second_object_is_not_deleted_before_the_other_was_read(db: Db) {
    let archive = archive_of(db, 3).await;
    let object = objects(&archive).into_iter().find(|object| object.extension().is_some()).expect("an object");
    let bytes = decoded(&object).expect("bytes");
    for args in [vec!["--repair"], vec![]] {
        std::fs::write(object.with_extension(""), &bytes).expect("an object");
        let killed = verify_with(&archive, &["--repair"], "repair-after-take-away=return").await;
        assert_eq!(killed.status.code(), None, "{db:?}: {killed:?}");
        lock_runs_out(&archive).await;
        assert_eq!(objects(&archive).len(), 4, "{db:?}");
        assert!(object.exists() && !object.with_extension("").exists(), "{db:?}");
        // The other object is lost meanwhile.
        if !args.is_empty() {
            std::fs::remove_file(&object).expect("an object");
        }
        let (code, report) = verify(&archive, &args).await;
        assert_eq!(code, Some(0), "{db:?}: {report}");
        nothing_is_broken(&archive, 3, "repaired").await;
        nothing_is_kept_aside(&archive);
        assert_eq!(objects(&archive).len(), 3, "{db:?}");
    }
}
