//! Latency of notifications and files in an archive with many recorded notifications, compared with an empty archive. The
//! same binary serves each archive in a separate process; they are measured alternately. `NOTIFICATIONS` sets the number.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends if it cannot continue"
)]
mod common;
#[path = "common/serve.rs"]
mod serve;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::extract::RawQuery;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Connection, milliseconds, percentile};
use sea_orm::{ConnectionTrait, Database, TransactionTrait};
use serde_json::{Value, json};

/// The default number of recorded notifications.
const SOME: u64 = 20_000;

/// Notifications written per transaction.
const CHUNK: u64 = 100_000;

/// The maximum number of publications.
const PUBLICATIONS_MAX: u64 = 250_000;

const ROUNDS: usize = 5;

/// Notifications per round that are sent one after the other.
const POSTS: usize = 1_000;

/// Files per round that are announced together and waited for.
const FILES: usize = 40;

/// The timeout of a round.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    common::run(run());
}

/// An archive being measured.
struct Archive {
    child: Child,
    address: String,
    connection: Connection,
    sent: usize,
    posts: Vec<Duration>,
    settlements: Vec<Duration>,
    _folder: tempfile::TempDir,
}

async fn run() {
    let count = std::env::var("NOTIFICATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(SOME);
    let files = serve::serve(axum::Router::new().fallback(file)).await;
    let mut empty = Archive::start(0).await;
    let mut full = Archive::start(count).await;
    for _ in 0..ROUNDS {
        for archive in [&mut empty, &mut full] {
            archive.post(&files).await;
            archive.settle(&files).await;
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
    async fn start(notifications: u64) -> Self {
        let folder = tempfile::Builder::new().prefix("acervo-bench-").tempdir().expect("a folder");
        // The first start creates the tables.
        stop(&mut serve_from(folder.path()).await.0);
        if notifications > 0 {
            let began = Instant::now();
            fill(&folder.path().join("data/acervo.db"), notifications).await;
            println!("{notifications} notifications written in {:.0} s", began.elapsed().as_secs_f64());
        }
        let (child, address) = serve_from(folder.path()).await;
        let connection = Connection::open(&address).await;
        let (posts, settlements) = (Vec::new(), Vec::new());
        let mut archive = Self { child, address, connection, sent: 0, posts, settlements, _folder: folder };
        archive.wait_until_idle().await;
        archive
    }

    async fn send(&mut self, files: &str) -> Duration {
        self.sent += 1;
        let request = notification(files, self.sent);
        let began = Instant::now();
        let (status, body) = self.connection.send(&request).await;
        assert_eq!(status, 202, "{}", String::from_utf8_lossy(&body));
        began.elapsed()
    }

    /// The latency of each POST while earlier files are fetched.
    async fn post(&mut self, files: &str) {
        // The service has closed the last one if the other archive took longer than an idle connection may last.
        self.connection = Connection::open(&self.address).await;
        for _ in 0..POSTS {
            let took = self.send(files).await;
            self.posts.push(took);
        }
        self.wait_until_idle().await;
    }

    /// The time from the first notification to the last archived file.
    async fn settle(&mut self, files: &str) {
        let began = Instant::now();
        for _ in 0..FILES {
            self.send(files).await;
        }
        self.wait_until_idle().await;
        self.settlements.push(began.elapsed());
    }

    async fn wait_until_idle(&mut self) {
        let began = Instant::now();
        loop {
            let status = self.status().await;
            let number = |key: &str| status[key].as_u64().expect("a number");
            assert!(began.elapsed() < PATIENCE, "work hangs: {status}");
            if number("queued") + number("fetching") + number("retrying") + number("indexLag") == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn status(&mut self) -> Value {
        let query = json!({ "query": "{ status { queued fetching retrying indexLag } }" }).to_string();
        let request = common::post("/graphql", &query);
        let (_, body) = self.connection.send(&request).await;
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        answer["data"]["status"].clone()
    }

    fn end(mut self) -> (Vec<Duration>, Vec<Duration>) {
        stop(&mut self.child);
        self.posts.sort();
        self.settlements.sort();
        (std::mem::take(&mut self.posts), std::mem::take(&mut self.settlements))
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn serve_from(folder: &Path) -> (Child, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let address = format!("127.0.0.1:{port}");
    let child = Command::new(env!("CARGO_BIN_EXE_acervo"))
        .arg("serve")
        .current_dir(folder)
        .env("ACERVO_DATA_DIR", folder.join("data"))
        .env("ACERVO_LISTEN", &address)
        .env("ACERVO_FETCH_ALLOWED_HOSTS", "127.0.0.1")
        .env("ACERVO_FETCH_ALLOW_PRIVATE", "true")
        .env("ACERVO_LOG", "warn")
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary");
    while !is_ready(&address).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (child, address)
}

async fn is_ready(address: &str) -> bool {
    if tokio::net::TcpStream::connect(address).await.is_err() {
        return false;
    }
    let mut connection = Connection::open(address).await;
    connection.send(b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.0 == 200
}

fn stop(child: &mut Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a process");
    child.wait().expect("its end");
}

/// A realistic body with its own publication and file.
fn notification(files: &str, n: usize) -> Vec<u8> {
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let now = jiff::Timestamp::now().as_second();
    let (product, day) =
        (n % 200, jiff::civil::date(2025, 1, 1).saturating_add(jiff::Span::new().days((n / 200) as i64)));
    let name = format!("Arquivos dos modelos de previsão de vazões diárias - PDP {product}");
    let claims = json!({
        "URL": format!("https://sintegre.ons.org.br/sites/9/13/82/Produtos/{product}/arquivo_{n}.txt"),
        "username": "usuario@example.com.br", "nomeProduto": name, "IsFile": "True",
        "iss": "http://local.ons.org.br", "aud": "http://local.ons.org.br", "exp": now + 86_640, "nbf": now
    });
    let token = format!(
        "{}.{}.{}",
        encode(r#"{"typ":"JWT","alg":"HS256"}"#.into()),
        encode(claims.to_string()),
        encode("assinatura".into())
    );
    let body = json!({
        "nome": name, "processo": "Previsão de Vazões Diárias - PDP", "dataProduto": day.strftime("%d/%m/%Y").to_string(),
        "macroProcesso": "Programação da Operação", "periodicidade": format!("{day}T00:00:00"),
        "periodicidadeFinal": format!("{day}T23:59:59"),
        "url": format!("http://{files}/ONS.Sintegre.Proxy/webhook?token={token}")
    });
    common::post("/webhook", &body.to_string())
}

/// Years of settled notifications, most of them UNCHANGED, with bodies and without links.
async fn fill(database: &Path, notifications: u64) {
    let connection = Database::connect(format!("sqlite://{}", database.display())).await.expect("the database");
    connection.execute_unprepared("PRAGMA synchronous = OFF").await.expect("a setting");
    let publications = (notifications / 4).clamp(1, PUBLICATIONS_MAX);
    let body = format!("{{\"nome\": \"Produto\", \"texto\": \"{}\"}}", "x".repeat(700));
    let now = jiff::Timestamp::now().as_millisecond();
    let span = 3 * 365 * 86_400_000i64;
    let of = |kind: u8, n: &str| format!("unhex(printf('0{kind}%030x', {n}))");
    let product = of(1, "n % 280");
    let series = |from: u64, to: u64| {
        format!("WITH RECURSIVE s(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {to})")
    };
    let mut statements = vec![format!(
        "INSERT INTO products (id, identity, name, process, macro_process, publication_count, revision_count, size, stored_size)
         {} SELECT {}, 'name:antigo ' || n, 'Antigo ' || n, 'Processo', 'Macroprocesso', 0, 0, 0, 0 FROM s",
        series(0, 280),
        of(1, "n")
    )];
    for from in (0..publications).step_by(CHUNK as usize) {
        let series = series(from, (from + CHUNK).min(publications));
        statements.push(format!(
            "INSERT INTO publications (id, product_id, process, macro_process, reference_date, period_start, period_end, granularity, status, announced_at, received_at, latest_revision_id, revision_count)
             {series} SELECT {}, {product}, 'Processo', 'Macroprocesso', n, '2024-01-01T00:00:00', '2024-01-01T23:59:59', 'DAY', 'ARCHIVED', {now}, {now}, {}, 1 FROM s",
            of(2, "n"),
            of(3, "n")
        ));
        statements.push(format!(
            "INSERT INTO revisions (id, publication_id, number, notification_id, digest, file_name, announced_at, announced_by, received_at, archived_at, held, warnings)
             {series} SELECT {}, {}, 1, {n}, randomblob(32), 'a.txt', {now}, {n}, {now}, {now}, 0, '[]' FROM s",
            of(3, "n"),
            of(2, "n"),
            n = of(4, "n")
        ));
    }
    statements.push("INSERT INTO files (digest, size, stored_size, encoding, stored_at) SELECT digest, 1000, 600, 'zstd', archived_at FROM revisions".to_owned());
    for from in (0..notifications).step_by(CHUNK as usize) {
        let received = format!("{} + n * {span} / {notifications}", now - span - 86_400_000);
        statements.push(format!(
            "INSERT INTO notifications (id, source, received_at, status, attempts, file_key, list_path, is_file, link_expires_at, announced_at, priority, name, name_folded, process, macro_process, reference_date, period_start, period_end, body, body_digest, product_id, publication_id, revision_id, host)
             {} SELECT {}, 'default', {received}, CASE WHEN n % 20 = 0 THEN 'FAILED' WHEN n % 10 = 1 THEN 'EXPIRED' WHEN n % 4 = 2 THEN 'ARCHIVED' ELSE 'UNCHANGED' END, 1,
             '/sites/9/13/82/Produtos/' || n % 280 || '/arquivo_' || n, '/sites/9/13/82/Produtos', 1, {received} + 86640000, {received}, 0, 'Antigo ' || n % 280, 'antigo ' || n % 280, 'Processo', 'Macroprocesso', '01/01/2024', '2024-01-01T00:00:00', '2024-01-01T23:59:59', CAST('{body}' AS blob), randomblob(32), {product}, {}, {}, '127.0.0.1' FROM s",
            series(from, (from + CHUNK).min(notifications)),
            of(4, "n"),
            of(2, &format!("n % {publications}")),
            of(3, &format!("n % {publications}"))
        ));
    }
    for statement in statements {
        let txn = connection.begin().await.expect("a transaction");
        txn.execute_unprepared(&statement).await.unwrap_or_else(|e| panic!("{e}: {statement}"));
        txn.commit().await.expect("a commit");
    }
    connection.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.expect("a short log");
    connection.close().await.expect("a closed connection");
}
