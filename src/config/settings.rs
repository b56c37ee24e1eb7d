//! The settings as the program uses them.
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use super::layers::Layers;
use super::values::{self, Problem};
use super::{
    Api, ArchiveLocation, Compact, ConfigError, Content, Database, Fetch, Hooks, Query, Receiver, Retention, Verify,
};
use crate::domain::{Digest, RevisionId};

/// All settings, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    /// A second address that serves only the webhook.
    pub webhook_listen: Option<SocketAddr>,
    /// How long new connections are still accepted after the service was asked to stop.
    pub stop_delay: Duration,
    /// Host names of this service in addition to loopback names and the host of `public_url`, in lower case.
    pub host_names: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    pub data_dir: PathBuf,
    /// Without a trailing slash.
    pub public_url: Option<String>,
    /// The name of this service among those that share a database.
    pub replica_name: Option<String>,
    /// May contain a password.
    pub database_url: Option<SecretString>,
    pub database: Database,
    /// Where the archive is, if not in `archive/` of the data folder.
    pub archive: Option<ArchiveLocation>,
    pub receiver: Receiver,
    pub api: Api,
    pub fetch: Fetch,
    pub disk: Disk,
    pub downloads: Downloads,
    pub query: Query,
    pub retention: Retention,
    pub verify: Verify,
    pub compact: Compact,
    pub content: Content,
    pub hooks: Hooks,
    /// Values that are allowed but probably a mistake.
    pub warnings: Vec<Problem>,
    pub metrics_open: bool,
    pub log_level: String,
    pub log_format: Option<LogFormat>,
    /// Log a line for each request.
    pub log_access: bool,
    /// The collector that spans are sent to; none without one.
    pub otlp_endpoint: Option<Url>,
    /// The digest of every value as it is written, by key: tells what changed.
    pub(super) written: BTreeMap<String, Digest>,
}

/// Free disk space to maintain, in bytes. Where absent, it is derived from the size of the disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// Below it no file is fetched.
    pub fetch_floor: Option<u64>,
    /// Below it no notification is accepted.
    pub receive_floor: Option<u64>,
}

/// Limits on downloads.
#[derive(Clone, Debug)]
pub struct Downloads {
    pub at_once: usize,
    pub per_key: usize,
    /// A client that reads nothing for this long is disconnected.
    pub stall: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Settings {
    /// Where the archive is.
    pub fn archive(&self) -> ArchiveLocation {
        self.archive.clone().unwrap_or_else(|| ArchiveLocation::Folder(self.data_dir.join("archive")))
    }

    /// The name of this service among those that share a database: as it is set, else that of the machine and of the data folder.
    pub fn replica_name(&self) -> String {
        self.replica_name.clone().unwrap_or_else(|| {
            let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let folder = std::path::absolute(&self.data_dir).ok();
            let folder = folder.as_deref().and_then(|folder| folder.file_name()).unwrap_or_default();
            format!("{}/{}", machine.trim(), folder.to_string_lossy())
        })
    }

    /// The `fileUrl` of a revision: absolute if the public address is known.
    pub fn file_url(&self, id: RevisionId) -> String {
        format!("{}/files/{id}", self.public_url.as_deref().unwrap_or_default())
    }

    /// Reads every key once, so that a key that was not read is known to be misspelt.
    pub(super) fn read(mut layers: Layers) -> Result<Self, ConfigError> {
        let listen = layers.get("listen", address);
        let webhook_listen = layers.get("webhook_listen", address);
        let stop_delay = layers.get("stop_delay", stop_delay);
        let host_names = layers.list("host_names", host_name);
        let trusted_proxies = layers.list("trusted_proxies", network);
        let data_dir = layers.get("data_dir", |value| Ok(PathBuf::from(value)));
        let public_url = layers.get("public_url", public_url);
        let replica_name = layers.get("replica_name", replica_name);
        layers.secret_from_file("database_url");
        let database_url = layers.get("database_url", database_url);
        let database = Database::read(&mut layers);
        let archive = super::archive::read(&mut layers);
        let receiver = Receiver::read(&mut layers);
        let api = Api::read(&mut layers);
        let fetch = Fetch::read(&mut layers);
        let disk = Disk {
            fetch_floor: layers.get("disk.fetch_floor", values::size),
            receive_floor: layers.get("disk.receive_floor", values::size),
        };
        let downloads = downloads(&mut layers);
        let query = Query::read(&mut layers);
        let retention = Retention::read(&mut layers);
        let verify = Verify::read(&mut layers);
        let compact = Compact::read(&mut layers);
        let content = Content::read(&mut layers);
        let hooks = Hooks::read(&mut layers);
        let metrics_open = layers.get("metrics.open", values::flag).unwrap_or_default();
        let log_level = layers.get("log.level", log_level).unwrap_or_else(|| "info".to_owned());
        let log_format = layers.get("log.format", |value| match value {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("`{value}` is not valid; expected text or json")),
        });
        let log_access = layers.get("log.access", values::flag).unwrap_or_default();
        let otlp_endpoint = layers.get("log.otlp_endpoint", collector);
        let written = layers.digests();
        let mut problems = layers.unknown_keys();
        problems.append(&mut layers.problems);
        match (
            listen, stop_delay, data_dir, database, receiver, fetch, downloads, query, retention, verify, compact,
            content, hooks,
        ) {
            (
                Some(listen),
                Some(stop_delay),
                Some(data_dir),
                Some(database),
                Some(receiver),
                Some(fetch),
                Some(downloads),
                Some(query),
                Some(retention),
                Some(verify),
                Some(compact),
                Some(content),
                Some(hooks),
            ) if problems.is_empty() => Ok(Self {
                listen,
                webhook_listen,
                stop_delay,
                host_names,
                trusted_proxies,
                data_dir,
                public_url,
                replica_name,
                database_url,
                database,
                archive,
                receiver,
                api,
                fetch,
                disk,
                downloads,
                query,
                retention,
                verify,
                compact,
                content,
                hooks,
                warnings: layers.warnings,
                metrics_open,
                log_level,
                log_format,
                log_access,
                otlp_endpoint,
                written,
            }),
            _ => Err(ConfigError(problems)),
        }
    }
}

