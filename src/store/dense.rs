//! Dense objects: decoding them along their chain of bases, and replacing an object by a dense one and back.
//!
//! A dense object is decoded as a whole before any of it is returned: into memory if it is small, else into a temporary file. So a
//! slow reader costs no memory. How many are decoded at once is limited, and bases that were decoded are cached.
use std::cell::RefCell;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use lru::LruCache;
use tokio::runtime::Handle;

use super::blocks::BLOCK;
use super::object::Object;
use super::put::PutResult;
use super::read::Bytes;
use super::seek::Spool;
use super::{Archive, StoreError};
use crate::domain::{Digest, Encoding, Locator, ObjectChange, StoredFile};
use crate::engine::dense::{self, Content, DenseError, Limits, Work};

/// Dense objects that are decoded at once.
pub(super) const DECODERS: usize = 2;

/// Bytes of decoded bases that are kept.
const CACHE_BYTES: usize = 64 << 20;

/// A dense object is hardly larger than its file: the header comes on top of it.
const OVERHEAD_MAX: u64 = 4096;

/// Bases that were decoded recently.
#[derive(Debug)]
pub(super) struct DecodedBases(Mutex<LruCache<Digest, Arc<Content>>>);

impl Default for DecodedBases {
    fn default() -> Self {
        Self(Mutex::new(LruCache::unbounded()))
    }
}

impl DecodedBases {
    fn get(&self, digest: Digest) -> Option<Arc<Content>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned()
    }

    fn insert(&self, content: Arc<Content>) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cached.put(content.digest(), content);
        // What a content holds can have grown since it was inserted.
        let mut total: usize = cached.iter().map(|(_, content)| content.held_bytes()).sum();
        while total > CACHE_BYTES
            && let Some((_, evicted)) = cached.pop_lru()
        {
            total -= evicted.held_bytes();
        }
    }
}

impl Archive {
    /// The published bytes of a dense file: all, or a part.
    pub(super) async fn read_dense(
        &self,
        file: StoredFile,
        part: Option<std::ops::Range<u64>>,
    ) -> Result<Bytes, StoreError> {
        let mut decoded = self.decode_dense(file.digest, file.size).await?;
        let part = part.unwrap_or(0..file.size);
        let skipped = std::io::SeekFrom::Start(part.start);
        std::io::Seek::seek(&mut decoded, skipped)?;
        let left = part.end.min(file.size).saturating_sub(part.start);
        let archive = self.clone();
        let pieces = stream::try_unfold((decoded, left), move |(mut decoded, left)| {
            let archive = archive.clone();
            async move {
                if left == 0 {
                    return Ok(None);
                }
                let _permit = archive.readers.acquire().await.map_err(|_| StoreError::Interrupted)?;
                let read = tokio::task::spawn_blocking(move || {
                    let mut piece = vec![0; left.min(BLOCK as u64) as usize];
                    decoded.read_exact(&mut piece).map(|()| (piece, decoded))
                });
                let (piece, decoded) = read.await??;
                let left = left - piece.len() as u64;
                Ok(Some((bytes::Bytes::from(piece), (decoded, left))))
            }
        });
        Ok(pieces.boxed())
    }

    /// Decodes a dense file of about so many bytes to a temporary one.
    pub(super) async fn decode_dense(
        &self,
        digest: Digest,
        size: u64,
    ) -> Result<tempfile::SpooledTempFile, StoreError> {
        let _permit = self.decoders.acquire().await.map_err(|_| StoreError::Interrupted)?;
        let mut spool = self.spool();
        spool.check_space(size)?;
        self.with_chain(digest, move |chain, work| {
            let object = chain.dense_object(digest)?;
            dense::decode(digest, &object, chain, work, &mut spool)?;
            Ok(spool)
        })
        .await?
        .into_reader()
    }

