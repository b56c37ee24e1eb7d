//! Reading a file: a block at a time, and never ended as good before all of it was checked.
//!
//! Nothing is read ahead, and no thread is in use between two blocks: a reader that stops reading costs a block and, where the
//! file is compressed, a decoder.
use std::io::BufReader;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};

use super::blocks::BlockList;
use super::object::{Body, Object};
use super::pass::{Emit, Part, Pass, Source, Step, Whole};
use super::seek::{CheckedFile, Seekable};
use super::{Archive, StoreError};
use crate::domain::{Encoding, StoredFile};

/// A file's bytes as they come.
pub type Bytes = Pin<Box<dyn Stream<Item = Result<bytes::Bytes, StoreError>> + Send>>;

impl Archive {
    /// The published bytes: all of them, or a part. Every byte of a part is checked before it is returned; of the whole,
    /// only the last block waits for the check.
    ///
    /// A file whose object is gone is read from another one if there is one: its encoding may just have changed.
    pub async fn read(&self, file: StoredFile, part: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        match self.read_object(file, part.clone()).await {
            Err(StoreError::Missing(digest)) if digest == file.digest => match self.other_copies(file).await?.first() {
                Some(other) => self.read_object(*other, part).await,
                None => Err(StoreError::Missing(digest)),
            },
            read => read,
        }
    }

    /// The published bytes of exactly the object that a file is recorded with.
    pub async fn read_object(&self, file: StoredFile, part: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        if file.encoding == Encoding::Dense {
            return self.read_dense(file, part).await;
        }
        let Some(part) = part else { return self.decode(self.open_object(file).await?, file) };
        let blocks = self.block_list(file).await?;
        let at = Part::first_block(file, &part);
        let object = self.store.open(&file.locator(), at).await?;
        let source = Source::new(object, file, false)?;
        Ok(self.run(Part::new(source, file, blocks, part, at)))
    }

    /// The published bytes of an object that was opened.
    pub(super) fn decode(&self, object: Object, file: StoredFile) -> Result<Bytes, StoreError> {
        Ok(self.run(Whole::new(Source::new(object, file, false)?, file, Emit::Published)))
    }

    /// The stored frame and its length, for a reader that can decode it; only for files in zstd. The frame is decoded on its
    /// way, so that one which does not give the published bytes is never sent to its end.
    pub async fn read_frame(&self, file: StoredFile) -> Result<(u64, Bytes), StoreError> {
        let object = self.open_object(file).await?;
        let stored_size = object.stored_size;
        Ok((stored_size, self.run(Whole::new(Source::new(object, file, true)?, file, Emit::Stored))))
    }

    /// Reads all of the object that a file is recorded with, and checks it. Another object of the file does not count: whoever checks one may
    /// be about to remove the others.
    pub async fn check(&self, file: StoredFile) -> Result<(), StoreError> {
        let mut bytes = self.read_object(file, None).await?;
        while bytes.next().await.transpose()?.is_some() {}
        Ok(())
    }

    /// The hashes of the file's blocks, found by reading and checking the whole file the first time.
    pub(super) async fn block_list(&self, file: StoredFile) -> Result<BlockList, StoreError> {
        let entry = self.block_lists.entry(file.digest);
        let read = || async {
            let source = Source::new(self.open_object(file).await?, file, false)?;
            let mut whole = Whole::new(source, file, Emit::Hashes);
            loop {
                let step;
                (whole, step) = self.step(whole).await?;
                if let Step::End = step? {
                    return Ok::<_, StoreError>(whole.into_block_list());
                }
            }
        };
        let list = entry.get_or_try_init(read).await?.clone();
        self.block_lists.trim();
        Ok(list)
    }

    async fn open_object(&self, file: StoredFile) -> Result<Object, StoreError> {
        self.store.open(&file.locator(), 0).await
    }

    /// The pieces that a pass gives.
    fn run(&self, pass: impl Pass) -> Bytes {
        let archive = self.clone();
        stream::try_unfold(Some(pass), move |pass| {
            let archive = archive.clone();
            async move {
                let Some(mut pass) = pass else { return Ok(None) };
                loop {
                    let step;
                    (pass, step) = archive.step(pass).await?;
                    match step? {
                        Step::Piece(piece) => return Ok(Some((piece, Some(pass)))),
                        Step::Again => {}
                        Step::End => return Ok(None),
                    }
                }
            }
        })
        .boxed()
    }

    /// One step on a thread. Few threads read, however many readers there are.
    async fn step<P: Pass>(&self, mut pass: P) -> Result<(P, Result<Step, StoreError>), StoreError> {
        let _permit = self.readers.acquire().await.map_err(|_| StoreError::Interrupted)?;
        Ok(tokio::task::spawn_blocking(move || {
            let step = pass.step();
            (pass, step)
        })
        .await?)
    }

    /// A file that can be read out of order. `is_checked`: no byte is returned that differs from what was archived.
    pub(super) async fn seekable(&self, file: StoredFile, is_checked: bool) -> Result<Box<dyn Seekable>, StoreError> {
        match file.encoding {
            Encoding::Dense if self.contains(file.locator()).await? => {
                return Ok(Box::new(self.decode_dense(file.digest, file.size).await?));
            }
            Encoding::Plain if self.contains(file.locator()).await? => {
                let blocks = if is_checked { Some(self.block_list(file).await?) } else { None };
                if let Body::File(opened) = self.open_object(file).await?.body {
                    return Ok(match blocks {
                        Some(blocks) => Box::new(CheckedFile::new(opened, file, blocks)),
                        None => Box::new(BufReader::new(opened)),
                    });
                }
            }
            Encoding::Dense | Encoding::Plain | Encoding::Zstd => {}
        }
        let mut spool = self.spool();
        spool.check_space(file.size)?;
        let mut bytes = self.read(file, None).await?;
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            spool = tokio::task::spawn_blocking(move || spool.append(&piece).map(|()| spool)).await??;
        }
        Ok(Box::new(spool.into_reader()?))
    }
}

/// Shared by all that read.
pub(super) fn reader_permits() -> Arc<tokio::sync::Semaphore> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    Arc::new(tokio::sync::Semaphore::new((threads * 2).clamp(4, 32)))
}
