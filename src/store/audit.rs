//! What an audit of the archive needs: whether it can be read at all, lists of objects by the beginning of their digests, files that may still become recorded, and
//! damaged objects that are kept aside while they are repaired.
use std::collections::{BTreeMap, HashSet};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::object::{AsideObject, ObjectEntry};
use super::{Archive, StoreError};
use crate::domain::{Digest, Encoding, StoredFile};

/// Objects of each part of the archive that [`Archive::access`] tries to open.
const TRIED_MAX: usize = 4;

/// What can be seen of the objects of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// At least one object can be opened.
    Granted,
    /// There are objects or folders, and none of those that were tried can be opened for lack of permission.
    Denied,
    /// There is no object.
    Empty,
}

impl Archive {
    /// Whether there are objects at all, and whether this user may open them. Ends at the first one that can be opened.
    pub async fn access(&self) -> Result<Access, StoreError> {
        let mut access = Access::Empty;
        for first_byte in 0..=u8::MAX {
            let mut objects = self.store.list_part(first_byte);
            let mut tried = 0;
            while tried < TRIED_MAX {
                let entry = match objects.next().await {
                    None => break,
                    Some(Ok(entry)) => entry,
                    Some(Err(e)) if e.is_denied() => {
                        access = Access::Denied;
                        break;
                    }
                    Some(Err(e)) => return Err(e),
                };
                tried += 1;
                match self.store.open(&entry.locator, 0).await {
                    // It was removed since it was listed.
                    Err(StoreError::Missing(_)) => {}
                    Err(e) if e.is_denied() => access = Access::Denied,
                    // An object that cannot be opened for another reason is one all the same.
                    Ok(_) | Err(_) => return Ok(Access::Granted),
                }
            }
        }
        Ok(access)
    }

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

    /// Those of them that a running process may be storing at this moment.
    pub async fn being_stored(&self) -> Result<HashSet<Digest>, StoreError> {
        let journal = self.journal.clone();
        Ok(tokio::task::spawn_blocking(move || journal.live()).await??)
    }

    /// The same file as stored in other encodings, where there is such an object.
    pub async fn other_copies(&self, file: StoredFile) -> Result<Vec<StoredFile>, StoreError> {
        let mut copies = Vec::new();
        for encoding in Encoding::ALL {
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

    /// Takes one object of a file away of which the archive has another one, in another encoding. It is kept aside: another process may
    /// be about to rely on it.
    pub async fn take_copy_away(&self, copy: StoredFile) -> Result<(), StoreError> {
        self.store.take_away(&copy.locator()).await
    }

    /// The objects that are kept aside, by their files.
    pub async fn kept_aside(&self) -> Result<BTreeMap<Digest, Vec<AsideObject>>, StoreError> {
        let mut by_file: BTreeMap<Digest, Vec<AsideObject>> = BTreeMap::new();
        for aside in self.store.kept_aside().await? {
            by_file.entry(aside.locator.digest).or_default().push(aside);
        }
        Ok(by_file)
    }

    /// The objects of one file that are kept aside.
    pub async fn aside_of(&self, file: Digest) -> Result<Vec<AsideObject>, StoreError> {
        let mut all = self.store.kept_aside().await?;
        all.retain(|aside| aside.locator.digest == file);
        Ok(all)
    }

    /// Removes objects that were kept aside. No bytes are lost if the caller listed them first and then read another object of the file
    /// to its end: whatever happened to that one meanwhile, it is in its place or kept aside under another id.
    pub async fn discard_aside(&self, some: &[AsideObject]) -> Result<(), StoreError> {
        for aside in some {
            self.store.discard(aside).await?;
        }
        Ok(())
    }
}
