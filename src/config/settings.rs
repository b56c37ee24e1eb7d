//! The settings as the program uses them.
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use super::ConfigError;
use super::layers::Layers;
use super::query::Query;
use super::retention::Retention;
use super::values::{self, HostPattern, Problem};
use crate::domain::Digest;

/// All settings, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    /// A second address that serves only the webhook.
    pub webhook_listen: Option<SocketAddr>,
    /// Host names of this service in addition to loopback names and the host of `public_url`, in lower case.
    pub host_names: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    pub data_dir: PathBuf,
    /// Without a trailing slash.
    pub public_url: Option<String>,
    /// May contain a password.
    pub database_url: Option<SecretString>,
    pub archive_dir: Option<PathBuf>,
    pub receiver: Receiver,
    pub api: Api,
    pub fetch: Fetch,
    pub disk: Disk,
    pub downloads: Downloads,
    pub query: Query,
    pub retention: Retention,
    /// Values that are allowed but probably a mistake.
    pub warnings: Vec<Problem>,
    pub metrics_open: bool,
    pub log_level: String,
    pub log_format: Option<LogFormat>,
}

#[derive(Clone, Debug)]
pub struct Receiver {
    /// For the source `default`, and for every source without its own credentials.
    pub credentials: Credentials,
    pub sources: Vec<(String, Credentials)>,
    pub open: bool,
    pub queue: usize,
    /// The number of notifications from which a burst is a replay.
    pub replay_at_least: usize,
    /// The longest time between two notifications of a replay.
    pub replay_gap: Duration,
    /// No source is reported silent before this time.
    pub silence_floor: Duration,
}

/// The credentials that a source may send; any one of them is accepted.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    pub basic: Option<(String, SecretString)>,
    pub tokens: Vec<SecretString>,
}

impl Credentials {
    pub fn is_empty(&self) -> bool {
        self.basic.is_none() && self.tokens.is_empty()
    }
}

#[derive(Clone, Debug)]
pub struct Api {
    pub keys: Vec<ApiKey>,
    /// Origins of web pages that may use the API from a browser.
    pub cors_origins: Vec<String>,
    pub open: bool,
}

/// Only the digest of a key is stored. Keys are random, so a fast hash is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub name: String,
    pub role: Role,
    pub hash: Digest,
}

/// What a key may do. Each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Reader,
    Operator,
    Admin,
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "reader" => Ok(Self::Reader),
            "operator" => Ok(Self::Operator),
            "admin" => Ok(Self::Admin),
            _ => Err(format!("`{text}` is not one of reader, operator, admin")),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Admin => "admin",
        })
    }
}

/// The hash of a key as `acervo.toml` holds it.
pub fn hash_of_key(key: &str) -> String {
    format!("sha256:{}", Digest::of(key.as_bytes()))
}

