use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::harness::notice::Notice;
use crate::harness::samples::{product, replace, text, zip};
use crate::harness::{Db, TestApp, files_in, holding, on_each_database, postgres, sha256};
use crate::retention::{DECKS, history_on};
use crate::sweep::{Closed, at_once, stderr};

/// What both instances are asked. The answers have ids, cursors of the feed, and bodies.
const QUERIES: [&str; 12] = [
    "{ products(first: 200) { totalCount nodes { id listPath name process macroProcess publicationCount revisionCount size
        storedSize firstPeriodStart lastPeriodEnd aliases { name firstSeenAt lastSeenAt } lastNotification { id } } } }",
    "{ publications(first: 200) { totalCount nodes { id productId name process macroProcess referenceDate periodStart periodEnd
        granularity status revisionId revisionNumber revisionCount fileName fileExtension contentType sha256 size storedSize
        receivedAt archivedAt } } }",
    "{ publications(first: 100) { nodes { id revisions { id number } notifications(first: 5) { nodes { id } } } } }",
    "{ revisions(first: 200) { totalCount nodes { id number publicationId name sha256 size storedSize fileName fileExtension
        contentType fileUrl announcedAt receivedAt archivedAt supersededAt purgedAt purgeReason held heldAt heldBy holdReason
        warnings } } }",
    "{ revisions(first: 100) { nodes { id members(first: 5) { totalCount nodes { path size compressedSize modifiedAt } } } } }",
    "{ notifications(first: 200) { totalCount nodes { id source status receivedAt attempts nextAttemptAt linkExpiresAt error name
        process macroProcess referenceDate periodStart periodEnd warnings body publication { id } revision { id } } } }",
    "{ changes(first: 500) { edges { cursor node { at kind publication { id } revision { id } } } } }",
    "{ replays(first: 10) { totalCount nodes { id source startedAt announced known newRevisions unchanged failed waiting } } }",
    "{ retentionRuns(first: 10) { nodes { id dryRun startedAt endedAt removed bytesFreed sweepAfter undoneAt } } }",
    "{ publicationStats(groupBy: [PRODUCT, STATUS, EXTENSION]) { product status extension publications revisions size } }",
    "{ publications(search: \"preliminar sistema\", first: 100) { nodes { id } } }",
    "{ status { products publications revisions size storedSize queued retrying expired damaged } }",
];

pub async fn answers(app: &TestApp) -> Vec<Value> {
    app.until("{ status { indexLag } }", |data| data["status"]["indexLag"] == 0).await;
    let mut answers = Vec::new();
    for query in QUERIES {
        answers.push(app.query(query).await);
    }
    answers
}

pub fn assert_same(found: &[Value], expected: &[Value], what: &str) {
    for ((found, expected), query) in found.iter().zip(expected).zip(QUERIES) {
        if found != expected {
            let (found, expected) = (format!("{found:#}"), format!("{expected:#}"));
            let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
            panic!("{what}: {query}: {differs:?}\n{found}\n{expected}");
        }
    }
}

/// The bytes of every revision; none where they were removed.
pub async fn bytes_of(app: &TestApp) -> BTreeMap<String, Option<String>> {
    let data = app.query("{ revisions(first: 1000) { nodes { id } } }").await;
    let mut found = BTreeMap::new();
    for node in data["revisions"]["nodes"].as_array().expect("a list") {
        let id = node["id"].as_str().expect("an id");
        let answer = app.get(&format!("/files/{id}")).await;
        let is_gone = answer.status() == 410;
        assert!(is_gone || answer.status() == 200, "{id}: {}", answer.status());
        let bytes = answer.bytes().await.expect("bytes");
        found.insert(id.to_owned(), (!is_gone).then(|| sha256(&bytes)));
    }
    found
}

