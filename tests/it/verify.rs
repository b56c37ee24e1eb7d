use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use sea_orm::ConnectionTrait;
use serde_json::Value;

use crate::harness::samples::{noise, product, text};
use crate::harness::{Db, Options, TestApp, files_in, on_each_database, postgres, random, sha256};
use crate::sweep::{Closed, stderr};

/// An archive of some small files, of which every third does not shrink. No service runs.
async fn archive_of(db: Db, count: usize) -> Closed {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    std::fs::write(folder.path().join("acervo.toml"), "").expect("a file");
    let archive = Closed { folder, database_url: postgres::database(db) };
    import(&archive, count).await;
    archive
}

fn content(n: usize) -> Vec<u8> {
    match n % 3 {
        0 => [format!("{n} ").into_bytes(), noise(40 + n % 50)].concat(),
        _ => [format!("{n} ").into_bytes(), text(90 + n % 700)].concat(),
    }
}

async fn import(archive: &Closed, count: usize) {
    let files = archive.folder.path().join("files");
    std::fs::create_dir(&files).expect("a folder");
    let mut manifest = "path,nome,dataProduto,receivedAt\n".to_owned();
    for n in 0..count {
        std::fs::write(files.join(format!("{n}.txt")), content(n)).expect("a file");
        manifest += &format!("{n}.txt,Deck {n},01/01/2024,2024-01-02T12:00:00Z\n");
    }
    let list = archive.folder.path().join("manifest.csv");
    std::fs::write(&list, manifest).expect("a file");
    let (files, list) = (files.display().to_string(), list.display().to_string());
    let imported = archive.run(&["import", &files, "--manifest", &list, "--create"], "").await;
    assert!(imported.status.success(), "{}", stderr(&imported));
}

fn objects(archive: &Closed) -> Vec<PathBuf> {
    objects_in(archive.folder.path())
}

fn objects_in(folder: &Path) -> Vec<PathBuf> {
    files_in(&folder.join("data/archive"))
}

/// The digest that an object is named for.
fn digest_of(object: &Path) -> String {
    object.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// What an object decodes to, if it does.
fn decoded(object: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(object).ok()?;
    if object.extension().is_some() { zstd::decode_all(&bytes[..]).ok() } else { Some(bytes) }
}

/// `acervo verify`: its exit code and what it reports.
async fn verify(archive: &Closed, args: &[&str]) -> (Option<i32>, Value) {
    let output = verify_with(archive, args, "").await;
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|e| panic!("{e}: {output:?}")))
}

async fn verify_with(archive: &Closed, args: &[&str], fault: &str) -> Output {
    let args: Vec<&str> = ["verify", "--format", "json"].into_iter().chain(args.iter().copied()).collect();
    archive.run(&args, fault).await
}

/// The digests and kinds of a report's items.
fn kinds(report: &Value) -> BTreeMap<String, String> {
    let items = report["items"].as_array().expect("a list");
    let found: BTreeMap<String, String> =
        items.iter().map(|item| (named(&item["sha256"]), named(&item["kind"]))).collect();
    assert_eq!(found.len(), items.len(), "an item is listed twice: {report}");
    assert_eq!(report["broken"], items.len(), "{report}");
    found
}

fn named(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text")).to_owned()
}

async fn nothing_is_broken(archive: &Closed, files: usize, what: &str) {
    let (code, report) = verify(archive, &[]).await;
    assert_eq!((code, &report["broken"]), (Some(0), &Value::from(0)), "{what}: {report}");
    assert_eq!(report["files"], files, "{what}: {report}");
    assert_eq!(report["indexChecked"], true, "{what}: {report}");
}

