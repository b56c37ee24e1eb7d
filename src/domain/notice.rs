//! What a notification's body says, and whether it can be understood.
use std::borrow::Cow;
use std::ops::Range;

use jiff::Timestamp;

use super::reading::{Reading, Value, warn_of_changes};
use super::{Claims, Link, Period, Secrets, clean, json};

/// A body as it is kept: the fields we know, and the bytes with the link cut out.
#[derive(Debug)]
pub struct Notice {
    /// The body as sent, without its link and other secrets, such that every reader can read it.
    pub body: Vec<u8>,
    pub link: Option<Link>,
    pub claims: Claims,
    /// As far as it could be read, also where the whole could not be understood.
    pub name: Option<String>,
    pub process: Option<String>,
    pub macro_process: Option<String>,
    pub reference_date: Option<String>,
    /// What was odd and how it was read all the same.
    pub warnings: Vec<String>,
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

const FORM_LINK: &str = "[link]";

impl Notice {
    /// The largest body taken; real ones have under 2 KiB.
    pub const BYTES_MAX: usize = 256 << 10;

    /// Reads a JSON object. `None` where the bytes are none.
    pub fn from_json(body: &[u8]) -> Option<Self> {
        let decoded = decode(body);
        let text = json::object(decoded.text.trim_matches(|c: char| c == '\0' || c.is_whitespace()))?;
        let mut reading = Reading::default();
        decoded.warn(&mut reading);
        let mut links = Vec::new();
        for (key, span) in json::members(&text) {
            reading.take(&key, value(&text[span.clone()]));
            if is_link(&key) {
                links.push(span);
            }
        }
        let kept = kept_json(&mut reading, &text, &links);
        Some(reading.into_notice(kept, None))
    }

    /// Reads a JSON object that tells of a file which is there already, and so has no link: the same fields, and
    /// `listPath` in the place of what a token would tell.
    pub fn of_file(body: &[u8]) -> Option<Self> {
        let decoded = decode(body);
        let text = json::object(&decoded.text)?;
        let mut reading = Reading::of_file();
        let mut claims = Claims::default();
        for (key, span) in json::members(&text) {
            let value = value(&text[span]);
            if key.trim().eq_ignore_ascii_case("listpath") {
                claims.list_path = match value {
                    Value::Text(path) => Some(clean(&path)).filter(|path| !path.is_empty()),
                    Value::Other(_) => None,
                };
            } else if !is_link(&key) {
                reading.take(&key, value);
            }
        }
        let kept = kept_json(&mut reading, &text, &[]);
        let mut notice = reading.into_notice(kept, Some(claims));
        // A longer one fits into no index of a database.
        if notice.claims.list_path.as_ref().is_some_and(|path| path.len() > LIST_PATH_BYTES_MAX) {
            notice.outcome = Err(Rejection(format!("`listPath` has more than {LIST_PATH_BYTES_MAX} bytes")));
            notice.claims.list_path = None;
        }
        Some(notice)
    }

    /// Reads a form. `None` where it has no field at all.
    pub fn from_form(body: &[u8]) -> Option<Self> {
        let mut reading = Reading::default();
        let pairs: Vec<_> = pairs(body).collect();
        for (_, key, value) in &pairs {
            reading.take(key, Value::Text(value.clone()));
        }
        let secrets = reading.find_secrets();
        let kept: Vec<String> = pairs.iter().map(|(raw, key, value)| kept_pair(raw, key, value, &secrets)).collect();
        (!kept.is_empty()).then(|| reading.into_notice(kept.join("&").into_bytes(), None))
    }

    /// Whether a form has the fields that no notification is without: a name and a link.
    pub fn is_known_form(body: &[u8]) -> bool {
        let keys: Vec<String> = pairs(body).map(|(_, key, _)| key).collect();
        keys.iter().any(|key| is_link(key)) && keys.iter().any(|key| key.trim().eq_ignore_ascii_case("nome"))
    }

