//! The link of a notification, which is a bearer secret, and the claims of its token, which are not.
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::{Digest, Secrets, period::seconds};

/// The longest link that is accepted; real ones have fewer than 700 characters.
pub(super) const LINK_CHARS_MAX: usize = 8_000;

/// The longest host name (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

/// The longest path of a token that is used: longer ones do not fit into an index of the database.
const PATH_BYTES_MAX: usize = 2_000;

/// Header, payload and signature.
const TOKEN_PARTS: usize = 3;

/// Shorter parts of a link could be ordinary words.
const SECRET_PART_BYTES_MIN: usize = 8;

/// The URL of a notification's file. With its token anyone can download the file, and the token names a person.
#[derive(Clone)]
pub struct Link {
    text: SecretString,
    /// Read when it is asked for; `None` if the text is not a URL.
    contents: OnceLock<Option<Box<Contents>>>,
}

/// The parts of a link.
#[derive(Clone)]
struct Contents {
    url: Url,
    token: Option<String>,
    /// The payload of the token.
    payload: Option<Value>,
    /// The user whom the token names.
    user: Secrets,
}

impl Contents {
    fn read(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let token = token(&url);
        let payload = token.as_deref().and_then(payload);
        let user = payload.as_ref().and_then(user_name).map(Secrets::of_user).unwrap_or_default();
        Some(Self { url, token, payload, user })
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link([redacted])")
    }
}

impl PartialEq for Link {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Link {}

/// Why a text is not a usable link. The error does not repeat the text, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error("`url` is not an absolute URL")]
    NotAbsolute,
    #[error("`url` holds a control character")]
    ControlCharacter,
    #[error("`url` has {0} characters; at most {max} are accepted", max = LINK_CHARS_MAX)]
    TooLong(usize),
    #[error("the host of `url` has {0} characters; at most {max} are accepted", max = HOST_BYTES_MAX)]
    HostTooLong(usize),
}

/// The claims of a link's token. Their signature is not verified, since only the portal has the key: they only decide when
/// a link has expired and which links are of the same file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The file's location on the portal: an absolute URL, or the path of a folder.
    pub path: Option<String>,
    /// The list of the file, `/sites/9/38/Produtos/487`: the identity of the product.
    pub list_path: Option<String>,
    /// Whether it is a single file, and not a folder that is sent as a zip.
    pub is_file: Option<bool>,
    /// When the notification was sent.
    pub not_before: Option<Timestamp>,
    /// When the link expires.
    pub expires: Option<Timestamp>,
}

impl Link {
    /// Parses an absolute URL. Line breaks and tabs in it are ignored, as browsers do.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let text: String = text.trim().chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect();
        if text.chars().any(char::is_control) {
            return Err(LinkError::ControlCharacter);
        }
        if text.chars().nth(LINK_CHARS_MAX).is_some() {
            return Err(LinkError::TooLong(text.chars().count()));
        }
        let link = Self::from_stored(text);
        let contents = link.contents().ok_or(LinkError::NotAbsolute)?;
        match contents.url.host_str().map_or(0, str::len) {
            bytes if bytes > HOST_BYTES_MAX => Err(LinkError::HostTooLong(bytes)),
            _ => Ok(link),
        }
    }

    /// A link from the database, which was parsed before it was stored.
    pub fn from_stored(text: String) -> Self {
        Self { text: SecretString::from(text), contents: OnceLock::new() }
    }

    fn contents(&self) -> Option<&Contents> {
        self.contents.get_or_init(|| Contents::read(self.expose()).map(Box::new)).as_deref()
    }

    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// A key that equal links to a file have in common and that reveals nothing of the link: the path in the token, else the
    /// digest of the link.
    pub fn file_key(&self, claims: &Claims) -> String {
        claims.path.clone().unwrap_or_else(|| Digest::of(self.expose().as_bytes()).to_string())
    }

    /// The host of the URL, in lower case.
    pub fn host(&self) -> Option<String> {
        self.contents()?.url.host_str().map(|host| host.trim_end_matches('.').to_ascii_lowercase())
    }

    /// What must be redacted: the link, its query, its token and any piece of it, and the user whom the token names.
    pub fn secrets(&self) -> Secrets {
        let mut all = vec![self.expose().to_owned()];
        let Some(Contents { url, token, user, .. }) = self.contents() else { return Secrets::new(all) };
        all.push(url.as_str().to_owned());
        all.extend(url.query().filter(|query| query.len() >= SECRET_PART_BYTES_MIN).map(str::to_owned));
        let mut secrets = user.clone();
        if let Some(token) = token {
            let parts = token.split('.').filter(|part| part.len() >= SECRET_PART_BYTES_MIN).take(TOKEN_PARTS);
            all.extend(parts.map(str::to_owned));
            secrets.add(Secrets::of_token(token));
        }
        secrets.add(Secrets::new(all));
        secrets
    }

    /// The claims of the token; those that cannot be parsed are absent.
    pub fn claims(&self) -> Claims {
        let contents = self.contents();
        contents
            .and_then(|Contents { payload, user, .. }| Some(Claims::parse(payload.as_ref()?, user)))
            .unwrap_or_default()
    }
}

fn token(url: &Url) -> Option<String> {
    url.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case("token")).map(|(_, token)| token.into_owned())
}

fn payload(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?.trim_end_matches('=').replace('+', "-").replace('/', "_");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// A claim, its name in any case.
fn find<'a>(payload: &'a Value, name: &str) -> Option<&'a Value> {
    payload.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The user whom a token names.
fn user_name(payload: &Value) -> Option<&str> {
    find(payload, "username")?.as_str()
}

impl Claims {
    fn parse(payload: &Value, user: &Secrets) -> Self {
        let find = |name: &str| find(payload, name);
        let number = |name: &str| match find(name)? {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let path = find("URL")
            .and_then(Value::as_str)
            .map(|path| super::clean(&user.redact(path).unwrap_or_else(|| path.to_owned())))
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