on_each_database!(every_file_with_a_flipped_bit_is_reported_and_no_other, 2 threads);
async fn every_file_with_a_flipped_bit_is_reported_and_no_other(db: Db) {
    use rand::RngExt;
    let archive = archive_of(db, 1000).await;
    nothing_is_broken(&archive, 1000, "before").await;
    let mut random = random();
    let mut flipped = BTreeMap::new();
    let objects = objects(&archive);
    assert_eq!(objects.len(), 1000);
    for object in objects.iter().step_by(5) {
        let mut bytes = std::fs::read(object).expect("an object");
        // Some bits of a frame are ignored by decoders. An object with one of these flipped is not as it was stored either.
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
        std::fs::write(object, bytes).expect("an object");
        let is_wrong = decoded(object).is_none_or(|bytes| sha256(&bytes) != digest_of(object));
        flipped.insert(digest_of(object), if is_wrong { "WRONG" } else { "ALTERED" }.to_owned());
    }
    // At least one of these, whatever is drawn: the unused bit of the frame header descriptor.
    let unused = objects.iter().skip(1).step_by(5).find(|object| object.extension().is_some()).expect("an object");
    let mut bytes = std::fs::read(unused).expect("an object");
    bytes[4] ^= 0x10;
    std::fs::write(unused, bytes).expect("an object");
    flipped.insert(digest_of(unused), "ALTERED".to_owned());
    assert_eq!(flipped.len(), 201);
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!(code, Some(1), "{db:?}");
    assert_eq!(kinds(&report), flipped, "{db:?}");
    for item in report["items"].as_array().expect("a list") {
        let revisions = item["revisions"].as_array().expect("a list");
        assert_eq!(revisions.len(), 1, "{item}");
        assert!(named(&revisions[0]["name"]).starts_with("Deck "), "{item}");
        assert!(named(&item["nextStep"]).contains("--repair"), "{item}");
    }
    // Samples divide the files among themselves.
    let (mut files, mut in_samples) = (0, BTreeMap::new());
    for n in 1..=4 {
        let (code, report) = verify(&archive, &["--sample", &format!("{n}/4")]).await;
        let found = kinds(&report);
        assert_eq!(code, Some(if found.is_empty() { 0 } else { 1 }), "{db:?}");
        assert!(found.keys().all(|digest| !in_samples.contains_key(digest)), "{db:?}");
        files += report["files"].as_u64().expect("a number");
        in_samples.extend(found);
    }
    assert_eq!((files, in_samples), (1000, flipped.clone()), "{db:?}");
    // The text has the same, with what needs each.
    let listed = archive.run(&["verify"], "").await;
    let printed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_eq!(listed.status.code(), Some(1));
    for digest in flipped.keys() {
        assert!(printed.contains(digest), "{db:?}: {digest}");
    }
    assert_eq!(printed.matches("needed by Deck ").count(), flipped.len(), "{db:?}: {printed}");
    // A second folder, which is not an archive, repairs all of them.
    let backup = archive.folder.path().join("files").display().to_string();
    let (code, report) = verify(&archive, &["--repair", "--from", &backup]).await;
    assert_eq!((code, &report["repaired"]), (Some(0), &Value::from(201)), "{db:?}: {report}");
    assert!(
        report["items"].as_array().expect("a list").iter().all(|item| item["repaired"] == true),
        "{db:?}: {report}"
    );
    nothing_is_broken(&archive, 1000, "after the repair").await;
    nothing_is_kept_aside(&archive);
}

fn nothing_is_kept_aside(archive: &Closed) {
    let left: Vec<PathBuf> =
        objects(archive).into_iter().filter(|path| path.display().to_string().contains('#')).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

/// A copy of an archive's folder.
fn copied(archive: &Closed) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for object in objects(archive) {
        let relative = object.strip_prefix(archive.folder.path().join("data/archive")).expect("a path");
        let target = copy.path().join(relative);
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
        std::fs::copy(&object, target).expect("a copy");
    }
    copy
}

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
    assert_eq!(self::objects(&archive).len(), 13, "{db:?}");
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
        // Those that are killed late leave less to do, and the last ones nothing.
        let is_killed = killed.status.code().is_none();
        assert!(is_killed || skipped > 0, "{what}: {killed:?}");
        // The damaged object is in its place or aside until the good one is there.
        let digest = digest_of(&objects[0]);
        let has = self::objects(&archive).into_iter().any(|object| object.display().to_string().contains(&digest));
        assert!(has, "{what}: {skipped}");
    }
    let (code, report) = verify(&archive, &["--repair", "--from", &backup]).await;
    assert_eq!(code, Some(0), "{what}: {report}");
    nothing_is_broken(&archive, 5, &what).await;
    nothing_is_kept_aside(&archive);
    assert_eq!(self::objects(&archive).len(), 5, "{what}");
}

