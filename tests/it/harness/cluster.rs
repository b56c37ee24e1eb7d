//! A PostgreSQL server for the tests, from the installed binaries.
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::ports::free_port;

/// How long a server may take to answer, on a busy machine. The benches have this file without the harness around it.
const STARTED_WITHIN: Duration = Duration::from_secs(300);

/// A server with an empty cluster in a temporary folder; it ends when this is dropped or the process ends.
pub struct Server {
    port: u16,
    bin: PathBuf,
    /// Its input's end is the server's, and the folder's: that comes when this process is gone, however it ends.
    watch: Child,
    folder: tempfile::TempDir,
}

impl Server {
    pub fn is_installed() -> bool {
        binaries().is_some()
    }

    /// Starts it; a test that does so is marked as one that needs PostgreSQL. Only a durable server syncs its commits.
    pub fn start(durable: bool) -> Self {
        Self::start_with(durable, |_| String::new())
    }

    /// The same with options, which may name files that `prepare` makes in the server's folder.
    pub fn start_with(durable: bool, prepare: impl Fn(&Path) -> String) -> Self {
        assert!(Self::is_installed(), "PostgreSQL is not installed: install it, or leave out `--include-ignored`");
        let bin = binaries().expect("a folder of binaries");
        let folder = tempfile::Builder::new().prefix("acervo-pg-").tempdir().expect("a folder");
        let data = folder.path().join("data");
        let port = free_port();
        let more = prepare(folder.path());
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").args(["-R", "postgres"]).arg(folder.path()));
        }
        let as_postgres = |line: String| as_postgres(folder.path(), &line);
        let initdb = bin.join("initdb").display().to_string();
        run(as_postgres(format!(
            "{initdb} -D {} -U postgres -A trust -N --no-instructions >/dev/null",
            data.display()
        ))
        .stdout(Stdio::null()));
        let [postgres, pg_ctl] = ["postgres", "pg_ctl"].map(|program| bin.join(program).display().to_string());
        let (data, folder_path) = (data.display(), folder.path().display());
        let fsync = if durable { "on" } else { "off" };
        let options = format!("-c listen_addresses=127.0.0.1 -c max_connections=300 -c fsync={fsync}{more}");
        let line = format!(
            "{postgres} -D {data} -p {port} -k {folder_path} {options} >log 2>&1 & \
            cat; {pg_ctl} -D {data} -m fast stop >/dev/null 2>&1; cd / && rm -rf {folder_path}"
        );
        let watch = as_postgres(line).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a server");
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < STARTED_WITHIN, "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { port, bin, watch, folder }
    }

    /// Its folder, with the cluster in `data`.
    #[allow(dead_code, reason = "for the tests of replicas")]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it as a crash would, and starts it again at the same address.
    #[allow(dead_code, reason = "for the tests of replicas")]
    pub fn crash_and_restart(&self) {
        let (pg_ctl, data) = (self.bin.join("pg_ctl"), self.folder.path().join("data"));
        let line = format!("{} -D {} -m immediate -w -l log restart >/dev/null", pg_ctl.display(), data.display());
        run(as_postgres(self.folder.path(), &line).stdin(Stdio::null()));
    }

    /// A database's address.
    pub fn address(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Server {
    /// Waits until it has ended: without its folder, which goes next, it would run on for up to a minute.
    fn drop(&mut self) {
        let _ = self.watch.wait();
    }
}

/// A line for the shell as a user whom PostgreSQL does not refuse: it does not run as root.
fn as_postgres(folder: &Path, line: &str) -> Command {
    let root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if root { "runuser" } else { "sh" });
    if root {
        command.args(["-u", "postgres", "--", "sh", "-c", line])
    } else {
        command.args(["-c", line])
    };
    command.current_dir(folder);
    command
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
