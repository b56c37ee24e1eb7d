use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use futures_util::future::join_all;
use proptest::prelude::*;
use rand::RngExt;
use serde_json::Value;

use crate::harness::burst::rounds;
use crate::harness::samples::{noise, zip};
use crate::harness::{Db, TestApp, cases, files_in, on_each_database, postgres, random, sha256};
use crate::sweep::{Closed, stderr};

/// Keeps the last revision of each publication, and deletes the others in the run that marks them.
const KEEP_LAST: &str = "[retention]\ngrace = \"0s\"\nschedule = \"off\"\n[[retention.policy]]\nname = \"decks\"\n\
     match = { name = [\"Deck*\"] }\nkeep_last = 1\n";

/// A deck of about 60 kB, of which little changes from one number to the next.
fn deck(product: usize, n: usize) -> Vec<u8> {
    let mut random = Lines(product as u64 + 1);
    let lines: Vec<String> = (0..900)
        .map(|line| {
            let value = random.next();
            // Some lines are of this number, the others of all.
            let value = if line % 90 == n % 90 { value ^ n as u64 } else { value };
            format!("{product:02} {line:05} {:08} UHE {:6.2}", value % 100_000_000, (value % 997) as f64 / 7.0)
        })
        .collect();
    let text = lines.join("\r\n");
    zip(&[("DADGER.RV0", text.as_bytes()), ("HIDR.DAT", &text.as_bytes()[..9000]), ("LEIA.TXT", b"deck")])
}

struct Lines(u64);

impl Lines {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 16
    }
}

/// A file to import.
struct Item {
    product: String,
    day: usize,
    bytes: Vec<u8>,
}

fn item(product: usize, day: usize, bytes: Vec<u8>) -> Item {
    Item { product: format!("Deck {product}"), day, bytes }
}

/// An archive that no service has open.
fn archive(db: Db, config: &str) -> Closed {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    std::fs::write(folder.path().join("acervo.toml"), config).expect("a file");
    Closed { folder, database_url: postgres::database(db) }
}

/// Imports files, each as the newest revision of its day.
async fn import(archive: &Closed, items: &[Item]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut manifest = "path,nome,dataProduto\n".to_owned();
    for (n, Item { product, day, bytes }) in items.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{n}.zip")), bytes).expect("a file");
        manifest += &format!("{n}.zip,{product},{:02}/{:02}/2024\n", 1 + day % 28, 1 + day / 28);
    }
    let list = folder.path().join("manifest.csv");
    std::fs::write(&list, manifest).expect("a file");
    let (files, list) = (folder.path().display().to_string(), list.display().to_string());
    let imported = archive.run(&["import", &files, "--manifest", &list, "--create"], "").await;
    assert!(imported.status.success(), "{}", stderr(&imported));
}

async fn compact(archive: &Closed) -> Value {
    let output = archive.run(&["compact", "--format", "json"], "").await;
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("a summary")
}

async fn verify(archive: &Closed, args: &[&str]) -> (Option<i32>, Value) {
    let args: Vec<&str> = ["verify", "--format", "json"].iter().chain(args).copied().collect();
    let output: Output = archive.run(&args, "").await;
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|e| panic!("{e}: {output:?}")))
}

async fn nothing_is_broken(archive: &Closed, what: &str) {
    let (code, report) = verify(archive, &[]).await;
    assert_eq!((code, &report["broken"]), (Some(0), &Value::from(0)), "{what}: {report}");
}

fn objects(archive: &Closed) -> Vec<PathBuf> {
    files_in(&archive.folder.path().join("data/archive"))
}

fn is_dense(object: &Path) -> bool {
    object.extension().is_some_and(|extension| extension == "acvd")
}