    /// Decodes a dense object that was opened, to a temporary file.
    pub(super) async fn decode_aside(
        &self,
        digest: Digest,
        object: Object,
    ) -> Result<tempfile::SpooledTempFile, StoreError> {
        let _permit = self.decoders.acquire().await.map_err(|_| StoreError::Interrupted)?;
        let mut spool = self.spool();
        let object = tokio::task::spawn_blocking(move || read_object(object, digest)).await??;
        self.with_chain(digest, move |chain, work| {
            dense::decode(digest, &object, chain, work, &mut spool)?;
            Ok(spool)
        })
        .await?
        .into_reader()
    }

    /// The content of a file in memory, as a base or to be encoded; however the file is stored.
    pub async fn content(&self, digest: Digest) -> Result<Arc<Content>, StoreError> {
        if let Some(cached) = self.decoded_bases.get(digest) {
            return Ok(cached);
        }
        let _permit = self.decoders.acquire().await.map_err(|_| StoreError::Interrupted)?;
        self.with_chain(digest, move |chain, work| dense::content(digest, chain, work)).await
    }

    /// Runs work that needs the objects of bases, on a thread.
    async fn with_chain<T: Send + 'static>(
        &self,
        digest: Digest,
        work: impl FnOnce(&Chain, &Work) -> Result<T, DenseError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let chain = Chain { archive: self.clone(), runtime: Handle::current(), failure: RefCell::default() };
        let guard = super::zip::CancelOnDrop(Arc::default());
        let stop = guard.0.clone();
        tokio::task::spawn_blocking(move || {
            let limits = Work { limits: Limits::default(), stop: &stop };
            work(&chain, &limits).map_err(|e| chain.explained(digest, e))
        })
        .await?
    }

    /// Makes an encoded file the dense object of its file, beside the one that it has. On return it survives a power cut and was
    /// read back. The caller records it and then removes the other object.
    pub async fn put_dense(&self, file: StoredFile, encoded: dense::Encoded) -> Result<PutResult, StoreError> {
        let base = encoded.header.base.map(|base| base.digest);
        let stored_size = encoded.bytes.len() as u64;
        let stored_digest = Digest::of(&encoded.bytes);
        let new = StoredFile { encoding: Encoding::Dense, base, stored_size, ..file };
        let unrecorded = self.journal.note(new)?;
        let mut upload = self.store.put().await?;
        upload.write(encoded.bytes.into()).await?;
        upload.finish(&new.locator()).await?;
        if let Err(e) = self.check(new).await {
            self.store.delete(&new.locator()).await?;
            return Err(e);
        }
        Ok(PutResult { file: new, stored_digest: Some(stored_digest), change: ObjectChange::New, unrecorded })
    }

    /// Stores a dense file as one frame again, beside its dense object, and reads it back. The caller records it and then removes the
    /// other object.
    pub async fn put_fresh(&self, file: StoredFile) -> Result<PutResult, StoreError> {
        let mut put = self.put();
        let mut bytes = self.read_dense(file, None).await?;
        while let Some(piece) = bytes.next().await {
            put.write(&piece?).await?;
        }
        let put = put.finish_fresh(file.digest).await?;
        self.check(put.file).await?;
        Ok(put)
    }

    /// The digest of a dense object as it is stored.
    pub async fn dense_object_digest(&self, file: Digest) -> Result<Digest, StoreError> {
        let object = self.store.open(&Locator { digest: file, encoding: Encoding::Dense }, 0).await?;
        let read = tokio::task::spawn_blocking(move || read_object(object, file));
        Ok(Digest::of(&read.await??))
    }

    /// What a dense object says about itself.
    pub async fn dense_header(&self, digest: Digest) -> Result<dense::Header, StoreError> {
        let object = self.store.open(&Locator { digest, encoding: Encoding::Dense }, 0).await?;
        let head = tokio::task::spawn_blocking(move || {
            let mut head = Vec::new();
            object.body.into_reader().take(OVERHEAD_MAX).read_to_end(&mut head).map(|_| head)
        });
        let head = head.await?.map_err(|e| super::pass::explained(e, digest))?;
        Ok(dense::Header::read(&head).map_err(|_| StoreError::Damaged(digest))?.0)
    }
}

/// The objects that a file needs for decoding. Its methods block.
struct Chain {
    archive: Archive,
    runtime: Handle,
    /// An error that says nothing about the files, such as a lack of file descriptors.
    failure: RefCell<Option<StoreError>>,
}

