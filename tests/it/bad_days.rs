use std::time::{Duration, Instant};

use acervo::portal::{Credentials, Faults, Validators, Webhook};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::harness::burst::ask;
use crate::harness::disk::SmallDisk;
use crate::harness::process::{Served, acervo, free_port};
use crate::harness::samples::product;
use crate::harness::{Db, KEY, Options, PATIENCE, TOKEN, TestApp, bytes_in, sha256};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enviar_tudo_twice_adds_nothing_and_what_is_fresh_goes_first() {
    const PRODUCTS: u32 = 2000;
    const FRESH: u32 = 20;
    let app = TestApp::start().await;
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
    // Again, slowly enough that a queue builds up.
    app.portal.set_faults(Faults { latency_ms: 15, ..Faults::default() });
    // A run of its own.
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
        let number = PRODUCTS + n;
        app.portal.add(product(number, &format!("Novidade {n}"), "novo.csv", format!("novo {n}")));
        let began = Instant::now();
        assert!(app.portal.enviar(number).await.expect("a product").is_delivered());
        let query = format!(
            "{{ notifications(first: 1, filter: {{ name: {{ eq: \"Novidade {n}\" }} }}) {{ nodes {{ status }} }} }}"
        );
        app.until(&query, |data| data["notifications"]["nodes"][0]["status"] == "ARCHIVED").await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "a fresh publication took {took:?} during a replay");
    }
    assert_eq!(replay.await.expect("a replay").delivered, PRODUCTS);
    app.settled(u64::from(2 * PRODUCTS + FRESH)).await;
    assert_eq!(tally(&app).await, (u64::from(PRODUCTS + FRESH), u64::from(PRODUCTS), 0));
    assert_eq!(app.portal.bodies(), bodies + u64::from(FRESH), "a body was sent that is there already");
    let fresh: u64 = (1..=FRESH).map(|n| format!("novo {n}").len() as u64).sum();
    let grown = bytes_in(&app.folder.path().join("data/archive")) - stored;
    assert!(grown <= fresh, "{grown} bytes for {fresh}");
    app.app.clock.advance(Duration::from_secs(61));
    let data = app.until("{ replays { totalCount nodes { source startedAt endedAt announced known waiting unchanged newRevisions failed bytesAdded } } status { lastReplay { announced } } }", |data| data["replays"]["nodes"][0]["endedAt"].is_string()).await;
    let replay = &data["replays"]["nodes"][0];
    assert_eq!(data["replays"]["totalCount"], 2);
    let count = |name: &str| replay[name].as_u64().expect("a count") as u32;
    assert_eq!(
        (count("announced"), count("waiting"), count("unchanged"), count("newRevisions"), count("failed")),
        (PRODUCTS + FRESH, 0, PRODUCTS, FRESH, 0)
    );
    assert_eq!(count("known"), PRODUCTS, "of those that were fresh none was known");
    assert_eq!(u64::from(count("bytesAdded")), grown);
    assert_eq!(data["status"]["lastReplay"]["announced"], PRODUCTS + FRESH);
}

#[tokio::test]
async fn a_replay_brings_what_changed_and_says_what_did_not() {
    for db in Db::all() {
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
        let query = "{ replays { nodes { id source endedAt announced known waiting unchanged newRevisions failed bytesAdded } } }";
        let replay = app.query(query).await["replays"]["nodes"][0].clone();
        assert!(replay["endedAt"].is_null(), "more may come: {replay}");
        let want =
            json!({ "announced": 30, "known": 30, "waiting": 0, "unchanged": 27, "newRevisions": 3, "failed": 0 });
        for (name, n) in want.as_object().expect("an object") {
            assert_eq!(replay[name], *n, "{name}: {replay}");
        }
        assert!(replay["bytesAdded"].as_i64() > Some(0));
        // A single word is no replay, nor are few.
        app.app.clock.advance(Duration::from_secs(120));
        for number in 1..=19 {
            app.portal.enviar(number).await;
        }
        app.settled(79).await;
        let replays = app.query("{ replays(first: 1) { totalCount pageInfo { hasNextPage } } }").await;
        assert_eq!(replays["replays"], json!({ "totalCount": 2, "pageInfo": { "hasNextPage": true } }));
    }
}

