//! The rows of workbooks.
use super::Lines;
use crate::engine::compare;

/// Adds the rows, their cells separated by tabs. A sheet that cannot be read is left out.
pub(super) fn read(bytes: &[u8], lines: &mut Lines) -> Result<(), String> {
    let is_whole = compare::workbook_rows(bytes, &mut |sheet, row, cells| lines.push(format!("{sheet}!{row}"), cells))?;
    if !is_whole {
        lines.cut();
    }
    Ok(())
}
