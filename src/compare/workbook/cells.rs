//! The cells of a sheet and how they are written.
use std::borrow::Cow;
use std::fmt;
use std::io::{Read, Seek};

use calamine::{Data, DataRef, ExcelDateTime, Reader, Xls, Xlsx};

use crate::domain::first_chars;

/// Characters of a value that are written.
const VALUE_CHARS_MAX: usize = 200;

/// Row and column, from 0.
pub(super) type Position = (u32, u32);

/// Sorted; one for each position.
pub(super) type Cells<'a> = Vec<(Position, Value<'a>)>;

/// What a cell holds.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Number(f64),
    Text(Cow<'a, str>),
    Flag(bool),
    Date(ExcelDateTime),
    /// Such as `#DIV/0!`.
    Error(String),
}

impl<'a> Value<'a> {
    /// `None` for an empty cell.
    fn of(data: DataRef<'a>) -> Option<Self> {
        Some(match data {
            DataRef::Int(number) => Self::Number(number as f64),
            DataRef::Float(number) => Self::Number(number),
            DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Self::Text(text.into()),
            DataRef::SharedString(text) => Self::Text(text.into()),
            DataRef::Bool(flag) => Self::Flag(flag),
            DataRef::DateTime(at) => Self::Date(at),
            DataRef::Error(error) => Self::Error(error.to_string()),
            DataRef::Empty => return None,
        })
        .filter(|value| !matches!(value, Self::Text(text) if text.is_empty()))
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(true) => f.write_str("TRUE"),
            Self::Flag(false) => f.write_str("FALSE"),
            Self::Error(error) => f.write_str(error),
            Self::Text(text) => {
                let start = first_chars(text, VALUE_CHARS_MAX);
                f.write_str(start)?;
                f.write_str(if start.len() < text.len() { "…" } else { "" })
            }
            Self::Date(at) if at.is_datetime() => {
                let (year, month, day, hour, minute, second, _) = at.to_ymd_hms_milli();
                write!(f, "{year:04}-{month:02}-{day:02}")?;
                match (hour, minute, second) {
                    (0, 0, 0) => Ok(()),
                    _ => write!(f, " {hour:02}:{minute:02}:{second:02}"),
                }
            }
            Self::Date(at) => write!(f, "{}", at.as_f64()),
        }
    }
}

/// The cells of a sheet that are not empty. A sheet without cells, such as a chart, has none.
pub(super) fn read_sheet<'a, R: Read + Seek>(
    workbook: &'a mut Xlsx<R>,
    name: &str,
    cells_max: usize,
) -> Result<Cells<'a>, String> {
    let broken = |e: calamine::XlsxError| format!("its sheet `{name}` cannot be read: {e}");
    let mut reader = match workbook.worksheet_cells_reader(name) {
        Ok(reader) => reader,
        Err(calamine::XlsxError::NotAWorksheet(_)) => return Ok(Vec::new()),
        Err(e) => return Err(broken(e)),
    };
    let mut cells = Vec::new();
    while let Some(cell) = reader.next_cell().map_err(broken)? {
        let at = cell.get_position();
        let Some(value) = Value::of(cell.get_value().clone()) else { continue };
        if cells.len() >= cells_max {
            return Err(format!("its sheet `{name}` has more than {cells_max} cells"));
        }
        cells.push((at, value));
    }
    cells.sort_by_key(|(at, _)| *at);
    cells.dedup_by_key(|(at, _)| *at);
    Ok(cells)
}

/// The cells of a sheet of the older format that are not empty.
pub(super) fn read_table<R: Read + Seek>(workbook: &mut Xls<R>, name: &str) -> Result<Cells<'static>, String> {
    let table = workbook.worksheet_range(name).map_err(|e| format!("its sheet `{name}` cannot be read: {e}"))?;
    let (top, left) = table.start().unwrap_or_default();
    let cell = |(row, column, data): (usize, usize, &Data)| {
        let at = (top.saturating_add(row as u32), left.saturating_add(column as u32));
        Some((at, Value::of(owned(data))?))
    };
    Ok(table.used_cells().filter_map(cell).collect())
}

fn owned(data: &Data) -> DataRef<'static> {
    match data.clone() {
        Data::Int(number) => DataRef::Int(number),
        Data::Float(number) => DataRef::Float(number),
        Data::String(text) => DataRef::String(text),
        Data::Bool(flag) => DataRef::Bool(flag),
        Data::DateTime(at) => DataRef::DateTime(at),
        Data::DateTimeIso(text) => DataRef::DateTimeIso(text),
        Data::DurationIso(text) => DataRef::DurationIso(text),
        Data::Error(error) => DataRef::Error(error),
        Data::Empty => DataRef::Empty,
    }
}

/// `B12`.
pub(super) fn position((row, column): Position) -> String {
    let mut letters = Vec::new();
    let mut rest = u64::from(column) + 1;
    while rest > 0 {
        letters.push(char::from(b'A' + ((rest - 1) % 26) as u8));
        rest = (rest - 1) / 26;
    }
    let letters: String = letters.into_iter().rev().collect();
    format!("{letters}{}", u64::from(row) + 1)
}

#[cfg(test)]
mod tests {
    use super::position;

    #[test]
    fn positions_are_written_as_workbooks_show_them() {
        for (at, text) in
            [((0, 0), "A1"), ((11, 1), "B12"), ((0, 25), "Z1"), ((0, 26), "AA1"), ((1_048_575, 16_383), "XFD1048576")]
        {
            assert_eq!(position(at), text);
        }
    }
}
