//! Durable ingest: notifications answered 202 per second, each committed and synced first, sent over HTTP by a process of its
//! own (64 keep-alive connections; `common/load.rs`) to the binary `acervo serve`.
//!
//! Compared with Fastify and better-sqlite3 (a synced insert per request), with NestJS, TypeORM and PostgreSQL (a
//! `repository.save` per request), with a server that parses notifications as Acervo does and stores nothing, and with the
//! disk: 64 bodies per synced append. All are measured alternately, so the ratios count. Peers that cannot be installed with
//! npm, or without PostgreSQL, are left out. A response other than 202, or a notification that was answered 202 and is not
//! in the store after the server was killed, ends the run.
//!
//! Settings: `ROUNDS` (3), `ROUND_SECONDS` of a measurement (4), `FLAT_SECONDS` of the measurement of evenness over time (20; 0 for
//! none), `NOTIFICATIONS` in the archive with a past (0: none), `LINKS` to a port that is not open (`refused`), to a host that
//! is not allowed (`denied`) or to files (`served`), `PEERS=none`, `SWEEP=none` (no other numbers of connections), `ONLY` for
//! subjects whose names contain one of these texts, separated by commas, `PLOTS` for a folder into which plots are written. For
//! `docs/performance.md`: `ROUND_SECONDS=10 FLAT_SECONDS=60 NOTIFICATIONS=1000000 PLOTS=docs`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends if it cannot continue"
)]
#[path = "../tests/it/harness/cluster.rs"]
mod cluster;
mod common;
#[path = "common/disk.rs"]
mod disk;
#[path = "common/idle.rs"]
mod idle;
#[path = "common/load.rs"]
mod load;
#[path = "common/node.rs"]
mod node;
#[path = "common/notices.rs"]
mod notices;
#[path = "common/past.rs"]
mod past;
#[path = "common/plot.rs"]
mod plot;
#[path = "../tests/it/harness/ports.rs"]
mod ports;
#[path = "common/process.rs"]
mod process;
#[path = "common/servers.rs"]
mod servers;
#[path = "common/stop.rs"]
mod stop;
#[path = "common/subjects.rs"]
mod subjects;
#[path = "common/usage.rs"]
mod usage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use disk::Disk;
use notices::{Kind, Template};
use plot::Plot;
use subjects::{Figures, Links, Server, Span, Stand, Subject};

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 64;

/// Seconds before a measurement: compilers of other languages optimize what runs often.
const WARM_UP: f64 = 2.0;

/// Further numbers of connections.
const SWEEP: &[usize] = &[1, 8, 64, 256];

/// The subjects that are loaded over them.
const SWEPT: &[&str] = &[NEW, KNOWN, FASTIFY, NULL, POSTGRES_NEW, NEST];

/// The subjects whose rate over time is measured.
const OVER_TIME: &[&str] = &[NEW, KNOWN, PAST_NEW, FASTIFY, POSTGRES_NEW, NEST];

const NEW: &str = "acervo, new publications";
const KNOWN: &str = "acervo, known publications";
const NEW_PRODUCTS: &str = "acervo, new products";
const SERVED: &str = "acervo, new, files fetched";
const PAST_NEW: &str = "acervo with a past, new";
const PAST_KNOWN: &str = "acervo with a past, known";
const POSTGRES_NEW: &str = "acervo on PostgreSQL, new";
const POSTGRES_KNOWN: &str = "acervo on PostgreSQL, known";
const FASTIFY: &str = "Fastify, better-sqlite3";
const NEST: &str = "NestJS, TypeORM, PostgreSQL";
const NULL: &str = "parsing only";
const DISK: &str = "the disk, 64 bodies a sync";

