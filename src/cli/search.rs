//! `acervo search`: searches the archive.
use std::process::ExitCode;

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;

use super::output;
use crate::config::Settings;
use crate::domain::{LocalDateTime, TextMatch, parse_local_date};
use crate::jobs;
use crate::query::{Column, Paging, PublicationRequest, PublicationRow, Queries, TableRow};
use crate::query::{Filter, Order};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Words to find, in any order; the last one may be incomplete
    text: Vec<String>,
    /// Only processes whose name contains this text
    #[arg(long)]
    process: Option<String>,
    /// Only periods that end on this day or later (YYYY-MM-DD)
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Date>,
    /// Only periods that start on this day or earlier (YYYY-MM-DD)
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: Option<Date>,
    /// Show the archive as it was then (2025-02-20 or 2025-02-20T12:00:00Z)
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    as_of: Option<Timestamp>,
    /// The maximum number of rows
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
    Csv,
}

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let text = args.text.join(" ");
    let request = PublicationRequest {
        scored: false,
        order: if text.trim().is_empty() { Order::Period { descending: true } } else { Order::Relevance },
        search: Some(text).filter(|text| !text.trim().is_empty()),
        filter: Filter {
            process: args.process.map(TextMatch::containing),
            period_from: args.from.map(LocalDateTime::start_of),
            period_to: args.to.map(LocalDateTime::end_of),
            ..Filter::default()
        },
        as_of: args.as_of,
        paging: Paging::first(args.limit),
    };
    let app = super::open(settings).await?;
    // Without a server nothing else updates the index.
    jobs::catch_up(&app).await?;
    let queries = Queries::new(app);
    let found = &queries.publications(request).await?.list;
    let rows: Vec<&PublicationRow> = found.rows.iter().map(|(_, row)| &**row).collect();
    let objects = || rows.iter().map(|row| object(row, &queries)).collect::<serde_json::Result<Vec<Value>>>();
    match args.format {
        Format::Table => output::print(&table(&rows, found.total))?,
        Format::Json => output::print(&serde_json::to_string_pretty(&objects()?)?)?,
        Format::Csv => output::print(&output::csv(objects()?.into_iter())?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn day(text: &str) -> Result<Date, String> {
    parse_local_date(text).ok_or_else(|| format!("`{text}` is not a valid day; expected one such as 2025-02-20"))
}

/// An instant, or the end of a day in São Paulo.
fn instant(text: &str) -> Result<Timestamp, String> {
    let wrong = || {
        format!("`{text}` is not a valid day or instant; expected 2025-02-20, or RFC 3339 such as 2025-02-20T12:00:00Z")
    };
    if let Some(day) = parse_local_date(text) {
        let end = LocalDateTime::end_of(day).0;
        return crate::domain::sao_paulo().to_timestamp(end).map_err(|_| wrong());
    }
    text.parse().map_err(|_| wrong())
}

fn table(rows: &[&PublicationRow], total: u64) -> String {
    if rows.is_empty() {
        return "nothing found\n".to_owned();
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["name", "reference date", "rev", "status", "file", "size", "revision id"]);
    for row in rows {
        let revision = row.revision.as_ref();
        table.add_row([
            output::in_cell(&row.publication.name),
            output::in_cell(&row.publication.reference_date),
            revision
                .map(|revision| format!("{}/{}", revision.number, row.publication.revision_count))
                .unwrap_or_default(),
            row.status().as_str().to_lowercase(),
            revision.map(|revision| output::in_cell(&revision.file_name)).unwrap_or_default(),
            revision.map(|revision| output::size(revision.file.size)).unwrap_or_default(),
            revision.map(|revision| revision.id.to_string()).unwrap_or_default(),
        ]);
    }
    if let Some(column) = table.column_mut(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n{} of {total}\n", rows.len())
}

/// The columns of the API, without the score, which depends on the search.
fn object(row: &PublicationRow, queries: &Queries) -> serde_json::Result<Value> {
    let columns = PublicationRow::COLUMNS.iter().filter(|column| column.name != "score");
    let cell = |column: &Column<PublicationRow>| {
        Ok((column.name.to_owned(), serde_json::to_value((column.cell)(row, queries))?))
    };
    Ok(Value::Object(columns.map(cell).collect::<serde_json::Result<_>>()?))
}