/// An archive with everything: revisions, aliases, zips, a hold, a sweep, a replay, names that no file system likes, a rejected body.
pub async fn archive(db: Db) -> TestApp {
    let app = history_on(db, 6, &at_once()).await;
    let mut sent = 7;
    for number in 2..=24 {
        let (name, file) = match number {
            2 => ("Carga: A/B", "rel \"a\" <1>.txt"),
            3 => ("Carga_ A\\B", "CON.txt"),
            4 => ("..", "ação #1 'x' & y;  $(z).txt"),
            _ => ("Programa", "p.txt"),
        };
        let name = if number > 4 { format!("{name} {number}") } else { name.to_owned() };
        let content = zip(&[("SISTEMA.DAT", b"dados"), ("pasta/x.txt", format!("{number}").as_bytes())]);
        let is_zip = number % 5 == 0;
        let (file, content) =
            if is_zip { ("deck.zip", content) } else { (file, format!("{number} ").repeat(300).into_bytes()) };
        app.portal.add(product(number, &name, file, content));
        app.portal.enviar(number).await;
        sent += 1;
        app.settled(sent).await;
    }
    app.portal.change(5, |product| product.name = "Programa renomeado".to_owned());
    app.portal.change(6, |product| replace(product, text(40_000)));
    sent += u64::from(app.portal.enviar_tudo().await.delivered);
    app.settled(sent).await;
    let (status, _) = app.notify("{\"nome\": \"sem link\"}").await;
    assert_eq!(status, 422);
    let data = app
        .query("{ revisions(first: 100, filter: { name: { contains: \"newave\" } }) { nodes { id number } } }")
        .await;
    let held = data["revisions"]["nodes"][2]["id"].clone();
    app.query(&format!("mutation {{ holdRevision(id: {held}, reason: \"auditoria\") {{ held }} }}")).await;
    app.query("mutation { runRetention(dryRun: false) { id } }").await;
    app.until("{ retentionRuns(first: 1) { nodes { endedAt } } }", |data| {
        data["retentionRuns"]["nodes"][0]["endedAt"].is_string()
    })
    .await;
    // Swept and not only marked, so that the numbers do not change any more.
    let folder = app.folder.path().join("data/archive");
    app.until("{ status { storedSize } }", |data| data["status"]["storedSize"] == crate::harness::bytes_in(&folder))
        .await;
    app
}

/// A place for another instance.
fn elsewhere(db: Db, config: &Path) -> Closed {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    std::fs::copy(config, folder.path().join("acervo.toml")).expect("a file");
    Closed { folder, database_url: postgres::database(db) }
}

fn path(folder: &Path) -> String {
    folder.display().to_string()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn check_sums(folder: &Path) {
    let mut check = std::process::Command::new("sha256sum");
    let checked =
        check.args(["--strict", "--quiet", "-c", "SHA256SUMS"]).current_dir(folder).output().expect("sha256sum");
    assert!(checked.status.success(), "{}{}", stdout(&checked), stderr(&checked));
}

/// The exported files with their inodes and times.
fn state_of(folder: &Path) -> BTreeMap<PathBuf, (u64, std::time::SystemTime)> {
    use std::os::unix::fs::MetadataExt;
    let state = |path: PathBuf| {
        let found = path.metadata().expect("a file");
        (path, (found.ino(), found.modified().expect("a time")))
    };
    files_in(folder).into_iter().map(state).collect()
}

fn lines_of(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("manifest.ndjson")).expect("a manifest");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn an_export_restores_to_the_same_instance(db: Db) {
    let app = archive(db).await;
    let (expected, bytes) = (answers(&app).await, bytes_of(&app).await);
    let removed = bytes.values().filter(|digest| digest.is_none()).count();
    assert!(removed > 0, "retention removed nothing");
    let plain = tempfile::tempdir().expect("a folder");
    // Beside the running service.
    let config = app.folder.path().join("acervo.toml");
    let beside = Closed { folder: app.folder.clone(), database_url: Closed::address_of(&app) };
    let exported = beside.run(&["export", &path(plain.path())], "").await;
    assert_eq!(exported.status.code(), Some(1), "{}", stderr(&exported));
    assert_eq!(
        stderr(&exported).matches(": not exported: retention removed it").count(),
        removed,
        "{}",
        stderr(&exported)
    );
    check_sums(plain.path());
    let listed = std::fs::read_to_string(plain.path().join("SHA256SUMS")).expect("sums");
    let kept = bytes.len() - removed;
    assert_eq!(listed.lines().count(), kept + 1);
    assert_eq!(files_in(plain.path()).len(), kept + 2, "{:?}", files_in(plain.path()));
    for file in [
        "Carga_ A_B/2025-02-20/1/rel _a_ _1_.txt",
        "Carga_ A_B (2)/2025-02-20/1/_CON.txt",
        "Deck NEWAVE Preliminar/2025-01-06/2/deck.txt",
    ] {
        assert!(plain.path().join(file).is_file(), "{file}: {listed}");
    }
    // A second export adds what is new, and rewrites nothing else.
    let before = state_of(plain.path());
    let again = beside.run(&["export", &path(plain.path())], "").await;
    assert!(stdout(&again).starts_with("0 files added"), "{}", stdout(&again));
    assert_eq!(state_of(plain.path()), before, "{}", stdout(&again));
    let archive = Closed::of(app).await;
    for to in Db::all() {
        let restored = elsewhere(to, &config);
        let output = restored.run(&["restore", &path(plain.path())], "").await;
        assert!(output.status.success(), "{to:?}: {}{}", stdout(&output), stderr(&output));
        assert!(stdout(&output).contains("rows written, and the search index built"), "{}", stdout(&output));
        let verified = restored.run(&["verify"], "").await;
        assert!(verified.status.success(), "{to:?}: {}{}", stdout(&verified), stderr(&verified));
        let refused = restored.run(&["restore", &path(plain.path())], "").await;
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains("the instance is not empty"), "{}", stderr(&refused));
        let app = restored.open().await;
        assert_same(&answers(&app).await, &expected, &format!("{db:?} to {to:?}"));
        assert_eq!(bytes_of(&app).await, bytes);
        // It goes on: the feed, the numbers and the files.
        app.portal.add(product(2, "Carga: A/B", "novo.txt", &b"novo"[..]));
        app.portal.enviar(2).await;
        app.until("{ revisions(first: 1) { nodes { fileName number } } }", |data| {
            data["revisions"]["nodes"][0] == json!({ "fileName": "novo.txt", "number": 2 })
        })
        .await;
        // An export of the restored instance has the same files under the same paths.
        let other = tempfile::tempdir().expect("a folder");
        let closed = Closed::of(app).await;
        closed.run(&["export", &path(other.path())], "").await;
        check_sums(other.path());
        assert_eq!(files_in(other.path()).len(), kept + 3);
    }
    drop(archive);
}

