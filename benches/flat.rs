//! Flat rows for tools. Requests per second for 100 rows of 16 columns over 8 connections, compared with mercurius (with
//! JIT) serving the same rows from memory. CSV export of a whole list, compared with datasette's streaming export of the
//! same rows, with the memory of both. The peers are installed with npm and pip into a temporary folder; a peer that
//! cannot be installed is skipped.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends if it cannot continue"
)]
mod common;
#[path = "common/history.rs"]
mod history;
#[path = "../tests/it/harness/hostile.rs"]
mod hostile;
#[path = "common/node.rs"]
mod node;
#[path = "common/process.rs"]
mod process;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use acervo::app::{App, Role};
use acervo::config::{self, Overrides};
use acervo::domain::Clock;
use common::{Connection, milliseconds, percentile};
use process::Process;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CONNECTIONS: usize = 8;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);

const COLUMNS: &str = "id productId name process macroProcess referenceDate periodStart periodEnd granularity status \
                       revisionId revisionCount fileName size storedSize receivedAt";

fn main() {
    common::run(run());
}

async fn run() {
    let count: usize = std::env::var("PUBLICATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let database = data.join("acervo.db");
    let values = vec![("data_dir".to_owned(), data.display().to_string())];
    let settings = config::load(&Overrides { config: None, values }, &|_| None).expect("sound settings");
    drop(App::open(settings, Role::Server, Clock::default()).await.expect("an archive"));
    history::fill(&database, &history::products(280), count).await;
    let acervo = acervo(&data, count).await;
    hostile_documents(&acervo).await;
    rows(folder.path(), &acervo.address).await;
    exports(folder.path(), &acervo, count).await;
}

/// The peak of a process's anonymous memory, without mapped files.
fn peak_mib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).expect("a status");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a figure");
        line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).expect("a number") / 1024
    };
    field("VmHWM:") - field("RssFile:")
}

fn forget_peak(process: &Process) {
    std::fs::write(format!("/proc/{}/clear_refs", process.child.id()), "5").expect("Linux");
}

async fn acervo(data: &Path, count: usize) -> Process {
    let process = Process::acervo(data, &[("ACERVO_LOG", "error")]).await;
    let query = common::post("/graphql", &json!({ "query": "{ publications { totalCount } }" }).to_string());
    let mut connection = Connection::open(&process.address).await;
    let whole = format!("\"totalCount\":{count}");
    // The index is built while the service runs.
    while !String::from_utf8_lossy(&connection.send(&query).await.1).contains(&whole) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    process
}

fn mercurius(rows: &Path) -> Option<Process> {
    let home = node::install("mercurius", "mercurius.mjs", &["fastify@5", "mercurius@16", "graphql@16"])?;
    node::start(&home, "mercurius.mjs", rows)
}

/// Starts datasette on a table of the same rows.
fn datasette(folder: &Path, database: &Path) -> Option<Process> {
    let home = folder.join("datasette");
    let python = Command::new("python3").args(["-m", "venv"]).arg(&home).status();
    python.is_ok_and(|status| status.success()).then_some(())?;
    let pip = Command::new(home.join("bin/pip")).args(["install", "--quiet", "datasette==0.65.*"]).status();
    pip.is_ok_and(|status| status.success()).then_some(())?;
    let copy = home.join("acervo.db");
    let script = format!(
        "import sqlite3; c = sqlite3.connect('{}'); c.execute(\"ATTACH '{}' AS a\"); \
         c.execute('CREATE TABLE flat AS SELECT * FROM a.bi_publications'); c.commit()",
        copy.display(),
        database.display()
    );
    let filled = Command::new("python3").args(["-c", &script]).status();
    filled.is_ok_and(|status| status.success()).then_some(())?;
    let address = process::free_address();
    let mut command = Command::new(home.join("bin/datasette"));
    command.args(["serve", "--setting", "max_csv_mb", "0", "--setting", "sql_time_limit_ms", "60000", "--port"]);
    command.arg(address.rsplit(':').next()?).arg(&copy).stderr(Stdio::null());
    Some(Process::start(&mut command, address))
}

