//! One service and one portal for each test, and words to speak to them.
pub mod burst;
pub mod cluster;
pub mod disk;
pub mod hostile;
pub mod links;
pub mod notice;
pub mod packing;
pub mod ports;
pub mod postgres;
pub mod power;
pub mod process;
pub mod raw;
pub mod samples;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use acervo::app::{App, Role};
use acervo::config::{self, Overrides, Settings};
use acervo::domain::Clock;
use acervo::http;
use acervo::jobs::Jobs;
use acervo::portal::{Credentials, Portal, PortalSettings, Webhook};
use rand::SeedableRng;
use rand::rngs::StdRng;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The credentials of the tests.
pub const TOKEN: &str = "ninguemsabe";
pub const KEY: &str = "chave";

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Db {
    Sqlite,
    Postgres,
}

/// Makes two tests of a function that takes a database: `function::sqlite` and `function::postgres`. They run on one
/// thread, or on as many as are named: `on_each_database!(function, 2 threads)`.
macro_rules! on_each_database {
    ($function:ident) => {
        $crate::harness::on_each_database!($function, flavor = "current_thread");
    };
    ($function:ident, $count:tt threads) => {
        $crate::harness::on_each_database!($function, flavor = "multi_thread", worker_threads = $count);
    };
    ($function:ident, $($runtime:tt)*) => {
        mod $function {
            #[tokio::test($($runtime)*)]
            async fn sqlite() {
                super::$function($crate::harness::Db::Sqlite).await;
            }

            #[tokio::test($($runtime)*)]
            #[ignore = "needs PostgreSQL"]
            async fn postgres() {
                super::$function($crate::harness::Db::Postgres).await;
            }
        }
    };
}
pub(crate) use on_each_database;

impl Db {
    /// SQLite, and PostgreSQL where it is required. A test that may run on either is one of [`on_each_database`].
    #[allow(dead_code, reason = "for a test that looks at both")]
    pub fn all() -> Vec<Self> {
        match std::env::var_os("ACERVO_TEST_POSTGRES") {
            Some(_) => vec![Self::Sqlite, Self::Postgres],
            None => vec![Self::Sqlite],
        }
    }
}

