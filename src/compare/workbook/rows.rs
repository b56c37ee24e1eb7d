//! The rows of a workbook as text.
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Workbook;
use super::cells::Value;

/// Calls `each` with the sheet, the number from 1 and the text of each row that is not empty, cells separated by tabs, until it returns
/// `false`. Returns whether that was all; a sheet that cannot be read is left out.
pub fn workbook_rows(bytes: &[u8], each: &mut dyn FnMut(&str, u32, &str) -> bool) -> Result<bool, String> {
    let read = catch_unwind(AssertUnwindSafe(|| read(bytes, each)));
    read.unwrap_or_else(|_| Err("its cells cannot be read".to_owned()))
}

fn read(bytes: &[u8], each: &mut dyn FnMut(&str, u32, &str) -> bool) -> Result<bool, String> {
    let mut workbook = Workbook::open(bytes)?;
    let mut is_whole = true;
    for sheet in workbook.sheets() {
        let Ok(cells) = workbook.cells(&sheet) else {
            is_whole = false;
            continue;
        };
        for row in cells.chunk_by(|one, next| one.0.0 == next.0.0) {
            let texts = row.iter().map(|(_, value)| match value {
                Value::Text(text) => text.to_string(),
                other => other.to_string(),
            });
            let number = row.first().map_or(0, |(at, _)| at.0.saturating_add(1));
            if !each(&sheet, number, &texts.collect::<Vec<_>>().join("\t")) {
                return Ok(false);
            }
        }
    }
    Ok(is_whole)
}
