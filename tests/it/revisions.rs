use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acervo::domain::{Digest, Encoding, StoredFile, millis, timestamp};
use acervo::leaves::record::{Capacity, Claim, FetchedFile};
use proptest::prelude::*;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::database::fetched_file;
use crate::harness::links::FileServer;
use crate::harness::{Db, Options, TestApp, cases, postgres, random};

/// One service for all cases; each case has its own products.
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

/// What one publication should hold, without any interval.
#[derive(Default)]
struct Naive {
    /// Content, when it was announced last, the index of that announcement, when it was archived.
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

/// A small file.
fn fetched(digest: Digest) -> FetchedFile {
    fetched_file(StoredFile { digest, encoding: Encoding::Plain, base: None, size: 5, stored_size: 5 })
}

fn steps() -> impl Strategy<Value = (Vec<Step>, Vec<usize>)> {
    let step =
        (0usize..2, 0i64..6, 0u8..3).prop_map(|(publication, sent, content)| Step { publication, sent, content });
    prop::collection::vec(step, 1..9).prop_flat_map(|steps| {
        let order = Just((0..steps.len()).collect::<Vec<_>>()).prop_shuffle();
        (Just(steps), order)
    })
}

/// One case: products, publications and files with names that no other case has.
struct Case<'a> {
    app: &'a TestApp,
    name: String,
    start: i64,
}

async fn check(world: &World, steps: &[Step], arrivals: &[usize]) {
    let app = &world.app;
    let case = Case { app, name: uuid::Uuid::now_v7().simple().to_string(), start: millis(app.app.clock.now()) };
    announce_in_order(world, &case, steps).await;
    let naive = fetch_in_any_order(&case, steps, arrivals).await;
    acervo::jobs::catch_up(&app.app).await.expect("an index");
    for (which, naive) in naive.iter().enumerate() {
        let name = format!("{} {which}", case.name);
        is_listed_as(&case, &name, naive).await;
        if naive.latest().is_some() {
            is_known_as(&case, &name, naive, arrivals.len() as i64).await;
        }
    }
    let query = "query($n: String!) {
        notifications(filter: { status: [UNCHANGED], name: { startsWith: $n } }) { totalCount } }";
    let unchanged = app.query_with(query, json!({ "n": case.name })).await["notifications"]["totalCount"].as_u64();
    assert_eq!(unchanged, Some(naive.iter().map(|n| n.unchanged as u64).sum()));
}

/// Announces each step with a file of its own.
async fn announce_in_order(world: &World, case: &Case<'_>, steps: &[Step]) {
    static LISTS: AtomicUsize = AtomicUsize::new(1);
    let list = LISTS.fetch_add(2, Ordering::Relaxed);
    let base = jiff::Timestamp::now().as_second() - 1000;
    for (i, step) in steps.iter().enumerate() {
        let path = format!("/sites/1/Produtos/{}/{}-{i}", list + step.publication, case.name);
        let claims = json!({ "URL": path, "IsFile": "True" });
        let link = world.links.link_at(&claims, base + step.sent, base + 86_640);
        let body = json!({
            "nome": format!("{} {}", case.name, step.publication), "dataProduto": case.name,
            "periodicidade": "2025-01-01T00:00:00", "url": link,
        });
        assert_eq!(case.app.notify(&body.to_string()).await.0, 202);
    }
}

/// Claims what was announced and settles it in another order; gives what each publication should hold then.
async fn fetch_in_any_order(case: &Case<'_>, steps: &[Step], arrivals: &[usize]) -> [Naive; 2] {
    let record = acervo::leaves::record(&case.app.app);
    record.intake().caught_up().await;
    let queue = record.queue();
    let capacity = Capacity { total: 100, per_host: 100, hosts: Default::default() };
    let now = case.app.app.clock.now();
    let claims = queue.claim(now, now, Duration::from_secs(60), capacity).await.expect("claims");
    let mut naive = [Naive::default(), Naive::default()];
    for (tick, i) in arrivals.iter().enumerate() {
        let key = format!("{}-{i}", case.name);
        let claim: &Claim = claims.iter().find(|claim| claim.file_key.ends_with(&key)).expect("a claim");
        let step = &steps[*i];
        let at = case.start + 10 * (tick as i64 + 1);
        let fetched = fetched(Digest::of(format!("{} {}", case.name, step.content).as_bytes()));
        let settled = queue.settle(claim, &fetched, timestamp(at), &[]).await;
        settled.expect("a settled claim");
        naive[step.publication].arrive(step.content, step.sent, *i, at);
    }
    naive
}

