//! query: every query that a caller may make, answered read-only.
//!
//! The index finds and orders, the record fills in; what comes back are rows. Bounds are checked here, once for all
//! edges, and an error for the caller names the value and the bound.
mod admission;
mod broken;
mod cache;
mod changes;
mod columns;
mod contents;
mod coverage;
mod diff;
mod facets;
mod feed;
mod files;
mod filters;
mod hooks;
mod keys;
mod limits;
mod lists;
mod members;
mod operation;
mod paging;
mod preview;
mod replicas;
mod request;
mod rows;
mod search_text;
mod stats;
mod status;
mod streams;
mod walk;
mod weight;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::app::App;
use crate::engine::index::{Deadline, Index, IndexError};
use crate::engine::record::Record;

/// Rows and values of the leaves, as callers see and send them.
pub use crate::engine::index::{Bucket, ContentMatch, Dimension, Filter, Fragment, Order, Outcome, SearchIn};
pub use crate::engine::record::{
    Alias, BrokenItem, DayOfActivity, Failure, HeldRevision, HookDelivery, HookLetter, JobRun, LossCounts, Member,
    Notification, NotificationQuery, OpenLink, Product, ProductRemoval, Publication, Replay, Replica, RetentionRun,
    Revision, Use, VerifyCycle, VerifyRun,
};
pub use crate::engine::store::{Bytes as FileBytes, Spool, StoreError as FileError};
pub use admission::{Admission, Permit};
pub use broken::{BrokenRow, USES_MAX, Verification};
pub use cache::{ArchiveState, PageText, PublicationPage, StateCache};
pub use changes::{ChangeRow, ChangesPage, ChangesRequest, FeedPosition};
pub use columns::{Cell, Column, Kind, TableRow};
pub use contents::{CONTENT_MATCHES_MAX, ContentStatus, RevisionText};
pub use coverage::{
    Coverage, CoverageByProcess, CoveragePeriod, CoverageRequest, CoverageRow, CoverageState, CoverageStates,
    JudgedPeriod, ProductCoverage,
};
pub use diff::{
    CellChange, ChosenRevisions, ContentChange, ContentNote, DiffNote, DiffText, LineEnds, MemberChange,
    MemberChangeKind, RevisionDiff, Side,
};
pub use facets::{Chosen, FACET_VALUES_MAX, FacetRequest, FacetValue, Facets};
pub use feed::FeedMark;
pub use filters::check_notifications;
pub use hooks::{HookRow, HookSettings};
pub use keys::KeyStatus;
pub use limits::{QueryLimits, StopOnDrop};
pub use lists::MemberRow;
pub use members::FileMember;
pub use operation::Activity;
pub use paging::{FIRST_MAX, ListPage, Paging};
pub use preview::{Preview, PreviewContent, inline_media};
pub use request::{NotificationRequest, ProductRequest, PublicationRequest, RevisionRequest};
pub use rows::{PublicationRow, RevisionRow, has_zstd_frame};
pub use stats::{STATS_LIMIT_MAX, StatsRequest, StatsRow, Suggestion, SuggestionKind};
pub use status::{DamagedFile, DamagedFiles, SourceStatus, Status};

