use std::time::Duration;

use acervo::portal::Faults;
use serde_json::json;

use crate::harness::samples::{product, replace, zip};
use crate::harness::{Db, Options, TestApp, bytes_in, sha256};

#[tokio::test]
async fn faults_that_pass_are_survived() {
    for db in Db::all() {
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
        // Eight products, the same bytes, kept once.
        let kept = bytes_in(&app.folder.path().join("data/archive"));
        assert!(kept < bytes.len() as u64, "{kept}");
    }
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_three() {
    let app = TestApp::start().await;
    let number = app.portal.add(product(1, "Produto", "a.csv", &b"x;y"[..]));
    app.portal.set_faults(Faults { redirects: 3, ..Faults::default() });
    let end = app.archive(number).await;
    assert_eq!((end["status"].as_str(), end["attempts"].as_i64()), (Some("ARCHIVED"), Some(1)));
}

#[tokio::test]
async fn an_empty_file_is_none() {
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

#[tokio::test]
async fn a_dead_link_is_expired_and_a_later_one_heals() {
    for db in Db::all() {
        let app = TestApp::on(db).await;
        let number = app.portal.add(product(1, "Produto", "a.csv", &b"x;y"[..]));
        app.portal.set_faults(Faults { status: Some(500), ..Faults::default() });
        app.portal.enviar(number).await;
        let query = "{ notifications { nodes { status error attempts linkExpiresAt } } publications { nodes { status revisionId } } status { expired } }";
        app.until(query, |data| data["notifications"]["nodes"][0]["status"] == "RETRYING").await;
        app.app.clock.advance(Duration::from_secs(86_700));
        let dead = app
            .until(query, |data| {
                data["notifications"]["nodes"][0]["status"] == "EXPIRED"
                    && data["publications"]["nodes"][0]["status"] == "LOST"
            })
            .await;
        let error = dead["notifications"]["nodes"][0]["error"].as_str().expect("an error").to_owned();
        assert!(error.contains("the portal answered") && error.contains("\"Enviar\""), "{error}");
        assert_eq!(dead["status"]["expired"], 1);
        let asked = app.portal.downloads().len();
        // For the portal it is delivered: only "Enviar" and "Enviar Tudo" bring it back.
        assert_eq!(app.portal.reenviar_pendentes().await.sent, 0);
        let retry = "mutation { retryNotifications(filter: { status: [EXPIRED] }) { matched queued dead } }";
        assert_eq!(app.query(retry).await["retryNotifications"], json!({ "matched": 1, "queued": 0, "dead": 1 }));
        app.portal.set_faults(Faults::default());
        assert_eq!(app.portal.downloads().len(), asked, "a dead link was tried");
        app.portal.enviar_tudo().await;
        app.settled(2).await;
        let healed = app.query("{ publications { nodes { status } } }").await;
        assert_eq!(healed["publications"]["nodes"], json!([{ "status": "ARCHIVED" }]));
    }
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
    // What is settled is matched and left alone.
    assert_eq!(app.query(retry).await["retryNotifications"], json!({ "matched": 1, "queued": 0, "dead": 0 }));
}

#[tokio::test]
async fn a_file_over_the_cap_fails_for_good() {
    let app =
        TestApp::with(Options { values: vec![("fetch.max_bytes", "1000 B".to_owned())], ..Options::default() }).await;
    let number = app.portal.add(product(1, "Produto", "a.csv", vec![b'x'; 1001]));
    let end = app.archive(number).await;
    assert_eq!((end["status"].as_str(), end["attempts"].as_i64()), (Some("FAILED"), Some(1)));
    assert!(end["error"].as_str().expect("an error").contains("larger than 1000 bytes"));
    app.portal.change(number, |product| replace(product, vec![b'x'; 1000]));
    assert_eq!(app.archive(number).await["status"], "ARCHIVED");
    let healed = app.query("{ publications { nodes { status size } } }").await;
    assert_eq!(healed["publications"]["nodes"], json!([{ "status": "ARCHIVED", "size": 1000 }]));
}

#[tokio::test]
async fn a_zip_that_does_not_open_is_kept_and_fetched_once_more() {
    let app = TestApp::start().await;
    let sound = zip(&[("a.dat", b"dados")]);
    let broken = sound[..sound.len() - 10].to_vec();
    let number = app.portal.add(product(1, "Deck", "deck.zip", broken.clone()));
    let end = app.archive(number).await;
    assert_eq!((end["status"].as_str(), end["attempts"].as_i64()), (Some("ARCHIVED"), Some(2)));
    assert!(end["revision"]["warnings"][0].as_str().expect("a warning").starts_with("the zip does not open"));
    assert_eq!(app.portal.downloads().len(), 2);
    assert_eq!(app.query("{ revisions { totalCount } }").await["revisions"]["totalCount"], 1);
    // The next announcement brings it whole.
    app.portal.change(number, |product| replace(product, sound.clone()));
    let healed = app.archive(number).await;
    assert_eq!(healed["revision"]["sha256"], sha256(&sound));
    assert_eq!(healed["revision"]["warnings"], json!([]));
}

#[tokio::test]
async fn one_fetch_serves_all_that_wait_for_its_file() {
    for db in Db::all() {
        let app = TestApp::on(db).await;
        let number = app.portal.add(product(1, "Produto", "a.csv", &b"x;y"[..]));
        app.portal.set_faults(Faults { status: Some(500), times: Some(1), ..Faults::default() });
        app.portal.enviar(number).await;
        app.until("{ notifications { nodes { attempts } } }", |data| {
            data["notifications"]["nodes"][0]["attempts"] == 1
        })
        .await;
        let asked = {
            app.portal.set_faults(Faults { latency_ms: 300, ..Faults::default() });
            for _ in 0..5 {
                app.portal.enviar(number).await;
            }
            app.settled(6).await;
            app.portal.downloads().len()
        };
        assert!(asked <= 4, "six notifications took {asked} fetches");
        let data = app.query("{ a: notifications(filter: { status: [ARCHIVED] }) { totalCount } u: notifications(filter: { status: [UNCHANGED] }) { totalCount } }").await;
        assert_eq!((data["a"]["totalCount"].as_i64(), data["u"]["totalCount"].as_i64()), (Some(1), Some(5)));
    }
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
