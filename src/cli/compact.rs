//! `acervo compact`: moves files into the dense tier of the archive.
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::language::say;
use super::output;
use super::progress::eta;
use crate::config::Settings;
use crate::jobs::Stopped;
use crate::jobs::compact::{self, Options, Sizes, Summary};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Encode files again that are dense already, with the encodings of this version
    #[arg(long)]
    rewrite: bool,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    super::serve::stop_on_signal(&app.stop)?;
    let options = Options { stored_before: app.clock.now(), rewrite: args.rewrite };
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template(&format!(
        "{{wide_bar}} {{msg}}{{bytes}}/{{total_bytes}}, {{bytes_per_sec}}, {}",
        eta()
    ))?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let shown = bar.clone();
    let compacted = compact::run(&app, options, &move |progress| {
        shown.set_length(progress.bytes_total);
        shown.set_message(say!("cli-progress-files", done = progress.files, total = progress.files_total));
        shown.set_position(progress.bytes);
    })
    .await;
    bar.finish_and_clear();
    let summary = match compacted {
        Err(e) if e.is::<Stopped>() => Err(e).context(say!("cli-compact-continues"))?,
        compacted => compacted?,
    };
    match args.format {
        Format::Table => print_table(&summary)?,
        Format::Json => output::print(&serde_json::to_string_pretty(&as_json(&summary))?)?,
    }
    Ok(if summary.damaged == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_table(summary: &Summary) -> anyhow::Result<()> {
    let Summary { total, damaged, products } = summary;
    if total.files == 0 && *damaged == 0 {
        return output::print(&say!("cli-compact-nothing"));
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        say!("cli-column-product"),
        say!("cli-column-files"),
        say!("cli-column-dense"),
        say!("cli-column-before"),
        say!("cli-column-after"),
        say!("cli-column-ratio"),
    ]);
    for (name, sizes) in products {
        table.add_row(row(&output::in_cell(name), sizes));
    }
    table.add_row(row(&say!("cli-compact-all"), total));
    output::print(&table.to_string())?;
    if *damaged > 0 {
        output::print(&say!("cli-compact-damaged", count = *damaged))?;
    }
    Ok(())
}

fn row(name: &str, sizes: &Sizes) -> [String; 6] {
    let Sizes { files, dense, before, after } = *sizes;
    let (ratio, before, after) = (ratio(sizes), output::size(before), output::size(after));
    [name.to_owned(), output::count(files), output::count(dense), before, after, output::count(format!("{ratio:.3}"))]
}

fn ratio(sizes: &Sizes) -> f64 {
    if sizes.before == 0 { 1.0 } else { sizes.after as f64 / sizes.before as f64 }
}

fn as_json(summary: &Summary) -> Value {
    let object = |sizes: &Sizes| {
        let Sizes { files, dense, before, after } = *sizes;
        json!({ "files": files, "dense": dense, "bytesBefore": before, "bytesAfter": after, "ratio": ratio(sizes) })
    };
    let product = |(name, sizes): &(String, Sizes)| {
        let mut product = object(sizes);
        product["name"] = name.as_str().into();
        product
    };
    let mut all = object(&summary.total);
    all["damaged"] = summary.damaged.into();
    all["products"] = summary.products.iter().map(product).collect();
    all
}
