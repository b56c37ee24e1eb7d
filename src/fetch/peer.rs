//! Another Acervo, asked for the bytes of a file. Its address is given by an operator and may be private, so the guard does not apply.
//! No error contains the key.
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::CONNECT_TIMEOUT;
use crate::engine::outgoing::causes;

/// A body that brings nothing for this long is given up.
const STALL: Duration = Duration::from_secs(60);

/// Why another Acervo did not send a file.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("{0}")]
    Address(String),
    #[error("it answered {status}: its key is missing, wrong, or not allowed to read")]
    Denied { status: u16 },
    #[error("it answered {status}")]
    Status { status: u16 },
    #[error("the transfer failed: {0}")]
    Network(String),
}

/// Another Acervo.
#[derive(Clone, Debug)]
pub struct Peer {
    client: reqwest::Client,
    base: Url,
    key: Option<SecretString>,
}

impl Peer {
    pub fn new(address: &str, key: Option<SecretString>) -> Result<Self, PeerError> {
        let wrong = |why: &str| PeerError::Address(format!("{why}; expected one such as https://acervo.example.com"));
        // The address is not repeated: it may contain a password.
        let base = Url::parse(address).map_err(|_| wrong("the address is not a valid URL"))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(wrong("the address does not begin with http:// or https://"));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(wrong("the address contains a user, a password or a query; give the key in ACERVO_FROM_KEY"));
        }
        if base.fragment().is_some() {
            return Err(wrong("the address contains a fragment (`#`)"));
        }
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(STALL)
            .referer(false)
            .user_agent(concat!("acervo/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(network)?;
        Ok(Self { client, base, key })
    }

    /// Its address.
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Requests the file of a digest or of a revision; `None` if it has no such file.
    pub async fn file(&self, id: &str) -> Result<Option<PeerFile>, PeerError> {
        let mut request = self.client.get(format!("{}/files/{id}", self.address()));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose_secret());
        }
        let request = request.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let response = request.send().await.map_err(network)?;
        match response.status().as_u16() {
            200 => Ok(Some(PeerFile(response))),
            404 | 410 => Ok(None),
            status @ (401 | 403) => Err(PeerError::Denied { status }),
            status => Err(PeerError::Status { status }),
        }
    }
}

/// A file that another Acervo sends.
pub struct PeerFile(reqwest::Response);

impl PeerFile {
    /// The next bytes; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, PeerError> {
        self.0.chunk().await.map_err(network)
    }
}

fn network(error: reqwest::Error) -> PeerError {
    PeerError::Network(causes(&error.without_url()))
}
