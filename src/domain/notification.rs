//! Parsing the body of a notification: JSON, or a URL-encoded form.
use std::borrow::Cow;
use std::ops::Range;

use jiff::Timestamp;

use super::body::{BodyReader, Value, warn_of_changes};
use super::{Claims, Link, Period, Processes, ProductNames, Secrets, clean, fold, json, redacted};

/// A notification as it is stored: the known fields, and the body without its link.
#[derive(Debug)]
pub struct ParsedNotification {
    /// The body as sent, without its link and other secrets, and valid for every parser.
    pub body: Vec<u8>,
    pub link: Option<Link>,
    pub claims: Claims,
    /// This and the following fields are set as far as they could be read, also for a rejected body.
    pub name: Option<String>,
    pub process: Option<String>,
    pub macro_process: Option<String>,
    pub reference_date: Option<String>,
    /// What was unusual about the body, and how it was read.
    pub warnings: Vec<String>,
    pub outcome: Result<Announcement, Rejection>,
}

/// A notification whose body can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    pub name: String,
    pub process: String,
    pub macro_process: String,
    pub reference_date: String,
    pub period: Period,
    pub identity: Identity,
}

/// What identifies the product of a notification.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    ListPath(String),
    /// Folded.
    Name(String),
}

impl Identity {
    /// The list of its files where the token names it, else the name.
    pub fn of(list_path: Option<&str>, name: &str) -> Self {
        match list_path {
            Some(path) => Self::ListPath(path.to_owned()),
            None => Self::Name(fold(name)),
        }
    }

    /// The key of the product in the database.
    pub fn key(&self) -> String {
        match self {
            Self::ListPath(path) => format!("path:{path}"),
            Self::Name(name) => format!("name:{name}"),
        }
    }
}

/// Why a body cannot be used: the field, its value and what is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Rejection(pub String);

const FORM_LINK: &str = "[link]";

impl ParsedNotification {
    /// The largest body that is accepted; real ones have less than 2 KiB.
    pub const BYTES_MAX: usize = 256 << 10;

    /// Parses a JSON object. `None` if the bytes are not one.
    pub fn from_json(body: &[u8]) -> Option<Self> {
        let decoded = decode(body);
        let text = json::object(decoded.text.trim_matches(|c: char| c == '\0' || c.is_whitespace()))?;
        let mut reader = BodyReader::default();
        decoded.warn(&mut reader);
        let mut links = Vec::new();
        for (key, span) in json::members(&text) {
            reader.take(&key, value(&text[span.clone()]));
            if is_link(&key) {
                links.push(span);
            }
        }
        let kept = stored_json(&mut reader, &text, &links);
        Some(reader.into_notification(kept, None))
    }

    /// Parses a JSON object that describes an existing file, and so has no link: the same fields, and `listPath`, which
    /// otherwise a token contains.
    pub fn from_file_description(body: &[u8]) -> Option<Self> {
        let decoded = decode(body);
        let text = json::object(&decoded.text)?;
        let mut reader = BodyReader::of_file();
        let mut claims = Claims::default();
        for (key, span) in json::members(&text) {
            let value = value(&text[span]);
            if key.trim().eq_ignore_ascii_case("listpath") {
                claims.list_path = match value {
                    Value::Text(path) => Some(clean(&redacted(&path))).filter(|path| !path.is_empty()),
                    Value::Other(_) => None,
                };
            } else if !is_link(&key) {
                reader.take(&key, value);
            }
        }
        let kept = stored_json(&mut reader, &text, &[]);
        let mut notification = reader.into_notification(kept, Some(claims));
        // A longer one does not fit into an index of the database.
        if notification.claims.list_path.as_ref().is_some_and(|path| path.len() > LIST_PATH_BYTES_MAX) {
            notification.outcome = Err(Rejection(format!("`listPath` has more than {LIST_PATH_BYTES_MAX} bytes")));
            notification.claims.list_path = None;
        }
        Some(notification)
    }

    /// Parses a form. `None` if it has no field.
    pub fn from_form(body: &[u8]) -> Option<Self> {
        let mut reader = BodyReader::default();
        let pairs: Vec<_> = pairs(body).collect();
        for (_, key, value) in &pairs {
            reader.take(key, Value::Text(value.clone()));
        }
        let secrets = reader.find_secrets();
        let kept: Vec<String> = pairs.iter().map(|(raw, key, value)| stored_pair(raw, key, value, &secrets)).collect();
        (!kept.is_empty()).then(|| reader.into_notification(kept.join("&").into_bytes(), None))
    }

    /// Whether a form has the fields that every notification has: a name and a link.
    pub fn is_known_form(body: &[u8]) -> bool {
        let keys: Vec<String> = pairs(body).map(|(_, key, _)| key).collect();
        keys.iter().any(|key| is_link(key)) && keys.iter().any(|key| key.trim().eq_ignore_ascii_case("nome"))
    }

