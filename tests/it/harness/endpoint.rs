//! An endpoint of hooks that does what a test says, and remembers what it was sent.
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::watch;

use super::KEY;
use super::polling::until;

/// How the endpoint answers.
#[derive(Clone, Debug)]
pub enum Answer {
    Status(u16),
    /// Nothing until [`Endpoint::release`], and then 200.
    Hold,
    Redirect(String),
    RetryAfter(u16, u32),
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Whether the answer was 200, as far as the endpoint knows.
    pub accepted: bool,
    /// What the service answered to a request of the event's file, made before this answer.
    pub file: Option<(u16, String)>,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

#[derive(Clone)]
struct Shared {
    answer: Arc<Mutex<Answer>>,
    received: Arc<Mutex<Vec<Received>>>,
    /// The service whose files are requested.
    service: Arc<Mutex<Option<String>>>,
    /// How often what is held was released.
    gate: watch::Receiver<u32>,
    /// Requests in progress, and the most at once.
    open: Arc<Mutex<(usize, usize)>>,
}

pub struct Endpoint {
    pub url: String,
    shared: Shared,
    gate: watch::Sender<u32>,
}

impl Endpoint {
    pub async fn start(answer: Answer) -> Self {
        let (gate, held) = watch::channel(0);
        let shared = Shared {
            answer: Arc::new(Mutex::new(answer)),
            received: Arc::default(),
            service: Arc::default(),
            gate: held,
            open: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hooks/segredo-do-caminho", listener.local_addr().expect("an address"));
        let router = axum::Router::new().fallback(receive).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared, gate }
    }

    pub fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().expect("a lock") = answer;
    }

    /// Requests the file of each event from this service before it answers.
    pub fn fetches_from(&self, url: &str) {
        *self.shared.service.lock().expect("a lock") = Some(url.to_owned());
    }

    /// Answers what is held.
    pub fn release(&self) {
        self.gate.send_modify(|times| *times += 1);
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("a lock").clone()
    }

    /// Requests that were in progress at the same time, at most.
    pub fn most_at_once(&self) -> usize {
        self.shared.open.lock().expect("a lock").1
    }

    /// Waits until so many requests arrived.
    pub async fn until(&self, count: usize) -> Vec<Received> {
        until(&format!("{count} requests at the endpoint"), async || {
            Some(self.received()).filter(|received| received.len() >= count)
        })
        .await
    }

    /// Waits until so many different messages were accepted, for as long as more arrive, and gives the first of each in the order of
    /// their arrival.
    pub async fn until_accepted(&self, count: usize) -> Vec<Received> {
        let mut accepted = self.accepted();
        while accepted.len() < count {
            let before = accepted.len();
            let what = format!("{count} messages accepted, after {before}");
            accepted = until(&what, async || Some(self.accepted()).filter(|all| all.len() > before)).await;
        }
        accepted
    }

    /// The messages that were accepted, each once.
    pub fn accepted(&self) -> Vec<Received> {
        let mut ids = HashSet::new();
        let accepted = self.received().into_iter().filter(|one| one.accepted);
        accepted.filter(|one| ids.insert(one.id().to_owned())).collect()
    }
}

/// Ends a request in progress, however it ends.
struct Open(Arc<Mutex<(usize, usize)>>);

impl Open {
    fn begin(open: &Arc<Mutex<(usize, usize)>>) -> Self {
        let mut counts = open.lock().expect("a lock");
        counts.0 += 1;
        counts.1 = counts.1.max(counts.0);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Ok(mut counts) = self.0.lock() {
            counts.0 -= 1;
        }
    }
}

async fn receive(State(mut shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let _open = Open::begin(&shared.open);
    let released = *shared.gate.borrow_and_update();
    let file = file_of(&shared, &body).await;
    let answer = shared.answer.lock().expect("a lock").clone();
    let accepted = matches!(answer, Answer::Status(200));
    let number = {
        let mut received = shared.received.lock().expect("a lock");
        received.push(Received { headers, body: body.to_vec(), accepted, file });
        received.len() - 1
    };
    let status = |code| StatusCode::from_u16(code).expect("a status");
    match answer {
        Answer::Status(code) => status(code).into_response(),
        Answer::Hold => {
            // A client that does not wait for the answer ends this.
            let _ = shared.gate.wait_for(|times| *times > released).await;
            shared.received.lock().expect("a lock")[number].accepted = true;
            StatusCode::OK.into_response()
        }
        Answer::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Answer::RetryAfter(code, seconds) => {
            (status(code), [(header::RETRY_AFTER, seconds.to_string())]).into_response()
        }
    }
}

/// Requests the file of an event from the service. `None` without a service or a file.
async fn file_of(shared: &Shared, body: &[u8]) -> Option<(u16, String)> {
    let service = shared.service.lock().expect("a lock").clone()?;
    let event: Value = serde_json::from_slice(body).ok()?;
    let path = event["data"]["fileUrl"].as_str()?;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let response = client.get(format!("{service}{path}")).bearer_auth(KEY).send().await.ok()?;
    let status = response.status().as_u16();
    let bytes = response.bytes().await.ok()?;
    Some((status, super::sha256(&bytes)))
}
