//! The token of a link: a JWT signed with HS256, with the claims of real tokens.
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use serde::Deserialize;
use serde_json::json;

/// The claims, with their names and types in real tokens.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Claims {
    #[serde(rename = "URL")]
    pub url: String,
    pub username: String,
    #[serde(rename = "nomeProduto")]
    pub product: String,
    /// `True` or `False`, as text.
    #[serde(rename = "IsFile")]
    pub is_file: String,
    pub iss: String,
    pub aud: String,
    pub exp: i64,
    pub nbf: i64,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidToken {
    Forged,
    Expired,
}

pub(super) fn sign(key: &hmac::Key, claims: &Claims) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#);
    let payload = json!({
        "URL": claims.url,
        "username": claims.username,
        "nomeProduto": claims.product,
        "IsFile": claims.is_file,
        "iss": claims.iss,
        "aud": claims.aud,
        "exp": claims.exp,
        "nbf": claims.nbf,
    });
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload.to_string()));
    let tag = hmac::sign(key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

pub(super) fn verify(key: &hmac::Key, token: &str, now: Timestamp) -> Result<Claims, InvalidToken> {
    let (signed, tag) = token.rsplit_once('.').ok_or(InvalidToken::Forged)?;
    let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| InvalidToken::Forged)?;
    hmac::verify(key, signed.as_bytes(), &tag).map_err(|_| InvalidToken::Forged)?;
    let payload = signed
        .split('.')
        .nth(1)
        .and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok())
        .ok_or(InvalidToken::Forged)?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| InvalidToken::Forged)?;
    if claims.exp <= now.as_second() { Err(InvalidToken::Expired) } else { Ok(claims) }
}
