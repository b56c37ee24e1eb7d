//! fetch: an announced link becomes a bounded stream of bytes, or an error that says whether a retry helps.
//!
//! Connects to nothing that the guard has not passed: scheme, host, port, and every address at the moment it is dialled,
//! for the link and for each redirect. Knows no database and no archive. No error holds a link.
mod download;
mod error;
mod guard;
mod hosts;
mod name;

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LOCATION};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;
use url::Url;

pub use download::Download;
pub use error::FetchError;
pub use hosts::{Health, Hosts, Turn, Visit};
pub use name::{from_disposition, percent_decoded};

use crate::config;
use crate::domain::{Link, Validator};
use guard::Guard;

/// Redirects followed.
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

/// What a portal says when it is asked for a file.
pub enum Answer {
    /// Its bytes are coming.
    File(Box<Download>),
    /// It is still the one that was told of.
    NotModified,
}

impl Fetcher {
    pub fn new(settings: &config::Fetch) -> Result<Self, FetchError> {
        // An error means that it is there already.
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

    /// How the hosts are.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Asks for a link's file; where `known` is given, only if it is another one by now. The body is yet to be read.
    pub async fn get(&self, link: &Link, known: Option<&Validator>) -> Result<Answer, FetchError> {
        let mut headers = known.map(conditions).unwrap_or_default();
        // Compressed transfers would hide how much is coming; a portal that compresses all the same is decoded.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut url =
            Url::parse(link.expose()).map_err(|_| FetchError::Guarded("the link is no address".to_owned()))?;
        for redirects in 0..=REDIRECTS_MAX {
            let checked = self.guard.check(&url);
            // Where a portal redirects to is its answer of the moment, and no property of the link.
            checked.map_err(|e| match e {
                FetchError::Guarded(refusal) if redirects > 0 => FetchError::Astray(format!("redirected: {refusal}")),
                other => other,
            })?;
            let request = self.client.get(url.clone()).headers(headers.clone());
            let response = request.send().await.map_err(FetchError::network)?;
            if response.status() == StatusCode::NOT_MODIFIED && known.is_some() {
                return Ok(Answer::NotModified);
            }
            if !response.status().is_redirection() {
                return Download::new(response, self.max_bytes, self.stall).map(|file| Answer::File(Box::new(file)));
            }
            let target = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            url = target.and_then(|to| url.join(to).ok()).ok_or(FetchError::Redirect("it names no address"))?;
        }
        Err(FetchError::Redirect("there are more than three"))
    }
}

/// The headers that ask for a file only if it is another one by now.
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
