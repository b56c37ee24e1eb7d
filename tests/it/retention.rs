use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use acervo::config::Policy;
use acervo::domain::Glob;
use acervo::domain::{Digest, LocalDateTime, Period, RevisionId};
use acervo::jobs::retention::{Inventory, Publication, plan};
use acervo::leaves::record::{InventoryFile, InventoryProduct, InventoryPublication, InventoryRevision};
use jiff::civil::date;
use jiff::{Span, Timestamp, ToSpan};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::samples::{product, replace};
use crate::harness::{Db, Options, TestApp, bytes_in, postgres, process, until};

const NAMES: [&str; 3] = ["Deck NEWAVE Preliminar", "DECOMP - Valor Esperado", "Acomph"];

/// A small archive made up from a seed.
fn archive(random: &mut StdRng) -> Inventory {
    let mut inventory = Inventory::default();
    let count = random.random_range(1..=3);
    for name in &NAMES[..count] {
        inventory.add_product(product_named(uuid(random), name));
    }
    for i in 0..12u8 {
        let size = u64::from(random.random_range(0..20u32)) * 100;
        let stored_size = 100 * u64::from(random.random_range(1..9u32));
        inventory.add_file(InventoryFile { digest: Digest::of(&[i]), size, stored_size });
    }
    for _ in 0..random.random_range(1..=14) {
        let start = date(2024, 1, 1).saturating_add(i64::from(random.random_range(0..800)).days());
        let days = [0, 6, 29][random.random_range(0..3)];
        let end = start.saturating_add(i64::from(days).days());
        let extension = ["zip", "pdf"][random.random_range(0..2)];
        let mut own: Vec<InventoryRevision> = Vec::new();
        for number in 1..=random.random_range(1..=4) {
            let archived_at = instant(random.random_range(0..800));
            own.push(InventoryRevision {
                id: RevisionId(uuid(random)),
                publication: Uuid::nil(),
                number,
                digest: Digest::of(&[random.random_range(0..12)]),
                extension: Some(extension.into()),
                announced_at: archived_at - i64::from(random.random_range(0..5)) * 86_400_000,
                archived_at,
                superseded_at: None,
                held: random.random_range(0..12) == 0,
            });
        }
        let place = |revision: &InventoryRevision| (revision.announced_at, revision.number);
        for i in 0..own.len() {
            let newer = own.iter().filter(|other| place(other) > place(&own[i]));
            own[i].superseded_at = newer.map(|other| other.archived_at.max(own[i].archived_at)).min();
        }
        let product = inventory.products[random.random_range(0..count)].id;
        inventory.add_publication(publication(uuid(random), product, start, end), &own);
    }
    inventory
}

fn product_named(id: Uuid, name: &str) -> InventoryProduct {
    InventoryProduct { id, name: name.into(), names: vec![acervo::domain::fold(name)] }
}

fn publication(id: Uuid, product: Uuid, start: jiff::civil::Date, end: jiff::civil::Date) -> InventoryPublication {
    InventoryPublication {
        id,
        product,
        process: "Operação em Tempo Real".into(),
        macro_process: "Operação do Sistema".into(),
        reference_date: start.to_string(),
        period: Period { start: LocalDateTime::start_of(start), end: LocalDateTime::end_of(end) },
    }
}

fn uuid(random: &mut StdRng) -> Uuid {
    Uuid::from_u128(random.random())
}

fn instant(day: i64) -> i64 {
    "2024-01-01T12:00:00Z".parse::<Timestamp>().expect("an instant").as_millisecond() + day * 86_400_000
}

fn policies(random: &mut StdRng) -> Vec<Policy> {
    let mut all = Vec::new();
    for i in 0..random.random_range(0..=3) {
        let mut policy = Policy { name: format!("p{i}"), ..Policy::default() };
        if random.random_range(0..2) == 0 {
            policy.matching.names =
                vec![Glob::new(["deck*", "*valor ESPERADO", "Acomph", "nada", "*"][random.random_range(0..5)])];
        }
        if random.random_range(0..4) == 0 {
            policy.matching.extensions = vec!["zip".into()];
        }
        if random.random_range(0..5) == 0 {
            policy.larger_than = Some(700);
        }
        let mut some = |n: u32| (random.random_range(0..4) == 0).then(|| random.random_range(1..=n));
        policy.keep_last = some(3);
        policy.keep_superseded = some(400).map(|days| i64::from(days).days());
        policy.keep_within = some(500).map(|days| i64::from(days).days());
        policy.keep_daily = some(5);
        policy.keep_weekly = some(5);
        policy.keep_monthly = some(5);
        policy.keep_yearly = some(2);
        policy.keep_all = random.random_range(0..12) == 0;
        if policy.chooses_publications() || policy.chooses_revisions() {
            all.push(policy);
        }
    }
    all
}

