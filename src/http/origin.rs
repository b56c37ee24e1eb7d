//! Which host a request names and which page sent it, so that no foreign page acts through a visitor's browser.
//!
//! A page of another origin is recognised by `Origin` and `Sec-Fetch-Site`, which every browser sends with requests that change
//! something and with WebSockets. A page that reaches this service under its own name (DNS rebinding) is recognised by
//! `Host`. Programs send none of these but `Host`.
//!
//! Requests that only read are not refused here: a key opens them from anywhere. Those without a key are refused in `auth` where
//! they come from a foreign page or name a foreign host, and a session counts only for requests of our own pages.
use std::net::IpAddr;
use std::str::FromStr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::{Host, Url};

use super::language::say;
use super::server::Exchange;
use super::{Http, Problem};
use crate::config::Settings;

/// The host that a request is meant for, and which page sent it.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostMatch {
    /// Every host that it names is one of ours.
    pub is_ours: bool,
    /// The same, or the configuration names no host.
    pub may_be_ours: bool,
    pub initiator: Initiator,
}

/// What made a client send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Initiator {
    /// One of our pages, the user (an address that was typed), or a program.
    Ours,
    /// A page of an origin in `api.cors_origins`.
    Listed,
    /// A link on a foreign page, which the user followed. That page sees nothing of the response.
    Link,
    /// A foreign page itself.
    Foreign,
}

impl HostMatch {
    /// Nothing is known of a request that came past [`check`].
    pub const UNKNOWN: Self = Self { is_ours: false, may_be_ours: false, initiator: Initiator::Foreign };

    /// Whether a browser's cookie counts: under our name, and in requests of our own pages.
    pub fn takes_cookies(&self) -> bool {
        self.is_ours && self.initiator == Initiator::Ours
    }
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

    fn named(&self, request: &Request, hosts: &[Authority], listens_on_loopback: bool) -> HostMatch {
        let is_ours = !hosts.is_empty() && hosts.iter().all(|host| self.is_ours(host, listens_on_loopback));
        let is_nameless = self.public.is_none() && self.names.is_empty();
        let initiator = self.initiator(request, hosts, is_ours);
        HostMatch { is_ours, may_be_ours: is_ours || (is_nameless && !listens_on_loopback), initiator }
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

    fn initiator(&self, request: &Request, hosts: &[Authority], is_ours: bool) -> Initiator {
        let headers = request.headers();
        let is_public =
            |origin: &str| self.public.as_ref().is_some_and(|url| url.origin().ascii_serialization() == origin);
        let is_same_site =
            headers.get_all("sec-fetch-site").iter().all(|site| matches!(site.to_str(), Ok("same-origin" | "none")));
        let mut of_origins = headers.get_all(header::ORIGIN).iter().map(|origin| {
            let url = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok());
            let Some(url) = url else { return Initiator::Foreign };
            let origin = url.origin().ascii_serialization();
            let is_own = is_public(&origin) || (is_ours && hosts.iter().all(|host| is_origin_of(&url, host)));
            match is_own && is_same_site {
                true => Initiator::Ours,
                false if is_public(&origin) || self.origins.contains(&origin) => Initiator::Listed,
                false => Initiator::Foreign,
            }
        });
        let Some(first) = of_origins.next() else {
            return match is_same_site {
                true => Initiator::Ours,
                false if is_followed_link(request) => Initiator::Link,
                false => Initiator::Foreign,
            };
        };
        // Where there are several, the one that may do least.
        of_origins.fold(
            first,
            |least, next| if least == Initiator::Ours || next == Initiator::Foreign { next } else { least },
        )
    }
}

/// Whether a whole page is requested. One in a frame is not: the page around it could let the user click on it.
fn is_followed_link(request: &Request) -> bool {
    let is = |name: &str, wanted: &str| {
        let mut values = request.headers().get_all(name).iter().peekable();
        values.peek().is_some() && values.all(|value| value.as_bytes() == wanted.as_bytes())
    };
    matches!(*request.method(), Method::GET | Method::HEAD)
        && is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
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
    let names = http.names.get(&http.app);
    let on_loopback = bound.map_or(names.listens_on_loopback, |bound| bound.ip().to_canonical().is_loopback());
    let named = names.named(&request, &hosts, on_loopback);
    if is_guarded(&request) && !matches!(named.initiator, Initiator::Ours | Initiator::Listed) {
        return super::bodies::refuse(foreign_page(), request).await;
    }
    request.extensions_mut().insert(named);
    next.run(request).await
}

/// Refuses requests without a key that name a foreign host or were sent by a foreign page, so that no such page reads what is open.
pub(super) async fn require_own_host(State(http): State<Http>, request: Request, next: Next) -> Response {
    let named = super::auth::named(&request);
    let problem = match named.initiator {
        _ if !named.may_be_ours => foreign_host(&http),
        Initiator::Foreign => foreign_page(),
        Initiator::Ours | Initiator::Listed | Initiator::Link => return next.run(request).await,
    };
    super::bodies::refuse(problem, request).await
}

/// The response to a request of a foreign page.
pub(super) fn foreign_page() -> Problem {
    metrics::counter!("acervo_foreign_requests_total", "by" => "origin").increment(1);
    Problem::new(StatusCode::FORBIDDEN, say!("problem-origin"))
}

/// The response to a request that names a host which is not ours.
pub(super) fn foreign_host(http: &Http) -> Problem {
    http.app.denied.note_host();
    metrics::counter!("acervo_foreign_requests_total", "by" => "host").increment(1);
    Problem::new(StatusCode::FORBIDDEN, say!("problem-host"))
}
