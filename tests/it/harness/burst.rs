//! A portal that sends a burst until every notification is answered 202, whatever happens to the service; and what
//! must be archived afterwards.
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::links::FileServer;
use super::notice::Notice;
use super::polling::Polling;
use super::{KEY, TOKEN, files_in, sha256};

const SENDERS: usize = 4;

pub struct Burst {
    url: String,
    size: usize,
    next: Arc<AtomicUsize>,
    acked: Arc<Mutex<HashSet<String>>>,
    /// Requests that were interrupted and got no response.
    broken: Arc<AtomicUsize>,
    senders: Vec<tokio::task::JoinHandle<()>>,
    random: Mutex<StdRng>,
    _links: FileServer,
}

/// How many of the notifications that were answered 202 are missing.
#[derive(Debug)]
pub enum Loss {
    Notifications(usize),
    Files(usize),
}

/// `ACERVO_TEST_ROUNDS` makes a test longer.
pub fn rounds(usual: usize) -> usize {
    std::env::var("ACERVO_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

pub async fn ask(client: &reqwest::Client, url: &str, query: &str) -> Option<Value> {
    let request = client.post(format!("{url}/graphql")).bearer_auth(KEY).json(&json!({ "query": query }));
    let answer: Value = request.send().await.ok()?.json().await.ok()?;
    answer.get("data").cloned()
}

impl Burst {
    /// Starts to send `size` notifications of as many publications to a service at `url`.
    pub async fn start(size: usize, url: &str) -> Self {
        let links = FileServer::start().await;
        let bodies: Vec<String> = (0..size).map(|i| body(&links, i)).collect();
        let bodies = Arc::new(bodies);
        let next = Arc::new(AtomicUsize::new(0));
        let acked = Arc::new(Mutex::new(HashSet::new()));
        let broken = Arc::new(AtomicUsize::new(0));
        let sender = |_| {
            let (next, acked, bodies, broken) = (next.clone(), acked.clone(), bodies.clone(), broken.clone());
            let url = format!("{url}/webhook");
            tokio::spawn(async move {
                let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client");
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::SeqCst)) {
                    while !send(&client, &url, body, &acked, &broken).await {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            })
        };
        let senders = (0..SENDERS).map(sender).collect();
        let random = Mutex::new(super::random());
        Self { url: url.to_owned(), size, next, acked, broken, senders, random, _links: links }
    }

    /// Waits until another part of the burst is sent, and then up to 30 ms, at random.
    pub async fn part(&self, part: usize, of: usize) {
        let (begun, next) = (part * self.size / (of + 1), &self.next);
        super::until("a part of the burst", async || (next.load(Ordering::SeqCst) >= begun).then_some(())).await;
        let pause = self.random.lock().expect("a lock").random_range(0..30);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    /// Requests that were interrupted without a response.
    pub fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }

    /// Waits until all are answered and processed. Whatever was answered 202 must then be archived and complete. Returns
    /// their number.
    pub async fn check(self, archive: &Path) -> Result<usize, Loss> {
        for sender in self.senders {
            sender.await.expect("a sender");
        }
        let client = reqwest::Client::new();
        // In this order: the index follows the settled notifications.
        settled(&client, &self.url).await;
        let mut there = HashSet::new();
        for node in all(&client, &self.url, "notifications", "id status error").await {
            assert!(matches!(node["status"].as_str(), Some("ARCHIVED" | "UNCHANGED")), "{node}");
            there.insert(node["id"].as_str().expect("an id").to_owned());
        }
        let acked = self.acked.lock().expect("a lock").clone();
        let lost = acked.difference(&there).count();
        if lost > 0 {
            return Err(Loss::Notifications(lost));
        }
        let mut digests = HashSet::new();
        for node in all(&client, &self.url, "revisions", "sha256").await {
            digests.insert(node["sha256"].as_str().expect("a digest").to_owned());
        }
        let total = "{ publications(filter: { status: [ARCHIVED] }) { totalCount } }";
        let total = ask(&client, &self.url, total).await.expect("a response");
        assert_eq!(total["publications"]["totalCount"].as_u64(), Some(self.size as u64));
        let lost = digests.difference(&whole_files(archive)).count();
        if lost > 0 { Err(Loss::Files(lost)) } else { Ok(acked.len()) }
    }
}

/// Waits until nothing is left to do.
async fn settled(client: &reqwest::Client, url: &str) {
    let open = "{ notifications(filter: { status: [QUEUED, FETCHING, RETRYING] }) { totalCount } }";
    let polling = Polling::with_patience(3 * super::PATIENCE);
    for (query, path) in [(open, "/notifications/totalCount"), ("{ status { indexLag } }", "/status/indexLag")] {
        loop {
            let data = ask(client, url, query).await.expect("a response");
            if data.pointer(path).is_some_and(|left| *left == 0) {
                break;
            }
            polling.pause(|| format!("work hangs: {data}")).await;
        }
    }
}

fn body(links: &FileServer, i: usize) -> String {
    let path = format!("/sites/9/{}/Produtos/{i}/arquivo_{i}.txt", i % 40);
    links.offer(&path, format!("conteúdo do arquivo {i}\n").repeat(1 + i % 50).as_bytes(), None);
    let link = links.link(&json!({ "URL": path, "username": "x@example.com", "IsFile": "True" }));
    Notice::new(format!("Produto {i}")).link(link).to_string()
}

/// Whether it was answered 202.
async fn send(
    client: &reqwest::Client,
    url: &str,
    body: &str,
    acked: &Mutex<HashSet<String>>,
    broken: &AtomicUsize,
) -> bool {
    let request = client.post(url).header("authorization", TOKEN).header("content-type", "application/json");
    let answer = match request.body(body.to_owned()).send().await {
        Ok(answer) => answer,
        Err(e) => {
            broken.fetch_add(usize::from(!e.is_connect()), Ordering::SeqCst);
            return false;
        }
    };
    if answer.status() != 202 {
        return false;
    }
    let answer: Value = answer.json().await.unwrap_or_default();
    if let Some(id) = answer["id"].as_str() {
        acked.lock().expect("a lock").insert(id.to_owned());
    }
    true
}

async fn all(client: &reqwest::Client, url: &str, list: &str, fields: &str) -> Vec<Value> {
    let mut nodes = Vec::new();
    let mut after = Value::Null;
    loop {
        let query = format!(
            "{{ {list}(first: 1000, after: {after}) {{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let page = ask(client, url, &query).await.expect("a page")[list].clone();
        nodes.extend(page["nodes"].as_array().expect("a list").iter().cloned());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            return nodes;
        }
    }
}

/// The digests of all files whose content matches their name.
fn whole_files(archive: &Path) -> HashSet<String> {
    let mut whole = HashSet::new();
    for path in files_in(archive) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).expect("an object");
        let bytes = if name.ends_with(".zst") { zstd::decode_all(&bytes[..]).unwrap_or_default() } else { bytes };
        let digest = name.trim_end_matches(".zst");
        if sha256(&bytes) == digest {
            whole.insert(digest.to_owned());
        }
    }
    whole
}
