//! The bounds of one computation: a deadline and a cancellation, which loops over documents and terms look at.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::IndexError;

/// Documents or terms between two looks: a look reads the clock, which costs as much as a few documents.
pub(super) const STEPS: usize = 1024;

/// Tells a computation when to stop; clones share it.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    deadline: Instant,
    cancelled: AtomicBool,
    parent: Option<Watch>,
}

impl Watch {
    pub fn until(deadline: Instant) -> Self {
        Self(Arc::new(Inner { deadline, cancelled: AtomicBool::new(false), parent: None }))
    }

    /// A part of the work, which stops with the whole or alone.
    pub(super) fn part(&self) -> Self {
        self.part_until(self.0.deadline)
    }

    /// A part that has a deadline of its own, if that is sooner.
    pub fn part_until(&self, deadline: Instant) -> Self {
        let deadline = deadline.min(self.0.deadline);
        Self(Arc::new(Inner { deadline, cancelled: AtomicBool::new(false), parent: Some(self.clone()) }))
    }

    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// Whether the work is to stop.
    pub fn is_over(&self) -> bool {
        self.is_cancelled() || Instant::now() >= self.0.deadline
    }

    fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed) || self.0.parent.as_ref().is_some_and(Self::is_cancelled)
    }

    pub(super) fn check(&self) -> Result<(), IndexError> {
        if self.is_over() { Err(IndexError::Interrupted) } else { Ok(()) }
    }

    /// The same inside tantivy, whose loops know only its own errors.
    pub(super) fn check_within(&self) -> tantivy::Result<()> {
        self.check().map_err(|e| tantivy::TantivyError::InternalError(e.to_string()))
    }

    /// An error of tantivy after the work was told to stop is that stop.
    pub(super) fn explain(&self, error: tantivy::TantivyError) -> IndexError {
        if self.is_over() { IndexError::Interrupted } else { error.into() }
    }
}
