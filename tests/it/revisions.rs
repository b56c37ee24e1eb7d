use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acervo::domain::{Digest, millis, timestamp};
use acervo::record::{Claim, Fetched, Room, StoredFile};
use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::harness::links::FileServer;
use crate::harness::{Db, Options, TestApp, postgres};

/// One service for all cases: each has products of its own.
struct World {
    runtime: Runtime,
    app: TestApp,
    links: FileServer,
}

fn world(db: Db) -> &'static World {
    static SQLITE: OnceLock<World> = OnceLock::new();
    static POSTGRES: OnceLock<World> = OnceLock::new();
    let slot = if db == Db::Sqlite { &SQLITE } else { &POSTGRES };
    slot.get_or_init(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let options = Options { without_jobs: true, database_url: postgres::database(db), ..Options::default() };
        let (app, links) = runtime.block_on(async { (TestApp::with(options).await, FileServer::start().await) });
        World { runtime, app, links }
    })
}

/// An announcement: of which of two publications, sent when, with which content.
#[derive(Clone, Debug)]
struct Step {
    publication: usize,
    sent: i64,
    content: u8,
}

/// What one publication should hold, told without any interval.
#[derive(Default)]
struct Naive {
    /// Content, when it was announced last, by the how-manieth announcement, when it was archived.
    revisions: Vec<(u8, i64, usize, i64)>,
    /// Which revision was the latest after each arrival.
    history: Vec<(i64, usize)>,
    unchanged: usize,
}

impl Naive {
    fn latest(&self) -> Option<usize> {
        (0..self.revisions.len()).max_by_key(|i| (self.revisions[*i].1, self.revisions[*i].2, *i))
    }

    fn arrive(&mut self, content: u8, sent: i64, order: usize, at: i64) {
        match self.latest() {
            Some(latest) if self.revisions[latest].0 == content => {
                self.unchanged += 1;
                let revision = &mut self.revisions[latest];
                if (sent, order) > (revision.1, revision.2) {
                    (revision.1, revision.2) = (sent, order);
                }
            }
            _ => self.revisions.push((content, sent, order, at)),
        }
        let latest = self.latest().expect("one that just arrived");
        self.history.push((at, latest));
    }

    fn as_of(&self, at: i64) -> Option<usize> {
        self.history.iter().rev().find(|(when, _)| *when <= at).map(|(_, latest)| *latest)
    }
}

fn steps() -> impl Strategy<Value = (Vec<Step>, Vec<usize>)> {
    let step =
        (0usize..2, 0i64..6, 0u8..3).prop_map(|(publication, sent, content)| Step { publication, sent, content });
    prop::collection::vec(step, 1..9).prop_flat_map(|steps| {
        let order = Just((0..steps.len()).collect::<Vec<_>>()).prop_shuffle();
        (Just(steps), order)
    })
}

