//! NDJSON: an object a line, with the values as GraphQL shows them.
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Map, Value as Json};

use super::columns::{Column, Value};
use super::{ExportError, Pages, Pieces};

pub(super) fn write(pages: Pages, columns: Vec<&'static Column>) -> Pieces {
    pages.map(move |page| lines(&page?, &columns)).boxed()
}

fn lines(rows: &[Vec<Value>], columns: &[&Column]) -> Result<Bytes, ExportError> {
    let mut text = Vec::with_capacity(rows.len() * 700);
    for row in rows {
        let object: Map<String, Json> =
            columns.iter().zip(row).map(|(column, value)| (column.name.to_owned(), json(value))).collect();
        serde_json::to_writer(&mut text, &object).map_err(|e| ExportError::Write(e.to_string()))?;
        text.push(b'\n');
    }
    Ok(text.into())
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Text(text) => text.as_str().into(),
        Value::Int(n) => (*n).into(),
        Value::Long(n) => (*n).into(),
        Value::Float(n) => (*n).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Instant(at) => format!("{at:.3}").into(),
        Value::Wall(at) => at.to_string().into(),
    }
}
