//! `acervo verify`: what it finds, what it repairs, and that it can be interrupted at any point.
mod access;
mod found;
mod next_steps;
mod repair;
mod resumed;
mod shown;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use sea_orm::ConnectionTrait;
use serde_json::Value;

use crate::harness::burst::rounds;
use crate::harness::process::in_shell;
use crate::harness::samples::{noise, text};
use crate::harness::{Db, files_in, on_each_database, postgres, random, sha256};
use crate::sweep::{Closed, stderr};

/// An archive of some small files, of which every third does not shrink. No service runs.
pub async fn archive_of(db: Db, count: usize) -> Closed {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    std::fs::write(folder.path().join("acervo.toml"), "").expect("a file");
    let archive = Closed { folder, database_url: postgres::database(db) };
    import(&archive, count).await;
    archive
}

fn content(n: usize) -> Vec<u8> {
    match n % 3 {
        0 => [format!("{n} ").into_bytes(), noise(40 + n % 50)].concat(),
        _ => [format!("{n} ").into_bytes(), text(90 + n % 700)].concat(),
    }
}

async fn import(archive: &Closed, count: usize) {
    let files = archive.folder.path().join("files");
    std::fs::create_dir(&files).expect("a folder");
    let mut manifest = "path,nome,dataProduto,receivedAt\n".to_owned();
    for n in 0..count {
        std::fs::write(files.join(format!("{n}.txt")), content(n)).expect("a file");
        manifest += &format!("{n}.txt,Deck {n},01/01/2024,2024-01-02T12:00:00Z\n");
    }
    let list = archive.folder.path().join("manifest.csv");
    std::fs::write(&list, manifest).expect("a file");
    let (files, list) = (files.display().to_string(), list.display().to_string());
    let imported = archive.run(&["import", &files, "--manifest", &list, "--create"], "").await;
    assert!(imported.status.success(), "{}", stderr(&imported));
}

fn objects(archive: &Closed) -> Vec<PathBuf> {
    objects_in(archive.folder.path())
}

fn objects_in(folder: &Path) -> Vec<PathBuf> {
    files_in(&folder.join("data/archive"))
}

/// The digest that an object is named for.
fn digest_of(object: &Path) -> String {
    object.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// What an object decodes to, if it does.
fn decoded(object: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(object).ok()?;
    if object.extension().is_some() { zstd::decode_all(&bytes[..]).ok() } else { Some(bytes) }
}

/// `acervo verify`: its exit code and what it reports.
async fn verify(archive: &Closed, args: &[&str]) -> (Option<i32>, Value) {
    let output = verify_with(archive, args, "").await;
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|e| panic!("{e}: {output:?}")))
}

/// Where other machines share the database, some things are looked at again after a while, which is a short one here.
const SECOND_LOOK: &str = "verify-second-look=return(100)";

async fn verify_with(archive: &Closed, args: &[&str], fault: &str) -> Output {
    let args: Vec<&str> = ["verify", "--format", "json"].into_iter().chain(args.iter().copied()).collect();
    archive.run(&args, &format!("{SECOND_LOOK};{fault}")).await
}

/// What happens after a while to the lock of a run that was killed.
async fn lock_runs_out(archive: &Closed) {
    let database = archive.database().await;
    database
        .execute_unprepared("DELETE FROM state WHERE key IN ('lock:verification', 'lock:compaction')")
        .await
        .expect("no lock");
    database.close().await.expect("a closed connection");
}

/// The digests and kinds of a report's items.
fn kinds(report: &Value) -> BTreeMap<String, String> {
    let items = report["items"].as_array().expect("a list");
    let found: BTreeMap<String, String> =
        items.iter().map(|item| (named(&item["sha256"]), named(&item["kind"]))).collect();
    assert_eq!(found.len(), items.len(), "an item is listed twice: {report}");
    assert_eq!(report["broken"], items.len(), "{report}");
    found
}

fn named(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text")).to_owned()
}

async fn nothing_is_broken(archive: &Closed, files: usize, what: &str) {
    let (code, report) = verify(archive, &[]).await;
    assert_eq!((code, &report["broken"]), (Some(0), &Value::from(0)), "{what}: {report}");
    assert_eq!(report["files"], files, "{what}: {report}");
    assert_eq!(report["indexChecked"], true, "{what}: {report}");
}

fn nothing_is_kept_aside(archive: &Closed) {
    let left: Vec<PathBuf> =
        objects(archive).into_iter().filter(|path| path.display().to_string().contains('#')).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

/// A copy of an archive's folder.
fn copied(archive: &Closed) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for object in objects(archive) {
        let relative = object.strip_prefix(archive.folder.path().join("data/archive")).expect("a path");
        let target = copy.path().join(relative);
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
        std::fs::copy(&object, target).expect("a copy");
    }
    copy
}

/// How many files are marked as damaged.
async fn marked(archive: &Closed) -> i64 {
    let database = archive.database().await;
    let count = "SELECT CAST(COUNT(*) AS bigint) FROM files WHERE damaged_at IS NOT NULL";
    let statement = sea_orm::Statement::from_string(database.get_database_backend(), count);
    let row = database.query_one_raw(statement).await.expect("a row").expect("a row");
    let marked = row.try_get_by_index(0).expect("a number");
    database.close().await.expect("a closed connection");
    marked
}

