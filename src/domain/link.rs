//! The link of a notification: a bearer secret, and what its token tells that is none.
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::{Digest, Secrets, period::seconds};

/// The longest link that is taken; real ones have under 700 characters.
pub(super) const LINK_CHARS_MAX: usize = 8_000;

/// The longest host name (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

/// The longest path in a token that is used; a longer one fits into no index of a database.
const PATH_BYTES_MAX: usize = 2_000;

/// Header, payload and signature.
const TOKEN_PARTS: usize = 3;

/// Parts of a link that are shorter could be ordinary words.
const SECRET_PART_BYTES_MIN: usize = 8;

/// The address that a notification gives; its token opens the file to whoever holds it, and names a person.
#[derive(Clone, Debug)]
pub struct Link(SecretString);

impl PartialEq for Link {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Link {}

/// Why a text is no link. It does not repeat the text: whatever it is, it stands where a secret belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    #[error("`url` is not an absolute address")]
    NoAddress,
    #[error("`url` holds a control character")]
    Control,
    #[error("`url` has {0} characters; at most {max} are taken", max = LINK_CHARS_MAX)]
    Long(usize),
    #[error("the host of `url` has {0} characters; at most {max} are taken", max = HOST_BYTES_MAX)]
    Host(usize),
}

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
    /// Reads an absolute address. Line breaks and tabs within are left out, as browsers do.
    pub fn parse(text: &str) -> Result<Self, BadLink> {
        let text: String = text.trim().chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect();
        if text.chars().any(char::is_control) {
            return Err(BadLink::Control);
        }
        if text.chars().nth(LINK_CHARS_MAX).is_some() {
            return Err(BadLink::Long(text.chars().count()));
        }
        let url = Url::parse(&text).map_err(|_| BadLink::NoAddress)?;
        match url.host_str().map_or(0, str::len) {
            bytes if bytes > HOST_BYTES_MAX => Err(BadLink::Host(bytes)),
            _ => Ok(Self(SecretString::from(text))),
        }
    }

    /// Takes a link back from where it was kept.
    pub fn from_kept(text: String) -> Self {
        Self(SecretString::from(text))
    }

    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What tells this link's file from another's without giving the link away: the path in its token, else its digest.
    pub fn file_key(&self, claims: &Claims) -> String {
        claims.path.clone().unwrap_or_else(|| Digest::of(self.expose().as_bytes()).to_string())
    }

    /// The host that is to be asked, in lower case.
    pub fn host(&self) -> Option<String> {
        Url::parse(self.expose()).ok()?.host_str().map(|host| host.trim_end_matches('.').to_ascii_lowercase())
    }

    /// What of this link may be seen nowhere: itself, its query, the parts of its token and the person whom it names.
    pub fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        let mut all = vec![self.expose().to_owned()];
        let Ok(url) = Url::parse(self.expose()) else { return Secrets::new(all) };
        all.push(url.as_str().to_owned());
        all.extend(url.query().filter(|query| query.len() >= SECRET_PART_BYTES_MIN).map(str::to_owned));
        if let Some(token) = token(&url) {
            let parts = token.split('.').filter(|part| part.len() >= SECRET_PART_BYTES_MIN).take(TOKEN_PARTS);
            all.extend(parts.map(str::to_owned));
            secrets.add(Secrets::of_token(&token));
        }
        if let Some(user) = self.token_payload().as_ref().and_then(user_name) {
            secrets.add(Secrets::of_user(user));
        }
        secrets.add(Secrets::new(all));
        secrets
    }

    /// What the token says; whatever cannot be read is absent.
    pub fn claims(&self) -> Claims {
        self.token_payload().map(|payload| Claims::read(&payload)).unwrap_or_default()
    }

    fn token_payload(&self) -> Option<Value> {
        let token = token(&Url::parse(self.expose()).ok()?)?;
        let payload = token.split('.').nth(1)?.trim_end_matches('=').replace('+', "-").replace('/', "_");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

fn token(url: &Url) -> Option<String> {
    url.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case("token")).map(|(_, token)| token.into_owned())
}

/// A claim, its name in any case.
fn find<'a>(payload: &'a Value, name: &str) -> Option<&'a Value> {
    payload.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Whom a token names.
fn user_name(payload: &Value) -> Option<&str> {
    find(payload, "username")?.as_str()
}

impl Claims {
    fn read(payload: &Value) -> Self {
        let find = |name: &str| find(payload, name);
        let number = |name: &str| match find(name)? {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let secrets = user_name(payload).map(Secrets::of_user).unwrap_or_default();
        let path = find("URL")
            .and_then(Value::as_str)
            .map(|path| super::clean(&secrets.redact(path).unwrap_or_else(|| path.to_owned())))
            .filter(|path| !path.is_empty() && path.len() <= PATH_BYTES_MAX);
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
