//! How files are fetched: from which hosts, how many at once, and when again.
use std::time::Duration;

use secrecy::SecretString;

use super::layers::Layers;
use super::values::{self, HostPattern, Problem};

#[derive(Clone, Debug)]
pub struct Fetch {
    pub allowed_hosts: Vec<HostPattern>,
    pub allow_private: bool,
    pub max_bytes: u64,
    /// May contain credentials.
    pub proxy: Option<SecretString>,
    pub retry_first: Duration,
    pub retry_max: Duration,
    pub stall: Duration,
    pub concurrency: usize,
    pub concurrency_per_host: usize,
    /// How long before a link expires an alarm is logged if its file is still to be fetched.
    pub warn_before: Duration,
}

impl Fetch {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let allowed_hosts = layers.list("fetch.allowed_hosts", HostPattern::parse);
        if allowed_hosts.is_empty() && layers.problems.iter().all(|problem| problem.key != "fetch.allowed_hosts") {
            layers.problems.push(Problem::new(
                "fetch.allowed_hosts",
                "has no host, so no file could be fetched; give at least one, such as \"*.ons.org.br\"",
            ));
        }
        let allow_private = layers.get("fetch.allow_private", values::flag);
        let max_bytes = layers.get("fetch.max_bytes", values::positive_size);
        layers.secret_from_file("fetch.proxy");
        let proxy = layers.get("fetch.proxy", |value| match url::Url::parse(value) {
            Ok(url) if url.scheme() == "http" && url.has_host() => Ok(SecretString::from(value)),
            _ => Err("is not a valid address; expected one such as \"http://proxy.example.com:3128\"".to_owned()),
        });
        let retry_first = layers.get("fetch.retry_first", values::duration);
        let retry_max = layers.get("fetch.retry_max", values::duration);
        let stall = layers.get("fetch.stall", values::duration);
        let concurrency = layers.get("fetch.concurrency", values::count);
        let concurrency_per_host = layers.get("fetch.concurrency_per_host", values::count);
        let warn_before = layers.get("fetch.warn_before", values::duration);
        Some(Self {
            allowed_hosts,
            allow_private: allow_private?,
            max_bytes: max_bytes?,
            proxy,
            retry_first: retry_first?,
            retry_max: retry_max?,
            stall: stall?,
            concurrency: concurrency?,
            concurrency_per_host: concurrency_per_host?,
            warn_before: warn_before?,
        })
    }
}