on_each_database!(an_export_restores_to_the_same_instance, 2 threads);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filtered_export_restores_to_just_that_part() {
    let app = archive(Db::Sqlite).await;
    let data = app
        .query(
            "{ revisions(first: 100, orderBy: ARCHIVED_ASC, search: \"newave\") { nodes { id archivedAt number } } }",
        )
        .await;
    let revisions = data["revisions"]["nodes"].as_array().expect("a list").clone();
    // Before the last publication was revised.
    let at = revisions[revisions.len() - 2]["archivedAt"].as_str().expect("an instant").to_owned();
    let query = format!(
        "{{ publications(search: \"newave\", asOf: \"{at}\", orderBy: PERIOD_DESC) {{ totalCount nodes {{ id revisionId status sha256 }} }} }}"
    );
    let expected = app.query(&query).await;
    let config = app.folder.path().join("acervo.toml");
    let archive = Closed::of(app).await;
    let plain = tempfile::tempdir().expect("a folder");
    let folder = path(plain.path());
    let exported = archive.run(&["export", &folder, "newave", "--as-of", &at], "").await;
    assert!(stderr(&exported).lines().all(|line| line.contains("retention removed it")), "{}", stderr(&exported));
    check_sums(plain.path());
    let other = archive.run(&["export", &folder, "newave"], "").await;
    assert_eq!(other.status.code(), Some(1));
    assert!(stderr(&other).contains("an export with other options"), "{}", stderr(&other));
    let restored = elsewhere(Db::Sqlite, &config);
    let output = restored.run(&["restore", &folder], "").await;
    assert!(output.status.success(), "{}", stderr(&output));
    let verified = restored.run(&["verify"], "").await;
    assert!(verified.status.success(), "{}{}", stdout(&verified), stderr(&verified));
    let app = restored.open().await;
    assert_eq!(app.query(&query).await, expected);
    assert_eq!(app.query(&query.replace(&format!("asOf: \"{at}\", "), "")).await, expected);
    let data = app.query("{ products { nodes { name publicationCount revisionCount } } }").await;
    let node = json!({ "name": "Deck NEWAVE Preliminar", "publicationCount": 6, "revisionCount": 6 });
    assert_eq!(data["products"]["nodes"], json!([node]));
}