    /// The body for the API, as the text of a JSON object: the object sent, or the fields of the form. `None` if it is
    /// neither. Secrets that an older version stored are redacted.
    pub fn body_as_json(kept: &[u8]) -> Option<String> {
        let decoded = decode(kept);
        let secrets = Secrets::default();
        // A form may begin with a brace too.
        if let Some(text) = json::object(&decoded.text) {
            return Some(json::rewritten(&text, &[], &|text| secrets.redact(text)).0);
        }
        let value = |text: String| serde_json::Value::from(secrets.redact(&text).unwrap_or(text));
        let fields = pairs(kept).map(|(_, key, text)| (secrets.redact(&key).unwrap_or(key), value(text)));
        let object: serde_json::Map<_, _> = fields.collect();
        (!object.is_empty()).then(|| serde_json::Value::Object(object).to_string())
    }
}

/// The result of [`ParsedNotification::body_as_json`] as a value, for callers that cannot use the text. Integers of more than
/// 64 bits become strings.
pub fn body_value(json: &str) -> Option<serde_json::Value> {
    json::value(json)
}

/// The longest list path, which is part of a key in the database.
const LIST_PATH_BYTES_MAX: usize = 2_000;

fn value(json: &str) -> Value {
    json::string(json).map_or_else(|| Value::Other(json.to_owned()), Value::Text)
}

/// The body as it is stored. Changes that were necessary become warnings.
fn stored_json(reader: &mut BodyReader, text: &str, links: &[Range<usize>]) -> Vec<u8> {
    let secrets = reader.find_secrets();
    let (kept, changes) = json::rewritten(text, links, &|text| secrets.redact(text));
    warn_of_changes(reader, &changes);
    kept.into_bytes()
}

/// The fields of a form: each as sent, and its key and value decoded. A field without `=` is a key without a value.
fn pairs(body: &[u8]) -> impl Iterator<Item = (&[u8], String, String)> {
    body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let key_end = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        (pair, form_text(&pair[..key_end]), form_text(pair.get(key_end + 1..).unwrap_or_default()))
    })
}

/// A form's field as it is stored: as sent, unless it holds a secret.
fn stored_pair(raw: &[u8], key: &str, value: &str, secrets: &Secrets) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    if is_link(key) {
        return format!("{}={FORM_LINK}", encoded(key));
    }
    match (secrets.redact(key), secrets.redact(value), std::str::from_utf8(raw)) {
        (None, None, Ok(raw)) => raw.to_owned(),
        (new_key, new_value, _) => {
            format!("{}={}", encoded(new_key.as_deref().unwrap_or(key)), encoded(new_value.as_deref().unwrap_or(value)))
        }
    }
}

impl Announcement {
    /// The time that orders revisions: when the portal sent the notification, else when it was received.
    pub fn announced_at(claims: &Claims, received_at: Timestamp) -> Timestamp {
        claims.not_before.unwrap_or(received_at)
    }

    pub fn names(&self) -> ProductNames<'_> {
        ProductNames { name: &self.name, processes: self.processes() }
    }

    pub fn processes(&self) -> Processes<'_> {
        Processes { process: &self.process, macro_process: &self.macro_process }
    }
}

fn is_link(key: &str) -> bool {
    let key = key.trim();
    key.eq_ignore_ascii_case("url") || key.eq_ignore_ascii_case("uri")
}

/// Bytes as text.
struct DecodedText<'a> {
    text: Cow<'a, str>,
    /// Their encoding, if it is not UTF-8.
    encoding: Option<&'static str>,
}

impl DecodedText<'_> {
    fn warn(&self, reader: &mut BodyReader) {
        if let Some(encoding) = self.encoding {
            reader.warn(format!("the body is not UTF-8; read it as {encoding}"));
        }
    }
}

/// The encoding of a JSON object in UTF-16 without a byte order mark: its first two characters are ASCII.
fn unmarked_utf16(body: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let begins = |b: u8| b == b'{' || b.is_ascii_whitespace();
    match body {
        [first, 0, 1..=127, 0, ..] if begins(*first) => Some(encoding_rs::UTF_16LE),
        [0, first, 0, 1..=127, ..] if begins(*first) => Some(encoding_rs::UTF_16BE),
        _ => None,
    }
}

/// Decodes UTF-8 or UTF-16, with or without a byte order mark. Other bytes are Windows-1252, the superset of Latin-1 that
/// Brazilian systems write, or, if most of the characters outside of ASCII are UTF-8, that with U+FFFD for the others.
fn decode(body: &[u8]) -> DecodedText<'_> {
    let (body, has_mark) = match encoding_rs::Encoding::for_bom(body) {
        Some((encoding, length)) if encoding == encoding_rs::UTF_8 => (&body[length..], true),
        Some((encoding, length)) => {
            let text = encoding.decode_without_bom_handling(&body[length..]).0;
            return DecodedText { text, encoding: Some(encoding.name()) };
        }
        None => (body, false),
    };
    if let Some(encoding) = unmarked_utf16(body) {
        return DecodedText { text: encoding.decode_without_bom_handling(body).0, encoding: Some(encoding.name()) };
    }
    if let Ok(text) = std::str::from_utf8(body) {
        return DecodedText { text: Cow::Borrowed(text), encoding: None };
    }
    let (mut valid, mut invalid) = (usize::from(has_mark), 0);
    for chunk in body.utf8_chunks() {
        valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        invalid += usize::from(!chunk.invalid().is_empty());
    }
    match valid > invalid {
        true => {
            DecodedText { text: String::from_utf8_lossy(body), encoding: Some("UTF-8 with U+FFFD for what is broken") }
        }
        false => {
            let text = encoding_rs::WINDOWS_1252.decode_without_bom_handling(body).0;
            DecodedText { text, encoding: Some("windows-1252") }
        }
    }
}

