//! Compaction: moves files into the dense tier of the archive, where each is encoded with the help of another revision or of a neighbouring
//! publication of its product.
//!
//! A file keeps its object until the dense one was read back and recorded; then the old one is deleted. A run can be interrupted at any
//! point, and the next one continues with what is left. One run at a time, in all processes: whoever replaces an object of a file holds
//! the lock.
mod bases;
mod encoder;
mod leftovers;
mod run;

use jiff::Timestamp;

pub(super) use bases::release_bases;
pub(super) use leftovers::remove_second_objects;
pub use run::run;
pub(super) use run::scheduled;

/// The name of the lock.
pub(super) const LOCK: &str = "compaction";

/// What to compact.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Files that were stored before this.
    pub stored_before: Timestamp,
    /// Encodes files again that are dense already.
    pub rewrite: bool,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub files: u64,
    /// As published.
    pub bytes: u64,
    pub files_total: u64,
    pub bytes_total: u64,
}

/// Receives the progress of a run.
pub type Listener<'a> = dyn Fn(Progress) + Send + Sync + 'a;

/// Stored bytes of the files that a run looked at, before and after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    pub files: u64,
    /// How many of them are dense now.
    pub dense: u64,
    pub before: u64,
    pub after: u64,
}

impl Sizes {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.dense += other.dense;
        self.before += other.before;
        self.after += other.after;
    }
}

/// The result of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub total: Sizes,
    /// Files that could not be read; they are marked as damaged.
    pub damaged: u64,
    pub products: Vec<(String, Sizes)>,
}

/// Another run holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another compaction is running; wait until it has ended, or stop it")]
pub struct Busy;
