//! Replicas behind a balancer that are restarted one after the other.
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::{Cluster, portal};
use crate::harness::burst::rounds;
use crate::harness::polling::Polling;
use crate::harness::process::{Served, free_port};
use crate::harness::{KEY, TOKEN, until};

const REPLICAS: usize = 3;

/// Files that are archived before the first restart, to be downloaded.
const FILES: usize = 10;

/// Clients of each kind. Each sends one request after the other.
const CLIENTS: usize = 2;

/// How long a replica that is asked to stop goes on serving: longer than HAProxy takes to notice on a loaded machine.
const STOP_DELAY: &str = "10s";

/// HAProxy with a server for each replica. It looks at their `/readyz` every 200 ms and sends no request twice. What `/readyz` answers takes
/// a server out, not how long it takes: all are slow on a loaded machine.
struct Balancer {
    child: Child,
    url: String,
    statistics: String,
}

impl Balancer {
    fn start(folder: &Path, ports: &[u16]) -> Self {
        let (port, statistics) = (free_port(), free_port());
        let server =
            |(n, port): (usize, &u16)| format!("server r{n} 127.0.0.1:{port} check inter 200ms fall 1 rise 1\n");
        let servers: String = ports.iter().enumerate().map(server).collect();
        let config = format!(
            "defaults\nmode http\ntimeout connect 60s\ntimeout check 60s\ntimeout client 180s\ntimeout server 180s\nretries 3\n\
             option redispatch\n\
             listen replicas\nbind 127.0.0.1:{port}\nbalance roundrobin\noption httpchk GET /readyz\n\
             http-check expect status 200\n{servers}\
             listen statistics\nbind 127.0.0.1:{statistics}\nstats enable\nstats uri /haproxy\n"
        );
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, config).expect("a file");
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("haproxy is not installed: install it, or leave out `--include-ignored`");
        let polling = Polling::start();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            polling.pause_thread(|| "haproxy does not listen".to_owned());
        }
        let url = |port| format!("http://127.0.0.1:{port}");
        Self { child, url: url(port), statistics: format!("{}/haproxy;csv", url(statistics)) }
    }

    async fn until_up(&self, replica: usize) {
        let (client, server) = (Client::new(), format!("replicas,r{replica},"));
        until("a replica that the balancer uses", async || {
            let table = client.get(&self.statistics).send().await.ok()?.text().await.ok()?;
            let line = table.lines().find(|line| line.starts_with(&server))?;
            line.contains(",UP,").then_some(())
        })
        .await;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Clients that send requests through the balancer until they are asked to end.
#[derive(Clone)]
struct Clients {
    url: String,
    /// Where links lead to.
    files: String,
    revisions: Vec<String>,
    sent: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
}

impl Clients {
    /// The request with this number, and the status that answers it.
    fn request(&self, client: &Client, kind: usize, number: usize) -> (RequestBuilder, u16) {
        match kind {
            0 => {
                let post = client.post(format!("{}/webhook", self.url)).header("authorization", TOKEN);
                let post = post.header("content-type", "application/json");
                (post.body(portal::body(&self.files, FILES + number % 500)), 202)
            }
            1 => {
                let query = format!(
                    "{{ publications(first: 5, search: \"deck {}\") {{ totalCount nodes {{ id }} }} }}",
                    number % 60
                );
                (client.post(format!("{}/graphql", self.url)).bearer_auth(KEY).json(&json!({ "query": query })), 200)
            }
            _ => {
                let revision = &self.revisions[number % self.revisions.len()];
                (client.get(format!("{}/files/{revision}", self.url)).bearer_auth(KEY), 200)
            }
        }
    }

    async fn run(self, kind: usize) {
        let client = Client::builder().no_proxy().build().expect("a client");
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            let (request, expected) = self.request(&client, kind, number);
            let failure = match request.send().await {
                Ok(answer) if answer.status() != expected => Some(format!("{}", answer.status())),
                // All of the body arrives, and no errors of GraphQL.
                Ok(answer) => match answer.bytes().await {
                    Ok(body) if kind == 1 => {
                        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
                        (!answer["data"].is_object() || !answer["errors"].is_null()).then(|| answer.to_string())
                    }
                    Ok(_) => None,
                    Err(e) => Some(format!("{e:?}")),
                },
                Err(e) => Some(format!("{e:?}")),
            };
            self.failed
                .lock()
                .expect("a lock")
                .extend(failure.map(|failure| format!("request of kind {kind}: {failure}")));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn revisions(replica: &Served, files: &str) -> Vec<String> {
    for publication in 0..FILES {
        assert_eq!(replica.notify(&portal::body(files, publication)).await.0, 202);
    }
    replica.settled(FILES as u64).await;
    let data = replica.query("{ revisions { nodes { id } } }").await;
    let nodes = data["revisions"]["nodes"].as_array().expect("a list").clone();
    nodes.iter().map(|node| node["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL, s3s-fs and HAProxy"]
async fn replicas_restarted_one_after_the_other_fail_no_request() {
    let cluster = Cluster::new(REPLICAS, 0).await;
    let start = |replica| {
        let mut command = cluster.command(replica);
        command.env("ACERVO_STOP_DELAY", STOP_DELAY);
        cluster.serve(replica, command)
    };
    let mut replicas = Vec::new();
    for replica in 0..REPLICAS {
        replicas.push(start(replica).await);
    }
    let ports: Vec<u16> = cluster.replicas.iter().map(|replica| replica.port).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let balancer = tokio::task::block_in_place(|| Balancer::start(folder.path(), &ports));
    let files = portal::serve_files(Duration::ZERO).await;
    let clients = Clients {
        url: balancer.url.clone(),
        revisions: revisions(&replicas[0], &files).await,
        files,
        sent: Arc::default(),
        failed: Arc::default(),
        is_over: Arc::default(),
    };
    for replica in &replicas {
        replica.indexed().await;
    }
    let tasks: Vec<_> = (0..3 * CLIENTS).map(|n| tokio::spawn(clients.clone().run(n % 3))).collect();
    let answers = async || {
        let enough = clients.sent.load(Ordering::Relaxed) + 60;
        until("answers", async || (clients.sent.load(Ordering::Relaxed) >= enough).then_some(())).await;
    };
    let rounds = rounds(1);
    for _ in 0..rounds {
        for (replica, served) in replicas.iter_mut().enumerate() {
            balancer.until_up(replica).await;
            answers().await;
            assert_eq!(tokio::task::block_in_place(|| served.terminate()), Some(0));
            *served = start(replica).await;
            balancer.until_up(replica).await;
        }
    }
    answers().await;
    clients.is_over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("a client");
    }
    let (sent, failed) = (clients.sent.load(Ordering::Relaxed), clients.failed.lock().expect("a lock").clone());
    assert!(failed.is_empty(), "{} of {sent} failed: {:?}", failed.len(), &failed[..failed.len().min(10)]);
    eprintln!("{REPLICAS} replicas restarted {rounds} times each: {sent} requests, 0 failed");
    replicas[0].settled(FILES as u64).await;
}
