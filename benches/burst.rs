//! A burst of 10,000 notifications in 60 seconds while 256 KiB files are downloaded: the latency of each 202.
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

const NOTIFICATIONS: u32 = 10_000;
const SPAN: Duration = Duration::from_secs(60);

/// Distinct files; each is announced many times.
const FILES: usize = 200;

/// Connections from the portal.
const CONNECTIONS: u32 = 16;

fn main() {
    common::run(run());
}

async fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = service::service(folder.path()).await;
    let (portal, numbers) = portal::portal(&service.address, FILES, 256 << 10).await;
    let bodies: Vec<Vec<u8>> = portal
        .products()
        .iter()
        .filter_map(|product| portal.notification(product))
        .map(|body| common::post("/webhook", &body))
        .collect();
    assert_eq!(bodies.len(), numbers.len());
    let began = Instant::now();
    let sender = |lane: u32| {
        let (address, bodies) = (service.address.clone(), bodies.clone());
        tokio::spawn(async move {
            let mut connection = Connection::open(&address).await;
            let mut took = Vec::new();
            for n in (lane..NOTIFICATIONS).step_by(CONNECTIONS as usize) {
                // Each is sent at a scheduled time, so that a slow one does not hide the latency of the next.
                let due = began + SPAN * n / NOTIFICATIONS;
                tokio::time::sleep_until(due.into()).await;
                let (status, body) = connection.send(&bodies[n as usize % bodies.len()]).await;
                assert_eq!(status, 202, "{}", String::from_utf8_lossy(&body));
                took.push(due.elapsed());
            }
            took
        })
    };
    let senders: Vec<_> = (0..CONNECTIONS).map(sender).collect();
    let mut took = Vec::new();
    for sender in senders {
        took.extend(sender.await.expect("a sender"));
    }
    took.sort();
    println!(
        "{NOTIFICATIONS} notifications in {:.1} s, {} files sent in the meantime",
        began.elapsed().as_secs_f64(),
        portal.bodies()
    );
    println!(
        "  answered within   p50 {:.1} ms, p99 {:.1} ms, at most {:.1} ms",
        milliseconds(percentile(&took, 0.5)),
        milliseconds(percentile(&took, 0.99)),
        milliseconds(percentile(&took, 1.0))
    );
}