async fn check(world: &World, steps: &[Step], arrivals: &[usize]) {
    let app = &world.app;
    static CASES: AtomicUsize = AtomicUsize::new(1);
    let list = CASES.fetch_add(2, Ordering::Relaxed);
    let case = uuid::Uuid::now_v7().simple().to_string();
    let base = jiff::Timestamp::now().as_second() - 1000;
    // Announced in the order of the steps, each with a file of its own.
    for (i, step) in steps.iter().enumerate() {
        let claims =
            json!({ "URL": format!("/sites/1/Produtos/{}/{case}-{i}", list + step.publication), "IsFile": "True" });
        let link = world.links.link_at(&claims, base + step.sent, base + 86_640);
        let body = json!({ "nome": format!("{case} {}", step.publication), "dataProduto": case, "periodicidade": "2025-01-01T00:00:00", "url": link });
        assert_eq!(app.notify(&body.to_string()).await.0, 202);
    }
    let room = Room { total: 100, per_host: 100, hosts: Default::default() };
    let claims = app.app.record.claim(app.app.clock.now(), Duration::from_secs(60), room).await.expect("claims");
    let of = |i: usize| -> &Claim {
        claims.iter().find(|claim| claim.file_key.ends_with(&format!("{case}-{i}"))).expect("a claim")
    };
    // Fetched in any order.
    let mut naive = [Naive::default(), Naive::default()];
    let start = millis(app.app.clock.now());
    for (tick, i) in arrivals.iter().enumerate() {
        let step = &steps[*i];
        let at = start + 10 * (tick as i64 + 1);
        let digest = Digest::of(format!("{case} {}", step.content).as_bytes());
        let fetched = Fetched {
            file: StoredFile { digest, size: 5, stored_size: 5, encoding: "plain".into() },
            file_name: "a.txt".into(),
            extension: Some("txt".into()),
            content_type: None,
            warnings: Vec::new(),
            members: Vec::new(),
            validator: None,
            started_at: timestamp(start - 100_000_000),
            again_at: None,
        };
        app.app
            .record
            .settle(of(*i), &fetched, timestamp(at), std::future::ready(true))
            .await
            .expect("a settled claim");
        naive[step.publication].arrive(step.content, step.sent, *i, at);
    }
    if let Some(writer) = app.app.take_writer() {
        app.app.put_back_writer(acervo::jobs::catch_up(&app.app, writer).await.expect("an index"));
    }
    let count = arrivals.len() as i64;
    for (which, naive) in naive.iter().enumerate() {
        let variables = json!({ "n": format!("{case} {which}") });
        let query = "query($n: String!) { publications(filter: { name: { eq: $n } }) { nodes { revisionNumber revisionCount revisions { number sha256 supersededAt } } } }";
        let found = app.query_with(query, variables.clone()).await["publications"]["nodes"][0].clone();
        let Some(latest) = naive.latest() else {
            assert!(found.is_null());
            continue;
        };
        assert_eq!(found["revisionCount"].as_u64(), Some(naive.revisions.len() as u64));
        assert_eq!(found["revisionNumber"].as_u64(), Some(latest as u64 + 1));
        for (i, (content, ..)) in naive.revisions.iter().enumerate() {
            let shown = &found["revisions"][i];
            assert_eq!(shown["number"].as_u64(), Some(i as u64 + 1));
            assert_eq!(shown["sha256"], Digest::of(format!("{case} {content}").as_bytes()).to_string());
            assert_eq!(shown["supersededAt"].is_null(), i == latest, "{shown}");
        }
        // As the archive knew it at, just before and just after each arrival.
        for at in (0..=count + 1).flat_map(|tick| [start + 10 * tick - 1, start + 10 * tick, start + 10 * tick + 1]) {
            let query = "query($n: String!, $t: DateTime!) { publications(asOf: $t, filter: { name: { eq: $n } }) { nodes { revisionNumber } } }";
            let variables = json!({ "n": variables["n"], "t": format!("{:.3}", timestamp(at)) });
            let known = app.query_with(query, variables).await["publications"]["nodes"][0]["revisionNumber"].as_u64();
            assert_eq!(known, naive.as_of(at).map(|i| i as u64 + 1), "as of {at}");
        }
    }
    let query = "query($n: String!) { notifications(filter: { status: [UNCHANGED], name: { startsWith: $n } }) { totalCount } }";
    let unchanged = app.query_with(query, json!({ "n": case })).await["notifications"]["totalCount"].as_u64();
    assert_eq!(unchanged, Some(naive.iter().map(|n| n.unchanged as u64).sum()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_revisions_is_the_naive_one((steps, arrivals) in steps()) {
        let world = world(Db::Sqlite);
        world.runtime.block_on(check(world, &steps, &arrivals));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_is_the_same_on_postgres((steps, arrivals) in steps()) {
        if Db::all().contains(&Db::Postgres) {
            let world = world(Db::Postgres);
            world.runtime.block_on(check(world, &steps, &arrivals));
        }
    }
}
