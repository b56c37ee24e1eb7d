//! Why a run of retention, or its undo, is refused.
use jiff::Timestamp;

use crate::domain::{ProductId, RevisionId};

/// The reason for the caller. Errors of any other type are the service's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetentionRefusal {
    #[error("there is no run {id}; `acervo retention runs` lists them")]
    NotFound { id: String },
    #[error("the run {id} was a dry run; there is nothing to restore")]
    DryRun { id: String },
    #[error("the grace of the run {id} is over, and its {lost} revisions are swept; they cannot be restored")]
    GraceOver { id: String, lost: u64 },
    #[error("another run of retention is in progress; try again when it has ended")]
    Busy,
    #[error(
        "the clock ({at}) is far ahead of the last known time; nothing is removed until it is corrected or a notification confirms it"
    )]
    ClockSuspect { at: Timestamp },
    #[error("there is no product {id}")]
    NoProduct { id: ProductId },
    #[error("to remove the product, repeat its name: `{name}`")]
    NotConfirmed { name: String },
    #[error(
        "{count} revisions of the product are held, {first} among them; release them first, and then remove the product"
    )]
    Held { count: u64, first: RevisionId },
}
