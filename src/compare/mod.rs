//! compare: two contents in, what differs out. Pure: no I/O, bounded in memory by the bytes that it is given, and in time by a deadline.
mod lines;
mod note;
mod text;
mod unified;
mod workbook;

pub use lines::LineDiff;
pub use note::{LineEnds, Note};
pub use text::{is_text, read_pair, read_text};
pub use unified::unified;
pub use workbook::{CellChange, CellDiff, SheetView, compare_workbooks, is_workbook, view_sheet, workbook_rows};
