//! A server of files by the path in a link's token, for bodies that are not the simulated portal's own.
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

type Offers = Arc<Mutex<HashMap<String, VecDeque<Offer>>>>;

#[derive(Clone)]
struct Offer {
    bytes: Vec<u8>,
    header: Option<(&'static str, String)>,
}

pub struct FileServer {
    pub address: String,
    offers: Offers,
}

impl FileServer {
    pub async fn start() -> Self {
        let offers = Offers::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let router = axum::Router::new().fallback(answer).with_state(offers.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, offers }
    }

    pub fn offer(&self, path: &str, bytes: &[u8], disposition: Option<String>) {
        self.put(path, &[bytes], disposition.map(|disposition| ("content-disposition", disposition)));
    }

    pub fn offer_as(&self, path: &str, bytes: &[u8], content_type: &str) {
        self.offer_in_turn(path, &[bytes], content_type);
    }

    /// Each request gets the next of these, the last again and again.
    pub fn offer_in_turn(&self, path: &str, contents: &[&[u8]], content_type: &str) {
        self.put(path, contents, Some(("content-type", content_type.to_owned())));
    }

    fn put(&self, path: &str, contents: &[&[u8]], header: Option<(&'static str, String)>) {
        let offer = |bytes: &&[u8]| Offer { bytes: bytes.to_vec(), header: header.clone() };
        self.offers.lock().expect("a lock").insert(path.to_owned(), contents.iter().map(offer).collect());
    }

    /// A link whose token has these claims, issued now and valid for a day.
    pub fn link(&self, claims: &Value) -> String {
        let now = jiff::Timestamp::now().as_second();
        self.link_at(claims, now - 1, now + 86_640)
    }

    /// The same to another server.
    pub fn link_from(address: &str, claims: &Value) -> String {
        let now = jiff::Timestamp::now().as_second();
        link(address, claims, now - 1, now + 86_640)
    }

    pub fn link_at(&self, claims: &Value, nbf: i64, exp: i64) -> String {
        link(&self.address, claims, nbf, exp)
    }
}

fn link(address: &str, claims: &Value, nbf: i64, exp: i64) -> String {
    let mut claims = claims.clone();
    claims["nbf"] = json!(nbf);
    claims["exp"] = json!(exp);
    let part = |value: String| URL_SAFE_NO_PAD.encode(value);
    let header = part(r#"{"typ":"JWT","alg":"HS256"}"#.to_owned());
    let (claims, signature) = (part(claims.to_string()), part("assinatura".into()));
    format!("{address}/ONS.Sintegre.Proxy/webhook?token={header}.{claims}.{signature}")
}

/// The claims of a link's token.
pub fn claims_of(link: &str) -> Value {
    let token = link.split("token=").nth(1).unwrap_or_default();
    let payload = token.split('.').nth(1).unwrap_or_default().trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(payload).expect("base64");
    serde_json::from_slice(&bytes).expect("claims")
}

async fn answer(State(offers): State<Offers>, RawQuery(query): RawQuery) -> Response {
    let claims = claims_of(&format!("?{}", query.unwrap_or_default()));
    let mut offers = offers.lock().expect("a lock");
    let offers = claims["URL"].as_str().and_then(|path| offers.get_mut(path));
    let found = offers.and_then(|offers| if offers.len() > 1 { offers.pop_front() } else { offers.front().cloned() });
    match found {
        Some(Offer { bytes, header: Some(header) }) => ([header], bytes).into_response(),
        Some(Offer { bytes, header: None }) => bytes.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
