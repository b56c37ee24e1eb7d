//! Durable ingest: notifications answered 202 per second, each committed and synced first, compared with a handler in the
//! same process that only parses the JSON. The two are measured alternately.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends if it cannot continue"
)]
mod common;
#[path = "common/serve.rs"]
mod serve;
#[path = "common/service.rs"]
mod service;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::post;
use base64::Engine as _;
use common::{Connection, milliseconds, percentile};
use serde_json::json;

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
const EACH: usize = 20_000;

fn main() {
    common::run(run());
}

async fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_app, acervo) = service::service(folder.path()).await;
    let parse = post(|body: bytes::Bytes| async move {
        let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let id = value["nome"].as_str().map_or(0, str::len);
        (axum::http::StatusCode::ACCEPTED, axum::Json(json!({ "id": id.to_string() })))
    });
    let peer = serve::serve(axum::Router::new().route("/webhook", parse)).await;
    let requests = Arc::new(requests());
    load(&peer, &requests).await;
    let (mut ratios, mut rates, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (durable, mut took) = load(&acervo, &requests).await;
        let (parsed, _) = load(&peer, &requests).await;
        ratios.push(durable / parsed);
        rates.push((durable, parsed));
        latencies.append(&mut took);
    }
    ratios.sort_by(f64::total_cmp);
    rates.sort_by(|a, b| a.0.total_cmp(&b.0));
    latencies.sort();
    let (durable, parsed) = rates[ROUNDS / 2];
    println!("durable ingest, {CONNECTIONS} connections, {ROUNDS} rounds of {EACH}");
    println!("  answered 202 per second   {durable:>9.0}  (parsing only: {parsed:.0})");
    println!(
        "  ratio, median             {:>9.2}  ({:.2} to {:.2})",
        ratios[ROUNDS / 2],
        ratios[0],
        ratios[ROUNDS - 1]
    );
    println!(
        "  p50, p99                  {:>9.2} ms, {:.2} ms",
        milliseconds(percentile(&latencies, 0.5)),
        milliseconds(percentile(&latencies, 0.99))
    );
}

/// Realistic bodies: 200 products, 30 days, a distinct token each.
fn requests() -> Vec<Vec<u8>> {
    let encode = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let now = jiff::Timestamp::now().as_second();
    (0..EACH)
        .map(|i| {
            let (product, day) = (i % 200, i / 200 % 30 + 1);
            let name = format!("Arquivos dos modelos de previsão de vazões diárias - PDP {product}");
            let url = format!("https://sintegre.ons.org.br/sites/9/13/82/Produtos/{product}/Modelos_Chuva_Vazao_202511{day:02}.zip");
            let claims = json!({
                "URL": url, "username": "usuario@example.com.br", "nomeProduto": name, "IsFile": "True", "n": i,
                "iss": "http://local.ons.org.br", "aud": "http://local.ons.org.br", "exp": now + 86_640, "nbf": now
            });
            let token = format!("{}.{}.{}", encode(r#"{"typ":"JWT","alg":"HS256"}"#.into()), encode(claims.to_string()), encode("assinatura de trinta e dois b".into()));
            let body = json!({
                "nome": name, "processo": "Previsão de Vazões Diárias - PDP", "dataProduto": format!("{day:02}/11/2025"),
                "macroProcesso": "Programação da Operação", "periodicidade": format!("2025-11-{day:02}T00:00:00"),
                "periodicidadeFinal": format!("2025-11-{day:02}T23:59:59"),
                "url": format!("http://127.0.0.1:9/ONS.Sintegre.Proxy/webhook?token={token}")
            });
            common::post("/webhook", &body.to_string())
        })
        .collect()
}

/// Requests per second, and how long each took.
async fn load(address: &str, requests: &Arc<Vec<Vec<u8>>>) -> (f64, Vec<Duration>) {
    let began = Instant::now();
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|worker| {
            let (address, requests) = (address.to_owned(), requests.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(&address).await;
                let mut took = Vec::with_capacity(EACH / CONNECTIONS + 1);
                for request in requests.iter().skip(worker).step_by(CONNECTIONS) {
                    let sent = Instant::now();
                    let (status, _) = connection.send(request).await;
                    assert_eq!(status, 202);
                    took.push(sent.elapsed());
                }
                took
            })
        })
        .collect();
    let mut all = Vec::with_capacity(EACH);
    for worker in workers {
        all.append(&mut worker.await.expect("a worker"));
    }
    (EACH as f64 / began.elapsed().as_secs_f64(), all)
}
