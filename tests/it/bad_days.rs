use std::time::Duration;

use acervo::portal::{Credentials, Faults, Validators, Webhook};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::harness::process::{Served, acervo, free_port};
use crate::harness::samples::product;
use crate::harness::{Db, Options, TOKEN, TestApp, bytes_in, on_each_database, sha256, until};

/// Products that differ in a few kilobytes each.
fn catalogue(app: &TestApp, products: u32) {
    for number in 1..=products {
        let bytes = format!("produto {number};").repeat(20 + number as usize % 200);
        app.portal.add(product(number, &format!("Produto {number}"), &format!("arquivo_{number}.csv"), bytes));
    }
}

const TALLY: &str = "{ archived: notifications(first: 1, filter: { status: [ARCHIVED] }) { totalCount }
    unchanged: notifications(first: 1, filter: { status: [UNCHANGED] }) { totalCount }
    expired: notifications(first: 1, filter: { status: [EXPIRED] }) { totalCount } }";

async fn tally(app: &TestApp) -> (u64, u64, u64) {
    let data = app.query(TALLY).await;
    let of = |name: &str| data[name]["totalCount"].as_u64().expect("a count");
    (of("archived"), of("unchanged"), of("expired"))
}

/// Products of the long replay.
const PRODUCTS: u32 = 500;

/// New publications during the replay.
const FRESH: u32 = 20;

/// Files that a service fetches at once.
const FETCHES: u32 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enviar_tudo_twice_adds_nothing_and_new_publications_go_first() {
    let values = vec![("fetch.concurrency", FETCHES.to_string())];
    let app = TestApp::with(Options { values, ..Options::default() }).await;
    catalogue(&app, PRODUCTS);
    app.portal.set_validators(Validators::Etag);
    assert_eq!(app.portal.enviar_tudo().await.delivered, PRODUCTS);
    app.settled(u64::from(PRODUCTS)).await;
    assert_eq!(tally(&app).await, (u64::from(PRODUCTS), 0, 0));
    let first = app.query("{ replays { totalCount nodes { announced known newRevisions waiting } } }").await;
    let expected = json!({ "announced": PRODUCTS, "known": 0, "newRevisions": PRODUCTS, "waiting": 0 });
    assert_eq!(first["replays"], json!({ "totalCount": 1, "nodes": [expected] }), "the first run of a new archive");
    let stored = bytes_in(&app.folder.path().join("data/archive"));
    let bodies = app.portal.bodies();
    assert_eq!(bodies, u64::from(PRODUCTS));
    replay_with_fresh_ones(&app).await;
    assert_eq!(tally(&app).await, (u64::from(PRODUCTS + FRESH), u64::from(PRODUCTS), 0));
    assert_eq!(app.portal.bodies(), bodies + u64::from(FRESH), "a body was sent that is there already");
    let fresh: u64 = (1..=FRESH).map(|n| format!("novo {n}").len() as u64).sum();
    let grown = bytes_in(&app.folder.path().join("data/archive")) - stored;
    assert!(grown <= fresh, "{grown} bytes for {fresh}");
    is_counted_as_a_replay(&app, grown).await;
}

/// Sends everything again, slowly enough that a queue builds up, and new publications in between, which must not wait in it.
async fn replay_with_fresh_ones(app: &TestApp) {
    app.portal.set_faults(Faults { latency_ms: 100, ..Faults::default() });
    // A separate burst.
    app.app.clock.advance(Duration::from_secs(61));
    let replay = tokio::spawn({
        let portal = app.portal.clone();
        async move { portal.enviar_tudo().await }
    });
    app.until("{ replays { nodes { waiting endedAt } } }", |data| {
        let newest = &data["replays"]["nodes"][0];
        newest["endedAt"].is_null() && newest["waiting"].as_u64() >= Some(100)
    })
    .await;
    for n in 1..=FRESH {
        let number = app.portal.add(product(PRODUCTS + n, &format!("Novidade {n}"), "novo.csv", format!("novo {n}")));
        assert!(app.portal.enviar(number).await.expect("a product").is_delivered());
        let begun = app.portal.downloads().len();
        let is_own = |path: &String| path.contains(&format!("/Produtos/{number}/"));
        let own = until("a fresh file", async || app.portal.downloads().iter().position(is_own)).await;
        // Those that were under way, and those that had just been claimed.
        let before = own.saturating_sub(begun);
        assert!(before <= 2 * FETCHES as usize, "{before} files were fetched before a fresh one");
    }
    app.portal.set_faults(Faults::default());
    assert_eq!(replay.await.expect("a replay").delivered, PRODUCTS);
    app.settled(u64::from(2 * PRODUCTS + FRESH)).await;
}

