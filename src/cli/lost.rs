//! `acervo lost` and `acervo acknowledge`: publications whose file is lost, and that an operator knows of them.
use std::process::ExitCode;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::language::say;
use super::output;
use crate::config::Settings;
use crate::domain::{PublicationId, format_instant};
use crate::losses::{self, Loss};

#[derive(clap::Args)]
pub(super) struct LostArgs {
    /// Also list those that are acknowledged
    #[arg(long)]
    all: bool,
    /// The most rows to print
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    limit: u64,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["ids", "all"]))]
pub(super) struct AcknowledgeArgs {
    /// The ids of the publications
    #[arg(value_parser = publication, value_name = "ID")]
    ids: Vec<PublicationId>,
    /// All publications that are lost now
    #[arg(long)]
    all: bool,
}

pub(super) async fn list(args: LostArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    let lost = losses::list(&app, args.all, args.limit).await?;
    match args.format {
        Format::Table if lost.is_empty() => output::print(&say!("cli-lost-none"))?,
        Format::Table => output::print(&table(&lost))?,
        Format::Json => {
            let rows: Vec<Value> = lost.iter().map(object).collect();
            output::print(&serde_json::to_string_pretty(&rows)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn acknowledge(args: AcknowledgeArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    let which = (!args.all).then_some(args.ids.as_slice());
    let count = losses::acknowledge(&app, which, &super::person()).await?;
    output::print(&say!("cli-lost-acknowledged", count = count))?;
    Ok(ExitCode::SUCCESS)
}

fn publication(text: &str) -> Result<PublicationId, String> {
    text.parse().map_err(|_| say!("cli-not-a-lost-id", text = text))
}

fn table(lost: &[Loss]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        say!("cli-column-publication-id"),
        say!("cli-column-name"),
        say!("cli-column-reference-date"),
        say!("cli-column-lost"),
        say!("cli-column-why"),
        say!("cli-column-acknowledged"),
    ]);
    for loss in lost {
        let acknowledged = loss.acknowledged.as_ref();
        table.add_row([
            loss.publication.to_string(),
            output::in_cell(&loss.name),
            output::in_cell(&loss.reference_date),
            loss.lost_at.map(output::local).unwrap_or_default(),
            loss.reason.as_deref().map(|why| output::in_cell(&output::reason(why))).unwrap_or_default(),
            acknowledged
                .map(|known| {
                    say!("cli-lost-by", at = output::local(known.at), by = output::in_cell(&output::reason(&known.by)))
                })
                .unwrap_or_default(),
        ]);
    }
    format!("{table}\n")
}

pub(super) fn object(loss: &Loss) -> Value {
    json!({
        "publicationId": loss.publication.to_string(),
        "name": loss.name,
        "referenceDate": loss.reference_date,
        "lostAt": loss.lost_at.map(format_instant),
        "reason": loss.reason,
        "acknowledgedAt": loss.acknowledged.as_ref().map(|known| format_instant(known.at)),
        "acknowledgedBy": loss.acknowledged.as_ref().map(|known| known.by.clone()),
    })
}