/// The manual, written a second time and simply: which revisions stay.
fn naive(inventory: &Inventory, policies: &[Policy], now: Timestamp) -> HashSet<u32> {
    let naive = Naive { inventory, policies, now };
    let mut stays = HashSet::new();
    for (i, publication) in inventory.publications.iter().enumerate() {
        let policy = naive.policy_of(publication).map(|p| &policies[p]);
        let kept = naive.is_newest(publication) || policy.is_none_or(|p| naive.keeps_publication(p, i));
        let (from, to) = publication.revisions;
        for r in from..to {
            let place = |r: u32| {
                let revision = &inventory.revisions[r as usize];
                (revision.announced_at, revision.number)
            };
            let rank = (from..to).filter(|other| place(*other) > place(r)).count() as u32;
            let revision = &inventory.revisions[r as usize];
            let chosen = policy.is_none_or(|p| {
                !p.chooses_revisions()
                    || p.keep_last.is_some_and(|n| rank < n)
                    || p.keep_superseded.is_some_and(|span| revision.superseded_at > before(now, span))
            });
            if revision.held || (kept && (rank == 0 || chosen)) {
                stays.insert(r);
            }
        }
    }
    stays
}

struct Naive<'a> {
    inventory: &'a Inventory,
    policies: &'a [Policy],
    now: Timestamp,
}

impl Naive<'_> {
    /// The first policy that matches.
    fn policy_of(&self, p: &Publication) -> Option<usize> {
        let inventory = self.inventory;
        self.policies.iter().position(|policy| {
            let names = &inventory.products[p.product as usize].names;
            (policy.matching.names.is_empty()
                || policy.matching.names.iter().any(|g| names.iter().any(|n| g.matches(n))))
                && (policy.matching.extensions.is_empty()
                    || policy.matching.extensions.iter().any(|e| e == inventory.extension(p)))
                && policy.larger_than.is_none_or(|n| inventory.size(p) > n)
        })
    }

    /// Whether it is the newest of its product.
    fn is_newest(&self, publication: &Publication) -> bool {
        let own = self.inventory.publications.iter().filter(|p| p.product == publication.product);
        let newest = own.max_by_key(|p| (p.period_start(), p.period_end(), p.announced_at, p.id));
        newest.expect("itself").id == publication.id
    }

    fn keeps_publication(&self, policy: &Policy, i: usize) -> bool {
        let local_now = acervo::domain::sao_paulo().to_datetime(self.now);
        let start = |p: &Publication| date(1970, 1, 1).at(0, 0, 0, 0).saturating_add(p.period_start().seconds());
        let end = self.inventory.publications[i].period_end();
        policy.keep_all
            || !policy.chooses_publications()
            || policy.keep_within.is_some_and(|span| end >= LocalDateTime(local_now.saturating_sub(span)).as_number())
            || self.is_last_of_its_bucket(i, policy.keep_daily, &|o| start(o).strftime("%Y-%m-%d").to_string())
            || self.is_last_of_its_bucket(i, policy.keep_weekly, &|o| start(o).strftime("%G-%V").to_string())
            || self.is_last_of_its_bucket(i, policy.keep_monthly, &|o| start(o).strftime("%Y-%m").to_string())
            || self.is_last_of_its_bucket(i, policy.keep_yearly, &|o| start(o).strftime("%Y").to_string())
    }

    /// Whether it is the last of one of the newest `count` days, weeks, months or years.
    fn is_last_of_its_bucket(&self, i: usize, count: Option<u32>, key: &dyn Fn(&Publication) -> String) -> bool {
        let Some(count) = count else { return false };
        let own = &self.inventory.publications[i];
        let mut buckets: BTreeMap<String, Vec<&Publication>> = BTreeMap::new();
        let is_sibling = |o: &&Publication| o.product == own.product && self.policy_of(o) == self.policy_of(own);
        for other in self.inventory.publications.iter().filter(is_sibling) {
            buckets.entry(key(other)).or_default().push(other);
        }
        let newest: Vec<_> = buckets.into_iter().rev().take(count as usize).collect();
        let last_of = |of: &[&Publication]| of.iter().max_by_key(|p| (p.announced_at, p.id)).map(|last| last.id);
        newest.iter().any(|(_, of)| last_of(of) == Some(own.id))
    }
}

