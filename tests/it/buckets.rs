use std::process::Output;
use std::sync::atomic::Ordering;
use std::time::Duration;

use acervo::domain::{Digest, Encoding, Locator};
use acervo::leaves::store::{S3Store, Store};
use bytes::Bytes;
use serde_json::json;

use crate::harness::links::FileServer;
use crate::harness::process::acervo;
use crate::harness::s3::{Proxy, TestBucket};
use crate::harness::samples::{noise, text};
use crate::harness::{Db, Options, TestApp, bytes_in, files_in, postgres, sha256, until};
use crate::sweep::stderr;

async fn service(db: Db, bucket: &TestBucket) -> TestApp {
    TestApp::with(Options {
        database_url: postgres::database(db),
        values: vec![("archive_url", bucket.url())],
        environment: bucket.variables().into(),
        ..Options::default()
    })
    .await
}

/// Runs a command beside a service.
async fn run(app: &TestApp, bucket: &TestBucket, args: &[&str]) -> Output {
    use secrecy::ExposeSecret;
    let mut command = acervo(app.folder.path());
    command.envs(app.app.settings.database_url.iter().map(|url| ("ACERVO_DATABASE_URL", url.expose_secret())));
    command.env("ACERVO_ARCHIVE_URL", bucket.url()).envs(bucket.variables()).args(args);
    tokio::task::spawn_blocking(move || command.output().expect("a binary that starts")).await.expect("an output")
}

const REVISIONS: &str = "{ revisions(first: 100) { nodes { id sha256 publication { status } } } }";

/// Sends files of one publication each.
async fn notify(app: &TestApp, links: &FileServer, files: &[Vec<u8>]) {
    for (n, bytes) in files.iter().enumerate() {
        announce(app, links, &format!("deck{n}.zip"), &format!("Deck {n}"), bytes).await;
    }
}

async fn announce(app: &TestApp, links: &FileServer, path: &str, name: &str, bytes: &[u8]) {
    let url = format!("/sites/9/{path}");
    links.offer(&url, bytes, None);
    let link = links.link(&json!({ "URL": url }));
    let body = json!({ "nome": name, "dataProduto": "01/02/2025", "url": link }).to_string();
    assert_eq!(app.notify(&body).await.0, 202);
}

