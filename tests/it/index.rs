use acervo::domain::Clock;
use acervo::leaves::index::{Deadline, Filter, Index, IndexError, Order, Query, SearchIn, Target, Writer};
use serde_json::Value;

use crate::harness::notice::Notice;
use crate::harness::samples::product;
use crate::harness::{Options, TestApp, process, until};

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

/// Once the index reports a position, everything published up to it is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_position_of_the_index_is_what_it_finds() {
    let app = TestApp::start().await;
    app.leaves_work_unsettled("the links lead nowhere");
    let (index, record) = (acervo::leaves::index(&app.app).clone(), acervo::leaves::record(&app.app).clone());
    let all = Query {
        target: Target::Publications { as_of: None },
        search: None,
        search_in: SearchIn::Names,
        scored: false,
        filter: Filter::default(),
        order: Order::Name,
        beyond: None,
        backwards: false,
        offset: 0,
        limit: 1,
    };
    let watch = Deadline::at(std::time::Instant::now() + crate::harness::PATIENCE);
    for turn in 1..=50 {
        assert_eq!(app.notify(&Notice::new(format!("Aviso {turn}")).to_string()).await.0, 202);
        record.intake().caught_up().await;
        let head = record.feed().head().await.expect("a number");
        // Polled without a pause: the time between a commit and its visibility is short.
        while index.position().is_none_or(|position| position.feed < head) {
            tokio::task::yield_now().await;
        }
        assert_eq!(index.search(&all, &watch).expect("hits").total, turn);
    }
}

#[tokio::test]
async fn a_removed_or_broken_index_is_rebuilt() {
    let app = TestApp::start().await;
    let before = some_history(&app).await;
    assert_eq!(before["revisions"]["totalCount"], 25);
    let mut folder = app.stop().await;
    let index = folder.path().join("data/index");
    let ways: [&dyn Fn(); 4] = [
        &|| std::fs::remove_dir_all(&index).expect("an index"),
        &|| std::fs::write(index.join("meta.json"), "{").expect("an index"),
        &|| {
            // Of another version.
            let path = index.join("meta.json");
            let mut meta: Value = serde_json::from_slice(&std::fs::read(&path).expect("an index")).expect("JSON");
            let (_, rest) = meta["payload"].as_str().and_then(|payload| payload.split_once(' ')).expect("a payload");
            meta["payload"] = format!("0 {rest}").into();
            std::fs::write(&path, meta.to_string()).expect("an index");
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
async fn reindex_works_with_and_without_a_server() {
    let app = TestApp::start().await;
    let before = some_history(&app).await;
    let printed = process::printed(app.folder.path(), &["reindex"]);
    assert!(printed.contains("running service"), "{printed}");
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

/// A command that indexes may take minutes: in the meantime the service starts, records and archives; afterwards it finds
/// everything.
#[tokio::test]
async fn the_service_starts_while_another_process_writes_the_index() {
    let app = TestApp::start().await;
    some_history(&app).await;
    let folder = app.stop().await;
    let index = Index::open(&folder.path().join("data/index")).expect("an index");
    let writer = writer(&index).await;
    let app = TestApp::with(Options { folder: Some(folder), ..Options::default() }).await;
    assert_eq!(app.query("{ publications { totalCount } }").await["publications"]["totalCount"], 20);
    app.portal.add(product(30, "Produto novo", "a.csv", &b"novo"[..]));
    app.portal.enviar(30).await;
    let query = "{ archived: notifications(filter: { status: [ARCHIVED] }) { totalCount } status { indexLag } }";
    let data = app.until(query, |data| data["archived"]["totalCount"] == 26).await;
    assert_ne!(data["status"]["indexLag"], 0);
    drop(writer);
    app.settled(26).await;
    assert_eq!(app.query("{ publications { totalCount } }").await["publications"]["totalCount"], 21);
}

/// Only a command that indexes takes the writer: an import of hours does not keep the service from starting.
#[tokio::test]
async fn a_command_that_does_not_index_takes_no_writer() {
    let app = TestApp::start().await;
    let folder = app.stop().await;
    let settings = crate::harness::settings(&folder.path().join("data"), &Options::default());
    let command = acervo::app::App::open(settings, acervo::app::Role::Command { may_create: false }, Clock::default())
        .await
        .expect("an app");
    drop(writer(acervo::leaves::index(&command)).await);
    let app = TestApp::with(Options { folder: Some(folder), ..Options::default() }).await;
    app.settled(0).await;
    drop(command);
}

/// The writer. A child of another test has the lock too, from its fork until it runs its program.
async fn writer(index: &Index) -> Writer {
    let take = async || match index.writer() {
        Err(IndexError::InUse) => None,
        taken => Some(taken.expect("the writer")),
    };
    until("the writer", take).await
}

/// An index of another version is replaced, but never under the hands of a process that writes it.
#[tokio::test]
async fn an_index_that_another_process_writes_is_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let index = Index::open(&path).expect("an index");
    let writer = writer(&index).await;
    std::fs::write(path.join("meta.json"), "{").expect("a file");
    assert!(matches!(Index::open(&path), Err(IndexError::InUse)));
    assert_eq!(std::fs::read(path.join("meta.json")).expect("a file"), b"{");
    drop(writer);
    // A child of another test has the lock too, from its fork until it runs its program.
    while let Err(e) = Index::open(&path) {
        assert!(matches!(e, IndexError::InUse), "{e}");
        tokio::task::yield_now().await;
    }
}
