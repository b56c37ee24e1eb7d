//! Verification: reads back every stored file of a share of the archive, and compares the archive with the database, and the database
//! with the index.
//!
//! A run can be interrupted at any point. Its position is saved about once a second, and the next run of the same share continues
//! there. What it finds is recorded at once: damaged files in their own rows, anything else as findings. One run at a time, in all
//! processes.
mod access;
mod files;
mod index;
mod orphans;
mod pace;
mod repair;
mod restore;
mod rows;
mod run;
mod scheduled;
mod sources;

use crate::domain::Share;
use crate::engine::record::VerifyRun;

pub use access::Inaccessible;
pub use repair::{Outcome, Repairer};
pub use run::run;
pub(super) use scheduled::scheduled;
pub use sources::Source;

/// An error if the database has stored files and no object of the archive can be opened: that says nothing about a file.
pub(super) async fn require_access(app: &crate::app::App) -> anyhow::Result<()> {
    access::require(app, false).await
}

/// The name of the lock.
const LOCK: &str = "verification";

/// What to verify, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub share: Share,
    /// Bytes per second, as published; `None` for no limit.
    pub max_rate: Option<u64>,
    /// Begin anew instead of continuing a run that was interrupted.
    pub restart: bool,
    /// Verify an archive without any object: all its files are missing. Otherwise that is an error, because its folder is probably not
    /// mounted.
    pub accepts_empty: bool,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub files: u64,
    pub bytes: u64,
    pub files_total: u64,
    pub bytes_total: u64,
}

/// Receives the progress of a run.
pub type Listener<'a> = dyn Fn(Progress) + Send + Sync + 'a;

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub run: VerifyRun,
    /// Whether it continued one that was interrupted.
    pub resumed: bool,
    /// Bytes read by this process, as published, and how long it took.
    pub bytes_now: u64,
    pub seconds: f64,
    /// What is broken in the share.
    pub broken: u64,
    /// Whether the index was compared with the database; not while it is built.
    pub index_checked: bool,
}

/// Another run holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another verification is running; wait until it has ended, or stop it")]
pub struct Busy;
