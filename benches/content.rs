//! What searching inside files costs, on a folder of published files (`CORPUS=folder`): the bytes of the index of contents beside those that
//! are stored, the time it takes to read a file, and the latency of searches inside files and of searches by name beside them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends if it cannot continue"
)]
#[path = "common/run.rs"]
mod run;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use acervo::app::{App, Role};
use acervo::config::{self, Overrides};
use acervo::domain::Clock;
use acervo::jobs;
use acervo::query::{Filter, Order, Paging, PublicationRequest, Queries, SearchIn};

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 1_000;

const WORDS: &[&str] =
    &["fcmax", "furnas", "usina hidreletrica", "geração térmica", "camargos", "carga", "deck pmo", "vazões", "itaipu"];

fn main() {
    run::run(work());
}

async fn work() {
    let Some(corpus) = std::env::var_os("CORPUS").map(PathBuf::from) else {
        return println!("set CORPUS to a folder of published files");
    };
    println!("folder                  files   published      stored       index    contents     read");
    let mut series: Vec<PathBuf> = entries(&corpus).into_iter().filter(|path| path.is_dir()).collect();
    series.sort();
    for folder in &series {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        measure(&name, std::slice::from_ref(folder)).await;
    }
    let (app, folder) = measure("all", &series).await;
    let queries = Queries::new(app.clone());
    latencies("inside files", &queries, SearchIn::Content).await;
    latencies("by name", &queries, SearchIn::Names).await;
    drop((queries, app));
    let app = open(&folder.path().join("data"), "false").await;
    latencies("by name, without the index of contents", &Queries::new(app), SearchIn::Names).await;
}

async fn latencies(what: &str, queries: &Queries, place: SearchIn) {
    let mut took = Vec::new();
    let mut hits = 0;
    for round in 0..ROUNDS {
        let word = WORDS[round % WORDS.len()];
        let began = Instant::now();
        hits += search(queries, word, place, round).await;
        took.push(began.elapsed());
    }
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("search {what}: p50 {:.2} ms, p99 {:.2} ms, {hits} hits in {ROUNDS} searches", at(0.5), at(0.99));
}

async fn open(data: &Path, index: &str) -> App {
    let values = [("data_dir", data.display().to_string()), ("content.index", index.to_owned())];
    let values = values.map(|(key, value)| (key.to_owned(), value)).into();
    let mut settings = config::load(&Overrides { config: None, values }, &|_| None).expect("sound settings");
    settings.content.program = Some(env!("CARGO_BIN_EXE_acervo").into());
    App::open(settings, Role::Command { may_create: false }, Clock::default()).await.expect("an archive")
}

/// A search with the lines of the first ten files.
async fn search(queries: &Queries, text: &str, place: SearchIn, round: usize) -> u64 {
    let request = PublicationRequest {
        search: Some(text.to_owned()),
        search_in: place,
        scored: false,
        // No two requests are alike, so none is cached.
        filter: Filter {
            period_from: acervo::domain::LocalDateTime::parse(&format!("1{:03}-01-01T00:00:00", round)),
            ..Filter::default()
        },
        as_of: None,
        order: Order::Relevance,
        paging: Paging::first(10),
    };
    let page = queries.publications(request).await.expect("a page");
    if place == SearchIn::Content {
        for (_, row) in &page.list.rows {
            let revision = row.revision.as_ref().expect("a file");
            assert!(!queries.content_matches(revision, text, 3).await.expect("lines").is_empty());
        }
    }
    page.list.total
}

/// Archives the files of some folders and reads their text; prints what that takes. The archive exists as long as the folder does.
async fn measure(name: &str, folders: &[PathBuf]) -> (App, tempfile::TempDir) {
    let temporary = tempfile::tempdir().expect("a folder");
    let data = temporary.path().join("data");
    let count = import(folders, temporary.path(), &data);
    let app = open(&data, "true").await;
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
    (app, temporary)
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
