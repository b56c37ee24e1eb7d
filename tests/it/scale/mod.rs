//! Several replicas of the binary on one PostgreSQL server and one bucket.
mod chaos;
mod load;
mod portal;
mod rolling;
mod stale;

use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::cluster::Server;
use crate::harness::files_in;
use crate::harness::process::{Served, acervo_from, free_port};
use crate::harness::s3::{Proxy, TestBucket};

/// The binary, or another build that `ACERVO_TEST_LOAD` names.
fn binary() -> PathBuf {
    let named = std::env::var_os("ACERVO_TEST_LOAD");
    named.map_or_else(|| env!("CARGO_BIN_EXE_acervo").into(), |path| std::path::absolute(path).expect("a path"))
}

/// A database, a bucket behind a proxy, and folders and ports for replicas.
struct Cluster {
    binary: PathBuf,
    server: Server,
    bucket: TestBucket,
    proxy: Proxy,
    replicas: Vec<Replica>,
}

/// What a replica has of its own.
struct Replica {
    folder: TempDir,
    port: u16,
}

impl Cluster {
    /// Of the requests to the bucket, one of so many fails; none where it is 0.
    async fn new(replicas: usize, faults: u32) -> Self {
        Self::with(replicas, faults, false).await
    }

    /// The same with a database that syncs its commits, or does not.
    async fn with(replicas: usize, faults: u32, durable: bool) -> Self {
        let server = tokio::task::block_in_place(|| Server::start(durable));
        let bucket = TestBucket::new();
        let proxy = Proxy::start(&bucket, faults).await;
        let bucket = bucket.behind(&proxy);
        let replica = |_| Replica { folder: tempfile::tempdir().expect("a folder"), port: free_port() };
        Self { binary: binary(), server, bucket, proxy, replicas: (0..replicas).map(replica).collect() }
    }

    fn url(&self, replica: usize) -> String {
        format!("http://127.0.0.1:{}", self.replicas[replica].port)
    }

    fn database_url(&self) -> String {
        self.server.address("postgres")
    }

    /// The binary with the settings of a replica.
    fn command(&self, replica: usize) -> Command {
        let mut command = acervo_from(&self.binary.to_string_lossy(), self.replicas[replica].folder.path());
        // A session that a paused replica left in a transaction delays the others less than it usually may.
        let url = format!("{}?options[idle_in_transaction_session_timeout]=1000", self.database_url());
        command.env("ACERVO_DATABASE_URL", url);
        command.env("ACERVO_ARCHIVE_URL", self.bucket.url()).envs(self.bucket.variables());
        command
    }

    fn log(&self, replica: usize) -> PathBuf {
        self.replicas[replica].folder.path().join("log.txt")
    }

    fn logged(&self, replica: usize) -> String {
        std::fs::read_to_string(self.log(replica)).unwrap_or_default()
    }

    /// Starts a replica with these failpoints.
    async fn start(&self, replica: usize, failpoints: &str) -> Served {
        let mut command = self.command(replica);
        command.env("FAILPOINTS", failpoints);
        self.serve(replica, command).await
    }

    async fn serve(&self, replica: usize, command: Command) -> Served {
        let (log, port) = (self.log(replica), self.replicas[replica].port);
        tokio::task::spawn_blocking(move || Served::spawn(command, log, port, "info")).await.expect("a replica")
    }

    /// The digests of the objects in the bucket. What a kill left of an upload in parts is not among them.
    fn objects(&self) -> Vec<String> {
        let paths = files_in(&self.bucket.folder).into_iter();
        let paths = paths.filter(|path| !path.components().any(|part| part.as_os_str() == "incoming"));
        let names =
            paths.filter_map(|path| Some(path.file_name()?.to_string_lossy().trim_end_matches(".zst").to_owned()));
        names.filter(|name| name.len() == 64).collect()
    }

    /// Runs a command on a replica's data folder.
    async fn run(&self, replica: usize, args: &[&str]) -> Output {
        let mut command = self.command(replica);
        command.args(args);
        tokio::task::spawn_blocking(move || command.output().expect("a binary that starts")).await.expect("an output")
    }
}
