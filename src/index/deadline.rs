//! When a computation must end: a deadline that can also be cancelled. Loops over documents and terms check it.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::IndexError;

/// Documents or terms between two checks. A check reads the clock, which costs as much as a few documents.
pub(super) const STEPS: usize = 1024;

/// The deadline of a computation. Clones share it.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    instant: Instant,
    cancelled: AtomicBool,
    parent: Option<Deadline>,
}

impl Deadline {
    pub fn at(instant: Instant) -> Self {
        Self(Arc::new(Inner { instant, cancelled: AtomicBool::new(false), parent: None }))
    }

    /// For a part of the work: it can be cancelled separately, and ends with the whole.
    pub(super) fn child(&self) -> Self {
        self.child_at(self.0.instant)
    }

    /// The same with an earlier instant.
    pub fn child_at(&self, instant: Instant) -> Self {
        let instant = instant.min(self.0.instant);
        Self(Arc::new(Inner { instant, cancelled: AtomicBool::new(false), parent: Some(self.clone()) }))
    }

    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    pub fn instant(&self) -> Instant {
        self.0.instant
    }

    /// Whether the work must stop.
    pub fn is_over(&self) -> bool {
        self.is_cancelled() || Instant::now() >= self.0.instant
    }

    fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed) || self.0.parent.as_ref().is_some_and(Self::is_cancelled)
    }

    pub(super) fn check(&self) -> Result<(), IndexError> {
        if self.is_over() { Err(IndexError::Interrupted) } else { Ok(()) }
    }

    /// `check` for use inside tantivy, which requires its own error type.
    pub(super) fn check_within(&self) -> tantivy::Result<()> {
        self.check().map_err(|e| tantivy::TantivyError::InternalError(e.to_string()))
    }

    /// Maps an error of tantivy. Once the work must stop, any error counts as the interruption.
    pub(super) fn explain(&self, error: tantivy::TantivyError) -> IndexError {
        if self.is_over() { IndexError::Interrupted } else { error.into() }
    }
}
