//! `acervo search --member`: the members that match, each with the file that has it.
use std::process::ExitCode;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

use super::{Format, object};
use crate::cli::language::say;
use crate::cli::output;
use crate::query::{FileMember, PublicationRequest, Queries};

pub(super) async fn run(queries: &Queries, request: PublicationRequest, format: Format) -> anyhow::Result<ExitCode> {
    let found = queries.members_of_files(request).await?;
    let rows: Vec<&FileMember> = found.rows.iter().map(|(_, row)| row).collect();
    let objects = || rows.iter().map(|row| object(*row, queries)).collect::<serde_json::Result<Vec<Value>>>();
    match format {
        Format::Table => output::print(&table(&rows, found.has_next))?,
        Format::Json => output::print(&serde_json::to_string_pretty(&objects()?)?)?,
        Format::Csv => output::print(&output::csv(objects()?.into_iter())?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[&FileMember], has_more: bool) -> String {
    if rows.is_empty() {
        return say!("cli-nothing-found") + "\n";
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        say!("cli-column-name"),
        say!("cli-column-reference-date"),
        say!("cli-column-file"),
        say!("cli-column-member"),
        say!("cli-column-size"),
        say!("cli-column-revision-id"),
    ]);
    for row in rows {
        table.add_row([
            output::in_cell(&row.publication.name),
            output::in_cell(&row.publication.reference_date),
            output::in_cell(&row.revision.file_name),
            output::in_cell(&row.member.path),
            output::size(row.member.size),
            row.revision.id.to_string(),
        ]);
    }
    if let Some(column) = table.column_mut(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let more = if has_more { say!("cli-members-more") } else { String::new() };
    format!("{table}\n{}\n", say!("cli-members-found", count = rows.len(), more = more))
}
