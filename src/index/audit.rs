//! What an audit compares with the record: the ids that the index has documents of.
use std::collections::HashSet;

use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED, Term};
use uuid::Uuid;

use super::deadline::STEPS;
use super::schema::Flag;
use super::{Deadline, Index, IndexError};
use crate::domain::{ProductId, PublicationId, RevisionId};

/// A document of a publication: one for each of its revisions, or a single one without a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub publication: PublicationId,
    pub revision: Option<RevisionId>,
}

impl Entry {
    /// Of a document's ids; it has no revision where that is nil.
    fn new(publication: Uuid, revision: Uuid) -> Self {
        let revision = (!revision.is_nil()).then_some(RevisionId(revision));
        Self { publication: PublicationId(publication), revision }
    }
}

/// Documents of publications in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryPage {
    pub entries: Vec<Entry>,
    /// The last publication whose documents are among them; `None`: they are all to the end.
    pub to: Option<PublicationId>,
}

/// Keeps the first entries in their order: about `limit`, and all of a publication's or none. Returns the last publication.
fn keep_first(entries: &mut Vec<Entry>, limit: usize) -> PublicationId {
    let (_, last, _) = entries.select_nth_unstable(limit);
    let to = last.publication;
    entries.retain(|entry| entry.publication <= to);
    to
}

impl Index {
    /// The documents of wanted publications after one id, in order: about `limit` of them, and never only a part of a publication's. Walks
    /// through all documents, whatever the limit.
    pub fn entries(
        &self,
        after: Option<PublicationId>,
        limit: usize,
        is_wanted: impl Fn(PublicationId) -> bool,
        deadline: &Deadline,
    ) -> Result<EntryPage, IndexError> {
        let (mut entries, mut to) = (Vec::new(), None);
        let mut length_max = limit.saturating_mul(2);
        self.walk(deadline, |id, revision, is_product| {
            let id = PublicationId(id);
            let is_within = after.is_none_or(|after| id > after) && to.is_none_or(|to| id <= to);
            if is_product || !is_within || !is_wanted(id) {
                return;
            }
            entries.push(Entry::new(id.0, revision));
            if entries.len() > length_max {
                to = Some(keep_first(&mut entries, limit));
                // More where a single publication has more.
                length_max = length_max.max(entries.len().saturating_mul(2));
            }
        })?;
        entries.sort_unstable();
        Ok(EntryPage { entries, to })
    }

    /// All documents of some publications, sorted.
    pub fn entries_of(
        &self,
        publications: &HashSet<PublicationId>,
        deadline: &Deadline,
    ) -> Result<Vec<Entry>, IndexError> {
        let mut found = Vec::new();
        self.walk(deadline, |id, revision, is_product| {
            if !is_product && publications.contains(&PublicationId(id)) {
                found.push(Entry::new(id, revision));
            }
        })?;
        found.sort_unstable();
        Ok(found)
    }

    /// The products that the index has documents of, sorted.
    pub fn product_ids(&self, deadline: &Deadline) -> Result<Vec<ProductId>, IndexError> {
        let mut found = Vec::new();
        self.walk(deadline, |id, _, is_product| {
            if is_product {
                found.push(ProductId(id));
            }
        })?;
        found.sort_unstable();
        Ok(found)
    }

    /// Makes what another process has committed visible to readers.
    pub fn refresh(&self) -> Result<(), IndexError> {
        self.inner.reload()
    }

    /// Visits the id and the revision of every document, which is nil where it has none, and whether it is that of a product.
    fn walk(&self, deadline: &Deadline, mut visit: impl FnMut(Uuid, Uuid, bool)) -> Result<(), IndexError> {
        fail::fail_point!("index-walk", |_| Err(std::io::Error::other("the medium does not return it").into()));
        let searcher = self.inner.reader.searcher();
        for segment in searcher.segment_readers() {
            self.walk_segment(segment, deadline, &mut visit).map_err(|e| deadline.explain(e))?;
        }
        Ok(())
    }

    fn walk_segment(
        &self,
        segment: &SegmentReader,
        deadline: &Deadline,
        visit: &mut impl FnMut(Uuid, Uuid, bool),
    ) -> tantivy::Result<()> {
        let columns = self.inner.columns.of(segment);
        let column = |name| columns.u64(segment, name);
        let id = (column("id_high")?, column("id_low")?);
        let revision = (column("revision_high")?, column("revision_low")?);
        let uuid = |of: &(tantivy::columnar::Column<u64>, tantivy::columnar::Column<u64>), doc: DocId| {
            Uuid::from_u64_pair(of.0.first(doc).unwrap_or_default(), of.1.first(doc).unwrap_or_default())
        };
        let flag = Term::from_field_text(self.inner.fields.flags, Flag::Product.as_str());
        let inverted = segment.inverted_index(self.inner.fields.flags)?;
        let mut products = inverted.read_postings(&flag, IndexRecordOption::Basic)?;
        let mut next_product = products.as_ref().map_or(TERMINATED, DocSet::doc);
        let alive = segment.alive_bitset();
        for doc in 0..segment.max_doc() {
            if (doc as usize).is_multiple_of(STEPS) {
                deadline.check_within()?;
            }
            let is_product = next_product == doc;
            if is_product && let Some(products) = &mut products {
                next_product = products.advance();
            }
            if alive.is_none_or(|alive| alive.is_alive(doc)) {
                visit(uuid(&id, doc), uuid(&revision, doc), is_product);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_all_entries_of_its_publications() {
        let publication = |n: u64| PublicationId(Uuid::from_u64_pair(n, 0));
        let entry = |n: u64, revision: u64| Entry {
            publication: publication(n),
            revision: Some(RevisionId(Uuid::from_u64_pair(1, revision))),
        };
        let all: Vec<Entry> = (0..40).map(|n| entry(n * 7 % 10, n)).collect();
        for limit in 0..all.len() {
            let mut kept = all.clone();
            let to = keep_first(&mut kept, limit);
            assert!(kept.len() > limit, "{limit}");
            let expected: Vec<Entry> = all.iter().copied().filter(|entry| entry.publication <= to).collect();
            kept.sort_unstable();
            assert!(kept.iter().all(|entry| expected.contains(entry)) && kept.len() == expected.len(), "{limit}");
            assert!(kept.len() - limit <= 4, "{limit}: {}", kept.len());
        }
    }
}