fn form_text(raw: &[u8]) -> String {
    let spaced: Vec<u8> = raw.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    let bytes: Vec<u8> = percent_encoding::percent_decode(&spaced).collect();
    decode(&bytes).text.into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::ParsedNotification;

    const CANARY: &str = "canario@example.com.br";

    fn encoded(how: &[u8]) -> String {
        let escape = |(i, c): (usize, char)| match how[i % how.len()] % 5 {
            1 => format!("%{:02X}", c as u32),
            2 => format!("\\u{:04x}", c as u32),
            3 => format!("&#{};", c as u32),
            4 => format!("%25{:02x}", c as u32),
            _ => c.to_string(),
        };
        CANARY.chars().enumerate().map(escape).collect()
    }

    /// Whether the canary is in a text once its escapes are decoded.
    fn holds_canary(text: &str) -> bool {
        let mut text = text.to_owned();
        for c in CANARY.chars() {
            for _ in 0..2 {
                for form in [
                    format!("%{:02X}", c as u32),
                    format!("%{:02x}", c as u32),
                    format!("\\u{:04x}", c as u32),
                    format!("&#{};", c as u32),
                ] {
                    text = text.replace(&form, &c.to_string());
                }
                text = text.replace("%25", "%");
            }
        }
        text.contains(CANARY)
    }

    proptest! {
        #[test]
        fn a_stored_body_is_json_without_the_canary(
            how in prop::collection::vec(any::<u8>(), 1..30),
            noise in prop::collection::vec("[\\PC\n\"\\\\%&@.]{0,20}", 4),
            raw in any::<bool>(),
        ) {
            let encoded = encoded(&how);
            let text = format!("{} {encoded} {}", noise[0], noise[1]);
            // As a JSON writer encodes it, or with the escapes as they are.
            let quoted = if raw { format!("\"a {encoded}\"") } else { Value::from(text.clone()).to_string() };
            let key = Value::from(noise[2].clone());
            let body = format!(
                r#"{{"nome":{quoted},"dataProduto":"09/05/2025","url":"https://x.br/?token={encoded}",{key}:[{quoted},{{{quoted}:1e999}}],"z":{quoted}}}"#
            );
            let notification = ParsedNotification::from_json(body.as_bytes()).expect("an object");
            let kept = std::str::from_utf8(&notification.body).expect("text");
            let value: Value = serde_json::from_str(kept).expect("JSON");
            prop_assert!(value.is_object() && !holds_canary(kept), "{}", kept);
            prop_assert!(notification.name.is_none_or(|name| !holds_canary(&name)));
            let json = ParsedNotification::body_as_json(&notification.body).expect("a body");
            prop_assert_eq!(json, kept, "the API shows what is stored");
        }

        #[test]
        fn any_bytes_are_parsed_or_rejected(bytes in prop::collection::vec(any::<u8>(), 0..200), field in "\\PC{0,60}") {
            for body in [bytes.clone(), [b"{\"nome\":\"".as_slice(), &bytes, b"\",\"url\":\"https://x.br/\"}"].concat(), json!({ "nome": field, "periodicidade": field, "periodicidadeFinal": field, "dataProduto": field, "url": field }).to_string().into_bytes()] {
                if let Some(notification) = ParsedNotification::from_json(&body) {
                    prop_assert!(ParsedNotification::body_as_json(&notification.body).is_some());
                    if let Ok(announcement) = &notification.outcome {
                        prop_assert!(announcement.period.start <= announcement.period.end);
                    }
                }
                if let Some(notification) = ParsedNotification::from_form(&body) {
                    prop_assert!(ParsedNotification::body_as_json(&notification.body).is_some());
                }
            }
        }
    }

    #[test]
    fn a_hostile_body_takes_linear_time() {
        // Each would take minutes if every start, link or key were followed to the end.
        let hostile = [
            json!({ "nome": "eyJ".repeat(80_000) }).to_string(),
            json!({ "nome": "x", "y": vec!["a@"; 50_000] }).to_string(),
            format!("{{{}\"nome\":\"x\"}}", "\"url\":\"https://x.br/?token=aaaaaaaaa\",".repeat(5_000)),
            format!(
                "{{\"url\":\"https://x.br/?token={}\",\"y\":[{}1]}}",
                "aaaaaaaa.".repeat(800),
                "\"aaaaaaaa\",".repeat(20_000)
            ),
            format!("{{\"a\":{}{}}}", "[".repeat(120_000), "]".repeat(120_000)),
        ];
        for body in hostile {
            let notification = ParsedNotification::from_json(body.as_bytes()).expect("an object");
            assert!(ParsedNotification::body_as_json(&notification.body).is_some());
        }
    }
}
