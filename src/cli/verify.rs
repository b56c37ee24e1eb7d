//! `acervo verify`: reads the archive back and lists everything that is broken.
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::language::say;
use super::progress::eta;
use super::{Usage, output};
use crate::config::{Settings, positive_size};
use crate::domain::{Sample, Share, format_instant};
use crate::jobs::Stopped;
use crate::jobs::verify::{self, Options, Outcome, Repairer, Report, Source};
use crate::query::{BrokenRow, FIRST_MAX, Paging, Queries, USES_MAX, Use};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Verify one of t equal shares of the archive: 1/30, 2/30, … 30/30 are all of it
    #[arg(long, value_name = "N/T")]
    sample: Option<Sample>,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Read at most this much per second, such as "100 MiB", or "off" for no limit [default: verify.max_rate]
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    max_rate: Option<Rate>,
    /// Repair what can be repaired: from another object of the archive, from --from, or from a link that has not expired
    #[arg(long)]
    repair: bool,
    /// Repair from this: the folder of another archive, a folder with the files, or the address of another Acervo, whose key is read from
    /// ACERVO_FROM_KEY; can be repeated
    #[arg(long, value_name = "DIR|URL", requires = "repair")]
    from: Vec<String>,
    /// Begin anew instead of continuing a run that was interrupted
    #[arg(long)]
    restart: bool,
    /// Verify an archive folder without any object, as after the loss of a disk: all files are missing. Otherwise that is an error, because
    /// the folder is probably not mounted
    #[arg(long)]
    accept_empty: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy)]
enum Rate {
    Unlimited,
    BytesPerSecond(u64),
}

