//! The keys of the API and their roles.
use std::fmt;
use std::str::FromStr;

use super::layers::Layers;
use super::values::{self, Problem};
use crate::domain::Digest;

#[derive(Clone, Debug)]
pub struct Api {
    pub keys: Vec<ApiKey>,
    /// Origins of web pages that may use the API from a browser.
    pub cors_origins: Vec<String>,
    pub open: bool,
}

impl Api {
    pub(super) fn read(layers: &mut Layers) -> Self {
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
            for (name, hint) in [("role", "give reader, operator or admin"), ("hash", "`acervo token new` prints one")]
            {
                let key = format!("{key}.{name}");
                if !layers.has(&key) {
                    layers.problems.push(Problem::new(&key, format!("is missing; {hint}")));
                }
            }
        }
        let cors_origins = layers.list("api.cors_origins", origin);
        Self { keys, cors_origins, open: layers.get("api.open", values::flag).unwrap_or_default() }
    }
}

/// Only the digest of a key is stored. Keys are random, so a fast hash is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub name: String,
    pub role: Role,
    pub hash: Digest,
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
