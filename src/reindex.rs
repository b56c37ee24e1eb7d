//! reindex: the search index is rebuilt by the process that writes it.
use crate::app::App;
use crate::jobs;

/// The result of a request for a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reindexing {
    /// It was built here.
    Done,
    /// A running service rebuilds it, and answers from the old one until then.
    Requested,
}

/// Rebuilds the index, or requests it from the running service. `progress` is called with the numbers of completed and of all publications.
pub async fn reindex(app: &App, progress: &(dyn Fn(u64, u64) + Sync)) -> anyhow::Result<Reindexing> {
    if jobs::rebuild(app, progress).await? {
        return Ok(Reindexing::Done);
    }
    app.record.feed().request_reindex().await?;
    Ok(Reindexing::Requested)
}