/// A command without the right of the superuser to read everything.
async fn as_user(archive: &Closed, args: &[&str]) -> Output {
    let mut command = archive.command(SECOND_LOOK);
    command.args(args);
    if std::fs::metadata("/proc/self").expect("a process").uid() == 0 {
        let bounded = "exec setpriv --bounding-set=-dac_override,-dac_read_search \"$0\" \"$@\"";
        command = in_shell(bounded, &command);
    }
    tokio::task::spawn_blocking(move || command.output().expect("a binary")).await.expect("an output")
}

fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a file of ours");
}

on_each_database!(every_file_with_a_flipped_bit_is_reported_and_no_other, 2 threads);
async fn every_file_with_a_flipped_bit_is_reported_and_no_other(db: Db) {
    use rand::RngExt;
    let damaged = rounds(60);
    let count = 5 * damaged;
    let archive = archive_of(db, count).await;
    let mut random = random();
    let mut flipped = BTreeMap::new();
    let objects = objects(&archive);
    assert_eq!(objects.len(), count);
    for object in objects.iter().step_by(5) {
        let mut bytes = std::fs::read(object).expect("an object");
        // Some bits of a frame are ignored by decoders. An object with one of these flipped is not as it was stored either.
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
        std::fs::write(object, bytes).expect("an object");
        let is_wrong = decoded(object).is_none_or(|bytes| sha256(&bytes) != digest_of(object));
        flipped.insert(digest_of(object), if is_wrong { "WRONG" } else { "ALTERED" }.to_owned());
    }
    // At least one of these, whatever is drawn: the unused bit of the frame header descriptor.
    let unused = objects.iter().skip(1).step_by(5).find(|object| object.extension().is_some()).expect("an object");
    let mut bytes = std::fs::read(unused).expect("an object");
    bytes[4] ^= 0x10;
    std::fs::write(unused, bytes).expect("an object");
    flipped.insert(digest_of(unused), "ALTERED".to_owned());
    assert_eq!(flipped.len(), damaged + 1);
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!(code, Some(1), "{db:?}");
    assert_eq!(kinds(&report), flipped, "{db:?}");
    for item in report["items"].as_array().expect("a list") {
        let revisions = item["revisions"].as_array().expect("a list");
        assert_eq!(revisions.len(), 1, "{item}");
        assert!(named(&revisions[0]["name"]).starts_with("Deck "), "{item}");
        assert!(named(&item["nextStep"]).contains("--repair"), "{item}");
    }
    // Samples divide the files among themselves.
    let (mut files, mut in_samples) = (0, BTreeMap::new());
    for n in 1..=4 {
        let (code, report) = verify(&archive, &["--sample", &format!("{n}/4")]).await;
        let found = kinds(&report);
        assert_eq!(code, Some(if found.is_empty() { 0 } else { 1 }), "{db:?}");
        assert!(found.keys().all(|digest| !in_samples.contains_key(digest)), "{db:?}");
        files += report["files"].as_u64().expect("a number");
        in_samples.extend(found);
    }
    assert_eq!((files, in_samples), (count as u64, flipped.clone()), "{db:?}");
    // A second folder, which is not an archive, repairs all of them. The text lists the same, with what needs each.
    let backup = archive.folder.path().join("files").display().to_string();
    let repaired = archive.run(&["verify", "--repair", "--from", &backup], SECOND_LOOK).await;
    let printed = String::from_utf8_lossy(&repaired.stdout).into_owned();
    assert_eq!(repaired.status.code(), Some(0), "{db:?}: {printed}");
    for digest in flipped.keys() {
        assert!(printed.contains(digest), "{db:?}: {digest}");
    }
    assert_eq!(printed.matches("needed by Deck ").count(), flipped.len(), "{db:?}: {printed}");
    assert!(printed.contains(&format!("repaired {}; 0 still broken", damaged + 1)), "{db:?}: {printed}");
    nothing_is_broken(&archive, count, "after the repair").await;
    nothing_is_kept_aside(&archive);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_arguments_are_refused() {
    let archive = archive_of(Db::Sqlite, 1).await;
    for args in
        [["--sample", "0/3"], ["--sample", "4/3"], ["--sample", "x"], ["--max-rate", "0"], ["--max-rate", "fast"]]
    {
        let output = verify_with(&archive, &args, "").await;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(stderr(&output).contains(args[1]), "{args:?}: {output:?}");
    }
    // A refused address is not repeated: it may hold a password or a key.
    for address in [
        "HTTPS://ana:segredo@acervo2.example.com",
        "ftp://x.example.com/?key=segredo",
        "https://x.example.com/#segredo",
    ] {
        let output = verify_with(&archive, &["--repair", "--from", address], "").await;
        assert_eq!(output.status.code(), Some(2), "{address}: {output:?}");
        assert!(stderr(&output).contains("--from: the address"), "{address}: {output:?}");
        assert!(!format!("{output:?}").contains("segredo"), "{address}: {output:?}");
    }
}