/// Which ratios are reported.
const RATIOS: &[(&str, &[&str])] = &[
    (NEW, &[FASTIFY, NULL, DISK]),
    (KNOWN, &[FASTIFY, NULL, DISK]),
    (NEW_PRODUCTS, &[FASTIFY, NULL, DISK]),
    (SERVED, &[NEW, FASTIFY]),
    (PAST_NEW, &[NEW, FASTIFY]),
    (PAST_KNOWN, &[KNOWN, FASTIFY]),
    (POSTGRES_NEW, &[NEST]),
    (POSTGRES_KNOWN, &[NEST]),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "client", order] => load::client(order),
        [_, role @ (servers::NULL | servers::FILES), address] => common::run(servers::serve(role, address)),
        _ => common::run(run()),
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name}={text} is not valid"))
}

async fn run() {
    let (rounds, seconds): (usize, f64) = (setting("ROUNDS", 3), setting("ROUND_SECONDS", 4.0));
    let flat: f64 = setting("FLAT_SECONDS", 20.0);
    let stand = Stand::new(setting("PEERS", String::new()) != "none", setting("NOTIFICATIONS", 0)).await;
    let subjects = subjects();
    let span = Span { connections: CONNECTIONS, warm_up: WARM_UP, seconds };
    println!("{CONNECTIONS} connections, {rounds} rounds of {seconds} s");
    compare(&stand, &subjects, span, rounds).await;
    if setting("SWEEP", String::new()) != "none" {
        sweep(&stand, &subjects, span).await;
    }
    if flat > 0.0 {
        over_time(&stand, &subjects, Span { warm_up: 0.0, seconds: flat, ..span }).await;
    }
}

fn subjects() -> Vec<Subject> {
    let links = Links::of(&setting("LINKS", "refused".to_owned()));
    let only: String = setting("ONLY", String::new());
    let (new, known) = (Kind::NewPublications, Kind::KnownPublications);
    [
        (NEW, Server::Acervo, new, links),
        (KNOWN, Server::Acervo, known, links),
        (NEW_PRODUCTS, Server::Acervo, Kind::NewProducts, links),
        (SERVED, Server::Acervo, new, Links::Served),
        (FASTIFY, Server::Fastify, new, links),
        (NULL, Server::Null, new, links),
        (PAST_NEW, Server::AcervoWithPast, new, links),
        (PAST_KNOWN, Server::AcervoWithPast, known, links),
        (POSTGRES_NEW, Server::AcervoOnPostgres, new, links),
        (POSTGRES_KNOWN, Server::AcervoOnPostgres, known, links),
        (NEST, Server::Nest, new, links),
    ]
    .into_iter()
    .map(|(name, server, kind, links)| Subject { name, server, kind, links })
    .filter(|subject| only.split(',').any(|text| subject.name.contains(text)))
    .collect()
}

/// All subjects in turn, several times. Of each the rate, the latency, what a notification costs the server (without a database
/// server) and the client in microseconds of CPU time, how many processors did other work meanwhile, and how many publications
/// were resolved per second: a rate that is answered and not resolved could not go on forever.
async fn compare(stand: &Stand, subjects: &[Subject], span: Span, rounds: usize) {
    let mut disk = Disk::new(stand.folder());
    let batch = CONNECTIONS * Template::new(Kind::NewPublications, "http://127.0.0.1:9").render(0).len();
    let mut measured = BTreeMap::<&str, Vec<Figures>>::new();
    let mut rates = BTreeMap::<&str, Vec<f64>>::new();
    for _ in 0..rounds {
        for subject in subjects {
            if let Some(figures) = stand.measure(*subject, span).await {
                rates.entry(subject.name).or_default().push(figures.load.rate);
                measured.entry(subject.name).or_default().push(figures);
            }
        }
        let syncs = disk.measure(batch, Duration::from_secs_f64(span.seconds.min(2.0)));
        rates.entry(DISK).or_default().push(syncs * CONNECTIONS as f64);
    }
    println!(
        "  {:<30} {:>8} {:>18} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "", "per s", "", "p50 ms", "p99 ms", "CPU µs", "bytes", "client", "others", "resolved"
    );
    for subject in subjects {
        let Some(figures) = measured.get(subject.name) else {
            println!("  {:<30} not measured", subject.name);
            continue;
        };
        print_row(subject.name, &rates[subject.name], figures);
    }
    println!("  {DISK:<30} {}", rate(&rates[DISK]));
    println!("ratios");
    for (name, others) in RATIOS {
        for other in *others {
            if let (Some(own), Some(theirs)) = (rates.get(name), rates.get(other)) {
                let (low, middle, high) = spread(own.iter().zip(theirs).map(|(own, theirs)| own / theirs));
                println!("  {name:<30} to {other:<30} {middle:>6.2} ({low:.2} to {high:.2})");
            }
        }
    }
}