/// A link that has not expired is a secret, and its notification waits for its file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_exported_only_on_request() {
    let app = TestApp::start().await;
    let link = "http://127.0.0.1:9/x?token=segredo-do-link";
    let (status, _) = app.notify(&Notice::new("Pendente").link(link).to_string()).await;
    assert_eq!(status, 202);
    app.until("{ notifications { nodes { status } } }", |data| {
        data["notifications"]["nodes"][0]["status"] == "RETRYING"
    })
    .await;
    app.leaves_work_unsettled("the link leads nowhere");
    let config = app.folder.path().join("acervo.toml");
    std::fs::write(&config, "").expect("a file");
    let archive = Closed::of(app).await;
    for (args, status, publication) in [(&[][..], "EXPIRED", "LOST"), (&["--links"][..], "RETRYING", "AWAITED")] {
        let plain = tempfile::tempdir().expect("a folder");
        let to = plain.path().join("new");
        let exported = archive.run(&[&["export", &path(&to)], args].concat(), "").await;
        assert!(exported.status.success(), "{}", stderr(&exported));
        assert_eq!(holding(&to, b"segredo-do-link").len(), args.len());
        use std::os::unix::fs::PermissionsExt;
        for found in files_in(&to).iter().chain([&to]) {
            assert_eq!(found.metadata().expect("a file").permissions().mode() & 0o077, 0, "{}", found.display());
        }
        let restored = elsewhere(Db::Sqlite, &config);
        let output = restored.run(&["restore", &path(&to)], "").await;
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stdout(&output).contains("\"Enviar Tudo\""), args.is_empty(), "{}", stdout(&output));
        let app = restored.open().await;
        let data = app.query("{ notifications { nodes { status error } } publications { nodes { status } } }").await;
        let node = &data["notifications"]["nodes"][0];
        assert!(node["status"] == status || (status == "RETRYING" && node["status"] != "EXPIRED"), "{data}");
        assert_eq!(data["publications"]["nodes"][0]["status"], publication, "{data}");
    }
}

/// Until the grace is over the bytes are in the archive, and so in the export.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_retention_has_marked_can_be_undone_after_a_restore() {
    let app = history_on(Db::Sqlite, 6, DECKS).await;
    let run = app.query("mutation { runRetention(dryRun: false) { id removed } }").await["runRetention"].clone();
    assert!(run["removed"].as_u64() > Some(0), "{run}");
    let query = "{ publications(filter: { status: [PURGED] }) { totalCount } }";
    app.until(query, |data| data["publications"]["totalCount"].as_u64() > Some(0)).await;
    let config = app.folder.path().join("acervo.toml");
    let archive = Closed::of(app).await;
    let plain = tempfile::tempdir().expect("a folder");
    let folder = path(&plain.path().join("new"));
    let exported = archive.run(&["export", &folder], "").await;
    assert!(exported.status.success(), "{}", stderr(&exported));
    let restored = elsewhere(Db::Sqlite, &config);
    let output = restored.run(&["restore", &folder], "").await;
    assert!(output.status.success(), "{}", stderr(&output));
    let app = restored.open().await;
    assert!(bytes_of(&app).await.values().any(Option::is_none), "nothing is marked");
    app.query(&format!("mutation {{ undoRetention(runId: {}) {{ undoneAt }} }}", run["id"])).await;
    app.until(query, |data| data["publications"]["totalCount"] == 0).await;
    assert!(bytes_of(&app).await.values().all(Option::is_some));
}