#[tokio::test]
async fn a_run_of_what_is_new_is_a_replay_and_says_what_was_known_before_it() {
    for db in Db::all() {
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
        let want =
            json!({ "announced": 31, "known": 4, "waiting": 0, "unchanged": 10, "newRevisions": 21, "failed": 0 });
        assert_eq!(app.query(query).await["replays"]["nodes"], json!([want]));
    }
}

#[tokio::test]
async fn what_the_portal_vouches_for_is_not_sent_again() {
    for (db, validators) in
        Db::all().into_iter().flat_map(|db| [(db, Validators::Etag), (db, Validators::LastModified)])
    {
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

#[tokio::test]
async fn an_hour_of_errors_costs_nothing_but_an_hour() {
    for db in Db::all() {
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
        for _ in 0..60 {
            app.app.clock.advance(Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let query = "{ status { expired pausedHosts { host } } open: notifications(filter: { status: [QUEUED, FETCHING, RETRYING] }) { totalCount } }";
        let data = app.until(query, |data| data["status"]["pausedHosts"] == json!([{ "host": "127.0.0.1" }])).await;
        assert_eq!((data["open"]["totalCount"].as_u64(), data["status"]["expired"].as_u64()), (Some(20), Some(0)));
        let asked = app.portal.downloads().len();
        assert!(asked < 100, "a portal in trouble was asked {asked} times in an hour");
        app.portal.set_faults(Faults::default());
        let began = Instant::now();
        while tally(&app).await.0 < 20 {
            app.app.clock.advance(Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(25)).await;
            assert!(began.elapsed() < PATIENCE);
        }
        assert_eq!(app.query("{ status { pausedHosts { host } } }").await["status"]["pausedHosts"], json!([]));
    }
}

#[tokio::test]
async fn links_that_die_in_an_outage_are_told_of_and_not_tried_again() {
    const LINKS: u32 = 40;
    for db in Db::all() {
        let app = TestApp::on(db).await;
        catalogue(&app, LINKS);
        let webhook = |token: &str| Webhook {
            url: format!("{}/webhook", app.url),
            credentials: Credentials::Token(SecretString::from(token)),
        };
        app.portal.set_link_life(Duration::from_secs(60));
        app.portal.set_faults(Faults { status: Some(503), ..Faults::default() });
        // Some are turned away at the door first: only these are pending for the portal.
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
        let data = app.until("{ status { expired queued retrying fetching } publications(filter: { status: [LOST] }) { totalCount } }", |data| data["status"]["expired"] == LINKS && data["publications"]["totalCount"] == LINKS).await;
        assert_eq!(data["status"]["queued"], 0);
        let asked = app.portal.downloads().len();
        app.portal.set_faults(Faults::default());
        app.app.clock.advance(Duration::from_secs(3600));
        assert_eq!(app.portal.reenviar_pendentes().await.sent, 0, "what was answered 202 is not pending");
        assert_eq!(app.portal.downloads().len(), asked, "a dead link was tried");
        app.portal.set_link_life(acervo::portal::LINK_LIFE);
        assert_eq!(app.portal.enviar_tudo().await.delivered, LINKS);
        app.settled(u64::from(2 * LINKS)).await;
        let data = app.query("{ publications(filter: { status: [ARCHIVED] }) { totalCount } }").await;
        assert_eq!(data["publications"]["totalCount"], LINKS);
        assert_eq!(tally(&app).await, (u64::from(LINKS), 0, u64::from(LINKS)));
    }
}

#[tokio::test]
async fn links_about_to_die_are_counted() {
    let slow = [("fetch.retry_first", "1h".to_owned()), ("fetch.retry_max", "1h".to_owned())];
    let app = TestApp::with(Options { values: slow.into(), ..Options::default() }).await;
    catalogue(&app, 3);
    app.portal.set_faults(Faults { status: Some(404), ..Faults::default() });
    app.portal.enviar_tudo().await;
    app.until("{ status { retrying dyingLinks } }", |data| data["status"]["retrying"] == 3).await;
    app.app.clock.advance(Duration::from_secs(3600));
    assert_eq!(app.query("{ status { dyingLinks } }").await["status"]["dyingLinks"], 0);
    app.app.clock.advance(Duration::from_secs(21 * 3600 + 1800));
    assert_eq!(app.query("{ status { dyingLinks } }").await["status"]["dyingLinks"], 3);
    let metrics = app.client.get(format!("{}/metrics", app.url)).bearer_auth(crate::harness::KEY);
    assert_eq!(metrics.send().await.expect("an answer").status(), 200);
    // The command asks the service, which answers on this thread.
    let mut status = crate::harness::process::acervo(app.folder.path());
    let output = tokio::task::spawn_blocking(move || status.arg("status").output().expect("a binary"));
    let output = output.await.expect("a thread");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A body that needs no file: it is kept as rejected, but its source was heard.
async fn heard(app: &TestApp) {
    assert_eq!(app.notify("{\"nome\": \"x\"}").await.0, 422);
}

async fn source(app: &TestApp) -> Value {
    app.query("{ status { sources { name silent denied } } }").await["status"]["sources"][0].clone()
}

#[tokio::test]
async fn a_source_that_falls_silent_is_noticed_and_so_are_refused_log_ins() {
    for db in Db::all() {
        let app = TestApp::on(db).await;
        // Four weeks of a word an hour, night and day.
        for _ in 0..28 * 24 {
            heard(&app).await;
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
            assert_eq!(knock.body("{}").send().await.expect("an answer").status(), 401);
        }
        app.until("{ status { sources { silent denied } } }", |data| {
            data["status"]["sources"][0] == json!({ "silent": true, "denied": 7 })
        })
        .await;
        // So are wrong keys, which belong to no source; a command beside the service sees them too.
        for _ in 0..3 {
            let wrong = app.client.get(format!("{}/metrics", app.url)).bearer_auth("errada");
            assert_eq!(wrong.send().await.expect("an answer").status(), 401);
        }
        app.until("{ status { deniedKeys sources { name } } }", |data| {
            data["status"]["deniedKeys"] == 3 && data["status"]["sources"].as_array().map(Vec::len) == Some(1)
        })
        .await;
        heard(&app).await;
        assert_eq!(source(&app).await["silent"], false);
    }
}

#[tokio::test]
async fn bodies_that_are_no_file_end_well() {
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
        let told = data["notifications"]["nodes"][0]["error"].as_str().expect("an error").to_owned();
        assert!(told.contains(error), "{faults:?}: {told}");
        app.portal.set_faults(Faults::default());
    }
    let query = "{ open: notifications(filter: { status: [QUEUED, FETCHING, RETRYING] }) { totalCount } }";
    app.until(query, |data| data["open"]["totalCount"] == 0).await;
    // The four that could be had were, whole, and nothing else is there.
    assert_eq!(tally(&app).await.0, 4);
    let kept = crate::harness::files_in(&app.folder.path().join("data/archive"));
    let kept: Vec<_> = kept.iter().filter(|path| !path.display().to_string().contains("incoming")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].display().to_string().contains(&sha256(&bytes)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_stops_fetching_first_and_receiving_last() {
    let Some(disk) = SmallDisk::mount("64m") else { return };
    let port = free_port();
    let mut command = acervo(disk.path());
    command.env("ACERVO_LOG_FORMAT", "json").args([
        "--set",
        "disk.fetch_floor=12 MiB",
        "--set",
        "disk.receive_floor=3 MiB",
    ]);
    let log = tempfile::NamedTempFile::new().expect("a log");
    let served = Served::spawn(command, log.path().to_owned(), port, "info");
    let portal = crate::harness::portal(&format!("{}/webhook", served.url), Default::default()).await;
    let client = reqwest::Client::new();
    for number in 1..=4 {
        portal.add(product(number, &format!("Produto {number}"), "a.csv", format!("conteúdo {number}").repeat(100)));
    }
    let until = async |query: &str, holds: &dyn Fn(&Value) -> bool| {
        let began = Instant::now();
        loop {
            let data = ask(&client, &served.url, query).await.expect("an answer");
            if holds(&data) {
                return data;
            }
            assert!(began.elapsed() < PATIENCE, "{query}: {data}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let archived = |n: u64| move |data: &Value| data["publications"]["totalCount"].as_u64() == Some(n);
    let query = "{ publications(filter: { status: [ARCHIVED] }) { totalCount nodes { revisionId } } }";
    portal.enviar(1).await;
    let revision = until(query, &archived(1)).await["publications"]["nodes"][0]["revisionId"].clone();
    let file = format!("{}/files/{}", served.url, revision.as_str().expect("an id"));
    let get = async |url: &str| client.get(url).bearer_auth(KEY).send().await.expect("an answer").status().as_u16();
    // Between the floors: recorded, not fetched.
    disk.leave(6 << 20);
    until("{ status { fetchingWaits } }", &|data| data["status"]["fetchingWaits"].is_string()).await;
    assert_eq!(portal.enviar(2).await.expect("a product").status, Some(202));
    assert_eq!(get(&format!("{}/readyz", served.url)).await, 200);
    let data = ask(&client, &served.url, "{ status { queued fetchingWaits } }").await.expect("an answer");
    assert_eq!(data["status"]["queued"], 1);
    // Below both: the portal keeps it. What is there is read all the same.
    disk.leave(1 << 20);
    let turned = portal.enviar(3).await.expect("a product");
    assert_eq!(turned.status, Some(503));
    assert_eq!((get(&format!("{}/readyz", served.url)).await, get(&file).await), (503, 200));
    disk.fill();
    assert_eq!(portal.enviar(4).await.expect("a product").status, Some(503));
    assert_eq!(get(&file).await, 200);
    // With room again it goes on by itself, and the portal sends what it kept.
    disk.empty();
    let sent = portal.reenviar_pendentes().await;
    assert_eq!((sent.sent, sent.delivered), (2, 2));
    until(query, &archived(4)).await;
    assert_eq!(get(&format!("{}/readyz", served.url)).await, 200);
    let told = std::fs::read_to_string(log.path()).expect("a log");
    assert!(told.contains("fetching waits") && told.contains("there is room again"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_whatever_the_bodies() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let mut command = acervo(folder.path());
    command.env("ACERVO_FETCH_MAX_BYTES", "64 MiB").env("ACERVO_FETCH_STALL", "2s");
    let served = Served::spawn(command, folder.path().join("log.txt"), port, "warn");
    let portal = crate::harness::portal(&format!("{}/webhook", served.url), Default::default()).await;
    let client = reqwest::Client::new();
    let settled = async |n: u64| {
        let query = "{ notifications(filter: { status: [ARCHIVED, FAILED, UNCHANGED] }) { totalCount } }";
        let began = Instant::now();
        while ask(&client, &served.url, query).await.expect("an answer")["notifications"]["totalCount"].as_u64()
            != Some(n)
        {
            assert!(began.elapsed() < PATIENCE, "not settled: {n}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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
    // What a file took is given back within moments.
    let began = Instant::now();
    loop {
        let grown = served.memory().saturating_sub(before);
        if grown <= 32 << 20 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "memory grew by {grown} bytes");
        settled(23).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
