//! From the 202 to the file's being found: a 1 MiB file of a local portal, one after the other.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where it cannot go on"
)]
mod common;
#[path = "common/service.rs"]
mod service;

use std::time::{Duration, Instant};

use acervo::jobs::Jobs;
use acervo::portal::{Content, Credentials, Portal, PortalSettings, Webhook, builtin};
use common::{Connection, milliseconds, percentile};
use rand::RngExt;
use serde_json::json;

const FILES: usize = 200;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(run());
}

async fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (app, address) = service::service(folder.path()).await;
    let jobs = Jobs::start(&app).await.expect("jobs");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let settings = PortalSettings {
        webhook: Webhook { url: format!("http://{address}/webhook"), credentials: Credentials::None },
        link_life: acervo::portal::LINK_LIFE,
        subscriber: "x@example.com".to_owned(),
        clock: app.clock.clone(),
    };
    let mut products = builtin(FILES, app.clock.now());
    for product in &mut products {
        for version in &mut product.versions {
            version.content = Content::Bytes(deck(1 << 20).into());
        }
    }
    let numbers: Vec<u32> = products.iter().map(|product| product.number).collect();
    let portal = Portal::start(listener, settings, products).expect("a portal");
    let mut connection = Connection::open(&address).await;
    let mut took = Vec::with_capacity(FILES);
    for (i, number) in numbers.iter().enumerate() {
        portal.enviar(*number).await.expect("a product");
        let answered = Instant::now();
        let query = "{ publications(filter: { status: [ARCHIVED] }, first: 1) { totalCount } }";
        let request = common::post("/graphql", &json!({ "query": query }).to_string());
        loop {
            let (_, body) = connection.send(&request).await;
            let answer: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            if answer["data"]["publications"]["totalCount"].as_u64() == Some(i as u64 + 1) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(answered.elapsed());
    }
    jobs.stop().await;
    took.sort();
    println!("from the 202 to being found, {FILES} files of 1 MiB");
    println!(
        "  p50, p99   {:.1} ms, {:.1} ms",
        milliseconds(percentile(&took, 0.5)),
        milliseconds(percentile(&took, 0.99))
    );
}

/// Fixed-width text with noise in its numbers, as decks are.
fn deck(bytes: usize) -> Vec<u8> {
    let mut random = rand::rng();
    let mut text = String::with_capacity(bytes + 64);
    while text.len() < bytes {
        text.push_str(&format!(
            "{:>5} USINA{:<12}{:>10.2}{:>10.2}\r\n",
            text.len(),
            "FURNAS",
            random.random_range(0.0..9e3),
            random.random_range(0.0..9e3)
        ));
    }
    text.truncate(bytes);
    text.into_bytes()
}
