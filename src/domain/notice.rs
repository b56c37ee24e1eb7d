//! What a notification's body says, and whether it can be understood.
use std::borrow::Cow;
use std::ops::Range;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Claims, Link, LocalDateTime, Period, clean, fold, scrub, scrubbed};

/// A body as it is kept: the fields we know, and the bytes with the link cut out.
#[derive(Debug)]
pub struct Notice {
    /// The body as sent, with [`Notice::CUT`] where the link stood.
    pub body: Vec<u8>,
    pub link: Option<Link>,
    pub claims: Claims,
    /// As far as it could be read, also where the whole could not be understood.
    pub name: Option<String>,
    pub process: Option<String>,
    pub macro_process: Option<String>,
    pub reference_date: Option<String>,
    pub outcome: Result<Announcement, Rejection>,
}

/// A notification that can be worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    pub name: String,
    pub process: String,
    pub macro_process: String,
    pub reference_date: String,
    pub period: Period,
    pub identity: Identity,
}

/// What makes two notifications speak of one product.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    ListPath(String),
    /// Folded.
    Name(String),
}

impl Identity {
    /// One text for both kinds, as the database keys them.
    pub fn key(&self) -> String {
        match self {
            Self::ListPath(path) => format!("path:{path}"),
            Self::Name(name) => format!("name:{name}"),
        }
    }
}

/// Why a body could not be understood: names the field, the value and what is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Rejection(pub String);

const JSON_LINK: &str = "\"[link]\"";
const FORM_LINK: &str = "[link]";

impl Notice {
    /// The largest body taken; real ones have under 2 KiB.
    pub const BYTES_MAX: usize = 256 << 10;

    /// Reads a JSON object. `None` where the bytes are none.
    pub fn from_json(body: &[u8]) -> Option<Self> {
        let text = decode(body);
        let fields: Fields<'_> = serde_json::from_str(&text).ok()?;
        let mut read = Read::default();
        let mut cut = Vec::new();
        for (key, raw) in &fields.0 {
            if is_link(key) {
                cut.push(span_within(&text, raw.get()));
            }
            read.take(key, serde_json::from_str(raw.get()).unwrap_or(Value::Null));
        }
        // Latin-1 bytes were decoded: their spans are those of the decoded text, which is then what is kept.
        let kept = cut_out(text.as_bytes(), &cut, JSON_LINK);
        Some(read.into_notice(kept))
    }

    /// Reads a JSON object that tells of a file which is had already, and so has no link: the same fields, and
    /// `listPath` in the place of what a token would tell.
    pub fn of_file(body: &[u8]) -> Option<Self> {
        let fields: serde_json::Map<String, Value> = serde_json::from_slice(body).ok()?;
        let mut read = Read { has_file: true, ..Read::default() };
        let mut claims = Claims::default();
        for (key, value) in fields {
            if key.trim().eq_ignore_ascii_case("listpath") {
                claims.list_path = value.as_str().map(clean).filter(|path| !path.is_empty());
            } else if !is_link(&key) {
                read.take(&key, value);
            }
        }
        Some(read.with_claims(body.to_vec(), None, claims))
    }

    /// Reads a form. `None` where it has no field at all.
    pub fn from_form(body: &[u8]) -> Option<Self> {
        let mut read = Read::default();
        let mut kept = Vec::new();
        for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            let key_end = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            let key = form_text(&pair[..key_end]);
            let value = form_text(pair.get(key_end + 1..).unwrap_or_default());
            if !kept.is_empty() {
                kept.push(b'&');
            }
            if is_link(&key) {
                kept.extend_from_slice(&pair[..key_end]);
                kept.push(b'=');
                kept.extend_from_slice(FORM_LINK.as_bytes());
            } else {
                kept.extend_from_slice(pair);
            }
            read.take(&key, Value::String(value));
        }
        (!kept.is_empty()).then(|| read.into_notice(kept))
    }

    /// The body for the API: the JSON object, or the form's fields as one. `None` where it was neither.
    pub fn body_as_json(kept: &[u8]) -> Option<Value> {
        let text = decode(kept);
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(&text).ok();
        }
        let fields = kept.split(|b| *b == b'&').filter_map(|pair| {
            let at = pair.iter().position(|b| *b == b'=')?;
            Some((form_text(&pair[..at]), Value::String(form_text(&pair[at + 1..]))))
        });
        let object: serde_json::Map<_, _> = fields.collect();
        (!object.is_empty()).then_some(Value::Object(object))
    }
}

/// The keys in the order sent, each with its bytes as sent.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Visitor).map(Fields)
    }
}

#[derive(Default)]
struct Read {
    name: Option<Value>,
    process: Option<Value>,
    macro_process: Option<Value>,
    reference_date: Option<Value>,
    period_start: Option<Value>,
    period_end: Option<Value>,
    link: Option<Value>,
    /// The file is had already.
    has_file: bool,
}

impl Read {
    fn take(&mut self, key: &str, value: Value) {
        let slot = match key.trim().to_ascii_lowercase().as_str() {
            "nome" => &mut self.name,
            "processo" => &mut self.process,
            "macroprocesso" => &mut self.macro_process,
            "dataproduto" => &mut self.reference_date,
            "periodicidade" => &mut self.period_start,
            "periodicidadefinal" => &mut self.period_end,
            "url" | "uri" => &mut self.link,
            _ => return,
        };
        let blank = value.is_null() || value.as_str().is_some_and(|text| clean(text).is_empty());
        if !blank {
            *slot = Some(value);
        }
    }

    fn into_notice(self, body: Vec<u8>) -> Notice {
        let link = self.link.as_ref().and_then(Value::as_str).and_then(Link::parse);
        let claims = link.as_ref().map(Link::claims).unwrap_or_default();
        self.with_claims(body, link, claims)
    }

