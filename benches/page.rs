//! The page on a million publications: the time until a view is there, as a browser asks for it (compressed), over HTTP from another process.
//! Each view is asked for with conditions that nobody asked for before, first while nothing is committed, then each time after
//! a new publication was committed and indexed, which empties what was counted before. `PUBLICATIONS` sets the number.
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

use std::time::{Duration, Instant};

use acervo::app::{App, Role};
use acervo::config::{self, Overrides};
use acervo::domain::Clock;
use common::{Connection, milliseconds, percentile};
use process::Process;
use serde_json::{Value, json};

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests for each view.
const ROUNDS: usize = 60;

const WORDS: &[&str] =
    &["carga", "vaz%C3%B5es", "deck+decomp", "energia", "precipita%C3%A7%C3%A3o", "sudeste", "newave"];

fn main() {
    common::run(run());
}

async fn run() {
    let count: usize = std::env::var("PUBLICATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let values = vec![("data_dir".to_owned(), data.display().to_string())];
    let settings = config::load(&Overrides { config: None, values }, &|_| None).expect("sound settings");
    drop(App::open(settings, Role::Server, Clock::default()).await.expect("an archive"));
    history::fill(&data.join("acervo.db"), &history::products(280 * count.div_ceil(1_000_000)), count).await;
    let service =
        Process::acervo(&data, &[("ACERVO_LOG", "off"), ("ACERVO_FETCH__ALLOWED_HOSTS", "nowhere.example")]).await;
    let mut visitor = Visitor { connection: Connection::open(&service.address).await, published: 0, asked: 0 };
    visitor.wait_until(|total, lag| total == count as u64 && lag == 0).await;
    let ids = visitor.ids().await;
    let day = |n: usize| {
        let today = acervo::domain::sao_paulo().to_datetime(jiff::Timestamp::now()).date();
        today.saturating_sub(jiff::Span::new().days(i64::try_from(n % 3_000).expect("a number"))).to_string()
    };
    let views: [(&str, &dyn Fn(usize) -> String); 7] = [
        ("the first page", &|_| "/".to_owned()),
        ("a search", &|n| format!("/?search={}&periodFrom={}", WORDS[n % WORDS.len()], day(n * 7))),
        ("a search, one process", &|n| {
            format!("/?search={}&process=Curto+Prazo&periodFrom={}", WORDS[n % WORDS.len()], day(n * 11))
        }),
        ("all of a period", &|n| format!("/?periodFrom={}&periodTo={}", day(n + 400), day(n))),
        ("a product", &|n| format!("/products/{}", ids.products[n % ids.products.len()])),
        ("a publication", &|n| format!("/publications/{}", ids.publications[n % ids.publications.len()])),
        ("all products", &|_| "/products".to_owned()),
    ];
    println!("{count} publications, {ROUNDS} requests for each view; p50, p95, bytes sent");
    for (name, path) in views {
        let quiet = visitor.visit(path, false).await;
        let busy = visitor.visit(path, true).await;
        println!("{name:<24} {quiet}; after a commit {busy}");
    }
}

struct Ids {
    products: Vec<String>,
    publications: Vec<String>,
}

struct Visitor {
    connection: Connection,
    published: usize,
    asked: usize,
}

impl Visitor {
    async fn query(&mut self, query: &str) -> Value {
        let request = common::post("/graphql", &json!({ "query": query }).to_string());
        let (status, body) = self.connection.send(&request).await;
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(status == 200 && answer.get("errors").is_none(), "{status} {answer}");
        answer["data"].clone()
    }

    async fn wait_until(&mut self, is_there: impl Fn(u64, u64) -> bool) {
        loop {
            let data = self.query("{ publications { totalCount } status { indexLag } }").await;
            let number = |value: &Value| value.as_u64().expect("a number");
            if is_there(number(&data["publications"]["totalCount"]), number(&data["status"]["indexLag"])) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Products and publications of all ages.
    async fn ids(&mut self) -> Ids {
        let data =
            self.query("{ products(first: 280) { nodes { id } } publications(first: 500) { nodes { id } } }").await;
        let ids = |list: &Value| {
            let nodes = list["nodes"].as_array().expect("a list");
            nodes.iter().map(|node| node["id"].as_str().expect("an id").to_owned()).collect()
        };
        Ids { products: ids(&data["products"]), publications: ids(&data["publications"]) }
    }

    /// A new publication, once the index has it. Its file cannot be fetched.
    async fn publish(&mut self) {
        let before = self.query("{ publications { totalCount } }").await["publications"]["totalCount"].as_u64();
        self.published += 1;
        let date = jiff::civil::date(1990, 1, 1).saturating_add(jiff::Span::new().days(self.published as i64));
        let body = json!({
            "nome": "Carga Horária Verificada – SIN", "processo": "Previsão de Carga para o PMO",
            "macroProcesso": "Programação da Operação", "dataProduto": date.strftime("%d/%m/%Y").to_string(),
            "periodicidade": format!("{date}T00:00:00"), "periodicidadeFinal": format!("{date}T23:59:59"),
            "url": format!("https://nowhere.example/{}", self.published),
        });
        let (status, answer) = self.connection.send(&common::post("/webhook", &body.to_string())).await;
        assert_eq!(status, 202, "{}", String::from_utf8_lossy(&answer));
        self.wait_until(|total, lag| Some(total) > before && lag == 0).await;
    }

    async fn visit(&mut self, path: &dyn Fn(usize) -> String, publishes: bool) -> String {
        let mut took = Vec::with_capacity(ROUNDS);
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            if publishes {
                self.publish().await;
            }
            self.asked += 1;
            let path = path(self.asked);
            let request = format!(
                "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/html\r\naccept-encoding: gzip\r\naccept-language: pt-BR\r\n\r\n"
            );
            let began = Instant::now();
            let (status, body) = self.connection.send(request.as_bytes()).await;
            took.push(began.elapsed());
            assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
            bytes = bytes.max(body.len());
        }
        took.sort();
        let at = |share| milliseconds(percentile(&took, share));
        format!("{:>6.1} {:>6.1} ms {:>4} kB", at(0.5), at(0.95), bytes.div_ceil(1_000))
    }
}
