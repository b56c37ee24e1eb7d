//! index: documents in, hits out.
//!
//! Derived data: it is built from the record's feed, stores with each commit how far it has come, and can be thrown away
//! at any moment. One document per revision (and one per publication that has none), with the interval during which it
//! was the latest, and one per product; so filters, `asOf`, order and counts are all answered here.
mod calendar;
mod collect;
mod columns;
mod dimension;
mod document;
mod open;
mod patterns;
mod pool;
mod query;
mod scan;
mod schema;
mod stats;
mod terms;
mod watch;
mod words;
mod write;

pub use collect::{Hit, Hits, SortValue};
pub use dimension::{Bucket, Dimension};
pub use document::{Product, Publication, Revision};
pub use open::{Index, Position};
pub use pool::{Pool, PoolStatus};
pub use query::{Filter, Order, Query, Target};
pub use stats::{Groups, Sums};
pub use watch::Watch;
pub use write::Writer;

/// What can go wrong with the index; it is then built anew.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("the index: {0}")]
    Tantivy(#[from] tantivy::TantivyError),
    #[error("the index folder: {0}")]
    Io(#[from] std::io::Error),
    #[error("the index is written by another process")]
    InUse,
    /// The deadline has passed, or nobody waits for the answer any more.
    #[error("the computation on the index was interrupted")]
    Interrupted,
    /// The pool has as much to do as it can hold.
    #[error("too many computations on the index are waiting")]
    Busy,
}