async fn rows(folder: &Path, address: &str) {
    let columns = COLUMNS.split_whitespace().collect::<Vec<_>>().join(",");
    let path = format!("/export/publications.ndjson?limit=100&columns={columns}");
    let (_, body) = download(address, &path).await;
    let file = folder.join("rows.ndjson");
    std::fs::write(&file, body).expect("a file");
    let day = acervo::domain::sao_paulo().to_datetime(jiff::Timestamp::now()).date();
    let week = day.saturating_sub(jiff::Span::new().days(7));
    let filter = format!("filter: {{ period: {{ from: \"{week}\", to: \"{day}\" }} }}, ");
    let query = |filter: &str| {
        let query = format!("{{ publications({filter}first: 100) {{ totalCount nodes {{ {COLUMNS} }} }} }}");
        common::post("/graphql", &json!({ "query": query }).to_string())
    };
    let Some(peer) = mercurius(&file) else {
        println!(
            "rows    acervo: {:.0} per second; mercurius cannot be installed",
            load(address, &query(&filter)).await.0
        );
        return;
    };
    let (mut ours, mut theirs, mut slow) = (Vec::new(), Vec::new(), Vec::new());
    load(address, &query(&filter)).await;
    load(&peer.address, &query("")).await;
    for _ in 0..ROUNDS {
        let (rate, slowest) = load(address, &query(&filter)).await;
        ours.push(rate);
        slow.push(milliseconds(slowest));
        theirs.push(load(&peer.address, &query("")).await.0);
    }
    let (ours, theirs, slow) = (median(ours), median(theirs), median(slow));
    println!("rows    100 of 16 columns at {CONNECTIONS} connections: acervo {ours:.0} per second, p99 {slow:.1} ms");
    println!("        mercurius {theirs:.0} per second; ratio {:.2}", ours / theirs);
}

/// How long a refusal takes (the maximum of 20), and how much memory.
async fn hostile_documents(acervo: &Process) {
    forget_peak(acervo);
    let before = peak_mib(acervo);
    let mut slowest = (Duration::ZERO, "");
    for (what, document) in hostile::documents() {
        let request = common::post("/graphql", &json!({ "query": document }).to_string());
        for _ in 0..20 {
            let mut connection = Connection::open(&acervo.address).await;
            let began = Instant::now();
            let (status, body) = connection.send(&request).await;
            let took = began.elapsed();
            let refused = status >= 400 || String::from_utf8_lossy(&body).contains("\"errors\"");
            assert!(refused, "{what}: {status}");
            slowest = slowest.max((took, what));
        }
    }
    println!(
        "refused hostile documents: the slowest after {:.1} ms ({}); {} MiB more",
        milliseconds(slowest.0),
        slowest.1,
        peak_mib(acervo) - before
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Requests per second, and the 99th percentile of latency.
async fn load(address: &str, request: &[u8]) -> (f64, Duration) {
    let began = Instant::now();
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (address, request) = (address.to_owned(), request.to_vec());
            tokio::spawn(async move {
                let mut connection = Connection::open(&address).await;
                let mut took = Vec::new();
                while began.elapsed() < ROUND {
                    let asked = Instant::now();
                    let (status, body) = connection.send(&request).await;
                    assert!(status == 200 && body.len() > 30_000, "{status} {}", String::from_utf8_lossy(&body));
                    took.push(asked.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.append(&mut task.await.expect("a client"));
    }
    let rate = took.len() as f64 / began.elapsed().as_secs_f64();
    took.sort();
    (rate, percentile(&took, 0.99))
}

async fn exports(folder: &Path, acervo: &Process, count: usize) {
    let database = folder.join("data/acervo.db");
    let Some(peer) = datasette(folder, &database) else {
        println!("export  datasette cannot be installed: not measured");
        return;
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    forget_peak(acervo);
    let before = peak_mib(acervo);
    for _ in 0..3 {
        let (took, body) = download(&acervo.address, "/export/publications.csv").await;
        let lines = body.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, count + 1, "a line for each publication");
        ours.push(count as f64 / took.as_secs_f64());
        let (took, body) = download(&peer.address, "/acervo/flat.csv?_stream=on&_size=max").await;
        let lines = body.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, count + 1, "a line for each publication");
        theirs.push(count as f64 / took.as_secs_f64());
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "export  CSV of {count} rows: acervo {ours:.0} rows a second, datasette {theirs:.0}; ratio {:.1}",
        ours / theirs
    );
    println!(
        "        acervo held {before} MiB before and {} MiB at most, datasette {} MiB",
        peak_mib(acervo),
        peak_mib(&peer)
    );
}

/// The response including its head, and how long it took.
async fn download(address: &str, path: &str) -> (Duration, Vec<u8>) {
    let began = Instant::now();
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a service");
    let request = format!("GET {path} HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a connection");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let took = began.elapsed();
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    assert!(answer.starts_with(b"HTTP/1.") && answer[9..12] == *b"200", "{}", String::from_utf8_lossy(&answer[..body]));
    (took, answer.split_off(body))
}
