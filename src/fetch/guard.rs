//! Which links may be requested. The addresses of their hosts are checked when the client connects (`engine::outgoing`).
use std::net::IpAddr;
use std::sync::Arc;

use secrecy::ExposeSecret;
use url::{Host, Url};

use super::FetchError;
use crate::config::{self, HostPattern};
use crate::domain::is_public;
use crate::engine::outgoing::GuardedResolver;

#[derive(Clone)]
pub(super) struct Guard {
    allowed_hosts: Arc<Vec<HostPattern>>,
    allow_private: bool,
    /// The proxy is configured by the operator and may be a private host.
    proxy_host: Option<String>,
}

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

    pub fn resolver(&self) -> Arc<GuardedResolver> {
        Arc::new(GuardedResolver::new(self.allow_private, self.proxy_host.clone(), "fetch.allow_private"))
    }
}
