use std::sync::{Arc, Mutex};
use std::time::Duration;

use acervo::leaves::record::NewHookEvent;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::Digest as _;
use tempfile::TempDir;

use crate::harness::endpoint::{Answer, Endpoint, Received};
use crate::harness::links::FileServer;
use crate::harness::notice::Notice;
use crate::harness::process::{Served, acervo, free_port};
use crate::harness::samples::product;
use crate::harness::{Db, Options, TestApp, burst, on_each_database, postgres, sha256, until};

/// The secret of the tests, and its key.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const HEADER: &str = "Bearer credencial-do-airflow";

/// A configuration with one hook, `decks`, and these further lines.
fn config(endpoint: &Endpoint, lines: &str) -> String {
    format!(
        "[[hook]]\nname = \"decks\"\nurl = \"{}\"\nallow_private = true\nsecret = \"{SECRET}\"\n\
         headers = {{ Authorization = \"{HEADER}\" }}\n{lines}\n",
        endpoint.url
    )
}

/// The usual lines: an endpoint that answers late is given up soon.
const ALL: &str = "events = [\"archived\", \"lost\"]\ntimeout = \"400ms\"\nretry_first = \"5s\"\nretry_max = \"10min\"";

/// What services of one archive have in common.
struct Archive {
    folder: Arc<TempDir>,
    database_url: Option<String>,
}

impl Archive {
    fn new(db: Db, config: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        std::fs::write(folder.path().join("acervo.toml"), config).expect("a file");
        Self { folder, database_url: postgres::database(db) }
    }

    async fn open(&self) -> TestApp {
        let (folder, config) = (Some(self.folder.clone()), Some(self.folder.path().join("acervo.toml")));
        TestApp::with(Options { folder, config, database_url: self.database_url.clone(), ..Options::default() }).await
    }

    fn command(&self) -> std::process::Command {
        let mut command = acervo(self.folder.path());
        command.envs(self.database_url.iter().map(|url| ("ACERVO_DATABASE_URL", url)));
        command
    }
}

fn record(app: &TestApp) -> &acervo::leaves::record::Record {
    acervo::leaves::record(&app.app)
}

/// Failed attempts so far, and waits until there are more than a number.
async fn until_failed(app: &TestApp, hook: &str, more_than: u64) -> u64 {
    until(&format!("a failed attempt of {hook}"), async || {
        let state = record(app).hooks().state(hook).await.expect("a state")?;
        Some(state.failed).filter(|failed| *failed > more_than)
    })
    .await
}

/// Waits until the hook is done with everything that is committed.
async fn until_idle(app: &TestApp, delivered: u64) {
    until("everything delivered", async || {
        let state = record(app).hooks().state("decks").await.expect("a state")?;
        (state.pending.is_none() && state.delivered >= delivered).then_some(())
    })
    .await;
}

/// The revisions of the archive in the order of the feed.
async fn archived(app: &TestApp) -> Vec<String> {
    let data = app.query("{ changes(first: 1000) { nodes { kind revision { id } } } }").await;
    let changes = data["changes"]["nodes"].as_array().expect("a list");
    let of_files = changes.iter().filter(|change| change["kind"] == "ARCHIVED");
    of_files.map(|change| change["revision"]["id"].as_str().expect("an id").to_owned()).collect()
}

fn revisions(received: &[Received]) -> Vec<String> {
    received.iter().filter_map(|one| Some(one.json()["data"]["revisionId"].as_str()?.to_owned())).collect()
}

/// HMAC-SHA256 by its definition (RFC 2104), and the signature that the specification makes of it.
fn signed(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
    key.resize(64, 0);
    let pad = |byte: u8| key.iter().map(|k| k ^ byte).collect::<Vec<u8>>();
    let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let inner = sha2::Sha256::digest([pad(0x36), content].concat());
    let outer = sha2::Sha256::digest([pad(0x5c), inner.to_vec()].concat());
    format!("v1,{}", STANDARD.encode(outer))
}

fn assert_signed(one: &Received) {
    let expected = signed(SECRET, one.id(), one.header("webhook-timestamp"), &one.body);
    assert_eq!(one.header("webhook-signature"), expected);
}

/// The file could be read when the message arrived.
fn assert_readable(one: &Received) {
    let (status, digest) = one.file.clone().expect("a file that was requested");
    assert_eq!(status, 200, "{:?}", one.json());
    assert_eq!(one.json()["data"]["sha256"], digest);
}

on_each_database!(an_archived_file_is_sent_signed_and_readable, 2 threads);
async fn an_archived_file_is_sent_signed_and_readable(db: Db) {
    let endpoint = Endpoint::start(Answer::Status(200)).await;
    let archive = Archive::new(db, &config(&endpoint, ALL));
    let app = archive.open().await;
    endpoint.fetches_from(&app.url);
    app.portal.add(product(487, "Deck NEWAVE Preliminar", "deck.zip", "conteúdo"));
    let end = app.archive(487).await;
    let received = endpoint.until_accepted(1).await;
    let one = &received[0];
    assert_signed(one);
    assert_readable(one);
    assert_eq!(one.header("authorization"), HEADER);
    assert_eq!(one.header("content-type"), "application/json");
    let sent = one.json();
    assert_eq!((sent["type"].as_str(), sent["id"].as_str()), (Some("archived"), Some(one.id())));
    let query = format!(
        "{{ revision(id: {}) {{ revisionId: id revisionNumber: number publicationId fileName fileExtension contentType size \
         sha256 fileUrl announcedAt receivedAt archivedAt warnings name process referenceDate periodStart periodEnd \
         publication {{ productId macroProcess granularity }} }} }}",
        end["revision"]["id"]
    );
    let mut revision = app.query(&query).await["revision"].clone();
    let publication = revision.as_object_mut().expect("an object").remove("publication").expect("a publication");
    for (name, value) in revision.as_object().into_iter().chain(publication.as_object()).flatten() {
        assert_eq!(sent["data"][name], *value, "{name}: {sent}");
    }
    let text = sent.to_string();
    for secret in ["token", "canario", "eyJ"] {
        assert!(!text.contains(secret), "{text}");
    }
    until_idle(&app, 1).await;
    assert_eq!(endpoint.received().len(), 1, "sent again without need");
}

