//! A million publications: the speed of the index build, the latency of a typical query over HTTP (words, a process and a
//! period; the newest 50 with all columns, and the count) compared with SQLite FTS5 and PostgreSQL on the same rows without
//! HTTP, and the latency of grouped counts. `PUBLICATIONS` sets the number, `KEEP=folder` stores the rows there and reuses
//! them, `PEERS=none` skips the peers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends if it cannot continue"
)]
#[path = "../tests/it/harness/cluster.rs"]
mod cluster;
mod common;
#[path = "common/history.rs"]
mod history;
#[path = "common/peers.rs"]
mod peers;
#[path = "../tests/it/harness/ports.rs"]
mod ports;
#[path = "common/serve.rs"]
mod serve;

use std::time::{Duration, Instant};

use acervo::app::{App, Role};
use acervo::config::{self, Overrides};
use acervo::domain::Clock;
use acervo::jobs;
use common::{Connection, milliseconds, percentile};
use peers::{Peer, PeerQuery};
use rand::RngExt;
use serde_json::{Value, json};

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const QUERIES: usize = 1_000;
/// Queries per peer; they are slower.
const PEER_QUERIES: usize = 200;

/// The 16 columns of a flat row.
const COLUMNS: &str = "id productId name process macroProcess referenceDate periodStart periodEnd granularity status \
                       revisionId revisionCount fileName size storedSize receivedAt";

/// Search texts with a process.
const TYPED: &[(&str, &str)] = &[
    ("carga sudeste", "Previsão de Carga para o PMO"),
    ("carga patamar nordeste", "Previsão de Carga para o PMO"),
    ("vazões diárias grande", "Previsão de Vazões Diárias – PDP"),
    ("smap paranaíba", "Previsão de Vazões Diárias – PDP"),
    ("reservatórios são francisco", "Acompanhamento das Condições Hidroenergéticas"),
    ("energia armazenada", "Acompanhamento das Condições Hidroenergéticas"),
    ("precipitação", "Meteorologia e Clima"),
    ("ecmwf tocantins", "Meteorologia e Clima"),
    ("deck decomp", "Curto Prazo"),
    ("dessem entrada", "Curto Prazo"),
    ("newave definitivo sin", "Médio Prazo"),
    ("intercâmbio norte", "Médio Prazo"),
    ("eólica prevista", "Modelos Fontes Intermitentes"),
    ("restrições operativas", "Operação em Tempo Real"),
];

fn main() {
    common::run(run());
}

