//! One service and one portal for each test, and clients of them.
pub mod api;
pub mod browser;
pub mod burst;
pub mod cluster;
pub mod database;
pub mod disk;
pub mod endpoint;
pub mod hostile;
pub mod links;
pub mod memory;
pub mod notice;
pub mod packing;
pub mod polling;
pub mod ports;
pub mod postgres;
pub mod power;
pub mod process;
pub mod raw;
pub mod s3;
pub mod samples;
pub mod socket;
mod unsettled;
pub mod visitor;

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use acervo::app::{App, Role};
use acervo::config::{self, Overrides, Settings};
use acervo::domain::Clock;
use acervo::http;
use acervo::jobs::Jobs;
use acervo::portal::{Credentials, Portal, PortalSettings, Webhook};
use proptest::test_runner::{Config, RngSeed};
use rand::SeedableRng;
use rand::rngs::StdRng;
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub use api::Api;
pub use polling::{PATIENCE, until};

/// The credentials of the tests.
pub const TOKEN: &str = "ninguemsabe";
pub const KEY: &str = "chave";

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
    #[allow(dead_code, reason = "for a test that uses both")]
    pub fn all() -> Vec<Self> {
        match std::env::var_os("ACERVO_TEST_POSTGRES") {
            Some(_) => vec![Self::Sqlite, Self::Postgres],
            None => vec![Self::Sqlite],
        }
    }
}

/// A service in this process, with a portal and a client of it.
///
/// Dropping it fails where a service with jobs has work left: notifications that are queued, leased or to be tried again, and
/// changes that the index does not have. A test therefore waits until its work is settled, or says that it does not with
/// [`TestApp::leaves_work_unsettled`], so that no result depends on whether the jobs were faster than the end of the test.
/// The drop reads the database and the index as they are and waits for nothing. It checks nothing where the test has failed
/// already, and nothing of processes ([`process::Served`]), which are killed.
pub struct TestApp {
    pub app: App,
    pub portal: Portal,
    pub folder: Arc<TempDir>,
    api: Api,
    leaves_work: AtomicBool,
    jobs: Option<Jobs>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

/// How the service of a test is configured.
#[derive(Default)]
pub struct Options {
    pub values: Vec<(&'static str, String)>,
    pub database_url: Option<String>,
    pub folder: Option<Arc<TempDir>>,
    /// A configuration file under the tests' own values.
    pub config: Option<std::path::PathBuf>,
    /// The clock of the service.
    pub clock: Clock,
    /// Runs no jobs: nothing is fetched or indexed.
    pub without_jobs: bool,
    /// Variables of the service's environment.
    pub environment: Vec<(&'static str, String)>,
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
    let variable = |name: &str| {
        let found = options.environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    };
    let overrides = Overrides { config: options.config.clone(), values };
    let mut settings = config::load(&overrides, &variable).expect("valid settings");
    // This process is another program.
    settings.content.program = Some(env!("CARGO_BIN_EXE_acervo").into());
    settings
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
        let leaves_work = AtomicBool::new(options.without_jobs);
        Self { app, portal, folder, api: Api::new(url), leaves_work, jobs, server, stop: Some(stop) }
    }

    /// Says that the test ends, or stops the service, in the middle of its work, and why.
    pub fn leaves_work_unsettled(&self, _why: &str) {
        self.leaves_work.store(true, Ordering::Relaxed);
    }

    /// Ends the service; its folder exists as long as the returned value.
    pub async fn stop(mut self) -> Arc<TempDir> {
        let _ = self.stop.take().expect("a running server").send(());
        (&mut self.server).await.expect("a server that did not panic").expect("a server that ended well");
        if let Some(jobs) = self.jobs.take() {
            jobs.stop().await;
        }
        self.app.close().await.expect("a closed database");
        self.folder.clone()
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

impl Deref for TestApp {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if std::thread::panicking() || *self.leaves_work.get_mut() {
            return;
        }
        let left = unsettled::work(&self.app);
        assert!(left.is_empty(), "the test leaves work unsettled: {}", left.join(", "));
    }
}

/// Random numbers of the seed that `ACERVO_TEST_SEED` has, else of one that is drawn. It is printed, and so seen where
/// the test fails.
pub fn random() -> StdRng {
    StdRng::seed_from_u64(seed())
}

/// A property test of so many cases, drawn from the same seed.
pub fn cases(cases: u32) -> Config {
    let rng_seed = RngSeed::Fixed(seed());
    Config { cases, rng_seed, max_shrink_iters: 200, failure_persistence: None, ..Config::default() }
}

fn seed() -> u64 {
    let given = std::env::var("ACERVO_TEST_SEED").ok();
    let seed = given.map_or_else(rand::random, |seed| seed.parse().expect("ACERVO_TEST_SEED is a number"));
    eprintln!("ACERVO_TEST_SEED={seed}");
    seed
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

/// Bytes of all files below a folder. A file that a service deletes in the meantime counts as absent.
pub fn bytes_in(folder: &Path) -> u64 {
    files_in(folder).iter().filter_map(|path| unless_gone(path.metadata())).map(|metadata| metadata.len()).sum()
}

/// All files below a folder, sorted. A folder that a service deletes in the meantime counts as empty.
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

/// The files below a folder that contain these bytes. A file that a service deletes in the meantime counts as absent.
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
