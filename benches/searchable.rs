//! The time from the 202 until the file is found by a search, for 1 MiB files one after the other.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends if it cannot continue"
)]
mod common;
#[path = "common/portal.rs"]
mod portal;
#[path = "common/service.rs"]
mod service;

use std::time::{Duration, Instant};

use acervo::jobs::Jobs;
use common::{Connection, milliseconds, percentile};
use serde_json::json;

const FILES: usize = 200;

fn main() {
    common::run(run());
}

async fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (app, address) = service::service(folder.path()).await;
    let jobs = Jobs::start(&app).await.expect("jobs");
    let (portal, numbers) = portal::portal(&app, &address, FILES, 1 << 20).await;
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
    println!("from the 202 to the search hit, {FILES} files of 1 MiB");
    println!(
        "  p50, p99   {:.1} ms, {:.1} ms",
        milliseconds(percentile(&took, 0.5)),
        milliseconds(percentile(&took, 0.99))
    );
}
