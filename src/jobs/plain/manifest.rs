//! The manifest: JSON, one object a line, each with one field that says what it is. The first is the header. The last says how many lines
//! there are, so that a manifest that was cut short is recognized.
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::{Digest, Hasher};
use crate::engine::record::{Columns, RowKind};

pub(super) const MANIFEST: &str = "manifest.ndjson";

/// A folder for work in progress.
pub(super) const WORK: &str = ".acervo";

/// Grows when an older version could not read what a newer one writes.
const FORMAT: u64 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub format: u64,
    /// Of Acervo.
    pub version: String,
    /// The options that chose what is exported; absent if that is everything.
    pub filter: Option<Value>,
    /// Whether links that have not expired are in it.
    pub links: bool,
}

impl Header {
    pub fn new(filter: Option<Value>, links: bool) -> Self {
        Self { format: FORMAT, version: env!("CARGO_PKG_VERSION").to_owned(), filter, links }
    }

    /// Whether revisions were left out of publications.
    pub fn is_cut(&self) -> bool {
        self.filter.as_ref().is_some_and(|filter| !filter["asOf"].is_null())
    }
}

/// A file that could not be exported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MissingFile {
    pub path: String,
    pub digest: String,
    pub reason: String,
}

#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Header(Header),
    Row(RowKind, Columns),
    Missing(MissingFile),
    End { lines: u64 },
}

const HEADER: &str = "acervoExport";
const MISSING: &str = "missing";
const END: &str = "end";

impl Line {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let line: Map<String, Value> = serde_json::from_str(text).context("the line is not a JSON object")?;
        let mut fields = line.into_iter();
        let (Some((name, value)), None) = (fields.next(), fields.next()) else {
            bail!("the line is not an object with one field");
        };
        Ok(match (name.as_str(), value) {
            (HEADER, value) => Self::Header(serde_json::from_value(value).context("the header is not valid")?),
            (MISSING, value) => Self::Missing(serde_json::from_value(value).context("`missing` is not valid")?),
            (END, value) => Self::End { lines: value["lines"].as_u64().context("`end` has no `lines`")? },
            (name, Value::Object(columns)) => match RowKind::parse(name) {
                Some(kind) => Self::Row(kind, columns),
                None => bail!("`{name}` is not a kind of row that this version knows; a newer Acervo wrote the export"),
            },
            (name, _) => bail!("`{name}` is not an object"),
        })
    }
}

/// Writes a manifest to a new file.
pub(super) struct Writer {
    file: BufWriter<File>,
    hasher: Hasher,
    pub lines: u64,
}

impl Writer {
    pub fn create(path: &Path, header: &Header) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        let mut writer = Self { file: BufWriter::with_capacity(1 << 20, file), hasher: Hasher::default(), lines: 0 };
        writer.write(HEADER, header)?;
        Ok(writer)
    }

    fn write(&mut self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(&json!({ name: value }))?;
        line.push(b'\n');
        self.hasher.update(&line);
        self.lines += 1;
        self.file.write_all(&line).context("the manifest cannot be written")
    }

    pub fn row(&mut self, kind: RowKind, columns: &Columns) -> anyhow::Result<()> {
        self.write(kind.as_str(), columns)
    }

    pub fn missing(&mut self, file: &MissingFile) -> anyhow::Result<()> {
        self.write(MISSING, file)
    }

    /// Makes what was written visible to readers of the file.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        self.file.flush().context("the manifest cannot be written")
    }

    /// Writes the last line. On return the file survives a power cut.
    pub fn finish(mut self) -> anyhow::Result<Digest> {
        let lines = self.lines + 1;
        self.write(END, &json!({ "lines": lines }))?;
        self.flush()?;
        self.file.get_ref().sync_all().context("the manifest cannot be written")?;
        Ok(self.hasher.finish())
    }
}

/// The lines of a manifest, each with its number from 1.
pub(super) struct Reader {
    file: BufReader<File>,
    number: u64,
    hasher: Hasher,
}

impl Reader {
    pub fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: BufReader::with_capacity(1 << 20, File::open(path)?), number: 0, hasher: Hasher::default() })
    }

    /// The next line; `None` at the end.
    pub fn next(&mut self) -> anyhow::Result<Option<(u64, Line)>> {
        let mut text = Vec::new();
        if self.file.read_until(b'\n', &mut text).context("the manifest cannot be read")? == 0 {
            return Ok(None);
        }
        self.hasher.update(&text);
        self.number += 1;
        let number = self.number;
        let text = std::str::from_utf8(&text).with_context(|| format!("{MANIFEST}:{number}: the line is not UTF-8"))?;
        let line = Line::parse(text).with_context(|| format!("{MANIFEST}:{number}"))?;
        Ok(Some((number, line)))
    }

    /// The digest of all lines, after the last.
    pub fn finish(self) -> Digest {
        self.hasher.finish()
    }
}

/// Reads the header alone.
pub(super) fn header_of(path: &Path) -> anyhow::Result<Header> {
    let mut reader = Reader::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    match reader.next()? {
        Some((_, Line::Header(header))) if header.format <= FORMAT => Ok(header),
        Some((_, Line::Header(header))) => bail!(
            "{} has the format {}, and this version reads {FORMAT}; use a newer Acervo",
            path.display(),
            header.format
        ),
        _ => bail!("{} is not the manifest of an export of Acervo", path.display()),
    }
}

/// A text column.
pub(super) fn text<'a>(columns: &'a Columns, name: &str) -> anyhow::Result<&'a str> {
    columns.get(name).and_then(Value::as_str).with_context(|| format!("`{name}` is not a text"))
}

pub(super) fn is_null(columns: &Columns, name: &str) -> bool {
    columns.get(name).is_none_or(Value::is_null)
}

pub(super) fn digest(columns: &Columns) -> anyhow::Result<Digest> {
    text(columns, "digest")?.parse().ok().context("`digest` is not a SHA-256")
}

pub(super) fn id(columns: &Columns, name: &str) -> anyhow::Result<uuid::Uuid> {
    text(columns, name)?.parse().ok().with_context(|| format!("`{name}` is not an id"))
}
