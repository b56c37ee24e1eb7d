//! The keys of the API and their roles.
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::layers::Layers;
use super::values::{self, Problem};
use crate::domain::{Digest, sao_paulo};

#[derive(Clone, Debug)]
pub struct Api {
    pub keys: Vec<ApiKey>,
    /// Origins of web pages that may use the API from a browser.
    pub cors_origins: Vec<String>,
    pub open: bool,
    /// How long a log-in on the page lasts.
    pub session_lifetime: SignedDuration,
}

impl Api {
    pub(super) fn read(layers: &mut Layers) -> Self {
        let mut keys = Vec::new();
        layers.secret_from_file("api.token");
        if let Some(token) = layers.get("api.token", values::api_key) {
            let hash = Digest::of(token.as_bytes());
            keys.push(ApiKey { name: API_TOKEN.to_owned(), role: Role::Admin, hash, expires: None });
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
            let expires = layers.get(&format!("{key}.expires"), expiry);
            if let Some(expires) = expires.filter(|expires| *expires <= Timestamp::now()) {
                let message = format!(
                    "the key `{name}` expired ({}), so it is refused; make a new one, or remove it",
                    expiry_as_written(expires)
                );
                layers.warnings.push(Problem::new(&format!("{key}.expires"), message));
            }
            if let (Some(role), Some(hash)) = (role, hash) {
                keys.push(ApiKey { name, role, hash, expires });
                continue;
            }
            // An invalid value was reported when it was read.
            for (name, hint) in [("role", "give reader, operator or admin"), ("hash", "`acervo token new` prints one")]
            {
                let key = format!("{key}.{name}");
                if !layers.has(&key) {
                    layers.problems.push(Problem::new(&key, format!("is missing; {hint}")));
                }
            }
        }
        let cors_origins = layers.list("api.cors_origins", origin);
        let session_lifetime = layers.get("api.session_lifetime", lifetime).unwrap_or(SESSION_LIFETIME);
        Self { keys, cors_origins, open: layers.get("api.open", values::flag).unwrap_or_default(), session_lifetime }
    }
}

/// Only the digest of a key is stored. Keys are random, so a fast hash is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub name: String,
    pub role: Role,
    pub hash: Digest,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
}

/// Where a wrong value was reported, so that everything else is checked as well.
const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(12);

/// A longer session would outlive browsers, which keep a cookie for at most 400 days.
const SESSION_LIFETIME_MAX: Duration = Duration::from_secs(400 * 24 * 3600);

/// The name of the key that `api.token` sets.
pub const API_TOKEN: &str = "api.token";

/// The instant at which a key expires: a date means the end of that day in São Paulo.
pub fn expiry(value: &str) -> Result<Timestamp, String> {
    if let Ok(at) = value.parse::<Timestamp>() {
        return Ok(at);
    }
    let end = value.parse::<Date>().ok().and_then(|day| {
        let next = day.tomorrow().ok()?;
        sao_paulo().to_timestamp(next.at(0, 0, 0, 0)).ok()
    });
    // A date-time without an offset parses as a date, too.
    end.filter(|_| value.len() == "2027-01-31".len()).ok_or_else(|| {
        format!(
            "`{value}` is not a valid date or instant; expected 2027-01-31, or RFC 3339 such as 2027-01-31T12:00:00Z"
        )
    })
}

/// An expiry as people write it: a date where the instant is the end of a day in São Paulo.
pub fn expiry_as_written(at: Timestamp) -> String {
    let local = sao_paulo().to_datetime(at);
    match local.date().yesterday() {
        Ok(day) if local.time() == jiff::civil::Time::midnight() => day.to_string(),
        _ => at.to_string(),
    }
}

fn lifetime(value: &str) -> Result<SignedDuration, String> {
    let lifetime = values::duration(value)?;
    if lifetime > SESSION_LIFETIME_MAX {
        return Err(format!("`{value}` is more than 400 days (9600h); give a shorter duration"));
    }
    SignedDuration::try_from(lifetime)
        .map_err(|_| format!("`{value}` is not a valid duration; expected one such as \"12h\""))
}

/// What a key may do. Each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

fn origin(value: &str) -> Result<String, String> {
    let wrong = || format!("`{value}` is not a valid origin; expected one such as \"https://paineis.example.com\"");
    let url = url::Url::parse(value).map_err(|_| wrong())?;
    let origin = url.origin().ascii_serialization();
    let is_bare = matches!(url.scheme(), "http" | "https") && value.trim_end_matches('/') == origin;
    if is_bare { Ok(origin) } else { Err(wrong()) }
}
