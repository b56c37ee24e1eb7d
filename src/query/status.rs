//! How the service is.
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::{Queries, QueryError};
use crate::record::Counts;

/// Below this much free space the service does not count as ready: the next commits may not fit.
const FREE_MIN: u64 = 1 << 20;

/// The state of the service.
#[derive(Clone, Debug)]
pub struct Status {
    pub version: &'static str,
    pub ready: bool,
    pub started_at: Timestamp,
    pub counts: Counts,
    pub disk_free: Option<u64>,
    /// Changes that the search index has yet to take in.
    pub index_lag: i64,
}

impl Queries {
    pub async fn status(&self) -> Result<Status, QueryError> {
        let app = &self.app;
        let counts = app.record.counts().await?;
        let head = app.record.feed_head().await?;
        let at = app.index.position().map(|position| position.feed).unwrap_or_default();
        Ok(Status {
            version: env!("CARGO_PKG_VERSION"),
            ready: self.not_ready().await.is_none(),
            started_at: app.started_at,
            counts,
            disk_free: app.store.free_bytes().ok(),
            index_lag: (head - at).max(0),
        })
    }

    /// Why notifications cannot be taken now, if so.
    pub async fn not_ready(&self) -> Option<String> {
        if self.app.stopping.load(Ordering::Acquire) {
            return Some("the service is stopping".to_owned());
        }
        if let Err(e) = self.app.record.ping().await {
            tracing::error!(error = %e, "the database does not answer");
            return Some("the database does not answer".to_owned());
        }
        match self.app.store.free_bytes() {
            Ok(free) if free >= FREE_MIN => None,
            Ok(free) => Some(format!("the disk of the archive has {free} bytes free, {FREE_MIN} are needed")),
            Err(e) => {
                tracing::error!(error = %e, "the archive does not answer");
                Some("the archive does not answer".to_owned())
            }
        }
    }
}
