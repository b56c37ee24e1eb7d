//! Opens the index of contents.
use std::path::Path;
use std::sync::Arc;

use tantivy::store::Compressor;
use tantivy::{IndexReader, IndexSettings, ReloadPolicy};
use tokio::sync::watch;

use super::schema::{self, Fields};
use super::write::ContentWriter;
use crate::engine::index::IndexError;
use crate::engine::index::directory::IndexDirectory;
use crate::engine::index::open::open_or_replace;

/// The index of contents in a folder. Clones share it.
#[derive(Clone)]
pub struct Contents {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub index: tantivy::Index,
    pub directory: IndexDirectory,
    pub reader: IndexReader,
    pub fields: Fields,
    position: watch::Sender<Option<i64>>,
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contents").finish_non_exhaustive()
    }
}

pub(super) fn format_payload(feed: i64) -> String {
    format!("{} {feed}", schema::VERSION)
}

/// The feed number that the last commit names, if it is of this version.
fn committed(index: &tantivy::Index) -> Option<i64> {
    let payload = index.load_metas().ok()?.payload?;
    let (version, feed) = payload.split_once(' ')?;
    (version.parse() == Ok(schema::VERSION)).then(|| feed.parse().ok()).flatten()
}

impl Inner {
    /// Makes committed changes visible to readers.
    pub fn reload(&self) -> Result<(), IndexError> {
        let position = committed(&self.index);
        self.reader.reload()?;
        self.position.send_replace(position);
        Ok(())
    }
}

impl Contents {
    /// Opens the index in a folder. One that is missing, broken or of another version is replaced by an empty one.
    /// [`IndexError::InUse`] while another process writes it.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let create = |directory: IndexDirectory| {
            let (schema, fields) = schema::build();
            // The lines are compressed already.
            let settings = IndexSettings { docstore_compression: Compressor::None, ..IndexSettings::default() };
            Self::with(tantivy::Index::create(directory.clone(), schema, settings)?, directory, fields)
        };
        open_or_replace(folder, Self::open_existing, create, |error| {
            tracing::warn!(%error, "the index of contents cannot be used; files are read again");
        })
    }

    fn open_existing(folder: &Path) -> Result<Self, IndexError> {
        let (schema, fields) = schema::build();
        let directory = IndexDirectory::open(folder)?;
        let opened = Self::with(tantivy::Index::open(directory.clone())?, directory, fields)?;
        let is_empty = opened.inner.reader.searcher().num_docs() == 0;
        if opened.inner.index.schema() != schema || (opened.position().is_none() && !is_empty) {
            return Err(IndexError::Io(std::io::Error::other("the index has another version")));
        }
        Ok(opened)
    }

    fn with(index: tantivy::Index, directory: IndexDirectory, fields: Fields) -> Result<Self, IndexError> {
        let position = watch::Sender::new(committed(&index));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { inner: Arc::new(Inner { index, directory, reader, fields, position }) })
    }

    /// The last feed number whose files it has; `None` before the first commit.
    pub fn position(&self) -> Option<i64> {
        *self.inner.position.borrow()
    }

    /// Notes that the files of the feed up to a number were read, where the next commit will say so too.
    pub fn note_position(&self, feed: i64) {
        self.inner.position.send_replace(Some(feed));
    }

    /// Takes the writer. [`IndexError::InUse`] while another process, or another part of this one, has it.
    pub fn writer(&self) -> Result<ContentWriter, IndexError> {
        let writer = ContentWriter::new(self.clone())?;
        self.inner.reload()?;
        Ok(writer)
    }
}
