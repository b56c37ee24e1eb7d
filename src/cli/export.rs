//! `acervo export`: writes the archive as plain folders.
use std::path::PathBuf;
use std::process::ExitCode;

use super::language::say;
use super::output;
use super::progress::Progress;
use super::search::FilterArgs;
use crate::config::Settings;
use crate::jobs::plain::{Event, ExportReport, ExportRequest, export};
use crate::query::Paging;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder to write to: new, empty, or one of an earlier export with the same options
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    filter: FilterArgs,
    /// Export links that have not expired, so that a restored instance can fetch what is pending. They work without a password
    #[arg(long)]
    links: bool,
}

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    super::serve::stop_on_signal(&app.stop)?;
    let options = args.filter.options();
    let filter = options.map(|options| (args.filter.request(Paging::first(1)), options));
    let request = ExportRequest { folder: args.folder, filter, links: args.links };
    let mut progress = Progress::new(&say!("cli-column-files"))?;
    let outcome = export(&app, request, &mut |event| match event {
        Event::Progress { done, total } => progress.set(done, total),
        Event::Left { path, reason } => {
            progress.message(&say!("cli-export-left", path = path.to_string(), reason = output::reason(reason)))
        }
    })
    .await;
    progress.finish();
    let report = outcome?;
    output::print(&summary(&report))?;
    let is_complete = report.failed == 0 && report.removed == 0;
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn summary(report: &ExportReport) -> String {
    let ExportReport { added, bytes_added, present, rewritten, removed, failed, manifest_changed } = report;
    let mut lines = vec![
        say!("cli-export-added", count = *added, size = output::size(*bytes_added)),
        say!("cli-get-present", count = *present),
    ];
    if *rewritten > 0 {
        lines.push(say!("cli-get-replaced", count = *rewritten));
    }
    lines.push(say!("cli-export-manifest", state = if *manifest_changed { "new" } else { "same" }));
    if *removed > 0 {
        lines.push(say!("cli-export-removed", count = *removed));
    }
    if *failed > 0 {
        lines.push(say!("cli-get-failed", count = *failed));
    }
    lines.join("\n")
}
