//! "Enviar Tudo" of 1 MiB files from a local portal, compared with `xargs -P`, curl and zstd on the same files.
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

use std::process::Command;
use std::time::{Duration, Instant};

use common::{Connection, milliseconds, percentile};
use serde_json::json;

const ROUNDS: usize = 5;
const FILES: usize = 500;
const BYTES: usize = 1 << 20;

/// Concurrent downloads, on both sides.
const AT_ONCE: usize = 8;

fn main() {
    common::run(work());
}

async fn work() {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a folder");
        let service = service::service(&folder.path().join("data")).await;
        let (portal, _) = portal::portal(&service.address, FILES, BYTES).await;
        let links: Vec<String> = portal
            .products()
            .iter()
            .filter_map(|product| portal.link(product))
            .map(|link| format!("{link}\n"))
            .collect();
        let list = folder.path().join("links");
        std::fs::write(&list, links.concat()).expect("a list");
        let peer = peer(&list, &folder.path().join("out")).await;
        let mut connection = Connection::open(&service.address).await;
        let began = Instant::now();
        assert_eq!(portal.enviar_tudo().await.delivered as usize, FILES);
        while archived(&mut connection).await < FILES as u64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let own = began.elapsed();
        println!("{}", compared(own, peer));
        ours.push(own);
        theirs.push(peer);
    }
    ours.sort();
    theirs.sort();
    println!("medians: {}", compared(percentile(&ours, 0.5), percentile(&theirs, 0.5)));
}

fn compared(own: Duration, peer: Duration) -> String {
    let rate = |took: Duration| FILES as f64 * 1e3 / milliseconds(took);
    format!(
        "{FILES} files of 1 MiB: acervo {:.0} a second, xargs -P{AT_ONCE} curl | zstd {:.0} a second, ratio {:.2}",
        rate(own),
        rate(peer),
        rate(own) / rate(peer)
    )
}

/// Files that a list shows: each is archived and indexed.
async fn archived(connection: &mut Connection) -> u64 {
    let query = "{ publications(filter: { status: [ARCHIVED] }, first: 1) { totalCount } }";
    let (_, body) = connection.send(&common::post("/graphql", &json!({ "query": query }).to_string())).await;
    let answer: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    answer["data"]["publications"]["totalCount"].as_u64().expect("a count")
}

/// A script as baseline: nothing is hashed, indexed or synced per file. The disk is synced once at the end.
async fn peer(list: &std::path::Path, out: &std::path::Path) -> Duration {
    std::fs::create_dir(out).expect("a folder");
    let script = format!(
        "xargs -P{AT_ONCE} -I{{}} sh -c 'curl -sf \"$0\" | zstd -q -3 -o \"$1/$$.zst\"' {{}} {} < {} && sync -f {}",
        out.display(),
        list.display(),
        out.display()
    );
    let began = Instant::now();
    let done = tokio::task::spawn_blocking(move || Command::new("sh").args(["-c", &script]).status());
    assert!(done.await.expect("a thread").expect("a shell").success());
    let took = began.elapsed();
    assert_eq!(std::fs::read_dir(out).expect("a folder").count(), FILES);
    took
}
