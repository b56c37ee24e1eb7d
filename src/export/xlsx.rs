//! Excel workbooks with typed cells: numbers, dates, true and false. A workbook is a zip whose parts are complete only at the end, so it
//! is made in a temporary file before its first byte is sent; rows are not held in memory.
use futures_util::StreamExt;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};
use tokio::sync::mpsc;

use super::scratch::{Scratch, ScratchFile};
use super::{Cell, ExportError, Pages, Sheet, TableRow};
use crate::query::{QueryError, Spool};

/// Rows of a worksheet below its header.
const ROWS_MAX: u64 = 1_048_575;

/// Characters of a cell. Longer texts are cut.
const TEXT_MAX: usize = 32_767;

/// Excel knows no dates before this one; they are written as text.
const FIRST_YEAR: i16 = 1901;

/// Bytes that a cell takes in a temporary file, apart from its text.
const CELL_BYTES: u64 = 32;

impl From<XlsxError> for ExportError {
    fn from(error: XlsxError) -> Self {
        Self::Write(error.to_string())
    }
}

/// The most rows that are written.
pub(super) fn rows_max() -> u64 {
    fail::fail_point!("worksheet-rows", |rows| rows.and_then(|rows| rows.parse().ok()).unwrap_or(ROWS_MAX));
    ROWS_MAX
}

/// The error for more rows than a worksheet has.
pub(super) fn too_many_rows() -> QueryError {
    QueryError::bad(format!(
        "the export has more than {ROWS_MAX} rows, the most that a worksheet holds; narrow it, give a `limit`, or request .csv or .parquet"
    ))
}

/// Writes the workbook. An error if there are more rows than a worksheet holds.
pub(super) async fn write<Row: TableRow>(mut pages: Pages<Row>, sheet: Sheet<Row>) -> Result<ScratchFile, ExportError> {
    let (sender, receiver) = mpsc::channel(1);
    let queries = sheet.queries.clone();
    let (folder, spool) = (queries.scratch_folder(), queries.spool());
    // One thread: the workbook stays on it.
    let writing = tokio::task::spawn_blocking(move || -> Result<Spool, ExportError> {
        let mut book = Book::new(&folder, sheet, spool)?;
        let mut receiver = receiver;
        while let Some(page) = receiver.blocking_recv() {
            book.add(page)?;
        }
        book.finish()
    });
    while let Some(page) = pages.next().await {
        if sender.send(page?).await.is_err() {
            break;
        }
    }
    drop(sender);
    let spool = writing.await.map_err(|_| ExportError::Write("the write was interrupted".to_owned()))??;
    let length = spool.length();
    Ok(Scratch::written(spool, length).finish().await.map_err(QueryError::from)?)
}

struct Book<Row: 'static> {
    workbook: Workbook,
    sheet: Sheet<Row>,
    date: Format,
    next_row: u32,
    spool: Spool,
    /// About the bytes in temporary files, and when the free space was checked last.
    bytes: u64,
    checked_at: u64,
}

impl<Row: TableRow> Book<Row> {
    fn new(folder: &std::path::Path, sheet: Sheet<Row>, spool: Spool) -> Result<Self, ExportError> {
        let mut workbook = Workbook::new();
        workbook.set_tempdir(folder)?;
        // The same rows give the same bytes.
        let made_at = ExcelDateTime::from_timestamp(0)?;
        workbook.set_properties(&DocProperties::new().set_author("Acervo").set_creation_datetime(&made_at));
        let bold = Format::new().set_bold();
        let worksheet = workbook.add_worksheet_with_constant_memory()?;
        worksheet.set_freeze_panes(1, 0)?;
        for (column, at) in sheet.columns.iter().zip(0..) {
            worksheet.set_column_width(at, width(column.kind))?;
        }
        for (column, at) in sheet.columns.iter().zip(0..) {
            worksheet.write_string_with_format(0, at, sheet.headers.name(column.name), &bold)?;
        }
        let date = Format::new().set_num_format("dd/mm/yyyy hh:mm:ss");
        Ok(Self { workbook, sheet, date, next_row: 1, spool, bytes: 0, checked_at: 0 })
    }

