//! The manifest of the files to import: CSV with a header, or NDJSON; one row for each file.
mod csv;

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tempfile::SpooledTempFile;

use super::lines::{self, Line};
use super::notifications::{not_an_instant, past};
use super::{extended, names, text};
use crate::domain::{Digest, NotificationId, ParsedNotification, clean, decode, excerpt, millis};
use crate::engine::record::{IMPORT, NewNotification};

/// The longest row: as long as the longest body of a notification.
const ROW_BYTES_MAX: usize = ParsedNotification::BYTES_MAX;

/// Rows are sorted by time before the first is imported: a few bytes of each are in memory, the others on disk.
const ROWS_MAX: usize = 5_000_000;
const BYTES_MAX: u64 = 2 << 30;

/// Bytes of rows in memory before they are written to a file.
const SPOOL_BYTES_MAX: usize = 16 << 20;

/// Why a manifest cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest {0} cannot be read: {1}")]
    Unreadable(String, std::io::Error),
    #[error("the manifest {0} has more than {ROWS_MAX} rows or {BYTES_MAX} bytes; split it into several files")]
    TooLarge(String),
    #[error(
        "the manifest {0} begins neither with a CSV header with the columns `path` and `nome` nor with a JSON object"
    )]
    Headless(String),
}

/// Where the files of a manifest are.
#[derive(Clone, Copy, Debug)]
pub enum Root<'a> {
    Folder(&'a Path),
    Tar,
}

/// A valid row.
#[derive(Debug)]
pub struct Row {
    pub line: u64,
    /// Relative to the given folder or the tar, with `/`.
    pub path: String,
    /// `None` stands for the time of the import, after all rows with a time.
    pub received_at: Option<Timestamp>,
    pub notification: NewNotification,
}

type Object = Result<Map<String, Value>, String>;

/// The valid rows, sorted by time. They are spooled to a file and read back one by one.
pub struct Manifest {
    index: Vec<IndexEntry>,
    spool: SpooledTempFile,
    /// Hashes of the normalized paths in a tar; two paths may share one.
    paths: HashSet<u64>,
    now: Timestamp,
}

/// Where a row is in the spool.
struct IndexEntry {
    at: i64,
    line: u64,
    offset: u64,
    length: u32,
}

impl Manifest {
    /// Reads a manifest. Invalid rows are passed to `refuse` as they are found.
    pub fn read(
        path: &Path,
        root: Root<'_>,
        scratch: &Path,
        now: Timestamp,
        refuse: &mut dyn FnMut(u64, String),
    ) -> Result<Self, ManifestError> {
        let name = || path.display().to_string();
        let opened = lines::open(path).map_err(|e| ManifestError::Unreadable(name(), e))?;
        let parsed = Self::parse(opened.0, root, scratch, now, refuse);
        match parsed.map_err(|e| ManifestError::Unreadable(name(), e))? {
            Parsed::Rows(manifest) => Ok(manifest),
            Parsed::Headless => Err(ManifestError::Headless(name())),
            Parsed::TooMany => Err(ManifestError::TooLarge(name())),
        }
    }

