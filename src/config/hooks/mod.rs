//! `[[hook]]`: an endpoint that is sent what happens in the archive. `[hooks]`: settings of all of them.
mod mail;

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde_json::json;
use url::{Host, Url};

use super::layers::Layers;
use super::matching;
use super::values::{self, Problem};
pub use mail::{MailServer, Mailbox, SmtpTls};

use crate::domain::{Digest, HookEvent, ProductMatch, Template, TemplateFormat, is_public};

/// All hooks, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    pub all: Vec<Hook>,
    /// Deliveries of a hook that its log keeps.
    pub log: usize,
}

/// A hook: what it tells about, and to whom.
#[derive(Clone, Debug)]
pub struct Hook {
    pub name: String,
    pub events: Vec<HookEvent>,
    pub matching: ProductMatch,
    pub target: Target,
    /// Of a mail it makes the text. Without one the body is the event as JSON.
    pub body: Option<Template>,
    /// Of a body that a template makes.
    pub content_type: String,
    /// The time limit of an attempt.
    pub timeout: Duration,
    pub retry_first: Duration,
    pub retry_max: Duration,
    /// An event that is not delivered within this time after its first attempt becomes a dead letter.
    pub give_up_after: Duration,
    /// Of all its settings: tells whether one changed.
    pub fingerprint: Digest,
}

/// Where a hook sends its events.
#[derive(Clone, Debug)]
pub enum Target {
    Http(Endpoint),
    Email(Mailbox),
}

impl Target {
    /// What may be shown of it: paths of URLs may be secrets, and mail addresses belong to people.
    pub fn shown(&self) -> String {
        match self {
            Self::Http(endpoint) => endpoint.url.to_string(),
            Self::Email(mailbox) => format!("smtp://{}:{}", mailbox.server.host, mailbox.server.port),
        }
    }
}

/// Where a hook sends its events by HTTP.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub url: HookUrl,
    /// Each signs every message: two of them while the secret is rotated.
    pub secrets: Vec<SecretSlice<u8>>,
    pub headers: Vec<(HeaderName, SecretString)>,
    /// Statuses besides 2xx that mean that the event was delivered.
    pub accept: Vec<u16>,
    /// Loopback and private addresses are allowed, and so is plain http.
    pub allow_private: bool,
}

/// The URL of a hook. Its path and query may be a secret, as in Slack's, so only the origin is ever shown.
#[derive(Clone)]
pub struct HookUrl(SecretString);

impl HookUrl {
    /// The whole URL, for the request alone.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The origin.
impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = Url::parse(self.expose()).map(|url| url.origin().ascii_serialization());
        f.write_str(origin.as_deref().unwrap_or("an invalid URL"))
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HookUrl({self}/[REDACTED])")
    }
}

/// What applies to each hook that does not say otherwise.
struct Defaults {
    timeout: Option<Duration>,
    retry_first: Option<Duration>,
    retry_max: Option<Duration>,
    give_up_after: Option<Duration>,
}

impl Hooks {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let defaults = Defaults {
            timeout: layers.get("hooks.timeout", values::duration),
            retry_first: layers.get("hooks.retry_first", values::duration),
            retry_max: layers.get("hooks.retry_max", values::duration),
            give_up_after: layers.get("hooks.give_up_after", values::duration),
        };
        let log = layers.get("hooks.log", values::count);
        let mut all: Vec<Hook> = Vec::new();
        // All are read, so that all problems are reported.
        for key in layers.children("hook") {
            let Some(hook) = hook(layers, &key, &defaults) else { continue };
            if all.iter().any(|earlier| earlier.name == hook.name) {
                let message =
                    format!("`{}` is also the name of an earlier hook; give each hook its own name", hook.name);
                layers.problems.push(Problem::new(&format!("{key}.name"), message));
            }
            all.push(hook);
        }
        Some(Self { all, log: log? })
    }

    pub fn named(&self, name: &str) -> Option<&Hook> {
        self.all.iter().find(|hook| hook.name == name)
    }

    /// The names of the hooks that only one of both has, or that have other settings in the other.
    pub fn changes_to<'a>(&'a self, new: &'a Self) -> impl Iterator<Item = &'a str> {
        let is_same = |hook: &&Hook, other: &Self| {
            other.named(&hook.name).is_some_and(|other| other.fingerprint == hook.fingerprint)
        };
        let ended = self.all.iter().filter(|hook| new.named(&hook.name).is_none());
        let begun = new.all.iter().filter(move |hook| !is_same(hook, self));
        ended.chain(begun).map(|hook| hook.name.as_str())
    }
}