async fn is_counted_as_a_replay(app: &TestApp, bytes_added: u64) {
    app.app.clock.advance(Duration::from_secs(61));
    let query = "{ replays { totalCount nodes {
            source startedAt endedAt announced known waiting unchanged newRevisions failed bytesAdded } }
        status { lastReplay { announced } } }";
    let data = app.until(query, |data| data["replays"]["nodes"][0]["endedAt"].is_string()).await;
    assert_eq!(data["replays"]["totalCount"], 2);
    let replay = &data["replays"]["nodes"][0];
    for (name, count) in [
        ("announced", PRODUCTS + FRESH),
        // Of the fresh ones none was known.
        ("known", PRODUCTS),
        ("waiting", 0),
        ("unchanged", PRODUCTS),
        ("newRevisions", FRESH),
        ("failed", 0),
    ] {
        assert_eq!(replay[name], count, "{name}: {replay}");
    }
    assert_eq!(replay["bytesAdded"], bytes_added);
    assert_eq!(data["status"]["lastReplay"]["announced"], PRODUCTS + FRESH);
}

on_each_database!(a_replay_reports_changed_and_unchanged_files);
async fn a_replay_reports_changed_and_unchanged_files(db: Db) {
    let app = TestApp::on(db).await;
    catalogue(&app, 30);
    app.portal.enviar_tudo().await;
    app.settled(30).await;
    app.app.clock.advance(Duration::from_secs(120));
    for number in 1..=3 {
        app.portal.change(number, |product| crate::harness::samples::replace(product, format!("mudou {number}")));
    }
    app.portal.enviar_tudo().await;
    app.settled(60).await;
    let query =
        "{ replays { nodes { id source endedAt announced known waiting unchanged newRevisions failed bytesAdded } } }";
    let replay = app.query(query).await["replays"]["nodes"][0].clone();
    assert!(replay["endedAt"].is_null(), "more may come: {replay}");
    let want = json!({ "announced": 30, "known": 30, "waiting": 0, "unchanged": 27, "newRevisions": 3, "failed": 0 });
    for (name, n) in want.as_object().expect("an object") {
        assert_eq!(replay[name], *n, "{name}: {replay}");
    }
    assert!(replay["bytesAdded"].as_i64() > Some(0));
    // One notification is not a replay, nor are a few.
    app.app.clock.advance(Duration::from_secs(120));
    for number in 1..=19 {
        app.portal.enviar(number).await;
    }
    app.settled(79).await;
    let replays = app.query("{ replays(first: 1) { totalCount pageInfo { hasNextPage } } }").await;
    assert_eq!(replays["replays"], json!({ "totalCount": 2, "pageInfo": { "hasNextPage": true } }));
}

on_each_database!(a_bulk_run_of_new_publications_is_a_replay);
async fn a_bulk_run_of_new_publications_is_a_replay(db: Db) {
    let app = TestApp::on(db).await;
    catalogue(&app, 25);
    for number in 1..=4 {
        app.archive(number).await;
    }
    app.app.clock.advance(Duration::from_secs(61));
    app.portal.enviar_tudo().await;
    // What the run itself announced first was not known before it.
    for number in 20..=25 {
        app.portal.enviar(number).await;
    }
    app.settled(35).await;
    let query = "{ replays { nodes { announced known waiting unchanged newRevisions failed } } }";
    let want = json!({ "announced": 31, "known": 4, "waiting": 0, "unchanged": 10, "newRevisions": 21, "failed": 0 });
    assert_eq!(app.query(query).await["replays"]["nodes"], json!([want]));
}

