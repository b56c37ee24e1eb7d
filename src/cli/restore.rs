//! `acervo restore`: makes an instance from an export.
use std::path::PathBuf;
use std::process::ExitCode;

use super::language::say;
use super::output;
use super::progress::Progress;
use crate::app::{App, Role};
use crate::config::Settings;
use crate::domain::Clock;
use crate::jobs::plain::{RestoreEvent, RestoreReport, restore};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder that `acervo export` wrote
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Restore although files are missing or wrong: their revisions are marked as damaged
    #[arg(long)]
    accept_missing: bool,
}

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = App::open(settings, Role::Restore, Clock::default()).await?;
    super::serve::stop_on_signal(&app.stop)?;
    let mut progress = Progress::new("")?;
    let outcome = restore(&app, &args.folder, args.accept_missing, &mut |event| match event {
        RestoreEvent::Files { done, total } => progress.step(&say!("cli-column-files"), done, total),
        RestoreEvent::Rows { done, total } => progress.step(&say!("cli-progress-rows"), done, total),
        RestoreEvent::Index { done, total } => progress.step(&say!("cli-progress-indexed"), done, total),
        RestoreEvent::Missing { path, reason } => progress.message(&say!(
            "cli-restore-missing-file",
            path = path.to_string(),
            reason = output::reason(reason)
        )),
    })
    .await;
    progress.finish();
    let report = outcome?;
    app.close().await?;
    output::print(&summary(&report))?;
    let is_complete = report.is_done && report.missing == 0 && report.not_exported == 0;
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn summary(report: &RestoreReport) -> String {
    let RestoreReport { resumed, files, bytes, rows, missing, not_exported, ended, is_done } = report;
    let mut lines = Vec::new();
    if *resumed {
        lines.push(say!("cli-restore-resumed"));
    }
    lines.push(say!("cli-restore-files", count = *files, size = output::size(*bytes)));
    if *not_exported > 0 {
        lines.push(say!("cli-restore-not-exported", count = *not_exported));
    }
    if *missing > 0 {
        lines.push(say!("cli-restore-missing", count = *missing));
    }
    if !is_done {
        lines.push(say!("cli-restore-incomplete"));
        return lines.join("\n");
    }
    lines.push(say!("cli-restore-rows", count = *rows));
    if *ended > 0 {
        lines.push(say!("cli-restore-ended", count = *ended));
    }
    lines.join("\n")
}
