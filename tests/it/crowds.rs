use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acervo::domain::{
    ChangeKind, Digest, NotificationId, NotificationStatus, ParsedNotification, PublicationId, PublicationStatus,
};
use acervo::leaves::record::{NewNotification, NotificationQuery};
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use crate::harness::links::FileServer;
use crate::harness::notice;
use crate::harness::samples::product;
use crate::harness::{Db, Options, PATIENCE, TestApp, holding, on_each_database, postgres, until};

/// How many come together.
const MANY: usize = 3_000;

/// Rows that one commit may write.
const PAGE: usize = 512;

async fn without_jobs(db: Db) -> TestApp {
    let values = vec![("receiver.queue", "10000".to_owned())];
    TestApp::with(Options { database_url: postgres::database(db), without_jobs: true, values, ..Options::default() })
        .await
}

/// Records many notifications, each of a different publication.
async fn many(app: &TestApp, links: &FileServer) {
    let new = |i: usize| {
        let claims = json!({ "URL": format!("/sites/9/Produtos/{}/{i}.txt", i % 40), "IsFile": "True" });
        let day = format!("{:02}/{:02}/{}", i % 28 + 1, i / 28 % 12 + 1, 2000 + i / 336);
        let body = notice::Notice::new(format!("Produto {}", i % 40)).reference(day).link(links.link(&claims));
        let body = body.to_string();
        NewNotification {
            id: NotificationId::new(),
            source: "default".to_owned(),
            received_at: app.app.clock.now(),
            body_digest: Digest::of(body.as_bytes()),
            notice: ParsedNotification::from_json(body.as_bytes()).expect("an object"),
        }
    };
    let accepted = join_all((0..MANY).map(|i| acervo::leaves::record(&app.app).intake().accept(new(i)))).await;
    assert!(accepted.iter().all(Result::is_ok));
    let unresolved = async || acervo::leaves::record(&app.app).monitor().unresolved().await.expect("a count").count;
    until("resolved notifications", async || (unresolved().await == 0).then_some(())).await;
}

/// Counts the statements of each kind and the most values that one had.
#[derive(Clone, Default)]
struct Tally(Arc<Mutex<(BTreeMap<String, usize>, usize)>>);

impl Tally {
    fn watch(app: &TestApp) -> Self {
        let tally = Self::default();
        let inner = tally.0.clone();
        acervo::leaves::record(&app.app).watch_statements(move |statement| {
            let mut inner = inner.lock().expect("a lock");
            let kind = statement.sql.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            *inner.0.entry(kind).or_default() += 1;
            inner.1 = inner.1.max(statement.values.len());
        });
        tally
    }

    fn take(&self) -> (BTreeMap<String, usize>, usize) {
        std::mem::take(&mut *self.0.lock().expect("a lock"))
    }
}

on_each_database!(links_that_expire_together_take_few_statements, 2 threads);
async fn links_that_expire_together_take_few_statements(db: Db) {
    let app = without_jobs(db).await;
    let links = FileServer::start().await;
    many(&app, &links).await;
    let tally = Tally::watch(&app);
    app.app.clock.advance(Duration::from_secs(2 * 86_400));
    let now = app.app.clock.now();
    assert_eq!(acervo::leaves::record(&app.app).queue().expire(now).await.expect("an end"), MANY as u64);
    let (kinds, values_max) = tally.take();
    let total: usize = kinds.values().sum();
    assert!(total < 30 * MANY.div_ceil(500), "{db:?}: {total} statements: {kinds:?}");
    assert!(values_max < 4 * PAGE, "{db:?}: a statement had {values_max} values");
    assert_eq!(acervo::leaves::record(&app.app).queue().expire(now).await.expect("an end"), 0);
    let counts = acervo::leaves::record(&app.app).monitor().counts().await.expect("counts");
    assert_eq!(counts.of(NotificationStatus::Expired), MANY as u64);
    let changes = acervo::leaves::record(&app.app).feed().changes_after(0, 4 * MANY as u64).await.expect("changes");
    let lost = changes.iter().filter(|change| change.kind == ChangeKind::Lost);
    let lost: HashSet<PublicationId> = lost.map(|change| change.publication_id).collect();
    assert_eq!(lost.len(), MANY, "{db:?}");
    let some: Vec<PublicationId> = lost.into_iter().take(500).collect();
    let rows = acervo::leaves::record(&app.app).history().publications_by_id(&some).await.expect("rows");
    assert!(rows.values().all(|row| row.status == PublicationStatus::Lost), "{db:?}");
}

