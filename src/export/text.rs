//! NDJSON: one object per line, with values as in GraphQL.
use bytes::Bytes;
use futures_util::StreamExt;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Cell, Chunks, ExportError, Pages, Sheet, TableRow};
use crate::domain::Stamp;

pub(super) fn write<Row: TableRow>(pages: Pages<Row>, sheet: Sheet<Row>) -> Chunks {
    pages.map(move |page| lines(&page?, &sheet)).boxed()
}

fn lines<Row: TableRow>(rows: &[Row], sheet: &Sheet<Row>) -> Result<Bytes, ExportError> {
    let mut text = Vec::with_capacity(rows.len() * 700);
    for row in rows {
        serde_json::to_writer(&mut text, &Line { row, sheet }).map_err(|e| ExportError::Write(e.to_string()))?;
        text.push(b'\n');
    }
    Ok(text.into())
}

struct Line<'a, Row: 'static> {
    row: &'a Row,
    sheet: &'a Sheet<Row>,
}

impl<Row: TableRow> Serialize for Line<'_, Row> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.sheet.columns.len()))?;
        for (column, cell) in self.sheet.columns.iter().zip(self.sheet.cells(self.row)) {
            let name = self.sheet.headers.name(column.name);
            let local = if let Cell::Instant(at) = cell { self.sheet.local(at) } else { None };
            match local {
                Some(at) => map.serialize_entry(name, Stamp::of_local_millis(at).as_str())?,
                None => map.serialize_entry(name, &cell)?,
            }
        }
        map.end()
    }
}