on_each_database!(a_repair_that_is_killed_at_any_step_loses_nothing, 2 threads);
async fn a_repair_that_is_killed_at_any_step_loses_nothing(db: Db) {
    futures_util::future::join_all(REPAIR_STEPS.map(|step| repair_killed_at(db, step))).await;
}

on_each_database!(status_and_graphql_show_what_is_broken, 2 threads);
async fn status_and_graphql_show_what_is_broken(db: Db) {
    let archive = archive_of(db, 9).await;
    let app = archive.open().await;
    app.indexed().await;
    const STATE: &str = "{ status { verification { broken bytesRead cycleProgress lastCycleEndedAt
        lastRun { files bytes broken share scheduled endedAt } } damaged jobs { name nextAt schedule } } }";
    let before = app.query(STATE).await["status"].clone();
    assert_eq!(
        (&before["verification"]["broken"], &before["verification"]["lastRun"]),
        (&Value::from(0), &Value::Null)
    );
    assert_eq!(before["jobs"][2]["name"], "verify", "{before}");
    assert!(before["jobs"][2]["nextAt"].is_string(), "{before}");
    let objects = objects(&archive);
    let stray = sha256(b"stray");
    std::fs::write(
        objects[0].parent().expect("a folder").parent().expect("a folder").join(&stray[..2]).join(&stray),
        b"stray",
    )
    .expect("an object");
    for object in &objects[..4] {
        std::fs::write(object, b"x").expect("an object");
    }
    let (code, _) = verify(&archive, &[]).await;
    assert_eq!(code, Some(1), "{db:?}");
    let state = app.query(STATE).await["status"].clone();
    let run = &state["verification"]["lastRun"];
    assert_eq!(
        (&state["verification"]["broken"], &state["damaged"], &run["broken"]),
        (&Value::from(5), &Value::from(4), &Value::from(5)),
        "{db:?}: {state}"
    );
    assert_eq!(
        (&run["files"], run["share"].as_f64(), &run["scheduled"]),
        (&Value::from(9), Some(1.0), &Value::from(false)),
        "{db:?}: {state}"
    );
    assert!(state["verification"]["lastCycleEndedAt"].is_string(), "{db:?}: {state}");
    let mut found = BTreeMap::new();
    let mut after = Value::Null;
    loop {
        let query = "query($after: String) { brokenItems(first: 2, after: $after) { totalCount nodes { kind sha256 nextStep revisionCount
            revisions { name publicationId } } pageInfo { hasNextPage endCursor } } }";
        let page = app.query_with(query, serde_json::json!({ "after": after })).await["brokenItems"].clone();
        assert_eq!(page["totalCount"], 5, "{db:?}: {page}");
        for item in page["nodes"].as_array().expect("a list") {
            found.insert(named(&item["sha256"]), named(&item["kind"]));
            let uses = if item["kind"] == "ORPHAN" { 0 } else { 1 };
            assert_eq!(
                (&item["revisionCount"], item["revisions"].as_array().map(Vec::len)),
                (&Value::from(uses), Some(uses)),
                "{item}"
            );
        }
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    let mut expected: BTreeMap<String, String> =
        objects[..4].iter().map(|object| (digest_of(object), "WRONG".to_owned())).collect();
    expected.insert(stray, "ORPHAN".to_owned());
    assert_eq!(found, expected, "{db:?}");
    assert_eq!(app.query("{ verifyRuns { totalCount nodes { id } } }").await["verifyRuns"]["totalCount"], 1);
    let metrics = app.get("/metrics").await.text().await.expect("text");
    assert!(metrics.contains("acervo_broken_items 5"), "{db:?}: {metrics}");
    let ready = app.get("/readyz").await.text().await.expect("text");
    assert!(ready.contains("\"broken\":5"), "{db:?}: {ready}");
    let printed = archive.run(&["status"], "").await;
    assert!(String::from_utf8_lossy(&printed.stdout).contains("5 BROKEN"), "{db:?}: {printed:?}");
    app.leaves_work_unsettled("a sweep may begin at any moment");
}

