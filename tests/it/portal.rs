use acervo::portal::{Credentials, Webhook, builtin, from_folder};
use secrecy::SecretString;

use crate::harness::samples::product;
use crate::harness::{TestApp, samples};

#[tokio::test]
async fn pending_is_what_was_not_answered_20x() {
    let app = TestApp::start().await;
    for number in 1..=3 {
        app.portal.add(product(number, &format!("Produto {number}"), "a.csv", format!("conteúdo {number}")));
    }
    let webhook = |token: &str| Webhook {
        url: format!("{}/webhook", app.url),
        credentials: Credentials::Token(SecretString::from(token)),
    };
    app.portal.set_webhook(webhook("errado"));
    assert_eq!(app.portal.enviar_tudo().await.delivered, 0);
    assert!(app.portal.products().iter().all(|p| p.delivery.as_ref().is_some_and(|d| d.status == Some(401))));
    app.portal.set_webhook(webhook(crate::harness::TOKEN));
    assert!(app.portal.enviar(1).await.expect("a product").is_delivered());
    let resent = app.portal.reenviar_pendentes().await;
    assert_eq!((resent.sent, resent.delivered), (2, 2));
    assert_eq!(app.portal.reenviar_pendentes().await.sent, 0);
    app.settled(3).await;
    assert_eq!(app.query("{ revisions { totalCount } }").await["revisions"]["totalCount"], 3);
}

#[tokio::test]
async fn a_fault_that_cannot_be_simulated_is_refused() {
    let app = TestApp::start().await;
    let set = |body: String| {
        let request =
            app.client.put(format!("{}/falhas", app.portal.address())).header("content-type", "application/json");
        async move {
            let response = request.body(body).send().await.expect("a response");
            (response.status().as_u16(), response.text().await.expect("text"))
        }
    };
    assert_eq!(set(r#"{"status":503}"#.to_owned()).await.0, 200);
    for status in ["99", "100", "600", "1000"] {
        let (code, text) = set(format!(r#"{{"status":{status}}}"#)).await;
        assert!(code == 422 && text.contains("`status`") && text.contains(status), "{code} {text}");
    }
}

#[tokio::test]
async fn the_whole_catalogue_is_archived_and_a_second_time_adds_nothing() {
    let app = TestApp::start().await;
    let products = builtin(100, app.app.clock.now());
    assert!(products.iter().map(|p| p.number).collect::<std::collections::HashSet<_>>().len() == 100);
    for product in products {
        app.portal.add(product);
    }
    assert_eq!(app.portal.enviar_tudo().await.delivered, 100);
    app.settled(100).await;
    let stored = crate::harness::bytes_in(&app.folder.path().join("data/archive"));
    assert_eq!(app.portal.enviar_tudo().await.delivered, 100);
    app.settled(200).await;
    let query = "{ a: notifications(filter: { status: [ARCHIVED] }) { totalCount }
        u: notifications(filter: { status: [UNCHANGED] }) { totalCount } products { totalCount } }";
    let data = app.query(query).await;
    assert_eq!(data["a"]["totalCount"], 100);
    assert_eq!(data["u"]["totalCount"], 100);
    assert_eq!(data["products"]["totalCount"], 100);
    assert_eq!(crate::harness::bytes_in(&app.folder.path().join("data/archive")), stored);
}

#[tokio::test]
async fn versions_are_published_one_after_the_other() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("decks")).expect("a folder");
    for name in ["a.csv", "b.csv"] {
        std::fs::write(folder.path().join("decks").join(name), name).expect("a file");
    }
    std::fs::write(folder.path().join("single.txt"), "one").expect("a file");
    let products = from_folder(folder.path(), app.app.clock.now()).expect("products");
    assert_eq!(products.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["decks", "single.txt"]);
    for product in products {
        app.portal.add(product);
    }
    app.portal.enviar_tudo().await;
    app.portal.publish(1).await.expect("a delivery");
    app.settled(3).await;
    let data = app
        .query("{ publications(filter: { name: { eq: \"decks\" } }, orderBy: PERIOD_ASC) { nodes { fileName } } }")
        .await;
    assert_eq!(data["publications"]["nodes"], serde_json::json!([{ "fileName": "a.csv" }, { "fileName": "b.csv" }]));
}

#[tokio::test]
async fn forged_and_expired_links_are_refused() {
    let app = TestApp::start().await;
    let number = app.portal.add(product(1, "Produto", "a.csv", &b"x"[..]));
    let product = app.portal.products().into_iter().find(|p| p.number == number).expect("the product");
    let link = app.portal.link(&product).expect("a link");
    let get = |url: String| async { app.client.get(url).send().await.expect("a response").status().as_u16() };
    assert_eq!(get(link.clone()).await, 200);
    assert_eq!(get(format!("{}x", &link[..link.len() - 1])).await, 401);
    app.app.clock.advance(acervo::portal::LINK_LIFE);
    assert_eq!(get(link).await, 403);
    let body = app.portal.notification(&product).expect("a body");
    assert!(!body.contains(samples::EMAIL) && body.contains("token=eyJ"));
}
