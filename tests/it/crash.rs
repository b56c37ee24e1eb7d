use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::links::FileServer;
use crate::harness::process::{Served, free_port};
use crate::harness::{KEY, TOKEN, files_in, sha256};

const BURST: usize = 2000;
const KILLS: usize = 20;

async fn ask(client: &reqwest::Client, url: &str, query: &str) -> Option<Value> {
    let request = client.post(format!("{url}/graphql")).bearer_auth(KEY).json(&json!({ "query": query }));
    let answer: Value = request.send().await.ok()?.json().await.ok()?;
    answer.get("data").cloned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_twenty_times_in_a_burst_nothing_that_was_answered_202_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let links = FileServer::start().await;
    let bodies: Vec<String> = (0..BURST)
        .map(|i| {
            let path = format!("/sites/9/{}/Produtos/{i}/arquivo_{i}.txt", i % 40);
            links.offer(&path, format!("conteúdo do arquivo {i}\n").repeat(1 + i % 50).as_bytes(), None);
            let link = links.link(&json!({ "URL": path, "username": "x@example.com", "IsFile": "True" }));
            json!({ "nome": format!("Produto {i}"), "dataProduto": "09/05/2025", "url": link }).to_string()
        })
        .collect();
    let mut served = Served::start(folder.path(), port, "warn");
    let url = served.url.clone();
    // Four senders, each of which sends again until it is told 202, as the portal does.
    let next = Arc::new(AtomicUsize::new(0));
    let acked = Arc::new(Mutex::new(HashSet::new()));
    let done = Arc::new(AtomicBool::new(false));
    let bodies = Arc::new(bodies);
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let (next, acked, bodies, url) = (next.clone(), acked.clone(), bodies.clone(), url.clone());
            tokio::spawn(async move {
                let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
                loop {
                    let i = next.fetch_add(1, Ordering::SeqCst);
                    let Some(body) = bodies.get(i) else { return };
                    loop {
                        let request = client
                            .post(format!("{url}/webhook"))
                            .header("authorization", TOKEN)
                            .header("content-type", "application/json");
                        match request.body(body.clone()).send().await {
                            Ok(answer) if answer.status() == 202 => {
                                let answer: Value = answer.json().await.unwrap_or_default();
                                if let Some(id) = answer["id"].as_str() {
                                    acked.lock().expect("a lock").insert(id.to_owned());
                                }
                                break;
                            }
                            _ => tokio::time::sleep(Duration::from_millis(5)).await,
                        }
                    }
                }
            })
        })
        .collect();
    // Killed whenever another twentieth of the burst is through.
    for kill in 1..=KILLS {
        let began = Instant::now();
        while next.load(Ordering::SeqCst) < kill * BURST / (KILLS + 1) && began.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        served.kill();
        served = tokio::task::spawn_blocking({
            let folder = folder.path().to_owned();
            move || Served::start(&folder, port, "warn")
        })
        .await
        .expect("a server");
    }
    for sender in senders {
        sender.await.expect("a sender");
    }
    done.store(true, Ordering::SeqCst);
    let client = reqwest::Client::new();
    let began = Instant::now();
    loop {
        let open = ask(
            &client,
            &url,
            "{ notifications(filter: { status: [QUEUED, FETCHING, RETRYING] }) { totalCount } status { indexLag } }",
        )
        .await;
        let open = open.expect("an answer");
        if open["notifications"]["totalCount"] == 0 && open["status"]["indexLag"] == 0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "work hangs: {open}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut there = HashSet::new();
    let mut after = Value::Null;
    loop {
        let query = format!(
            "{{ notifications(first: 1000, after: {after}) {{ nodes {{ id status }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let page = ask(&client, &url, &query).await.expect("a page")["notifications"].clone();
        for node in page["nodes"].as_array().expect("a list") {
            let status = node["status"].as_str().expect("a status");
            assert!(matches!(status, "ARCHIVED" | "UNCHANGED"), "{node}");
            there.insert(node["id"].as_str().expect("an id").to_owned());
        }
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    let acked = acked.lock().expect("a lock").clone();
    assert!(acked.len() >= BURST - KILLS * 4, "{} answered", acked.len());
    assert!(acked.is_subset(&there), "{} were answered 202 and are lost", acked.difference(&there).count());
    let total =
        ask(&client, &url, "{ publications(filter: { status: [ARCHIVED] }) { totalCount } }").await.expect("an answer");
    assert_eq!(total["publications"]["totalCount"].as_u64(), Some(BURST as u64));
    // No file is half: each object is what its name says.
    for path in files_in(&folder.path().join("data/archive")) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.contains('#') {
            // Being written when it was killed: under a name that is never read, and swept away later.
            continue;
        }
        let bytes = std::fs::read(&path).expect("an object");
        let bytes = if name.ends_with(".zst") { zstd::decode_all(&bytes[..]).expect("a whole frame") } else { bytes };
        assert_eq!(sha256(&bytes), name.trim_end_matches(".zst"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_gently_it_ends_well_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let portal = crate::harness::portal(&format!("http://127.0.0.1:{port}/webhook"), Default::default()).await;
    for product in acervo::portal::builtin(60, jiff::Timestamp::now()) {
        portal.add(product);
    }
    let mut served = Served::start(folder.path(), port, "info");
    assert_eq!(portal.enviar_tudo().await.delivered, 60);
    assert_eq!(tokio::task::block_in_place(|| served.terminate()), Some(0));
    assert!(served.logged().contains("stopped"), "{}", served.logged());
    let served = Served::start(folder.path(), port, "info");
    let client = reqwest::Client::new();
    let began = Instant::now();
    loop {
        let data = ask(&client, &served.url, "{ publications(filter: { status: [ARCHIVED] }) { totalCount } }")
            .await
            .expect("an answer");
        if data["publications"]["totalCount"] == 60 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{data}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