on_each_database!(conditional_requests_transfer_no_bytes);
async fn conditional_requests_transfer_no_bytes(db: Db) {
    for validators in [Validators::Etag, Validators::LastModified] {
        let app = TestApp::on(db).await;
        let mut first = product(1, "Produto", "a.csv", &b"primeira"[..]);
        first.versions[0].published_at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(60);
        let number = app.portal.add(first);
        app.portal.set_validators(validators);
        app.archive(number).await;
        app.portal.enviar(number).await;
        app.settled(2).await;
        assert_eq!((app.portal.downloads().len(), app.portal.bodies()), (2, 1), "{validators:?}");
        assert_eq!(tally(&app).await, (1, 1, 0));
        // Another file under the same name is another file.
        app.portal.change(number, |product| {
            crate::harness::samples::replace(product, &b"segunda"[..]);
            product.versions[0].published_at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(30);
        });
        app.portal.enviar(number).await;
        app.settled(3).await;
        assert_eq!((app.portal.bodies(), tally(&app).await), (2, (2, 1, 0)), "{validators:?}");
        // What another publication has under the same address is fetched whole for this one.
        app.portal.change(number, |product| {
            let day = jiff::civil::date(2025, 2, 21);
            product.versions[0].period = acervo::portal::Periodicity::Daily.period_of(day);
        });
        app.portal.enviar(number).await;
        app.settled(4).await;
        assert_eq!((app.portal.bodies(), tally(&app).await), (3, (3, 1, 0)), "{validators:?}");
        let data = app.query("{ publications { nodes { sha256 } } }").await;
        let expected = json!({ "sha256": sha256(b"segunda") });
        assert_eq!(data["publications"]["nodes"], json!([expected, expected]));
    }
}

on_each_database!(an_hour_of_errors_loses_nothing);
async fn an_hour_of_errors_loses_nothing(db: Db) {
    let hourly = [("fetch.retry_first", "5s".to_owned()), ("fetch.retry_max", "15min".to_owned())];
    let app = TestApp::with(Options {
        values: hourly.into(),
        database_url: crate::harness::postgres::database(db),
        ..Options::default()
    })
    .await;
    catalogue(&app, 20);
    app.portal.set_faults(Faults { status: Some(500), ..Faults::default() });
    app.portal.enviar_tudo().await;
    let query = "{ status { pausedHosts { host } } }";
    app.until(query, |data| data["status"]["pausedHosts"] == json!([{ "host": "127.0.0.1" }])).await;
    // At most once a minute it is tried whether the host is back; which minutes depends on when links are due. The queries
    // give the service its turns.
    let begun = app.portal.downloads().len();
    for _ in 0..60 {
        app.app.clock.advance(Duration::from_secs(60));
        for _ in 0..5 {
            app.query(query).await;
        }
    }
    until("an attempt", async || {
        app.app.clock.advance(Duration::from_secs(60));
        (app.portal.downloads().len() > begun).then_some(())
    })
    .await;
    assert_eq!(app.query("{ status { expired } }").await["status"]["expired"], 0);
    let asked = app.portal.downloads().len();
    assert!(asked < 100, "a portal in trouble was asked {asked} times in an hour");
    app.portal.set_faults(Faults::default());
    until("all files", async || {
        app.app.clock.advance(Duration::from_secs(60));
        (tally(&app).await.0 == 20).then_some(())
    })
    .await;
    app.settled(20).await;
    assert_eq!(app.query("{ status { pausedHosts { host } } }").await["status"]["pausedHosts"], json!([]));
}

on_each_database!(links_that_expire_in_an_outage_are_reported_and_not_retried);
async fn links_that_expire_in_an_outage_are_reported_and_not_retried(db: Db) {
    const LINKS: u32 = 40;
    let app = TestApp::on(db).await;
    catalogue(&app, LINKS);
    let webhook = |token: &str| Webhook {
        url: format!("{}/webhook", app.url),
        credentials: Credentials::Token(SecretString::from(token)),
    };
    app.portal.set_link_life(Duration::from_secs(60));
    app.portal.set_faults(Faults { status: Some(503), ..Faults::default() });
    // Some are refused first: only these are pending for the portal.
    app.portal.set_webhook(webhook("errado"));
    for number in 1..=5 {
        assert_eq!(app.portal.enviar(number).await.expect("a product").status, Some(401));
    }
    app.portal.set_webhook(webhook(TOKEN));
    assert_eq!(app.portal.reenviar_pendentes().await.sent, 5);
    for number in 6..=LINKS {
        assert!(app.portal.enviar(number).await.expect("a product").is_delivered());
    }
    app.until("{ status { retrying } }", |data| data["status"]["retrying"].as_u64() > Some(0)).await;
    app.app.clock.advance(Duration::from_secs(90));
    let query = "{ status { expired } publications(filter: { status: [LOST] }) { totalCount } }";
    app.until(query, |data| data["status"]["expired"] == LINKS && data["publications"]["totalCount"] == LINKS).await;
    assert_eq!(app.query("{ status { queued } }").await["status"]["queued"], 0);
    let asked = app.portal.downloads().len();
    app.portal.set_faults(Faults::default());
    app.app.clock.advance(Duration::from_secs(3600));
    assert_eq!(app.portal.reenviar_pendentes().await.sent, 0, "what was answered 202 is not pending");
    assert_eq!(app.portal.downloads().len(), asked, "an expired link was tried");
    app.portal.set_link_life(acervo::portal::LINK_LIFE);
    assert_eq!(app.portal.enviar_tudo().await.delivered, LINKS);
    app.settled(u64::from(2 * LINKS)).await;
    let data = app.query("{ publications(filter: { status: [ARCHIVED] }) { totalCount } }").await;
    assert_eq!(data["publications"]["totalCount"], LINKS);
    assert_eq!(tally(&app).await, (u64::from(LINKS), 0, u64::from(LINKS)));
}

