//! holds: revisions that people protect from retention.
use crate::app::App;
use crate::domain::{HoldReason, RevisionId};

pub use crate::engine::record::HoldError;

/// Protects a revision from retention, in the name of `by`.
pub async fn hold(app: &App, id: RevisionId, reason: &HoldReason, by: &str) -> Result<(), HoldError> {
    app.record.holds().hold(id, reason.as_str(), by, app.clock.now()).await
}

/// Ends a revision's protection.
pub async fn release(app: &App, id: RevisionId) -> Result<(), HoldError> {
    app.record.holds().release(id, app.clock.now()).await
}
