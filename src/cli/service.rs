//! Finds and queries the service that runs on the data folder.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::language::{language, say};
use super::output::line;
use crate::app;
use crate::config::Settings;
use crate::lang::{Lang, text};

/// A service that takes longer to respond is not ready.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// For a command to the service.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);

/// The state of the service.
pub(super) struct Service {
    /// The address that was tried.
    address: Option<SocketAddr>,
    state: State,
    /// Hosts that it sends no requests to for a while, and until when.
    paused_hosts: Vec<(String, Timestamp)>,
}

/// What a service answers that is ready.
#[derive(Deserialize)]
struct Ready {
    #[serde(default, rename = "pausedHosts")]
    paused_hosts: Vec<PausedHost>,
}

#[derive(Deserialize)]
struct PausedHost {
    host: String,
    until: Timestamp,
}

enum State {
    Ready,
    Starting,
    /// With the reason from the service, or why the request failed.
    NotReady(String),
    NotRunning,
}

impl Service {
    /// Requests `/readyz` of the service.
    pub async fn query(settings: &Settings) -> anyhow::Result<Self> {
        let (address, answer) = match app::service(&settings.data_dir)? {
            app::Service::Running(Some(address)) => {
                let answer = query(reachable(address)).await;
                (Some(address), answer.unwrap_or_else(|e| (State::NotReady(e.to_string()), Vec::new())))
            }
            app::Service::Running(None) => (None, (State::Starting, Vec::new())),
            // On a shared database the service may run elsewhere, or under another data folder.
            app::Service::Stopped if settings.database_url.is_some() => {
                let answer = query(reachable(settings.listen)).await;
                (Some(settings.listen), answer.unwrap_or((State::NotRunning, Vec::new())))
            }
            app::Service::Stopped => (None, (State::NotRunning, Vec::new())),
        };
        let (state, paused_hosts) = answer;
        Ok(Self { address, state, paused_hosts })
    }

    pub fn paused_hosts(&self) -> &[(String, Timestamp)] {
        &self.paused_hosts
    }

    /// Why the service is not ready, if it runs and is not.
    fn why(&self, lang: Lang) -> Option<String> {
        match &self.state {
            State::NotReady(why) => Some(lang.error(why).into_owned()),
            State::Starting => Some(text!(lang, "cli-status-starting")),
            State::Ready | State::NotRunning => None,
        }
    }

    /// What is wrong with the service and what helps, if something is.
    pub fn need(&self, lang: Lang) -> Option<(String, String)> {
        match (self.why(lang), &self.state) {
            (Some(why), _) => {
                Some((text!(lang, "cli-need-not-ready", why = why), text!(lang, "cli-need-not-ready-helps")))
            }
            (None, State::NotRunning) => {
                Some((text!(lang, "cli-need-not-running"), text!(lang, "cli-need-not-running-helps")))
            }
            (None, _) => None,
        }
    }

    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    pub fn text(&self) -> String {
        let at = self.address.map(|address| say!("cli-status-at", address = address.to_string())).unwrap_or_default();
        let (service, ready) = match (self.why(language()), &self.state) {
            (Some(why), _) => (say!("cli-status-running", at = at), say!("cli-status-not-ready", why = why)),
            (None, State::NotRunning) => (say!("cli-status-not-running", at = at), say!("cli-status-no")),
            (None, _) => (say!("cli-status-running", at = at), say!("cli-status-yes")),
        };
        format!("{}\n{}", line(&say!("cli-status-service"), &service), line(&say!("cli-status-ready"), &ready))
    }

    pub fn object(&self) -> Value {
        json!({
            "running": !matches!(self.state, State::NotRunning),
            "address": self.address.map(|address| address.to_string()),
            "notReady": self.why(Lang::English),
        })
    }
}

async fn query(address: SocketAddr) -> anyhow::Result<(State, Vec<(String, Timestamp)>)> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(RESPONSE_TIMEOUT).build()?;
    let response = client.get(format!("http://{address}/readyz")).send().await?;
    let status = response.status();
    if status.is_success() {
        let ready: Ready = serde_json::from_str(&response.text().await?)?;
        let paused = ready.paused_hosts.into_iter().map(|paused| (paused.host, paused.until));
        return Ok((State::Ready, paused.collect()));
    }
    let body: Value = serde_json::from_str(&response.text().await?).unwrap_or_default();
    let why = body["detail"].as_str().map_or_else(|| status.to_string(), str::to_owned);
    Ok((State::NotReady(why), Vec::new()))
}

/// The address to connect to: loopback if the service listens on every interface.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// What came of telling the running service something.
pub(super) enum Told {
    Done(Value),
    NotRunning,
    /// With the reason.
    Failed(String),
}

/// Tells the service that runs on the data folder to do something, and waits until it has.
pub(super) async fn tell(settings: &Settings, command: &str) -> anyhow::Result<Told> {
    let address = match app::service(&settings.data_dir)? {
        app::Service::Stopped => return Ok(Told::NotRunning),
        app::Service::Running(None) => return Ok(Told::Failed(say!("cli-status-starting"))),
        app::Service::Running(Some(address)) => address,
    };
    let Some(token) = app::control_token(&settings.data_dir) else {
        return Ok(Told::Failed(say!("cli-status-other-version")));
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(CONTROL_TIMEOUT).build()?;
    let request = client.post(format!("http://{}/control/{command}", reachable(address))).bearer_auth(token);
    let response = match request.send().await {
        Ok(response) => response,
        Err(e) => return Ok(Told::Failed(e.to_string())),
    };
    let status = response.status();
    let body: Value = serde_json::from_str(&response.text().await?).unwrap_or_default();
    if status.is_success() {
        return Ok(Told::Done(body));
    }
    Ok(Told::Failed(body["detail"].as_str().map_or_else(|| status.to_string(), str::to_owned)))
}