#[tokio::test]
async fn links_about_to_expire_are_counted() {
    let slow = [("fetch.retry_first", "1h".to_owned()), ("fetch.retry_max", "1h".to_owned())];
    let app = TestApp::with(Options { values: slow.into(), ..Options::default() }).await;
    catalogue(&app, 3);
    app.leaves_work_unsettled("the next attempt is hours away");
    app.portal.set_faults(Faults { status: Some(404), ..Faults::default() });
    app.portal.enviar_tudo().await;
    app.until("{ status { retrying dyingLinks } }", |data| data["status"]["retrying"] == 3).await;
    app.app.clock.advance(Duration::from_secs(3600));
    assert_eq!(app.query("{ status { dyingLinks } }").await["status"]["dyingLinks"], 0);
    app.app.clock.advance(Duration::from_secs(21 * 3600 + 1800));
    assert_eq!(app.query("{ status { dyingLinks } }").await["status"]["dyingLinks"], 3);
    let metrics = app.client.get(format!("{}/metrics", app.url)).bearer_auth(crate::harness::KEY);
    assert_eq!(metrics.send().await.expect("a response").status(), 200);
    // The command calls the service, which responds on this thread.
    let mut status = crate::harness::process::acervo(app.folder.path());
    let output = tokio::task::spawn_blocking(move || status.arg("status").output().expect("a binary"));
    let output = output.await.expect("a thread");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A body without a file: it is recorded as rejected, but counts as a notification from its source.
async fn rejected_body(app: &TestApp) {
    assert_eq!(app.notify("{\"nome\": \"x\"}").await.0, 422);
}

async fn source(app: &TestApp) -> Value {
    app.query("{ status { sources { name silent denied } } }").await["status"]["sources"][0].clone()
}

on_each_database!(silent_sources_and_denied_credentials_are_reported);
async fn silent_sources_and_denied_credentials_are_reported(db: Db) {
    let app = TestApp::on(db).await;
    // Four weeks of a word an hour, night and day.
    for _ in 0..28 * 24 {
        rejected_body(&app).await;
        app.app.clock.advance(Duration::from_secs(3600));
    }
    assert_eq!(source(&app).await, json!({ "name": "default", "silent": false, "denied": 0 }));
    app.app.clock.advance(Duration::from_secs(3600));
    assert_eq!(source(&app).await["silent"], false, "two hours are none");
    app.app.clock.advance(Duration::from_secs(6 * 3600));
    assert_eq!(source(&app).await["silent"], true);
    // Knocking with a wrong token does not end it, but is counted.
    for _ in 0..7 {
        let knock = app.client.post(format!("{}/webhook", app.url)).header("authorization", "errado");
        assert_eq!(knock.body("{}").send().await.expect("a response").status(), 401);
    }
    app.until("{ status { sources { silent denied } } }", |data| {
        data["status"]["sources"][0] == json!({ "silent": true, "denied": 7 })
    })
    .await;
    // So are wrong keys, which belong to no source; a command of another process sees them too.
    for _ in 0..3 {
        let wrong = app.client.get(format!("{}/metrics", app.url)).bearer_auth("errada");
        assert_eq!(wrong.send().await.expect("a response").status(), 401);
    }
    app.until("{ status { deniedKeys sources { name } } }", |data| {
        data["status"]["deniedKeys"] == 3 && data["status"]["sources"].as_array().map(Vec::len) == Some(1)
    })
    .await;
    rejected_body(&app).await;
    assert_eq!(source(&app).await["silent"], false);
}

#[tokio::test]
async fn responses_that_are_not_a_file_are_rejected_or_retried() {
    let values = [("fetch.max_bytes", "2 MiB".to_owned()), ("fetch.stall", "1s".to_owned())];
    let app = TestApp::with(Options { values: values.into(), ..Options::default() }).await;
    let bytes = b"Periodo;Valor\r\n".repeat(2000);
    let cases = [
        (Faults { endless: true, ..Faults::default() }, "FAILED", "larger than"),
        (Faults { bomb: 16 << 20, ..Faults::default() }, "FAILED", "larger than"),
        (Faults { drip_ms: 10, ..Faults::default() }, "RETRYING", "fewer than"),
        (Faults { cut_after: Some(100), ..Faults::default() }, "RETRYING", "transfer failed"),
        (Faults { longer_by: 9, ..Faults::default() }, "RETRYING", "transfer failed"),
        (Faults { html: true, ..Faults::default() }, "RETRYING", "HTML"),
    ];
    for (i, (faults, status, error)) in cases.into_iter().enumerate() {
        let name = format!("Produto {i}");
        let number = app.portal.add(product(i as u32 + 1, &name, "a.csv", bytes.clone()));
        app.portal.set_faults(Faults { product: Some(number), ..faults.clone() });
        app.portal.enviar(number).await;
        let query = format!(
            "{{ notifications(first: 1, filter: {{ name: {{ eq: \"{name}\" }} }}) {{ nodes {{ status error }} }} }}"
        );
        let data = app
            .until(&query, |data| {
                let node = &data["notifications"]["nodes"][0];
                node["status"] == status || (node["status"] == "FETCHING" && !node["error"].is_null())
            })
            .await;
        let message = data["notifications"]["nodes"][0]["error"].as_str().expect("an error").to_owned();
        assert!(message.contains(error), "{faults:?}: {message}");
        app.portal.set_faults(Faults::default());
    }
    app.settled(6).await;
    // The four files that could be fetched are there, complete, and nothing else.
    assert_eq!(tally(&app).await.0, 4);
    let kept = crate::harness::files_in(&app.folder.path().join("data/archive"));
    let kept: Vec<_> = kept.iter().filter(|path| !path.display().to_string().contains("incoming")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].display().to_string().contains(&sha256(&bytes)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_whatever_is_fetched() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let mut command = acervo(folder.path());
    command.env("ACERVO_FETCH_MAX_BYTES", "64 MiB").env("ACERVO_FETCH_STALL", "2s");
    let served = Served::spawn(command, folder.path().join("log.txt"), port, "warn");
    let portal = crate::harness::portal(&format!("{}/webhook", served.url), Default::default()).await;
    let settled = async |n: u64| {
        let query = "{ notifications(filter: { status: [ARCHIVED, FAILED, UNCHANGED] }) { totalCount } }";
        served.until(query, |data| data["notifications"]["totalCount"] == n).await;
    };
    // What any work takes, once: small files and a large one.
    for number in 1..=20 {
        let pieces = if number == 20 { 3_000_000 } else { 100_000 };
        let bytes = format!("conteúdo {number};").repeat(pieces);
        portal.add(product(number, &format!("Produto {number}"), "a.csv", bytes));
        portal.enviar(number).await;
    }
    settled(20).await;
    let before = served.memory();
    let faults = [
        Faults { endless: true, ..Faults::default() },
        Faults { bomb: 100 << 20, ..Faults::default() },
        Faults { endless: true, ..Faults::default() },
    ];
    for (n, faults) in (21..).zip(faults) {
        portal.add(product(n, &format!("Produto {n}"), "a.csv", &b"x"[..]));
        portal.set_faults(faults);
        portal.enviar(n).await;
        settled(u64::from(n)).await;
    }
    // The memory that a file used is released soon.
    until("memory is returned", async || {
        settled(23).await;
        (served.memory().saturating_sub(before) <= 32 << 20).then_some(())
    })
    .await;
}
