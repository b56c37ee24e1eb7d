//! Replaces publications and products by id, and commits them together with the feed position.
use tantivy::indexer::IndexWriterOptions;
use tantivy::{IndexWriter, TantivyDocument, Term};

use super::document::term;
use super::open::{Inner, Payload};
use super::{Index, IndexError, Position, Product, Publication, UnfinishedBuild};

/// Memory for uncommitted documents. The minimum of tantivy is 15 MB.
const HEAP_BYTES: usize = 20_000_000;

/// Takes the writer of an index, with this memory for uncommitted documents; [`IndexError::InUse`] while another has it.
pub(super) fn open_writer(
    index: &tantivy::Index,
    heap_bytes: usize,
) -> Result<IndexWriter<TantivyDocument>, IndexError> {
    // One thread each for writing and merging, to leave the processors to queries.
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(heap_bytes)
        .build();
    index.writer_with_options(options).map_err(|e| match e {
        tantivy::TantivyError::LockFailure(..) => IndexError::InUse,
        other => other.into(),
    })
}

/// The one writer of an index.
pub struct Writer {
    index: Index,
    writer: IndexWriter<TantivyDocument>,
}

impl Writer {
    pub(super) fn new(index: Index) -> Result<Self, IndexError> {
        let writer = open_writer(&index.inner.index, HEAP_BYTES)?;
        index.inner.note_writer(true);
        Ok(Self { index, writer })
    }

    fn inner(&self) -> &Inner {
        &self.index.inner
    }

    /// Replaces the documents of a publication.
    pub fn replace_publication(&mut self, publication: &Publication) -> Result<(), IndexError> {
        let own = Term::from_field_text(self.inner().fields.publication, &term(publication.id.0));
        self.writer.delete_term(own);
        self.add_publication(publication)
    }

    /// Adds the documents of a publication that is not in the index.
    pub fn add_publication(&mut self, publication: &Publication) -> Result<(), IndexError> {
        for document in publication.documents(&self.inner().fields) {
            self.writer.add_document(document)?;
        }
        Ok(())
    }

    /// Replaces the document of a product.
    pub fn replace_product(&mut self, product: &Product) -> Result<(), IndexError> {
        let own = Term::from_field_text(self.inner().fields.revision, &product.own_term());
        self.writer.delete_term(own);
        self.add_product(product)
    }

    /// Adds the document of a product that is not in the index.
    pub fn add_product(&mut self, product: &Product) -> Result<(), IndexError> {
        self.writer.add_document(product.document(&self.inner().fields))?;
        Ok(())
    }

    /// Deletes all documents, effective with the next commit.
    pub fn clear(&mut self) -> Result<(), IndexError> {
        self.writer.delete_all_documents()?;
        Ok(())
    }

    /// Discards uncommitted changes, which also lets the writer continue after a full disk.
    pub fn recover(&mut self) -> Result<(), IndexError> {
        self.inner().directory.forget_unsynced();
        self.writer.rollback()?;
        Ok(())
    }

    /// Commits and makes the changes visible to readers. Blocks on the disk.
    pub fn commit(&mut self, position: Position) -> Result<(), IndexError> {
        self.commit_with(position.into())
    }

    /// The same while the index is still being built.
    pub fn commit_unfinished(&mut self, state: UnfinishedBuild) -> Result<(), IndexError> {
        self.commit_with(state.into())
    }

    fn commit_with(&mut self, payload: Payload) -> Result<(), IndexError> {
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&payload.format());
        prepared.commit()?;
        self.inner().reload()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.index.inner.note_writer(false);
    }
}