on_each_database!(every_event_arrives_in_order_once_the_endpoint_heals, 2 threads);
/// An endpoint that fails, hangs, redirects to this machine and answers late, while the archive goes on.
async fn every_event_arrives_in_order_once_the_endpoint_heals(db: Db) {
    let endpoint = Endpoint::start(Answer::Status(500)).await;
    let elsewhere = Endpoint::start(Answer::Status(200)).await;
    let archive = Archive::new(db, &config(&endpoint, ALL));
    let app = archive.open().await;
    endpoint.fetches_from(&app.url);
    let mut failed = 0;
    let answers = [
        Answer::Status(500),
        Answer::Hold,
        Answer::Redirect(elsewhere.url.clone()),
        Answer::RetryAfter(429, 30),
        Answer::Status(404),
    ];
    for (number, answer) in (1..).zip(answers) {
        endpoint.answer(answer);
        // The archive does not wait for it.
        app.portal.add(product(number, &format!("Produto {number}"), "deck.txt", format!("arquivo {number}")));
        assert_eq!(app.archive(number).await["status"], "ARCHIVED");
        for _ in 0..2 {
            app.app.clock.advance(Duration::from_secs(660));
            failed = until_failed(&app, "decks", failed).await;
        }
        // What was held is answered after the attempt was given up.
        endpoint.release();
    }
    endpoint.answer(Answer::Status(200));
    app.app.clock.advance(Duration::from_secs(660));
    let accepted = endpoint.until_accepted(5).await;
    assert_eq!(revisions(&accepted), archived(&app).await);
    endpoint.received().iter().for_each(|one| {
        assert_signed(one);
        assert_readable(one);
    });
    // Until the first one was delivered, no other was sent.
    let ids: Vec<String> = endpoint.received().iter().map(|one| one.id().to_owned()).collect();
    let changes = ids.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(changes, 4, "out of order: {ids:?}");
    until_idle(&app, 5).await;
    assert!(elsewhere.received().is_empty(), "a redirect was followed");
    let state = record(&app).hooks().state("decks").await.expect("a state").expect("a hook");
    assert_eq!((state.delivered, state.failed), (5, failed));
    let (log, total) = record(&app).hooks().deliveries(Some("decks"), None, 100).await.expect("a log");
    assert_eq!((log.len() as u64, total), (5 + failed, 5 + failed));
    for (n, expected) in
        ["answered 500", "did not answer", "redirect", "answered 429", "answered 404"].iter().enumerate()
    {
        let error = log.iter().filter_map(|one| one.error.as_deref()).any(|error| error.contains(expected));
        assert!(error, "{n}: {expected}: {log:?}");
    }
}

on_each_database!(for_an_hour_bad_endpoints_cost_no_event, 2 threads);
/// Four endpoints for an hour: one fails, one never answers, one redirects to a private address, one answers after it was given up.
async fn for_an_hour_bad_endpoints_cost_no_event(db: Db) {
    const MINUTES: u32 = 60;
    let elsewhere = Endpoint::start(Answer::Status(200)).await;
    let bad = [
        ("fails", Answer::Status(500)),
        ("hangs", Answer::Hold),
        ("redirects", Answer::Redirect(elsewhere.url.clone())),
        ("late", Answer::Hold),
    ];
    let mut hooks = Vec::new();
    let mut lines = String::new();
    for (name, answer) in bad {
        let endpoint = Endpoint::start(answer).await;
        let one = config(
            &endpoint,
            "events = [\"archived\"]\ntimeout = \"400ms\"\nretry_first = \"5s\"\nretry_max = \"4min\"",
        );
        lines += &one.replace("\"decks\"", &format!("\"{name}\""));
        hooks.push((name, endpoint));
    }
    let archive = Archive::new(db, &lines);
    let app = archive.open().await;
    hooks.iter().for_each(|(_, endpoint)| endpoint.fetches_from(&app.url));
    let mut failed = [0; 4];
    for minute in 1..=MINUTES {
        app.portal.add(product(minute, &format!("Produto {minute}"), "deck.txt", format!("arquivo {minute}")));
        assert_eq!(app.archive(minute).await["status"], "ARCHIVED");
        app.app.clock.advance(Duration::from_secs(60));
        if minute % 5 == 0 {
            for ((name, _), failed) in hooks.iter().zip(&mut failed) {
                *failed = until_failed(&app, name, *failed).await;
            }
            hooks[3].1.release();
        }
    }
    for (name, _) in &hooks[..3] {
        let state = record(&app).hooks().state(name).await.expect("a state").expect("a hook");
        assert_eq!(state.delivered, 0, "{name}");
    }
    for (_, endpoint) in &hooks {
        endpoint.answer(Answer::Status(200));
        endpoint.release();
    }
    app.app.clock.advance(Duration::from_secs(300));
    let expected = archived(&app).await;
    assert_eq!(expected.len(), MINUTES as usize);
    for (name, endpoint) in &hooks {
        let accepted = endpoint.until_accepted(expected.len()).await;
        assert_eq!(revisions(&accepted), expected, "{name}");
        endpoint.received().iter().for_each(assert_readable);
    }
    assert!(elsewhere.received().is_empty(), "a redirect was followed");
}

on_each_database!(a_hook_continues_where_it_was_and_begins_at_the_present, 2 threads);
async fn a_hook_continues_where_it_was_and_begins_at_the_present(db: Db) {
    let endpoint = Endpoint::start(Answer::Status(200)).await;
    let archive = Archive::new(db, "");
    let app = archive.open().await;
    app.portal.add(product(1, "Antes", "antes.txt", "antes"));
    app.archive(1).await;
    app.stop().await;
    std::fs::write(archive.folder.path().join("acervo.toml"), config(&endpoint, ALL)).expect("a file");
    for round in 2..5 {
        // One is delivered, the other one waits until the next start.
        let app = archive.open().await;
        app.portal.add(product(round, &format!("Entregue {round}"), "a.txt", format!("a {round}")));
        app.portal.add(product(10 * round, &format!("Espera {round}"), "b.txt", format!("b {round}")));
        endpoint.answer(Answer::Status(200));
        // Each service begins with the present time, and the last one was ahead of it.
        app.app.clock.advance(Duration::from_secs(u64::from(600 * round)));
        app.archive(round).await;
        let accepted = 2 * round as usize - 3;
        endpoint.until_accepted(accepted).await;
        until_idle(&app, accepted as u64).await;
        endpoint.answer(Answer::Status(503));
        app.portal.enviar(10 * round).await;
        app.settled(u64::from(round - 1) * 2 + 1).await;
        endpoint.until(endpoint.received().len() + 1).await;
        app.stop().await;
    }
    let app = archive.open().await;
    endpoint.answer(Answer::Status(200));
    app.app.clock.advance(Duration::from_secs(600 * 5));
    let accepted = endpoint.until_accepted(6).await;
    assert_eq!(revisions(&accepted), archived(&app).await[1..], "{db:?}");
    until_idle(&app, 6).await;
}

