//! Estimates of the bytes that rows take in memory, for the limits of responses.
use std::mem::size_of_val;

use super::{FileMember, PublicationRow, RevisionRow, StatsRow};
use crate::engine::record::{Member, Notification, Product, Publication, Revision};

/// A body becomes a tree of values, which takes several times as much as its text.
const BODY_FACTOR: usize = 8;

pub(super) trait Weight {
    fn weight(&self) -> usize;
}

/// The weight of some rows together.
pub(super) fn weigh<'a, Row: Weight + 'a>(rows: impl IntoIterator<Item = &'a Row>) -> usize {
    rows.into_iter().map(Weight::weight).sum()
}

fn text(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

impl Weight for Publication {
    fn weight(&self) -> usize {
        size_of_val(self) + self.name.len() + self.process.len() + self.macro_process.len() + self.reference_date.len()
    }
}

impl Weight for Revision {
    fn weight(&self) -> usize {
        // Every column is named, so that a new one with a text is not forgotten.
        let Self {
            file_name,
            extension,
            content_type,
            hold_reason,
            held_by,
            purge_rule,
            warnings,
            id: _,
            file: _,
            publication_id: _,
            number: _,
            announced_at: _,
            received_at: _,
            archived_at: _,
            superseded_at: _,
            purged_at: _,
            held: _,
            held_at: _,
        } = self;
        let texts = [extension, content_type, hold_reason, held_by, purge_rule];
        size_of_val(self)
            + file_name.len()
            + texts.into_iter().map(|one| text(one.as_ref())).sum::<usize>()
            + warnings.iter().map(|warning| warning.len() + size_of_val(warning)).sum::<usize>()
    }
}

impl Weight for FileMember {
    fn weight(&self) -> usize {
        self.publication.weight() + self.revision.weight() + self.member.weight()
    }
}

impl Weight for PublicationRow {
    fn weight(&self) -> usize {
        self.publication.weight() + self.revision.as_ref().map_or(0, Weight::weight)
    }
}

impl Weight for RevisionRow {
    fn weight(&self) -> usize {
        self.publication.weight() + self.revision.weight()
    }
}

impl Weight for Product {
    fn weight(&self) -> usize {
        let texts = self.name.len() + self.process.len() + self.macro_process.len() + text(self.list_path.as_ref());
        size_of_val(self)
            + texts
            + self.aliases.iter().map(|alias| size_of_val(alias) + alias.name.len()).sum::<usize>()
    }
}

impl Weight for Notification {
    fn weight(&self) -> usize {
        let texts = [&self.error, &self.name, &self.process, &self.macro_process, &self.reference_date];
        size_of_val(self)
            + self.body.len() * BODY_FACTOR
            + texts.into_iter().map(|one| text(one.as_ref())).sum::<usize>()
    }
}

impl Weight for Member {
    fn weight(&self) -> usize {
        // The address contains the path too.
        size_of_val(self) + 2 * self.path.len()
    }
}

impl Weight for StatsRow {
    fn weight(&self) -> usize {
        let texts = [
            &self.product,
            &self.process,
            &self.macro_process,
            &self.status,
            &self.extension,
            &self.granularity,
            &self.bucket,
        ];
        size_of_val(self) + texts.into_iter().map(|one| text(one.as_ref())).sum::<usize>()
    }
}
