//! Copying objects, as they are stored, from one archive to another.
use std::io::Read;

use futures_util::TryStreamExt;

use super::object::Upload;
use super::{Archive, StoreError};
use crate::domain::{Digest, Encoding, Hasher, Locator, StoredFile};

/// Bytes read at once; S3 takes no smaller parts than 5 MiB.
const PART: u64 = 8 << 20;

/// How an object came to be in another archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// It was there, with the same size.
    Present,
    /// It shares its bytes with the one here, on the medium.
    Shared(u64),
    Copied(u64),
}

impl Archive {
    /// Copies an object, whatever its encoding, to another archive. On return it is durable there. With `may_share`, no bytes are copied
    /// where the file system can share them. What the object decodes to is not verified.
    pub async fn copy_object(&self, locator: Locator, to: &Self, may_share: bool) -> Result<Copied, StoreError> {
        let Some(size) = self.store.contains(&locator).await? else {
            // Compaction may have replaced it here. The copy needs no other file, and so does not care.
            let is_there = locator.encoding != Encoding::Dense && to.store.contains(&locator).await?.is_some();
            return if is_there { Ok(Copied::Present) } else { Err(StoreError::Missing(locator.digest)) };
        };
        if to.store.contains(&locator).await? == Some(size) && self.is_copied(locator, to)? {
            return Ok(Copied::Present);
        }
        if may_share
            && let Some(file) = self.store.file_of(&locator)
            && to.store.share(&file, &locator).await?
        {
            return Ok(Copied::Shared(size));
        }
        let mut reader = ObjectReader::open(self, locator).await?;
        let mut upload = to.store.put().await?;
        while let Some(bytes) = reader.next().await? {
            upload.write(bytes.into()).await?;
        }
        upload.finish(&locator).await?;
        Ok(Copied::Copied(size))
    }

    /// Copies the object of a file, as it is, to another archive, and verifies the copy: by the SHA-256 of the object as it is sent, if
    /// the object's own is known, otherwise by reading it back. On return the copy is durable. The inner error is about the object here:
    /// it does not read back. If all of its bytes could be read, it is copied all the same: another tool may still get something out of it.
    pub async fn transfer(
        &self,
        file: StoredFile,
        stored_digest: Option<Digest>,
        to: &Self,
    ) -> Result<Result<u64, StoreError>, StoreError> {
        let locator = file.locator();
        let mut reader = match ObjectReader::open(self, locator).await {
            Ok(reader) => reader,
            Err(e) => return about_object(file.digest, e),
        };
        let mut upload = to.store.put().await?;
        loop {
            match reader.next().await {
                Ok(Some(bytes)) => upload.write(bytes.into()).await?,
                Ok(None) => break,
                Err(e) => {
                    abort(upload).await;
                    return about_object(file.digest, e);
                }
            }
        }
        upload.finish(&locator).await?;
        let (bytes, digest) = (reader.bytes, reader.hasher.finish());
        if stored_digest == Some(digest) {
            return Ok(Ok(bytes));
        }
        // What a dense object needs may not be there yet.
        let reads_there = stored_digest.is_none() && file.encoding != Encoding::Dense;
        let checked = if reads_there { to.check(file).await } else { self.check(file).await };
        match checked {
            Ok(()) => Ok(Ok(bytes)),
            Err(e) => about_object(file.digest, e),
        }
    }

    /// Removes the object of a file whose copy it was and is not any more.
    pub async fn remove_transferred(&self, locator: Locator) -> Result<(), StoreError> {
        self.store.delete(&locator).await
    }

    /// Whether the archive has no object at all.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.store.list().try_next().await?.is_none())
    }

    /// Whether an object of the same size in another archive is a copy. Of most encodings any object will do. A dense object may have been
    /// replaced by one that needs another base: it is a copy if it was written no earlier than the object here.
    fn is_copied(&self, locator: Locator, to: &Self) -> Result<bool, StoreError> {
        if locator.encoding != Encoding::Dense {
            return Ok(true);
        }
        let (Some(here), Some(there)) = (self.store.file_of(&locator), to.store.file_of(&locator)) else {
            return Ok(false);
        };
        Ok(there.metadata()?.modified()? >= here.metadata()?.modified()?)
    }

    /// Removes the objects whose digest begins with a byte, except some. Returns how many.
    pub async fn keep_only(
        &self,
        first_byte: u8,
        keep: &std::collections::HashSet<Locator>,
    ) -> Result<u64, StoreError> {
        let mut listed = self.store.list_part(first_byte);
        let mut removed = 0;
        while let Some(entry) = listed.try_next().await? {
            if !keep.contains(&entry.locator) {
                self.store.delete(&entry.locator).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Separates what an error says about the object of a file from what it says about its medium, or about who reads.
fn about_object<T>(digest: Digest, error: StoreError) -> Result<Result<T, StoreError>, StoreError> {
    match error {
        // A bad sector, for instance.
        StoreError::Io(ref e) if !error.is_away() && !error.is_denied() => {
            tracing::warn!(error = %e, %digest, "an object cannot be read");
            Ok(Err(StoreError::Unreadable(digest)))
        }
        StoreError::Undecodable { .. } => Ok(Err(error)),
        _ if error.damaged().is_some() => Ok(Err(error)),
        _ => Err(error),
    }
}

async fn abort(upload: Box<dyn Upload>) {
    if let Err(e) = upload.abort().await {
        tracing::debug!(error = %e, "an upload could not be aborted; what is left of it is removed later");
    }
}

/// Reads the stored bytes of an object, on threads.
struct ObjectReader {
    /// `None` only while a thread has it.
    reader: Option<Box<dyn Read + Send>>,
    hasher: Hasher,
    bytes: u64,
}

impl ObjectReader {
    async fn open(archive: &Archive, locator: Locator) -> Result<Self, StoreError> {
        let reader = archive.store.open(&locator, 0).await?.body.into_reader();
        Ok(Self { reader: Some(reader), hasher: Hasher::default(), bytes: 0 })
    }

    /// The next part; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut reader = self.reader.take().ok_or(StoreError::Interrupted)?;
        let mut hasher = std::mem::take(&mut self.hasher);
        let part = tokio::task::spawn_blocking(move || {
            let mut part = Vec::new();
            reader.by_ref().take(PART).read_to_end(&mut part)?;
            hasher.update(&part);
            Ok::<_, std::io::Error>((reader, hasher, part))
        });
        let (reader, hasher, part) = part.await??;
        (self.reader, self.hasher) = (Some(reader), hasher);
        self.bytes += part.len() as u64;
        Ok((!part.is_empty()).then_some(part))
    }
}
