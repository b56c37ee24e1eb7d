//! What searching inside files costs, on a folder of published files (`CORPUS=folder`): the bytes of the index of contents beside those that
//! are stored, the time it takes to read a file, and the latency of searches inside files and of searches by name beside them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends if it cannot continue"
)]
mod common;
#[path = "common/history.rs"]
mod history;
#[path = "common/process.rs"]
mod process;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use acervo::app::{App, Role};
use acervo::config::{self, Overrides};
use acervo::domain::Clock;
use acervo::jobs;
use common::{Connection, milliseconds, percentile};
use process::Process;
use serde_json::{Value, json};

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Searches of each kind.
const SEARCHES: usize = 2_000;

const WORDS: &[&str] =
    &["fcmax", "furnas", "usina hidreletrica", "geração térmica", "camargos", "carga", "deck pmo", "vazões", "itaipu"];

const INSIDE: &str = "query ($text: String, $from: LocalDate) {
    publications(search: $text, in: CONTENT, filter: { period: { from: $from } }, first: 10) {
        totalCount nodes { id name fileName contentMatches { path place line } } } }";

const BY_NAME: &str = "query ($text: String, $from: LocalDate) {
    publications(search: $text, filter: { period: { from: $from } }, first: 50) {
        totalCount nodes { id name referenceDate status fileName size receivedAt } } }";

fn main() {
    common::run(work());
}

async fn work() {
    let Some(corpus) = std::env::var_os("CORPUS").map(PathBuf::from) else {
        return println!("set CORPUS to a folder of published files");
    };
    let publications = std::env::var("PUBLICATIONS").map_or(1_000_000, |count| count.parse().expect("a number"));
    println!("folder                  files   published      stored       index    contents     read");
    let mut series: Vec<PathBuf> = entries(&corpus).into_iter().filter(|path| path.is_dir()).collect();
    series.sort();
    for folder in &series {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        measure(&name, std::slice::from_ref(folder)).await;
    }
    measure("all", &series).await;
    latencies(&series, publications).await;
}

