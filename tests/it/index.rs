use acervo::domain::Clock;
use serde_json::Value;

use crate::harness::samples::product;
use crate::harness::{Options, TestApp, process};

const EVERYTHING: &str = "{
    publications(first: 1000, orderBy: NAME_ASC) { totalCount nodes { id name status revisionId sha256 receivedAt archivedAt } }
    revisions(first: 1000, orderBy: ARCHIVED_ASC) { totalCount nodes { id number sha256 supersededAt } }
    products(first: 1000) { totalCount nodes { id name publicationCount revisionCount size lastPeriodEnd } }
}";

async fn some_history(app: &TestApp) -> Value {
    for number in 1..=20 {
        app.portal.add(product(number, &format!("Produto {number}"), "a.csv", format!("conteúdo {number}")));
    }
    app.portal.enviar_tudo().await;
    app.settled(20).await;
    for number in 1..=5 {
        app.portal.change(number, |product| crate::harness::samples::replace(product, format!("outro {number}")));
        app.portal.enviar(number).await;
    }
    app.settled(25).await;
    app.query(EVERYTHING).await
}

#[tokio::test]
async fn thrown_away_or_broken_it_is_built_anew_and_answers_the_same() {
    let app = TestApp::start().await;
    let before = some_history(&app).await;
    assert_eq!(before["revisions"]["totalCount"], 25);
    let mut folder = app.stop().await;
    let index = folder.path().join("data/index");
    let ways: [&dyn Fn(); 4] = [
        &|| std::fs::remove_dir_all(&index).expect("an index"),
        &|| std::fs::write(index.join("meta.json"), "{").expect("an index"),
        &|| {
            let meta = std::fs::read_to_string(index.join("meta.json")).expect("an index");
            std::fs::write(
                index.join("meta.json"),
                meta.replace("\"payload\": \"1 ", "\"payload\": \"0 ").replace("\"payload\":\"1 ", "\"payload\":\"0 "),
            )
            .expect("an index");
        },
        &|| {
            for path in
                crate::harness::files_in(&index).iter().filter(|path| path.extension().is_some_and(|e| e == "term"))
            {
                std::fs::remove_file(path).expect("a part of the index");
            }
        },
    ];
    for way in ways {
        way();
        let app = TestApp::with(Options { folder: Some(folder), ..Options::default() }).await;
        app.settled(25).await;
        app.until("{ publications { totalCount } }", |data| data["publications"]["totalCount"] == 20).await;
        assert_eq!(app.query(EVERYTHING).await, before);
        folder = app.stop().await;
    }
}

#[tokio::test]
async fn reindex_works_alone_and_beside_a_server() {
    let app = TestApp::start().await;
    let before = some_history(&app).await;
    let printed = process::printed(app.folder.path(), &["reindex"]);
    assert!(printed.contains("running server"), "{printed}");
    app.settled(25).await;
    assert_eq!(app.query(EVERYTHING).await, before);
    let folder = app.stop().await;
    let printed = process::printed(folder.path(), &["reindex"]);
    assert!(printed.contains("indexed 20 publications"), "{printed}");
    let app = TestApp::with(Options { folder: Some(folder), ..Options::default() }).await;
    assert_eq!(app.query(EVERYTHING).await, before);
}

#[tokio::test]
async fn two_servers_do_not_share_a_folder() {
    let app = TestApp::start().await;
    let settings = crate::harness::settings(&app.folder.path().join("data"), &Options::default());
    let second = acervo::app::App::open(settings, acervo::app::Role::Server, Clock::default()).await;
    let error = format!("{:#}", second.err().expect("a refusal"));
    assert!(error.contains("another acervo serves from"), "{error}");
}
