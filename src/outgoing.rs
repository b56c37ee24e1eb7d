//! outgoing: what the HTTP clients of this service share, above all the guard of the addresses that they connect to. A client
//! resolves names with [`GuardedResolver`] and connects to its result unchanged, so what was checked is what is connected to.
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::domain::is_public;

/// A host resolves to an address that is not public. Returned by the resolver, through the HTTP client.
#[derive(Debug, thiserror::Error)]
#[error("the host resolves to {address}, which is not a public address ({setting})")]
pub struct PrivateAddress {
    address: IpAddr,
    /// The key that allows such addresses.
    setting: &'static str,
}

impl PrivateAddress {
    /// The message of this error, if it is the cause of another.
    pub fn cause_of(error: &(dyn std::error::Error + 'static)) -> Option<String> {
        match error.downcast_ref::<Self>() {
            Some(error) => Some(error.to_string()),
            None => Self::cause_of(error.source()?),
        }
    }
}

/// The message of an error and of all its causes, each once.
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// How long a response asks to wait. The header is a number of seconds or a date; a date in the past asks for no delay.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Duration::try_from(at.duration_since(jiff::Timestamp::now())).ok()
}

type Lookup = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// The system's resolver, whose results must all be public. The client connects to these and resolves nothing again, so a
/// name whose addresses change a moment later gains nothing.
#[derive(Clone)]
pub struct GuardedResolver {
    allow_private: bool,
    /// A host that the operator has configured, such as a proxy, and that may be private.
    exempt: Option<String>,
    setting: &'static str,
    look_up: Arc<dyn Fn(String) -> Lookup + Send + Sync>,
}

impl GuardedResolver {
    /// `setting` is the key that `allow_private` is set by.
    pub fn new(allow_private: bool, exempt: Option<String>, setting: &'static str) -> Self {
        let look_up = |host: String| -> Lookup {
            Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), 0)).await?.collect()) })
        };
        Self { allow_private, exempt, setting, look_up: Arc::new(look_up) }
    }

    /// The addresses of a host.
    pub async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found = (self.look_up)(host.to_owned()).await?;
        let is_exempt = self.allow_private || self.exempt.as_deref() == Some(host);
        // A private address among public ones is an attack: none of them is used.
        match found.iter().find(|address| !is_exempt && !is_public(address.ip())) {
            Some(private) => Err(PrivateAddress { address: private.ip(), setting: self.setting }.into()),
            None => Ok(found),
        }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses: Addrs = Box::new(resolver.addresses(name.as_str()).await?.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
#[allow(clippy::panic, reason = "a test that cannot continue ends")]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A resolver that returns one result after the other.
    fn resolver(answers: &[&[&str]]) -> GuardedResolver {
        let parse = |answer: &&[&str]| {
            answer.iter().filter_map(|address| Some(SocketAddr::new(address.parse().ok()?, 0))).collect()
        };
        let left: Mutex<Vec<Vec<SocketAddr>>> = Mutex::new(answers.iter().rev().map(parse).collect());
        let look_up = move |_: String| -> Lookup {
            let next = left.lock().ok().and_then(|mut left| left.pop()).unwrap_or_default();
            Box::pin(async move { Ok(next) })
        };
        GuardedResolver {
            allow_private: false,
            exempt: None,
            setting: "fetch.allow_private",
            look_up: Arc::new(look_up),
        }
    }

    async fn ask(resolver: &GuardedResolver) -> Option<Vec<String>> {
        let name: Name = "apps08.ons.org.br".parse().ok()?;
        Some(resolver.resolve(name).await.ok()?.map(|address| address.ip().to_string()).collect())
    }

    #[tokio::test]
    async fn a_name_that_changes_its_mind_gains_nothing() {
        let resolver = resolver(&[
            &["200.155.1.1"],
            &["127.0.0.1"],
            &["200.155.1.1", "10.0.0.1"],
            &["2800:1::1", "::ffff:169.254.169.254"],
            &["2800:1::1"],
        ]);
        // One look-up each: the client connects to the addresses that were checked.
        assert_eq!(ask(&resolver).await, Some(vec!["200.155.1.1".to_owned()]));
        assert_eq!(ask(&resolver).await, None);
        assert_eq!(ask(&resolver).await, None, "one private address among public ones");
        assert_eq!(ask(&resolver).await, None, "in any form");
        assert_eq!(ask(&resolver).await, Some(vec!["2800:1::1".to_owned()]));
    }

    #[tokio::test]
    async fn the_private_address_of_a_host_is_the_cause_of_the_error() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().dns_resolver(Arc::new(resolver(&[&["10.0.0.1"]]))).build();
        let Ok(client) = client else { panic!("no client") };
        let refused = client.get("https://apps08.ons.org.br/x").send().await;
        let Err(error) = refused else { panic!("a response") };
        let cause = PrivateAddress::cause_of(&error);
        assert!(cause.is_some_and(|cause| cause.contains("resolves to 10.0.0.1")), "{error}");
    }
}