#[derive(Clone, Debug)]
pub struct Fetch {
    pub allowed_hosts: Vec<HostPattern>,
    pub allow_private: bool,
    pub max_bytes: u64,
    /// May contain credentials.
    pub proxy: Option<SecretString>,
    pub retry_first: Duration,
    pub retry_max: Duration,
    pub stall: Duration,
    pub concurrency: usize,
    pub concurrency_per_host: usize,
    /// How long before a link expires an alarm is logged if its file is still to be fetched.
    pub warn_before: Duration,
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
    /// Reads every key once, so that a key that was not read is known to be misspelt.
    pub(super) fn read(mut layers: Layers) -> Result<Self, ConfigError> {
        let listen = layers.get("listen", address);
        let webhook_listen = layers.get("webhook_listen", address);
        let host_names = layers.list("host_names", host_name);
        let trusted_proxies = layers.list("trusted_proxies", network);
        let data_dir = layers.get("data_dir", |value| Ok(PathBuf::from(value)));
        let public_url = layers.get("public_url", public_url);
        let database_url = layers.get("database_url", database_url);
        let archive_dir = layers.get("archive_url", archive_dir);
        let receiver = receiver(&mut layers);
        let api = api(&mut layers);
        let fetch = fetch(&mut layers);
        let disk = Disk {
            fetch_floor: layers.get("disk.fetch_floor", values::size),
            receive_floor: layers.get("disk.receive_floor", values::size),
        };
        let downloads = downloads(&mut layers);
        let query = Query::read(&mut layers);
        let retention = Retention::read(&mut layers);
        let metrics_open = layers.get("metrics.open", values::flag).unwrap_or_default();
        let log_level = layers.get("log.level", log_level).unwrap_or_else(|| "info".to_owned());
        let log_format = layers.get("log.format", |value| match value {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("`{value}` is not valid; expected text or json")),
        });
        let mut problems = layers.unknown_keys();
        problems.append(&mut layers.problems);
        match (listen, data_dir, receiver, fetch, downloads, query, retention) {
            (
                Some(listen),
                Some(data_dir),
                Some(receiver),
                Some(fetch),
                Some(downloads),
                Some(query),
                Some(retention),
            ) if problems.is_empty() => Ok(Self {
                listen,
                webhook_listen,
                host_names,
                trusted_proxies,
                data_dir,
                public_url,
                database_url,
                archive_dir,
                receiver,
                api,
                fetch,
                disk,
                downloads,
                query,
                retention,
                warnings: layers.warnings,
                metrics_open,
                log_level,
                log_format,
            }),
            _ => Err(ConfigError(problems)),
        }
    }
}

fn receiver(layers: &mut Layers) -> Option<Receiver> {
    let own = credentials(layers, "receiver");
    let sources = layers
        .children("receiver.sources")
        .into_iter()
        .map(|key| (key.rsplit('.').next().unwrap_or_default().to_owned(), credentials(layers, &key)))
        .collect();
    Some(Receiver {
        credentials: own,
        sources,
        open: layers.get("receiver.open", values::flag).unwrap_or_default(),
        queue: layers.get("receiver.queue", values::count)?,
        replay_at_least: layers.get("receiver.replay_at_least", values::count)?,
        replay_gap: layers.get("receiver.replay_gap", values::duration)?,
        silence_floor: layers.get("receiver.silence_floor", values::duration)?,
    })
}

fn credentials(layers: &mut Layers, key: &str) -> Credentials {
    let username = layers.secret(&format!("{key}.username"), values::username);
    let password = layers.secret(&format!("{key}.password"), values::credential);
    // White space around a header value is not part of it, so it is trimmed from tokens.
    let tokens = layers.list(&format!("{key}.token"), |value| values::credential(value).map(SecretString::from));
    let basic = match (username, password) {
        (Some(username), Some(password)) => Some((username, SecretString::from(password))),
        (None, None) => None,
        (Some(_), None) => {
            layers.problems.push(Problem::new(&format!("{key}.password"), "is missing; a username needs one"));
            None
        }
        (None, Some(_)) => {
            layers.problems.push(Problem::new(&format!("{key}.username"), "is missing; a password needs one"));
            None
        }
    };
    Credentials { basic, tokens }
}

fn api(layers: &mut Layers) -> Api {
    let mut keys = Vec::new();
    if let Some(token) = layers.get("api.token", values::api_key) {
        keys.push(ApiKey { name: "api.token".to_owned(), role: Role::Admin, hash: Digest::of(token.as_bytes()) });
    } else if layers.has("api.token") && layers.problems.iter().all(|problem| problem.key != "api.token") {
        layers.problems.push(Problem::new("api.token", "is blank: write a key, or leave it out"));
    }
    for key in layers.children("api.keys") {
        let name = layers.get(&format!("{key}.name"), values::text).unwrap_or_else(|| key.clone());
        let role = layers.get(&format!("{key}.role"), Role::from_str);
        let hash = layers.get(&format!("{key}.hash"), |value| {
            let wrong = || {
                "is not a valid hash; expected sha256: and 64 hexadecimal digits, as `acervo token new` prints it"
                    .to_owned()
            };
            value.strip_prefix("sha256:").ok_or_else(wrong)?.parse().map_err(|()| wrong())
        });
        if let (Some(role), Some(hash)) = (role, hash) {
            keys.push(ApiKey { name, role, hash });
            continue;
        }
        // An invalid value was reported when it was read.
        for (name, hint) in [("role", "give reader, operator or admin"), ("hash", "`acervo token new` prints one")] {
            let key = format!("{key}.{name}");
            if !layers.has(&key) {
                layers.problems.push(Problem::new(&key, format!("is missing; {hint}")));
            }
        }
    }
    let cors_origins = layers.list("api.cors_origins", origin);
    Api { keys, cors_origins, open: layers.get("api.open", values::flag).unwrap_or_default() }
}