fn digest_of(object: &Path) -> String {
    object.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// The base that the header of a dense object names, and how long its chain is.
fn base_of(object: &Path) -> Option<(String, u8)> {
    let bytes = std::fs::read(object).expect("an object");
    if !is_dense(object) || !matches!(bytes[5], 2 | 4) {
        return None;
    }
    let mut at = 6;
    while bytes[at] & 0x80 != 0 {
        at += 1;
    }
    let digest: String = bytes[at + 2..at + 34].iter().map(|byte| format!("{byte:02x}")).collect();
    Some((digest, bytes[at + 1]))
}

/// The service answers with the bytes of each of these files.
async fn all_are_there(app: &TestApp, files: impl IntoIterator<Item = &Vec<u8>>, what: &str) {
    for bytes in files {
        let digest = sha256(bytes);
        let answer = app.get(&format!("/files/{digest}")).await;
        assert_eq!(answer.status(), 200, "{what}: {digest}");
        assert!(answer.bytes().await.expect("bytes") == bytes[..], "{what}: {digest}");
    }
}

on_each_database!(compacted_files_are_much_smaller_and_read_as_before, 2 threads);
async fn compacted_files_are_much_smaller_and_read_as_before(db: Db) {
    let archive = archive(db, "");
    let mut items: Vec<Item> = (0..22).map(|n| item(n % 2, n / 2, deck(n % 2, n / 2))).collect();
    items.extend((0..3).map(|n| item(7, n, noise(3000 * (n + 1)).split_off(3000 * n))));
    import(&archive, &items).await;
    let before: u64 = objects(&archive).iter().map(|path| path.metadata().expect("metadata").len()).sum();
    let summary = compact(&archive).await;
    assert_eq!(summary["files"], 25, "{summary}");
    assert_eq!(summary["dense"], 22, "{summary}");
    assert_eq!(summary["bytesBefore"], before, "{summary}");
    let after: u64 = objects(&archive).iter().map(|path| path.metadata().expect("metadata").len()).sum();
    assert_eq!(summary["bytesAfter"], after, "{summary}");
    assert!(after * 4 < before, "{summary}");
    assert_eq!(objects(&archive).len(), 25);
    let depths: BTreeSet<u8> =
        objects(&archive).iter().filter_map(|object| base_of(object)).map(|(_, depth)| depth).collect();
    assert!(depths.contains(&3) && depths.iter().all(|depth| *depth <= 8), "{depths:?}");
    // Nothing is left to do.
    assert_eq!(compact(&archive).await["files"], 0);
    nothing_is_broken(&archive, "after").await;

    let app = archive.open().await;
    all_are_there(&app, items.iter().map(|item| &item.bytes), "after").await;
    let data = app.query("{ status { storedSize } products(first: 9) { nodes { name storedSize } } }").await;
    assert_eq!(data["status"]["storedSize"], after, "{data}");
    let products = data["products"]["nodes"].as_array().expect("a list").iter();
    let by_product: u64 = products.map(|product| product["storedSize"].as_u64().expect("bytes")).sum();
    assert_eq!(by_product, after, "{data}");
    for item in &items[..22] {
        let digest = sha256(&item.bytes);
        let part = app.get_with(&format!("/files/{digest}"), &[("range", "bytes=100-4099")]).await;
        assert_eq!(part.status(), 206);
        assert!(part.bytes().await.expect("bytes") == item.bytes[100..4100]);
        let member = app.get(&format!("/files/{digest}/members/LEIA.TXT")).await;
        assert_eq!(member.text().await.expect("a text"), "deck");
    }
    // The same bytes arrive again: they are there.
    let closed = Closed::of(app).await;
    import(&closed, &[item(3, 0, items[5].bytes.clone())]).await;
    assert_eq!(objects(&closed).len(), 25);
    // Everything once more, with what is there now.
    let again = closed.run(&["compact", "--rewrite", "--format", "json"], "").await;
    assert!(again.status.success(), "{}", stderr(&again));
    nothing_is_broken(&closed, "rewritten").await;
    assert_eq!(objects(&closed).iter().filter(|object| is_dense(object)).count(), 22);
}

/// Killed at a step, a compaction loses nothing, and the next one leaves nothing over.
async fn killed_at(db: Db, step: &str, args: &[&str]) {
    let what = format!("{db:?}, {step}");
    let archive = archive(db, "");
    let items: Vec<Item> = (0..6).map(|n| item(0, n, deck(0, n))).collect();
    import(&archive, &items).await;
    if args.contains(&"--rewrite") {
        compact(&archive).await;
    }
    let killed = archive.run(args, &format!("{step}=3*off->return")).await;
    assert!(!killed.status.success(), "{what}: {}", String::from_utf8_lossy(&killed.stdout));
    let app = archive.open().await;
    all_are_there(&app, items.iter().map(|item| &item.bytes), &what).await;
    let archive = Closed::of(app).await;
    compact(&archive).await;
    nothing_is_broken(&archive, &what).await;
    assert_eq!(objects(&archive).iter().filter(|object| is_dense(object)).count(), 6, "{what}");
    assert_eq!(objects(&archive).len(), 6, "{what}");
}

on_each_database!(a_compaction_that_is_killed_loses_nothing, 2 threads);
async fn a_compaction_that_is_killed_loses_nothing(db: Db) {
    let compacting = ["compact-before-put", "compact-after-put", "compact-after-record", "compact-after-delete"];
    let rewriting = ["release-after-put", "release-after-record", "release-after-delete"];
    let compacting = compacting.map(|step| killed_at(db, step, &["compact"]));
    let rewriting = rewriting.map(|step| killed_at(db, step, &["compact", "--rewrite"]));
    // Most of the time they wait for the locks of killed processes.
    futures_util::join!(join_all(compacting), join_all(rewriting));
}

on_each_database!(files_are_stored_again_before_their_base_is_removed, 2 threads);
async fn files_are_stored_again_before_their_base_is_removed(db: Db) {
    let steps = [
        "",
        "retention-after-tombstone",
        "release-after-put",
        "release-after-record",
        "release-after-delete",
        "retention-after-delete",
    ];
    join_all(steps.map(|step| base_is_removed(db, step))).await;
}

async fn base_is_removed(db: Db, step: &str) {
    let what = format!("{db:?}, {step}");
    let archive = archive(db, KEEP_LAST);
    // Revisions of one day: the first ones are the bases of the last.
    let revisions: Vec<Vec<u8>> = (0..5).map(|n| deck(0, n)).collect();
    for bytes in &revisions {
        import(&archive, &[item(0, 0, bytes.clone())]).await;
    }
    compact(&archive).await;
    let last = sha256(&revisions[4]);
    let object = objects(&archive).into_iter().find(|object| digest_of(object) == last).expect("an object");
    assert!(base_of(&object).is_some(), "{what}");
    let fault = if step.is_empty() { String::new() } else { format!("{step}=return") };
    let run = archive.run(&["retention", "run"], &fault).await;
    assert_eq!(run.status.success(), step.is_empty(), "{what}: {}", stderr(&run));
    if !step.is_empty() {
        let app = archive.open().await;
        all_are_there(&app, [&revisions[4]], &what).await;
        Closed::of(app).await;
        let run = archive.run(&["retention", "run"], "").await;
        assert!(run.status.success(), "{what}: {}", stderr(&run));
    }
    let left: Vec<String> = objects(&archive).iter().map(|object| digest_of(object)).collect();
    assert_eq!(left, [last], "{what}");
    compact(&archive).await;
    nothing_is_broken(&archive, &what).await;
}

on_each_database!(damage_of_a_base_is_reported_with_all_that_need_it, 2 threads);
async fn damage_of_a_base_is_reported_with_all_that_need_it(db: Db) {
    let archive = archive(db, "");
    let items: Vec<Item> = (0..60 * rounds(1)).map(|n| item(n % 4, n / 4, deck(n % 4, n / 4))).collect();
    import(&archive, &items).await;
    let fresh = copy(&archive);
    compact(&archive).await;
    let dense = copy(&archive);
    let mut random = random();
    let mut flip = |bytes: &mut Vec<u8>| {
        // The size of the published file: with another one, the file is broken, and what needs its expanded form is not.
        let size = 6..=6 + bytes[6..].iter().take_while(|byte| **byte & 0x80 != 0).count();
        let at = match random.random_range(0..bytes.len()) {
            at if size.contains(&at) => 5,
            at => at,
        };
        bytes[at] ^= 1 << random.random_range(0..8);
    };
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1);
    // The repair can use the files as they were before compaction, and an archive that is dense itself.
    damage_and_repair(&archive, 5, &mut flip, &fresh).await;
    compact(&archive).await;
    damage_and_repair(&archive, 9, &mut { cut }, &dense).await;
    let app = archive.open().await;
    all_are_there(&app, items.iter().map(|item| &item.bytes), "repaired").await;
}