fn before(now: Timestamp, span: Span) -> i64 {
    let zoned = now.to_zoned_datetime(acervo::domain::sao_paulo().clone());
    zoned.checked_sub(span).expect("an instant").timestamp().as_millisecond()
}

fn kept(inventory: &Inventory, policies: &[Policy], max: Option<u64>, now: Timestamp) -> HashSet<u32> {
    let plan = plan(inventory, policies, max, now);
    assert_eq!(plan.decisions.len(), inventory.revisions.len());
    assert_eq!(
        (plan.keep, plan.keep + plan.remove),
        (plan.decisions.iter().filter(|d| d.keep).count(), plan.decisions.len())
    );
    assert_eq!(plan.bytes_freed, plan.decisions.iter().map(|d| d.bytes_freed).sum::<u64>());
    (0u32..).zip(&plan.decisions).filter(|(_, decision)| decision.keep).map(|(i, _)| i).collect()
}

/// The archive after a run, and where its revisions were before.
fn without(inventory: &Inventory, stays: &HashSet<u32>) -> (Inventory, Vec<u32>) {
    let mut rest = inventory.clone();
    rest.publications.clear();
    rest.revisions.clear();
    let mut places = Vec::new();
    for publication in &inventory.publications {
        let own: Vec<u32> = (publication.revisions.0..publication.revisions.1).filter(|r| stays.contains(r)).collect();
        let Some(latest) = own.iter().max_by_key(|r| {
            let revision = &inventory.revisions[**r as usize];
            (revision.announced_at, revision.number)
        }) else {
            continue;
        };
        let from = rest.revisions.len() as u32;
        rest.revisions.extend(own.iter().map(|r| inventory.revisions[*r as usize]));
        let place = own.iter().position(|r| r == latest).expect("one that stays") as u32;
        let announced_at = inventory.revisions[*latest as usize].announced_at;
        let revisions = (from, from + own.len() as u32);
        let mut left = publication.clone();
        (left.revisions, left.latest, left.announced_at) = (revisions, from + place, announced_at);
        rest.publications.push(left);
        places.extend(own);
    }
    (rest, places)
}

#[test]
fn ten_thousand_archives_keep_what_the_manual_says() {
    let mut random = StdRng::seed_from_u64(20_261_124);
    let mut removed = 0;
    for case in 0..10_000 {
        let inventory = archive(&mut random);
        let policies = policies(&mut random);
        let now = Timestamp::from_millisecond(instant(random.random_range(300..1200))).expect("an instant");
        let stays = kept(&inventory, &policies, None, now);
        assert_eq!(stays, naive(&inventory, &policies, now), "case {case}: {policies:#?}\n{inventory:#?}");
        removed += inventory.revisions.len() - stays.len();
        assert_eq!(
            plan(&inventory, &policies, None, now).bytes_freed,
            freed(&inventory, &stays),
            "case {case}: {policies:#?}"
        );
        // A second run at the same time removes nothing more.
        let (rest, places) = without(&inventory, &stays);
        if policies.iter().all(|p| p.matching.extensions.is_empty() && p.larger_than.is_none()) {
            let again: HashSet<u32> = kept(&rest, &policies, None, now).iter().map(|i| places[*i as usize]).collect();
            assert_eq!(again, stays, "case {case}: {policies:#?}");
        }
        let more = with_more_rules(&policies);
        assert!(kept(&inventory, &more, None, now).is_superset(&stays), "case {case}: a rule more keeps less");
        shrinks_only_what_no_policy_keeps(&inventory, &policies, &stays, now, case);
    }
    assert!(removed > 10_000, "the policies removed too little to prove anything: {removed}");
}