    /// The body for the API, as the text of a JSON object: the object sent, or a form's fields as one. `None` where it was
    /// neither. Secrets that an older version kept are not shown.
    pub fn body_as_json(kept: &[u8]) -> Option<String> {
        let decoded = decode(kept);
        let secrets = Secrets::default();
        // A form may begin so too.
        if let Some(text) = json::object(&decoded.text) {
            return Some(json::rewritten(&text, &[], &|text| secrets.redact(text)).0);
        }
        let shown = |text: String| serde_json::Value::from(secrets.redact(&text).unwrap_or(text));
        let fields = pairs(kept).map(|(_, key, value)| (secrets.redact(&key).unwrap_or(key), shown(value)));
        let object: serde_json::Map<_, _> = fields.collect();
        (!object.is_empty()).then(|| serde_json::Value::Object(object).to_string())
    }
}

/// A text that [`Notice::body_as_json`] gave as a value, for those that cannot take the text. Integers of more than 64 bits
/// are texts in it.
pub fn body_value(json: &str) -> Option<serde_json::Value> {
    json::value(json)
}

/// The longest list path: the identity of a product is a key of the database.
const LIST_PATH_BYTES_MAX: usize = 2_000;

fn value(json: &str) -> Value {
    json::string(json).map_or_else(|| Value::Other(json.to_owned()), Value::Text)
}

/// The body as it is kept; what had to be changed in it is told.
fn kept_json(reading: &mut Reading, text: &str, links: &[Range<usize>]) -> Vec<u8> {
    let secrets = reading.find_secrets();
    let (kept, changes) = json::rewritten(text, links, &|text| secrets.redact(text));
    warn_of_changes(reading, &changes);
    kept.into_bytes()
}

/// The fields of a form: each as sent, its key and its value decoded. What has no `=` is a key without a value.
fn pairs(body: &[u8]) -> impl Iterator<Item = (&[u8], String, String)> {
    body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let key_end = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        (pair, form_text(&pair[..key_end]), form_text(pair.get(key_end + 1..).unwrap_or_default()))
    })
}

/// A form's field as it is kept: as sent, where it has no secret.
fn kept_pair(raw: &[u8], key: &str, value: &str, secrets: &Secrets) -> String {
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
    /// The time that orders revisions: when the portal sent it, else when it came.
    pub fn announced_at(claims: &Claims, received_at: Timestamp) -> Timestamp {
        claims.not_before.unwrap_or(received_at)
    }
}

fn is_link(key: &str) -> bool {
    let key = key.trim();
    key.eq_ignore_ascii_case("url") || key.eq_ignore_ascii_case("uri")
}

/// Bytes as text.
struct Decoded<'a> {
    text: Cow<'a, str>,
    /// What they were read as, where that is not UTF-8.
    read_as: Option<&'static str>,
}

