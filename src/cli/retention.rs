//! `acervo retention plan|run|undo|runs`: what the policies would remove and why; remove it; undo it.
use std::process::ExitCode;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::language::say;
use super::output;
use crate::app::App;
use crate::config::Settings;
use crate::domain::format_instant;
use crate::jobs::retention::{self, InventoryPlan, Line};
use crate::query::RetentionRun;
use crate::query::{Paging, Queries};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show what the policies would remove, and why
    Plan {
        /// The output format
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        /// Plan for this instant (RFC 3339) instead of now
        #[arg(long, value_name = "INSTANT", value_parser = instant)]
        now: Option<Timestamp>,
    },
    /// Apply the policies: mark revisions as removed, and delete files whose grace is over
    Run {
        /// The output format
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        /// Plan for this instant (RFC 3339) instead of now
        #[arg(long, value_name = "INSTANT", value_parser = instant)]
        now: Option<Timestamp>,
    },
    /// Restore what a run removed
    Undo {
        /// The id of the run
        run: String,
    },
    /// List the last runs
    Runs,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
    Csv,
}

pub(super) async fn run(command: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    super::serve::stop_on_signal(&app.stop)?;
    match command {
        Command::Plan { format, now } => {
            let planned = retention::make_plan(&app, now.unwrap_or_else(|| app.clock.now())).await?;
            match format {
                Format::Table => output::print(&table(&app, &planned))?,
                Format::Json => output::print(&serde_json::to_string_pretty(&object(&app, &planned))?)?,
                Format::Csv => output::print(&csv(&app, &planned)?)?,
            }
        }
        Command::Run { format, now } => {
            if let Some(now) = now {
                retention::confirm_clock(&app, now);
            }
            let now = now.unwrap_or_else(|| app.clock.now());
            let retention::Outcome { run, swept } = retention::run(&app, now, false).await?;
            match format {
                Format::Table => output::print(&run_text(&run))?,
                Format::Json => output::print(&serde_json::to_string_pretty(&run_fields(&run))?)?,
                Format::Csv => output::print(&output::csv(std::iter::once(run_fields(&run)))?)?,
            }
            if swept.failed > 0 {
                let failed = swept.failed;
                output::print_message(&say!("cli-retention-not-deleted", count = failed));
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Undo { run } => {
            let (_, restored) = retention::undo(&app, &run).await?;
            output::print(&say!("cli-retention-restored", count = restored))?;
        }
        Command::Runs => {
            let runs = Queries::new(app).retention_runs(&Paging::first(20)).await?;
            for (_, run) in runs.rows {
                output::print(&run_text(&run))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| say!("cli-not-an-instant", text = text))
}

fn run_text(run: &RetentionRun) -> String {
    let kind = if run.dry_run { "dry" } else { "done" };
    let id = run.id.to_string();
    let after = match (run.undone_at, run.swept_at, run.sweep_after) {
        (Some(at), ..) => say!("cli-retention-undone", at = output::local(at)),
        (None, Some(at), _) => say!("cli-retention-swept", at = output::local(at)),
        (None, None, Some(at)) => {
            say!("cli-retention-sweep-after", at = output::local(at), id = id.as_str())
        }
        (None, None, None) => say!("cli-retention-unchanged"),
    };
    let size = output::size(run.bytes_freed);
    say!("cli-retention-run", id = id, kind = kind, count = run.removed, size = size, after = after)
}

/// The run as JSON, with the fields of GraphQL.
fn run_fields(run: &RetentionRun) -> Value {
    json!({
        "id": run.id,
        "dryRun": run.dry_run,
        "startedAt": format_instant(run.started_at),
        "endedAt": run.ended_at.map(format_instant),
        "removed": run.removed,
        "bytesFreed": run.bytes_freed,
        "sweepAfter": run.sweep_after.map(format_instant),
        "undoneAt": run.undone_at.map(format_instant),
    })
}

fn table(app: &App, planned: &InventoryPlan) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        say!("cli-column-name"),
        say!("cli-column-reference-date"),
        say!("cli-column-rev"),
        say!("cli-column-policy"),
        say!("cli-column-why"),
        say!("cli-column-frees"),
    ]);
    for line in planned.lines(app).filter(|line| !line.keep) {
        let policy = line.policy.unwrap_or_default();
        table.add_row([
            output::in_cell(&line.name),
            output::in_cell(&line.reference_date),
            line.number.to_string(),
            policy,
            output::reason(line.reason),
            output::size(line.bytes_freed),
        ]);
    }
    let summary = say!(
        "cli-retention-summary",
        keep = planned.plan.keep,
        remove = planned.plan.remove,
        size = output::size(planned.plan.bytes_freed)
    );
    if planned.plan.remove == 0 {
        say!("cli-retention-nothing", summary = summary)
    } else {
        format!("{table}\n{summary}")
    }
}

/// The plan as JSON, with the fields of GraphQL and all lines in one list.
fn object(app: &App, planned: &InventoryPlan) -> Value {
    json!({
        "at": format_instant(planned.at),
        "keep": planned.plan.keep,
        "remove": planned.plan.remove,
        "bytesFreed": planned.plan.bytes_freed,
        "lines": planned.lines(app).map(|line| fields(&line)).collect::<Vec<_>>(),
    })
}

fn fields(line: &Line) -> Value {
    json!({
        "revisionId": line.revision_id.to_string(),
        "publicationId": line.publication_id.to_string(),
        "name": line.name,
        "referenceDate": line.reference_date,
        "number": line.number,
        "action": if line.keep { "KEEP" } else { "REMOVE" },
        "policy": line.policy,
        "rule": line.rule,
        "reason": line.reason,
        "bytesFreed": line.bytes_freed,
    })
}

fn csv(app: &App, planned: &InventoryPlan) -> anyhow::Result<String> {
    output::csv(planned.lines(app).map(|line| fields(&line)))
}
