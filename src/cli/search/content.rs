//! `acervo search --in content`: the files with words inside them, each with the lines that have these words.
use serde_json::{Map, Value, json};

use super::{Format, local_time, summary};
use crate::cli::language::say;
use crate::cli::output::{self, Color, Style};

/// A line in pieces.
type Line = Vec<(Style, String)>;

/// The fields of a row that only this search has.
pub(super) const FIELDS: &str = "contentMatches(first: 3) { path place line fragments { text isMatch } }";

pub(super) fn print(rows: Vec<Value>, total: &Value, format: Format, color: Color) -> anyhow::Result<()> {
    match format {
        Format::Table => output::print_lines(color, blocks(&rows, total)?.into_iter()),
        Format::Json => {
            let rows: Vec<Value> = rows.into_iter().map(without_fragments).collect();
            output::print(&serde_json::to_string_pretty(&rows)?)
        }
        Format::Csv => output::print(&output::csv(rows.into_iter().map(with_first_match))?),
    }
}

/// A line that names the file, and below it the lines with the words.
fn blocks(rows: &[Value], total: &Value) -> anyhow::Result<Vec<Line>> {
    if rows.is_empty() {
        return Ok(vec![vec![(Style::Plain, say!("cli-nothing-found"))]]);
    }
    let mut lines = Vec::new();
    for row in rows {
        let field = |name: &str| output::in_cell(row[name].as_str().unwrap_or_default());
        let archived_at = row["archivedAt"].as_str().map(local_time).transpose()?.unwrap_or_default();
        let archived = say!("cli-content-archived", at = archived_at);
        let rest = format!("  {}  {}  {archived}  {}", field("referenceDate"), field("fileName"), field("revisionId"));
        lines.push(vec![(Style::Bold, field("name")), (Style::Plain, rest)]);
        for found in row["contentMatches"].as_array().into_iter().flatten() {
            let path = found["path"].as_str().map(|path| format!("{}:", output::in_cell(path))).unwrap_or_default();
            let place = output::in_cell(found["place"].as_str().unwrap_or_default());
            let mut line = vec![(Style::Plain, format!("    {path}{place}: "))];
            line.extend(marked(found));
            lines.push(line);
        }
    }
    let summary = summary(rows.len(), total);
    lines.push(vec![(Style::Plain, summary)]);
    Ok(lines)
}

/// The line, with the words highlighted. It has no control characters but tabs, since it was stored so.
fn marked(found: &Value) -> impl Iterator<Item = (Style, String)> + '_ {
    found["fragments"].as_array().into_iter().flatten().map(|fragment| {
        let text = fragment["text"].as_str().unwrap_or_default().replace(|c: char| c.is_control() && c != '\t', " ");
        (if fragment["isMatch"] == true { Style::Found } else { Style::Plain }, text)
    })
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
