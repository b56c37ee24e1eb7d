//! `acervo reindex`: rebuilds the search index.
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::language::say;
use super::output;
use super::progress::eta;
use crate::config::Settings;
use crate::reindex::{Reindexing, reindex};

pub(super) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    super::serve::stop_on_signal(&app.stop)?;
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template(&format!(
        "{{wide_bar}} {{pos}}/{{len}} {}, {}",
        say!("cli-progress-publications"),
        eta()
    ))?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let progress = bar.clone();
    let outcome = reindex(&app, &move |done, total| {
        progress.set_length(total);
        progress.set_position(done);
    })
    .await?;
    bar.finish_and_clear();
    output::print(&match outcome {
        Reindexing::Done => say!("cli-reindex-done", count = bar.position()),
        Reindexing::Requested => {
            say!("cli-reindex-requested")
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
