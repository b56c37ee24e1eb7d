use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::connections::{NOTIFICATION, fresh, silences};
use crate::harness::TOKEN;
use crate::harness::process::{Served, acervo_from, free_port};

/// What the portal's notifications met under a load.
#[derive(Default)]
struct Met {
    seconds: Vec<f64>,
    refused: usize,
    /// What the first that was refused met.
    refusal: Option<String>,
}

impl Met {
    fn line(mut self, name: &str, memory: u64) -> (f64, String) {
        self.seconds.sort_by(f64::total_cmp);
        let at = |share: f64| 1000.0 * self.seconds[((self.seconds.len() - 1) as f64 * share) as usize];
        let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
        let (sent, refused) = (self.seconds.len(), self.refused);
        (p99, format!("| {name} | {sent} | {refused} | {p50:.1} | {p99:.1} | {max:.1} | {} |", memory >> 20))
    }
}

/// A client that has sent more than this reads nothing.
const UNREAD_BYTES: usize = 100_000;

/// Keeps a connection waiting, and opens another a second after it was closed.
async fn keep_waiting(port: u16, bytes: Vec<u8>) {
    let reads = bytes.len() < UNREAD_BYTES;
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
            let mut sink = [0; 512];
            // One that reads nothing sends on until it is closed; the others wait for that.
            while stream.write_all(&bytes).await.is_ok() && !reads {}
            while reads && stream.read(&mut sink).await.is_ok_and(|read| read > 0) {}
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn keep_guessing(url: String, number: usize) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    loop {
        let request = match number % 2 {
            0 => client.get(format!("{url}/graphql?query={{status{{version}}}}")).bearer_auth("errada"),
            _ => client.post(format!("{url}/webhook")).header("x-token", "errada").body(NOTIFICATION),
        };
        let _ = request.send().await;
    }
}

/// A notification every 10 ms, every second one over a new connection.
async fn steady_load(url: &str, seconds: usize) -> Met {
    let (kept, fresh) = (reqwest::Client::builder().no_proxy().build().expect("a client"), fresh());
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let mut sent = Vec::new();
    for number in 0..100 * seconds {
        tick.tick().await;
        let client = if number % 2 == 0 { kept.clone() } else { fresh.clone() };
        let request = client.post(format!("{url}/webhook")).header("authorization", TOKEN).body(NOTIFICATION);
        sent.push(tokio::spawn(async move {
            let began = Instant::now();
            let status = request.send().await.map(|answer| answer.status().as_u16());
            (began.elapsed().as_secs_f64(), if matches!(status, Ok(202)) { None } else { Some(format!("{status:?}")) })
        }));
    }
    let mut met = Met::default();
    for one in sent {
        let (seconds, refusal) = one.await.expect("a response");
        met.seconds.push(seconds);
        met.refused += usize::from(refusal.is_some());
        met.refusal = met.refusal.or(refusal);
    }
    met
}

/// A measurement of the binary that `ACERVO_TEST_LOAD` names; the load is in this process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs an optimized binary: ACERVO_TEST_LOAD"]
async fn under_a_load_of_silent_connections_and_guesses() {
    let binary = std::env::var("ACERVO_TEST_LOAD").expect("ACERVO_TEST_LOAD names the binary to be measured");
    // The service runs in a folder of its own.
    let binary = std::path::absolute(binary).expect("a path").display().to_string();
    let count = |name: &str, default| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (crowd, seconds) = (count("ACERVO_TEST_CROWD", 2000), count("ACERVO_TEST_SECONDS", 10));
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let served = Served::spawn(acervo_from(&binary, folder.path()), folder.path().join("log.txt"), port, "warn");
    for number in 0..16 {
        tokio::spawn(keep_guessing(served.url.clone(), number));
    }
    let mut failed = Vec::new();
    for (name, bytes) in silences() {
        let connections: Vec<_> = (0..crowd).map(|_| tokio::spawn(keep_waiting(port, bytes.clone()))).collect();
        let met = steady_load(&served.url, seconds).await;
        connections.iter().for_each(tokio::task::JoinHandle::abort);
        let (refused, refusal, memory) = (met.refused, met.refusal.clone(), served.memory());
        let (p99, line) = met.line(name, memory);
        eprintln!("{line}");
        if refused > 0 || p99 >= 100.0 || memory >= 250 << 20 {
            failed.push((name, refusal));
        }
    }
    // Not silent, and from the portal's own address: it is measured, but no bound holds.
    let flood = b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(4000);
    let connections: Vec<_> = (0..crowd).map(|_| tokio::spawn(keep_waiting(port, flood.clone()))).collect();
    let met = steady_load(&served.url, seconds).await;
    connections.iter().for_each(tokio::task::JoinHandle::abort);
    eprintln!("{}", met.line("requests without end and no reading", served.memory()).1);
    assert!(failed.is_empty(), "a refusal, a p99 of 100 ms or more, or 250 MiB: {failed:?}");
}
