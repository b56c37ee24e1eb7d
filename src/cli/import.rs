//! `acervo import`: imports notifications from another receiver, or files you already have.
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Usage, output};
use crate::app::{self, App, Role};
use crate::config::Settings;
use crate::domain::Clock;
use crate::jobs::import::{self, Event, Report};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Files with one notification body per line (.ndjson, .gz, .zst); with --manifest, a folder or a tar of files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Describes the files: CSV with a header, or NDJSON, with path, nome, dataProduto and more (see docs/import.md)
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Show what would be imported, without changing anything
    #[arg(long)]
    dry_run: bool,
    /// Create the archive if it does not exist, without asking
    #[arg(long, conflicts_with = "dry_run")]
    create: bool,
}

/// Without a terminal, the time between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    if args.manifest.is_some() && args.paths.len() > 1 {
        return Err(Usage("--manifest describes one folder or tar; give one PATH with it".to_owned()).into());
    }
    for path in &args.paths {
        let kind = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
        if kind.is_dir() && args.manifest.is_none() {
            return Err(
                Usage(format!("{} is a folder; give --manifest, which describes its files", path.display())).into()
            );
        }
    }
    let may_create =
        args.create || (!args.dry_run && !app::has_archive(&settings).await? && confirm_create(&settings)?);
    let app = App::open(settings, Role::Command { may_create }, Clock::default()).await?;
    super::serve::stop_on_signal(&app.stop)?;
    let mut total = Report::default();
    for path in &args.paths {
        let mut printer = ProgressPrinter::new(args.manifest.is_some())?;
        let mut listener = |event: Event<'_>| printer.print(&event);
        let report = match &args.manifest {
            Some(manifest) => import::files(&app, path, manifest, args.dry_run, &mut listener).await,
            None => import::notifications(&app, path, args.dry_run, &mut listener).await,
        };
        printer.bar.finish_and_clear();
        let report = report?;
        for (sum, part) in [
            (&mut total.read, report.read),
            (&mut total.queued, report.queued),
            (&mut total.expired, report.expired),
            (&mut total.archived, report.archived),
            (&mut total.known, report.known),
            (&mut total.refused, report.refused),
        ] {
            *sum += part;
        }
        total.stopped |= report.stopped;
        if total.stopped {
            break;
        }
    }
    output::print(&summary(&total, args.manifest.is_some(), args.dry_run))?;
    Ok(if total.refused > 0 || total.stopped { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Asks for confirmation at the terminal, if there is one.
fn confirm_create(settings: &Settings) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Usage(format!(
            "there is no archive in {}: give --create to create one, or give the archive's folder with --data-dir or ACERVO_DATA_DIR",
            settings.data_dir.display()
        ))
        .into());
    }
    write!(std::io::stderr(), "There is no archive in {}. Create one? [y/N] ", settings.data_dir.display())?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "s" | "sim"))
}

fn summary(report: &Report, files: bool, dry_run: bool) -> String {
    let would = if dry_run { "would have been " } else { "" };
    let Report { read, queued, expired, archived, known, refused, stopped } = report;
    let mut lines = vec![format!("{read} {} read", if files { "files" } else { "notifications" })];
    if files {
        lines.push(format!("{archived} {would}archived as revisions"));
    } else {
        lines.push(format!("{queued} {would}queued; `acervo serve` fetches their files"));
        lines.push(format!(
            "{expired} {would}recorded as expired; \"Enviar Tudo\" on the portal sends the current ones again"
        ));
    }
    lines.push(format!("{known} skipped because they exist already"));
    if *refused > 0 {
        lines.push(format!("{refused} refused for the reasons above"));
    }
    if *stopped {
        lines.push("stopped before the end; import again to continue".to_owned());
    }
    lines.join("\n")
}

/// Shows progress, on a terminal as a bar and elsewhere as lines, and prints the reasons for refused lines.
struct ProgressPrinter {
    bar: ProgressBar,
    on_terminal: bool,
    began: Instant,
    printed_at: Instant,
}

impl ProgressPrinter {
    fn new(rows: bool) -> anyhow::Result<Self> {
        let on_terminal = std::io::stderr().is_terminal();
        let bar = if on_terminal { ProgressBar::no_length() } else { ProgressBar::hidden() };
        let template = if rows {
            "{wide_bar} {pos}/{len} files, {per_sec}, {eta} left"
        } else {
            "{wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left"
        };
        bar.set_style(ProgressStyle::with_template(template)?);
        Ok(Self { bar, on_terminal, began: Instant::now(), printed_at: Instant::now() })
    }

    fn print(&mut self, event: &Event<'_>) {
        match event {
            Event::Refused { path, line, reason } => self.bar.suspend(|| {
                output::print_message(&format!("{}:{line}: {reason}", path.display()));
            }),
            Event::Progress { done, total } => {
                self.bar.set_length(*total);
                self.bar.set_position(*done);
                if !self.on_terminal && self.printed_at.elapsed() >= PROGRESS_INTERVAL {
                    self.printed_at = Instant::now();
                    let left = self.began.elapsed().mul_f64((*total as f64 / (*done).max(1) as f64 - 1.0).max(0.0));
                    let _ = writeln!(std::io::stderr(), "{done} of {total}, {} s left", left.as_secs());
                }
            }
        }
    }
}