/// The publication shows these revisions.
async fn is_listed_as(case: &Case<'_>, name: &str, naive: &Naive) {
    let query = "query($n: String!) { publications(filter: { name: { eq: $n } }) {
        nodes { revisionNumber revisionCount revisions { number sha256 supersededAt } } } }";
    let found = case.app.query_with(query, json!({ "n": name })).await["publications"]["nodes"][0].clone();
    let Some(latest) = naive.latest() else {
        assert!(found.is_null());
        return;
    };
    assert_eq!(found["revisionCount"].as_u64(), Some(naive.revisions.len() as u64));
    assert_eq!(found["revisionNumber"].as_u64(), Some(latest as u64 + 1));
    for (i, (content, ..)) in naive.revisions.iter().enumerate() {
        let listed = &found["revisions"][i];
        assert_eq!(listed["number"].as_u64(), Some(i as u64 + 1));
        assert_eq!(listed["sha256"], Digest::of(format!("{} {content}", case.name).as_bytes()).to_string());
        assert_eq!(listed["supersededAt"].is_null(), i == latest, "{listed}");
    }
}

/// As the archive knew it at, just before and just after each arrival.
async fn is_known_as(case: &Case<'_>, name: &str, naive: &Naive, arrivals: i64) {
    let query = "query($n: String!, $t: DateTime!) {
        publications(asOf: $t, filter: { name: { eq: $n } }) { nodes { revisionNumber } } }";
    let ticks = (0..=arrivals + 1).map(|tick| case.start + 10 * tick);
    for at in ticks.flat_map(|tick| [tick - 1, tick, tick + 1]) {
        let variables = json!({ "n": name, "t": format!("{:.3}", timestamp(at)) });
        let data = case.app.query_with(query, variables).await;
        let known = data["publications"]["nodes"][0]["revisionNumber"].as_u64();
        assert_eq!(known, naive.as_of(at).map(|i| i as u64 + 1), "as of {at}");
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn the_order_of_revisions_is_the_naive_one((steps, arrivals) in steps()) {
        let world = world(Db::Sqlite);
        world.runtime.block_on(check(world, &steps, &arrivals));
    }
}

proptest! {
    #![proptest_config(cases(10))]

    #[test]
    #[ignore = "needs PostgreSQL"]
    fn the_order_is_the_same_on_postgres((steps, arrivals) in steps()) {
            let world = world(Db::Postgres);
            world.runtime.block_on(check(world, &steps, &arrivals));
        }
}

/// How many publications with different histories are in one archive at once; `ACERVO_TEST_HISTORIES` sets it.
fn histories() -> usize {
    std::env::var("ACERVO_TEST_HISTORIES").ok().and_then(|n| n.parse().ok()).unwrap_or(500)
}

/// Histories in progress together: each claim names those in progress.
const AT_ONCE: usize = 2_000;

/// The name and the day of a publication by its number.
fn named(which: usize) -> (String, String) {
    let days = i64::try_from(which / 50).expect("a number");
    let day = jiff::civil::date(2000, 1, 1).saturating_add(jiff::Span::new().days(days));
    (format!("Produto {}", which % 50), day.strftime("%d/%m/%Y").to_string())
}

