//! What the ingest benchmark compares: Acervo in several situations, and its peers. Each measurement starts a server on an
//! empty store (or a copy of a prepared one), loads it from another process, kills it, and checks that what it answered 202
//! is in its store.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};

use super::cluster;
use super::common::Connection;
use super::idle;
use super::load::{Load, Order, load};
use super::node;
use super::notices::Kind;
use super::past;
use super::process::Process;
use super::servers;
use super::stop::stop;
use super::usage::{self, Usage};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Acervo,
    AcervoOnPostgres,
    /// With a copy of the prepared archive.
    AcervoWithPast,
    Fastify,
    Nest,
    Null,
}

/// Where the links of the notifications lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// To a port without a server: the host is paused after a few attempts, and hardly anything is fetched.
    Refused,
    /// To a host that is not allowed: each fetch fails without a connection.
    Denied,
    /// To a small file: files are fetched and archived meanwhile.
    Served,
}

impl Links {
    pub fn of(name: &str) -> Self {
        match name {
            "refused" => Self::Refused,
            "denied" => Self::Denied,
            "served" => Self::Served,
            other => panic!("LINKS={other} is not known; expected refused, denied or served"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub name: &'static str,
    pub server: Server,
    pub kind: Kind,
    pub links: Links,
}

/// How a subject is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub connections: usize,
    pub warm_up: f64,
    pub seconds: f64,
}

/// A measurement.
#[derive(Clone, Debug)]
pub struct Figures {
    pub load: Load,
    /// Microseconds of the server's CPU time and bytes that it wrote per notification, without those of a database server.
    pub cpu: f64,
    pub written: f64,
    /// Processors that were busy with something other than the server and the client: a database server, or other work.
    pub elsewhere: f64,
    /// Notifications per second that were resolved by the time of the kill. Only for Acervo.
    pub resolved: Option<f64>,
}

/// What the subjects need: installed peers, a PostgreSQL server, an archive with a past. What cannot be had is not measured.
pub struct Stand {
    folder: tempfile::TempDir,
    fastify: Option<PathBuf>,
    nest: Option<PathBuf>,
    postgres: Option<cluster::Server>,
    files: Process,
    past: u64,
}

impl Stand {
    pub async fn new(peers: bool, past: u64) -> Self {
        let folder = tempfile::Builder::new().prefix("acervo-bench-").tempdir().expect("a folder");
        let fastify = || {
            let packages = ["fastify@5", "better-sqlite3@12"];
            node::install("fastify-better-sqlite3", "fastify-better-sqlite3.mjs", &packages)
        };
        let stand = Self {
            fastify: peers.then(fastify).flatten(),
            nest: peers.then(nest).flatten(),
            postgres: (peers && cluster::Server::is_installed()).then(|| cluster::Server::start(true)),
            files: servers::start(servers::FILES),
            past,
            folder,
        };
        if past > 0 {
            let data = stand.past_folder();
            past::create(&data, past).await;
            let acervo = Process::acervo(&data, SETTINGS).await;
            idle::wait_until_idle(&mut Connection::open(&acervo.address).await).await;
            stop(acervo);
        }
        stand
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn past_folder(&self) -> PathBuf {
        self.folder().join("past")
    }

    /// `None` where the subject cannot be had.
    pub async fn measure(&self, subject: Subject, span: Span) -> Option<Figures> {
        let folder = tempfile::tempdir_in(self.folder()).expect("a folder");
        let (process, store) = self.start(subject.server, folder.path()).await?;
        let links = match subject.links {
            Links::Refused => "http://127.0.0.1:9".to_owned(),
            Links::Denied => "http://files.example.com".to_owned(),
            Links::Served => format!("http://{}", self.files.address),
        };
        let Span { connections, warm_up, seconds } = span;
        let address = process.address.clone();
        let (before, machine, began) = (Usage::of(process.child.id()), usage::machine(), Instant::now());
        let load = load(&Order { address, links, kind: subject.kind, connections, warm_up, seconds });
        let after = Usage::of(process.child.id());
        let elapsed = began.elapsed().as_secs_f64();
        let own = after.cpu - before.cpu + load.client_cpu * load.sent as f64 / 1e6;
        let elsewhere = ((usage::machine() - machine - own) / elapsed).max(0.0);
        drop(process);
        let past = if subject.server == Server::AcervoWithPast { self.past } else { 0 };
        let mut resolved = None;
        if let Some(store) = store {
            let store = connect(&store).await;
            let (expected, stored) = (past + load.sent, count(&store, "id IS NOT NULL").await);
            assert!(stored >= expected, "{}: {expected} were accepted, but {stored} are stored", subject.name);
            if matches!(subject.server, Server::Acervo | Server::AcervoOnPostgres | Server::AcervoWithPast) {
                resolved = Some((count(&store, "publication_id IS NOT NULL").await - past) as f64 / elapsed);
            }
            store.close().await.expect("a closed connection");
        }
        let each = |total: f64| total / load.sent as f64;
        let (cpu, written) = (each((after.cpu - before.cpu) * 1e6), each((after.written - before.written) as f64));
        Some(Figures { load, cpu, written, elsewhere, resolved })
    }

    /// A server on an empty store in this folder, and the address of its database.
    async fn start(&self, server: Server, folder: &Path) -> Option<(Process, Option<String>)> {
        let sqlite = |file: &Path| Some(format!("sqlite://{}", file.display()));
        Some(match server {
            Server::Acervo => (Process::acervo(folder, SETTINGS).await, sqlite(&folder.join("acervo.db"))),
            Server::AcervoWithPast => {
                (self.past > 0).then_some(())?;
                copy(&self.past_folder(), folder);
                (Process::acervo(folder, SETTINGS).await, sqlite(&folder.join("acervo.db")))
            }
            Server::AcervoOnPostgres => {
                let database = self.new_database().await?;
                let settings = [SETTINGS, &[("ACERVO_DATABASE_URL", database.as_str())]].concat();
                (Process::acervo(folder, &settings).await, Some(database))
            }
            Server::Fastify => {
                let file = folder.join("peer.db");
                (node::start(self.fastify.as_deref()?, "fastify-better-sqlite3.mjs", &file)?, sqlite(&file))
            }
            Server::Nest => {
                let database = self.new_database().await?;
                (node::start(self.nest.as_deref()?, "main.js", &database)?, Some(database))
            }
            Server::Null => (servers::start(servers::NULL), None),
        })
    }

    /// The address of an empty PostgreSQL database, instead of that of the last measurement.
    async fn new_database(&self) -> Option<String> {
        let server = self.postgres.as_ref()?;
        let admin = connect(&server.address("postgres")).await;
        for statement in ["DROP DATABASE IF EXISTS bench WITH (FORCE)", "CREATE DATABASE bench", "CHECKPOINT"] {
            admin.execute_unprepared(statement).await.expect("a statement");
        }
        Some(server.address("bench"))
    }
}

/// Logs nothing: some links cannot be fetched.
const SETTINGS: &[(&str, &str)] =
    &[("ACERVO_FETCH_ALLOWED_HOSTS", "127.0.0.1"), ("ACERVO_FETCH_ALLOW_PRIVATE", "true"), ("ACERVO_LOG", "off")];

/// Installs and compiles the NestJS peer.
fn nest() -> Option<PathBuf> {
    let packages = [
        "@nestjs/common@11",
        "@nestjs/core@11",
        "@nestjs/platform-express@11",
        "@nestjs/typeorm@11",
        "typeorm@0.3",
        "pg@8",
        "reflect-metadata@0.2",
        "rxjs@7",
        "typescript@5",
    ];
    let home = node::install("nest-typeorm", "nest-typeorm/main.ts", &packages)?;
    let mut compiler = Command::new(home.join("node_modules/.bin/tsc"));
    compiler.args(["--noCheck", "--experimentalDecorators", "--emitDecoratorMetadata", "--skipLibCheck"]);
    compiler.args(["--module", "commonjs", "--target", "es2022", "main.ts"]).current_dir(&home);
    compiler.status().is_ok_and(|status| status.success()).then_some(home)
}

/// Copies a folder's contents, and waits until they are on the disk.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").arg(from.join(".")).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()), "cannot copy {}", from.display());
    rustix::fs::sync();
}

/// How many notifications meet a condition.
async fn count(store: &DatabaseConnection, condition: &str) -> u64 {
    let sql = format!("SELECT count(*) FROM notifications WHERE {condition}");
    let row = store.query_one_raw(Statement::from_string(store.get_database_backend(), sql)).await;
    let count = row.expect("a count").expect("a count").try_get_by_index::<i64>(0).expect("a count");
    count.try_into().expect("a count")
}

async fn connect(address: &str) -> DatabaseConnection {
    Database::connect(address).await.expect("a database")
}