on_each_database!(one_repair_mends_a_base_and_then_what_needs_it, 2 threads);
async fn one_repair_mends_a_base_and_then_what_needs_it(db: Db) {
    let archive = archive(db, "");
    // Of these the base has the last digest.
    let of_day = |day| -> Vec<Vec<u8>> { (0..4).map(|n| deck(day, n)).collect() };
    let mut days = (0..).map(of_day);
    let revisions = days.find(|all| all.iter().all(|one| sha256(one) <= sha256(&all[0]))).expect("a day");
    for bytes in &revisions {
        import(&archive, &[item(0, 0, bytes.clone())]).await;
    }
    compact(&archive).await;
    let base = sha256(&revisions[0]);
    let objects = objects(&archive);
    assert!(objects.iter().any(|object| base_of(object).is_some_and(|(of, _)| of == base)), "{db:?}: nothing needs it");
    let object = objects.iter().find(|object| digest_of(object) == base).expect("an object");
    std::fs::write(object, b"").expect("an object");
    let from = tempfile::tempdir().expect("a folder");
    std::fs::write(from.path().join("deck.txt"), &revisions[0]).expect("a file");
    let (code, report) = verify(&archive, &["--repair", "--from", &from.path().display().to_string()]).await;
    assert_eq!(code, Some(0), "{db:?}: {report}");
    assert_eq!(report["items"][0]["sha256"], base, "{db:?}: {report}");
    assert!(report["items"].as_array().expect("a list").len() > 1, "{db:?}: {report}");
    nothing_is_broken(&archive, "repaired").await;
}

