//! query: every question the outside may ask, answered read-only.
//!
//! The index finds and orders, the record fills in; what comes back is flat rows. Bounds are checked here, once for all
//! edges, and an error for the asker names the value and the bound.
mod ask;
mod changes;
mod columns;
mod coverage;
mod files;
mod filters;
mod kept;
mod lists;
mod paging;
mod searched;
mod stats;
mod status;
mod streams;
mod views;
mod walk;

use std::sync::Arc;

use crate::app::App;
use crate::index::{Index, IndexError};

pub use ask::{NotificationAsk, ProductAsk, PublicationAsk, RevisionAsk};
pub use changes::ChangeRow;
pub use columns::{Cell, Column, Flat, Kind};
pub use coverage::{Coverage, CoveragePeriod, CoverageState};
pub use filters::check_notifications;
pub use lists::MemberRow;
pub use paging::{FIRST_MAX, Listed, Paging};
pub use stats::{StatsAsk, StatsRow, Suggestion, SuggestionKind};
pub use status::{Damaged, DamagedFile, SourceStatus, Status};
pub use views::{PublicationRow, RevisionRow};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// For the asker: names the value and the bound.
    #[error("{0}")]
    BadInput(String),
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: String },
    /// The file is not there as it was archived.
    #[error("{error}; {advice}")]
    Damaged { error: String, advice: String },
    /// What was asked for is there, and cannot be given in this way.
    #[error("{0}")]
    Unsupported(String),
    /// For now.
    #[error("{0}")]
    Busy(String),
    #[error(transparent)]
    Record(#[from] crate::record::RecordError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl QueryError {
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::BadInput(message.into())
    }
}

/// Asks questions of an archive; clones are cheap.
#[derive(Clone)]
pub struct Queries {
    app: App,
    kept: Arc<kept::Kept>,
    counted: status::Counted,
}

impl Queries {
    pub fn new(app: App) -> Self {
        Self { app, kept: Arc::default(), counted: status::Counted::default() }
    }

    /// Asks the index, apart from the async threads.
    async fn ask_index<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Index) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let index = self.app.index.clone();
        let answered = tokio::task::spawn_blocking(move || question(&index)).await;
        Ok(answered.map_err(|_| IndexError::Interrupted)??)
    }

    /// What `fileUrl` is for a revision: absolute where the public address is known.
    pub fn file_url(&self, id: crate::domain::RevisionId) -> String {
        format!("{}/files/{id}", self.app.settings.public_url.as_deref().unwrap_or_default())
    }
}