    /// Like [`Manifest::read`], from an open file.
    pub fn parse(
        reader: impl BufRead + Send + 'static,
        root: Root<'_>,
        scratch: &Path,
        now: Timestamp,
        refuse: &mut dyn FnMut(u64, String),
    ) -> io::Result<Parsed> {
        let Some(mut objects) = Objects::open(text::text(reader)?)? else { return Ok(Parsed::Headless) };
        let spool = tempfile::spooled_tempfile_in(SPOOL_BYTES_MAX, scratch);
        let mut manifest = Self { index: Vec::new(), spool, paths: HashSet::new(), now };
        let mut offset = 0;
        while let Some((line, object)) = objects.next()? {
            match object.and_then(|object| row(line, object, root, now)) {
                Err(reason) => refuse(line, reason),
                Ok(_) if manifest.index.len() == ROWS_MAX || offset > BYTES_MAX => return Ok(Parsed::TooMany),
                Ok((row, object)) => {
                    let bytes = serde_json::to_vec(&object)?;
                    manifest.spool.write_all(&bytes)?;
                    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
                    let at = row.received_at.map_or(i64::MAX, millis);
                    manifest.index.push(IndexEntry { at, line, offset, length });
                    if matches!(root, Root::Tar) {
                        manifest.paths.insert(hash(&names::normalized(row.path.as_bytes())));
                    }
                    offset += u64::from(length);
                }
            }
        }
        // Stable: rows with the same time, or without one, keep their order.
        manifest.index.sort_by_key(|entry| entry.at);
        Ok(Parsed::Rows(manifest))
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Whether a row may have this path, which is normalized.
    pub fn may_name(&self, readable: &str) -> bool {
        self.paths.contains(&hash(readable))
    }

    /// The rows, in the order of their time.
    pub fn rows(self, root: Root<'_>) -> impl Iterator<Item = io::Result<Row>> {
        let Self { index, mut spool, now, .. } = self;
        index.into_iter().map(move |entry| {
            let mut bytes = vec![0; entry.length as usize];
            spool.seek(SeekFrom::Start(entry.offset))?;
            spool.read_exact(&mut bytes)?;
            let object = serde_json::from_slice(&bytes)?;
            row(entry.line, object, root, now).map(|(row, _)| row).map_err(io::Error::other)
        })
    }
}

/// The outcome of parsing a manifest.
pub enum Parsed {
    Rows(Manifest),
    /// It begins with neither a CSV header nor a JSON object.
    Headless,
    TooMany,
}

fn hash(text: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}

/// The rows of CSV or NDJSON.
enum Objects {
    Csv(Box<csv::Csv>),
    Json { reader: Box<dyn BufRead + Send>, line: u64 },
}

impl Objects {
    fn open(mut reader: Box<dyn BufRead + Send>) -> io::Result<Option<Self>> {
        let mut blanks = Vec::new();
        let first = loop {
            match reader.fill_buf()?.first().copied() {
                Some(byte) if byte.is_ascii_whitespace() && blanks.len() < ROW_BYTES_MAX => {
                    blanks.push(byte);
                    reader.consume(1);
                }
                first => break first,
            }
        };
        let whole = Box::new(io::Cursor::new(blanks).chain(reader));
        if first == Some(b'{') {
            return Ok(Some(Self::Json { reader: whole, line: 0 }));
        }
        Ok(csv::Csv::open(whole)?.map(|csv| Self::Csv(Box::new(csv))))
    }

    fn next(&mut self) -> io::Result<Option<(u64, Object)>> {
        let (reader, number) = match self {
            Self::Csv(csv) => return csv.next(),
            Self::Json { reader, line } => (reader, line),
        };
        while let Some(line) = lines::next(reader, ROW_BYTES_MAX)? {
            *number += 1;
            let object = match line {
                Line::TooLong => Err(format!("the line has more than {ROW_BYTES_MAX} bytes")),
                Line::Text(text) if text.trim_ascii().is_empty() => continue,
                Line::Text(text) => match serde_json::from_str(&decode(&text)).map(extended::plain) {
                    Ok(Value::Object(object)) => Ok(object),
                    _ => Err("it is not a JSON object".to_owned()),
                },
            };
            return Ok(Some((*number, object)));
        }
        Ok(None)
    }
}

fn row(
    line: u64,
    object: Map<String, Value>,
    root: Root<'_>,
    now: Timestamp,
) -> Result<(Row, Map<String, Value>), String> {
    let find = |wanted: &str| {
        let found = object.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(wanted));
        found.and_then(|(_, value)| value.as_str()).map(str::trim).filter(|text| !text.is_empty())
    };
    let path = safe(find("path").ok_or("`path` is missing; it is the path of the file in the given folder")?, root)?;
    let received_at = match object.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case("receivedAt")) {
        None | Some((_, Value::Null)) => None,
        Some((_, Value::String(text))) if clean(text).is_empty() => None,
        Some((_, Value::String(text))) => Some(past(text, now)?),
        Some((_, other)) => return Err(not_an_instant(&other.to_string())),
    };
    let body = serde_json::to_vec(&object).map_err(|e| e.to_string())?;
    let notice = ParsedNotification::from_file_description(&body).ok_or("it is not a JSON object")?;
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
    Ok((Row { line, path, received_at, notification }, object))
}

/// A path that does not leave the folder or tar. An absolute path is accepted in a tar and below the given folder.
fn safe(path: &str, root: Root<'_>) -> Result<String, String> {
    let path = clean(path).replace('\\', "/");
    let below = match root {
        Root::Tar => Path::new(path.trim_start_matches('/')),
        Root::Folder(folder) => Path::new(&path).strip_prefix(folder).unwrap_or(Path::new(&path)),
    };
    let mut parts = Vec::new();
    for component in below.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(format!("`path` is `{}`; it must be inside the given folder", excerpt(&path)));
            }
        }
    }
    if parts.is_empty() {
        return Err("`path` is not the path of a file".to_owned());
    }
    Ok(parts.join("/"))
}