fn rate(text: &str) -> Result<Rate, String> {
    match text {
        "off" => Ok(Rate::Unlimited),
        size => positive_size(size).map(Rate::BytesPerSecond),
    }
}

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    super::serve::stop_on_signal(&app.stop)?;
    let sources = args.from.iter().map(|from| {
        let key = super::environment("ACERVO_FROM_KEY").filter(|key| !key.is_empty()).map(SecretString::from);
        Source::new(from, key).map_err(|why| Usage(format!("--from: {why}")))
    });
    let sources: Vec<Source> = sources.collect::<Result<_, _>>()?;
    let share = args.sample.map_or(Share::ALL, Sample::share);
    let max_rate = match args.max_rate {
        None => Some(app.settings.verify.max_rate),
        Some(Rate::BytesPerSecond(bytes)) => Some(bytes),
        Some(Rate::Unlimited) => None,
    };
    let options = Options { share, max_rate, restart: args.restart, accepts_empty: args.accept_empty };
    let report = verified(&app, options).await?;
    let queries = Queries::new(app.clone());
    let repairer =
        if args.repair && report.broken > 0 { Some(Repairer::begin(&app, sources, share).await?) } else { None };
    let mut items = Items { queries, share, repairer, repaired: 0, paging: Paging::first(FIRST_MAX), is_done: false };
    let printed = match args.format {
        Format::Text => print_text(&mut items, &report).await,
        Format::Json => print_json(&mut items, args.sample, &report).await,
    };
    let left = items.left(&report).await;
    if let Some(repairer) = items.repairer {
        repairer.end().await;
    }
    printed?;
    Ok(if left? == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is broken, page by page, repaired on the way if that was requested.
struct Items {
    queries: Queries,
    share: Share,
    repairer: Option<Repairer>,
    repaired: u64,
    paging: Paging,
    is_done: bool,
}

impl Items {
    /// The next items; `None` after the last.
    async fn next_page(&mut self) -> anyhow::Result<Option<Vec<BrokenRow>>> {
        if self.is_done {
            return Ok(None);
        }
        let page = self.queries.broken_items(self.share, USES_MAX, &self.paging).await?;
        self.is_done = !page.has_next;
        self.paging.after = page.rows.last().map(|(cursor, _)| cursor.clone());
        Ok(Some(page.rows.into_iter().map(|(_, row)| row).collect()))
    }

    /// How much is broken now. After a repair it is counted again: a reader may have found damage meanwhile.
    async fn left(&self, report: &Report) -> anyhow::Result<u64> {
        match self.repairer {
            Some(_) => Ok(self.queries.broken_in(self.share).await?),
            None => Ok(report.broken),
        }
    }

    /// Repairs an item, if that was requested.
    async fn repair(&mut self, row: &BrokenRow) -> anyhow::Result<Option<Outcome>> {
        let Some(repairer) = &mut self.repairer else { return Ok(None) };
        let outcome = repairer.repair(&row.item).await?;
        self.repaired += u64::from(outcome.is_done());
        Ok(Some(outcome))
    }
}

/// Verifies, with a bar on a terminal.
async fn verified(app: &crate::app::App, options: Options) -> anyhow::Result<Report> {
    let bar = ProgressBar::no_length();
    let template = format!("{{wide_bar}} {{msg}}{{bytes}}/{{total_bytes}}, {{bytes_per_sec}}, {}", eta());
    bar.set_style(ProgressStyle::with_template(&template)?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let shown = bar.clone();
    let verified = verify::run(app, options, &move |progress| {
        shown.set_length(progress.bytes_total);
        shown.set_message(say!("cli-progress-files", done = progress.files, total = progress.files_total));
        shown.set_position(progress.bytes);
    })
    .await;
    bar.finish_and_clear();
    match verified {
        Err(e) if e.is::<Stopped>() => Err(e).context(say!("cli-verify-continues")),
        verified => verified,
    }
}

async fn print_text(items: &mut Items, report: &Report) -> anyhow::Result<()> {
    if report.resumed {
        output::print(&say!("cli-verify-continued"))?;
    }
    while let Some(rows) = items.next_page().await? {
        for row in &rows {
            let next = say!("cli-verify-next", step = output::reason(&row.next_step));
            let (text, outcome) = (item_text(&items.queries, row).await?, items.repair(row).await?);
            output::print(&text)?;
            match outcome {
                Some(outcome) if outcome.is_done() => output::print(&format!("    {}", outcome.text()))?,
                Some(outcome) => output::print(&format!("    {}\n    {next}", outcome.text()))?,
                None => output::print(&format!("    {next}"))?,
            }
        }
    }
    if !report.index_checked {
        output::print(&say!("cli-verify-index"))?;
    }
    output::print(&summary(report))?;
    if items.repairer.is_some() {
        let left = items.left(report).await?;
        output::print(&say!("cli-verify-repaired", count = items.repaired, left = left))?;
    }
    Ok(())
}

fn summary(report: &Report) -> String {
    let megabytes_per_second = report.bytes_now as f64 / 1e6 / report.seconds.max(1e-3);
    let broken = match report.broken {
        0 => say!("cli-verify-nothing"),
        broken => say!("cli-verify-broken", count = broken),
    };
    say!(
        "cli-verify-summary",
        files = report.run.files,
        size = output::size(report.run.bytes),
        seconds = output::decimal(report.seconds),
        rate = output::decimal(megabytes_per_second),
        broken = broken
    )
}

/// An item with everything that needs it.
async fn item_text(queries: &Queries, row: &BrokenRow) -> anyhow::Result<String> {
    let name = match row.item.digest {
        Some(digest) => say!("cli-verify-file", digest = digest.to_string()),
        None => String::new(),
    };
    let mut lines = vec![format!("{:<12} {name}{}", row.item.kind.as_str(), output::reason(&row.detail))];
    let mut uses = row.uses.clone();
    while let Some(last) = uses.last().map(|last| last.revision) {
        lines.extend(uses.iter().map(use_text));
        uses = queries.uses_after(row, last).await?;
    }
    Ok(lines.join("\n"))
}

fn use_text(using: &Use) -> String {
    let product = using.product.as_deref().map_or_else(|| say!("cli-verify-no-publication"), output::in_cell);
    let date = using.reference_date.as_deref().map(|date| format!(" {}", output::in_cell(date))).unwrap_or_default();
    let needed = say!(
        "cli-verify-needed",
        product = product + &date,
        number = using.number.to_string(),
        revision = using.revision.to_string(),
        publication = using.publication.to_string(),
        file = output::in_cell(&using.file_name)
    );
    format!("    {needed}")
}

/// One object. The items are written as they are read, because there may be as many as files.
async fn print_json(items: &mut Items, sample: Option<Sample>, report: &Report) -> anyhow::Result<()> {
    let run = &report.run;
    let summary = json!({
        "run": run.id,
        "sample": sample.map(|sample| sample.to_string()),
        "resumed": report.resumed,
        "startedAt": format_instant(run.started_at),
        "endedAt": run.ended_at.map(format_instant),
        "files": run.files,
        "bytes": run.bytes,
        "seconds": report.seconds,
        "bytesPerSecond": report.bytes_now as f64 / report.seconds.max(1e-3),
        "indexChecked": report.index_checked,
        "broken": report.broken,
    });
    let head = serde_json::to_string_pretty(&summary)?;
    let head = head.strip_suffix("\n}").context("the summary is not an object")?;
    output::print(&format!("{head},\n  \"items\": ["))?;
    // A comma is written before an item, not after: the page that should have followed may be empty by the time that it is read.
    let mut comma = "";
    while let Some(rows) = items.next_page().await? {
        for row in &rows {
            let mut item = item_json(&items.queries, row).await?;
            if let Some(outcome) = items.repair(row).await? {
                item["repaired"] = outcome.is_done().into();
                item["repair"] = outcome.text().into();
            }
            output::print(&format!("    {comma}{item}"))?;
            comma = ",";
        }
    }
    let repaired = items.repairer.as_ref().map(|_| items.repaired);
    output::print(&format!("  ],\n  \"repaired\": {}\n}}", json!(repaired)))
}

async fn item_json(queries: &Queries, row: &BrokenRow) -> anyhow::Result<Value> {
    let mut revisions = Vec::new();
    let mut uses = row.uses.clone();
    while let Some(last) = uses.last().map(|last| last.revision) {
        revisions.extend(uses.iter().map(|using| {
            json!({
                "id": using.revision.to_string(),
                "publicationId": using.publication.to_string(),
                "name": using.product,
                "referenceDate": using.reference_date,
                "number": using.number,
                "fileName": using.file_name,
            })
        }));
        uses = queries.uses_after(row, last).await?;
    }
    Ok(json!({
        "kind": row.item.kind.as_str(),
        "sha256": row.item.digest.map(|digest| digest.to_string()),
        "publicationId": row.item.publication.map(|id| id.to_string()),
        "revisionId": row.item.revision.map(|id| id.to_string()),
        "since": format_instant(row.item.since),
        "detail": row.detail,
        "nextStep": row.next_step,
        "revisions": revisions,
    }))
}
