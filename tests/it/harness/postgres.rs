//! A PostgreSQL server of the tests' own, started from the installed binaries when first asked for.
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Database};

use super::Db;

pub struct Server {
    port: u16,
    /// Its input's end is the server's: that comes when this process is gone, however it ends.
    _watch: Child,
    _folder: tempfile::TempDir,
}

/// The server, or why there is none: an error where `ACERVO_TEST_POSTGRES=required`, else a line.
pub fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(start).as_ref()
}

/// A new database's address; `None` where the test is to use SQLite.
pub fn database(db: Db) -> Option<String> {
    if db == Db::Sqlite {
        return None;
    }
    let server = server().expect("a PostgreSQL server");
    let name = format!("t{}", uuid::Uuid::now_v7().simple());
    let address = |database: &str| format!("postgres://postgres@127.0.0.1:{}/{database}", server.port);
    let create = format!("CREATE DATABASE {name}");
    let admin = address("postgres");
    // A runtime of its own: the connection must not outlive the caller's.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let connection = Database::connect(admin).await.expect("the server's own database");
            connection.execute_unprepared(&create).await.expect("a new database");
            connection.close().await.expect("a closed connection");
        });
    })
    .join()
    .expect("a new database");
    Some(address(&name))
}

fn start() -> Option<Server> {
    let required = std::env::var("ACERVO_TEST_POSTGRES").is_ok_and(|value| value == "required");
    let Some(bin) = binaries() else {
        assert!(!required, "PostgreSQL is required and not installed");
        eprintln!("skipped on PostgreSQL: it is not installed");
        return None;
    };
    let folder = tempfile::Builder::new().prefix("acervo-pg-").tempdir().expect("a folder");
    let data = folder.path().join("data");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let root = rustix::process::geteuid().is_root();
    if root {
        // PostgreSQL does not run as root.
        run(Command::new("chown").arg("postgres").arg(folder.path()));
    }
    let as_postgres = |line: String| {
        let mut command = Command::new(if root { "runuser" } else { "sh" });
        if root {
            command.args(["-u", "postgres", "--", "sh", "-c", &line])
        } else {
            command.args(["-c", &line])
        };
        command.current_dir(folder.path());
        command
    };
    let initdb = bin.join("initdb").display().to_string();
    run(as_postgres(format!("{initdb} -D {} -U postgres -A trust -N --no-instructions >/dev/null", data.display()))
        .stdout(Stdio::null()));
    let postgres = bin.join("postgres").display().to_string();
    let line = format!(
        "{postgres} -D {} -p {port} -k {} -c listen_addresses=127.0.0.1 -c max_connections=300 -c fsync=off >log 2>&1 & cat; kill -INT $!; wait",
        data.display(),
        folder.path().display()
    );
    let watch = as_postgres(line).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a server");
    let began = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "PostgreSQL does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(Server { port, _watch: watch, _folder: folder })
}

fn run(command: &mut Command) {
    let status = command.status().expect("a command that starts");
    assert!(status.success(), "{command:?}: {status}");
}

fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|version| version.path().join("bin")).filter(|bin| has_server(bin)).collect();
    found.sort();
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    found.pop().or_else(|| on_path.into_iter().find(|bin| has_server(bin)))
}

fn has_server(bin: &Path) -> bool {
    bin.join("initdb").exists() && bin.join("postgres").exists()
}
