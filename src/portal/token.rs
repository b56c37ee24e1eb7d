//! The token of a link: a JWT signed with HS256, with the claims that real ones have.
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use serde::{Deserialize, Serialize};

/// The claims, with the names and types of real tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

/// Why a token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Forged,
    Dead,
}

pub(super) fn sign(key: &hmac::Key, claims: &Claims) -> serde_json::Result<String> {
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims)?));
    let tag = hmac::sign(key, signed.as_bytes());
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)))
}

pub(super) fn verify(key: &hmac::Key, token: &str, now: Timestamp) -> Result<Claims, Refused> {
    let (signed, tag) = token.rsplit_once('.').ok_or(Refused::Forged)?;
    let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| Refused::Forged)?;
    hmac::verify(key, signed.as_bytes(), &tag).map_err(|_| Refused::Forged)?;
    let payload =
        signed.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok()).ok_or(Refused::Forged)?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| Refused::Forged)?;
    if claims.exp <= now.as_second() { Err(Refused::Dead) } else { Ok(claims) }
}