/// `None` if something is missing or invalid, which has been noted.
fn hook(layers: &mut Layers, key: &str, defaults: &Defaults) -> Option<Hook> {
    let of = |name: &str| format!("{key}.{name}");
    let name = required(
        layers,
        &of("name"),
        "give each hook a name, which its log and its position are kept under",
        |l, k| l.get(k, hook_name),
    );
    let events = layers.list(&of("events"), |text| text.parse::<HookEvent>());
    if events.is_empty() && layers.problems.iter().all(|problem| problem.key != of("events")) {
        let names: Vec<&str> = HookEvent::ALL.iter().map(|event| event.as_str()).collect();
        let message = format!("is missing; give at least one of {}", names.join(", "));
        layers.problems.push(Problem::new(&of("events"), message));
    }
    let matching = matching::read(layers, &of("match"));
    let target = target(layers, key, &events);
    let is_mail = matches!(target, Some(Target::Email(_)));
    let content_type = layers.get(&of("content_type"), content_type).unwrap_or_else(|| JSON.to_owned());
    let body = template(
        layers,
        &of("body"),
        if is_mail || content_type != JSON { TemplateFormat::Text } else { TemplateFormat::Json },
        &events,
    );
    let duration = |layers: &mut Layers, name: &str, default: Option<Duration>| {
        layers.get(&of(name), values::duration).or(default)
    };
    let timeout = duration(layers, "timeout", defaults.timeout);
    let retry_first = duration(layers, "retry_first", defaults.retry_first);
    let retry_max = duration(layers, "retry_max", defaults.retry_max);
    let give_up_after = duration(layers, "give_up_after", defaults.give_up_after);
    let written = layers.digests_below(key);
    let fingerprint =
        Digest::of(format!("{written:?} {timeout:?} {retry_first:?} {retry_max:?} {give_up_after:?}").as_bytes());
    Some(Hook {
        name: name?,
        events,
        matching,
        target: target?,
        body,
        content_type,
        timeout: timeout?,
        retry_first: retry_first?,
        retry_max: retry_max?,
        give_up_after: give_up_after?,
        fingerprint,
    })
}

/// The type of the event as it is.
const JSON: &str = "application/json";

fn content_type(value: &str) -> Result<String, String> {
    match HeaderValue::from_str(value) {
        Ok(_) if value.contains('/') => Ok(value.to_ascii_lowercase()),
        _ => Err(format!("`{value}` is not a valid media type; expected one such as \"application/json\"")),
    }
}

/// A template, given as it is or as a file. It is filled in with a sample of each event, so that mistakes are found here.
fn template(layers: &mut Layers, key: &str, format: TemplateFormat, events: &[HookEvent]) -> Option<Template> {
    let source = layers.secret_or_file(key, |text| Ok(text.to_owned()))?;
    let checked = Template::parse(&source, format).and_then(|template| {
        for event in events {
            let sample = json!({
                "type": event.as_str(),
                "id": "sample",
                "timestamp": "2025-09-04T18:12:06.480Z",
                "hook": "sample",
                "data": event.sample(),
            });
            template.render(&sample).map_err(|e| format!("{e} (with an event of the type {event})"))?;
        }
        Ok(template)
    });
    checked.map_err(|e| layers.problems.push(Problem::new(key, format!("is not a valid template: {e}")))).ok()
}

fn target(layers: &mut Layers, key: &str, events: &[HookEvent]) -> Option<Target> {
    let kind = layers.get(&format!("{key}.kind"), |kind| match kind {
        "http" | "email" => Ok(kind.to_owned()),
        _ => Err(format!("`{kind}` is not one of http, email")),
    });
    match kind.as_deref() {
        Some("email") => mail::mailbox(layers, key, events).map(Target::Email),
        _ => endpoint(layers, key).map(Target::Http),
    }
}

fn endpoint(layers: &mut Layers, key: &str) -> Option<Endpoint> {
    let of = |name: &str| format!("{key}.{name}");
    let allow_private = layers.get(&of("allow_private"), values::flag).unwrap_or_default();
    let url = required(layers, &of("url"), "give the address that events are sent to, or url_file", |layers, key| {
        layers.secret_or_file(key, url)
    });
    if let Some(problem) = url.as_deref().and_then(|url| refused(url, allow_private)) {
        layers.problems.push(Problem::new(&of("url"), problem));
    }
    let secrets = layers.secret_or_file(&of("secret"), |text| {
        text.split(',').try_for_each(|one| secret(one).map(|_| ()))?;
        Ok(text.to_owned())
    });
    let secrets = secrets.iter().flat_map(|all| all.split(',')).filter_map(|one| secret(one).ok()).collect();
    let headers = headers(layers, &of("headers"));
    let accept = layers.list(&of("accept"), |text| match text.parse::<u16>() {
        Ok(status @ 300..=499) => Ok(status),
        _ => Err(format!("`{text}` is not a status from 300 to 499; every 2xx is accepted anyway")),
    });
    Some(Endpoint { url: HookUrl(url?.into()), secrets, headers, accept, allow_private })
}

