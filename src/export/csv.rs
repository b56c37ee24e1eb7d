//! CSV (RFC 4180), with options for Brazilian spreadsheets.
use std::borrow::Cow;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use jiff::civil::DateTime;

use super::{Cell, Chunks, ExportError, Pages, Sheet, TableRow};
use crate::domain::Stamp;

/// The CSV dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    pub delimiter: u8,
    pub decimal: char,
    /// Start with a byte order mark, by which Excel recognizes UTF-8.
    pub bom: bool,
    /// Put an apostrophe before cells that a spreadsheet would evaluate as a formula.
    pub escape_formulas: bool,
    pub dates: Dates,
}

/// How instants and wall-clock times are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dates {
    /// ISO 8601: instants with milliseconds, in UTC with `Z`.
    #[default]
    Iso,
    /// `20/02/2025 23:59:59`, which LibreOffice and Excel in Portuguese read as a date.
    Brazilian,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { delimiter: b',', decimal: '.', bom: false, escape_formulas: false, dates: Dates::Iso }
    }
}

pub(super) fn write<Row: TableRow>(pages: Pages<Row>, sheet: Sheet<Row>, options: CsvOptions) -> Chunks {
    let header = header(&sheet, options);
    let rows = pages.map(move |page| lines(&page?, &sheet, options));
    stream::once(async { header }).chain(rows).boxed()
}

type Writer = csv::Writer<Vec<u8>>;

fn header<Row: TableRow>(sheet: &Sheet<Row>, options: CsvOptions) -> Result<Bytes, ExportError> {
    let bom: &[u8] = if options.bom { b"\xef\xbb\xbf" } else { b"" };
    let names = sheet.columns.iter().map(|column| Cell::from(sheet.headers.name(column.name)));
    to_csv(bom.to_vec(), options, |writer| record(writer, names, sheet, options))
}

fn lines<Row: TableRow>(rows: &[Row], sheet: &Sheet<Row>, options: CsvOptions) -> Result<Bytes, ExportError> {
    to_csv(Vec::with_capacity(rows.len() * 400), options, |writer| {
        rows.iter().try_for_each(|row| record(writer, sheet.cells(row), sheet, options))
    })
}

fn to_csv(
    buffer: Vec<u8>,
    options: CsvOptions,
    write: impl FnOnce(&mut Writer) -> csv::Result<()>,
) -> Result<Bytes, ExportError> {
    let mut writer =
        csv::WriterBuilder::new().delimiter(options.delimiter).terminator(csv::Terminator::CRLF).from_writer(buffer);
    write(&mut writer).map_err(|e| ExportError::Write(e.to_string()))?;
    Ok(writer.into_inner().map_err(|e| ExportError::Write(e.to_string()))?.into())
}

fn record<'a, Row: 'static>(
    writer: &mut Writer,
    cells: impl Iterator<Item = Cell<'a>>,
    sheet: &Sheet<Row>,
    options: CsvOptions,
) -> csv::Result<()> {
    for cell in cells {
        match cell {
            Cell::Null => writer.write_field(""),
            Cell::Text(text) => writer.write_field(as_text(text, options).as_bytes()),
            Cell::Id(id) => writer.write_field(id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())),
            Cell::Texts(texts) => writer.write_field(as_text(texts.join("; ").into(), options).as_bytes()),
            Cell::Int(n) => writer.write_field(n.to_string()),
            Cell::Long(n) => writer.write_field(n.to_string()),
            Cell::Float(n) => writer.write_field(n.to_string().replace('.', &options.decimal.to_string())),
            Cell::Flag(flag) => writer.write_field(if flag { "true" } else { "false" }),
            Cell::Instant(at) => match (options.dates, sheet.local(at)) {
                (Dates::Brazilian, _) => writer.write_field(brazilian(sheet.civil(at))),
                (Dates::Iso, Some(local)) => writer.write_field(Stamp::of_local_millis(local).as_str()),
                (Dates::Iso, None) => writer.write_field(Stamp::of_instant(at).as_str()),
            },
            Cell::Wall(at) if options.dates == Dates::Brazilian => writer.write_field(brazilian(at.0)),
            Cell::Wall(at) => writer.write_field(Stamp::of_local(at.0).as_str()),
        }?;
    }
    writer.write_record(None::<&[u8]>)
}

/// To the second, as people in Brazil write it.
fn brazilian(at: DateTime) -> String {
    at.strftime("%d/%m/%Y %H:%M:%S").to_string()
}

fn as_text(text: Cow<'_, str>, options: CsvOptions) -> Cow<'_, str> {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if options.escape_formulas && is_formula { format!("'{text}").into() } else { text }
}