impl Chain {
    fn dense_object(&self, digest: Digest) -> Result<Vec<u8>, DenseError> {
        let locator = Locator { digest, encoding: Encoding::Dense };
        match self.runtime.block_on(self.archive.store.open(&locator, 0)).and_then(|object| read_object(object, digest))
        {
            Ok(bytes) => Ok(bytes),
            Err(e) => Err(self.fail(digest, e)),
        }
    }

    /// The first object of a file that exists. Its encoding may be changing, so they are looked for twice.
    fn any_object(&self, digest: Digest) -> Result<dense::Object, StoreError> {
        let encodings = [Encoding::Dense, Encoding::Zstd, Encoding::Plain];
        for encoding in encodings.into_iter().chain(encodings) {
            let locator = Locator { digest, encoding };
            let object = match self.runtime.block_on(self.archive.store.open(&locator, 0)) {
                Ok(object) => object,
                Err(StoreError::Missing(_) | StoreError::NotAFile { .. }) => continue,
                Err(e) => return Err(e),
            };
            return match encoding {
                Encoding::Dense => read_object(object, digest).map(dense::Object::Encoded),
                Encoding::Plain => read_object(object, digest).map(dense::Object::Published),
                Encoding::Zstd => {
                    let decoder = zstd::stream::read::Decoder::new(object.body.into_reader())?;
                    read_bounded(decoder, digest).map(dense::Object::Published)
                }
            };
        }
        Err(StoreError::Missing(digest))
    }

    fn fail(&self, digest: Digest, error: StoreError) -> DenseError {
        let reason = error.to_string();
        *self.failure.borrow_mut() = Some(error);
        DenseError::Base { digest, reason }
    }

    /// An error of decoding a file, as the archive returns it.
    fn explained(&self, file: Digest, error: DenseError) -> StoreError {
        match (self.failure.take(), error) {
            (Some(failure), DenseError::Base { digest: base, .. }) => match failure.damaged() {
                Some(digest) if digest != file => StoreError::BaseDamaged { digest: file, base },
                Some(_) | None => failure,
            },
            (_, DenseError::Base { digest: base, .. }) => StoreError::BaseDamaged { digest: file, base },
            (_, DenseError::Damaged(_)) => StoreError::Damaged(file),
            (_, DenseError::Interrupted) => StoreError::Interrupted,
            (_, DenseError::Io(e)) => e.downcast::<StoreError>().unwrap_or_else(StoreError::Io),
            (
                _,
                e @ (DenseError::UnknownFormat { .. }
                | DenseError::OtherPreflate { .. }
                | DenseError::OtherForm(_)
                | DenseError::TooLarge { .. }
                | DenseError::Zstd(_)),
            ) => StoreError::Undecodable { digest: file, reason: e.to_string() },
        }
    }
}

impl dense::Bases for Chain {
    fn object(&self, digest: Digest) -> Result<dense::Object, DenseError> {
        self.any_object(digest).map_err(|e| self.fail(digest, e))
    }

    fn kept(&self, digest: Digest) -> Option<Arc<Content>> {
        self.archive.decoded_bases.get(digest)
    }

    fn keep(&self, content: &Arc<Content>) {
        self.archive.decoded_bases.insert(content.clone());
    }
}

fn read_object(object: Object, digest: Digest) -> Result<Vec<u8>, StoreError> {
    read_bounded(object.body.into_reader(), digest)
}

/// Reads everything, unless it is more than an object or a base may have.
pub(super) fn read_bounded(reader: impl Read, digest: Digest) -> Result<Vec<u8>, StoreError> {
    let max = dense::FILE_MAX as u64 + OVERHEAD_MAX;
    let mut bytes = Vec::new();
    reader.take(max + 1).read_to_end(&mut bytes).map_err(|e| super::pass::explained(e, digest))?;
    if bytes.len() as u64 > max { Err(StoreError::Damaged(digest)) } else { Ok(bytes) }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.append(bytes).map(|()| bytes.len()).map_err(std::io::Error::other)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