/// A folder with a copy of each object.
fn copy(archive: &Closed) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for object in objects(archive) {
        std::fs::copy(&object, folder.path().join(object.file_name().expect("a name"))).expect("a copy");
    }
    folder
}

/// Damages every so many objects: these are reported, and those that need them, and no others; the repair mends all.
async fn damage_and_repair(
    archive: &Closed,
    step: usize,
    damage: &mut dyn FnMut(&mut Vec<u8>),
    from: &tempfile::TempDir,
) {
    let objects = objects(archive);
    let bases: BTreeMap<String, Option<String>> =
        objects.iter().map(|object| (digest_of(object), base_of(object).map(|(base, _)| base))).collect();
    assert!(bases.values().flatten().count() > 10, "{bases:?}");
    let mut damaged = BTreeSet::new();
    for object in objects.iter().step_by(step) {
        let mut bytes = std::fs::read(object).expect("an object");
        damage(&mut bytes);
        std::fs::write(object, bytes).expect("an object");
        damaged.insert(digest_of(object));
    }
    let (code, report) = verify(archive, &[]).await;
    assert_eq!(code, Some(1));
    let items = report["items"].as_array().expect("a list").iter();
    let kinds: BTreeMap<String, String> = items.map(|item| (text(&item["sha256"]), text(&item["kind"]))).collect();
    for (digest, base) in &bases {
        let is_expected = damaged.contains(digest)
            || base.as_ref().is_some_and(|base| kinds.get(base).is_some_and(|kind| kind != "ALTERED"));
        assert_eq!(kinds.contains_key(digest), is_expected, "{digest}: {report}");
    }
    eprintln!("{} of {} objects damaged, {} reported", damaged.len(), objects.len(), kinds.len());
    let (code, report) = verify(archive, &["--repair", "--from", &from.path().display().to_string()]).await;
    assert_eq!(code, Some(0), "{report}");
    nothing_is_broken(archive, "repaired").await;
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text")).to_owned()
}