impl Decoded<'_> {
    fn warn(&self, reading: &mut Reading) {
        if let Some(encoding) = self.read_as {
            reading.warn(format!("the body is not UTF-8; read it as {encoding}"));
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

/// UTF-8, or UTF-16, which may have a byte order mark. Else the bytes as Windows-1252, the superset of Latin-1 that Brazilian systems
/// write, or, where most of what is not ASCII is UTF-8, as that with U+FFFD for the rest.
fn decode(body: &[u8]) -> Decoded<'_> {
    let (body, has_mark) = match encoding_rs::Encoding::for_bom(body) {
        Some((encoding, length)) if encoding == encoding_rs::UTF_8 => (&body[length..], true),
        Some((encoding, length)) => {
            let text = encoding.decode_without_bom_handling(&body[length..]).0;
            return Decoded { text, read_as: Some(encoding.name()) };
        }
        None => (body, false),
    };
    if let Some(encoding) = unmarked_utf16(body) {
        return Decoded { text: encoding.decode_without_bom_handling(body).0, read_as: Some(encoding.name()) };
    }
    if let Ok(text) = std::str::from_utf8(body) {
        return Decoded { text: Cow::Borrowed(text), read_as: None };
    }
    let (mut sound, mut broken) = (usize::from(has_mark), 0);
    for chunk in body.utf8_chunks() {
        sound += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    match sound > broken {
        true => Decoded { text: String::from_utf8_lossy(body), read_as: Some("UTF-8 with U+FFFD for what is broken") },
        false => {
            let text = encoding_rs::WINDOWS_1252.decode_without_bom_handling(body).0;
            Decoded { text, read_as: Some("windows-1252") }
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

    use super::Notice;

    const CANARY: &str = "canario@example.com.br";

    fn dressed(how: &[u8]) -> String {
        let escape = |(i, c): (usize, char)| match how[i % how.len()] % 5 {
            1 => format!("%{:02X}", c as u32),
            2 => format!("\\u{:04x}", c as u32),
            3 => format!("&#{};", c as u32),
            4 => format!("%25{:02x}", c as u32),
            _ => c.to_string(),
        };
        CANARY.chars().enumerate().map(escape).collect()
    }

    /// Whether the canary is in a text once all its escapes are undone, as anybody could.
    fn sings(text: &str) -> bool {
        let mut text = text.to_owned();
        for c in CANARY.chars() {
            for _ in 0..2 {
                for dress in [
                    format!("%{:02X}", c as u32),
                    format!("%{:02x}", c as u32),
                    format!("\\u{:04x}", c as u32),
                    format!("&#{};", c as u32),
                ] {
                    text = text.replace(&dress, &c.to_string());
                }
                text = text.replace("%25", "%");
            }
        }
        text.contains(CANARY)
    }

    proptest! {
        #[test]
        fn a_kept_body_is_json_that_sings_of_nobody(
            how in prop::collection::vec(any::<u8>(), 1..30),
            noise in prop::collection::vec("[\\PC\n\"\\\\%&@.]{0,20}", 4),
            raw in any::<bool>(),
        ) {
            let dressed = dressed(&how);
            let text = format!("{} {dressed} {}", noise[0], noise[1]);
            // As a JSON writer encodes it, or with the escapes as they are.
            let quoted = if raw { format!("\"a {dressed}\"") } else { Value::from(text.clone()).to_string() };
            let key = Value::from(noise[2].clone());
            let body = format!(
                r#"{{"nome":{quoted},"dataProduto":"09/05/2025","url":"https://x.br/?token={dressed}",{key}:[{quoted},{{{quoted}:1e999}}],"z":{quoted}}}"#
            );
            let notice = Notice::from_json(body.as_bytes()).expect("an object");
            let kept = std::str::from_utf8(&notice.body).expect("text");
            let value: Value = serde_json::from_str(kept).expect("JSON");
            prop_assert!(value.is_object() && !sings(kept), "{}", kept);
            prop_assert!(notice.name.is_none_or(|name| !sings(&name)));
            let shown = Notice::body_as_json(&notice.body).expect("a body");
            prop_assert_eq!(shown, kept, "what is kept is what is shown");
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), field in "\\PC{0,60}") {
            for body in [bytes.clone(), [b"{\"nome\":\"".as_slice(), &bytes, b"\",\"url\":\"https://x.br/\"}"].concat(), json!({ "nome": field, "periodicidade": field, "periodicidadeFinal": field, "dataProduto": field, "url": field }).to_string().into_bytes()] {
                if let Some(notice) = Notice::from_json(&body) {
                    prop_assert!(Notice::body_as_json(&notice.body).is_some());
                    if let Ok(announcement) = &notice.outcome {
                        prop_assert!(announcement.period.start <= announcement.period.end);
                    }
                }
                if let Some(notice) = Notice::from_form(&body) {
                    prop_assert!(Notice::body_as_json(&notice.body).is_some());
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
            let notice = Notice::from_json(body.as_bytes()).expect("an object");
            assert!(Notice::body_as_json(&notice.body).is_some());
        }
    }
}