/// Bytes of the files that none of the revisions that stay has.
fn freed(inventory: &Inventory, stays: &HashSet<u32>) -> u64 {
    let file = |r: u32| inventory.revisions[r as usize].file;
    let left: HashSet<u32> = stays.iter().map(|r| file(*r)).collect();
    let all: HashSet<u32> = (0..inventory.revisions.len() as u32).map(file).collect();
    all.difference(&left).map(|file| inventory.stored_sizes[*file as usize]).sum()
}

/// The policies with one more rule of each kind.
fn with_more_rules(policies: &[Policy]) -> Vec<Policy> {
    let mut more = policies.to_vec();
    for policy in &mut more {
        if policy.chooses_publications() {
            policy.keep_yearly = policy.keep_yearly.or(Some(1));
        }
        if policy.chooses_revisions() {
            policy.keep_superseded = policy.keep_superseded.or(Some(30.days()));
        }
    }
    more
}

/// However small `max_stored` is, only what no policy keeps is removed, and never the last of a product.
fn shrinks_only_what_no_policy_keeps(
    inventory: &Inventory,
    policies: &[Policy],
    stays: &HashSet<u32>,
    now: Timestamp,
    case: usize,
) {
    let shrunk = kept(inventory, policies, Some(0), now);
    let all_have_a_policy = policies
        .iter()
        .any(|p| p.matching.names.is_empty() && p.matching.extensions.is_empty() && p.larger_than.is_none());
    for publication in &inventory.publications {
        let (from, to) = publication.revisions;
        if all_have_a_policy {
            assert!((from..to).all(|r| stays.contains(&r) == shrunk.contains(&r)), "case {case}");
        }
        let some_stay = (from..to).any(|r| shrunk.contains(&r) && !inventory.revisions[r as usize].held);
        assert!(!some_stay || shrunk.contains(&publication.latest), "case {case}: a publication without its latest");
    }
    for product in 0..inventory.products.len() as u32 {
        let own = inventory.publications.iter().filter(|p| p.product == product);
        if let Some(newest) = own.max_by_key(|p| (p.period_start(), p.period_end(), p.announced_at, p.id)) {
            assert!(shrunk.contains(&newest.latest), "case {case}: a product without its newest publication");
        }
    }
}

/// A product with `days` daily versions.
pub fn days(days: i64) -> acervo::portal::Product {
    let mut deck = product(1, "Deck NEWAVE Preliminar", "deck.txt", &b""[..]);
    let first = deck.versions.remove(0);
    for day in 0..days {
        let mut version = first.clone();
        version.period = acervo::portal::Periodicity::Daily.period_of(date(2025, 1, 1).saturating_add(day.days()));
        version.content = acervo::portal::Content::Bytes(format!("{day} ").repeat(20_000).into());
        deck.to_come.push(version);
    }
    deck
}

/// A service with policies, and twelve daily publications of one product, the last revised once.
async fn some_history(policy: &str) -> TestApp {
    history_of(12, policy).await
}

pub async fn history_of(count: u32, policy: &str) -> TestApp {
    history_on(Db::Sqlite, count, policy).await
}

pub async fn history_on(db: Db, count: u32, policy: &str) -> TestApp {
    let folder = std::sync::Arc::new(tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("acervo.toml");
    std::fs::write(&file, policy).expect("a file");
    let database_url = postgres::database(db);
    let app =
        TestApp::with(Options { folder: Some(folder), config: Some(file), database_url, ..Options::default() }).await;
    app.portal.add(days(count.into()));
    for number in 1..=count {
        app.portal.publish(1).await.expect("a delivery");
        // The portal has the newest file alone.
        app.settled(number.into()).await;
    }
    app.portal.change(1, |product| replace(product, "outro ".repeat(20_000)));
    app.portal.enviar(1).await;
    app.settled(u64::from(count) + 1).await;
    app
}

pub const PLAN: &str = "{ retentionPlan { keep remove bytesFreed lines(first: 1000) {
    totalCount nodes { revisionId number action policy rule reason bytesFreed referenceDate } } } }";

pub const DECKS: &str = r#"[retention]
grace = "7d"
[[retention.policy]]
name = "decks"
match = { name = ["deck newave*"] }
keep_daily = 3
keep_last = 1
"#;

