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
#[path = "common/process.rs"]
mod process;
#[path = "common/service.rs"]
mod service;

use std::time::{Duration, Instant};

use common::{Connection, milliseconds, percentile};
use serde_json::json;

const FILES: usize = 200;

fn main() {
    common::run(run());
}

async fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = service::service(folder.path()).await;
    let (portal, numbers) = portal::portal(&service.address, FILES, 1 << 20).await;
    let mut connection = Connection::open(&service.address).await;
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
    took.sort();
    println!("from the 202 to the search hit, {FILES} files of 1 MiB");
    println!(
        "  p50, p99   {:.1} ms, {:.1} ms",
        milliseconds(percentile(&took, 0.5)),
        milliseconds(percentile(&took, 0.99))
    );
}