on_each_database!(filters_choose_by_product_process_and_extension, 2 threads);
async fn filters_choose_by_product_process_and_extension(db: Db) {
    let endpoint = Endpoint::start(Answer::Status(200)).await;
    let lines =
        format!("{ALL}\nmatch = {{ name = [\"deck*newave*\"], process = [\"operacao em*\"], extension = [\"ZIP\"] }}");
    let app = Archive::new(db, &config(&endpoint, &lines)).open().await;
    let files = [
        (1, "Deck NEWAVE Preliminar", "a.zip"),
        (2, "Deck NEWAVE Preliminar 2", "a.pdf"),
        (3, "Deck DECOMP", "b.zip"),
        (4, "DECK NEWAVE DEFINITIVO", "c.ZIP"),
    ];
    for (n, (number, name, file)) in (1..).zip(files) {
        app.portal.add(product(number, name, file, file));
        app.portal.enviar(number).await;
        app.settled(n).await;
    }
    let accepted = endpoint.until_accepted(2).await;
    until_idle(&app, 2).await;
    let names: Vec<Value> = accepted.iter().map(|one| one.json()["data"]["fileName"].clone()).collect();
    assert_eq!(names, ["a.zip", "c.ZIP"]);
    assert_eq!(endpoint.received().len(), 2);
}

on_each_database!(a_lost_publication_is_sent, 2 threads);
async fn a_lost_publication_is_sent(db: Db) {
    let endpoint = Endpoint::start(Answer::Status(200)).await;
    let app = Archive::new(db, &config(&endpoint, ALL)).open().await;
    let links = FileServer::start().await;
    let link = links.link(&json!({ "URL": "/sites/9/1/Produtos/7/x.txt", "IsFile": "True" }));
    assert_eq!(app.notify(&Notice::full("Perdido").link(link).to_string()).await.0, 202);
    app.until("{ status { retrying } }", |data| data["status"]["retrying"] == 1).await;
    app.app.clock.advance(Duration::from_secs(2 * 86_400));
    let one = endpoint.until_accepted(1).await.remove(0);
    assert_signed(&one);
    let sent = one.json();
    assert_eq!((&sent["type"], &sent["data"]["name"]), (&json!("lost"), &json!("Perdido")));
    assert_eq!(sent["data"]["referenceDate"], "09/05/2025");
    assert!(sent["data"].get("revisionId").is_none(), "{sent}");
    assert!(!sent.to_string().contains("token"), "{sent}");
    until_idle(&app, 1).await;
    app.settled(1).await;
}

on_each_database!(an_event_that_is_never_accepted_becomes_a_dead_letter, 2 threads);
async fn an_event_that_is_never_accepted_becomes_a_dead_letter(db: Db) {
    let endpoint = Endpoint::start(Answer::Status(400)).await;
    let app = Archive::new(db, &config(&endpoint, &format!("{ALL}\ngive_up_after = \"30min\""))).open().await;
    for number in 1..=2 {
        app.portal.add(product(number, &format!("Produto {number}"), "a.txt", format!("a {number}")));
        app.portal.enviar(number).await;
        app.settled(u64::from(number)).await;
    }
    let mut failed = until_failed(&app, "decks", 0).await;
    let first = endpoint.received()[0].id().to_owned();
    for _ in 0..6 {
        app.app.clock.advance(Duration::from_secs(660));
        failed = until_failed(&app, "decks", failed).await;
        let (letters, _) = record(&app).hooks().letters(Some("decks"), None, 10).await.expect("letters");
        if !letters.is_empty() {
            break;
        }
    }
    let (letters, total) = record(&app).hooks().letters(Some("decks"), None, 10).await.expect("letters");
    assert_eq!(total, 1, "{letters:?}");
    assert!(letters[0].error.contains("answered 400"), "{letters:?}");
    endpoint.answer(Answer::Status(200));
    app.app.clock.advance(Duration::from_secs(660));
    endpoint.until_accepted(1).await;
    assert_ne!(endpoint.accepted()[0].id(), first, "the next one goes on");
    // An attempt on request, which fails and leaves the letter, and one that succeeds.
    for (answer, left) in [(500, 1), (200, 0)] {
        endpoint.answer(Answer::Status(answer));
        let sent = endpoint.received().len();
        assert_eq!(acervo::jobs::hooks::redeliver(&app.app, "decks", None).await.expect("a request"), 1);
        let received = endpoint.until(sent + 1).await;
        assert_eq!(received[sent].id(), first);
        until("the letter's end", async || {
            let (letters, total) = record(&app).hooks().letters(None, None, 10).await.expect("letters");
            (total == left && letters.iter().all(|letter| letter.redeliver_at.is_none())).then_some(())
        })
        .await;
    }
    let unknown = acervo::jobs::hooks::redeliver(&app.app, "outro", None).await.expect_err("an error");
    assert!(unknown.to_string().contains("no hook `outro`"), "{unknown}");
}

on_each_database!(an_endpoint_that_is_gone_gets_nothing_until_the_hook_is_enabled, 2 threads);
async fn an_endpoint_that_is_gone_gets_nothing_until_the_hook_is_enabled(db: Db) {
    let endpoint = Endpoint::start(Answer::Status(410)).await;
    let app = Archive::new(db, &config(&endpoint, ALL)).open().await;
    app.portal.add(product(1, "Um", "a.txt", "um"));
    app.archive(1).await;
    until_failed(&app, "decks", 0).await;
    app.app.clock.advance(Duration::from_secs(86_400));
    app.portal.add(product(2, "Dois", "b.txt", "dois"));
    app.archive(2).await;
    let state = record(&app).hooks().state("decks").await.expect("a state").expect("a hook");
    assert!(state.disabled_at.is_some());
    assert_eq!(endpoint.received().len(), 1, "it was asked again");
    endpoint.answer(Answer::Status(200));
    acervo::jobs::hooks::enable(&app.app, "decks").await.expect("a hook");
    assert_eq!(revisions(&endpoint.until_accepted(2).await), archived(&app).await);
    until_idle(&app, 2).await;
}

const ARCHIVED: &str = "{ publications(filter: { status: [ARCHIVED] }) { totalCount } }";

/// The moments at which the process is ended.
const STEPS: [&str; 4] = ["hook-before-send", "hook-after-send", "hook-after-delivered", "hook-after-failed"];

/// Announces one product's file.
async fn announce(url: &str, links: &FileServer, number: usize) {
    let path = format!("/sites/9/1/Produtos/{number}/arquivo.txt");
    links.offer(&path, format!("arquivo {number}").as_bytes(), None);
    let link = links.link(&json!({ "URL": path, "IsFile": "True" }));
    let body = Notice::new(format!("Produto {number}")).link(link).to_string();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    // The service may be killed meanwhile.
    let _ =
        client.post(format!("{url}/webhook")).header("authorization", crate::harness::TOKEN).body(body).send().await;
}