/// A service in this process, with a portal beside it.
pub struct TestApp {
    pub app: App,
    pub portal: Portal,
    pub url: String,
    pub client: reqwest::Client,
    pub folder: Arc<TempDir>,
    jobs: Option<Jobs>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

/// How a test wants its service.
#[derive(Default)]
pub struct Options {
    pub values: Vec<(&'static str, String)>,
    pub database_url: Option<String>,
    pub folder: Option<Arc<TempDir>>,
    /// A configuration file under the tests' own values.
    pub config: Option<std::path::PathBuf>,
    /// The clock that it goes by.
    pub clock: Clock,
    /// Leaves the queue and the index alone.
    pub without_jobs: bool,
}

pub fn settings(folder: &Path, options: &Options) -> Settings {
    let mut values: Vec<(String, String)> = [
        ("listen", "127.0.0.1:0"),
        ("receiver.token", TOKEN),
        ("api.token", KEY),
        ("fetch.allowed_hosts", "127.0.0.1"),
        ("fetch.allow_private", "true"),
        ("fetch.retry_first", "50ms"),
        ("fetch.retry_max", "200ms"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    values.push(("data_dir".to_owned(), folder.display().to_string()));
    values.extend(options.database_url.clone().map(|url| ("database_url".to_owned(), url)));
    values.extend(options.values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    config::load(&Overrides { config: options.config.clone(), values }, &|_| None).expect("sound settings")
}

impl TestApp {
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn on(db: Db) -> Self {
        Self::with(Options { database_url: postgres::database(db), ..Options::default() }).await
    }

    pub async fn with(options: Options) -> Self {
        // The process has one recorder, which the first service installs.
        let _ = http::install_metrics();
        let folder = options.folder.clone().unwrap_or_else(|| Arc::new(tempfile::tempdir().expect("a folder")));
        let settings = settings(&folder.path().join("data"), &options);
        let app = App::open(settings, Role::Server, options.clock.clone()).await.expect("an archive");
        let jobs = match options.without_jobs {
            true => None,
            false => Some(Jobs::start(&app).await.expect("jobs")),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let served = app.clone();
        let server = tokio::spawn(async move { http::serve(listener, &served, async { drop(stopped.await) }).await });
        let portal = portal(&format!("{url}/webhook"), app.clock.clone()).await;
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { app, portal, url, client, folder, jobs, server, stop: Some(stop) }
    }

    /// Ends the service; its folder stays as long as somebody holds it.
    pub async fn stop(mut self) -> Arc<TempDir> {
        let _ = self.stop.take().expect("a running server").send(());
        (&mut self.server).await.expect("a server that did not panic").expect("a server that ended well");
        if let Some(jobs) = self.jobs.take() {
            jobs.stop().await;
        }
        self.folder.clone()
    }

    /// Sends a body as the portal would.
    pub async fn notify(&self, body: &str) -> (u16, Value) {
        self.send(body.as_bytes().to_vec(), "application/json; charset=UTF-8").await
    }

    pub async fn send(&self, body: Vec<u8>, content_type: &str) -> (u16, Value) {
        let request = self.client.post(format!("{}/webhook", self.url)).header("authorization", TOKEN);
        let answer = request.header("content-type", content_type).body(body).send().await.expect("a response");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = self.client.get(format!("{}{path}", self.url)).bearer_auth(KEY);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("a response")
    }

    /// A question's whole answer, errors and all.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let request = self.client.post(format!("{}/graphql", self.url)).bearer_auth(KEY).json(&body);
        request.send().await.expect("a response").json().await.expect("JSON")
    }

    /// The data of a question that must be answered.
    pub async fn query(&self, query: &str) -> Value {
        self.query_with(query, json!({})).await
    }

    pub async fn query_with(&self, query: &str, variables: Value) -> Value {
        let answer = self.ask(query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].clone()
    }

    /// Waits until `total` notifications are there, none is open and the index is up.
    pub async fn settled(&self, total: u64) {
        let query = "{ all: notifications(first: 1) { totalCount }
            open: notifications(first: 1, filter: { status: [QUEUED, FETCHING, RETRYING] }) { totalCount } }";
        self.until(query, |data| data["all"]["totalCount"].as_u64() >= Some(total) && data["open"]["totalCount"] == 0)
            .await;
        // Asked afterwards: the fields of one question are answered side by side, not at one instant.
        self.until("{ status { indexLag } }", |data| data["status"]["indexLag"] == 0).await;
    }

    /// Asks until the answer is as it should be.
    pub async fn until(&self, query: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let data = self.query(query).await;
            if holds(&data) {
                return data;
            }
            assert!(began.elapsed() < PATIENCE, "not in time: {query}: {data}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends one product's last version and waits until it is settled; gives the notification's end.
    pub async fn archive(&self, number: u32) -> Value {
        let delivery = self.portal.enviar(number).await.expect("a product of that number");
        assert_eq!(delivery.status, Some(202));
        self.settled(1).await;
        let query = "{ notifications(first: 1) { nodes {
            id status error attempts revision { id number sha256 warnings } publication { id } } } }";
        let data = self.query(query).await;
        data["notifications"]["nodes"][0].clone()
    }
}

/// Looks again and again until something is there.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Random numbers of the seed that `ACERVO_TEST_SEED` has, else of one that is drawn. It is printed, and so shown where
/// the test fails.
pub fn random() -> StdRng {
    let given = std::env::var("ACERVO_TEST_SEED").ok();
    let seed = given.map_or_else(rand::random, |seed| seed.parse().expect("ACERVO_TEST_SEED is a number"));
    eprintln!("ACERVO_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

pub async fn portal(webhook: &str, clock: Clock) -> Portal {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let settings = PortalSettings {
        webhook: Webhook { url: webhook.to_owned(), credentials: Credentials::Token(SecretString::from(TOKEN)) },
        link_life: acervo::portal::LINK_LIFE,
        subscriber: samples::EMAIL.to_owned(),
        clock,
    };
    Portal::start(listener, settings, Vec::new()).expect("a portal")
}

/// Bytes of all files below a folder. A file that a service deletes meanwhile counts as gone.
pub fn bytes_in(folder: &Path) -> u64 {
    files_in(folder).iter().filter_map(|path| unless_gone(path.metadata())).map(|metadata| metadata.len()).sum()
}

/// All files below a folder, sorted. A folder that a service deletes meanwhile counts as empty.
pub fn files_in(folder: &Path) -> Vec<std::path::PathBuf> {
    assert!(folder.is_dir(), "{} is not a folder", folder.display());
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in unless_gone(std::fs::read_dir(folder)).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

/// The files below a folder that hold these bytes. A file that a service deletes meanwhile counts as gone.
pub fn holding(folder: &Path, bytes: &[u8]) -> Vec<std::path::PathBuf> {
    let holds = |path: &std::path::PathBuf| {
        unless_gone(std::fs::read(path)).is_some_and(|content| memchr::memmem::find(&content, bytes).is_some())
    };
    files_in(folder).into_iter().filter(holds).collect()
}

fn unless_gone<T>(result: std::io::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => panic!("{e}"),
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    acervo::domain::Digest::of(bytes).to_string()
}
