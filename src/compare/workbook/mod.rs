//! Workbooks, cell by cell.
//!
//! The parser of the cells trusts what a file says about itself: how many texts or cells it will have, and how large its parts are. So
//! a workbook is first reduced to what its cells need, within a bound, and only that is given to it.
mod cells;
mod package;
mod rows;
mod xls;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Reader, Xls, Xlsx, open_workbook_from_rs};

use super::Note;
use cells::{Cells, position, read_sheet, read_table};
pub use rows::workbook_rows;

/// A cell that is not the same in both workbooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellChange {
    pub sheet: String,
    /// `B12`.
    pub cell: String,
    /// Absent where the cell is empty.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// What differs between two workbooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellDiff {
    pub changed: u64,
    /// The first of them, by sheet, row and column.
    pub cells: Vec<CellChange>,
    /// Sheets that only one of them has.
    pub notes: Vec<Note>,
}

/// The largest workbook that is compared, as unpacked.
const EXPANDED_BYTES_MAX: u64 = 64 << 20;

/// Cells of one sheet that are compared.
const CELLS_MAX: usize = 600_000;

/// The first bytes of a package, and of a compound file, which the format before it is.
const SIGNATURES: [&[u8]; 2] = [b"PK\x03\x04", COMPOUND];
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Whether a content is a workbook that can be compared, by the extension of its name and its first bytes.
pub fn is_workbook(name: &str, bytes: &[u8]) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    matches!(extension.as_deref(), Some("xlsx" | "xlsm" | "xls"))
        && SIGNATURES.iter().any(|signature| bytes.starts_with(signature))
}

/// Compares the values of two workbooks, and lists up to `listed_max` of the cells that differ. An error says why they cannot be
/// compared.
pub fn compare_workbooks(from: &[u8], to: &[u8], listed_max: usize) -> Result<CellDiff, String> {
    // What the parser does with a hostile file is not known.
    let compared = catch_unwind(AssertUnwindSafe(|| compare(from, to, listed_max)));
    compared.unwrap_or_else(|_| Err("its cells cannot be read".to_owned()))
}

/// The beginning of a sheet, and the names of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SheetView {
    pub sheets: Vec<String>,
    /// The rows from the first one of the sheet on, each with as many cells as its last one needs.
    pub rows: Vec<Vec<String>>,
    /// The sheet has more rows or columns.
    pub is_cut: bool,
}

/// The first rows and columns of the sheet at a position. An error says why it cannot be read.
pub fn view_sheet(bytes: &[u8], sheet: usize, rows_max: u32, columns_max: u32) -> Result<SheetView, String> {
    // What the parser does with a hostile file is not known.
    let read = catch_unwind(AssertUnwindSafe(|| {
        let mut workbook = Workbook::open(bytes)?;
        let sheets = workbook.sheets();
        let mut view = SheetView::default();
        if let Some(name) = sheets.get(sheet) {
            for ((row, column), value) in workbook.cells(name)? {
                if row >= rows_max || column >= columns_max {
                    view.is_cut = true;
                    continue;
                }
                let (row, column) = (row as usize, column as usize);
                view.rows.resize_with(view.rows.len().max(row + 1), Vec::new);
                let cells = &mut view.rows[row];
                cells.resize_with(cells.len().max(column + 1), String::new);
                cells[column] = value.to_string();
            }
        }
        Ok(SheetView { sheets, ..view })
    }));
    read.unwrap_or_else(|_| Err("its cells cannot be read".to_owned()))
}

enum Workbook {
    Package(Box<Xlsx<Cursor<Vec<u8>>>>),
    Compound(Box<Xls<Cursor<Vec<u8>>>>),
}

impl Workbook {
    fn open(bytes: &[u8]) -> Result<Self, String> {
        let broken = |e: &dyn std::fmt::Display| format!("it is not a workbook that can be read: {e}");
        if bytes.starts_with(COMPOUND) {
            let reduced = Cursor::new(xls::reduced(bytes, CELLS_MAX)?);
            let opened = open_workbook_from_rs::<Xls<_>, _>(reduced).map_err(|e| broken(&e))?;
            return Ok(Self::Compound(Box::new(opened)));
        }
        let package = Cursor::new(package::within(bytes, EXPANDED_BYTES_MAX)?);
        let opened = open_workbook_from_rs::<Xlsx<_>, _>(package).map_err(|e| broken(&e))?;
        Ok(Self::Package(Box::new(opened)))
    }

