//! query: every question the outside may ask, answered read-only.
//!
//! The index finds and orders, the record fills in; what comes back is flat rows. Bounds are checked here, once for all
//! edges, and an error for the asker names the value and the bound.
mod admission;
mod ask;
mod changes;
mod columns;
mod coverage;
mod files;
mod filters;
mod kept;
mod lists;
mod paging;
mod question;
mod searched;
mod stats;
mod status;
mod streams;
mod views;
mod walk;
mod weight;

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::index::{Deadline, Index, IndexError};
use crate::record::Record;

pub use admission::{Admission, Admitted};
pub use ask::{NotificationAsk, ProductAsk, PublicationAsk, RevisionAsk};
pub use changes::ChangeRow;
pub use columns::{Cell, Column, Flat, Kind};
pub use coverage::{Coverage, CoveragePeriod, CoverageState};
pub use filters::check_notifications;
pub use lists::MemberRow;
pub use paging::{FIRST_MAX, Listed, Paging};
pub use question::{Question, StopOnDrop};
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
    /// It took too long, or nobody waits for the answer any more.
    #[error("the answer took more than {} s; ask for less at once", timeout.as_secs())]
    TimedOut { timeout: Duration },
    /// Others have all the room that there is for answers.
    #[error("the service is busy with other questions; ask again in a few seconds")]
    Overloaded,
    #[error("the answer has more than {} MiB; ask for less at once", bytes_max >> 20)]
    TooLarge { bytes_max: u64 },
    #[error("there are {max} {what} already, which is the most; end one of them first")]
    Crowded { what: &'static str, max: usize },
    #[error(transparent)]
    Record(#[from] crate::record::RecordError),
    #[error(transparent)]
    Index(IndexError),
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
    record: Record,
    kept: Arc<kept::ResultCache>,
    counted: status::Counted,
    admission: Admission,
    question: Question,
}

impl Queries {
    pub fn new(app: App) -> Self {
        let admission = Admission::new(&app.settings.query);
        let question = Question::lasting(app.settings.query.timeout);
        let record = app.record.clone();
        Self { app, record, kept: Arc::default(), counted: status::Counted::default(), admission, question }
    }

    /// Where questions are let in.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// The same, within the bounds of one question.
    pub fn within(&self, question: Question) -> Self {
        Self { question, ..self.clone() }
    }

    /// The bounds that these are asked within.
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// Asks the index, on its own threads.
    async fn ask_index<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Index, &Deadline) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let index = self.app.index.clone();
        let (_room, watch) = self.question.step().await;
        let answered = self.app.computing.run(&watch, move |watch| ask(&index, watch)).await;
        answered.map_err(|e| match e {
            IndexError::Interrupted => QueryError::TimedOut { timeout: self.app.settings.query.timeout },
            IndexError::Busy => QueryError::Overloaded,
            e => QueryError::Index(e),
        })
    }

    /// What `fileUrl` is for a revision: absolute where the public address is known.
    pub fn file_url(&self, id: crate::domain::RevisionId) -> String {
        format!("{}/files/{id}", self.app.settings.public_url.as_deref().unwrap_or_default())
    }
}