/// Searches an archive with these files and many other publications, and a copy of it without the index of contents. Each search by
/// name is made in both, one after the other.
async fn latencies(series: &[PathBuf], publications: usize) {
    let temporary = tempfile::tempdir().expect("a folder");
    let (data, copy) = (temporary.path().join("with"), temporary.path().join("without"));
    drop(open(&data, "false", Role::Server).await);
    history::fill(&data.join("acervo.db"), &history::products(280), publications).await;
    import(series, temporary.path(), &data);
    let app = open(&data, "true", Role::Command { may_create: false }).await;
    jobs::catch_up(&app).await.expect("an index");
    assert!(jobs::catch_up_content(&app).await.expect("contents"));
    drop(app);
    let copied = Command::new("cp").arg("-a").args([&data, &copy]).status().expect("a copy");
    assert!(copied.success());
    let with = Process::acervo(&data, &[("ACERVO_LOG", "off"), ("ACERVO_CONTENT_INDEX", "true")]).await;
    let without = Process::acervo(&copy, &[("ACERVO_LOG", "off"), ("ACERVO_CONTENT_INDEX", "false")]).await;
    println!("searches among {publications} publications and these files");
    let (mut inside, mut beside, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    let mut connection = Connection::open(&with.address).await;
    for round in 0..SEARCHES {
        inside.push(search(&mut connection, INSIDE, round).await);
    }
    // A connection that is idle for long is closed.
    let mut with = Connection::open(&with.address).await;
    let mut without = Connection::open(&without.address).await;
    for round in 0..SEARCHES {
        // Each is first as often as the other.
        if round % 2 == 0 {
            beside.push(search(&mut with, BY_NAME, round).await);
            alone.push(search(&mut without, BY_NAME, round).await);
        } else {
            alone.push(search(&mut without, BY_NAME, round).await);
            beside.push(search(&mut with, BY_NAME, round).await);
        }
    }
    let at = |took: &mut Vec<Duration>| {
        took.sort();
        (milliseconds(percentile(took, 0.5)), milliseconds(percentile(took, 0.99)))
    };
    let [inside, beside, alone] = [&mut inside, &mut beside, &mut alone].map(at);
    for (what, (p50, p99)) in [
        ("inside files, with the lines of the first ten", inside),
        ("by name, beside the index of contents", beside),
        ("by name, without it", alone),
    ] {
        println!("{what}: p50 {p50:.2} ms, p99 {p99:.2} ms");
    }
    println!("by name, with to without: p50 {:.2}, p99 {:.2}", beside.0 / alone.0, beside.1 / alone.1);
}

/// A search like no other, so that it is in no cache.
async fn search(connection: &mut Connection, query: &str, round: usize) -> Duration {
    let day = jiff::civil::date(2001, 1, 1).saturating_add(jiff::Span::new().days(round as i64));
    let variables = json!({ "text": WORDS[round % WORDS.len()], "from": day.to_string() });
    let request = common::post("/graphql", &json!({ "query": query, "variables": variables }).to_string());
    let began = Instant::now();
    let (status, body) = connection.send(&request).await;
    let took = began.elapsed();
    let answer: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(status == 200 && answer.get("errors").is_none(), "{status} {answer}");
    took
}

async fn open(data: &Path, index: &str, role: Role) -> App {
    let values = [("data_dir", data.display().to_string()), ("content.index", index.to_owned())];
    let values = values.map(|(key, value)| (key.to_owned(), value)).into();
    let mut settings = config::load(&Overrides { config: None, values }, &|_| None).expect("sound settings");
    settings.content.program = Some(env!("CARGO_BIN_EXE_acervo").into());
    App::open(settings, role, Clock::default()).await.expect("an archive")
}

/// Archives the files of some folders and reads their text; prints what that takes.
async fn measure(name: &str, folders: &[PathBuf]) {
    let temporary = tempfile::tempdir().expect("a folder");
    let data = temporary.path().join("data");
    let count = import(folders, temporary.path(), &data);
    let app = open(&data, "true", Role::Command { may_create: false }).await;
    jobs::catch_up(&app).await.expect("an index");
    let began = Instant::now();
    assert!(jobs::catch_up_content(&app).await.expect("contents"));
    let took = began.elapsed();
    let counts = acervo::leaves::record(&app).monitor().counts().await.expect("counts");
    let mega = |bytes: i64| bytes as f64 / 1e6;
    let contents = bytes_in(&data.join("content"));
    println!(
        "{name:<22} {count:>6} {:>8.2} MB {:>8.2} MB {:>8.2} MB {:>8.2} MB {:>5.0} ms/file ({:.2} of stored)",
        mega(counts.size),
        mega(counts.stored_size),
        mega(bytes_in(&data.join("index"))),
        mega(contents),
        per_file(took, count),
        contents as f64 / counts.stored_size as f64,
    );
}

fn per_file(took: Duration, count: usize) -> f64 {
    took.as_secs_f64() * 1e3 / count.max(1) as f64
}

/// Imports the files, each as a publication of its own; returns how many.
fn import(folders: &[PathBuf], scratch: &Path, data: &Path) -> usize {
    let files: Vec<PathBuf> = folders.iter().flat_map(|folder| entries(folder)).filter(|path| path.is_file()).collect();
    let manifest = scratch.join("manifest.csv");
    let mut lines = std::fs::File::create(&manifest).expect("a file");
    writeln!(lines, "path,nome,dataProduto").expect("a line");
    for (i, path) in files.iter().enumerate() {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        std::fs::create_dir_all(scratch.join("files")).expect("a folder");
        std::fs::copy(path, scratch.join("files").join(&name)).expect("a copy");
        writeln!(lines, "\"{name}\",Produto {},{:02}/{:02}/2025", i % 7, 1 + i % 28, 1 + i / 28 % 12).expect("a line");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_acervo"))
        .env("ACERVO_DATA_DIR", data)
        .args(["import", "--create", "--manifest"])
        .arg(&manifest)
        .arg(scratch.join("files"))
        .output()
        .expect("a binary that starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    files.len()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn bytes_in(folder: &Path) -> i64 {
    let size =
        |path: PathBuf| if path.is_dir() { bytes_in(&path) } else { path.metadata().expect("a file").len() as i64 };
    entries(folder).into_iter().map(size).sum()
}