    fn sheets(&self) -> Vec<String> {
        match self {
            Self::Package(workbook) => workbook.sheet_names(),
            Self::Compound(workbook) => workbook.sheet_names(),
        }
    }

    fn cells(&mut self, sheet: &str) -> Result<Cells<'_>, String> {
        match self {
            Self::Package(workbook) => read_sheet(workbook, sheet, CELLS_MAX),
            Self::Compound(workbook) => read_table(workbook, sheet),
        }
    }
}

fn compare(from: &[u8], to: &[u8], listed_max: usize) -> Result<CellDiff, String> {
    let (mut from, mut to) = (Workbook::open(from)?, Workbook::open(to)?);
    let (before, after) = (from.sheets(), to.sheets());
    let mut diff = CellDiff::default();
    for (name_before, name) in paired_sheets(&before, &after, &mut diff.notes) {
        let cells = (from.cells(&name_before)?, to.cells(&name)?);
        compare_sheets(&name, &cells.0, &cells.1, listed_max, &mut diff);
    }
    Ok(diff)
}

/// The sheets of both, in the order of the second workbook. One that has another number before the same name was renumbered.
fn paired_sheets(before: &[String], after: &[String], notes: &mut Vec<Note>) -> Vec<(String, String)> {
    let bare = |name: &str| {
        name.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.' | '_' | ' ')).to_lowercase()
    };
    let mut removed: Vec<&String> = before.iter().filter(|name| !after.contains(name)).collect();
    let (mut added, mut renamed, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    for name in after {
        if before.contains(name) {
            pairs.push((name.clone(), name.clone()));
            continue;
        }
        let key = bare(name);
        let others = |names: &[String]| names.iter().filter(|other| bare(other) == key).count();
        let found = removed.iter().position(|other| bare(other) == key);
        match found.filter(|_| !key.is_empty() && others(before) == 1 && others(after) == 1) {
            Some(at) => {
                let name_before = removed.remove(at);
                renamed.push((name_before.clone(), name.clone()));
                pairs.push((name_before.clone(), name.clone()));
            }
            None => added.push(name.clone()),
        }
    }
    let removed: Vec<String> = removed.into_iter().cloned().collect();
    notes.extend((!removed.is_empty()).then_some(Note::SheetsRemoved(removed)));
    notes.extend((!added.is_empty()).then_some(Note::SheetsAdded(added)));
    notes.extend((!renamed.is_empty()).then_some(Note::SheetsRenamed(renamed)));
    pairs
}

/// Merges two sheets, whose cells are sorted.
fn compare_sheets(name: &str, from: &Cells<'_>, to: &Cells<'_>, listed_max: usize, diff: &mut CellDiff) {
    let (mut from, mut to) = (from.iter().peekable(), to.iter().peekable());
    loop {
        let next = match (from.peek(), to.peek()) {
            (None, None) => return,
            (Some(one), None) | (None, Some(one)) => one.0,
            (Some(one), Some(other)) => one.0.min(other.0),
        };
        let before = from.next_if(|cell| cell.0 == next).map(|cell| &cell.1);
        let after = to.next_if(|cell| cell.0 == next).map(|cell| &cell.1);
        if before == after {
            continue;
        }
        diff.changed += 1;
        if diff.cells.len() < listed_max {
            diff.cells.push(CellChange {
                sheet: name.to_owned(),
                cell: position(next),
                before: before.map(ToString::to_string),
                after: after.map(ToString::to_string),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::paired_sheets;

    #[test]
    fn sheets_that_were_renumbered_are_paired() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let before = names(&["Índice", "07-Hidráulica", "08-Térmica", "9", "1 a", "2 a"]);
        let after = names(&["Índice", "07-Dados", "08-Hidráulica", "09-Térmica", "10", "3 a"]);
        let mut notes = Vec::new();
        let pairs = paired_sheets(&before, &after, &mut notes);
        let expected = [("Índice", "Índice"), ("07-Hidráulica", "08-Hidráulica"), ("08-Térmica", "09-Térmica")];
        assert_eq!(pairs, expected.map(|(one, other)| (one.to_owned(), other.to_owned())));
        assert_eq!(
            notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "sheets removed: `9`, `1 a`, `2 a`",
                "sheets added: `07-Dados`, `10`, `3 a`",
                "sheets renamed: `07-Hidráulica` to `08-Hidráulica`, `08-Térmica` to `09-Térmica`",
            ]
        );
    }
}
