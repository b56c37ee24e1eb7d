//! index: documents in, hits out.
//!
//! The index is derived data. It is built from the record's feed, stores its feed position with each commit, and can be
//! deleted at any time. It has one document per revision, with the interval during which the revision was the latest, one
//! per publication without revisions, and one per product. Filters, `asOf`, order and counts are all answered here.
mod audit;
mod calendar;
mod collect;
mod columns;
mod contained;
mod contents;
mod deadline;
mod dimension;
mod directory;
mod document;
mod facets;
mod open;
mod patterns;
mod pool;
mod query;
mod scan;
mod schema;
mod stats;
mod terms;
mod words;
mod write;

pub use audit::{Entry, EntryPage};
pub use collect::{Hit, Hits, Relevance, SortValue};
pub use contents::{ContentMatch, ContentWriter, Contents, FileText, Fragment, MarkedLine, Outcome, TextDocument};
pub use deadline::Deadline;
pub use dimension::{Bucket, Dimension};
pub use document::{Product, Publication, Revision};
pub use facets::{FacetCounts, FacetQuery};
pub use open::{Index, Position, Progress, UnfinishedBuild};
pub use pool::{Pool, PoolStatus};
pub use query::{Filter, Order, Query, SearchIn, Target};
pub use stats::{Groups, Sums};
pub use write::Writer;

/// An error of the index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("the index: {0}")]
    Tantivy(#[from] tantivy::TantivyError),
    #[error("the index folder: {0}")]
    Io(#[from] std::io::Error),
    #[error("another process is writing the index")]
    InUse,
    /// The deadline has passed, or the caller has gone.
    #[error("the computation on the index was interrupted")]
    Interrupted,
    /// The queue of the pool is full.
    #[error("too many computations on the index are waiting")]
    Busy,
    /// The text inside files is not indexed.
    #[error("the text inside files is not indexed")]
    NoContents,
    #[error("more than {limit} files have these words")]
    TooManyFiles { limit: usize },
}