/// Every file reads back, whole and in part.
async fn all_read_back(app: &TestApp, files: &[Vec<u8>], what: &str) {
    let data = app.query(REVISIONS).await;
    let revisions = data["revisions"]["nodes"].as_array().expect("a list").clone();
    assert_eq!(revisions.len(), files.len(), "{what}: {data}");
    for revision in revisions {
        let path = format!("/files/{}", revision["id"].as_str().expect("an id"));
        let bytes = app.get(&path).await.bytes().await.expect("bytes");
        assert_eq!(revision["sha256"], sha256(&bytes), "{what}");
        let expected = files.iter().find(|file| file[..] == bytes[..]).expect("one of the files");
        let part = app.get_with(&path, &[("range", "bytes=1000-1999")]).await;
        assert_eq!(part.status(), 206, "{what}");
        assert!(part.bytes().await.expect("bytes")[..] == expected[1000..2000], "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs s3s-fs"]
async fn a_service_archives_verifies_and_compacts_in_a_bucket() {
    for db in Db::all() {
        let bucket = TestBucket::new();
        let proxy = Proxy::start(&bucket, 12).await;
        let behind = bucket.behind(&proxy);
        let app = service(db, &behind).await;
        let links = FileServer::start().await;
        // The last is larger than a part of an upload.
        let files = [text(40_000), [text(40_000), b"a line more".to_vec()].concat(), noise(300_000), noise(21 << 20)];
        notify(&app, &links, &files).await;
        app.settled(files.len() as u64).await;
        app.indexed().await;
        all_read_back(&app, &files, "fresh").await;
        let local = app.folder.path().join("data");
        assert!(bytes_in(&local) < 15 << 20, "{db:?}: files are in the data folder: {:?}", files_in(&local));
        assert!(bytes_in(&bucket.folder) > 21 << 20, "{db:?}");
        for args in [&["compact"][..], &["verify"]] {
            let ran = run(&app, &behind, args).await;
            assert!(ran.status.success(), "{db:?}: {args:?}: {}{}", stderr(&ran), String::from_utf8_lossy(&ran.stdout));
        }
        all_read_back(&app, &files, "after compaction").await;
        assert!(proxy.faults.load(Ordering::Relaxed) > 0, "the proxy did nothing");
        // What turned out not to be needed is aborted at its own pace.
        let uploads =
            || files_in(&bucket.folder).into_iter().filter(|file| file.to_string_lossy().contains("incoming"));
        until("uploads that end", async || (uploads().count() == 0).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs s3s-fs"]
async fn while_a_bucket_is_away_notifications_are_received_and_files_follow() {
    let bucket = TestBucket::new();
    let proxy = Proxy::start(&bucket, 0).await;
    let behind = bucket.behind(&proxy);
    let app = service(Db::Sqlite, &behind).await;
    let links = FileServer::start().await;
    let files = [text(5_000), text(90_000)];
    notify(&app, &links, &files[..1]).await;
    app.settled(1).await;
    let first = app.query(REVISIONS).await["revisions"]["nodes"][0]["id"].as_str().expect("an id").to_owned();
    proxy.is_away.store(true, Ordering::Relaxed);
    notify(&app, &links, &files).await;
    let lost = app.get(&format!("/files/{first}")).await;
    assert_eq!(lost.status(), 503, "{}", lost.text().await.unwrap_or_default());
    let metrics = app.get("/metrics").await.text().await.expect("text");
    let failed = metrics.lines().find_map(|line| line.strip_prefix("acervo_archive_unreachable_total "));
    assert!(failed.and_then(|failed| failed.parse().ok()).is_some_and(|failed: u64| failed > 0), "{failed:?}");
    let waiting = app.query("{ notifications { totalCount } }").await;
    assert_eq!(waiting["notifications"]["totalCount"], 3);
    // What cannot be reached is not damaged.
    let verified = run(&app, &behind, &["verify"]).await;
    assert_eq!(verified.status.code(), Some(1), "{}", stderr(&verified));
    let status = app.query("{ status { damaged } brokenItems { totalCount } }").await;
    assert_eq!(status, json!({ "status": { "damaged": 0 }, "brokenItems": { "totalCount": 0 } }));
    proxy.is_away.store(false, Ordering::Relaxed);
    app.settled(3).await;
    app.indexed().await;
    all_read_back(&app, &files, "once it is back").await;
}

/// A part of an upload that nobody finishes costs space until it is aborted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs s3s-fs"]
async fn what_a_crash_left_in_a_bucket_is_removed() {
    let bucket = TestBucket::new();
    let store = S3Store::open(&bucket.settings()).expect("a store");
    let locator = Locator { digest: Digest::of(b"1"), encoding: Encoding::Plain };
    let mut whole = store.put().await.expect("an upload");
    let mut crashed = store.put().await.expect("an upload");
    let mut read_back = store.put().await.expect("an upload");
    for upload in [&mut whole, &mut crashed, &mut read_back] {
        for _ in 0..3 {
            upload.write(Bytes::from(noise(6 << 20))).await.expect("a write");
        }
    }
    read_back.read_back().await.expect("an object");
    std::mem::forget(crashed);
    std::mem::forget(read_back);
    assert_eq!(store.remove_abandoned(Duration::from_secs(3600)).await.expect("a count"), 0);
    whole.finish(&locator).await.expect("an object");
    assert_eq!(store.remove_abandoned(Duration::ZERO).await.expect("a count"), 2);
    assert_eq!(store.contains(&locator).await.expect("a size"), Some(18 << 20));
    let left: Vec<String> = files_in(&bucket.folder).iter().map(|path| path.display().to_string()).collect();
    assert!(left.iter().all(|path| path.contains(&locator.digest.to_string())), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs s3s-fs"]
async fn a_bucket_that_may_not_be_used_ends_the_start_with_what_to_do() {
    let bucket = TestBucket::new();
    let folder = tempfile::tempdir().expect("a folder");
    let serve = |url: String, variables: Vec<(&'static str, String)>| {
        let mut command = acervo(folder.path());
        command.env("ACERVO_ARCHIVE_URL", url).envs(variables).args(["serve", "--listen", "127.0.0.1:0"]);
        let output = command.output().expect("a binary that starts");
        (output.status.code(), stderr(&output))
    };
    let mut wrong: Vec<(&str, String)> = bucket.variables().into();
    wrong[1].1 = "outro-segredo".to_owned();
    let (code, message) = serve(bucket.url(), wrong);
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("permission denied") && !message.contains("segredo"), "{message}");
}

/// What is wrong with an address is said before anything is connected to.
#[test]
fn addresses_of_archives_that_are_not_valid_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (url, said) in [
        ("s3://usuario:senha@balde/x", "contains credentials"),
        ("s3://", "s3://bucket/prefix"),
        ("s3://balde/x?y=1", "s3://bucket/prefix"),
        ("s3://balde/a//b", "a prefix that is not valid"),
        ("s3://balde/../b c", "a prefix that is not valid"),
        ("gs://balde", "s3://bucket/prefix"),
        ("balde", "s3://bucket/prefix"),
    ] {
        let output = acervo(folder.path()).env("ACERVO_ARCHIVE_URL", url).args(["config", "check"]).output();
        let output = output.expect("a binary that starts");
        assert_eq!(output.status.code(), Some(2), "{url}");
        let message = stderr(&output);
        assert!(
            message.contains("archive_url") && message.contains(said) && !message.contains("senha"),
            "{url}: {message}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs s3s-fs"]
async fn retention_deletes_from_a_bucket() {
    let bucket = TestBucket::new();
    let app = service(Db::Sqlite, &bucket).await;
    let links = FileServer::start().await;
    let files: Vec<Vec<u8>> = (1..=3).map(|n| text(2_000 * n)).collect();
    for (n, bytes) in files.iter().enumerate() {
        announce(&app, &links, "deck.txt", "Deck", bytes).await;
        app.settled(n as u64 + 1).await;
    }
    app.indexed().await;
    // And the note of what the bucket is.
    let objects = || files_in(&bucket.folder).len() - 1;
    assert_eq!(objects(), 3);
    let policy = "[retention]\ngrace = \"0s\"\n[[retention.policy]]\nname = \"decks\"\nmatch = { name = [\"Deck*\"] }\nkeep_last = 1\n";
    std::fs::write(app.folder.path().join("acervo.toml"), policy).expect("a file");
    let ran = run(&app, &bucket, &["retention", "run"]).await;
    assert!(ran.status.success(), "{}", stderr(&ran));
    assert_eq!(objects(), 1);
    app.indexed().await;
    let data = app.query("{ revisions(first: 10) { nodes { id purgedAt } } }").await;
    let revisions = data["revisions"]["nodes"].as_array().expect("a list");
    assert_eq!(revisions.iter().filter(|node| node["purgedAt"].is_null()).count(), 1, "{data}");
}
