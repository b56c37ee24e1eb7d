//! `acervo migrate-to`: copies the instance to another database and archive.
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::language::say;
use super::output;
use super::progress::Progress;
use crate::app::{App, MigrateTo, Role};
use crate::config::{ConfigError, Settings};
use crate::domain::Clock;
use crate::jobs::Stopped;
use crate::jobs::migrate::{MigrateEvent, MigrateReport, MigrateRequest, migrate};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The database to copy to: postgres://… or sqlite://…; it must be empty, or have this copy in progress
    #[arg(long, value_name = "URL", required_unless_present = "database_url_file")]
    database_url: Option<String>,
    /// A file with that address, which other users of this machine cannot read
    #[arg(long, value_name = "FILE", conflicts_with = "database_url")]
    database_url_file: Option<PathBuf>,
    #[command(flatten)]
    archive: ArchiveArgs,
    /// Copy only files, while the service runs; run the command again without this once it is stopped
    #[arg(long)]
    only_files: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct ArchiveArgs {
    /// The archive to copy to: s3://bucket/prefix or file:///…; it must be empty, or have this copy in progress
    #[arg(long, value_name = "URL")]
    archive_url: Option<String>,
    /// The same as a folder of this machine
    #[arg(long, value_name = "DIR")]
    archive_dir: Option<PathBuf>,
    /// Copy only the database: the copy uses the archive of this instance, which must not be used any more
    #[arg(long)]
    same_archive: bool,
}

pub(super) async fn run(
    args: Args,
    settings: Settings,
    load: impl Fn(Vec<(String, String)>) -> Result<Settings, ConfigError>,
) -> anyhow::Result<ExitCode> {
    let shares_archive = args.archive.same_archive;
    let only_files = args.only_files;
    let to = MigrateTo { settings: load(values(args)?)?, shares_archive };
    let role = if only_files { Role::Command { may_create: false } } else { Role::Copy };
    let app = App::open(settings, role, Clock::default()).await?;
    super::serve::stop_on_signal(&app.stop)?;
    let mut progress = Progress::new("")?;
    let outcome = migrate(&app, MigrateRequest { to, only_files }, &mut |event| match event {
        MigrateEvent::Files { done, total } => progress.step(&say!("cli-column-files"), done, total),
        MigrateEvent::Rows { done, total } => progress.step(&say!("cli-progress-rows"), done, total),
        MigrateEvent::Tables { done, total } => progress.step(&say!("cli-progress-tables"), done, total),
        MigrateEvent::Damaged { digest, reason } => progress.message(&say!(
            "cli-migrate-damaged-file",
            digest = digest.to_string(),
            reason = output::reason(reason)
        )),
    })
    .await;
    progress.finish();
    let report = match outcome {
        Err(e) if e.is::<Stopped>() => {
            output::print_message(&say!("cli-migrate-stopped"));
            return Ok(ExitCode::from(1));
        }
        outcome => outcome?,
    };
    app.close().await?;
    output::print(&summary(&report))?;
    Ok(if report.damaged == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The options as keys of the configuration.
fn values(args: Args) -> anyhow::Result<Vec<(String, String)>> {
    let ArchiveArgs { archive_url, archive_dir, .. } = args.archive;
    let archive_dir = archive_dir.map(|folder| {
        let shown = folder.display().to_string();
        let url = std::path::absolute(&folder).ok().and_then(|folder| url::Url::from_file_path(folder).ok());
        url.map(String::from).with_context(|| say!("cli-migrate-not-a-folder", path = shown))
    });
    let given = [
        ("database_url", args.database_url),
        ("database_url_file", args.database_url_file.map(|path| path.display().to_string())),
        ("archive_url", archive_url),
        ("archive_url", archive_dir.transpose()?),
    ];
    Ok(given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
}

fn summary(report: &MigrateReport) -> String {
    let MigrateReport { resumed, was_complete, copied, bytes_copied, present, removed, damaged, tables, rows, is_done } =
        report;
    if *was_complete {
        return say!("cli-migrate-complete-before");
    }
    let mut lines = Vec::new();
    if *resumed {
        lines.push(say!("cli-migrate-resumed"));
    }
    lines.push(say!("cli-backup-copied", count = *copied, size = output::size(*bytes_copied)));
    if *present > 0 {
        lines.push(say!("cli-migrate-present", count = *present));
    }
    if *removed > 0 {
        lines.push(say!("cli-migrate-removed", count = *removed));
    }
    if *damaged > 0 {
        lines.push(say!("cli-migrate-damaged", count = *damaged));
    }
    match is_done {
        true => {
            lines.push(say!("cli-migrate-rows", count = *rows, tables = *tables));
            lines.push(say!("cli-migrate-done"));
        }
        false => lines.push(say!("cli-migrate-only-files")),
    }
    lines.join("\n")
}
