//! The manifest of files that are had already: CSV with a header, or NDJSON; one row a file.
use std::io::Read;
use std::path::{Component, Path};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::lines;
use crate::domain::{Digest, Notice, NotificationId, clean};
use crate::record::{IMPORT, NewNotification};

/// Manifests are read whole, to be put in the order of time: some millions of rows.
const BYTES_MAX: u64 = 2 << 30;

/// Why a manifest cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest {0} cannot be read: {1}")]
    Unreadable(String, std::io::Error),
    #[error("the manifest {0} has more than {BYTES_MAX} bytes: give it in parts")]
    TooLarge(String),
    #[error("the manifest {0} begins with neither a CSV header that names `path` and `nome` nor a JSON object")]
    Headless(String),
}

/// A row that can be taken.
#[derive(Debug)]
pub struct Row {
    pub line: u64,
    /// Under the given folder, or in the tar; with `/`.
    pub path: String,
    /// Absent: now, after all that have a time.
    pub received_at: Option<Timestamp>,
    pub notification: NewNotification,
}

/// The rows in the order of their time, and those that cannot be taken, each with its line and reason.
pub type Rows = (Vec<Row>, Vec<(u64, String)>);

pub(super) fn read(path: &Path, now: Timestamp) -> Result<Rows, ManifestError> {
    let shown = || path.display().to_string();
    let unreadable = |e| ManifestError::Unreadable(shown(), e);
    let (reader, _) = lines::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    reader.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(ManifestError::TooLarge(shown()));
    }
    parse(&bytes, now).ok_or_else(|| ManifestError::Headless(shown()))
}

/// `None` where it begins as no manifest does.
pub fn parse(bytes: &[u8], now: Timestamp) -> Option<Rows> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let is_json = text.trim_ascii_start().first() == Some(&b'{');
    let objects = if is_json { from_json(text) } else { from_csv(text)? };
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    for (line, object) in objects {
        match object.and_then(|object| row(line, object, now)) {
            Ok(row) => rows.push(row),
            Err(reason) => refused.push((line, reason)),
        }
    }
    // Stable: rows of one time, or of none, stay in their order.
    rows.sort_by_key(|row| row.received_at.unwrap_or(Timestamp::MAX));
    Some((rows, refused))
}

type Objects = Vec<(u64, Result<Map<String, Value>, String>)>;

fn from_json(text: &[u8]) -> Objects {
    let lines = (1..).zip(text.split(|b| *b == b'\n')).filter(|(_, line)| !line.trim_ascii().is_empty());
    lines
        .map(|(number, line)| (number, serde_json::from_slice(line).map_err(|_| "it is no JSON object".to_owned())))
        .collect()
}

/// `None` where the header does not name what is needed.
fn from_csv(text: &[u8]) -> Option<Objects> {
    let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
    // Brazilian spreadsheets write semicolons.
    let delimiter = if first.contains(&b';') && !first.contains(&b',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text);
    let decode = |field: &[u8]| match std::str::from_utf8(field) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(field).0.into_owned(),
    };
    let header: Vec<String> = reader.byte_headers().ok()?.iter().map(|name| decode(name).trim().to_owned()).collect();
    let names = |wanted: &str| header.iter().any(|name| name.eq_ignore_ascii_case(wanted));
    if !names("path") || !names("nome") {
        return None;
    }
    let mut objects = Objects::new();
    // The reader's own count is one behind where lines end in two characters.
    let (mut line, mut counted) = (1, 0);
    let mut line_at = |at: Option<&csv::Position>| {
        let at = at.and_then(|at| usize::try_from(at.byte()).ok()).unwrap_or(counted);
        let start = at + text[at..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        line += memchr::memchr_iter(b'\n', &text[counted.min(start)..start]).count() as u64;
        counted = start;
        line
    };
    for record in reader.byte_records() {
        match record {
            Ok(record) => {
                let line = line_at(record.position());
                let object = if record.len() == header.len() {
                    let fields = header.iter().zip(record.iter());
                    Ok(fields.map(|(name, field)| (name.clone(), Value::String(decode(field)))).collect())
                } else {
                    Err(format!("it has {} fields, the header has {}", record.len(), header.len()))
                };
                objects.push((line, object));
            }
            Err(e) => objects.push((line_at(e.position()), Err(e.to_string()))),
        }
    }
    Some(objects)
}

fn row(line: u64, object: Map<String, Value>, now: Timestamp) -> Result<Row, String> {
    let find = |wanted: &str| {
        let found = object.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(wanted));
        found.and_then(|(_, value)| value.as_str()).map(str::trim).filter(|text| !text.is_empty())
    };
    let path = safe(find("path").ok_or("`path` is missing: the file, under the given folder")?)?;
    let received_at = find("receivedAt").map(|text| super::notifications::past(text, now)).transpose()?;
    let body = serde_json::to_vec(&object).map_err(|e| e.to_string())?;
    let notice = Notice::of_file(&body).ok_or("it is no JSON object")?;
    if let Err(reason) = &notice.outcome {
        return Err(reason.to_string());
    }
    let notification = NewNotification {
        id: NotificationId::new(),
        source: IMPORT.to_owned(),
        received_at: received_at.unwrap_or(now),
        body_digest: Digest::of(&body),
        notice,
    };
    Ok(Row { line, path, received_at, notification })
}

/// A path that stays where it is looked for.
fn safe(path: &str) -> Result<String, String> {
    let path = clean(path).replace('\\', "/");
    let mut parts = Vec::new();
    for component in Path::new(&path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                let shown: String = path.chars().take(100).collect();
                return Err(format!("`path` is `{shown}`: it must lie under the given folder"));
            }
        }
    }
    if parts.is_empty() {
        return Err("`path` names no file".to_owned());
    }
    Ok(parts.join("/"))
}