async fn run() {
    let count: usize = std::env::var("PUBLICATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let temporary = tempfile::tempdir().expect("a folder");
    let kept = std::env::var_os("KEEP").map(std::path::PathBuf::from);
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let database = folder.join("data/acervo.db");
    let is_there = database.exists();
    let values = vec![("data_dir".to_owned(), folder.join("data").display().to_string())];
    let settings = config::load(&Overrides { config: None, values }, &|_| None).expect("sound settings");
    let app = App::open(settings, Role::Server, Clock::default()).await.expect("an archive");
    let products = history::products(280 * count.div_ceil(1_000_000).max(1));
    if !is_there {
        history::fill(&database, &products, count).await;
    }
    let began = Instant::now();
    assert!(jobs::catch_up(&app).await.expect("an index"), "another process writes the index");
    let took = began.elapsed().as_secs_f64();
    println!("{count} publications of {} products, three in ten with two revisions", products.len());
    println!("index   built in {took:.1} s, {:.0} publications per second", count as f64 / took);

    let address = serve::serve(acervo::http::router(&app)).await;
    let queries = queries(count / products.len());
    let mut connection = Connection::open(&address).await;
    let (ours, found) = ours(&mut connection, &queries).await;
    report("acervo, through HTTP", &ours, found, None);
    if std::env::var("PEERS").is_ok_and(|peers| peers == "none") {
        return groups(&mut connection).await;
    }
    let fts5 = Peer::fts5(&folder.join("peer.db"), &database).await;
    let (took, found) = theirs(&fts5, &queries[..PEER_QUERIES]).await;
    report("SQLite FTS5", &took, found, Some(&ours));
    if cluster::Server::is_installed() {
        let server = cluster::Server::start(false);
        let postgres = Peer::postgres(&server.address("postgres"), &fts5).await;
        let (took, found) = theirs(&postgres, &queries[..PEER_QUERIES]).await;
        report("PostgreSQL", &took, found, Some(&ours));
    } else {
        println!("PostgreSQL is not installed: not measured");
    }
    groups(&mut connection).await;
}

/// Grouped counts.
async fn groups(connection: &mut Connection) {
    for group in ["PRODUCT", "PERIOD_MONTH", "PRODUCT, PERIOD_MONTH"] {
        let query = format!(
            "{{ publicationStats(groupBy: [{group}], limit: 10000) {{ product bucket publications revisions size storedSize }} }}"
        );
        let request = common::post("/graphql", &json!({ "query": query }).to_string());
        let mut took = Vec::new();
        let mut rows = 0;
        for _ in 0..30 {
            let began = Instant::now();
            rows = data(connection, &request).await["publicationStats"].as_array().map_or(0, Vec::len);
            took.push(began.elapsed());
        }
        took.sort();
        let (p50, p99) = (milliseconds(percentile(&took, 0.5)), milliseconds(percentile(&took, 0.99)));
        println!("groups  by {group}: {rows} rows, p50 {p50:.1} ms, p99 {p99:.1} ms");
    }
}

/// A random period of a week to a year.
fn queries(days: usize) -> Vec<PeerQuery> {
    let mut random = rand::rng();
    let today = acervo::domain::sao_paulo().to_datetime(jiff::Timestamp::now()).date();
    (0..QUERIES)
        .map(|i| {
            let (typed, process) = TYPED[i % TYPED.len()];
            let span = random.random_range(7..=365_i64);
            let ago = random.random_range(0..i64::try_from(days).expect("a number"));
            let to = today.saturating_sub(jiff::Span::new().days(ago));
            PeerQuery { typed, process, from: to.saturating_sub(jiff::Span::new().days(span)), to }
        })
        .collect()
}

async fn ours(connection: &mut Connection, queries: &[PeerQuery]) -> (Vec<Duration>, usize) {
    let query = format!(
        "query ($text: String, $process: String, $from: LocalDate, $to: LocalDate) {{
            publications(search: $text, filter: {{ process: {{ eq: $process }}, period: {{ from: $from, to: $to }} }}, first: 50) {{
                totalCount nodes {{ {COLUMNS} }} }} }}"
    );
    let requests: Vec<Vec<u8>> = queries
        .iter()
        .map(|q| {
            let variables =
                json!({ "text": q.typed, "process": q.process, "from": q.from.to_string(), "to": q.to.to_string() });
            common::post("/graphql", &json!({ "query": query, "variables": variables }).to_string())
        })
        .collect();
    for request in requests.iter().take(100) {
        data(connection, request).await;
    }
    let (mut took, mut found) = (Vec::new(), 0);
    for request in &requests {
        let began = Instant::now();
        let answer = connection.send(request).await;
        took.push(began.elapsed());
        let list = &parse(answer)["publications"];
        found += usize::try_from(list["totalCount"].as_u64().expect("a count")).expect("a count");
    }
    took.sort();
    (took, found / queries.len())
}

async fn theirs(peer: &Peer, queries: &[PeerQuery]) -> (Vec<Duration>, usize) {
    for query in &queries[..20] {
        peer.run(query).await;
    }
    let (mut took, mut found) = (Vec::new(), 0);
    for query in queries {
        let began = Instant::now();
        found += peer.run(query).await;
        took.push(began.elapsed());
    }
    took.sort();
    (took, found / queries.len())
}

fn report(who: &str, took: &[Duration], found: usize, ours: Option<&[Duration]>) {
    let at = |of: &[Duration], share| milliseconds(percentile(of, share));
    print!("search  {who}: p50 {:.2} ms, p99 {:.2} ms, {found} found on average", at(took, 0.5), at(took, 0.99));
    match ours {
        Some(ours) => {
            println!("; ratio {:.1} and {:.1}", at(took, 0.5) / at(ours, 0.5), at(took, 0.99) / at(ours, 0.99));
        }
        None => println!(),
    }
}

async fn data(connection: &mut Connection, request: &[u8]) -> Value {
    parse(connection.send(request).await)
}

fn parse((status, body): (u16, Vec<u8>)) -> Value {
    let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(status == 200 && answer.get("errors").is_none(), "{status} {answer}");
    answer["data"].take()
}