/// Why a query has no response.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The request is wrong: names the value and the bound.
    #[error("{0}")]
    BadInput(String),
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: String },
    /// No member of the files has this path. `similar` are those of members with the same name, or with another ending.
    #[error("there is no member `{path}` in the file of revision {}; {}", last_of(files), what_helps(files, similar))]
    NoMember { path: String, files: Vec<crate::domain::RevisionId>, similar: Vec<String> },
    /// The file does not read back as it was archived.
    #[error("{error}; {advice}")]
    Damaged { error: String, advice: String },
    /// The file existed, and retention removed it.
    #[error("{0}")]
    Purged(String),
    /// What was requested exists, and cannot be sent in this form.
    #[error("{0}")]
    Unsupported(String),
    /// The service cannot answer for now.
    #[error("{0}")]
    Busy(String),
    /// The deadline has passed, or the client has gone.
    #[error("the query took more than {} s; request less at once", timeout.as_secs())]
    TimedOut { timeout: Duration },
    /// Other requests hold all slots or all memory.
    #[error("the service is busy with other requests; try again in a few seconds")]
    Overloaded,
    #[error("the response has more than {} MiB; request less at once", bytes_max >> 20)]
    TooLarge { bytes_max: u64 },
    #[error("there are {max} {what} already, which is the most; end one of them first")]
    Crowded { what: &'static str, max: usize },
    #[error("the search index is not written by this service now, so nothing new is found; try again later")]
    IndexStopped,
    /// What this process shows did not reach in time what the request requires.
    #[error(
        "this service shows the feed up to {shown}, not yet {mark}, which `Acervo-Feed` requires; try again, or allow a longer wait with `Prefer: wait=SECONDS`"
    )]
    Behind { mark: FeedMark, shown: i64 },
    #[error(transparent)]
    Record(#[from] crate::engine::record::RecordError),
    #[error(transparent)]
    Index(IndexError),
    #[error(transparent)]
    Store(#[from] crate::engine::store::StoreError),
}

/// What a message says beside a member that is not there.
fn what_helps(files: &[crate::domain::RevisionId], similar: &[String]) -> String {
    match similar {
        [] => format!("`acervo get {} --list` lists its members", last_of(files)),
        similar => format!("similar: {}", quoted(similar)),
    }
}

fn last_of(files: &[crate::domain::RevisionId]) -> String {
    files.last().map(ToString::to_string).unwrap_or_default()
}

/// Paths in a message.
pub(crate) fn quoted(paths: &[String]) -> String {
    paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ")
}

impl QueryError {
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::BadInput(message.into())
    }
}

/// Queries an archive; clones are cheap.
#[derive(Clone)]
pub struct Queries {
    app: App,
    record: Record,
    cache: Arc<cache::ResultCache>,
    facet_cache: Arc<facets::FacetCache>,
    counts_cache: status::CountsCache,
    feed_head: changes::FeedHead,
    process_coverage: coverage::ProcessCoverageCache,
    activity: operation::ActivityCache,
    admission: Admission,
    limits: QueryLimits,
    /// Comparisons of files at once.
    comparisons: Arc<Semaphore>,
}

impl Queries {
    pub fn new(app: App) -> Self {
        let admission = Admission::new(&app.settings.query);
        let limits = QueryLimits::lasting(app.settings.query.timeout);
        let record = app.record.clone();
        let comparisons = Arc::new(Semaphore::new(diff::AT_ONCE));
        Self {
            app,
            record,
            cache: Arc::default(),
            facet_cache: Arc::default(),
            counts_cache: status::CountsCache::default(),
            feed_head: changes::FeedHead::default(),
            process_coverage: coverage::ProcessCoverageCache::default(),
            activity: operation::ActivityCache::default(),
            admission,
            limits,
            comparisons,
        }
    }

    /// Waits until queries show what was recorded before; see [`Intake::caught_up`](crate::engine::record::Intake::caught_up).
    pub async fn caught_up(&self) {
        self.record.intake().caught_up().await;
    }

    /// Decides when a query may start.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// The same, within the limits of one request.
    pub fn within(&self, limits: QueryLimits) -> Self {
        Self { limits, ..self.clone() }
    }

    /// The limits that these queries run within.
    pub fn limits(&self) -> &QueryLimits {
        &self.limits
    }

    /// The present state of the archive; `None` if the database does not answer. What is read afterwards may be newer, never
    /// older.
    pub async fn state(&self) -> Option<ArchiveState> {
        let record = self.record.version().await?;
        Some(ArchiveState { record, index: self.app.index.generation() })
    }

    /// Runs a computation on the index, on its own threads.
    async fn query_index<T: Send + 'static>(
        &self,
        compute: impl FnOnce(&Index, &Deadline) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let index = self.app.index.clone();
        let (_permit, watch) = self.limits.step().await;
        let computed = self.app.computing.run(&watch, move |watch| compute(&index, watch)).await;
        computed.map_err(|e| match e {
            IndexError::Interrupted => QueryError::TimedOut { timeout: self.app.settings.query.timeout },
            IndexError::Busy => QueryError::Overloaded,
            IndexError::NoContents => QueryError::bad(
                "the text inside files is not searched here: set `content.index = true`, or leave out `in`",
            ),
            IndexError::TooManyFiles { limit } => {
                QueryError::bad(format!("more than {limit} files have these words: add another word to `search`"))
            }
            e => QueryError::Index(e),
        })
    }

    /// The `fileUrl` of a revision: absolute if the public address is known.
    pub fn file_url(&self, id: crate::domain::RevisionId) -> String {
        self.app.settings.file_url(id)
    }
}
