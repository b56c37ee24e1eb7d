//! fetch: downloads the file of an announced link as a bounded stream of bytes, or returns an error that says whether a
//! retry can help.
//!
//! Every connection passes the guard: scheme, host, port, and each address at the moment of connecting, for the link and
//! for each redirect. This module uses neither the database nor the store. No error holds a link.
mod download;
mod error;
mod guard;
mod hosts;
mod name;
mod peer;

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LOCATION};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;
use url::Url;

pub use download::Download;
pub use error::FetchError;
pub use hosts::{Health, HostChange, HostPermit, Hosts};
pub use name::{from_disposition, percent_decoded};
pub use peer::{Peer, PeerError, PeerFile};

use crate::config;
use crate::domain::{Link, Validator};
use guard::Guard;

const REDIRECTS_MAX: usize = 3;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Fetches files; clones share connections.
#[derive(Clone)]
pub struct Fetcher {
    client: reqwest::Client,
    guard: Guard,
    hosts: Hosts,
    max_bytes: u64,
    stall: Duration,
}

/// The portal's response to a request for a file.
pub enum Response {
    File(Box<Download>),
    /// The file is the one that the validator was sent with.
    NotModified,
}

impl Fetcher {
    pub fn new(settings: &config::Fetch) -> Result<Self, FetchError> {
        // An error means that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guard = Guard::new(settings);
        let mut client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(guard.resolver())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(settings.stall)
            .referer(false)
            .user_agent(concat!("acervo/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &settings.proxy {
            client = client.proxy(reqwest::Proxy::all(proxy.expose_secret()).map_err(FetchError::set_up)?);
        }
        Ok(Self {
            client: client.build().map_err(FetchError::set_up)?,
            guard,
            hosts: Hosts::new(settings.concurrency_per_host, settings.retry_first, settings.retry_max),
            max_bytes: settings.max_bytes,
            stall: settings.stall,
        })
    }

    /// The state of the hosts.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Requests a link's file; with `known`, only if it has changed since. The body is not read yet.
    pub async fn get(&self, link: &Link, known: Option<&Validator>) -> Result<Response, FetchError> {
        self.follow(link, known).await.map_err(|e| e.redacted(&link.secrets()))
    }

    async fn follow(&self, link: &Link, known: Option<&Validator>) -> Result<Response, FetchError> {
        let mut headers = known.map(conditions).unwrap_or_default();
        // Compression would hide the length; a portal that compresses all the same is decoded.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut url =
            Url::parse(link.expose()).map_err(|_| FetchError::Guarded("the link is not a valid URL".to_owned()))?;
        for redirects in 0..=REDIRECTS_MAX {
            let checked = self.guard.check(&url);
            // The target of a redirect belongs to this response and not to the link.
            checked.map_err(|e| match e {
                FetchError::Guarded(reason) if redirects > 0 => {
                    FetchError::Misdirected(format!("redirected: {reason}"))
                }
                other => other,
            })?;
            let request = self.client.get(url.clone()).headers(headers.clone());
            let response = request.send().await.map_err(FetchError::network)?;
            if response.status() == StatusCode::NOT_MODIFIED && known.is_some() {
                return Ok(Response::NotModified);
            }
            if !response.status().is_redirection() {
                let download = Download::new(response, link, self.max_bytes, self.stall)?;
                return Ok(Response::File(Box::new(download)));
            }
            let target = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            url = target
                .and_then(|to| url.join(to).ok())
                .ok_or(FetchError::Redirect("its Location is not a valid URL"))?;
        }
        Err(FetchError::Redirect("there are more than three"))
    }
}

/// The headers of a conditional request.
fn conditions(known: &Validator) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let pairs = [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)];
    for (name, value) in pairs {
        if let Some(value) = value.as_deref().and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}
