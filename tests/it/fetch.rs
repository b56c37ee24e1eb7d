use std::sync::{Arc, Mutex};
use std::time::Duration;

use acervo::jobs::Jobs;
use acervo::portal::Faults;
use axum::http::StatusCode;
use serde_json::json;

use crate::harness::links::FileServer;
use crate::harness::notice::Notice;
use crate::harness::samples::{product, replace, zip};
use crate::harness::{Db, Options, TestApp, bytes_in, on_each_database, postgres, sha256};

on_each_database!(temporary_faults_are_retried);
async fn temporary_faults_are_retried(db: Db) {
    let app = TestApp::on(db).await;
    let bytes = b"Periodo;Valor\r\n".repeat(2000);
    let faults = [
        Faults { status: Some(500), ..Faults::default() },
        Faults { status: Some(503), retry_after: Some(0), ..Faults::default() },
        Faults { status: Some(404), ..Faults::default() },
        Faults { cut_after: Some(100), ..Faults::default() },
        Faults { longer_by: 100, ..Faults::default() },
        Faults { html: true, ..Faults::default() },
        Faults { expired: true, ..Faults::default() },
        Faults { redirects: 4, ..Faults::default() },
    ];
    for (i, faults) in faults.into_iter().enumerate() {
        let number = app.portal.add(product(i as u32 + 1, &format!("Produto {i}"), "a.csv", bytes.clone()));
        app.portal.set_faults(Faults { times: Some(2), ..faults.clone() });
        let end = app.archive(number).await;
        assert_eq!(end["status"], "ARCHIVED", "{faults:?}: {end}");
        assert_eq!(end["attempts"], 3, "{faults:?}: {end}");
        assert_eq!(end["revision"]["sha256"], sha256(&bytes));
        assert!(end["error"].is_null());
    }
    // Eight products with the same bytes, stored once.
    let kept = bytes_in(&app.folder.path().join("data/archive"));
    assert!(kept < bytes.len() as u64, "{kept}");
}

#[tokio::test]
async fn up_to_three_redirects_are_followed() {
    let app = TestApp::start().await;
    let number = app.portal.add(product(1, "Produto", "a.csv", &b"x;y"[..]));
    app.portal.set_faults(Faults { redirects: 3, ..Faults::default() });
    let end = app.archive(number).await;
    assert_eq!((end["status"].as_str(), end["attempts"].as_i64()), (Some("ARCHIVED"), Some(1)));
}

#[tokio::test]
async fn an_empty_body_is_retried() {
    let app = TestApp::start().await;
    let number = app.portal.add(product(1, "Produto", "a.csv", &b""[..]));
    app.portal.enviar(number).await;
    let query = "{ notifications { nodes { status error } } }";
    let data = app.until(query, |data| data["notifications"]["nodes"][0]["status"] == "RETRYING").await;
    assert_eq!(data["notifications"]["nodes"][0]["error"], "the portal sent an empty body");
    app.portal.change(number, |product| replace(product, &b"x"[..]));
    app.settled(1).await;
    assert_eq!(app.query(query).await["notifications"]["nodes"][0]["status"], "ARCHIVED");
}

on_each_database!(an_expired_link_is_replaced_by_a_later_one);
async fn an_expired_link_is_replaced_by_a_later_one(db: Db) {
    let app = TestApp::on(db).await;
    let number = app.portal.add(product(1, "Produto", "a.csv", &b"x;y"[..]));
    app.portal.set_faults(Faults { status: Some(500), ..Faults::default() });
    app.portal.enviar(number).await;
    let query = "{ notifications { nodes { status error attempts linkExpiresAt } }
        publications { nodes { status revisionId } } status { expired } }";
    app.until(query, |data| data["notifications"]["nodes"][0]["status"] == "RETRYING").await;
    app.app.clock.advance(Duration::from_secs(86_700));
    let expired = app
        .until(query, |data| {
            data["notifications"]["nodes"][0]["status"] == "EXPIRED"
                && data["publications"]["nodes"][0]["status"] == "LOST"
                && data["status"]["expired"] == 1
        })
        .await;
    let error = expired["notifications"]["nodes"][0]["error"].as_str().expect("an error").to_owned();
    assert!(error.contains("the portal answered") && error.contains("\"Enviar\""), "{error}");
    let asked = app.portal.downloads().len();
    // For the portal it is delivered: only "Enviar" and "Enviar Tudo" bring it back.
    assert_eq!(app.portal.reenviar_pendentes().await.sent, 0);
    let retry = "mutation { retryNotifications(filter: { status: [EXPIRED] }) { matched queued dead } }";
    assert_eq!(app.query(retry).await["retryNotifications"], json!({ "matched": 1, "queued": 0, "dead": 1 }));
    app.portal.set_faults(Faults::default());
    assert_eq!(app.portal.downloads().len(), asked, "an expired link was tried");
    app.portal.enviar_tudo().await;
    app.settled(2).await;
    let repaired = app.query("{ publications { nodes { status } } }").await;
    assert_eq!(repaired["publications"]["nodes"], json!([{ "status": "ARCHIVED" }]));
}

