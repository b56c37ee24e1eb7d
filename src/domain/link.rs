//! The link of a notification: a bearer secret, and what its token tells that is none.
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::{Digest, period::seconds};

/// Text that must not be seen: it prints as `[redacted]`, and only [`Secret::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The address that a notification gives; its token opens the file to whoever holds it, and names a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(Secret);

/// What a link's token tells. Read without checking its signature, whose key only the portal has: so it decides when
/// to stop trying and which files are the same, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Where the file lies on the portal: an absolute address or a folder's path.
    pub path: Option<String>,
    /// The list that the file belongs to, `/sites/9/38/Produtos/487`: the identity of the product.
    pub list_path: Option<String>,
    /// A single file, or a folder that is sent as a zip.
    pub is_file: Option<bool>,
    /// When it was sent.
    pub not_before: Option<Timestamp>,
    /// When it dies.
    pub expires: Option<Timestamp>,
}

impl Link {
    /// `None` where the text is no absolute address.
    pub fn parse(text: &str) -> Option<Self> {
        Url::parse(text.trim()).ok().map(|_| Self(Secret::new(text.trim())))
    }

    /// Takes a link back from where it was kept.
    pub fn from_kept(text: String) -> Self {
        Self(Secret::new(text))
    }

    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What tells this link's file from another's without giving the link away: the path in its token, else its digest.
    pub fn file_key(&self, claims: &Claims) -> String {
        claims.path.clone().unwrap_or_else(|| Digest::of(self.expose().as_bytes()).to_string())
    }

    /// The host that is to be asked, in lower case.
    pub fn host(&self) -> Option<String> {
        Url::parse(self.expose()).ok()?.host_str().map(|host| host.trim_end_matches('.').to_ascii_lowercase())
    }

    /// What the token says; whatever cannot be read is absent.
    pub fn claims(&self) -> Claims {
        self.token_payload().map(|payload| Claims::read(&payload)).unwrap_or_default()
    }

    fn token_payload(&self) -> Option<Value> {
        let url = Url::parse(self.expose()).ok()?;
        let (_, token) = url.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case("token"))?;
        let payload = token.split('.').nth(1)?.trim_end_matches('=').replace('+', "-").replace('/', "_");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

impl Claims {
    fn read(payload: &Value) -> Self {
        let find = |name: &str| {
            payload.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let number = |name: &str| match find(name)? {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let path = find("URL")
            .and_then(Value::as_str)
            .map(|path| super::scrubbed(&super::clean(path)))
            .filter(|path| !path.is_empty());
        Self {
            list_path: path.as_deref().and_then(list_path),
            path,
            is_file: find("IsFile").and_then(|value| match value {
                Value::Bool(flag) => Some(*flag),
                Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
                _ => None,
            }),
            not_before: number("nbf").and_then(seconds),
            expires: number("exp").and_then(seconds),
        }
    }
}

/// `/sites/9/38/Produtos/487` of `https://…/sites/9/38/Produtos/487/psat_24092025.txt`.
fn list_path(path: &str) -> Option<String> {
    let from_root = match path.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => path,
    };
    let after_marker = from_root.to_ascii_lowercase().find("/produtos/")? + "/produtos/".len();
    let digits = from_root[after_marker..].bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| from_root[..after_marker + digits].to_owned())
}
