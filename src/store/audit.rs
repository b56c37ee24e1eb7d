//! What an audit of the archive needs: lists of objects by the beginning of their digests, files that may still become recorded, and
//! damaged objects that are kept aside while they are repaired.
use std::collections::HashSet;

use futures_util::stream::BoxStream;

use super::object::ObjectEntry;
use super::{Archive, StoreError};
use crate::domain::{Digest, Encoding, StoredFile};

impl Archive {
    /// All objects whose digest begins with a byte. One that is put or deleted during the call is listed or not.
    pub fn objects(&self, first_byte: u8) -> BoxStream<'static, Result<ObjectEntry, StoreError>> {
        self.store.list_part(first_byte)
    }

    /// Files that were stored by a process of this machine and may still become recorded, or are about to be removed. A file that is
    /// stored, is not among these and is not recorded afterwards will never be.
    pub async fn noted(&self) -> Result<HashSet<Digest>, StoreError> {
        let journal = self.journal.clone();
        Ok(tokio::task::spawn_blocking(move || journal.noted()).await??)
    }

    /// The same file as stored in other encodings, where there is such an object.
    pub async fn other_copies(&self, file: StoredFile) -> Result<Vec<StoredFile>, StoreError> {
        let mut copies = Vec::new();
        for encoding in Encoding::WITHOUT_BASE {
            let copy = StoredFile { encoding, base: None, ..file };
            if copy.locator() == file.locator() {
                continue;
            }
            match self.store.contains(&copy.locator()).await {
                Ok(Some(stored_size)) => copies.push(StoredFile { stored_size, ..copy }),
                Ok(None) | Err(StoreError::NotAFile { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(copies)
    }

    /// Removes one object of a file of which the archive has another one, in another encoding.
    pub async fn remove_copy(&self, copy: StoredFile) -> Result<(), StoreError> {
        self.store.delete(&copy.locator()).await
    }

    /// The files of which damaged objects were kept aside.
    pub async fn kept_aside(&self) -> Result<HashSet<Digest>, StoreError> {
        self.store.kept_aside().await
    }

    /// Removes the damaged objects of a file that were kept aside, once its good bytes are stored durably.
    pub async fn discard_aside(&self, file: Digest) -> Result<(), StoreError> {
        self.store.discard_aside(file).await
    }
}