    fn with_claims(self, body: Vec<u8>, link: Option<Link>, claims: Claims) -> Notice {
        let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(kept_text);
        Notice {
            name: text(&self.name),
            process: text(&self.process),
            macro_process: text(&self.macro_process),
            reference_date: text(&self.reference_date),
            outcome: self.understand(link.as_ref(), &claims),
            body: without_secrets(body, self.link.as_ref().and_then(Value::as_str).map(str::trim)),
            link,
            claims,
        }
    }

    fn understand(&self, link: Option<&Link>, claims: &Claims) -> Result<Announcement, Rejection> {
        let name = required("nome", "the product's name", &self.name)?;
        match (&self.link, link) {
            (Some(_), Some(_)) => {}
            (None, None) if self.has_file => {}
            // The value is not repeated: whatever it is, it stands where a secret belongs.
            (Some(_), None) => return reject("`url` is no absolute address"),
            (None, _) => return reject("`url` (or `Uri`) is missing: the link to the file"),
        }
        let reference_date = optional("dataProduto", &self.reference_date)?;
        let span = reference_date.as_deref().and_then(Period::of_reference_date);
        let start = wall_clock("periodicidade", &self.period_start)?;
        let end = wall_clock("periodicidadeFinal", &self.period_end)?;
        let period = match (start, span, &reference_date) {
            (Some(start), _, _) => {
                let end = end.or(span.map(|span| span.end)).unwrap_or(Period::end_of_first_day(start));
                Period { start, end }
            }
            (None, Some(span), _) => Period { start: span.start, end: end.unwrap_or(span.end) },
            (None, None, Some(text)) => {
                return reject(&format!(
                    "`dataProduto` is `{}`, not DD/MM/YYYY, MM/YYYY or DD/MM/YYYY - DD/MM/YYYY, and `periodicidade` is missing",
                    short(text)
                ));
            }
            (None, None, None) => {
                return reject("`dataProduto` and `periodicidade` are missing: one of them must be there");
            }
        };
        if period.end < period.start {
            return reject(&format!("the period ends ({}) before it starts ({})", period.end, period.start));
        }
        Ok(Announcement {
            process: optional("processo", &self.process)?.unwrap_or_default(),
            macro_process: optional("macroProcesso", &self.macro_process)?.unwrap_or_default(),
            reference_date: reference_date.unwrap_or_else(|| period.reference_date()),
            period,
            identity: match &claims.list_path {
                Some(path) => Identity::ListPath(path.clone()),
                None => Identity::Name(fold(&name)),
            },
            name,
        })
    }
}

impl Announcement {
    /// The time that orders revisions: when the portal sent it, else when it came.
    pub fn announced_at(claims: &Claims, received_at: Timestamp) -> Timestamp {
        claims.not_before.unwrap_or(received_at)
    }
}

fn is_link(key: &str) -> bool {
    let key = key.trim();
    key.eq_ignore_ascii_case("url") || key.eq_ignore_ascii_case("uri")
}

fn reject<T>(reason: &str) -> Result<T, Rejection> {
    Err(Rejection(reason.to_owned()))
}

fn optional(field: &str, value: &Option<Value>) -> Result<Option<String>, Rejection> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(kept_text(text))),
        Some(other) => reject(&format!("`{field}` is `{}`, not a text", short(&other.to_string()))),
    }
}

fn required(field: &str, what: &str, value: &Option<Value>) -> Result<String, Rejection> {
    optional(field, value)?.ok_or_else(|| Rejection(format!("`{field}` is missing: {what}")))
}

fn wall_clock(field: &str, value: &Option<Value>) -> Result<Option<LocalDateTime>, Rejection> {
    let Some(text) = optional(field, value)? else { return Ok(None) };
    match LocalDateTime::parse(&text) {
        Some(reading) => Ok(Some(reading)),
        None => reject(&format!("`{field}` is `{}`, not a date like 2025-02-20T00:00:00", short(&text))),
    }
}

/// A text as it is kept and shown: nothing in it moves a terminal or opens a door.
fn kept_text(text: &str) -> String {
    scrubbed(&clean(text))
}

/// A value for a message.
fn short(text: &str) -> String {
    scrubbed(text).chars().take(60).collect()
}

/// UTF-8, else the bytes as Windows-1252, the superset of Latin-1 that Brazilian systems write.
fn decode(body: &[u8]) -> Cow<'_, str> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(body).0,
    }
}

fn form_text(raw: &[u8]) -> String {
    let spaced: Vec<u8> = raw.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    let bytes: Vec<u8> = percent_encoding::percent_decode(&spaced).collect();
    decode(&bytes).into_owned()
}

/// Where a slice of `whole` lies in it.
fn span_within(whole: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

fn cut_out(bytes: &[u8], spans: &[Range<usize>], mark: &str) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for span in spans {
        kept.extend_from_slice(&bytes[at..span.start]);
        kept.extend_from_slice(mark.as_bytes());
        at = span.end;
    }
    kept.extend_from_slice(&bytes[at..]);
    kept
}

/// A body that repeats its link or a token outside the field we cut is kept with every such run of characters
/// overwritten: the link may not outlive its file anywhere.
fn without_secrets(mut body: Vec<u8>, link: Option<&str>) -> Vec<u8> {
    scrub(&mut body);
    for secret in link.into_iter().filter(|link| link.len() > 5) {
        let found: Vec<usize> = memchr::memmem::find_iter(&body, secret.as_bytes()).collect();
        for at in found {
            body[at..at + secret.len()].fill(b'*');
        }
    }
    body
}
