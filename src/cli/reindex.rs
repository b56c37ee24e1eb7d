//! `acervo reindex`: build the search index anew.
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output;
use crate::config::Settings;
use crate::jobs;

pub(super) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    let Some(writer) = app.index_writer()? else {
        // The server owns the index; it goes on answering from the old one meanwhile.
        app.record.feed().ask_for_reindex().await?;
        output::print("the running server builds its index anew; `acervo status` shows how far it is")?;
        return Ok(ExitCode::SUCCESS);
    };
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} publications, {eta} left")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let shown = bar.clone();
    jobs::rebuild(&app, writer, &move |done, total| {
        shown.set_length(total);
        shown.set_position(done);
    })
    .await?;
    bar.finish_and_clear();
    output::print(&format!("indexed {} publications", bar.position()))?;
    Ok(ExitCode::SUCCESS)
}