#[tokio::test]
async fn lists_as_of_any_instant_are_the_naive_ones() {
    let mut random = random();
    let app = TestApp::with(Options { without_jobs: true, ..Options::default() }).await;
    let links = FileServer::start().await;
    let start = millis(app.app.clock.now());
    let mut naive: Vec<Naive> = (0..histories()).map(|_| Naive::default()).collect();
    let mut tick = 0;
    for first in (0..histories()).step_by(AT_ONCE) {
        let publications = first..histories().min(first + AT_ONCE);
        let mut announced = announce_histories(&app, &links, publications, &mut random).await;
        let claims = claim_all(&app, announced.len()).await;
        // Fetched in any order.
        announced.shuffle(&mut random);
        for (step, order) in &announced {
            let at = start + tick;
            tick += 1;
            let claim = &claims[&format!("{}-{order}", step.publication)];
            let digest = Digest::of(format!("{} {}", step.publication, step.content).as_bytes());
            let fetched = fetched(digest);
            let settled = acervo::leaves::record(&app.app).queue().settle(claim, &fetched, timestamp(at), &[]).await;
            settled.expect("a settled claim");
            naive[step.publication].arrive(step.content, step.sent, *order, at);
        }
    }
    assert!(acervo::jobs::catch_up(&app.app).await.expect("an index"));
    let anywhere = (0..20).map(|_| random.random_range(0..tick));
    for offset in [-1, 0, 1, tick - 1, tick, tick + 1000].into_iter().chain(anywhere) {
        let at = start + offset;
        let known = naive.iter().enumerate().filter_map(|(which, naive)| Some((which, naive.as_of(at)?)));
        let mut expected: Vec<(String, String, i64)> = known
            .map(|(which, latest)| {
                let (name, day) = named(which);
                (name, day, latest as i64 + 1)
            })
            .collect();
        let mut listed = listed_as_of(&app, at, expected.len()).await;
        expected.sort();
        listed.sort();
        assert!(expected == listed, "as of {offset}: {:?}", expected.iter().zip(&listed).find(|(a, b)| a != b));
    }
    eprintln!("{} histories with {} announcements: no difference at 26 instants", histories(), tick);
}

/// Announces up to six files of each publication, in order; gives each announcement and its place among its own.
async fn announce_histories(
    app: &TestApp,
    links: &FileServer,
    publications: std::ops::Range<usize>,
    random: &mut StdRng,
) -> Vec<(Step, usize)> {
    let base = jiff::Timestamp::now().as_second() - 1000;
    let mut announced = Vec::new();
    for which in publications {
        let (name, day) = named(which);
        for order in 0..random.random_range(1..=6) {
            let step = Step { publication: which, sent: random.random_range(0..6), content: random.random_range(0..3) };
            let list = format!("/sites/1/Produtos/{}/{which}-{order}", which % 50 + 1);
            let link = links.link_at(&json!({ "URL": list, "IsFile": "True" }), base + step.sent, base + 86_640);
            let body = json!({ "nome": name, "dataProduto": day, "url": link });
            assert_eq!(app.notify(&body.to_string()).await.0, 202);
            announced.push((step, order));
        }
    }
    announced
}

/// Claims so many files; gives each claim by the end of its file's key.
async fn claim_all(app: &TestApp, count: usize) -> HashMap<String, Claim> {
    let mut claims = HashMap::new();
    while claims.len() < count {
        let capacity = Capacity { total: 1_000, per_host: 1_000, hosts: Default::default() };
        let (now, lease) = (app.app.clock.now(), Duration::from_secs(3600));
        acervo::leaves::record(&app.app).intake().caught_up().await;
        let some = acervo::leaves::record(&app.app).queue().claim(now, now, lease, capacity).await.expect("claims");
        assert!(!some.is_empty(), "{} of {count} claimed", claims.len());
        claims.extend(some.into_iter().map(|claim| {
            let key = claim.file_key.rsplit('/').next().unwrap_or_default().to_owned();
            (key, claim)
        }));
    }
    claims
}

/// All publications as of an instant: name, day, and the number of the revision listed.
async fn listed_as_of(app: &TestApp, at: i64, total: usize) -> Vec<(String, String, i64)> {
    let query = "query($at: DateTime, $after: String) {
        publications(asOf: $at, first: 1000, after: $after, orderBy: NAME_ASC) {
            totalCount nodes { name referenceDate revisionNumber } pageInfo { hasNextPage endCursor } } }";
    let (mut listed, mut after) = (Vec::new(), Value::Null);
    loop {
        let variables = json!({ "at": timestamp(at).to_string(), "after": after });
        let list = app.query_with(query, variables).await["publications"].clone();
        assert_eq!(list["totalCount"], total, "as of {at}");
        for node in list["nodes"].as_array().expect("a list") {
            let text = |name: &str| node[name].as_str().expect("a text").to_owned();
            listed.push((text("name"), text("referenceDate"), node["revisionNumber"].as_i64().expect("a number")));
        }
        after = list["pageInfo"]["endCursor"].clone();
        if list["pageInfo"]["hasNextPage"] == false {
            return listed;
        }
    }
}