fn address(value: &str) -> Result<SocketAddr, String> {
    value.parse().map_err(|_| format!("`{value}` is not a valid address; expected one such as \"127.0.0.1:8080\""))
}

/// Characters of the name of a replica.
const REPLICA_NAME_MAX: usize = 100;

fn replica_name(value: &str) -> Result<String, String> {
    let name = value.trim();
    let is_valid = !name.is_empty() && name.chars().count() <= REPLICA_NAME_MAX && !name.chars().any(char::is_control);
    let problem = || format!("`{value}` is not valid; expected 1 to {REPLICA_NAME_MAX} characters on one line");
    is_valid.then(|| name.to_owned()).ok_or_else(problem)
}

/// Supervisors that end what does not stop wait for little more than this.
const STOP_DELAY_MAX: Duration = Duration::from_secs(60);

fn stop_delay(value: &str) -> Result<Duration, String> {
    let delay = values::duration(value)?;
    if delay > STOP_DELAY_MAX {
        return Err(format!("`{value}` is too long; expected at most \"60s\""));
    }
    Ok(delay)
}

/// The message does not repeat the value, which may contain a key.
fn collector(value: &str) -> Result<Url, String> {
    let wrong = || "is not a valid URL; expected one such as http://127.0.0.1:4318".to_owned();
    let url = Url::parse(value).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong());
    }
    let has_more = url.query().is_some() || url.fragment().is_some();
    if has_more || !url.username().is_empty() || url.password().is_some() {
        return Err("has more than an address; give a key as a header, in OTEL_EXPORTER_OTLP_HEADERS".to_owned());
    }
    Ok(url)
}

fn host_name(value: &str) -> Result<String, String> {
    match url::Host::parse(value.trim_end_matches('.')) {
        Ok(host) => Ok(host.to_string()),
        Err(_) => {
            Err(format!("`{value}` is not a valid host name; expected one without a port, such as \"acervo.internal\""))
        }
    }
}

fn network(value: &str) -> Result<IpNet, String> {
    let network = value.parse::<IpNet>().or_else(|_| value.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| format!("`{value}` is not a valid address or network; expected one such as \"10.0.0.0/8\""))
}

fn downloads(layers: &mut Layers) -> Option<Downloads> {
    let at_once = layers.get("downloads.at_once", values::count);
    let per_key = layers.get("downloads.per_key", values::count);
    let stall = layers.get("downloads.stall", values::duration);
    Some(Downloads { at_once: at_once?, per_key: per_key?, stall: stall? })
}

fn public_url(value: &str) -> Result<String, String> {
    match url::Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(value.trim_end_matches('/').to_owned())
        }
        _ => Err(format!("`{value}` is not a valid address; expected one such as \"https://acervo.example.com\"")),
    }
}

fn database_url(value: &str) -> Result<SecretString, String> {
    let known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| value.starts_with(scheme));
    // The value may contain a password, so it is not repeated.
    if known {
        Ok(SecretString::from(value))
    } else {
        Err("is not a valid database URL; expected one that begins with sqlite:// or postgres://".to_owned())
    }
}

fn log_level(value: &str) -> Result<String, String> {
    match value.parse::<tracing_subscriber::EnvFilter>() {
        Ok(_) => Ok(value.to_owned()),
        Err(_) => Err(format!("`{value}` is not a valid level; expected error, warn, info, debug, trace or a filter")),
    }
}
