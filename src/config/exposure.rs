//! Whether others can reach the service, and which credentials it then needs.
use std::net::SocketAddr;

use super::settings::Settings;
use super::values::Problem;
use super::{ConfigError, Credentials};

impl Settings {
    /// Refuses to serve without credentials where others can reach the service, unless the configuration allows it
    /// explicitly.
    pub fn exposure(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let receiver = &self.receiver;
        let receiver_is_unset = receiver.credentials.is_empty() && !receiver.open;
        let webhook_reach = self.webhook_listen.and_then(reach).or_else(|| self.reach());
        if let (true, Some(reach)) = (receiver_is_unset, webhook_reach) {
            problems.push(Problem::new(
                "receiver.token",
                format!("is missing, and {reach}; set it (ACERVO_RECEIVER_TOKEN), or receiver.username and receiver.password, or `receiver.open = true`"),
            ));
        } else if receiver_is_unset && self.has_source_with_credentials() {
            problems.push(Problem::new(
                "receiver.token",
                "is missing: some sources have their own credentials, but /webhook and all other sources would accept notifications \
                 without any; set it (ACERVO_RECEIVER_TOKEN), or receiver.username and receiver.password, or `receiver.open = true`",
            ));
        }
        if let (true, false, Some(reach)) = (self.api.keys.is_empty(), self.api.open, self.reach()) {
            problems.push(Problem::new(
                "api.token",
                format!("is missing, and {reach}; set it (ACERVO_API_TOKEN), add [[api.keys]] (`acervo token new`), or set `api.open = true`"),
            ));
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError(problems)) }
    }

    /// What `receiver.open` opens although some credentials are set, one line each.
    pub fn exposure_warnings(&self) -> Vec<String> {
        let receiver = &self.receiver;
        let mut warnings = Vec::new();
        if receiver.open && !receiver.credentials.is_empty() {
            warnings.push(
                "receiver.open: notifications are accepted without credentials, although receiver.token or receiver.password is set".to_owned(),
            );
        }
        if receiver.open && self.has_source_with_credentials() {
            let with_credentials: Vec<&str> =
                receiver.sources.iter().filter(|(_, own)| !own.is_empty()).map(|(name, _)| name.as_str()).collect();
            warnings.push(format!(
                "receiver.open: /webhook and all sources except {} accept notifications without credentials",
                with_credentials.join(", ")
            ));
        }
        warnings
    }

    fn has_source_with_credentials(&self) -> bool {
        self.receiver.sources.iter().any(|(_, own): &(String, Credentials)| !own.is_empty())
    }

    /// Why others can reach the API; `None` if they cannot.
    fn reach(&self) -> Option<String> {
        reach(self.listen).or_else(|| {
            let public_url = self.public_url.as_deref()?;
            let host = url::Url::parse(public_url).ok()?.host()?.to_owned();
            let is_loopback = match host {
                url::Host::Domain(name) => name == "localhost",
                url::Host::Ipv4(address) => address.is_loopback(),
                url::Host::Ipv6(address) => address.is_loopback(),
            };
            (!is_loopback).then(|| format!("`public_url = \"{public_url}\"` says that others can reach the service"))
        })
    }
}

fn reach(address: SocketAddr) -> Option<String> {
    (!address.ip().to_canonical().is_loopback()).then(|| format!("others can reach {address}"))
}
