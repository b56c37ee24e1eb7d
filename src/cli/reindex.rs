//! `acervo reindex`: rebuilds the search index.
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output;
use crate::config::Settings;
use crate::reindex::{Reindexing, reindex};

pub(super) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    super::serve::stop_on_signal(&app.stop)?;
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} publications, {eta} left")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let progress = bar.clone();
    let outcome = reindex(&app, &move |done, total| {
        progress.set_length(total);
        progress.set_position(done);
    })
    .await?;
    bar.finish_and_clear();
    output::print(&match outcome {
        Reindexing::Done => format!("indexed {} publications", bar.position()),
        Reindexing::Requested => {
            "the running service rebuilds its index; `acervo status` shows its progress".to_owned()
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
