//! Retention over a million revisions: time and memory of a plan, time of a run, and the latency of queries during it.
//! `REVISIONS` sets the number.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends if it cannot continue"
)]
mod common;
#[path = "common/history.rs"]
mod history;
#[path = "common/serve.rs"]
mod serve;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use acervo::app::{App, Role};
use acervo::config::{self, Overrides};
use acervo::domain::Clock;
use acervo::jobs::{self, retention};
use common::{Connection, milliseconds, percentile};
use serde_json::json;

const PRODUCTS: usize = 500;
const POLICY: &str =
    "[retention]\ngrace = \"0s\"\n[[retention.policy]]\nname = \"all\"\nkeep_within = \"3y\"\nkeep_last = 1\n";

fn main() {
    common::run(run());
}

async fn run() {
    let revisions: usize = std::env::var("REVISIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("acervo.toml");
    std::fs::write(&file, POLICY).expect("a file");
    let values = vec![("data_dir".to_owned(), folder.path().join("data").display().to_string())];
    let settings = config::load(&Overrides { config: Some(file), values }, &|_| None).expect("sound settings");
    let app = App::open(settings, Role::Server, Clock::default()).await.expect("an archive");
    let products = history::products(PRODUCTS);
    // Three publications in ten have two revisions.
    history::fill(&folder.path().join("data/acervo.db"), &products, revisions / 13 * 10).await;
    let probe = products[7].id.to_string();
    let began = Instant::now();
    assert!(jobs::rebuild(&app, &|_, _| {}).await.expect("an index"), "another process writes the index");
    println!("{revisions} revisions; their index is built in {:.1} s", began.elapsed().as_secs_f64());

    let before = reset_peak();
    let began = Instant::now();
    let planned = retention::make_plan(&app, app.clock.now()).await.expect("a plan");
    let (took, peak) = (began.elapsed(), peak_kib());
    println!(
        "plan   {:.1} s, {} MiB above the {} MiB before; {} kept, {} removed",
        took.as_secs_f64(),
        (peak - before) / 1024,
        before / 1024,
        planned.plan.keep,
        planned.plan.remove
    );
    drop(planned);

    let jobs = jobs::Jobs::start(&app).await.expect("jobs");
    let address = serve::serve(acervo::http::router(&app)).await;
    let quiet = read_for(&address, &probe, Duration::from_secs(10), None).await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (address, probe, done) = (address.clone(), probe.clone(), done.clone());
        async move { read_for(&address, &probe, Duration::from_secs(900), Some(done)).await }
    });
    let began = Instant::now();
    let run = retention::run(&app, app.clock.now(), false).await.expect("a run").run;
    let took = began.elapsed();
    done.store(true, Ordering::SeqCst);
    let busy = reader.await.expect("a reader");
    println!("run    {:.1} s for {} revisions", took.as_secs_f64(), run.removed);
    let figures = |of: &[Duration]| (milliseconds(percentile(of, 0.5)), milliseconds(percentile(of, 0.99)));
    let ((quiet_p50, quiet_p99), (busy_p50, busy_p99)) = (figures(&quiet), figures(&busy));
    println!(
        "reads  p50 {quiet_p50:.2} ms, p99 {quiet_p99:.2} ms alone; p50 {busy_p50:.2} ms, p99 {busy_p99:.2} ms during the run; p99 ratio {:.2}",
        busy_p99 / quiet_p99
    );
    jobs.stop().await;
}

/// A typical query, repeated with a short pause.
async fn read_for(address: &str, probe: &str, time: Duration, done: Option<Arc<AtomicBool>>) -> Vec<Duration> {
    let query = format!(
        "{{ product(id: \"{probe}\") {{ name publications(first: 50) {{ totalCount nodes {{ referenceDate fileName size status sha256 }} }} }} }}"
    );
    let request = common::post("/graphql", &json!({ "query": query }).to_string());
    let mut connection = Connection::open(address).await;
    let began = Instant::now();
    let mut took = Vec::new();
    while began.elapsed() < time && !done.as_ref().is_some_and(|done| done.load(Ordering::SeqCst)) {
        let asked = Instant::now();
        let (status, body) = connection.send(&request).await;
        assert!(status == 200 && body.starts_with(b"{\"data\""), "{}", String::from_utf8_lossy(&body));
        took.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    took.sort();
    took
}

/// Peak memory since the last reset.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

fn reset_peak() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
    peak_kib()
}
