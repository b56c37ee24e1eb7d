//! A portal that sends notifications without end to several replicas, as behind a balancer, and serves their files.
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::harness::links::{FileServer, claims_of};
use crate::harness::notice::Notice;
use crate::harness::{TOKEN, samples, sha256};

const SENDERS: usize = 4;

/// What a sender waits for before it tries another replica, as a balancer would.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long it takes at most to answer a request for a file.
const LATENCY_MAX: Duration = Duration::from_millis(400);

/// Of so many files one is uploaded in parts.
const LARGE_ONE_OF: usize = 500;

/// Of so many notifications one repeats an earlier one.
const REPEATED_ONE_OF: u32 = 5;

pub struct Load {
    shared: Arc<Shared>,
    senders: Vec<tokio::task::JoinHandle<()>>,
}

struct Shared {
    /// The address of the portal's files.
    files: String,
    replicas: Vec<String>,
    /// The number of the next publication.
    next: AtomicUsize,
    /// The publications that were answered 202, by the ids of their notifications.
    acked: Mutex<HashMap<String, usize>>,
    is_over: AtomicBool,
    random: Mutex<StdRng>,
}

impl Load {
    /// Starts to send to these replicas.
    pub async fn start(replicas: Vec<String>, random: StdRng) -> Self {
        let files = serve_files(LATENCY_MAX).await;
        let (next, acked, is_over) = (AtomicUsize::new(0), Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { files, replicas, next, acked, is_over, random: Mutex::new(random) });
        let senders = (0..SENDERS).map(|n| tokio::spawn(send_all(shared.clone(), n))).collect();
        Self { shared, senders }
    }

    pub fn answered(&self) -> usize {
        self.shared.acked.lock().expect("a lock").len()
    }

    /// Ends once all that was begun is answered 202. Returns the publications by the ids of their notifications.
    pub async fn end(self) -> HashMap<String, usize> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.await.expect("a sender");
        }
        self.shared.acked.lock().expect("a lock").clone()
    }
}

impl Shared {
    /// The next publication and how long to wait after it.
    fn draw(&self) -> (usize, Duration) {
        let mut random = self.random.lock().expect("a lock");
        let pause = Duration::from_millis(random.random_range(20..150));
        let sent = self.next.load(Ordering::Relaxed);
        if sent > 0 && random.random_ratio(1, REPEATED_ONE_OF) {
            return (random.random_range(0..sent), pause);
        }
        (self.next.fetch_add(1, Ordering::Relaxed), pause)
    }
}

async fn send_all(shared: Arc<Shared>, number: usize) {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
    let mut turn = number;
    while !shared.is_over.load(Ordering::Relaxed) {
        let (publication, pause) = shared.draw();
        let body = body(&shared.files, publication);
        loop {
            turn += 1;
            let url = format!("{}/webhook", shared.replicas[turn % shared.replicas.len()]);
            if let Some(id) = send(&client, &url, &body).await {
                shared.acked.lock().expect("a lock").insert(id, publication);
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(pause).await;
    }
}

/// The id of a notification that was answered 202.
async fn send(client: &reqwest::Client, url: &str, body: &str) -> Option<String> {
    let request = client.post(url).header("authorization", TOKEN).header("content-type", "application/json");
    let answer = request.body(body.to_owned()).send().await.ok().filter(|answer| answer.status() == 202)?;
    let answer: Value = answer.json().await.ok()?;
    answer["id"].as_str().map(str::to_owned)
}

/// The notification of a publication. Each has a file of its own.
pub fn body(files: &str, publication: usize) -> String {
    let product = publication % 60;
    let path = format!("/sites/9/{product}/Produtos/{product}/arquivo_{publication}.txt");
    let day = jiff::civil::date(2020, 1, 1).saturating_add(jiff::Span::new().days((publication / 60) as i64));
    let link = FileServer::link_from(files, &json!({ "URL": path, "username": samples::EMAIL, "IsFile": "True" }));
    Notice::new(format!("Deck {product}")).reference(day.strftime("%d/%m/%Y").to_string()).link(link).to_string()
}

/// The file of a publication.
pub fn content(publication: usize) -> Vec<u8> {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    let line = format!("conteúdo do arquivo {publication}\n");
    match publication % LARGE_ONE_OF == LARGE_ONE_OF / 4 {
        true => [line.as_bytes(), NOISE.get_or_init(|| samples::noise(9 << 20))].concat(),
        false => line.repeat(1 + publication % 50).into_bytes(),
    }
}

pub fn digest(publication: usize) -> String {
    sha256(&content(publication))
}

/// Serves every publication's file, each within this time; returns its address.
pub async fn serve_files(latency_max: Duration) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let router = axum::Router::new().fallback(answer).with_state(latency_max);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn answer(State(latency_max): State<Duration>, RawQuery(query): RawQuery) -> Response {
    let claims = claims_of(&format!("?{}", query.unwrap_or_default()));
    let number =
        claims["URL"].as_str().and_then(|path| path.rsplit_once("arquivo_")?.1.strip_suffix(".txt")?.parse().ok());
    match number {
        Some(publication) => {
            // So that several are always being fetched.
            tokio::time::sleep(latency_max * (publication % 8) as u32 / 8).await;
            content(publication).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
