//! `acervo get ID --list`: the members of a zip.
use std::process::ExitCode;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

use super::Format;
use crate::cli::language::say;
use crate::cli::output;
use crate::query::{FIRST_MAX, Member, Paging, Queries, Revision};

pub(super) async fn list(queries: &Queries, revision: &Revision, format: Format) -> anyhow::Result<ExitCode> {
    let members = all(queries, revision).await?;
    match format {
        Format::Table => output::print(&table(&members))?,
        Format::Json => {
            let objects: Vec<_> = members.iter().map(object).collect();
            output::print(&serde_json::to_string_pretty(&objects)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn all(queries: &Queries, revision: &Revision) -> anyhow::Result<Vec<Member>> {
    let mut members = Vec::new();
    let mut paging = Paging::first(FIRST_MAX);
    loop {
        let page = queries.members(revision, None, &paging).await?;
        paging.after = page.rows.last().map(|(cursor, _)| cursor.clone());
        members.extend(page.rows.into_iter().map(|(_, row)| row.member));
        if !page.has_next {
            return Ok(members);
        }
    }
}

fn table(members: &[Member]) -> String {
    if members.is_empty() {
        return say!("cli-get-no-members") + "\n";
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header([
        say!("cli-column-size"),
        say!("cli-column-modified"),
        say!("cli-column-path"),
    ]);
    for member in members {
        let modified = member.modified_at.map(|at| at.to_string().replace('T', " ")).unwrap_or_default();
        table.add_row([output::size(member.size), modified, output::in_cell(&member.path)]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

fn object(member: &Member) -> serde_json::Value {
    json!({
        "path": member.path,
        "size": member.size,
        "compressedSize": member.compressed_size,
        "modifiedAt": member.modified_at.map(|at| at.to_string()),
    })
}