on_each_database!(killed_at_any_step_no_event_is_lost, 4 threads);
async fn killed_at_any_step_no_event_is_lost(db: Db) {
    // Together: with PostgreSQL each waits for the lock of the killed process to run out.
    futures_util::future::join_all(STEPS.iter().map(|step| killed_at(db, step))).await;
}

async fn killed_at(db: Db, step: &'static str) {
    let endpoint = Endpoint::start(Answer::Hold).await;
    let lines = "events = [\"archived\"]\nretry_first = \"50ms\"\nretry_max = \"100ms\"";
    let archive = Archive::new(db, &config(&endpoint, lines));
    let links = FileServer::start().await;
    let log = archive.folder.path().join("log.txt");
    let mut command = archive.command();
    command.env("FAILPOINTS", format!("lock-lasts=return(6000);{step}=1*off->return"));
    let mut served = tokio::task::block_in_place(|| Served::spawn(command, log.clone(), free_port(), "info"));
    for number in 1..=3 {
        announce(&served.url, &links, number).await;
    }
    // Only what hooks do is interrupted.
    served.until(ARCHIVED, |data| data["publications"]["totalCount"] == 3).await;
    endpoint.answer(Answer::Status(if step == "hook-after-failed" { 500 } else { 200 }));
    endpoint.release();
    tokio::task::block_in_place(|| served.ended());
    endpoint.answer(Answer::Status(200));
    let app = archive.open().await;
    endpoint.fetches_from(&app.url);
    announce(&app.url, &links, 4).await;
    app.until(ARCHIVED, |data| data["publications"]["totalCount"] == 4).await;
    let accepted = endpoint.until_accepted(4).await;
    assert_eq!(revisions(&accepted), archived(&app).await, "{db:?}, {step}");
    until("an idle hook", async || {
        let state = record(&app).hooks().state("decks").await.expect("a state")?;
        (state.pending.is_none() && state.last_error.is_none()).then_some(())
    })
    .await;
    app.indexed().await;
    eprintln!("{db:?}, {step}: {} requests, 0 lost", endpoint.received().len());
}

