//! Backfill: notifications that another receiver took, and files that the company has already.
//!
//! Everything can be done twice and stopped anywhere: what is there already is left alone. Works beside a running
//! service, and leaves the database to it between two batches.
mod content;
mod extended;
mod files;
mod lines;
mod manifest;
mod names;
mod notifications;
mod source;
mod tar;
mod text;

use std::path::Path;
use std::time::{Duration, Instant};

pub use files::import as files;
pub use manifest::{Manifest, ManifestError, Parsed, Root, Row};
pub use notifications::{import as notifications, read_line};

/// What is told while it runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// So much of it is done, in bytes read or rows taken.
    Progress { done: u64, total: u64 },
    /// A line or row that could not be taken.
    Refused { path: &'a Path, line: u64, reason: String },
}

/// Hears what is told.
pub type Listener<'a> = dyn FnMut(Event<'_>) + Send + 'a;

/// What came of it; with `dry_run`, what would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines or rows read.
    pub read: u64,
    /// Notifications whose links live: the service fetches their files.
    pub queued: u64,
    /// Notifications whose links were dead.
    pub expired: u64,
    /// Files that made a revision.
    pub archived: u64,
    /// What is there already.
    pub known: u64,
    /// What could not be taken, each told with its reason.
    pub refused: u64,
}

impl Report {
    /// Counts and tells a line or row that cannot be taken.
    fn refuse(&mut self, listener: &mut Listener<'_>, path: &Path, line: u64, reason: String) {
        self.read += 1;
        self.refused += 1;
        listener(Event::Refused { path, line, reason });
    }
}

/// Leaves the database to others for as long as half a batch took.
async fn rest(began: Instant) {
    tokio::time::sleep((began.elapsed() / 2).min(Duration::from_millis(250))).await;
}