    fn add(&mut self, rows: Vec<Row>) -> Result<(), ExportError> {
        let worksheet = self.workbook.worksheet_from_index(0)?;
        for row in &rows {
            if u64::from(self.next_row) > rows_max() {
                return Err(too_many_rows().into());
            }
            for (cell, at) in self.sheet.cells(row).zip(0..) {
                self.bytes += CELL_BYTES + cell_text(&cell).map_or(0, str::len) as u64;
                write_cell(worksheet, (self.next_row, at), &self.sheet, cell, &self.date)?;
            }
            self.next_row += 1;
        }
        const CHECK_SPACE_BYTES: u64 = 16 << 20;
        if self.bytes > self.checked_at + CHECK_SPACE_BYTES {
            self.checked_at = self.bytes;
            self.spool.check_space(CHECK_SPACE_BYTES).map_err(QueryError::from)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Spool, ExportError> {
        let last_column = u16::try_from(self.sheet.columns.len()).unwrap_or(u16::MAX).saturating_sub(1);
        self.workbook.worksheet_from_index(0)?.autofilter(0, 0, self.next_row - 1, last_column)?;
        self.workbook.save_to_writer(&mut self.spool)?;
        Ok(self.spool)
    }
}

fn cell_text<'a>(cell: &'a Cell<'_>) -> Option<&'a str> {
    if let Cell::Text(text) = cell { Some(text) } else { None }
}

/// Wide enough for what the column usually has.
fn width(kind: crate::query::Kind) -> f64 {
    use crate::query::Kind;
    match kind {
        Kind::Text | Kind::Texts => 28.0,
        Kind::Instant | Kind::Wall => 19.0,
        Kind::Int | Kind::Long | Kind::Float | Kind::Flag => 12.0,
    }
}

#[allow(clippy::cast_precision_loss, reason = "the numbers of a workbook are floating-point numbers")]
fn write_cell<Row: 'static>(
    worksheet: &mut Worksheet,
    (row, column): (u32, u16),
    sheet: &Sheet<Row>,
    cell: Cell<'_>,
    date: &Format,
) -> Result<(), XlsxError> {
    let text = |worksheet: &mut Worksheet, text: &str| {
        let end = text.char_indices().nth(TEXT_MAX).map_or(text.len(), |(at, _)| at);
        worksheet.write_string(row, column, &text[..end]).map(|_| ())
    };
    let at = match cell {
        Cell::Null => return Ok(()),
        Cell::Text(value) => return text(worksheet, &value),
        Cell::Id(id) => return text(worksheet, &id.to_string()),
        Cell::Texts(values) => return text(worksheet, &values.join("; ")),
        Cell::Int(n) => return worksheet.write_number(row, column, n as f64).map(|_| ()),
        Cell::Long(n) => return worksheet.write_number(row, column, n as f64).map(|_| ()),
        Cell::Float(n) => return worksheet.write_number(row, column, n).map(|_| ()),
        Cell::Flag(flag) => return worksheet.write_boolean(row, column, flag).map(|_| ()),
        Cell::Instant(at) => sheet.civil(at),
        Cell::Wall(at) => at.0,
    };
    if at.year() < FIRST_YEAR {
        return text(worksheet, &at.to_string());
    }
    worksheet.write_number_with_format(row, column, serial(at), date).map(|_| ())
}

/// Days since the end of 1899, as Excel counts them.
#[allow(clippy::cast_precision_loss, reason = "milliseconds of some thousand years fit")]
fn serial(at: jiff::civil::DateTime) -> f64 {
    const DAYS_TO_1970: f64 = 25_569.0;
    let milliseconds = jiff::tz::Offset::UTC.to_timestamp(at).map_or(0, |at| at.as_millisecond());
    DAYS_TO_1970 + milliseconds as f64 / 86_400_000.0
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_numbered_as_excel_does() {
        for (at, number) in [("1970-01-01T00:00:00", 25_569.0), ("2025-02-20T12:00:00", 45_708.5)] {
            assert_eq!(super::serial(at.parse().expect("a date")), number, "{at}");
        }
    }
}