/// Lets the service read its configuration again, and gives what it says.
fn reload(archive: &Archive, config: &str) -> String {
    std::fs::write(archive.folder.path().join("acervo.toml"), config).expect("a file");
    let output = archive.command().args(["config", "reload"]).output().expect("a binary that starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The names of what an endpoint has accepted.
fn names(received: &[Received]) -> Vec<String> {
    received.iter().filter_map(|one| Some(one.json()["data"]["name"].as_str()?.to_owned())).collect()
}

on_each_database!(a_reload_adds_changes_and_ends_hooks, 4 threads);
async fn a_reload_adds_changes_and_ends_hooks(db: Db) {
    let (first, second) = (Endpoint::start(Answer::Status(200)).await, Endpoint::start(Answer::Status(200)).await);
    let decks = |endpoint: &Endpoint, more: &str| {
        config(endpoint, &format!("events = [\"archived\"]\nretry_first = \"50ms\"\nretry_max = \"100ms\"\n{more}"))
    };
    let archive = Archive::new(db, &decks(&first, ""));
    let links = FileServer::start().await;
    let log = archive.folder.path().join("log.txt");
    let change = |config: &str| tokio::task::block_in_place(|| reload(&archive, config));
    let served = tokio::task::block_in_place(|| Served::spawn(archive.command(), log, free_port(), "info"));
    let settled = async |count: u64| {
        announce(&served.url, &links, count as usize).await;
        served.until(ARCHIVED, |data| data["publications"]["totalCount"] == count).await;
    };
    settled(1).await;
    first.until_accepted(1).await;
    // A new hook begins at the present, and the other one is left alone.
    let extra = "[[hook]]\nname = \"extra\"\nevents = [\"archived\"]\nallow_private = true\n";
    let with_extra = |decks: &str| format!("{decks}{extra}url = \"{}\"\n", second.url);
    assert_eq!(change(&with_extra(&decks(&first, ""))), "taken over: hook.extra\n");
    settled(2).await;
    assert_eq!(names(&second.until_accepted(1).await), ["Produto 2"]);
    assert_eq!(names(&first.until_accepted(2).await), ["Produto 1", "Produto 2"]);
    // A changed one continues where it was: here at an event that its endpoint never answered, and in the other order in the file.
    first.answer(Answer::Hold);
    settled(3).await;
    first.until(3).await;
    let other = Endpoint::start(Answer::Status(200)).await;
    let reordered = format!("{extra}url = \"{}\"\n{}", second.url, decks(&other, ""));
    assert_eq!(change(&reordered), "taken over: hook.decks\n");
    assert_eq!(names(&other.until_accepted(1).await), ["Produto 3"]);
    // A removed one ends, and so does what it was sending.
    second.until_accepted(2).await;
    second.answer(Answer::Hold);
    settled(4).await;
    second.until(3).await;
    assert_eq!(change(&decks(&other, "")), "taken over: hook.extra\n");
    second.answer(Answer::Status(200));
    second.release();
    settled(5).await;
    assert_eq!(names(&other.until_accepted(3).await), ["Produto 3", "Produto 4", "Produto 5"]);
    let expected = json!([
        { "name": "decks", "configured": true, "delivered": 5 }, { "name": "extra", "configured": false, "delivered": 2 }
    ]);
    served.until("{ hooks { name configured delivered } }", |data| data["hooks"] == expected).await;
    assert_eq!(second.received().len(), 3, "an ended hook sent something");
    // Under its name it continues: nothing was lost meanwhile. A setting of all hooks names those that it applies to.
    let all = with_extra(&decks(&other, "timeout = \"3s\""));
    assert_eq!(change(&format!("{all}[hooks]\nlog = 5\n")), "taken over: hook.decks, hook.extra, hooks.log\n");
    assert_eq!(names(&second.until_accepted(4).await), ["Produto 2", "Produto 3", "Produto 4", "Produto 5"]);
    assert_eq!(change(&format!("{all}[hooks]\nlog = 5\n")), "nothing changed that a running service can take over\n");
    let wrong = all.replace("events = [\"archived\"]\nallow", "events = [\"outro\"]\nallow");
    std::fs::write(archive.folder.path().join("acervo.toml"), wrong).expect("a file");
    let output =
        tokio::task::block_in_place(|| archive.command().args(["config", "reload"]).output().expect("a binary"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    settled(6).await;
    assert_eq!(names(&second.until_accepted(5).await).last().map(String::as_str), Some("Produto 6"));
    assert!(!served.logged().contains("segredo-do-caminho"), "{}", served.logged());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_no_event_is_lost() {
    let rounds = burst::rounds(5);
    let endpoint = Endpoint::start(Answer::Status(200)).await;
    let lines = "events = [\"archived\"]\nretry_first = \"50ms\"\nretry_max = \"200ms\"";
    let archive = Archive::new(Db::Sqlite, &config(&endpoint, lines));
    let port = free_port();
    let log = archive.folder.path().join("log.txt");
    let start = || tokio::task::block_in_place(|| Served::spawn(archive.command(), log.clone(), port, "info"));
    let mut served = start();
    let burst = burst::Burst::start(rounds * 40, &served.url).await;
    for round in 1..=rounds {
        endpoint.answer(Answer::Status(if round % 3 == 0 { 503 } else { 200 }));
        burst.part(round, rounds).await;
        served.kill();
        served = start();
    }
    endpoint.answer(Answer::Status(200));
    endpoint.fetches_from(&served.url);
    burst.check(&archive.folder.path().join("data/archive")).await.expect("no loss");
    let accepted = endpoint.until_accepted(rounds * 40).await;
    let mut all = Vec::new();
    let mut after = Value::Null;
    loop {
        let query = format!(
            "{{ changes(first: 1000, after: {after}) {{ nodes {{ kind revision {{ id }} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let page = served.query(&query).await["changes"].clone();
        all.extend(page["nodes"].as_array().expect("a list").iter().cloned());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    let of_files = all.iter().filter(|change| change["kind"] == "ARCHIVED");
    let expected: Vec<&str> = of_files.filter_map(|change| change["revision"]["id"].as_str()).collect();
    assert_eq!(revisions(&accepted), expected);
    let logged = std::fs::read_to_string(&log).expect("a log");
    let twice = logged.lines().find(|line| line.matches("\"message\":").count() > 1);
    assert_eq!(twice, None, "a key that is there twice");
    eprintln!("killed {rounds} times: {} events, {} requests, 0 lost", expected.len(), endpoint.received().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn of_several_replicas_one_sends_at_a_time() {
    let endpoint = Endpoint::start(Answer::Status(200)).await;
    let first = Archive::new(Db::Postgres, &config(&endpoint, "events = [\"archived\"]"));
    let second = Archive {
        database_url: first.database_url.clone(),
        ..Archive::new(Db::Sqlite, &config(&endpoint, "events = [\"archived\"]"))
    };
    let text = config(&endpoint, "events = [\"archived\"]");
    let shared = format!("archive_url = \"file://{}\"\n{text}", first.folder.path().join("data/archive").display());
    std::fs::write(second.folder.path().join("acervo.toml"), shared).expect("a file");
    let (one, two) = (first.open().await, second.open().await);
    one.leaves_work_unsettled("the other replica may do the work");
    two.leaves_work_unsettled("the other replica may do the work");
    endpoint.fetches_from(&one.url);
    for number in 1..=20 {
        one.portal.add(product(number, &format!("Produto {number}"), "a.txt", format!("arquivo {number}")));
    }
    assert_eq!(one.portal.enviar_tudo().await.delivered, 20);
    let accepted = endpoint.until_accepted(20).await;
    one.settled(20).await;
    assert_eq!(revisions(&accepted), archived(&one).await);
    assert_eq!(endpoint.most_at_once(), 1, "two replicas sent at once");
    accepted.iter().for_each(assert_readable);
    assert_eq!(endpoint.received().len(), 20, "sent twice without need");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_reach_no_log_and_no_answer() {
    let endpoint = Endpoint::start(Answer::Status(500)).await;
    let archive = Archive::new(
        Db::Sqlite,
        &config(&endpoint, "events = [\"archived\"]\nretry_first = \"50ms\"\ntimeout = \"1s\""),
    );
    let links = FileServer::start().await;
    let log = archive.folder.path().join("log.txt");
    let served = tokio::task::block_in_place(|| Served::spawn(archive.command(), log, free_port(), "trace"));
    announce(&served.url, &links, 1).await;
    endpoint.until(3).await;
    until("a logged failure", async || served.logged().contains("a hook's attempt failed").then_some(())).await;
    for secret in ["segredo-do-caminho", "MfKQ9r8GKYqrTwjUPD8", "credencial-do-airflow"] {
        assert!(!served.logged().contains(secret), "{secret} is in the log");
    }
    let settings = crate::harness::settings(
        &archive.folder.path().join("x"),
        &Options { config: Some(archive.folder.path().join("acervo.toml")), ..Options::default() },
    );
    let shown = format!("{settings:?}");
    assert!(shown.contains("decks"));
    for secret in ["segredo-do-caminho", "MfKQ9r8GKYqrTwjUPD8", "credencial-do-airflow"] {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
    drop(settings);
}

#[test]
fn problems_of_a_hook_are_named_by_their_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("a file");
    let problems = |text: &str| {
        let file = folder.path().join("acervo.toml");
        std::fs::write(&file, text).expect("a file");
        let overrides = acervo::config::Overrides { config: Some(file), values: Vec::new() };
        acervo::config::load(&overrides, &|_| None)
    };
    let text = "[[hook]]\nname = \"a b\"\nevents = [\"arquivado\"]\nurl = \"http://example.com/segredo\"\nsecret = \"curto\"\n\
        headers = { \"webhook-id\" = \"x\", \"na me\" = \"y\" }\nretry_first = \"soon\"\naccept = [200]\nurls = \"x\"\n\
        [[hook]]\nname = \"dois\"\nurl_file = \"/no/such/file\"\nevents = []\n\
        [[hook]]\nname = \"tres\"\nevents = [\"lost\"]\nurl = \"https://127.0.0.1/x\"\nsecret = \"x\"\nsecret_file = \"y\"\n";
    let error = problems(text).expect_err("problems").to_string();
    for expected in [
        "hook.0.name: `a b` is not a valid name",
        "hook.0.events: `arquivado` is not one of archived, lost, late, silent, burst_ended",
        "hook.0.url: begins with http://",
        "hook.0.secret: is not a valid secret; expected whsec_",
        "hook.0.headers.webhook-id: is a header that Acervo sets itself",
        "hook.0.headers.na me: is not a valid name of a header",
        "hook.0.retry_first: `soon` is not a valid duration",
        "hook.0.accept: `200` is not a status from 300 to 499",
        "hook.0.urls: is an unknown key",
        "hook.1.url_file: `/no/such/file` cannot be read",
        "hook.1.events: is missing; give at least one of archived",
        "hook.2.url: names this machine or a private address",
        "hook.2.secret_file: is given as well as hook.2.secret; keep one of them",
    ] {
        assert!(error.contains(expected), "{expected}\n{error}");
    }
    assert!(!error.contains("segredo") && !error.contains("curto"), "{error}");
    let valid = format!(
        "[[hook]]\nname = \"um\"\nevents = [\"archived\"]\nurl = \"https://example.com/x\"\nsecret_file = \"{0}\"\n\
         headers = {{ Authorization_file = \"{0}\" }}\n[[hook]]\nname = \"um\"\nevents = [\"lost\"]\nurl = \"https://example.com/\"\n",
        secret.display()
    );
    let error = problems(&valid).expect_err("a problem").to_string();
    assert!(error.contains("hook.1.name: `um` is also the name of an earlier hook"), "{error}");
    let settings =
        problems(&valid.replacen("name = \"um\"\nevents = [\"lost\"]", "name = \"dois\"\nevents = [\"lost\"]", 1))
            .expect("valid");
    let hook = settings.hooks.named("um").expect("a hook");
    let acervo::config::Target::Http(endpoint) = &hook.target else { panic!("not an endpoint: {hook:?}") };
    assert_eq!(endpoint.secrets[0].expose_secret().len(), 24);
    assert_eq!(endpoint.headers[0].1.expose_secret(), SECRET);
    assert_eq!((hook.retry_first.as_secs(), hook.give_up_after.as_secs()), (5, 86_400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imported_files_are_no_news() {
    let endpoint = Endpoint::start(Answer::Status(200)).await;
    let archive = Archive::new(Db::Sqlite, &config(&endpoint, ALL));
    let app = archive.open().await;
    let folder = archive.folder.path().join("files");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("a.txt"), "antigo").expect("a file");
    let manifest = folder.join("manifest.csv");
    std::fs::write(&manifest, "path,nome,dataProduto,receivedAt\na.txt,Antigo,20/02/2024,2024-02-20T12:00:00Z\n")
        .expect("a file");
    let (folder, manifest) = (folder.display().to_string(), manifest.display().to_string());
    let (code, _, errors) =
        tokio::task::block_in_place(|| crate::harness::process::imported(&app, &["--manifest", &manifest, &folder]));
    assert_eq!(code, Some(0), "{errors}");
    app.portal.add(product(1, "Novo", "b.txt", "novo"));
    app.portal.enviar(1).await;
    app.settled(2).await;
    let accepted = endpoint.until_accepted(1).await;
    assert_eq!(accepted[0].json()["data"]["name"], "Novo");
    assert_eq!(accepted[0].json()["data"]["sha256"], sha256(b"novo"));
    until_idle(&app, 1).await;
    assert_eq!(endpoint.received().len(), 1);
}

on_each_database!(late_periods_and_ended_bursts_are_sent, 2 threads);
async fn late_periods_and_ended_bursts_are_sent(db: Db) {
    let endpoint = Endpoint::start(Answer::Status(200)).await;
    let lines = "events = [\"late\", \"burst_ended\"]\nmatch = { name = [\"Diário*\"] }";
    let archive = Archive::new(db, &config(&endpoint, lines));
    let app = archive.open().await;
    let links = FileServer::start().await;
    let today = acervo::domain::sao_paulo().to_datetime(jiff::Timestamp::now()).date();
    // Thirty days up to today of two products, in one burst.
    let mut sent = 0;
    for day in 0..30 {
        let date = today.saturating_sub(jiff::Span::new().days(29 - day));
        for (number, name) in [(1, "Diário"), (2, "Outro")] {
            let path = format!("/sites/9/1/Produtos/{number}/{day}.txt");
            links.offer(&path, format!("{name} {day}").as_bytes(), None);
            let link = links.link(&json!({ "URL": path, "IsFile": "True" }));
            let body = Notice::new(name).reference(date.strftime("%d/%m/%Y").to_string()).link(link);
            assert_eq!(app.notify(&body.to_string()).await.0, 202);
            sent += 1;
        }
    }
    app.settled(sent).await;
    // The burst is over.
    app.app.clock.advance(Duration::from_secs(120));
    let ended = endpoint.until_accepted(1).await[0].json();
    assert_eq!((&ended["type"], &ended["data"]["announced"]), (&json!("burst_ended"), &json!(60)), "{ended}");
    assert_eq!(ended["data"]["newRevisions"], 60, "{ended}");
    // Tomorrow's file does not come. The files of the last week were sent up to a week after their day, so that is usual.
    app.app.clock.advance(Duration::from_secs(9 * 86_400));
    let all = endpoint.until_accepted(2).await;
    let late = all[1].json();
    assert_signed(&all[1]);
    assert_eq!((&late["type"], &late["data"]["name"]), (&json!("late"), &json!("Diário")), "{late}");
    let id = late["data"]["productId"].as_str().expect("an id").to_owned();
    let (from, to) = (today, today.saturating_add(jiff::Span::new().days(5)));
    let query = format!(
        "{{ coverage(productId: \"{id}\", from: \"{from}\", to: \"{to}\") {{ periods {{ periodStart periodEnd state }} }} }}"
    );
    let periods = app.query(&query).await["coverage"]["periods"].clone();
    let is_late = |period: &&Value| period["state"] == "LATE";
    let expected: Vec<Value> =
        periods.as_array().expect("a list").iter().filter(is_late).map(|p| p["periodStart"].clone()).collect();
    let found = endpoint.until_accepted(1 + expected.len()).await;
    let of_late: Vec<Value> = found.iter().map(Received::json).filter(|one| one["type"] == "late").collect();
    let starts: Vec<Value> = of_late.iter().map(|one| one["data"]["periodStart"].clone()).collect();
    assert_eq!(starts, expected, "{db:?}");
    assert!(of_late.iter().all(|one| one["data"]["name"] == "Diário"), "{of_late:?}");
    until_idle(&app, 1 + expected.len() as u64).await;
    // What is found again, by this process or another, is not sent again.
    let events = record(&app).hooks().events_after(0, 100).await.expect("events");
    for event in &events {
        let name = match event.kind.as_str() {
            "late" => format!(
                "late {} {} {}",
                event.data["productId"].as_str().expect("an id"),
                event.data["periodStart"].as_str().expect("a period"),
                event.data["periodEnd"].as_str().expect("a period")
            ),
            _ => format!("burst_ended {}", event.data["replayId"].as_str().expect("an id")),
        };
        let (kind, data) = (event.kind, json!({}));
        record(&app).hooks().raise(&NewHookEvent { kind, at: event.at, name, data }).await.expect("an event");
    }
    assert_eq!(record(&app).hooks().events_after(0, 100).await.expect("events"), events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_source_is_sent_once() {
    let endpoint = Endpoint::start(Answer::Status(200)).await;
    let archive = Archive::new(Db::Sqlite, &config(&endpoint, "events = [\"silent\"]"));
    let app = archive.open().await;
    for _ in 0..28 * 24 {
        assert_eq!(app.notify("{\"nome\": \"x\"}").await.0, 422);
        app.app.clock.advance(Duration::from_secs(3600));
    }
    app.app.clock.advance(Duration::from_secs(7 * 3600));
    let one = endpoint.until_accepted(1).await.remove(0);
    let sent = one.json();
    assert_eq!((&sent["type"], &sent["data"]["source"]), (&json!("silent"), &json!("default")));
    assert_signed(&one);
    until_idle(&app, 1).await;
    let state = record(&app).hooks().state("decks").await.expect("a state").expect("a hook");
    let events = record(&app).hooks().events_after(0, 10).await.expect("events");
    assert_eq!((events.len(), state.position.event), (1, events[0].id));
}

on_each_database!(operators_see_hooks_and_send_again_what_was_given_up, 2 threads);
async fn operators_see_hooks_and_send_again_what_was_given_up(db: Db) {
    let endpoint = Endpoint::start(Answer::Status(500)).await;
    let archive = Archive::new(db, &config(&endpoint, &format!("{ALL}\ngive_up_after = \"1min\"")));
    let app = archive.open().await;
    app.portal.add(product(1, "Um", "a.txt", "um"));
    app.archive(1).await;
    until_failed(&app, "decks", 0).await;
    let hooks = "{ hooks { name configured endpoint events lag delivered failed dead lastError waitingSince attempts nextAttemptAt disabledAt } }";
    let hook = app.query(hooks).await["hooks"][0].clone();
    assert_eq!((&hook["name"], &hook["configured"], &hook["delivered"]), (&json!("decks"), &json!(true), &json!(0)));
    assert_eq!(hook["events"], json!(["ARCHIVED", "LOST"]));
    assert_eq!(hook["lastError"], "the endpoint answered 500");
    assert!(hook["waitingSince"].is_string() && hook["nextAttemptAt"].is_string(), "{hook}");
    assert_eq!(
        Some(hook["endpoint"].as_str().expect("an origin")),
        endpoint.url.strip_suffix("/hooks/segredo-do-caminho")
    );
    let metrics = async || app.get("/metrics").await.text().await.expect("a text");
    let shown = metrics().await;
    for line in [
        "acervo_hook_dead_letters{hook=\"decks\"} 0",
        "acervo_hook_disabled{hook=\"decks\"} 0",
        "acervo_hook_waiting_seconds{hook=\"decks\"} ",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    app.app.clock.advance(Duration::from_secs(120));
    app.until(hooks, |data| data["hooks"][0]["dead"] == 1).await;
    let letters =
        "{ hookDeadLetters(hook: \"decks\") { totalCount nodes { id hook event attempts error redeliverAt } } }";
    let letter = app.query(letters).await["hookDeadLetters"]["nodes"][0].clone();
    assert_eq!((&letter["event"], &letter["error"]), (&json!("ARCHIVED"), &json!("the endpoint answered 500")));
    let text = |args: &'static [&'static str]| {
        let mut command = archive.command();
        command.env("ACERVO_CONFIG", archive.folder.path().join("acervo.toml")).args(args);
        let output = tokio::task::block_in_place(|| command.output().expect("a binary that starts"));
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    for (args, code, expected) in [
        (&["hook", "list"][..], 0, "decks"),
        (&["hook", "list", "--format", "json"], 0, "\"dead\": 1"),
        (&["hook", "log", "decks"], 0, "the endpoint answered 500"),
        (&["hook", "dead"], 0, "archived"),
        (&["hook", "log", "outro"], 1, "there is no hook `outro`"),
        (&["hook", "test", "outro"], 1, "there is no hook `outro`"),
        (&["hook", "redeliver", "decks"], 2, "required"),
        (&["hook", "redeliver", "decks", "99"], 1, "has no dead letter 99"),
        (&["hook", "test", "decks"], 1, "the endpoint answered 500"),
        (&["status"], 1, "1 events GIVEN UP"),
    ] {
        let (found, printed) = text(args);
        assert_eq!(found, Some(code), "{args:?}: {printed}");
        assert!(printed.contains(expected), "{args:?}: {printed}");
        assert!(!printed.contains("segredo-do-caminho"), "{args:?}: {printed}");
    }
    endpoint.answer(Answer::Status(200));
    let (code, printed) = text(&["hook", "test", "decks"]);
    assert_eq!((code, printed.trim()), (Some(0), "the endpoint of `decks` answered 200"));
    let test = endpoint.accepted().pop().expect("a test");
    assert_signed(&test);
    assert_eq!(test.json()["type"], "test");
    let mutation = format!("mutation {{ redeliverHook(name: \"decks\", ids: [{}]) }}", letter["id"]);
    assert_eq!(app.query(&mutation).await["redeliverHook"], 1);
    app.until(hooks, |data| data["hooks"][0]["dead"] == 0 && data["hooks"][0]["delivered"] == 1).await;
    let data = app
        .query("mutation { testHook(name: \"decks\") { delivered status error } enableHook(name: \"decks\") { name } }")
        .await;
    assert_eq!(data["testHook"], json!({ "delivered": true, "status": 200, "error": null }));
    let log = "{ hookDeliveries(hook: \"decks\", first: 100) { totalCount nodes { event outcome attempt status error milliseconds } } }";
    let log = app.query(log).await["hookDeliveries"].clone();
    let nodes = log["nodes"].as_array().expect("a list");
    assert_eq!(nodes.len() as u64, log["totalCount"].as_u64().expect("a count"));
    assert_eq!(nodes.iter().filter(|node| node["event"].is_null()).count(), 3, "{log}");
    let unknown = app.ask("mutation { redeliverHook(name: \"outro\") }", json!({})).await;
    assert_eq!(unknown["errors"][0]["extensions"]["code"], "NOT_FOUND", "{unknown}");
    let wrong = app.ask("mutation { redeliverHook(name: \"decks\", ids: [\"x\"]) }", json!({})).await;
    assert_eq!(wrong["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{wrong}");
}

/// A mail server that takes everything, and what it was given.
async fn mail_server() -> (u16, Arc<Mutex<Vec<String>>>) {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mails = Arc::new(Mutex::new(Vec::new()));
    let taken = mails.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let taken = taken.clone();
            tokio::spawn(async move {
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader).lines();
                let (mut mail, mut in_data) = (String::new(), false);
                let _ = writer.write_all(b"220 mail\r\n").await;
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer: &[u8] = match line.as_str() {
                        "." if in_data => {
                            in_data = false;
                            taken.lock().expect("a lock").push(std::mem::take(&mut mail));
                            b"250 taken\r\n"
                        }
                        _ if in_data => {
                            mail += &(line + "\n");
                            continue;
                        }
                        "DATA" => {
                            in_data = true;
                            b"354 go on\r\n"
                        }
                        "QUIT" => b"221 bye\r\n",
                        line if line.starts_with("RCPT") && line.contains("recusado") => {
                            b"550 <recusado@example.com> unknown\r\n"
                        }
                        line => {
                            mail += &format!("{line}\n");
                            b"250 ok\r\n"
                        }
                    };
                    if writer.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, mails)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_sent_as_mail() {
    let (port, mails) = mail_server().await;
    let lines = |to: &str| {
        format!(
            "[[hook]]\nname = \"decks\"\nkind = \"email\"\nevents = [\"archived\"]\nsmtp = \"smtp://127.0.0.1:{port}\"\n\
             starttls = false\nallow_private = true\nfrom = \"Acervo <acervo@example.com>\"\nto = [\"{to}\"]\n\
             subject = \"{{{{ data.name }}}} revisão {{{{ data.revisionNumber }}}}\"\n"
        )
    };
    let archive = Archive::new(Db::Sqlite, &lines("operacao@example.com"));
    let app = archive.open().await;
    app.portal.add(product(1, "Deck DECOMP", "deck.zip", "conteúdo"));
    app.archive(1).await;
    until_idle(&app, 1).await;
    let mail = mails.lock().expect("a lock")[0].clone();
    for expected in [
        "MAIL FROM:<acervo@example.com>",
        "RCPT TO:<operacao@example.com>",
        "Message-ID: <decks-c",
        "fileName: deck.zip",
        "Subject: ",
    ] {
        assert!(mail.contains(expected), "{expected}\n{mail}");
    }
    let shown = app.query("{ hooks { endpoint } hookDeliveries { nodes { outcome status } } }").await;
    assert_eq!(shown["hooks"][0]["endpoint"], format!("smtp://127.0.0.1:{port}"));
    assert_eq!(shown["hookDeliveries"]["nodes"][0], json!({ "outcome": "DELIVERED", "status": null }));
    app.stop().await;
    // The server's answer repeats the address, and the log does not.
    std::fs::write(archive.folder.path().join("acervo.toml"), lines("recusado@example.com")).expect("a file");
    let app = archive.open().await;
    app.portal.add(product(2, "Outro", "b.txt", "b"));
    app.archive(2).await;
    until_failed(&app, "decks", 0).await;
    let state = record(&app).hooks().state("decks").await.expect("a state").expect("a hook");
    assert_eq!(state.last_error.as_deref(), Some("the mail server answered 550"));
}

on_each_database!(a_template_makes_the_body, 2 threads);
async fn a_template_makes_the_body(db: Db) {
    let endpoint = Endpoint::start(Answer::Status(409)).await;
    let lines = "events = [\"archived\"]\naccept = [409]\n\
        body = '{\"dag_run_id\": \"{{ id }}\", \"logical_date\": null, \"text\": \"chegou {{ data.name }}\", \"conf\": {{ data|tojson }}}'";
    let app = Archive::new(db, &config(&endpoint, lines)).open().await;
    app.portal.add(product(1, "Deck \"novo\"", "deck.zip", "conteúdo"));
    let end = app.archive(1).await;
    until_idle(&app, 1).await;
    let one = endpoint.until(1).await.remove(0);
    assert_signed(&one);
    let sent = one.json();
    assert_eq!(sent["dag_run_id"], one.id());
    assert_eq!(sent["text"], "chegou Deck \"novo\"");
    assert_eq!(sent["conf"]["revisionId"], end["revision"]["id"]);
    // A test sends a sample in the same form.
    acervo::jobs::hooks::test(&app.app, "decks").await.expect("a response");
    let test = endpoint.until(2).await[1].json();
    let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&test["conf"]), names(&sent["conf"]), "a sample has the fields of an event");
}

#[test]
fn problems_of_templates_and_mail_are_named_by_their_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("acervo.toml");
    let text = "[[hook]]\nname = \"a\"\nevents = [\"archived\", \"lost\"]\nurl = \"https://example.com/\"\nbody = '{\"x\": \"{{ data.fileName }}\"}'\n\
        [[hook]]\nname = \"b\"\nevents = [\"archived\"]\nurl = \"https://example.com/\"\nbody = '{\"x\": {{ data.name }}}'\n\
        [[hook]]\nname = \"c\"\nevents = [\"archived\"]\nurl = \"https://example.com/\"\nbody = '{{ data.name'\n\
        [[hook]]\nname = \"d\"\nkind = \"email\"\nevents = [\"lost\"]\nsmtp = \"mail.example.com\"\nto = [\"pessoa\"]\n\
        [[hook]]\nname = \"e\"\nkind = \"email\"\nevents = [\"lost\"]\nsmtp = \"smtp://mail.example.com\"\nstarttls = false\n\
        from = \"a@example.com\"\nto = [\"b@example.com\"]\nsmtp_user = \"u\"\n\
        [[hook]]\nname = \"f\"\nkind = \"fax\"\nevents = [\"lost\"]\nurl = \"https://example.com/\"\ncontent_type = \"json\"\n";
    std::fs::write(&file, text).expect("a file");
    let overrides = acervo::config::Overrides { config: Some(file), values: Vec::new() };
    let error = acervo::config::load(&overrides, &|_| None).expect_err("problems").to_string();
    for expected in [
        "hook.0.body: is not a valid template: line 1: undefined value (with an event of the type lost)",
        "hook.1.body: is not a valid template: the template does not make valid JSON",
        "hook.2.body: is not a valid template: line 1: syntax error",
        "hook.3.smtp: is not a valid address",
        "hook.3.from: is missing",
        "hook.3.to: is not a valid mail address",
        "hook.4.starttls: is false, so mails would be sent unencrypted",
        "hook.4.smtp_password: is missing",
        "hook.5.kind: `fax` is not one of http, email",
        "hook.5.content_type: `json` is not a valid media type",
    ] {
        assert!(error.contains(expected), "{expected}\n{error}");
    }
    assert!(!error.contains("pessoa"), "{error}");
}

/// The examples of the document are valid configurations.
#[test]
fn the_examples_of_the_document_are_valid() {
    let document = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hooks.md"))
        .expect("a document");
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    let file = folder.path().join("acervo.toml");
    let examples: Vec<&str> = document.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 5, "{examples:?}");
    for example in examples {
        let content = if example.contains("url_file") { "https://example.com/hooks/x" } else { SECRET };
        std::fs::write(&secret, content).expect("a file");
        let own: String = example
            .lines()
            .map(|line| match line.split_once("\"/etc/acervo/") {
                Some((before, rest)) => {
                    format!("{before}\"{}\"{}\n", secret.display(), rest.split_once('"').expect("a path").1)
                }
                None => format!("{line}\n"),
            })
            .collect();
        std::fs::write(&file, own).expect("a file");
        let overrides = acervo::config::Overrides { config: Some(file.clone()), values: Vec::new() };
        let settings = acervo::config::load(&overrides, &|_| None);
        assert!(settings.is_ok(), "{example}\n{settings:?}");
    }
}
