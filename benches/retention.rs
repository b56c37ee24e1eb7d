//! Retention over a million revisions: how long a plan takes and how much memory, how long a run takes, and what readers
//! feel of it. `REVISIONS=100000` makes it shorter.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where it cannot go on"
)]
mod common;
#[path = "common/serve.rs"]
mod serve;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use acervo::app::{App, Role};
use acervo::config::{self, Overrides};
use acervo::domain::{Clock, Digest};
use acervo::jobs::{self, retention};
use common::{Connection, milliseconds, percentile};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, TransactionTrait};
use serde_json::json;
use uuid::Uuid;

const PRODUCTS: usize = 500;
const POLICY: &str =
    "[retention]\ngrace = \"0s\"\n[[retention.policy]]\nname = \"all\"\nkeep_within = \"3y\"\nkeep_last = 1\n";

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(run());
}

async fn run() {
    let revisions: usize = std::env::var("REVISIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("acervo.toml");
    std::fs::write(&file, POLICY).expect("a file");
    let values = vec![("data_dir".to_owned(), folder.path().join("data").display().to_string())];
    let settings = config::load(&Overrides { config: Some(file), values }, &|_| None).expect("sound settings");
    let app = App::open(settings, Role::Server, Clock::default()).await.expect("an archive");
    let probe = fill(&folder.path().join("data/acervo.db"), revisions).await;
    let writer = app.take_writer().expect("the writer");
    let began = Instant::now();
    app.put_back_writer(jobs::rebuild(&app, writer, &|_, _| {}).await.expect("an index"));
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
    let run = retention::run(&app, app.clock.now(), false).await.expect("a run");
    let took = began.elapsed();
    done.store(true, Ordering::SeqCst);
    let busy = reader.await.expect("a reader");
    println!("run    {:.1} s for {} revisions", took.as_secs_f64(), run.removed);
    let figures = |of: &[Duration]| (milliseconds(percentile(of, 0.5)), milliseconds(percentile(of, 0.99)));
    let ((quiet_p50, quiet_p99), (busy_p50, busy_p99)) = (figures(&quiet), figures(&busy));
    println!(
        "reads  p50 {quiet_p50:.2} ms, p99 {quiet_p99:.2} ms alone; p50 {busy_p50:.2} ms, p99 {busy_p99:.2} ms beside the run; p99 ratio {:.2}",
        busy_p99 / quiet_p99
    );
    jobs.stop().await;
}

/// An analyst's question, again and again, with a breath between.
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

/// Ten years of daily publications, three in ten revised once; gives a product's id.
async fn fill(database: &std::path::Path, revisions: usize) -> String {
    let connection: DatabaseConnection =
        Database::connect(format!("sqlite://{}", database.display())).await.expect("the database");
    let txn = connection.begin().await.expect("a transaction");
    let hex = |id: Uuid| format!("x'{}'", id.simple());
    let products: Vec<Uuid> = (0..PRODUCTS).map(|_| Uuid::now_v7()).collect();
    let rows: Vec<String> = products
        .iter()
        .enumerate()
        .map(|(i, id)| format!("({}, 'name:p{i}', 'Produto {i}', 'Processo', 'Macro', 0, 0, 0, 0)", hex(*id)))
        .collect();
    let columns =
        "products (id, identity, name, process, macro_process, publication_count, revision_count, size, stored_size)";
    txn.execute_unprepared(&format!("INSERT INTO {columns} VALUES {}", rows.join(","))).await.expect("products");
    // Ending about now, so that the policies have something to keep.
    let days = i64::try_from(revisions / (PRODUCTS * 13 / 10)).expect("a number of days");
    let first_day = acervo::domain::sao_paulo()
        .to_datetime(jiff::Timestamp::now())
        .date()
        .saturating_sub(jiff::Span::new().days(days));
    let first_at = jiff::Timestamp::now().as_millisecond() - days * 86_400_000;
    let (mut made, mut day) = (0, 0);
    while made < revisions {
        let date = first_day.saturating_add(jiff::Span::new().days(day));
        day += 1;
        let (mut publications, mut own, mut files) = (Vec::new(), Vec::new(), Vec::new());
        for (i, product) in products.iter().enumerate() {
            let id = Uuid::now_v7();
            let count = if (i + made) % 10 < 3 { 2 } else { 1 };
            let at = first_at + day * 86_400_000;
            let mut latest = Uuid::nil();
            for number in 1..=count {
                latest = Uuid::now_v7();
                let digest = Digest::of(latest.as_bytes());
                let superseded = if number < count { (at + 3_600_000).to_string() } else { "NULL".to_owned() };
                let announced = at + 3_600_000 * i64::from(number - 1);
                own.push(format!("({}, {}, {number}, {n}, x'{digest}', 'arquivo_{date}.zip', 'zip', {announced}, {n}, {announced}, {announced}, {superseded}, 0, '[]')", hex(latest), hex(id), n = hex(latest)));
                files.push(format!("(x'{digest}', 100000, 60000, 'zstd', {announced})"));
            }
            let status = "ARCHIVED";
            publications.push(format!("({}, {}, 'Processo', 'Macro', '{}', '{date}T00:00:00', '{date}T23:59:59', 'DAY', '{status}', {at}, {at}, {}, {count})", hex(id), hex(*product), date.strftime("%d/%m/%Y"), hex(latest)));
        }
        made += own.len();
        for (columns, rows) in [
            (
                "publications (id, product_id, process, macro_process, reference_date, period_start, period_end, granularity, status, announced_at, received_at, latest_revision_id, revision_count)",
                publications,
            ),
            (
                "revisions (id, publication_id, number, notification_id, digest, file_name, extension, announced_at, announced_by, received_at, archived_at, superseded_at, held, warnings)",
                own,
            ),
            ("files (digest, size, stored_size, encoding, stored_at)", files),
        ] {
            txn.execute_unprepared(&format!("INSERT INTO {columns} VALUES {}", rows.join(","))).await.expect("rows");
        }
    }
    txn.commit().await.expect("a commit");
    connection.close().await.expect("a closed connection");
    products[7].to_string()
}

/// The most memory held since the last reset.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

fn reset_peak() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
    peak_kib()
}
