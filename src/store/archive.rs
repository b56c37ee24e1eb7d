//! The archive of files: what is put, found, removed and left over. Reading is in `read.rs`, zips in `zip.rs` and `member.rs`.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::blocks::BlockLists;
use super::dense::DecodedBases;
use super::journal::{AbandonedFiles, Journal};
use super::{LocalStore, Put, Space, Store, StoreError};
use crate::domain::{Digest, Encoding, Locator, StoredFile};

/// Uploads that ended without being finished are removed at this age, which is longer than any transfer takes.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The archive of files over a store; clones share it.
#[derive(Clone)]
pub struct Archive {
    pub(super) store: Arc<dyn Store>,
    /// A folder for temporary files.
    pub(super) scratch: PathBuf,
    pub(super) space_check: Option<Arc<SpaceCheck>>,
    /// How many threads read at once.
    pub(super) readers: Arc<Semaphore>,
    /// How many dense objects are decoded at once.
    pub(super) decoders: Arc<Semaphore>,
    pub(super) decoded_bases: Arc<DecodedBases>,
    pub(super) block_lists: Arc<BlockLists>,
    pub(super) journal: Arc<Journal>,
}

/// Checks whether a number of bytes may be written to the scratch folder; an error says why not.
pub type SpaceCheck = dyn Fn(u64) -> Result<(), String> + Send + Sync;

impl Archive {
    /// The archive in a folder, which is created where it does not exist. `scratch` is a folder for temporary files.
    pub fn open(root: &Path, scratch: &Path) -> Result<Self, StoreError> {
        Self::over(Arc::new(LocalStore::open(root)?), scratch)
    }

    /// The archive over any store.
    pub fn over(store: Arc<dyn Store>, scratch: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(scratch)?;
        Ok(Self {
            store,
            scratch: scratch.to_owned(),
            space_check: None,
            readers: super::read::reader_permits(),
            decoders: Arc::new(Semaphore::new(super::dense::DECODERS)),
            decoded_bases: Arc::default(),
            block_lists: Arc::default(),
            journal: Arc::new(Journal::open(scratch)?),
        })
    }

    /// Calls `check` before anything large is written to the scratch folder.
    pub fn with_space_check(self, check: impl Fn(u64) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { space_check: Some(Arc::new(check)), ..self }
    }

    /// Begins to store a file.
    pub fn put(&self) -> Put {
        Put::new(self.clone())
    }

    /// The file with these bytes as it is stored, if it is, damaged or not.
    pub(super) async fn find(&self, digest: Digest, size: u64) -> Result<Option<StoredFile>, StoreError> {
        self.find_in(&Encoding::ALL, digest, size).await
    }

    /// Like [`Archive::find`], if it is stored in one of these encodings.
    pub(super) async fn find_in(
        &self,
        encodings: &[Encoding],
        digest: Digest,
        size: u64,
    ) -> Result<Option<StoredFile>, StoreError> {
        for encoding in encodings.iter().copied() {
            let mut file = StoredFile { digest, encoding, base: None, size, stored_size: 0 };
            match self.store.contains(&file.locator()).await {
                Ok(None) => {}
                Ok(Some(stored_size)) => {
                    file.stored_size = stored_size;
                    if encoding == Encoding::Dense {
                        // If its header cannot be read, reading the file fails as well.
                        let header = self.dense_header(digest).await.ok();
                        file.base = header.and_then(|header| header.base).map(|base| base.digest);
                    }
                    return Ok(Some(file));
                }
                // Reading it fails for the same reason.
                Err(StoreError::NotAFile { .. }) => return Ok(Some(file)),
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    /// Fails if a file has no object.
    pub async fn require(&self, file: StoredFile) -> Result<(), StoreError> {
        // Its encoding may just have changed.
        let is_there =
            self.store.contains(&file.locator()).await?.is_some() || !self.other_copies(file).await?.is_empty();
        if is_there { Ok(()) } else { Err(StoreError::Missing(file.digest)) }
    }

    /// Whether the object of a file exists.
    pub async fn contains(&self, locator: Locator) -> Result<bool, StoreError> {
        match self.store.contains(&locator).await {
            Ok(found) => Ok(found.is_some()),
            Err(StoreError::NotAFile { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// How long ago an object was put, by the clock of the store; `None` if there is none, or if the store does not know.
    pub async fn age(&self, locator: Locator) -> Result<Option<Duration>, StoreError> {
        self.store.age(&locator).await
    }

    /// Removes a file's object; one that is gone already is not an error. Only the sweep does this, and records it.
    pub async fn remove(&self, locator: Locator) -> Result<(), StoreError> {
        self.store.delete(&locator).await?;
        // A crash may have left another one, while its encoding was changed or a damaged object was replaced.
        for encoding in Encoding::ALL.into_iter().filter(|encoding| *encoding != locator.encoding) {
            self.store.delete(&Locator { encoding, ..locator }).await?;
        }
        Ok(())
    }

    /// The space of the store's medium; `None` if it has no limit that is known.
    pub fn space(&self) -> Result<Option<Space>, StoreError> {
        self.store.space()
    }

    /// Removes uploads that a crash left unfinished. Those that a process may still be writing are not touched.
    pub async fn remove_abandoned_uploads(&self) -> Result<u64, StoreError> {
        self.store.remove_abandoned(ABANDONED_AFTER).await
    }

    /// Files that were stored and not recorded: by processes that ended, and by this one at least `min_age` ago. The caller removes
    /// those that no revision uses, and then calls [`Archive::forget`]. Another process may store one again at any time.
    pub fn unrecorded(&self, min_age: Duration) -> Result<AbandonedFiles, StoreError> {
        Ok(self.journal.abandoned(min_age)?)
    }

    /// Forgets files that [`Archive::unrecorded`] returned.
    pub fn forget(&self, abandoned: AbandonedFiles) -> Result<(), StoreError> {
        Ok(self.journal.forget(abandoned)?)
    }
}
