//! What the service may connect to. The client connects to the addresses that were checked: names are resolved by the
//! resolver below, and the client uses its result unchanged.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use secrecy::ExposeSecret;
use url::{Host, Url};

use super::FetchError;
use crate::config::{self, HostPattern};

#[derive(Clone)]
pub(super) struct Guard {
    allowed_hosts: Arc<Vec<HostPattern>>,
    allow_private: bool,
    /// The proxy is configured by the operator and may be a private host.
    proxy_host: Option<String>,
}

/// Returned by the resolver, through the HTTP client.
#[derive(Debug, thiserror::Error)]
#[error("the host resolves to {0}, which is not a public address (fetch.allow_private)")]
pub(super) struct GuardError(IpAddr);

/// Longer host names are not repeated in messages.
const SHOWN_HOST_BYTES_MAX: usize = 100;

/// Longer schemes are not repeated: a piece of a secret may stand there.
const SHOWN_SCHEME_BYTES_MAX: usize = 8;

impl Guard {
    pub fn new(settings: &config::Fetch) -> Self {
        let proxy_host =
            settings.proxy.as_ref().and_then(|url| Url::parse(url.expose_secret()).ok()?.host_str().map(str::to_owned));
        Self {
            allowed_hosts: Arc::new(settings.allowed_hosts.clone()),
            allow_private: settings.allow_private,
            proxy_host,
        }
    }

    /// Whether a file may be requested from this URL.
    pub fn check(&self, url: &Url) -> Result<(), FetchError> {
        let refuse = |reason: String| Err(FetchError::Guarded(reason));
        match url.scheme() {
            "https" => {}
            "http" if self.allow_private => {}
            other if other.len() <= SHOWN_SCHEME_BYTES_MAX => {
                return refuse(format!("the link's scheme is `{other}`, not https"));
            }
            _ => return refuse("the link's scheme is not https".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("the link holds a user name or password".to_owned());
        }
        if let Some(port) = url.port().filter(|_| !self.allow_private) {
            return refuse(format!("the link has the port {port}; only the default port is allowed"));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                // Whatever it resolves to (RFC 6761, 6.3).
                if !self.allow_private && (name == "localhost" || name.ends_with(".localhost")) {
                    return refuse(format!("the link's host `{name}` is this machine (fetch.allow_private)"));
                }
                name
            }
            Some(Host::Ipv4(address)) => self.check_address(address.into())?.to_string(),
            Some(Host::Ipv6(address)) => self.check_address(address.into())?.to_string(),
            None => return refuse("the link has no host".to_owned()),
        };
        if self.allowed_hosts.iter().any(|pattern| pattern.matches(&host)) {
            return Ok(());
        }
        match host.len() {
            ..=SHOWN_HOST_BYTES_MAX => refuse(format!("the link's host `{host}` is not one of fetch.allowed_hosts")),
            length => refuse(format!("the link's host, of {length} bytes, is not one of fetch.allowed_hosts")),
        }
    }

    fn check_address(&self, address: IpAddr) -> Result<IpAddr, FetchError> {
        if self.allow_private || is_public(address) {
            return Ok(address);
        }
        Err(FetchError::Guarded(format!(
            "the link's host is {address}, which is not a public address (fetch.allow_private)"
        )))
    }

    pub fn resolver(&self) -> GuardedResolver {
        let look_up = |host: String| -> Lookup {
            Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), 0)).await?.collect()) })
        };
        GuardedResolver { guard: self.clone(), look_up: Arc::new(look_up) }
    }
}

type Lookup = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// The system's resolver, whose results must all be public. The client connects to these and resolves nothing again, so a
/// name whose addresses change a moment later gains nothing.
pub(super) struct GuardedResolver {
    guard: Guard,
    look_up: Arc<dyn Fn(String) -> Lookup + Send + Sync>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, look_up) = (self.guard.clone(), self.look_up.clone());
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = look_up(host.clone()).await?;
            let exempt = guard.allow_private || guard.proxy_host.as_deref() == Some(host.as_str());
            // A private address among public ones is an attack: none of them is used.
            if let Some(private) = found.iter().find(|address| !exempt && !is_public(address.ip())) {
                return Err(GuardError(private.ip()).into());
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

/// The blocks of the IANA special-purpose registries that are not globally reachable, and multicast.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>
static NOT_PUBLIC: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/23",
        "2001:db8::/32",
        "2620:4f:8000::/48",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ]
    .iter()
    .filter_map(|block| block.parse().ok())
    .collect()
});

fn is_public(address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V6(six) => embedded(six).map_or(IpAddr::V6(six), IpAddr::V4),
        four => four,
    };
    !NOT_PUBLIC.iter().any(|block| block.contains(&address))
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, translated (NAT64) or 6to4.
fn embedded(six: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = six.segments();
    let from = |high: u16, low: u16| {
        let ([w, x], [y, z]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(w, x, y, z))
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => from(high, low),
        (0, 0, 0, 0, 0xffff, 0) => from(high, low),
        (0, 0, 0, 0, 0, 0) if high != 0 => from(high, low),
        (0x2002, ..) => from(b, c),
        _ => None,
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
        let guard = Guard { allowed_hosts: Arc::default(), allow_private: false, proxy_host: None };
        let look_up = move |_: String| -> Lookup {
            let next = left.lock().ok().and_then(|mut left| left.pop()).unwrap_or_default();
            Box::pin(async move { Ok(next) })
        };
        GuardedResolver { guard, look_up: Arc::new(look_up) }
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
    async fn a_private_address_of_a_host_is_not_final() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().dns_resolver(Arc::new(resolver(&[&["10.0.0.1"]]))).build();
        let Ok(client) = client else { panic!("no client") };
        let refused = client.get("https://apps08.ons.org.br/x").send().await.map_err(FetchError::network);
        let Err(error) = refused else { panic!("a response") };
        assert!(error.to_string().contains("resolves to 10.0.0.1"), "{error}");
        assert!(!error.is_final());
    }
}