fn fetch(layers: &mut Layers) -> Option<Fetch> {
    let allowed_hosts = layers.list("fetch.allowed_hosts", HostPattern::parse);
    if allowed_hosts.is_empty() && layers.problems.iter().all(|problem| problem.key != "fetch.allowed_hosts") {
        layers.problems.push(Problem::new(
            "fetch.allowed_hosts",
            "has no host, so no file could be fetched; give at least one, such as \"*.ons.org.br\"",
        ));
    }
    let allow_private = layers.get("fetch.allow_private", values::flag);
    let max_bytes = layers.get("fetch.max_bytes", values::positive_size);
    let proxy = layers.get("fetch.proxy", |value| match url::Url::parse(value) {
        Ok(url) if url.scheme() == "http" && url.has_host() => Ok(SecretString::from(value)),
        _ => Err("is not a valid address; expected one such as \"http://proxy.example.com:3128\"".to_owned()),
    });
    let retry_first = layers.get("fetch.retry_first", values::duration);
    let retry_max = layers.get("fetch.retry_max", values::duration);
    let stall = layers.get("fetch.stall", values::duration);
    let concurrency = layers.get("fetch.concurrency", values::count);
    let concurrency_per_host = layers.get("fetch.concurrency_per_host", values::count);
    let warn_before = layers.get("fetch.warn_before", values::duration);
    Some(Fetch {
        allowed_hosts,
        allow_private: allow_private?,
        max_bytes: max_bytes?,
        proxy,
        retry_first: retry_first?,
        retry_max: retry_max?,
        stall: stall?,
        concurrency: concurrency?,
        concurrency_per_host: concurrency_per_host?,
        warn_before: warn_before?,
    })
}

fn address(value: &str) -> Result<SocketAddr, String> {
    value.parse().map_err(|_| format!("`{value}` is not a valid address; expected one such as \"127.0.0.1:8080\""))
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

fn origin(value: &str) -> Result<String, String> {
    let wrong = || format!("`{value}` is not a valid origin; expected one such as \"https://paineis.example.com\"");
    let url = url::Url::parse(value).map_err(|_| wrong())?;
    let origin = url.origin().ascii_serialization();
    let is_bare = matches!(url.scheme(), "http" | "https") && value.trim_end_matches('/') == origin;
    if is_bare { Ok(origin) } else { Err(wrong()) }
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

fn archive_dir(value: &str) -> Result<PathBuf, String> {
    if value.starts_with("s3://") {
        return Err("object stores are not supported by this version; expected file:///path".to_owned());
    }
    let url = url::Url::parse(value)
        .map_err(|_| format!("`{value}` is not a valid address; expected one such as \"file:///srv/acervo\""))?;
    match url.scheme() {
        "file" => url.to_file_path().map_err(|()| {
            format!("`{value}` does not name a local folder; expected one such as \"file:///srv/acervo\"")
        }),
        _ => Err(format!("`{value}` is not a valid address; expected one such as \"file:///srv/acervo\"")),
    }
}

fn log_level(value: &str) -> Result<String, String> {
    match value.parse::<tracing_subscriber::EnvFilter>() {
        Ok(_) => Ok(value.to_owned()),
        Err(_) => Err(format!("`{value}` is not a valid level; expected error, warn, info, debug, trace or a filter")),
    }
}
