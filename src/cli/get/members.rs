//! `acervo get ID --list`: the members of a zip.
use std::process::ExitCode;

use serde_json::{Value, json};

use super::Format;
use crate::cli::language::say;
use crate::cli::output;
use crate::cli::table::{Column, Table};
use crate::query::{FIRST_MAX, Member, Paging, Queries, Revision};

/// Prints members as the API has them.
pub(super) fn print(members: &[Value], format: Format) -> anyhow::Result<ExitCode> {
    match format {
        Format::Table => output::print(&table(members))?,
        Format::Json => output::print(&serde_json::to_string_pretty(members)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The members of a file of the archive on this machine.
pub(super) async fn all(queries: &Queries, revision: &Revision) -> anyhow::Result<Vec<Value>> {
    let mut members = Vec::new();
    let mut paging = Paging::first(FIRST_MAX);
    loop {
        let page = queries.members(revision, None, &paging).await?;
        paging.after = page.rows.last().map(|(cursor, _)| cursor.clone());
        members.extend(page.rows.iter().map(|(_, row)| object(&row.member)));
        if !page.has_next {
            return Ok(members);
        }
    }
}

/// The paths are shown in full, however narrow the terminal is: `--member` takes them.
const COLUMNS: [Column; 3] =
    [Column::right("cli-column-size", 0), Column::fixed("cli-column-modified", 0), Column::fixed("cli-column-path", 0)];

fn table(members: &[Value]) -> String {
    if members.is_empty() {
        return say!("cli-get-no-members") + "\n";
    }
    let mut table = Table::new(&COLUMNS);
    for member in members {
        let text = |name: &str| member[name].as_str().unwrap_or_default();
        let size = member["size"].as_u64().map(output::size).unwrap_or_default();
        table.add([size, text("modifiedAt").replace('T', " "), text("path").replace(['\n', '\r'], " ")]);
    }
    table.text(None)
}

fn object(member: &Member) -> Value {
    json!({
        "path": member.path,
        "size": member.size,
        "compressedSize": member.compressed_size,
        "modifiedAt": member.modified_at.map(|at| at.to_string()),
    })
}
