//! Latency of notifications and files in an archive with many recorded notifications, compared with an empty archive. The
//! same binary serves each archive in a separate process; they are measured alternately. `NOTIFICATIONS` sets the number.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends if it cannot continue"
)]
mod common;
#[path = "common/idle.rs"]
mod idle;
#[path = "common/notices.rs"]
mod notices;
#[path = "common/past.rs"]
mod past;
#[path = "common/process.rs"]
mod process;
#[path = "common/serve.rs"]
mod serve;
#[path = "common/stop.rs"]
mod stop;

use std::time::{Duration, Instant};

use axum::extract::RawQuery;
use common::{Connection, milliseconds, percentile};
use notices::{Kind, Template};
use process::Process;

/// The default number of recorded notifications.
const SOME: u64 = 20_000;

const ROUNDS: usize = 5;

/// Notifications per round that are sent one after the other.
const POSTS: usize = 1_000;

/// Files per round that are announced together and waited for.
const FILES: usize = 40;

fn main() {
    common::run(run());
}

/// An archive being measured.
struct Archive {
    process: Process,
    connection: Connection,
    template: Template,
    sent: u64,
    posts: Vec<Duration>,
    settlements: Vec<Duration>,
    _folder: tempfile::TempDir,
}

async fn run() {
    let count = std::env::var("NOTIFICATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(SOME);
    let files = serve::serve(axum::Router::new().fallback(file)).await;
    let mut empty = Archive::start(0, &files).await;
    let mut full = Archive::start(count, &files).await;
    for _ in 0..ROUNDS {
        for archive in [&mut empty, &mut full] {
            archive.post().await;
            archive.settle().await;
        }
    }
    let (empty, full) = (empty.end(), full.end());
    println!("{count} recorded notifications against none, {ROUNDS} rounds of {POSTS} POSTs and {FILES} files");
    for (name, empty, full) in [
        ("POST, p50", percentile(&empty.0, 0.5), percentile(&full.0, 0.5)),
        ("POST, p99", percentile(&empty.0, 0.99), percentile(&full.0, 0.99)),
        ("40 files, median", percentile(&empty.1, 0.5), percentile(&full.1, 0.5)),
    ] {
        let (empty, full) = (milliseconds(empty), milliseconds(full));
        println!("  {name:<18} {full:>9.2} ms, empty {empty:>9.2} ms, ratio {:.2}", full / empty);
    }
}

/// A file for each link, derived from its token.
async fn file(RawQuery(query): RawQuery) -> String {
    query.unwrap_or_default().repeat(20)
}

impl Archive {
    async fn start(notifications: u64, files: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("acervo-bench-").tempdir().expect("a folder");
        let data = folder.path().join("data");
        past::create(&data, notifications).await;
        let settings = [
            ("ACERVO_FETCH_ALLOWED_HOSTS", "127.0.0.1"),
            ("ACERVO_FETCH_ALLOW_PRIVATE", "true"),
            ("ACERVO_LOG", "warn"),
        ];
        let process = Process::acervo(&data, &settings).await;
        let connection = Connection::open(&process.address).await;
        let template = Template::new(Kind::NewPublications, &format!("http://{files}"));
        let (posts, settlements) = (Vec::new(), Vec::new());
        let mut archive = Self { process, connection, template, sent: 0, posts, settlements, _folder: folder };
        idle::wait_until_idle(&mut archive.connection).await;
        archive
    }

    async fn send(&mut self) -> Duration {
        self.sent += 1;
        let request = self.template.render(self.sent);
        let began = Instant::now();
        let (status, body) = self.connection.send(request).await;
        assert_eq!(status, 202, "{}", String::from_utf8_lossy(&body));
        began.elapsed()
    }

    /// The latency of each POST while earlier files are fetched.
    async fn post(&mut self) {
        // The service has closed the last one if the other archive took longer than an idle connection may last.
        self.connection = Connection::open(&self.process.address).await;
        for _ in 0..POSTS {
            let took = self.send().await;
            self.posts.push(took);
        }
        idle::wait_until_idle(&mut self.connection).await;
    }

    /// The time from the first notification to the last archived file.
    async fn settle(&mut self) {
        let began = Instant::now();
        for _ in 0..FILES {
            self.send().await;
        }
        idle::wait_until_idle(&mut self.connection).await;
        self.settlements.push(began.elapsed());
    }

    fn end(mut self) -> (Vec<Duration>, Vec<Duration>) {
        stop::stop(self.process);
        self.posts.sort();
        self.settlements.sort();
        (self.posts, self.settlements)
    }
}
