//! Imports: notifications that another receiver recorded, and files that the company already has.
//!
//! An import can be repeated and can be interrupted at any point: what the archive already has is skipped. It can run while a
//! service runs, and pauses between batches so that the service can write.
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

/// What an import reports while it runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// How much is done, in bytes read or rows imported.
    Progress { done: u64, total: u64 },
    /// A line or row that was rejected.
    Refused { path: &'a Path, line: u64, reason: String },
}

/// Receives the events.
pub type Listener<'a> = dyn FnMut(Event<'_>) + Send + 'a;

/// The outcome of an import; with `dry_run`, what it would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines or rows read.
    pub read: u64,
    /// Notifications with a valid link: the service fetches their files.
    pub queued: u64,
    /// Notifications with an expired link.
    pub expired: u64,
    /// Files that made a revision.
    pub archived: u64,
    /// Lines or rows that the archive already has.
    pub known: u64,
    /// Rejected lines or rows, each reported with its reason.
    pub refused: u64,
    /// The process was asked to stop before the end; importing again continues from there.
    pub stopped: bool,
}

impl Report {
    /// Counts and reports a rejected line or row.
    fn refuse(&mut self, listener: &mut Listener<'_>, path: &Path, line: u64, reason: String) {
        self.read += 1;
        self.refused += 1;
        listener(Event::Refused { path, line, reason });
    }
}

/// Pauses for half as long as a batch took, so that others can write to the database.
async fn pause(began: Instant) {
    tokio::time::sleep((began.elapsed() / 2).min(Duration::from_millis(250))).await;
}
