//! `acervo search --member`: the members that match, each with the file that has it.
use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;

use super::{Args, Format};
use crate::cli::ask::{Archive, Remote, take};
use crate::cli::language::say;
use crate::cli::output;
use crate::cli::table::{Column, Table};
use crate::config::Settings;
use crate::query::{FileMember, TableRow};

pub(super) async fn run(args: Args, remote: Option<Remote>, settings: Settings) -> anyhow::Result<ExitCode> {
    let mut variables = args.variables();
    variables["match"] = args.filter.member.as_ref().map(|pattern| pattern.as_str()).into();
    let columns: Vec<&str> = FileMember::COLUMNS.iter().map(|column| column.name).collect();
    let document = format!(
        "query($match: String, $search: String, $filter: PublicationFilter, $asOf: DateTime, $order: PublicationOrder!, $first: Int) {{
           members(match: $match, search: $search, filter: $filter, asOf: $asOf, orderBy: $order, first: $first) {{
             pageInfo {{ hasNextPage }} nodes {{ {} }} }} }}",
        columns.join(" ")
    );
    let archive = Archive::open(remote, settings, false).await?;
    let mut found = take(&mut archive.query(&document, variables).await?, "members");
    let Value::Array(rows) = take(&mut found, "nodes") else { bail!("the answer has no rows") };
    match args.format {
        Format::Table => output::print(&table(&rows, found["pageInfo"]["hasNextPage"] == true))?,
        Format::Json => output::print(&serde_json::to_string_pretty(&rows)?)?,
        Format::Csv => output::print(&output::csv(rows.into_iter())?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// In a narrow terminal those with a higher number are left out first; what `acervo get` takes stays.
const COLUMNS: [Column; 6] = [
    Column::flexible("cli-column-name", 2),
    Column::fixed("cli-column-reference-date", 1),
    Column::flexible("cli-column-file", 4),
    Column::flexible("cli-column-member", 0),
    Column::right("cli-column-size", 3),
    Column::fixed("cli-column-revision-id", 0),
];

fn table(rows: &[Value], has_more: bool) -> String {
    if rows.is_empty() {
        return say!("cli-nothing-found") + "\n";
    }
    let mut table = Table::new(&COLUMNS);
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        table.add([
            output::in_cell(text("name")),
            output::in_cell(text("referenceDate")),
            output::in_cell(text("fileName")),
            output::in_cell(text("path")),
            row["size"].as_u64().map(output::size).unwrap_or_default(),
            text("revisionId").to_owned(),
        ]);
    }
    let more = if has_more { say!("cli-members-more") } else { String::new() };
    format!("{}{}\n", table.text(output::width()), say!("cli-members-found", count = rows.len(), more = more))
}