/// A step of a random history.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A new revision of one of three days.
    Import {
        day: usize,
    },
    Compact {
        dies_at: Option<&'static str>,
    },
    Rewrite {
        dies_at: Option<&'static str>,
    },
    Purge {
        dies_at: Option<&'static str>,
    },
    Undo,
    Verify,
}

fn step() -> impl Strategy<Value = Step> {
    let dying = |points: &'static [&'static str]| prop::option::weighted(0.5, prop::sample::select(points));
    let compacting = &["compact-before-put", "compact-after-put", "compact-after-record", "compact-after-delete"];
    let releasing = &["release-after-put", "release-after-record", "release-after-delete"];
    let purging = &[
        "retention-between-marks",
        "retention-after-tombstone",
        "release-after-put",
        "release-after-record",
        "retention-between-deletes",
        "retention-after-delete",
    ];
    prop_oneof![
        5 => (0usize..3).prop_map(|day| Step::Import { day }),
        3 => dying(compacting).prop_map(|dies_at| Step::Compact { dies_at }),
        1 => dying(releasing).prop_map(|dies_at| Step::Rewrite { dies_at }),
        2 => dying(purging).prop_map(|dies_at| Step::Purge { dies_at }),
        1 => Just(Step::Undo),
        1 => Just(Step::Verify),
    ]
}

/// Each day's revisions in order; the last is never removed, the others only by a purge.
#[derive(Default)]
struct Model {
    days: [Vec<Vec<u8>>; 3],
    n: usize,
}

async fn play(steps: Vec<Step>) {
    let archive = archive(Db::Sqlite, KEEP_LAST);
    let mut model = Model::default();
    let steps: Vec<Step> = [Step::Import { day: 0 }].into_iter().chain(steps).collect();
    for (at, step) in steps.iter().enumerate() {
        let what = format!("step {at} of {steps:?}");
        let run = async |args: &[&str], dies_at: &Option<&str>| {
            let fault = dies_at.map_or(String::new(), |point| format!("{point}=return"));
            let output = archive.run(args, &fault).await;
            // It may not get to the point where it would die.
            assert!(output.status.success() || dies_at.is_some(), "{what}: {}", stderr(&output));
        };
        match step {
            Step::Import { day } => {
                let bytes = deck(0, model.n);
                model.n += 1;
                import(&archive, &[item(0, *day, bytes.clone())]).await;
                model.days[*day].push(bytes);
            }
            Step::Compact { dies_at } => run(&["compact"], dies_at).await,
            Step::Rewrite { dies_at } => run(&["compact", "--rewrite"], dies_at).await,
            Step::Purge { dies_at } => run(&["retention", "run"], dies_at).await,
            Step::Undo => {
                let runs = archive.run(&["retention", "runs"], "").await;
                let printed = String::from_utf8_lossy(&runs.stdout).into_owned();
                let last = printed.strip_prefix("run ").and_then(|rest| rest.split(':').next());
                if let Some(last) = last {
                    // Once its marks are swept there is nothing to undo, which is not an error of this test.
                    archive.run(&["retention", "undo", last], "").await;
                }
            }
            // What a killed process left is not broken, and nothing else may be.
            Step::Verify => {
                let (_, report) = verify(&archive, &[]).await;
                let items = report["items"].as_array().expect("a list");
                assert!(items.iter().all(|item| item["kind"] == "ORPHAN"), "{what}: {report}");
            }
        }
    }
    let what = format!("{steps:?}");
    archive.run(&["retention", "run"], "").await;
    compact(&archive).await;
    nothing_is_broken(&archive, &what).await;
    let last: Vec<&Vec<u8>> = model.days.iter().filter_map(|revisions| revisions.last()).collect();
    let app = archive.open().await;
    all_are_there(&app, last, &what).await;
    // Everything else is gone, or there with all of its bytes.
    crate::sweep::check(&app, &what).await;
}

proptest! {
    #![proptest_config(cases(3))]

    #[test]
    fn no_history_of_an_archive_loses_a_byte(steps in prop::collection::vec(step(), 4..10)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(play(steps));
    }
}
