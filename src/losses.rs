//! losses: publications whose file is lost, and who has acknowledged that.
use crate::app::App;
use crate::domain::PublicationId;

pub use crate::engine::record::{AcknowledgeError, LastNotification, Loss};

/// Lost publications: those that are not acknowledged first, the last ones first.
pub async fn list(app: &App, with_acknowledged: bool, limit: u64) -> Result<Vec<Loss>, AcknowledgeError> {
    Ok(app.record.losses().list(with_acknowledged, limit).await?)
}

/// Acknowledges losses in the name of `by`: these, or all. Returns how many were not acknowledged before.
pub async fn acknowledge(app: &App, which: Option<&[PublicationId]>, by: &str) -> Result<u64, AcknowledgeError> {
    let now = app.clock.now();
    let acknowledged = match which {
        Some(ids) => app.record.losses().acknowledge(ids, by, now).await?,
        None => app.record.losses().acknowledge_all(by, now).await?,
    };
    tracing::info!(acknowledged, by, all = which.is_none(), "lost publications were acknowledged");
    Ok(acknowledged)
}