/// A value that must be there.
fn required<T>(
    layers: &mut Layers,
    key: &str,
    hint: &str,
    read: impl FnOnce(&mut Layers, &str) -> Option<T>,
) -> Option<T> {
    let problems = layers.problems.len();
    let value = read(layers, key);
    if value.is_none() && layers.problems.len() == problems {
        layers.problems.push(Problem::new(key, format!("is missing; {hint}")));
    }
    value
}

fn hook_name(value: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match value.len() {
        1..=64 if value.chars().all(is_plain) => Ok(value.to_owned()),
        _ => Err(format!("`{value}` is not a valid name; expected up to 64 letters, digits, `-` and `_`")),
    }
}

/// The messages do not repeat the value.
fn url(value: &str) -> Result<String, String> {
    let wrong = || "is not a valid URL; expected one that begins with https://".to_owned();
    let url = Url::parse(value.trim()).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "contains a user or a password; give them as a header: headers.Authorization = \"Basic …\"".to_owned()
        );
    }
    Ok(value.trim().to_owned())
}

/// Why events must not be sent to a valid URL. Names are resolved, and their addresses checked, when they are connected to.
fn refused(url: &str, allow_private: bool) -> Option<&'static str> {
    let url = Url::parse(url).ok().filter(|_| !allow_private)?;
    if url.scheme() != "https" {
        return Some(
            "begins with http://; use https://, or set `allow_private = true` for a service of your own network",
        );
    }
    let is_private = match url.host()? {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => !is_public(address.into()),
        Host::Ipv6(address) => !is_public(address.into()),
    };
    is_private.then_some("names this machine or a private address; set `allow_private = true` if that is meant")
}

/// Bytes of a secret, as the Standard Webhooks specification bounds them.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The key in a secret.
fn secret(text: &str) -> Result<SecretSlice<u8>, String> {
    let wrong = || {
        "is not a valid secret; expected whsec_ and 24 to 64 bytes in base64, as \
         `echo whsec_$(openssl rand -base64 32)` prints it"
            .to_owned()
    };
    let encoded = text.trim().strip_prefix("whsec_").ok_or_else(wrong)?;
    let key = STANDARD.decode(encoded).map_err(|_| wrong())?;
    if SECRET_BYTES.contains(&key.len()) { Ok(key.into()) } else { Err(wrong()) }
}

/// Headers that are set for each request.
const OWN_HEADERS: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

/// Additional headers. Their values may be credentials, so each may come from a file: `Authorization_file`.
fn headers(layers: &mut Layers, key: &str) -> Vec<(HeaderName, SecretString)> {
    let prefix = format!("{key}.");
    let mut keys: Vec<String> = Vec::new();
    for child in layers.children(key) {
        let written = child.strip_prefix(&prefix).unwrap_or(&child);
        let name = format!("{prefix}{}", written.strip_suffix("_file").unwrap_or(written));
        if !keys.contains(&name) {
            keys.push(name);
        }
    }
    let mut headers = Vec::new();
    for key in keys {
        let written = key.strip_prefix(&prefix).unwrap_or(&key);
        let name = HeaderName::from_bytes(written.as_bytes()).ok();
        let value = layers.secret_or_file(&key, header_value);
        match (name, value) {
            (Some(name), _) if OWN_HEADERS.contains(&name.as_str()) => {
                layers.problems.push(Problem::new(&key, "is a header that Acervo sets itself; leave it out"));
            }
            (Some(name), Some(value)) => headers.push((name, value.into())),
            (None, _) => layers.problems.push(Problem::new(&key, "is not a valid name of a header")),
            (Some(_), None) => {}
        }
    }
    headers
}

fn header_value(value: &str) -> Result<String, String> {
    let value = values::credential(value)?;
    match HeaderValue::from_bytes(value.as_bytes()) {
        Ok(_) => Ok(value),
        Err(_) => Err("is not a valid value of a header".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::{refused, secret, url};

    #[test]
    fn a_secret_is_base64_of_24_to_64_bytes() {
        let key = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a valid secret");
        assert_eq!(key.expose_secret().len(), 24);
        for wrong in
            ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==", "whsec_*"]
        {
            assert!(secret(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn private_addresses_need_a_permission() {
        for private in
            ["http://example.com/x", "https://127.0.0.1/x", "https://[::1]/", "https://localhost./", "https://10.1.2.3"]
        {
            assert!(refused(private, false).is_some(), "{private}");
            assert!(refused(private, true).is_none(), "{private}");
        }
        assert_eq!(refused("https://hooks.example.com/services/x", false), None);
        for wrong in ["hooks.example.com", "ftp://example.com/", "https://user:pass@example.com/"] {
            let message = url(wrong).expect_err("a problem");
            assert!(!message.contains("pass@"), "{message}");
        }
    }
}
