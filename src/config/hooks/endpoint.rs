//! Hooks that send requests.
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use url::{Host, Url};

use super::required;
use crate::config::layers::Layers;
use crate::config::values::{self, Problem};
use crate::domain::is_public;

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

/// `None` if something is missing or invalid, which has been noted.
pub(super) fn endpoint(layers: &mut Layers, key: &str) -> Option<Endpoint> {
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
