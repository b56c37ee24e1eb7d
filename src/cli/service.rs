//! Finds and queries the service that runs on the data folder.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};

use crate::app;
use crate::config::Settings;

/// A service that takes longer to respond is not ready.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The state of the service.
pub(super) struct Service {
    /// The address that was tried.
    address: Option<SocketAddr>,
    state: State,
}

enum State {
    Ready,
    /// With the reason from the service, or why the request failed.
    NotReady(String),
    NotRunning,
}

impl Service {
    /// Requests `/readyz` of the service.
    pub async fn query(settings: &Settings) -> anyhow::Result<Self> {
        match app::service(&settings.data_dir)? {
            app::Service::Running(Some(address)) => {
                let state = query(reachable(address)).await.unwrap_or_else(|e| State::NotReady(e.to_string()));
                Ok(Self { address: Some(address), state })
            }
            app::Service::Running(None) => {
                Ok(Self { address: None, state: State::NotReady("it is starting".to_owned()) })
            }
            // On a shared database the service may run elsewhere, or under another data folder.
            app::Service::Stopped if settings.database_url.is_some() => {
                let state = query(reachable(settings.listen)).await.unwrap_or(State::NotRunning);
                Ok(Self { address: Some(settings.listen), state })
            }
            app::Service::Stopped => Ok(Self { address: None, state: State::NotRunning }),
        }
    }

    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    pub fn text(&self) -> String {
        let at = self.address.map(|address| format!(" at {address}")).unwrap_or_default();
        match &self.state {
            State::Ready => format!("service              running{at}\nready                yes"),
            State::NotReady(why) => format!("service              running{at}\nready                no: {why}"),
            State::NotRunning => {
                format!("service              not running{at}; start it with `acervo serve`\nready                no")
            }
        }
    }

    pub fn object(&self) -> Value {
        let why = match &self.state {
            State::NotReady(why) => Some(why),
            State::Ready | State::NotRunning => None,
        };
        json!({
            "running": !matches!(self.state, State::NotRunning),
            "address": self.address.map(|address| address.to_string()),
            "notReady": why,
        })
    }
}

async fn query(address: SocketAddr) -> anyhow::Result<State> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(RESPONSE_TIMEOUT).build()?;
    let response = client.get(format!("http://{address}/readyz")).send().await?;
    let status = response.status();
    if status.is_success() {
        return Ok(State::Ready);
    }
    let body: Value = serde_json::from_str(&response.text().await?).unwrap_or_default();
    Ok(State::NotReady(body["detail"].as_str().map_or_else(|| status.to_string(), str::to_owned)))
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
