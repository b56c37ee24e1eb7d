//! Messages over HTTP.
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;
use url::Url;

use super::{Delivered, Message, SendError, signature};
use crate::config::Endpoint;
use crate::engine::outgoing::{GuardedResolver, retry_after};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// So much of a response is read, so that its connection can be used again. Nothing of it is kept.
const RESPONSE_BYTES_MAX: usize = 16 << 10;

/// Connections to an endpoint that are kept open, and for how long: messages are sent one after the other.
const IDLE_CONNECTIONS: usize = 1;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends messages to one endpoint, with a client of its own.
pub(super) struct HttpSender {
    client: reqwest::Client,
    endpoint: Endpoint,
    headers: HeaderMap,
    timeout: Duration,
}

impl HttpSender {
    pub fn new(endpoint: &Endpoint, timeout: Duration) -> Result<Self, SendError> {
        // An error means that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = endpoint.clone();
        let resolver = GuardedResolver::new(endpoint.allow_private, None, super::ALLOW_PRIVATE);
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(resolver))
            .connect_timeout(timeout)
            .timeout(timeout)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .referer(false)
            .http1_only()
            .user_agent(concat!("acervo/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| SendError::set_up(e, &endpoint))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &endpoint.headers {
            let invalid = |_| SendError::SetUp(format!("the header `{name}` has an invalid value"));
            let mut value = HeaderValue::from_bytes(value.expose_secret().as_bytes()).map_err(invalid)?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        Ok(Self { client, endpoint, headers, timeout })
    }

    /// `now` is the time that is signed with the message.
    pub async fn send(&self, message: &Message, now: Timestamp) -> Result<Delivered, SendError> {
        let url = Url::parse(self.endpoint.url.expose())
            .map_err(|_| SendError::SetUp("the URL of the hook is not valid".to_owned()))?;
        let mut headers = self.signed(message, now)?;
        // Headers of the configuration replace the content type.
        headers.extend(self.headers.clone());
        let request = self.client.post(url).headers(headers).body(message.body.clone());
        let response = request.send().await.map_err(|e| SendError::network(e, self.timeout, &self.endpoint))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        discard(response).await;
        match status {
            200..=299 => Ok(Delivered { status: Some(status) }),
            _ if self.endpoint.accept.contains(&status) => Ok(Delivered { status: Some(status) }),
            300..=399 => Err(SendError::Redirect { status }),
            _ => Err(SendError::Status { status, retry_after }),
        }
    }

    /// The headers of the Standard Webhooks specification. Without a secret there is no signature.
    fn signed(&self, message: &Message, now: Timestamp) -> Result<HeaderMap, SendError> {
        let value = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| SendError::SetUp("a header has an invalid value".to_owned()))
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, value(&message.content_type)?);
        headers.insert(WEBHOOK_ID, value(&message.id)?);
        headers.insert(WEBHOOK_TIMESTAMP, value(&now.as_second().to_string())?);
        let signatures: Vec<String> = self
            .endpoint
            .secrets
            .iter()
            .map(|secret| signature(secret.expose_secret(), &message.id, now, &message.body))
            .collect();
        if !signatures.is_empty() {
            headers.insert(WEBHOOK_SIGNATURE, value(&signatures.join(" "))?);
        }
        Ok(headers)
    }
}

/// Reads a response to its end or its limit, within the time limit of the request, so that its connection is used again.
async fn discard(mut response: reqwest::Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > RESPONSE_BYTES_MAX {
            return;
        }
    }
}