on_each_database!(the_schedule_verifies_the_archive_share_by_share, 2 threads);
async fn the_schedule_verifies_the_archive_share_by_share(db: Db) {
    let archive = archive_of(db, 40).await;
    let object = objects(&archive).remove(7);
    std::fs::write(&object, b"x").expect("an object");
    // Every second, so that a cycle of five seconds takes some runs.
    let options = Options {
        folder: Some(archive.folder.clone()),
        database_url: archive.database_url.clone(),
        values: vec![
            ("verify.schedule", "* * * * * *".to_owned()),
            ("verify.cycle", "5s".to_owned()),
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

on_each_database!(everything_that_can_be_wrong_is_told_apart, 2 threads);
async fn everything_that_can_be_wrong_is_told_apart(db: Db) {
    let archive = archive_of(db, 12).await;
    let objects = objects(&archive);
    let mut expected = BTreeMap::new();
    let mut expect = |object: &Path, kind: &str| _ = expected.insert(digest_of(object), kind.to_owned());
    std::fs::remove_file(&objects[0]).expect("an object");
    expect(&objects[0], "MISSING");
    let bytes = std::fs::read(&objects[1]).expect("an object");
    std::fs::write(&objects[1], &bytes[..bytes.len() - 1]).expect("an object");
    expect(&objects[1], "WRONG");
    std::fs::write(&objects[2], b"").expect("an object");
    expect(&objects[2], "WRONG");
    let bytes = std::fs::read(&objects[3]).expect("an object");
    std::fs::write(&objects[3], [&bytes[..], b"x"].concat()).expect("an object");
    expect(&objects[3], "WRONG");
    std::fs::remove_file(&objects[4]).expect("an object");
    std::fs::create_dir(&objects[4]).expect("a folder");
    std::fs::write(objects[4].join("x"), b"x").expect("a file");
    expect(&objects[4], "NOT_A_FILE");
    // Objects that no row refers to: of no file, and a second one of a file.
    let folder = archive.folder.path().join("data/archive");
    let stray = sha256(b"stray");
    std::fs::write(folder.join(&stray[..2]).join(&stray), b"stray").expect("an object");
    expected.insert(stray.clone(), "ORPHAN".to_owned());
    let second = objects.iter().skip(5).find(|object| object.extension().is_some()).expect("an object");
    std::fs::write(second.with_extension(""), decoded(second).expect("bytes")).expect("an object");
    expected.insert(digest_of(second), "ORPHAN".to_owned());
    // What is not named as an object is none.
    std::fs::write(folder.join("ab/notes.txt"), b"x").expect("a file");
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!((code, kinds(&report)), (Some(1), expected.clone()), "{db:?}: {report}");
    // The same again: nothing is listed twice, and nothing is forgotten.
    let (_, report) = verify(&archive, &[]).await;
    assert_eq!(kinds(&report), expected, "{db:?}");
    // What was put right is not listed any more.
    std::fs::remove_dir_all(&objects[4]).expect("a folder");
    std::fs::remove_file(folder.join(&stray[..2]).join(&stray)).expect("an object");
    std::fs::remove_file(second.with_extension("")).expect("an object");
    std::fs::write(&objects[3], bytes).expect("an object");
    expected.retain(|_, kind| kind != "ORPHAN");
    expected.remove(&digest_of(&objects[3]));
    expected.insert(digest_of(&objects[4]), "MISSING".to_owned());
    let (_, report) = verify(&archive, &[]).await;
    assert_eq!(kinds(&report), expected, "{db:?}");
}

on_each_database!(rows_that_refer_to_nothing_and_an_index_that_differs_are_found, 2 threads);
async fn rows_that_refer_to_nothing_and_an_index_that_differs_are_found(db: Db) {
    let archive = archive_of(db, 9).await;
    nothing_is_broken(&archive, 9, "before").await;
    let database = archive.database().await;
    let one = async |sql: &str| {
        let statement = sea_orm::Statement::from_string(database.get_database_backend(), sql);
        let row = database.query_one_raw(statement).await.expect("a row").expect("a row");
        row.try_get_by_index::<String>(0).expect("a text")
    };
    let hex = |column: &str| match db {
        Db::Sqlite => format!("lower(hex({column}))"),
        Db::Postgres => format!("encode({column}, 'hex')"),
    };
    let bytes = |digest: &str| match db {
        Db::Sqlite => format!("x'{digest}'"),
        Db::Postgres => format!("decode('{digest}', 'hex')"),
    };
    let execute = async |sql: String| {
        database.execute_unprepared(&sql).await.unwrap_or_else(|e| panic!("{db:?}: {e}: {sql}"));
    };
    let digest_at =
        async |n: usize| one(&format!("SELECT {} FROM files ORDER BY digest LIMIT 1 OFFSET {n}", hex("digest"))).await;
    // A revision whose file has no row, one whose file is recorded as removed, and a file that no revision has.
    let (lost, removed, unused) = (digest_at(0).await, digest_at(1).await, digest_at(2).await);
    execute(format!("UPDATE files SET removed_at = 1 WHERE digest = {}", bytes(&removed))).await;
    let publication_of =
        |digest: &str| format!("(SELECT publication_id FROM revisions WHERE digest = {})", bytes(digest));
    execute(format!("DELETE FROM publications WHERE id = {}", publication_of(&unused))).await;
    execute(format!("DELETE FROM revisions WHERE digest = {}", bytes(&unused))).await;
    execute(format!("DELETE FROM files WHERE digest = {}", bytes(&lost))).await;
    // A publication without its product, and one whose latest revision is that of another.
    let (homeless, headless) = (digest_at(5).await, digest_at(6).await);
    execute(format!(
        "DELETE FROM products WHERE id = (SELECT product_id FROM publications WHERE id = {})",
        publication_of(&homeless)
    ))
    .await;
    execute(format!(
        "UPDATE publications SET latest_revision_id = (SELECT id FROM revisions WHERE digest = {}) WHERE id = {}",
        bytes(&homeless),
        publication_of(&headless)
    ))
    .await;
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!(code, Some(1), "{db:?}: {report}");
    let items = report["items"].as_array().expect("a list");
    let found = |kind: &str, part: &str| {
        items.iter().filter(|item| item["kind"] == kind && named(&item["detail"]).contains(part)).count()
    };
    let of = |digest: &str| {
        let kinds: BTreeSet<String> =
            items.iter().filter(|item| item["sha256"] == digest).map(|item| named(&item["kind"])).collect();
        kinds.into_iter().collect::<Vec<_>>().join(" ")
    };
    // The object of a file without a row is an orphan as well.
    assert_eq!(of(&lost), "DANGLING ORPHAN", "{db:?}: {report}");
    assert_eq!(of(&removed), "DANGLING ORPHAN", "{db:?}: {report}");
    assert_eq!(of(&unused), "DANGLING", "{db:?}: {report}");
    assert_eq!(found("DANGLING", "does not exist"), 1, "{db:?}: {report}");
    assert_eq!(found("DANGLING", "latest revision"), 1, "{db:?}: {report}");
    // The revision whose publication is gone, and the product that is gone.
    assert_eq!(found("NOT_RECORDED", "the revision"), 1, "{db:?}: {report}");
    assert_eq!(found("NOT_RECORDED", "the product"), 1, "{db:?}: {report}");
    assert_eq!(items.len(), 9, "{db:?}: {report}");
    database.close().await.expect("a closed connection");
}

on_each_database!(a_row_that_the_index_does_not_have_is_found, 2 threads);
async fn a_row_that_the_index_does_not_have_is_found(db: Db) {
    let archive = archive_of(db, 3).await;
    nothing_is_broken(&archive, 3, "before").await;
    let database = archive.database().await;
    // A copy of a revision, which no change of the feed announced.
    let id = uuid::Uuid::now_v7();
    let id = match db {
        Db::Sqlite => format!("x'{}'", id.simple()),
        Db::Postgres => format!("'{id}'"),
    };
    let columns = "publication_id, notification_id, digest, file_name, announced_at, announced_by, received_at, \
                   archived_at, superseded_at, held, warnings";
    let copy =
        format!("INSERT INTO revisions (id, number, {columns}) SELECT {id}, 9, {columns} FROM revisions LIMIT 1");
    database.execute_unprepared(&copy).await.unwrap_or_else(|e| panic!("{db:?}: {e}"));
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!(code, Some(1), "{db:?}");
    let items = report["items"].as_array().expect("a list");
    assert_eq!(items.len(), 1, "{db:?}: {report}");
    assert_eq!(items[0]["kind"], "NOT_INDEXED", "{db:?}: {report}");
    // The index is built from the rows.
    let reindexed = archive.run(&["reindex"], "").await;
    assert!(reindexed.status.success(), "{}", stderr(&reindexed));
    nothing_is_broken(&archive, 3, "after").await;
    database.close().await.expect("a closed connection");
}

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
    let archive = archive_of(db, 40).await;
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
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!((code, kinds(&report)), (Some(1), expected), "{what}: {report}");
    // Nothing was left out, whether it continued or began anew.
    assert_eq!(report["files"], 40, "{what}: {report}");
}

on_each_database!(a_run_that_is_killed_at_any_step_is_completed_by_the_next, 2 threads);
async fn a_run_that_is_killed_at_any_step_is_completed_by_the_next(db: Db) {
    futures_util::future::join_all(STEPS.map(|step| killed_at(db, step))).await;
}

on_each_database!(a_run_that_is_stopped_continues_where_it_was, 2 threads);
async fn a_run_that_is_stopped_continues_where_it_was(db: Db) {
    let archive = archive_of(db, 60).await;
    let object = objects(&archive).remove(0);
    std::fs::write(&object, b"x").expect("an object");
    let stopped = verify_with(&archive, &[], "stop-in-verify=300*off->return").await;
    assert_eq!(stopped.status.code(), Some(1), "{db:?}: {}", stderr(&stopped));
    assert!(stderr(&stopped).contains("stopped before the end"), "{db:?}: {}", stderr(&stopped));
    // What was found before the stop is listed too.
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!((code, &report["resumed"]), (Some(1), &Value::from(true)), "{db:?}: {report}");
    assert_eq!(report["files"], 60, "{db:?}: {report}");
    assert_eq!(kinds(&report).into_keys().collect::<Vec<_>>(), [digest_of(&object)], "{db:?}");
    // On request it begins anew.
    let stopped = verify_with(&archive, &["--sample", "1/1"], "stop-in-verify=300*off->return").await;
    assert_eq!(stopped.status.code(), Some(1), "{db:?}");
    let (_, report) = verify(&archive, &["--restart"]).await;
    assert_eq!((&report["resumed"], &report["files"]), (&Value::from(false), &Value::from(60)), "{db:?}: {report}");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_arguments_are_refused() {
    let archive = archive_of(Db::Sqlite, 1).await;
    for args in
        [["--sample", "0/3"], ["--sample", "4/3"], ["--sample", "x"], ["--max-rate", "0"], ["--max-rate", "fast"]]
    {
        let output = verify_with(&archive, &args, "").await;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(stderr(&output).contains(args[1]), "{args:?}: {output:?}");
    }
    // A refused address is not repeated: it may hold a password or a key.
    for address in [
        "HTTPS://ana:segredo@acervo2.example.com",
        "ftp://x.example.com/?key=segredo",
        "https://x.example.com/#segredo",
    ] {
        let output = verify_with(&archive, &["--repair", "--from", address], "").await;
        assert_eq!(output.status.code(), Some(2), "{address}: {output:?}");
        assert!(stderr(&output).contains("--from: the address"), "{address}: {output:?}");
        assert!(!format!("{output:?}").contains("segredo"), "{address}: {output:?}");
    }
}
