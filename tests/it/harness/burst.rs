//! A portal that sends a burst until every notification is answered 202, whatever happens to the service meanwhile; and
//! what must be there afterwards.
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::links::FileServer;
use super::{KEY, TOKEN, files_in, sha256};

const SENDERS: usize = 4;

pub struct Burst {
    url: String,
    size: usize,
    next: Arc<AtomicUsize>,
    acked: Arc<Mutex<HashSet<String>>>,
    /// Requests that were under way when they broke off, and not answered.
    broken: Arc<AtomicUsize>,
    senders: Vec<tokio::task::JoinHandle<()>>,
    _links: FileServer,
}

/// A test is longer where `ACERVO_TEST_ROUNDS` says so.
pub fn rounds(usual: usize) -> usize {
    std::env::var("ACERVO_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

pub async fn ask(client: &reqwest::Client, url: &str, query: &str) -> Option<Value> {
    let request = client.post(format!("{url}/graphql")).bearer_auth(KEY).json(&json!({ "query": query }));
    let answer: Value = request.send().await.ok()?.json().await.ok()?;
    answer.get("data").cloned()
}

impl Burst {
    /// Begins to send `size` notifications of as many publications to a service at `url`.
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
        Self { url: url.to_owned(), size, next, acked, broken, senders, _links: links }
    }

    /// Waits until another part of the burst is out, and then some milliseconds that nobody can foretell.
    pub async fn part(&self, part: usize, of: usize) {
        let began = Instant::now();
        while self.next.load(Ordering::SeqCst) < part * self.size / (of + 1) && began.elapsed() < super::PATIENCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..30))).await;
    }

    /// Requests that broke off without an answer.
    pub fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }

    /// Waits until all are answered and worked on; then whatever was answered 202 must be there, archived, whole.
    pub async fn check(self, archive: &Path) -> usize {
        for sender in self.senders {
            sender.await.expect("a sender");
        }
        let client = reqwest::Client::new();
        let began = Instant::now();
        let open = "{ open: notifications(filter: { status: [QUEUED, FETCHING, RETRYING] }) { totalCount } status { indexLag } }";
        loop {
            let data = ask(&client, &self.url, open).await.expect("an answer");
            if data["open"]["totalCount"] == 0 && data["status"]["indexLag"] == 0 {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(180), "work hangs: {data}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut there = HashSet::new();
        for node in all(&client, &self.url, "notifications", "id status error").await {
            assert!(matches!(node["status"].as_str(), Some("ARCHIVED" | "UNCHANGED")), "{node}");
            there.insert(node["id"].as_str().expect("an id").to_owned());
        }
        let acked = self.acked.lock().expect("a lock").clone();
        assert!(acked.is_subset(&there), "{} were answered 202 and are lost", acked.difference(&there).count());
        let mut digests = HashSet::new();
        for node in all(&client, &self.url, "revisions", "sha256").await {
            digests.insert(node["sha256"].as_str().expect("a digest").to_owned());
        }
        let total = "{ publications(filter: { status: [ARCHIVED] }) { totalCount } }";
        let total = ask(&client, &self.url, total).await.expect("an answer");
        assert_eq!(total["publications"]["totalCount"].as_u64(), Some(self.size as u64));
        let whole = whole_files(archive);
        assert!(digests.is_subset(&whole), "{} files are recorded and not there", digests.difference(&whole).count());
        acked.len()
    }
}

fn body(links: &FileServer, i: usize) -> String {
    let path = format!("/sites/9/{}/Produtos/{i}/arquivo_{i}.txt", i % 40);
    links.offer(&path, format!("conteúdo do arquivo {i}\n").repeat(1 + i % 50).as_bytes(), None);
    let link = links.link(&json!({ "URL": path, "username": "x@example.com", "IsFile": "True" }));
    json!({ "nome": format!("Produto {i}"), "dataProduto": "09/05/2025", "url": link }).to_string()
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

/// The digests of all files; each must be what its name says.
fn whole_files(archive: &Path) -> HashSet<String> {
    let mut whole = HashSet::new();
    for path in files_in(archive) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.contains('#') || path.parent().is_some_and(|folder| folder.ends_with("incoming")) {
            // Being written when it was killed: under a name that is never read, and swept away later.
            continue;
        }
        let bytes = std::fs::read(&path).expect("an object");
        let bytes = if name.ends_with(".zst") { zstd::decode_all(&bytes[..]).expect("a whole frame") } else { bytes };
        let digest = name.trim_end_matches(".zst").to_owned();
        assert_eq!(sha256(&bytes), digest);
        whole.insert(digest);
    }
    whole
}
