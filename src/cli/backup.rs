//! `acervo backup`: copies a running instance to another data folder.
use std::path::PathBuf;
use std::process::ExitCode;

use super::language::say;
use super::progress::Progress;
use super::{Usage, output};
use crate::config::Settings;
use crate::jobs::backup::{BackupEvent, BackupReport, BackupRequest, backup, can_back_up};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder to write to: new, empty, or one of an earlier backup
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Remove files from the backup that the archive does not have any more
    #[arg(long)]
    prune: bool,
    /// Copy all bytes, also where the file system could share them with the archive
    #[arg(long)]
    copy: bool,
}

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    if !can_back_up(&app) {
        return Err(Usage(say!("cli-backup-postgres")).into());
    }
    super::serve::stop_on_signal(&app.stop)?;
    let request = BackupRequest { folder: args.folder, prune: args.prune, share: !args.copy };
    let mut progress = Progress::new(&say!("cli-column-files"))?;
    let outcome = backup(&app, request, &mut |event| match event {
        BackupEvent::Progress { done, total } => progress.set(done, total),
        BackupEvent::Missing { digest, reason } => progress.message(&say!(
            "cli-backup-missing-file",
            digest = digest.to_string(),
            reason = output::reason(reason)
        )),
    })
    .await;
    progress.finish();
    let report = outcome?;
    output::print(&summary(&report))?;
    Ok(if report.missing == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn summary(report: &BackupReport) -> String {
    let mut lines = vec![say!("cli-backup-copied", count = report.copied, size = output::size(report.bytes_copied))];
    if report.present > 0 {
        lines.push(say!("cli-get-present", count = report.present));
    }
    if report.shared > 0 {
        lines.push(say!("cli-backup-shared", count = report.shared, size = output::size(report.bytes_shared)));
    }
    if report.pruned > 0 {
        lines.push(say!("cli-backup-pruned", count = report.pruned));
    }
    if report.missing > 0 {
        lines.push(say!("cli-backup-missing", count = report.missing));
    }
    lines.push(say!("cli-backup-database"));
    lines.join("\n")
}