#[tokio::test]
async fn retry_does_not_wait_for_the_schedule() {
    let slow = [("fetch.retry_first", "1h".to_owned()), ("fetch.retry_max", "1h".to_owned())];
    let app = TestApp::with(Options { values: slow.into(), ..Options::default() }).await;
    let number = app.portal.add(product(1, "Produto", "a.csv", &b"x;y"[..]));
    app.portal.set_faults(Faults { status: Some(500), ..Faults::default() });
    app.portal.enviar(number).await;
    app.until("{ notifications { nodes { status } } }", |data| {
        data["notifications"]["nodes"][0]["status"] == "RETRYING"
    })
    .await;
    app.portal.set_faults(Faults::default());
    let retry = "mutation { retryNotifications(filter: { name: { contains: \"PRODUTO\" } }) { matched queued dead } }";
    assert_eq!(app.query(retry).await["retryNotifications"], json!({ "matched": 1, "queued": 1, "dead": 0 }));
    app.settled(1).await;
    // Settled notifications match and do not change.
    assert_eq!(app.query(retry).await["retryNotifications"], json!({ "matched": 1, "queued": 0, "dead": 0 }));
}

#[tokio::test]
async fn a_file_over_the_limit_fails_for_good() {
    let app =
        TestApp::with(Options { values: vec![("fetch.max_bytes", "1000 B".to_owned())], ..Options::default() }).await;
    let number = app.portal.add(product(1, "Produto", "a.csv", vec![b'x'; 1001]));
    let end = app.archive(number).await;
    assert_eq!((end["status"].as_str(), end["attempts"].as_i64()), (Some("FAILED"), Some(1)));
    assert!(end["error"].as_str().expect("an error").contains("larger than 1000 bytes"));
    app.portal.change(number, |product| replace(product, vec![b'x'; 1000]));
    assert_eq!(app.archive(number).await["status"], "ARCHIVED");
    let repaired = app.query("{ publications { nodes { status size } } }").await;
    assert_eq!(repaired["publications"]["nodes"], json!([{ "status": "ARCHIVED", "size": 1000 }]));
}

#[tokio::test]
async fn a_zip_that_does_not_open_is_kept_and_fetched_once_more() {
    let app = TestApp::start().await;
    let intact = zip(&[("a.dat", b"dados")]);
    let broken = intact[..intact.len() - 10].to_vec();
    let number = app.portal.add(product(1, "Deck", "deck.zip", broken.clone()));
    let end = app.archive(number).await;
    assert_eq!((end["status"].as_str(), end["attempts"].as_i64()), (Some("ARCHIVED"), Some(2)));
    assert!(end["revision"]["warnings"][0].as_str().expect("a warning").starts_with("the zip does not open"));
    assert_eq!(app.portal.downloads().len(), 2);
    assert_eq!(app.query("{ revisions { totalCount } }").await["revisions"]["totalCount"], 1);
    // The next announcement brings it whole.
    app.portal.change(number, |product| replace(product, intact.clone()));
    let repaired = app.archive(number).await;
    assert_eq!(repaired["revision"]["sha256"], sha256(&intact));
    assert_eq!(repaired["revision"]["warnings"], json!([]));
}

