//! CSV as RFC 4180 writes it, with what Brazilian spreadsheets want as options.
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::columns::{Column, Value};
use super::{ExportError, Pages, Pieces};

/// How cells are written and joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    pub delimiter: u8,
    pub decimal: char,
    /// Begin with the mark by which Excel knows UTF-8.
    pub bom: bool,
    /// Put an apostrophe before cells that a spreadsheet would run as a formula.
    pub escape_formulas: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { delimiter: b',', decimal: '.', bom: false, escape_formulas: false }
    }
}

pub(super) fn write(pages: Pages, columns: Vec<&'static Column>, options: CsvOptions) -> Pieces {
    let header = lines(&[columns.iter().map(|column| Value::from(column.name)).collect()], options);
    let header = header.map(|lines| if options.bom { [b"\xef\xbb\xbf", &lines[..]].concat().into() } else { lines });
    let rows = pages.map(move |page| lines(&page?, options));
    stream::once(async { header }).chain(rows).boxed()
}

fn lines(rows: &[Vec<Value>], options: CsvOptions) -> Result<Bytes, ExportError> {
    let cannot = |e: &dyn std::fmt::Display| ExportError::Write(e.to_string());
    let mut writer = csv::WriterBuilder::new()
        .delimiter(options.delimiter)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::with_capacity(rows.len() * 300));
    for row in rows {
        for value in row {
            writer.write_field(cell(value, options)).map_err(|e| cannot(&e))?;
        }
        writer.write_record(None::<&[u8]>).map_err(|e| cannot(&e))?;
    }
    Ok(writer.into_inner().map_err(|e| cannot(&e))?.into())
}

fn cell(value: &Value, options: CsvOptions) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) if options.escape_formulas && text.starts_with(['=', '+', '-', '@', '\t', '\r']) => {
            format!("'{text}")
        }
        Value::Text(text) => text.clone(),
        Value::Int(n) => n.to_string(),
        Value::Long(n) => n.to_string(),
        Value::Float(n) => n.to_string().replace('.', &options.decimal.to_string()),
        Value::Flag(flag) => flag.to_string(),
        Value::Instant(at) => format!("{at:.3}"),
        Value::Wall(at) => at.to_string(),
    }
}
