//! Copying objects, as they are stored, from one archive to another.
use std::io::Read;

use futures_util::TryStreamExt;

use super::{Archive, StoreError};
use crate::domain::{Encoding, Locator};

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
        let mut reader = self.store.open(&locator, 0).await?.body.into_reader();
        let mut upload = to.store.put().await?;
        loop {
            let bytes;
            (reader, bytes) = tokio::task::spawn_blocking(move || {
                let mut bytes = Vec::new();
                reader.by_ref().take(PART).read_to_end(&mut bytes).map(|_| (reader, bytes))
            })
            .await??;
            if bytes.is_empty() {
                break;
            }
            upload.write(bytes.into()).await?;
        }
        upload.finish(&locator).await?;
        Ok(Copied::Copied(size))
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
