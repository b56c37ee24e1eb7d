//! Rows as callers see them.
use jiff::Timestamp;

use crate::domain::{Encoding, PublicationStatus};
use crate::engine::record;

/// A publication with the revision that is shown of it.
#[derive(Clone, Debug)]
pub struct PublicationRow {
    pub publication: record::Publication,
    pub shown: Option<record::Revision>,
    pub score: Option<f32>,
}

impl PublicationRow {
    pub fn status(&self) -> PublicationStatus {
        match &self.shown {
            Some(revision) if revision.purged_at.is_some() => PublicationStatus::Purged,
            Some(_) => PublicationStatus::Archived,
            None => self.publication.status,
        }
    }

    /// Of the notification behind the revision shown, else of the last one.
    pub fn received_at(&self) -> Timestamp {
        self.shown.as_ref().map_or(self.publication.received_at, |revision| revision.received_at)
    }
}

/// A revision with its publication.
#[derive(Clone, Debug)]
pub struct RevisionRow {
    pub revision: record::Revision,
    pub publication: record::Publication,
}

/// Whether the archive keeps a revision's file as a zstd frame, which can be sent as it is.
pub fn has_zstd_frame(revision: &record::Revision) -> bool {
    revision.file.encoding == Encoding::Zstd
}