const RUN: &str = "mutation { runRetention(dryRun: false) { id removed bytesFreed sweepAfter } }";

/// Bytes in the archive.
fn stored(app: &TestApp) -> u64 {
    bytes_in(&app.folder.path().join("data/archive"))
}

/// Waits until the index shows `count` publications as removed.
async fn until_purged(app: &TestApp, count: u64) {
    let query = "{ publications(filter: { status: [PURGED] }) { totalCount } }";
    app.until(query, |data| data["publications"]["totalCount"] == count).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plan_is_the_same_everywhere_and_a_dry_run_changes_nothing() {
    let app = some_history(DECKS).await;
    let plan = app.query(PLAN).await["retentionPlan"].clone();
    assert_eq!((plan["keep"].as_i64(), plan["remove"].as_i64()), (Some(3), Some(10)));
    // The command line prints the same, to the line.
    let printed =
        tokio::task::block_in_place(|| process::printed(app.folder.path(), &["retention", "plan", "--format", "json"]));
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(printed["lines"].as_array().map(Vec::len), Some(13));
    assert_eq!((&printed["remove"], &printed["bytesFreed"]), (&plan["remove"], &plan["bytesFreed"]));
    let dry = app.query("mutation { runRetention { dryRun removed sweepAfter } }").await["runRetention"].clone();
    assert_eq!(dry, json!({ "dryRun": true, "removed": 10, "sweepAfter": null }));
    assert_eq!(app.query(PLAN).await["retentionPlan"]["remove"], 10, "a dry run changed something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_marks_all_but_what_is_held_and_can_be_undone() {
    let app = some_history(DECKS).await;
    let full = stored(&app);
    let plan = app.query(PLAN).await["retentionPlan"].clone();
    let lines = plan["lines"]["nodes"].as_array().expect("lines");
    let held = lines.iter().find(|line| line["action"] == "REMOVE").expect("a line")["revisionId"].clone();
    let hold = format!("mutation {{ holdRevision(id: {held}, reason: \"auditoria\") {{ held holdReason heldBy }} }}");
    assert_eq!(
        app.query(&hold).await["holdRevision"],
        json!({ "held": true, "holdReason": "auditoria", "heldBy": "api.token" })
    );
    let run = app.query(RUN).await["runRetention"].clone();
    assert_eq!(run["removed"], 9);
    assert_eq!(app.query(PLAN).await["retentionPlan"]["remove"], 0, "a second run would remove more");
    until_purged(&app, 8).await;
    let query = "{ publications(search: \"newave\", filter: { status: [PURGED] }, first: 1) {
        nodes { revisionId sha256 fileUrl } } }";
    let removed = app.query(query).await["publications"]["nodes"][0].clone();
    assert!(removed["sha256"].is_string() && removed["fileUrl"].is_null(), "{removed}");
    let file = format!("/files/{}", removed["revisionId"].as_str().expect("an id"));
    let response = app.get(&file).await;
    assert_eq!(response.status(), 410);
    assert!(response.text().await.expect("text").contains("policy `decks`"));
    assert_eq!(stored(&app), full, "bytes went before the grace was over");
    let undo = format!("mutation {{ undoRetention(runId: {}) {{ undoneAt }} }}", run["id"]);
    assert!(app.query(&undo).await["undoRetention"]["undoneAt"].is_string());
    until_purged(&app, 0).await;
    assert_eq!(app.get(&file).await.status(), 200);
    // Undone twice without harm, also after another run.
    app.query(RUN).await;
    let again = app.ask(&undo, json!({})).await;
    assert!(again.get("errors").is_none(), "{again}");
    app.indexed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_are_swept_after_the_grace_and_what_is_published_again_is_a_new_revision() {
    let app = some_history(DECKS).await;
    let full = stored(&app);
    assert_eq!(app.query(RUN).await["runRetention"]["removed"], 10);
    app.app.clock.advance(Duration::from_secs(8 * 86_400));
    // The sweep starts automatically.
    until("a sweep", async || (stored(&app) < full).then_some(())).await;
    let query = "{ status { storedSize } }";
    app.until(query, |data| data["status"]["storedSize"] == stored(&app)).await;
    let before = app.query("{ revisions { totalCount } }").await["revisions"]["totalCount"].as_u64().expect("a count");
    // The first day's file again, which was removed.
    app.portal.change(1, |product| product.versions.truncate(1));
    app.portal.enviar(1).await;
    app.settled(14).await;
    let query = "{ revisions { totalCount } publications(filter: { period: { to: \"2025-01-01\" } }) {
        nodes { status revisionNumber } } }";
    let data = app.query(query).await;
    assert_eq!(data["revisions"]["totalCount"], before + 1);
    assert_eq!(data["publications"]["nodes"], json!([{ "status": "ARCHIVED", "revisionNumber": 2 }]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missed_slot_of_the_schedule_is_made_up_once() {
    let policy =
        format!("{}\n", DECKS.replace("[retention]\n", "[retention]\nschedule = \"30 2 * * *\"\njitter = \"0s\"\n"));
    let app = some_history(&policy).await;
    let runs = "{ jobRuns(name: \"retention\") { totalCount nodes { outcome detail endedAt } } }";
    let jobs = "{ status { jobs { name schedule lastOutcome nextAt } } }";
    app.until(jobs, |data| data["status"]["jobs"][0]["nextAt"].is_string()).await;
    let made_up = "a slot from before there was a schedule was made up";
    assert_eq!(app.query(runs).await["jobRuns"]["totalCount"], 0, "{made_up}");
    // Three nights pass without the service: one run.
    app.app.clock.advance(Duration::from_secs(3 * 86_400));
    let data = app.until(runs, |data| data["jobRuns"]["nodes"][0]["outcome"] == "succeeded").await;
    assert_eq!(data["jobRuns"]["nodes"][0]["detail"]["removed"], 10);
    app.until(jobs, |data| data["status"]["jobs"][0]["lastOutcome"] == "succeeded").await;
    assert_eq!(app.query(runs).await["jobRuns"]["totalCount"], 1);
    app.app.clock.advance(Duration::from_secs(86_400));
    app.until(runs, |data| data["jobRuns"]["totalCount"] == 2 && data["jobRuns"]["nodes"][0]["outcome"] == "succeeded")
        .await;
    app.indexed().await;
    let metrics = app.get("/metrics").await.text().await.expect("text");
    assert!(metrics.contains("acervo_job_runs_total{name=\"retention\",outcome=\"succeeded\"}"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_bodies_are_removed_and_their_rows_stay() {
    let app =
        some_history(&format!("{}\n", DECKS.replace("[retention]\n", "[retention]\nnotification_bodies = \"30d\"\n")))
            .await;
    app.query("mutation { runRetention(dryRun: false) { id } }").await;
    assert!(
        app.query("{ notifications(last: 1) { nodes { body } } }").await["notifications"]["nodes"][0]["body"]
            .is_object()
    );
    app.app.clock.advance(Duration::from_secs(31 * 86_400));
    app.query("mutation { runRetention(dryRun: false) { id } }").await;
    let data = app.query("{ notifications(last: 1) { totalCount nodes { name body } } }").await;
    assert_eq!(data["notifications"]["totalCount"], 13);
    assert_eq!(data["notifications"]["nodes"][0], json!({ "name": "Deck NEWAVE Preliminar", "body": null }));
    app.leaves_work_unsettled("a sweep may begin at any moment");
}

/// Runs `acervo config check` on a configuration; gives its exit code and all that it prints.
fn check(configuration: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("acervo.toml"), configuration).expect("a file");
    let output = process::run(folder.path(), &["config", "check"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

/// A configuration with one policy that has this rule.
fn policy(rule: &str) -> String {
    format!("[[retention.policy]]\nname = \"p\"\n{rule}\n")
}

#[test]
fn policies_are_checked_and_explained() {
    let (code, text) = check("[[retention.policy]]\nname = \"nada\"\nkeep_all = false\n");
    assert_eq!(code, Some(2));
    assert!(text.contains("retention.policy.0: has no rule"), "{text}");
    let (code, text) =
        check("[retention]\nschedule = \"often\"\ngrace = \"soon\"\n[[retention.policy]]\nkeep_lats = 1\n");
    assert_eq!(code, Some(2));
    for expected in [
        "retention.schedule: `often`",
        "retention.grace: `soon`",
        "retention.policy.0.name: is missing",
        "did you mean `retention.policy.0.keep_last`?",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let (code, text) = check(DECKS);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("the last of each of the 3 newest days") && text.contains("the 1 latest"), "{text}");
    let (_, text) = check("[[retention.policy]]\nname = \"P\"\nmatch = { name = [\"DECK Çx*\"] }\nkeep_last = 1\n");
    assert!(text.contains("the name DECK Çx*") && text.contains("1 policy\n"), "{text}");
    let (_, text) = check("[fetch]\nstall = \"15m\"\n[retention]\ngrace = \"7d\"\n");
    assert!(text.contains("query.timeout = ") && text.contains("downloads.stall = "), "{text}");
    assert!(text.contains("fetch.stall = 15 minutes") && text.contains("retention.grace = 7 days"), "{text}");
}

#[test]
fn spans_that_can_be_read_in_two_ways_are_refused() {
    for (key, span, both) in [
        ("keep_within", "6m", ["`6mo` for 6 months", "`6min` for 6 minutes"]),
        ("keep_superseded", "1y 6 m", ["`6mo`", "`6min`"]),
        ("keep_within", "18M", ["`18mo`", "`18min`"]),
    ] {
        let (code, text) = check(&policy(&format!("{key} = \"{span}\"")));
        assert_eq!(code, Some(2), "{span}: {text}");
        assert!(text.contains(&format!("retention.policy.0.{key}: `{span}`")), "{text}");
        assert!(both.iter().all(|spelling| text.contains(spelling)), "{span}: {text}");
    }
    let (code, text) = check("[retention]\ngrace = \"7m\"\n");
    assert!(code == Some(2) && text.contains("`7mo`") && text.contains("`7min`"), "{text}");
    for (span, words) in [
        ("6mo", "6 months"),
        ("6min", "6 minutes"),
        ("P6M", "6 months"),
        ("1y6mo", "1 year, 6 months"),
        ("90d", "90 days"),
    ] {
        let (code, text) = check(&policy(&format!("keep_within = \"{span}\"")));
        assert!(code == Some(0) && text.contains(&format!("within {words};")), "{span}: {text}");
    }
    for rule in ["keep_within = \"0d\"", "keep_superseded = \"0s\""] {
        let (code, text) = check(&policy(rule));
        assert!(code == Some(2) && text.contains("is zero and would keep nothing"), "{rule}: {text}");
    }
    let (code, text) = check("[fetch]\nstall = \"0s\"\n");
    assert!(code == Some(2) && text.contains("fetch.stall: `0s` is zero"), "{text}");
}

#[test]
fn two_policies_of_one_name_are_refused() {
    let (code, text) = check(&(policy("keep_last = 1") + &policy("keep_last = 2").replace("\"p\"", "\"P\"")));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("retention.policy.1.name: `P` is also the name of an earlier policy"), "{text}");
}

#[test]
fn schedules_that_never_occur_are_refused_and_odd_values_warned_of() {
    let schedule = |cron: &str| check(&format!("[retention]\nschedule = \"{cron}\"\n"));
    for never in ["0 0 30 2 *", "0 0 31 4,6 *"] {
        let (code, text) = schedule(never);
        assert!(code == Some(2) && text.contains("never occurs"), "{never}: {text}");
    }
    for often in ["30 * * * *", "* 2 * * *", "* * * * *"] {
        let (code, text) = schedule(often);
        let is_warned = text.contains("warning: retention.schedule: `") && text.contains("runs every");
        assert!(code == Some(0) && is_warned, "{often}: {text}");
    }
    for usual in ["30 2 * * *", "0 3 29 2 *", "0 2 * * SUN", "0 1,13 * * *"] {
        let (code, text) = schedule(usual);
        assert!(code == Some(0) && !text.contains("warning"), "{usual}: {text}");
    }
    for (size, warning) in [("0", "which means no limit"), ("500", "is 500 bytes")] {
        let (code, text) = check(&format!("[retention]\nmax_stored = {size}\n"));
        assert_eq!(code, Some(0), "{size}: {text}");
        assert!(text.contains("warning: retention.max_stored") && text.contains(warning), "{size}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_counts_what_each_policy_would_remove_now() {
    let app = some_history(&format!("{DECKS}[[retention.policy]]\nname = \"others\"\nkeep_last = 1\n")).await;
    let remove = app.query(PLAN).await["retentionPlan"]["remove"].clone();
    let text = tokio::task::block_in_place(|| process::printed(app.folder.path(), &["config", "check"]));
    let of = |name: &str| {
        let section = text.split(&format!("policy `{name}`")).nth(1).expect("a policy").to_owned();
        section.lines().nth(1).expect("a line").trim().to_owned()
    };
    assert_eq!(of("decks"), format!("it would remove {remove} revisions now"), "{text}");
    assert_eq!(of("others"), "it would remove 0 revisions now", "{text}");
}

/// The twelve examples of the manual keep what it says, each on the archive that it describes.
#[test]
fn the_worked_examples_keep_what_the_manual_says() {
    let manuals = [
        (include_str!("../../docs/retention.md"), "Keeps "),
        (include_str!("../../docs/retention.pt-BR.md"), "Mantém "),
    ];
    let mut examples = 0;
    let sections =
        manuals.iter().flat_map(|(manual, keeps)| manual.split("\n### ").skip(1).map(move |one| (one, *keeps)));
    for (section, keeps) in sections {
        let title = section.lines().next().expect("a title");
        let toml = section.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a policy");
        let says = section.lines().find_map(|line| line.strip_prefix(keeps)).expect("a figure");
        let expected: usize = says.split(' ').next().expect("a figure").parse().expect("a figure");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("acervo.toml"), toml).expect("a file");
        let overrides =
            acervo::config::Overrides { config: Some(folder.path().join("acervo.toml")), values: Vec::new() };
        let settings = acervo::config::load(&overrides, &|_| None).unwrap_or_else(|e| panic!("{title}: {e}"));
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().expect("an instant");
        let inventory = example_archive();
        let plan = plan(&inventory, &settings.retention.policies, settings.retention.max_stored, now);
        assert_eq!(plan.keep, expected, "{title}: of {}", inventory.revisions.len());
        examples += 1;
    }
    assert_eq!(examples, 24);
}

/// The archive of the manual: two years of a daily PDF, of a weekly deck with three revisions a week, of a monthly deck
/// with two revisions a month; 1 MiB, 10 MiB and 40 MiB each.
fn example_archive() -> Inventory {
    let mut inventory = Inventory::default();
    let kinds = [
        ("IPDO (Informativo Preliminar Diário da Operação)", "pdf", 1, 1u64),
        ("Deck e Resultados DECOMP - Valor Esperado", "zip", 3, 10),
        ("Deck NEWAVE Preliminar", "zip", 2, 40),
    ];
    for (product, (name, extension, revisions, mebibytes)) in kinds.into_iter().enumerate() {
        let mut random = StdRng::seed_from_u64(product as u64);
        let product_id = uuid(&mut random);
        inventory.add_product(product_named(product_id, name));
        let mut day = date(2024, 1, if product == 1 { 6 } else { 1 });
        while day < date(2026, 1, 1) {
            let next = match product {
                0 => day.saturating_add(1.day()),
                1 => day.saturating_add(1.week()),
                _ => day.saturating_add(1.month()),
            };
            let published = day.at(9, 0, 0, 0);
            let at = |n: i32| {
                let local = published.saturating_add(i64::from(n).days());
                acervo::domain::sao_paulo().to_timestamp(local).expect("an instant").as_millisecond()
            };
            let mut own = Vec::new();
            for n in 0..revisions {
                let digest = Digest::of(format!("{name} {day} {n}").as_bytes());
                inventory.add_file(InventoryFile { digest, size: mebibytes << 20, stored_size: mebibytes << 20 });
                own.push(InventoryRevision {
                    id: RevisionId(uuid(&mut random)),
                    publication: Uuid::nil(),
                    number: n + 1,
                    digest,
                    extension: Some(extension.into()),
                    announced_at: at(n),
                    archived_at: at(n),
                    superseded_at: (n + 1 < revisions).then(|| at(n + 1)),
                    held: false,
                });
            }
            inventory
                .add_publication(publication(uuid(&mut random), product_id, day, next.saturating_sub(1.day())), &own);
            day = next;
        }
    }
    inventory
}
