//! A file on its way into the archive: streamed, bounded in memory, durable at the end.
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};

use super::encode::{Encode, Encoded};
use super::{Encoding, Key, Store, StoreError, Stored};

/// Bytes gathered before a thread is troubled with them.
const GATHER: usize = 256 << 10;

/// Bytes in one part of an upload; the least that S3 takes is 5 MiB.
const PART: usize = 8 << 20;

/// A file being archived. Dropped unfinished it leaves nothing that is ever read.
pub struct Put {
    store: Store,
    gathered: BytesMut,
    /// Absent only while a thread has it.
    encode: Option<Encode>,
    upload: Option<Upload>,
}

struct Upload {
    path: Path,
    parts: Box<dyn MultipartUpload>,
    bytes: u64,
}

impl Put {
    pub(super) fn new(store: Store) -> Self {
        Self { store, gathered: BytesMut::new(), encode: None, upload: None }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHER {
            self.advance().await?;
        }
        Ok(())
    }

    async fn advance(&mut self) -> Result<(), StoreError> {
        let bytes = self.gathered.split().freeze();
        let encode = self.encode.take();
        let (encode, part) = tokio::task::spawn_blocking(move || {
            let mut encode = encode.map_or_else(Encode::new, Ok)?;
            encode.update(&bytes)?;
            let part = (encode.ready() >= PART).then(|| encode.take());
            Ok::<_, std::io::Error>((encode, part))
        })
        .await??;
        self.encode = Some(encode);
        if let Some(part) = part {
            self.upload(part).await?;
        }
        Ok(())
    }

    async fn upload(&mut self, part: Vec<u8>) -> Result<(), StoreError> {
        if self.upload.is_none() {
            self.upload = Some(Upload::begin(&self.store).await?);
        }
        if let Some(upload) = &mut self.upload {
            upload.add(part).await?;
        }
        Ok(())
    }

    /// Ends the file. On return it is in the archive, synced.
    pub async fn finish(mut self) -> Result<Stored, StoreError> {
        self.advance().await?;
        let encode = self.encode.take().ok_or(StoreError::Interrupted)?;
        let encoded = tokio::task::spawn_blocking(move || encode.finish()).await??;
        let known = self.store.find(encoded.digest, encoded.size).await?;
        let damaged = match known {
            None => None,
            Some(key) => match self.store.check(key).await {
                Ok(()) => {
                    self.store.sync_folder_of(key.digest).await?;
                    if let Some(mut upload) = self.upload {
                        upload.parts.abort().await?;
                    }
                    return Ok(Stored { key, was_known: true });
                }
                Err(StoreError::Damaged(_) | StoreError::Missing(_)) => Some(key),
                Err(e) => return Err(e),
            },
        };
        let key = match self.upload {
            None => put_small(&self.store, encoded).await?,
            Some(upload) => finish_large(&self.store, upload, encoded).await?,
        };
        if let Some(damaged) = damaged {
            // The good bytes took its place, unless they are kept in another form.
            if damaged.encoding != key.encoding {
                self.store.remove(damaged.digest, damaged.encoding).await?;
            }
            tracing::warn!(digest = %key.digest, "replaced a damaged file of the archive by good bytes");
        }
        Ok(Stored { key, was_known: damaged.is_some() })
    }
}

impl Upload {
    async fn begin(store: &Store) -> Result<Self, StoreError> {
        let path = Store::incoming();
        let parts = store.objects.put_multipart_opts(&path, Default::default()).await?;
        Ok(Self { path, parts, bytes: 0 })
    }

    async fn add(&mut self, part: Vec<u8>) -> Result<(), StoreError> {
        self.bytes += part.len() as u64;
        self.parts.put_part(PutPayload::from(part)).await?;
        Ok(())
    }

    async fn end(mut self, store: &Store, key: Key) -> Result<Key, StoreError> {
        self.parts.complete().await?;
        store.objects.rename(&self.path, &Store::path_of(key.digest, key.encoding)).await?;
        Ok(key)
    }
}

async fn put_small(store: &Store, encoded: Encoded) -> Result<Key, StoreError> {
    let Encoded { digest, size, frame, plain } = encoded;
    let (encoding, bytes) = match plain {
        Some(plain) if plain.len() <= frame.len() => (Encoding::Plain, plain),
        _ => (Encoding::Zstd, frame),
    };
    let stored_size = bytes.len() as u64;
    store.objects.put(&Store::path_of(digest, encoding), PutPayload::from(bytes)).await?;
    Ok(Key { digest, size, stored_size, encoding })
}

async fn finish_large(store: &Store, mut upload: Upload, encoded: Encoded) -> Result<Key, StoreError> {
    upload.add(encoded.frame).await?;
    let key = Key { digest: encoded.digest, size: encoded.size, stored_size: upload.bytes, encoding: Encoding::Zstd };
    if key.stored_size < key.size {
        return upload.end(store, key).await;
    }
    // The frame turned out no smaller than the bytes: they are unpacked again, from where they lie.
    let Upload { path, mut parts, .. } = upload;
    parts.complete().await?;
    let mut plain = Upload::begin(store).await?;
    let mut bytes = super::read::decode_at(store, &path, key).await?;
    let mut part = Vec::with_capacity(PART);
    while let Some(some) = bytes.next().await {
        let some: Bytes = some?;
        part.extend_from_slice(&some);
        if part.len() >= PART {
            plain.add(std::mem::replace(&mut part, Vec::with_capacity(PART))).await?;
        }
    }
    plain.add(part).await?;
    let key = plain.end(store, Key { stored_size: key.size, encoding: Encoding::Plain, ..key }).await?;
    store.objects.delete(&path).await?;
    Ok(key)
}
