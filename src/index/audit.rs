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

impl Index {
    /// The documents of publications after one id, up to another, sorted. Without `to`, those to the end.
    pub fn entries(
        &self,
        after: Option<PublicationId>,
        to: Option<PublicationId>,
        deadline: &Deadline,
    ) -> Result<Vec<Entry>, IndexError> {
        let mut found = Vec::new();
        self.walk(deadline, |id, revision, is_product| {
            let is_wanted = after.is_none_or(|after| id > after.0) && to.is_none_or(|to| id <= to.0);
            if is_wanted && !is_product {
                found.push(Entry::new(id, revision));
            }
        })?;
        found.sort_unstable();
        Ok(found)
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