/// An archive of some files, of which no service runs.
async fn some_files() -> Closed {
    let app = TestApp::start().await;
    for number in 1..=5 {
        app.portal.add(product(number, &format!("Carga {number}"), "carga.txt", text(100 * number as usize)));
        app.portal.enviar(number).await;
        app.settled(u64::from(number)).await;
    }
    std::fs::write(app.folder.path().join("acervo.toml"), "").expect("a file");
    Closed::of(app).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_was_killed_is_completed_by_the_next() {
    let archive = some_files().await;
    let expected = tempfile::tempdir().expect("a folder");
    let whole = archive.run(&["export", &path(expected.path())], "").await;
    assert!(whole.status.success(), "{}", stderr(&whole));
    let relative = |folder: &Path| -> Vec<PathBuf> {
        files_in(folder).iter().map(|file| file.strip_prefix(folder).expect("a file of it").to_owned()).collect()
    };
    let steps = [
        "export-after-rows=return",
        "export-between-files=return",
        "export-between-files=2*off->return",
        "export-before-rename=3*off->return",
        "export-before-manifest=return",
        "export-before-sums=return",
    ];
    for step in steps {
        let plain = tempfile::tempdir().expect("a folder");
        let killed = archive.run(&["export", &path(plain.path())], step).await;
        assert!(!killed.status.success(), "{step}");
        // What has its name is complete.
        let complete = files_in(plain.path()).into_iter().filter(|file| file.ends_with("carga.txt"));
        let complete: Vec<_> = complete.collect();
        for file in &complete {
            let name = file.strip_prefix(plain.path()).expect("a file of it");
            assert_eq!(
                std::fs::read(file).expect("bytes"),
                std::fs::read(expected.path().join(name)).expect("bytes"),
                "{step}"
            );
        }
        let before = state_of(plain.path());
        let next = archive.run(&["export", &path(plain.path())], "").await;
        assert!(next.status.success(), "{step}: {}", stderr(&next));
        assert!(stdout(&next).starts_with(&format!("{} files added", 5 - complete.len())), "{step}: {}", stdout(&next));
        check_sums(plain.path());
        assert_eq!(relative(plain.path()), relative(expected.path()), "{step}");
        let after = state_of(plain.path());
        assert!(complete.iter().all(|file| before[file] == after[file]), "{step}: a complete file was written again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_was_killed_is_completed_by_the_next() {
    let archive = some_files().await;
    let plain = tempfile::tempdir().expect("a folder");
    archive.run(&["export", &path(plain.path())], "").await;
    let config = archive.folder.path().join("acervo.toml");
    let app = archive.open().await;
    let expected = answers(&app).await;
    drop(app.stop().await);
    let steps = [
        "restore-after-begin",
        "restore-after-put",
        "restore-between-files",
        "restore-between-rows",
        "restore-before-index",
        "restore-before-end",
    ];
    for db in Db::all() {
        for step in steps {
            let what = format!("{db:?}: {step}");
            let restored = elsewhere(db, &config);
            let killed = restored.run(&["restore", &path(plain.path())], &format!("{step}=return")).await;
            assert!(!killed.status.success(), "{what}");
            // Nothing else takes it for an archive.
            for command in ["status", "serve"] {
                let refused = restored.run(&[command], "").await;
                assert!(
                    !refused.status.success() && stderr(&refused).contains("half restored"),
                    "{what}: {}",
                    stderr(&refused)
                );
            }
            let next = restored.run(&["restore", &path(plain.path())], "").await;
            assert!(next.status.success(), "{what}: {}", stderr(&next));
            assert!(stdout(&next).starts_with("continued"), "{what}: {}", stdout(&next));
            let app = restored.open().await;
            assert_same(&answers(&app).await, &expected, &what);
            assert_eq!(bytes_of(&app).await.values().flatten().count(), 5, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_or_wrong_file_is_named_and_nothing_is_called_complete() {
    let archive = some_files().await;
    let plain = tempfile::tempdir().expect("a folder");
    archive.run(&["export", &path(plain.path())], "").await;
    let config = archive.folder.path().join("acervo.toml");
    let file = |n: u32| plain.path().join(format!("Carga {n}/2025-02-20/1/carga.txt"));
    let aside = plain.path().join("aside");
    std::fs::rename(file(2), &aside).expect("a file");
    let good = std::fs::read(file(4)).expect("bytes");
    std::fs::write(file(4), b"other bytes").expect("a file");
    let restored = elsewhere(Db::Sqlite, &config);
    let output = restored.run(&["restore", &path(plain.path())], "").await;
    assert_eq!(output.status.code(), Some(1));
    let messages = stderr(&output);
    assert!(messages.contains("Carga 2/2025-02-20/1/carga.txt: not restored: there is no such file"), "{messages}");
    assert!(messages.contains("Carga 4/2025-02-20/1/carga.txt: not restored: its SHA-256 is"), "{messages}");
    assert!(stdout(&output).contains("the instance is not complete"), "{}", stdout(&output));
    let refused = restored.run(&["serve"], "").await;
    assert!(stderr(&refused).contains("half restored"), "{}", stderr(&refused));
    // Another export cannot continue it.
    let other = tempfile::tempdir().expect("a folder");
    archive.run(&["export", &path(other.path()), "--process", "opera"], "").await;
    let refused = restored.run(&["restore", &path(other.path())], "").await;
    assert!(stderr(&refused).contains("half restored from another export"), "{}", stderr(&refused));
    std::fs::rename(&aside, file(2)).expect("a file");
    let output = restored.run(&["restore", &path(plain.path()), "--accept-missing"], "").await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("1 file stored"), "{}", stdout(&output));
    let app = restored.open().await;
    let data = app.query("{ status { damaged damagedFiles { sha256 } } }").await;
    assert_eq!(data["status"], json!({ "damaged": 1, "damagedFiles": [{ "sha256": sha256(&good) }] }));
    // A manifest that was cut short restores nothing.
    let manifest = std::fs::read_to_string(plain.path().join("manifest.ndjson")).expect("a manifest");
    let cut: Vec<&str> = manifest.lines().collect();
    std::fs::write(plain.path().join("manifest.ndjson"), cut[..cut.len() - 1].join("\n") + "\n").expect("a file");
    let empty = elsewhere(Db::Sqlite, &config);
    let output = empty.run(&["restore", &path(plain.path())], "").await;
    assert!(stderr(&output).contains("was cut short"), "{}", stderr(&output));
    // Nor does one that leads out of its folder.
    let hostile = manifest.replace("Carga 1/2025-02-20/1/carga.txt", "../Carga 1");
    std::fs::write(plain.path().join("manifest.ndjson"), hostile).expect("a file");
    let output = empty.run(&["restore", &path(plain.path())], "").await;
    assert!(stderr(&output).contains("`../Carga 1` is not a path below the folder"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_named_and_the_rest_is_exported() {
    let archive = some_files().await;
    let config = archive.folder.path().join("acervo.toml");
    let objects = files_in(&archive.folder.path().join("data/archive"));
    let damaged = objects[0].file_stem().expect("a name").to_string_lossy().into_owned();
    std::fs::remove_file(&objects[0]).expect("an object");
    let plain = tempfile::tempdir().expect("a folder");
    let output = archive.run(&["export", &path(plain.path())], "").await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains(&format!("/carga.txt: not exported: the archive has no file {damaged}")),
        "{}",
        stderr(&output)
    );
    assert!(stdout(&output).starts_with("4 files added"), "{}", stdout(&output));
    check_sums(plain.path());
    assert!(lines_of(plain.path()).iter().any(|line| line["missing"]["digest"] == *damaged));
    let restored = elsewhere(Db::Sqlite, &config);
    let output = restored.run(&["restore", &path(plain.path())], "").await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("the export could not read it either"), "{}", stderr(&output));
    let app = restored.open().await;
    let data = app.query("{ status { damaged damagedFiles { sha256 } } revisions { totalCount } }").await;
    assert_eq!(data["status"], json!({ "damaged": 1, "damagedFiles": [{ "sha256": damaged }] }));
    assert_eq!(data["revisions"]["totalCount"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_writes_only_into_a_folder_of_its_own() {
    let archive = some_files().await;
    let plain = tempfile::tempdir().expect("a folder");
    std::fs::write(plain.path().join("foto.jpg"), b"x").expect("a file");
    let refused = archive.run(&["export", &path(plain.path())], "").await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("is not empty and has no export"), "{}", stderr(&refused));
    assert_eq!(files_in(plain.path()).len(), 1);
    // A product that is renamed keeps its folder, and a file that was changed is replaced.
    let folder = plain.path().join("export");
    archive.run(&["export", &path(&folder)], "").await;
    archive
        .database()
        .await
        .execute_unprepared("UPDATE products SET name = 'Outro' WHERE name = 'Carga 1'")
        .await
        .expect("a row");
    let file = folder.join("Carga 1/2025-02-20/1/carga.txt");
    let good = std::fs::read(&file).expect("bytes");
    std::fs::write(&file, b"longer or shorter").expect("a file");
    let output = archive.run(&["export", &path(&folder)], "").await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("1 file had other bytes and was replaced"), "{}", stdout(&output));
    assert_eq!(std::fs::read(&file).expect("bytes"), good);
    assert_eq!(files_in(&folder).len(), 7);
    check_sums(&folder);
}
