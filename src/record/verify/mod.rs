//! What verification reads, finds and remembers: files and rows of a share of the archive, findings, runs and cycles.
//!
//! A damaged file is marked in its own row (see `files::damage`). Everything else that is found is a row of `findings`.
mod broken;
mod files;
mod findings;
mod rows;
mod runs;
mod uses;

use super::db::Db;

pub use broken::BrokenItem;
pub use files::FileState;
pub use findings::Finding;
pub use rows::{OrphanRevision, PublicationRefs};
pub use runs::{VerifyCycle, VerifyRun};
pub use uses::{Use, Uses};

/// Verification: what it reads, finds and remembers.
#[derive(Clone)]
pub struct Verify {
    pub(super) db: Db,
}
