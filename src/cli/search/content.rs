//! `acervo search --in content`: the files with words inside them, each with the lines that have these words.
use std::fmt::Write;

use console::Style;
use serde_json::{Map, Value, json};

use super::{Format, local_time};
use crate::cli::language::say;
use crate::cli::output;

/// The fields of a row that only this search has.
pub(super) const FIELDS: &str = "contentMatches(first: 3) { path place line fragments { text isMatch } }";

pub(super) fn print(rows: Vec<Value>, total: &Value, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Table => output::print(&blocks(&rows, total)?),
        Format::Json => {
            let rows: Vec<Value> = rows.into_iter().map(without_fragments).collect();
            output::print(&serde_json::to_string_pretty(&rows)?)
        }
        Format::Csv => output::print(&output::csv(rows.into_iter().map(with_first_match))?),
    }
}

/// A line that names the file, and below it the lines with the words.
fn blocks(rows: &[Value], total: &Value) -> anyhow::Result<String> {
    if rows.is_empty() {
        return Ok(say!("cli-nothing-found") + "\n");
    }
    let mut text = String::new();
    for row in rows {
        let field = |name: &str| output::in_cell(row[name].as_str().unwrap_or_default());
        let archived_at = row["archivedAt"].as_str().map(local_time).transpose()?.unwrap_or_default();
        writeln!(
            text,
            "{}  {}  {}  {}  {}",
            Style::new().bold().apply_to(field("name")),
            field("referenceDate"),
            field("fileName"),
            say!("cli-content-archived", at = archived_at),
            field("revisionId"),
        )?;
        for found in row["contentMatches"].as_array().into_iter().flatten() {
            let path = found["path"].as_str().map(|path| format!("{}:", output::in_cell(path))).unwrap_or_default();
            writeln!(
                text,
                "    {path}{}: {}",
                output::in_cell(found["place"].as_str().unwrap_or_default()),
                marked(found)
            )?;
        }
    }
    writeln!(text, "{}", say!("cli-rows-of", count = rows.len(), total = total.as_f64().unwrap_or_default()))?;
    Ok(text)
}

/// The line, with the words highlighted on a terminal. It has no control characters but tabs, since it was stored so.
fn marked(found: &Value) -> String {
    let style = Style::new().bold().red();
    let fragments = found["fragments"].as_array().into_iter().flatten();
    let fragment = |fragment: &Value| {
        let text = fragment["text"].as_str().unwrap_or_default().replace(|c: char| c.is_control() && c != '\t', " ");
        if fragment["isMatch"] == true { style.apply_to(text).to_string() } else { text }
    };
    fragments.map(fragment).collect()
}

fn without_fragments(mut row: Value) -> Value {
    for found in row["contentMatches"].as_array_mut().into_iter().flatten() {
        if let Value::Object(found) = found {
            found.remove("fragments");
        }
    }
    row
}

/// The row with the first match in columns of its own.
fn with_first_match(mut row: Value) -> Value {
    let found = row["contentMatches"][0].clone();
    if let Value::Object(row) = &mut row {
        row.remove("contentMatches");
        let columns = [("matchPath", "path"), ("matchPlace", "place"), ("matchLine", "line")];
        let columns = columns.map(|(column, field)| (column.to_owned(), json!(found[field])));
        row.extend(Map::from_iter(columns));
    }
    row
}
