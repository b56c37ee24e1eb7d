//! Rows as callers see them.
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::{Encoding, PublicationStatus};
use crate::engine::record;

/// A publication with its latest revision, or its latest one at a given instant.
#[derive(Clone, Debug)]
pub struct PublicationRow {
    pub publication: record::Publication,
    pub revision: Option<record::Revision>,
    pub score: Option<f32>,
    /// The search that found words inside its file.
    pub content_search: Option<Arc<str>>,
}

impl PublicationRow {
    pub fn status(&self) -> PublicationStatus {
        match &self.revision {
            Some(revision) if revision.purged_at.is_some() => PublicationStatus::Purged,
            Some(_) => PublicationStatus::Archived,
            None => self.publication.status,
        }
    }

    /// Of the notification that the revision came with, or if there is none, of the last notification.
    pub fn received_at(&self) -> Timestamp {
        self.revision.as_ref().map_or(self.publication.received_at, |revision| revision.received_at)
    }
}

/// A revision with its publication.
#[derive(Clone, Debug)]
pub struct RevisionRow {
    pub revision: record::Revision,
    pub publication: record::Publication,
    /// The search that found words inside its file.
    pub content_search: Option<Arc<str>>,
}

/// Whether a revision's file is stored as a zstd frame, which can be sent as it is.
pub fn has_zstd_frame(revision: &record::Revision) -> bool {
    revision.file.encoding == Encoding::Zstd
}
