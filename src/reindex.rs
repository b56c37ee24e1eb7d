//! reindex: the search index is built anew, by whichever process writes it.
use crate::app::App;
use crate::jobs;

/// What became of the wish for a new index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reindexing {
    /// It was built here.
    Done,
    /// A service that runs on the archive builds it, and goes on answering from the old one meanwhile.
    Requested,
}

/// Builds the index anew, or has the service that writes it do so; `progress` is given the publications done and all of them.
pub async fn reindex(app: &App, progress: &(dyn Fn(u64, u64) + Sync)) -> anyhow::Result<Reindexing> {
    if jobs::rebuild(app, progress).await? {
        return Ok(Reindexing::Done);
    }
    app.record.feed().request_reindex().await?;
    Ok(Reindexing::Requested)
}
