//! Output to the terminal. Names, paths and reasons come from outside: everything goes through [`printable`], so that none of
//! them moves the cursor or changes the reading direction.
use std::io::Write;

use anyhow::bail;
use serde_json::Value;

use crate::domain::{first_chars, printable};

/// The longest text in a cell of a table.
const CELL_CHARS_MAX: usize = 200;

/// The program that read standard output has ended, as `head` does. This is not an error, and there is nothing left to do.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub(super) struct OutputClosed;

/// Prints a line to standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let line_end: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
    out.write_all(printable(text).as_bytes())
        .and_then(|()| out.write_all(line_end))
        .and_then(|()| out.flush())
        .map_err(write_error)
}

/// Prints a line to standard error, and ignores errors.
pub(super) fn print_message(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(text));
}

/// A text from outside for a cell of a table: printable, on one line, of limited length.
pub(super) fn in_cell(text: &str) -> String {
    let start = first_chars(text, CELL_CHARS_MAX);
    let line = printable(start).replace(['\n', '\r', '\t'], " ");
    if start.len() < text.len() { line + "…" } else { line }
}

/// What a failed write to standard output means.
pub(super) fn write_error(error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => OutputClosed.into(),
        _ => anyhow::Error::new(error).context("standard output cannot be written"),
    }
}

/// Bytes for a person: `1.2 MiB`.
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).to_string()
}

/// Objects without nested values as CSV (RFC 4180); the keys of the first one are the columns.
pub(super) fn csv(rows: impl Iterator<Item = Value>) -> anyhow::Result<String> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for (i, row) in rows.enumerate() {
        let Value::Object(row) = row else { bail!("a row of CSV is not an object: {row}") };
        if i == 0 {
            writer.write_record(row.keys())?;
        }
        writer.write_record(row.values().map(cell))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
