//! Which host a request names and which page sent it, so that no foreign page acts through a visitor's browser.
//!
//! A page of another origin is recognised by `Origin` and `Sec-Fetch-Site`, which every browser sends with requests that change
//! something and with WebSockets. A page that reaches this service under its own name (DNS rebinding) is recognised by
//! `Host`. Programs send none of these but `Host`.
use std::net::IpAddr;
use std::str::FromStr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::{Host, Url};

use super::server::Exchange;
use super::{Http, Problem};
use crate::config::Settings;

/// The host that a request is meant for.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostMatch {
    /// Every host that it names is one of ours.
    pub is_ours: bool,
    /// The same, or the configuration names no host.
    pub may_be_ours: bool,
}

/// The names and origins of this service.
#[derive(Debug)]
pub(super) struct Names {
    public: Option<Url>,
    names: Vec<String>,
    origins: Vec<String>,
    listens_on_loopback: bool,
}

impl Names {
    pub fn new(settings: &Settings) -> Self {
        Self {
            public: settings.public_url.as_deref().and_then(|url| Url::parse(url).ok()),
            names: settings.host_names.clone(),
            origins: settings.api.cors_origins.clone(),
            listens_on_loopback: settings.listen.ip().to_canonical().is_loopback(),
        }
    }

    fn named(&self, hosts: &[Authority], listens_on_loopback: bool) -> HostMatch {
        let is_ours = !hosts.is_empty() && hosts.iter().all(|host| self.is_ours(host, listens_on_loopback));
        let is_nameless = self.public.is_none() && self.names.is_empty();
        HostMatch { is_ours, may_be_ours: is_ours || (is_nameless && !listens_on_loopback) }
    }

    fn is_ours(&self, host: &Authority, listens_on_loopback: bool) -> bool {
        let Some(host) = host_of(host) else { return false };
        match address_of(&host) {
            // An address cannot be made to resolve elsewhere, as a name can.
            Some(address) if !listens_on_loopback || address.is_loopback() => true,
            _ => {
                let name = host.to_string();
                let is_public = self.public.as_ref().is_some_and(|url| url.host().is_some_and(|own| own == host));
                name == "localhost" || is_public || self.names.contains(&name)
            }
        }
    }

    /// Whether a page may change something, or no page sent the request.
    fn allows_page(&self, headers: &HeaderMap, hosts: &[Authority], named: HostMatch) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter().peekable();
        let is_listed = |origin: &str| {
            self.origins.iter().any(|listed| listed == origin)
                || self.public.as_ref().is_some_and(|url| url.origin().ascii_serialization() == origin)
        };
        let is_same_site =
            headers.get_all("sec-fetch-site").iter().all(|site| matches!(site.to_str(), Ok("same-origin" | "none")));
        if origins.peek().is_none() {
            return is_same_site;
        }
        origins.all(|origin| {
            let Some(url) = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok()) else { return false };
            if is_listed(&url.origin().ascii_serialization()) {
                return true;
            }
            is_same_site && named.is_ours && hosts.iter().all(|host| is_origin_of(&url, host))
        })
    }
}

/// Whether a page of this origin came from this host and port.
fn is_origin_of(origin: &Url, host: &Authority) -> bool {
    let default = match origin.scheme() {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let own = host_of(host);
    own.is_some()
        && origin.host().map(|host| host.to_owned()) == own
        && origin.port().unwrap_or(default) == host.port_u16().unwrap_or(default)
}

/// The host of an authority; `None` if no browser would send it.
fn host_of(authority: &Authority) -> Option<Host> {
    // What follows the host is a port or nothing: the parser does not check that.
    let port = authority.as_str().strip_prefix(authority.host())?;
    let is_port = |text: &str| text.is_empty() || text.parse::<u16>().is_ok();
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return None;
    }
    Host::parse(authority.host().strip_suffix('.').unwrap_or(authority.host())).ok()
}

fn address_of(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some(IpAddr::from(*address).to_canonical()),
    }
}

/// All hosts that a request names: its target's (HTTP/2's `:authority` too) and its header's.
fn hosts_of(request: &Request) -> Result<Vec<Authority>, Problem> {
    let headers = request.headers().get_all(header::HOST);
    if headers.iter().count() > 1 {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "the request has several Host headers; send one"));
    }
    let mut hosts: Vec<Authority> = request.uri().authority().cloned().into_iter().collect();
    for value in headers {
        let host = value.to_str().ok().and_then(|host| Authority::from_str(host).ok());
        hosts.push(host.ok_or_else(|| {
            Problem::new(StatusCode::BAD_REQUEST, "the Host header is not a host such as `acervo.example.com:8080`")
        })?);
    }
    Ok(hosts)
}

/// Whether a request can change something, or opens a WebSocket.
fn is_guarded(request: &Request) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        || request.headers().contains_key(header::UPGRADE)
        || request.uri().path() == "/graphql/ws"
}

/// Refuses requests from pages of another origin, and attaches which host was named.
pub(super) async fn check(State(http): State<Http>, mut request: Request, next: Next) -> Response {
    let hosts = match hosts_of(&request) {
        Ok(hosts) => hosts,
        Err(problem) => return problem.into_response(),
    };
    let bound = request.extensions().get::<Exchange>().map(|exchange| exchange.connection.bound);
    let on_loopback = bound.map_or(http.names.listens_on_loopback, |bound| bound.ip().to_canonical().is_loopback());
    let named = http.names.named(&hosts, on_loopback);
    if is_guarded(&request) && !http.names.allows_page(request.headers(), &hosts, named) {
        metrics::counter!("acervo_foreign_requests_total", "by" => "origin").increment(1);
        let detail = "a page of another origin must not do this; list its origin in `api.cors_origins`, or set `public_url` to the address this service is reached by";
        return super::bodies::refuse(Problem::new(StatusCode::FORBIDDEN, detail), request).await;
    }
    request.extensions_mut().insert(named);
    next.run(request).await
}

/// The response to a request that names a host which is not ours.
pub(super) fn foreign_host(http: &Http) -> Problem {
    http.app.denied.note_host();
    metrics::counter!("acervo_foreign_requests_total", "by" => "host").increment(1);
    Problem::new(
        StatusCode::FORBIDDEN,
        "the Host of the request is not a name of this service: set `public_url`, or add the name to `host_names` (ACERVO_HOST_NAMES)",
    )
}