on_each_database!(queueing_everything_again_lets_notifications_pass, 2 threads);
async fn queueing_everything_again_lets_notifications_pass(db: Db) {
    let app = without_jobs(db).await;
    let links = FileServer::start().await;
    many(&app, &links).await;
    let tally = Tally::watch(&app);
    let record = acervo::leaves::record(&app.app).clone();
    let now = app.app.clock.now();
    let retry = tokio::spawn(async move { record.queue().retry(&NotificationQuery::default(), now).await });
    let mut posted = 0;
    while !retry.is_finished() {
        let (status, answer) = app.notify(&json!({ "nome": "Produto" }).to_string()).await;
        assert_eq!(status, 422, "{answer}");
        posted += 1;
    }
    let counts = retry.await.expect("a task").expect("counts");
    // What was rejected before the retry began is matched too, and stays rejected.
    let rejected = counts.matched.checked_sub(MANY as u64);
    assert!(rejected.is_some_and(|rejected| rejected <= posted), "{counts:?}, {posted} posted");
    assert_eq!((counts.queued, counts.expired), (MANY as u64, 0), "{db:?}");
    let (kinds, values_max) = tally.take();
    assert!(kinds["UPDATE \"notifications\""] >= MANY.div_ceil(500), "{db:?}: {kinds:?}");
    assert!(values_max < 4 * PAGE, "{db:?}: a statement had {values_max} values");
    assert!(posted > 2, "{db:?}: only {posted} notifications passed");
    // Notifications that do not match, and expired ones, do not change.
    let first = app
        .query("{ notifications(first: 1, filter: { status: [QUEUED] }) { nodes { publication { product { id } } } } }")
        .await;
    let product = first["notifications"]["nodes"][0]["publication"]["product"]["id"].as_str().expect("an id");
    let one = app
        .query(&format!(
            "mutation {{ retryNotifications(filter: {{ productId: \"{}\" }}) {{ matched queued dead }} }}",
            product
        ))
        .await;
    assert_eq!(one["retryNotifications"], json!({ "matched": 75, "queued": 75, "dead": 0 }), "{db:?}");
    app.app.clock.advance(Duration::from_secs(2 * 86_400));
    let result = app.query("mutation { retryNotifications(filter: {}) { matched queued dead } }").await;
    assert_eq!(result["retryNotifications"]["dead"], MANY, "{db:?}");
    assert_eq!(result["retryNotifications"]["queued"], 0, "{db:?}");
}

on_each_database!(bodies_are_emptied_once, 2 threads);
async fn bodies_are_emptied_once(db: Db) {
    let app = without_jobs(db).await;
    let links = FileServer::start().await;
    many(&app, &links).await;
    app.app.clock.advance(Duration::from_secs(2 * 86_400));
    let (record, now) = (acervo::leaves::record(&app.app), app.app.clock.now());
    record.queue().expire(now).await.expect("an end");
    let mut pages = 0;
    while record.retention().drop_old_bodies(now, 500).await.expect("a page") > 0 {
        pages += 1;
    }
    assert_eq!(pages, MANY.div_ceil(500), "{db:?}");
    let bodies = app.query("{ notifications(first: 1000) { nodes { body } } }").await;
    let bodies = bodies["notifications"]["nodes"].as_array().expect("a list").clone();
    assert!(bodies.iter().all(|node| node["body"].is_null()), "{db:?}");
}

/// SQLite: a reader of another program, in the middle of a transaction, while links are erased.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_does_not_keep_notifications_waiting() {
    let app = TestApp::start().await;
    let number = app.portal.add(product(1, "Produto 1", "a.csv", &b"x"[..]));
    app.archive(number).await;
    let outside = app.database().await;
    let reader = outside.begin().await.expect("a transaction");
    reader.execute_unprepared("SELECT count(*) FROM bi_notifications").await.expect("a count");
    let answered = async {
        for number in 2..8 {
            // Each is archived, so that its link is erased, and has the log emptied.
            app.portal.add(product(number, &format!("Produto {number}"), "a.csv", format!("{number}").into_bytes()));
            assert_eq!(app.portal.enviar(number).await.expect("a product").status, Some(202));
            app.settled(u64::from(number)).await;
            acervo::leaves::record(&app.app).links().erase(app.app.clock.now()).await.expect("erased");
            assert!(
                !acervo::leaves::record(&app.app).links().empty_log().await.expect("an attempt"),
                "a reader needs the log"
            );
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("a reader keeps notifications waiting");
    let holds_link = || !holding(app.folder.path(), b"webhook?token=").is_empty();
    assert!(holds_link(), "what the reader sees must be there");
    reader.rollback().await.expect("a transaction");
    until("no link after the reader's end", async || (!holds_link()).then_some(())).await;
}
