//! `acervo hook list|log|dead|redeliver|enable|test`: what hooks sent, what they gave up, and sending it again.
use std::process::ExitCode;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::language::say;
use super::output;
use crate::config::Settings;
use crate::domain::format_instant;
use crate::jobs::hooks;
use crate::query::{HookDelivery, HookLetter, HookRow, Paging, Queries};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List the hooks: how far each has come, and what went wrong
    List {
        /// The output format
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// List the last attempts, newest first
    Log {
        /// Only of this hook
        name: Option<String>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        /// The output format
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// List the events that were given up, newest first
    Dead {
        /// Only of this hook
        name: Option<String>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        /// The output format
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Let the service send events again that were given up
    Redeliver {
        /// The name of the hook
        name: String,
        /// The ids of the events, as `acervo hook dead` lists them
        #[arg(required_unless_present = "all")]
        ids: Vec<i64>,
        /// All that the hook has given up
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Let a hook send again whose endpoint answered 410, or retry at once
    Enable {
        /// The name of the hook
        name: String,
    },
    /// Send a test message now
    Test {
        /// The name of the hook
        name: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

pub(super) async fn run(command: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    let queries = Queries::new(app.clone());
    match command {
        Command::List { format } => {
            let (rows, now) = (queries.hooks().await?, app.clock.now());
            show(
                format,
                &rows,
                &[
                    say!("cli-column-name"),
                    say!("cli-column-endpoint"),
                    say!("cli-column-events"),
                    say!("cli-column-sent"),
                    say!("cli-column-failed"),
                    say!("cli-column-dead"),
                    say!("cli-column-state"),
                ],
                |row| hook_cells(row, now),
                hook_fields,
            )?;
        }
        Command::Log { name, limit, format } => {
            let rows = queries.hook_deliveries(name.as_deref(), &Paging::first(limit)).await?.rows;
            let rows: Vec<HookDelivery> = rows.into_iter().map(|(_, row)| row).collect();
            show(
                format,
                &rows,
                &[
                    say!("cli-column-at"),
                    say!("cli-column-hook"),
                    say!("cli-column-event"),
                    say!("cli-column-message"),
                    say!("cli-column-attempt"),
                    say!("cli-column-outcome"),
                    say!("cli-column-error"),
                ],
                log_cells,
                log_fields,
            )?;
        }
        Command::Dead { name, limit, format } => {
            let rows = queries.hook_letters(name.as_deref(), &Paging::first(limit)).await?.rows;
            let rows: Vec<HookLetter> = rows.into_iter().map(|(_, row)| row).collect();
            show(
                format,
                &rows,
                &[
                    say!("cli-column-id"),
                    say!("cli-column-hook"),
                    say!("cli-column-event"),
                    say!("cli-column-at"),
                    say!("cli-column-attempts"),
                    say!("cli-column-error"),
                ],
                dead_cells,
                dead_fields,
            )?;
        }
        Command::Redeliver { name, ids, all } => {
            let count = hooks::redeliver(&app, &name, (!all).then_some(&ids[..])).await?;
            output::print(&say!("cli-hook-redelivered", count = count, name = name))?;
        }
        Command::Enable { name } => {
            hooks::enable(&app, &name).await?;
            output::print(&say!("cli-hook-enabled", name = name))?;
        }
        Command::Test { name } => match hooks::test(&app, &name).await? {
            Some(status) => output::print(&say!("cli-hook-answered", name = name, status = status.to_string()))?,
            None => output::print(&say!("cli-hook-mailed", name = name))?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn show<Row>(
    format: Format,
    rows: &[Row],
    header: &[String],
    cells: impl Fn(&Row) -> Vec<String>,
    fields: fn(&Row) -> Value,
) -> anyhow::Result<()> {
    match format {
        Format::Json => {
            let rows: Vec<Value> = rows.iter().map(fields).collect();
            output::print(&serde_json::to_string_pretty(&rows)?)
        }
        Format::Table if rows.is_empty() => output::print(&say!("cli-none")),
        Format::Table => {
            let mut table = Table::new();
            table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
            table.set_header(header);
            for row in rows {
                table.add_row(cells(row).iter().map(|cell| output::in_cell(cell)));
            }
            output::print(&table.to_string())
        }
    }
}

/// What a hook is doing, in words.
pub(super) fn state_of(row: &HookRow, now: Timestamp) -> String {
    let Some(state) = &row.state else { return say!("cli-hook-begins") };
    let error = state.last_error.as_ref().map_or_else(|| say!("cli-hook-unknown-error"), output::reason);
    match (&row.settings, state.disabled_at, &state.pending) {
        (None, ..) => say!("cli-hook-unconfigured"),
        (_, Some(at), _) => {
            say!("cli-hook-disabled", at = output::when(at, now), error = error, name = row.name.as_str())
        }
        (_, None, Some(pending)) => say!(
            "cli-hook-failing",
            since = output::when(pending.failing_since, now),
            attempts = pending.attempts,
            next = output::when(pending.next_attempt_at, now),
            error = error
        ),
        (_, None, None) => match state.last_delivered_at {
            Some(at) => say!("cli-hook-last-sent", at = output::when(at, now)),
            None => say!("cli-hook-nothing-sent"),
        },
    }
}

fn events_of(row: &HookRow) -> Vec<&'static str> {
    row.settings.iter().flat_map(|settings| &settings.events).map(|event| event.as_str()).collect()
}

fn hook_cells(row: &HookRow, now: Timestamp) -> Vec<String> {
    let count = |n: Option<u64>| n.unwrap_or(0).to_string();
    vec![
        row.name.clone(),
        row.settings.as_ref().map(|settings| settings.endpoint.clone()).unwrap_or_default(),
        events_of(row).join(", "),
        count(row.state.as_ref().map(|state| state.delivered)),
        count(row.state.as_ref().map(|state| state.failed)),
        row.dead.to_string(),
        state_of(row, now),
    ]
}

/// A hook as JSON, with the fields of GraphQL.
pub(super) fn hook_fields(row: &HookRow) -> Value {
    let state = row.state.as_ref();
    let pending = state.and_then(|state| state.pending.as_ref());
    json!({
        "name": row.name,
        "configured": row.settings.is_some(),
        "endpoint": row.settings.as_ref().map(|settings| &settings.endpoint),
        "events": events_of(row),
        "lag": row.lag,
        "delivered": state.map_or(0, |state| state.delivered),
        "failed": state.map_or(0, |state| state.failed),
        "dead": row.dead,
        "lastDeliveredAt": state.and_then(|state| state.last_delivered_at).map(format_instant),
        "lastError": state.and_then(|state| state.last_error.as_ref()),
        "waitingSince": row.waiting_since().map(format_instant),
        "attempts": pending.map_or(0, |pending| pending.attempts),
        "nextAttemptAt": pending.map(|pending| format_instant(pending.next_attempt_at)),
        "disabledAt": row.disabled_at().map(format_instant),
    })
}

fn log_cells(row: &HookDelivery) -> Vec<String> {
    vec![
        output::local(row.at),
        row.hook.clone(),
        row.kind.clone(),
        row.message.clone(),
        row.attempt.to_string(),
        row.outcome.to_string(),
        row.error.as_ref().map(output::reason).unwrap_or_default(),
    ]
}

fn log_fields(row: &HookDelivery) -> Value {
    json!({
        "id": row.id.to_string(),
        "hook": row.hook,
        "message": row.message,
        "event": row.kind,
        "at": format_instant(row.at),
        "attempt": row.attempt,
        "outcome": row.outcome.as_str(),
        "status": row.status,
        "error": row.error,
        "milliseconds": u64::try_from(row.took.as_millis()).unwrap_or(u64::MAX),
    })
}

fn dead_cells(row: &HookLetter) -> Vec<String> {
    let requested = if row.redeliver_at.is_some() { say!("cli-hook-sent-again") } else { String::new() };
    vec![
        row.id.to_string(),
        row.hook.clone(),
        row.kind.to_string(),
        output::local(row.at),
        row.attempts.to_string(),
        output::reason(&row.error) + &requested,
    ]
}

fn dead_fields(row: &HookLetter) -> Value {
    json!({
        "id": row.id.to_string(),
        "hook": row.hook,
        "event": row.kind.as_str(),
        "at": format_instant(row.at),
        "deadAt": format_instant(row.dead_at),
        "attempts": row.attempts,
        "error": row.error,
        "redeliverAt": row.redeliver_at.map(format_instant),
    })
}