on_each_database!(one_fetch_serves_all_that_wait_for_its_file);
async fn one_fetch_serves_all_that_wait_for_its_file(db: Db) {
    let app = TestApp::on(db).await;
    let mut server = HeldServer::start(StatusCode::OK).await;
    server.offer("x;y");
    server.open.send_replace(false);
    announce(&app, &server.address, 0, 86_000).await;
    server.asked(1).await;
    // These come while the file is being fetched, and wait for the next fetch.
    for life in 1..=5 {
        announce(&app, &server.address, 0, 86_000 + life).await;
    }
    server.open.send_replace(true);
    app.settled(6).await;
    assert_eq!(server.times(), 2);
    let query = "{ archived: notifications(filter: { status: [ARCHIVED] }) { totalCount }
        unchanged: notifications(filter: { status: [UNCHANGED] }) { totalCount } }";
    let expected = json!({ "archived": { "totalCount": 1 }, "unchanged": { "totalCount": 5 } });
    assert_eq!(app.query(query).await, expected);
}

#[tokio::test]
async fn names_come_from_the_header_then_the_token_then_the_product() {
    let app = TestApp::start().await;
    let folder_zip = zip(&[("a.dat", b"dados")]);
    let mut folder = product(5, "Notas Técnicas - Medio Prazo", "x", folder_zip);
    folder.is_file = false;
    let names = [
        (product(3, "Plano", "IPDO-20-02-2025.pdf", &b"%PDF-1.4"[..]), "IPDO-20-02-2025.pdf", "application/pdf"),
        (
            product(2, "Aspas", "RT-ONS DPL 0298-2025.pdf", &b"%PDF-1.4"[..]),
            "RT-ONS DPL 0298-2025.pdf",
            "application/pdf",
        ),
        (
            product(4, "Palavra", "Relatório: \"Limites\" de Intercâmbio.txt", &b"x"[..]),
            "Relatório_ _Limites_ de Intercâmbio.txt",
            "text/plain",
        ),
        (folder, "Notas Técnicas - Medio Prazo.zip", "application/zip"),
    ];
    for (product, name, media) in names {
        let number = app.portal.add(product);
        app.archive(number).await;
        let data = app.query("{ revisions(first: 1) { nodes { fileName fileExtension contentType } } }").await;
        let node = &data["revisions"]["nodes"][0];
        assert_eq!(node["fileName"], name);
        assert_eq!(node["contentType"], media, "{name}");
        assert_eq!(node["fileExtension"].as_str(), name.rsplit('.').next());
    }
}

/// A server that sends one file for every path, and can withhold its responses.
pub struct HeldServer {
    pub address: String,
    content: Arc<Mutex<(StatusCode, String)>>,
    asked: tokio::sync::watch::Receiver<u32>,
    pub open: tokio::sync::watch::Sender<bool>,
}

