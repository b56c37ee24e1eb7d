//! Who can reach the service, and what then needs credentials.
use std::net::SocketAddr;

use super::settings::Settings;
use super::values::Problem;
use super::{ConfigError, Credentials};

impl Settings {
    /// Refuses to serve without credentials what others can reach, unless the configuration says that it is meant.
    pub fn exposure(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let receiver = &self.receiver;
        let receiver_is_unset = receiver.credentials.is_empty() && !receiver.open;
        let webhook_reach = self.webhook_listen.and_then(reach).or_else(|| self.reach());
        if let (true, Some(reach)) = (receiver_is_unset, webhook_reach) {
            problems.push(Problem::new(
                "receiver.token",
                format!("{reach}: set it (ACERVO_RECEIVER_TOKEN), or receiver.username and receiver.password, or say `receiver.open = true`"),
            ));
        } else if receiver_is_unset && self.has_guarded_source() {
            problems.push(Problem::new(
                "receiver.token",
                "sources have credentials of their own, but /webhook and every other name would take notifications without any: \
                 set it (ACERVO_RECEIVER_TOKEN), or receiver.username and receiver.password, or say `receiver.open = true`",
            ));
        }
        if let (true, false, Some(reach)) = (self.api.keys.is_empty(), self.api.open, self.reach()) {
            problems.push(Problem::new(
                "api.token",
                format!("{reach}: set it (ACERVO_API_TOKEN) or add [[api.keys]] (`acervo token new`), or say `api.open = true`"),
            ));
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError(problems)) }
    }

    /// What is open by `receiver.open` although some credentials are set, a line each.
    pub fn exposure_warnings(&self) -> Vec<String> {
        let receiver = &self.receiver;
        let mut warnings = Vec::new();
        if receiver.open && !receiver.credentials.is_empty() {
            warnings.push(
                "receiver.open: notifications are taken without credentials, although receiver.token or receiver.password is set".to_owned(),
            );
        }
        if receiver.open && self.has_guarded_source() {
            let guarded: Vec<&str> =
                receiver.sources.iter().filter(|(_, own)| !own.is_empty()).map(|(name, _)| name.as_str()).collect();
            warnings.push(format!(
                "receiver.open: /webhook and every name but {} take notifications without credentials",
                guarded.join(", ")
            ));
        }
        warnings
    }

    fn has_guarded_source(&self) -> bool {
        self.receiver.sources.iter().any(|(_, own): &(String, Credentials)| !own.is_empty())
    }

    /// Why others reach the API, if they do.
    fn reach(&self) -> Option<String> {
        reach(self.listen).or_else(|| {
            let public_url = self.public_url.as_deref()?;
            let host = url::Url::parse(public_url).ok()?.host()?.to_owned();
            let is_loopback = match host {
                url::Host::Domain(name) => name == "localhost",
                url::Host::Ipv4(address) => address.is_loopback(),
                url::Host::Ipv6(address) => address.is_loopback(),
            };
            (!is_loopback).then(|| format!("`public_url = \"{public_url}\"` says that others reach the service"))
        })
    }
}

fn reach(address: SocketAddr) -> Option<String> {
    (!address.ip().to_canonical().is_loopback()).then(|| format!("{address} can be reached by others"))
}
