//! Adds and removes the texts of files.
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use tantivy::indexer::LogMergePolicy;
use tantivy::{IndexWriter, TantivyDocument, Term};

use super::Contents;
use super::open::{Inner, format_payload};
use super::schema::{high_of, terms_of};
use crate::domain::Digest;
use crate::engine::index::IndexError;
use crate::engine::index::write::open_writer;

/// Memory for uncommitted documents.
const HEAP_BYTES: usize = 24_000_000;

/// The lines of a document are small and read one by one, so a higher level gains much and costs little.
const ZSTD_LEVEL: i32 = 9;

/// Where more of a segment's documents than this were removed, it is written again without them. Until then their text is not found, but on the
/// disk.
const REMOVED_RATIO: f32 = 0.1;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of its text can be found.
    Read,
    /// Some of it was left out: the limits did not suffice, or a member could not be read.
    Partly,
    /// Nothing of it could be read.
    Unreadable,
    /// It has no text.
    NoText,
    /// The archive did not give its bytes back. It is read again at the next start.
    Damaged,
}

impl Outcome {
    pub const ALL: [Self; 5] = [Self::Read, Self::Partly, Self::Unreadable, Self::NoText, Self::Damaged];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Partly => "partly",
            Self::Unreadable => "unreadable",
            Self::NoText => "no_text",
            Self::Damaged => "damaged",
        }
    }
}

/// The texts of a file.
#[derive(Clone, Debug)]
pub struct FileText {
    pub digest: Digest,
    pub outcome: Outcome,
    /// Why something was not read.
    pub note: Option<String>,
    pub documents: Vec<TextDocument>,
}

/// The text of a file, or of a member.
#[derive(Clone, Debug)]
pub struct TextDocument {
    /// Of a member.
    pub path: Option<String>,
    /// As the extraction stores them.
    pub lines: String,
}

/// The one writer of an index of contents.
pub struct ContentWriter {
    contents: Contents,
    writer: IndexWriter<TantivyDocument>,
}

impl ContentWriter {
    pub(super) fn new(contents: Contents) -> Result<Self, IndexError> {
        let writer = open_writer(&contents.inner.index, HEAP_BYTES)?;
        let mut merging = LogMergePolicy::default();
        merging.set_del_docs_ratio_before_merge(REMOVED_RATIO);
        writer.set_merge_policy(Box::new(merging));
        Ok(Self { contents, writer })
    }

    fn inner(&self) -> &Inner {
        &self.contents.inner
    }

    /// Replaces the texts of a file.
    pub fn replace(&mut self, file: &FileText) -> Result<(), IndexError> {
        self.remove(file.digest);
        let fields = self.inner().fields;
        let base = || {
            let mut document = TantivyDocument::new();
            document.add_text(fields.digest, file.digest.to_string());
            document.add_u64(fields.digest_high, high_of(file.digest));
            document
        };
        for text in &file.documents {
            let mut document = base();
            // By their hashes, which take less memory: a text may have a million words.
            let hasher = RandomState::new();
            let mut seen = HashSet::new();
            let mut words = String::new();
            for line in text.lines.lines() {
                for term in terms_of(crate::engine::extract::split_line(line).1) {
                    if seen.insert(hasher.hash_one(&term)) {
                        words.push_str(&term);
                        words.push(' ');
                    }
                }
            }
            document.add_text(fields.words, words);
            if let Some(path) = &text.path {
                document.add_text(fields.path, path);
            }
            document.add_bytes(fields.lines, &zstd::bulk::compress(text.lines.as_bytes(), ZSTD_LEVEL)?);
            self.writer.add_document(document)?;
        }
        let mut document = base();
        document.add_text(fields.outcome, file.outcome.as_str());
        if let Some(note) = &file.note {
            document.add_text(fields.note, note);
        }
        self.writer.add_document(document)?;
        Ok(())
    }

    /// Removes the texts of a file.
    pub fn remove(&mut self, digest: Digest) {
        self.writer.delete_term(Term::from_field_text(self.inner().fields.digest, &digest.to_string()));
    }

    /// Removes everything, effective with the next commit.
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

    /// Commits what was changed up to a feed number, and makes it visible. Blocks on the disk.
    pub fn commit(&mut self, feed: i64) -> Result<(), IndexError> {
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&format_payload(feed));
        prepared.commit()?;
        self.inner().reload()
    }
}