fn print_row(name: &str, rates: &[f64], figures: &[Figures]) {
    let middle = |of: fn(&Figures) -> f64| spread(figures.iter().map(of)).1;
    println!(
        "  {name:<30} {} {:>8.2} {:>8.2} {:>8.1} {:>8.0} {:>8.1} {:>8.2} {:>8}",
        rate(rates),
        middle(|f| f.load.p50),
        middle(|f| f.load.p99),
        middle(|f| f.cpu),
        middle(|f| f.written),
        middle(|f| f.load.client_cpu),
        middle(|f| f.elsewhere),
        figures[0].resolved.map_or(String::new(), |_| format!("{:.0}", middle(|f| f.resolved.unwrap_or(f64::NAN))))
    );
}

fn rate(rates: &[f64]) -> String {
    let (low, middle, high) = spread(rates.iter().copied());
    format!("{middle:>8.0} {:>18}", format!("({low:.0} to {high:.0})"))
}

/// The smallest, the median and the largest.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}

/// The latency at other numbers of connections.
async fn sweep(stand: &Stand, subjects: &[Subject], span: Span) {
    println!("by number of connections: answered per second, p50 and p99 in ms");
    let mut lines = Vec::new();
    for subject in subjects.iter().filter(|subject| SWEPT.contains(&subject.name)) {
        print!("  {:<30}", subject.name);
        let mut line = Vec::new();
        for &connections in SWEEP {
            let Some(Figures { load, .. }) = stand.measure(*subject, Span { connections, ..span }).await else { break };
            print!("  {connections:>3}: {:>6.0} {:>6.2} {:>7.2}", load.rate, load.p50, load.p99);
            line.push((connections as f64, load.p99));
        }
        println!();
        lines.push((subject.name, line));
    }
    let title = "Latency of a notification: 99th percentile by connections";
    write(&Plot { title, x: "connections", y: "ms", is_log: true, lines }, "ingest-latency.svg");
}

/// Writes a plot where that is wanted.
fn write(plot: &Plot, file: &str) {
    if let Some(folder) = std::env::var_os("PLOTS") {
        plot.write(&PathBuf::from(folder).join(file));
    }
}

/// Whether the rate stays the same.
async fn over_time(stand: &Stand, subjects: &[Subject], span: Span) {
    println!("over {} s: answered in each second", span.seconds);
    let mut lines = Vec::new();
    for subject in subjects.iter().filter(|subject| OVER_TIME.contains(&subject.name)) {
        let Some(Figures { load, resolved, .. }) = stand.measure(*subject, span).await else { continue };
        let counts: Vec<f64> = load.per_second.iter().map(|&count| count as f64).collect();
        let third = counts.len().div_ceil(3);
        let mean = |counts: &[f64]| counts.iter().sum::<f64>() / counts.len() as f64;
        let (low, middle, high) = spread(counts.iter().copied());
        println!(
            "  {:<30} {middle:>8.0} ({low:.0} to {high:.0}), last third to first third {:.2}, p99 {:.2} ms{}",
            subject.name,
            mean(&counts[counts.len() - third..]) / mean(&counts[..third]),
            load.p99,
            resolved.map_or(String::new(), |rate| format!(", {rate:.0} resolved per second"))
        );
        lines.push((subject.name, (1..).map(f64::from).zip(counts).collect()));
    }
    let title = "Notifications answered 202 in each second, 64 connections";
    write(&Plot { title, x: "seconds", y: "per second", is_log: false, lines }, "ingest-rate.svg");
}