impl HeldServer {
    pub async fn start(status: StatusCode) -> Self {
        let (content, (count, asked), (open, gate)) = (
            Arc::new(Mutex::new((status, String::new()))),
            tokio::sync::watch::channel(0),
            tokio::sync::watch::channel(true),
        );
        let shown = content.clone();
        let answer = move || {
            // What is served is decided when the request arrives.
            let answer = shown.lock().expect("a lock").clone();
            count.send_modify(|n| *n += 1);
            let mut gate = gate.clone();
            async move {
                gate.wait_for(|open| *open).await.expect("a gate");
                answer
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
        Self { address, content, asked, open }
    }

    pub fn offer(&self, content: &str) {
        content.clone_into(&mut self.content.lock().expect("a lock").1);
    }

    pub fn answer(&self, status: StatusCode, content: &str) {
        *self.content.lock().expect("a lock") = (status, content.to_owned());
    }

    /// How many requests came.
    pub fn times(&self) -> u32 {
        *self.asked.borrow()
    }

    pub async fn asked(&mut self, times: u32) {
        self.asked.wait_for(|n| *n >= times).await.expect("a server");
    }
}

/// A notification of one file, by its link's server and the seconds from now at which the link becomes valid and expires.
pub async fn announce(app: &TestApp, server: &str, nbf: i64, exp: i64) {
    announce_file(app, server, "deck.txt", nbf, exp).await;
}

pub async fn announce_file(app: &TestApp, server: &str, file: &str, nbf: i64, exp: i64) {
    let links = FileServer::start().await;
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({ "URL": format!("https://portal/sites/9/38/Produtos/1/{file}"), "IsFile": "True" });
    let link = links.link_at(&claims, now + nbf, now + exp).replace(&links.address, server);
    assert_eq!(app.notify(&Notice::new("Deck").link(link).to_string()).await.0, 202);
}

on_each_database!(a_version_announced_during_a_fetch_is_not_missed);
async fn a_version_announced_during_a_fetch_is_not_missed(db: Db) {
    // How far the portal's clock is behind ours.
    for behind in [0, 5, 90, 7200] {
        let app = TestApp::on(db).await;
        let mut server = HeldServer::start(StatusCode::OK).await;
        server.offer("primeira");
        server.open.send_replace(false);
        announce(&app, &server.address, -behind, 86_000).await;
        server.asked(1).await;
        server.offer("segunda");
        announce(&app, &server.address, -behind, 86_001).await;
        server.open.send_replace(true);
        app.settled(2).await;
        let data = app.query("{ publications { nodes { sha256 revisionCount } } }").await;
        let expected = json!([{ "sha256": sha256(b"segunda"), "revisionCount": 2 }]);
        assert_eq!(data["publications"]["nodes"], expected, "{db:?}, {behind} s behind");
    }
}

on_each_database!(a_bad_link_does_not_block_a_good_one_of_the_same_file);
async fn a_bad_link_does_not_block_a_good_one_of_the_same_file(db: Db) {
    let elsewhere = HeldServer::start(StatusCode::NOT_FOUND).await.address;
    let failing = HeldServer::start(StatusCode::INTERNAL_SERVER_ERROR).await.address;
    for (bad, end) in [("https://evil.example", "FAILED"), (elsewhere.as_str(), "DONE"), (failing.as_str(), "DONE")] {
        // The bad link expires later, then earlier.
        for exp in [86_300, 80_000] {
            let values = [("fetch.retry_first", "50ms".to_owned()), ("fetch.retry_max", "200ms".to_owned())];
            let app = TestApp::with(Options {
                values: values.into(),
                database_url: postgres::database(db),
                without_jobs: true,
                ..Options::default()
            })
            .await;
            let good = HeldServer::start(StatusCode::OK).await;
            good.offer("bom");
            announce(&app, bad, -1, exp).await;
            announce(&app, &good.address, -1, 86_000).await;
            announce(&app, bad, -1, exp + 10).await;
            let jobs = Jobs::start(&app.app).await.expect("jobs");
            app.settled(3).await;
            let data = app
                .query("{ publications { nodes { status sha256 } } notifications { nodes { status error } } }")
                .await;
            assert_eq!(data["publications"]["nodes"][0]["sha256"], sha256(b"bom"), "{bad}: {data}");
            let nodes = data["notifications"]["nodes"].as_array().expect("a list");
            let archived = nodes.iter().filter(|node| node["status"] == "ARCHIVED").count();
            assert_eq!(archived, 1, "{bad}: {data}");
            let failed = nodes.iter().filter(|node| node["status"] == "FAILED").count();
            assert!(if end == "FAILED" { failed <= 2 } else { failed == 0 }, "{bad}: {data}");
            jobs.stop().await;
        }
    }
}

/// The longest delay is for links that the portal does not know, not for those that have not been tried.
#[tokio::test]
async fn an_unknown_link_does_not_delay_another() {
    let values = [("fetch.retry_max", "1h".to_owned())];
    let app = TestApp::with(Options { values: values.into(), without_jobs: true, ..Options::default() }).await;
    let bad = HeldServer::start(StatusCode::NOT_FOUND).await;
    let good = HeldServer::start(StatusCode::OK).await;
    good.offer("bom");
    announce(&app, &bad.address, -1, 86_300).await;
    announce(&app, &good.address, -1, 86_000).await;
    let jobs = Jobs::start(&app.app).await.expect("jobs");
    app.settled(2).await;
    assert_eq!(
        app.query("{ publications { nodes { status } } }").await["publications"]["nodes"][0]["status"],
        "ARCHIVED"
    );
    jobs.stop().await;
}

on_each_database!(a_broken_zip_that_cannot_be_fetched_again_keeps_its_revision);
async fn a_broken_zip_that_cannot_be_fetched_again_keeps_its_revision(db: Db) {
    for (fault, wait) in [("expires", 90_000), ("is too large", 3700)] {
        let values = [("fetch.retry_first", "1h"), ("fetch.retry_max", "1h"), ("fetch.max_bytes", "1000 B")];
        let app = TestApp::with(Options {
            values: values.map(|(key, value)| (key, value.to_owned())).into(),
            database_url: postgres::database(db),
            ..Options::default()
        })
        .await;
        let intact = zip(&[("a.dat", b"dados")]);
        let number = app.portal.add(product(1, "Deck", "deck.zip", intact[..intact.len() - 10].to_vec()));
        app.portal.enviar(number).await;
        let query = "{ notifications { nodes { status error revision { id } linkExpiresAt } } publications { nodes { status } } }";
        app.until(query, |data| data["notifications"]["nodes"][0]["status"] == "RETRYING").await;
        if fault == "expires" {
            app.portal.set_faults(Faults { status: Some(500), ..Faults::default() });
        } else {
            app.portal.change(number, |product| replace(product, vec![b'x'; 1001]));
        }
        app.app.clock.advance(Duration::from_secs(wait));
        app.settled(1).await;
        let data = app.query(query).await;
        let node = &data["notifications"]["nodes"][0];
        assert_eq!((node["status"].as_str(), &node["error"]), (Some("ARCHIVED"), &json!(null)), "{fault}: {node}");
        assert!(node["revision"]["id"].is_string(), "{fault}: {node}");
        assert_eq!(data["publications"]["nodes"][0]["status"], "ARCHIVED", "{fault}");
    }
}

/// The path in a token, the header of the response, whether it is a file, and the published name.
const NAMED: [(&str, Option<&str>, bool, &str); 8] = [
    (
        "/sites/9/1/Produtos/1/x.bin",
        Some("attachment; filename=\"=?utf-8?B?UHJldmlzww==?= =?utf-8?B?o28uemlw?=\""),
        true,
        "Previsão.zip",
    ),
    (
        "/sites/9/1/Produtos/2/x.bin",
        Some("attachment; filename=\"=?utf-8?B?UHJldmlzw6Nv?=.zip\""),
        true,
        "Previsão.zip",
    ),
    ("/sites/9/1/Produtos/3/x.bin", Some("attachment; filename=\"C:\\temp\\x.zip\""), true, "x.zip"),
    ("/sites/9/1/Produtos/4/x.bin", Some("attachment; filename=\"AUX.zip\""), true, "_AUX.zip"),
    ("https://sintegre.ons.org.br/sites/9/52/Produtos/5/Notas%20T%E9cnicas.zip", None, true, "Notas Técnicas.zip"),
    (
        "https://sintegre.ons.org.br/sites/9/52/Produtos/6/Notas%20T%C3%A9cnicas.zip?web=1",
        None,
        true,
        "Notas Técnicas.zip",
    ),
    ("/sites/9/52/71/Produtos/7/26-05-2025_112600", None, false, "Curto-Médio Prazo 7.zip"),
    ("/sites/9/52/71/Produtos/8/semnome", None, true, "Curto-Médio Prazo 8.zip"),
];

#[tokio::test]
async fn names_survive_what_servers_do_to_them() {
    let app = TestApp::start().await;
    let links = FileServer::start().await;
    let zip = zip(&[("a.dat", b"dados")]);
    let long = "Relatório de Acompanhamento ".repeat(20);
    for (n, (path, disposition, is_file, name)) in (1..).zip(NAMED) {
        links.offer(path, &zip, disposition.map(str::to_owned));
        let claims = json!({ "URL": path, "IsFile": if is_file { "True" } else { "False" } });
        let nome = format!("Curto/Médio Prazo {n}");
        let body = Notice::new(&*nome).link(links.link(&claims));
        assert_eq!(app.notify(&body.to_string()).await.0, 202);
        app.settled(n).await;
        let query =
            "query($n: String) { revisions(filter: { name: { eq: $n } }) { nodes { fileName fileExtension } } }";
        let data = app.query_with(query, json!({ "n": nome })).await;
        assert_eq!(data["revisions"]["nodes"], json!([{ "fileName": name, "fileExtension": "zip" }]), "{path}");
    }
    let path = "/sites/9/1/Produtos/9/x.bin";
    links.offer(
        path,
        &zip,
        Some(format!(
            "attachment; filename=\"=?utf-8?Q?{}?=\"",
            long.replace('ó', "=C3=B3").replace(' ', "_") + ".ZIP"
        )),
    );
    let body = Notice::new("Longo").link(links.link(&json!({ "URL": path })));
    assert_eq!(app.notify(&body.to_string()).await.0, 202);
    app.settled(9).await;
    let data = app.query("{ revisions(filter: { name: { eq: \"Longo\" } }) { nodes { fileName } } }").await;
    let name = data["revisions"]["nodes"][0]["fileName"].as_str().expect("a name").to_owned();
    assert!(name.starts_with("Relatório de") && name.ends_with(".ZIP") && name.chars().count() <= 200, "{name}");
}
