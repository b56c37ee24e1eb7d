//! `acervo import`: imports notifications from another receiver, or files you already have.
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::language::say;
use super::progress::eta;
use super::{Usage, output};
use crate::app::{self, App, Role};
use crate::config::Settings;
use crate::domain::{Clock, printable};
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
        return Err(Usage(say!("cli-import-one-path")).into());
    }
    for path in &args.paths {
        let kind = std::fs::metadata(path)
            .with_context(|| say!("cli-import-unreadable", path = path.display().to_string()))?;
        if kind.is_dir() && args.manifest.is_none() {
            return Err(Usage(say!("cli-import-is-folder", path = path.display().to_string())).into());
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
        return Err(Usage(say!("cli-import-no-archive", path = settings.data_dir.display().to_string())).into());
    }
    let question = say!("cli-import-ask-create", path = settings.data_dir.display().to_string());
    write!(std::io::stderr(), "{} ", printable(&question))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "s" | "sim"))
}

fn summary(report: &Report, files: bool, dry_run: bool) -> String {
    let Report { read, queued, expired, archived, known, refused, stopped } = report;
    let mut lines = match (files, dry_run) {
        (true, true) => {
            vec![say!("cli-import-files-read", count = *read), say!("cli-import-would-archive", count = *archived)]
        }
        (true, false) => {
            vec![say!("cli-import-files-read", count = *read), say!("cli-import-archived", count = *archived)]
        }
        (false, true) => vec![
            say!("cli-import-read", count = *read),
            say!("cli-import-would-queue", count = *queued),
            say!("cli-import-would-expire", count = *expired),
        ],
        (false, false) => vec![
            say!("cli-import-read", count = *read),
            say!("cli-import-queued", count = *queued),
            say!("cli-import-expired", count = *expired),
        ],
    };
    lines.push(say!("cli-import-known", count = *known));
    if *refused > 0 {
        lines.push(say!("cli-import-refused", count = *refused));
    }
    if *stopped {
        lines.push(say!("cli-import-stopped"));
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
        let (files, eta) = (say!("cli-column-files"), eta());
        let template = if rows {
            format!("{{wide_bar}} {{pos}}/{{len}} {files}, {{per_sec}}, {eta}")
        } else {
            format!("{{wide_bar}} {{bytes}}/{{total_bytes}}, {{bytes_per_sec}}, {eta}")
        };
        bar.set_style(ProgressStyle::with_template(&template)?);
        Ok(Self { bar, on_terminal, began: Instant::now(), printed_at: Instant::now() })
    }

    fn print(&mut self, event: &Event<'_>) {
        match event {
            Event::Refused { path, line, reason } => self.bar.suspend(|| {
                output::print_message(&format!("{}:{line}: {}", path.display(), output::reason(reason)));
            }),
            Event::Progress { done, total } => {
                self.bar.set_length(*total);
                self.bar.set_position(*done);
                if !self.on_terminal && self.printed_at.elapsed() >= PROGRESS_INTERVAL {
                    self.printed_at = Instant::now();
                    let left = self.began.elapsed().mul_f64((*total as f64 / (*done).max(1) as f64 - 1.0).max(0.0));
                    output::print_message(&say!(
                        "cli-progress-left",
                        done = *done,
                        total = *total,
                        seconds = left.as_secs()
                    ));
                }
            }
        }
    }
}
