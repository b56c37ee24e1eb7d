//! Storing a file: streamed, with bounded memory, durable at the end.
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::encode::{Encode, EncodedFile};
use super::journal::UnrecordedFile;
use super::object::Upload;
use super::{Archive, StoreError};
use crate::domain::{Digest, Encoding, ObjectChange, StoredFile};

/// Bytes gathered before a thread works on them.
const BUFFERED: usize = 256 << 10;

/// Bytes in one write of an upload; S3 takes no smaller parts than 5 MiB.
const PART: usize = 8 << 20;

/// A file being stored. Dropped before [`Put::finish`], it leaves nothing that is ever read.
pub struct Put {
    archive: Archive,
    gathered: BytesMut,
    /// `None` only while a thread has it.
    encode: Option<Encode>,
    upload: Option<Upstream>,
}

/// A file that is in the store, and that is yet to be recorded.
#[derive(Debug)]
pub struct PutResult {
    pub file: StoredFile,
    /// The digest of the object as stored; absent if the store had the object before.
    pub stored_digest: Option<Digest>,
    pub change: ObjectChange,
    /// To be notified once the file is recorded; otherwise the sweep removes it unless a revision uses it.
    pub unrecorded: UnrecordedFile,
}

/// An upload with the number of bytes written to it.
struct Upstream {
    upload: Box<dyn Upload>,
    bytes: u64,
}

impl Put {
    pub(super) fn new(archive: Archive) -> Self {
        Self { archive, gathered: BytesMut::new(), encode: None, upload: None }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= BUFFERED {
            self.advance(false).await?;
        }
        Ok(())
    }

    /// Works on what was gathered, which may be the last of the file.
    async fn advance(&mut self, is_last: bool) -> Result<(), StoreError> {
        let bytes = self.gathered.split().freeze();
        let encode = self.encode.take();
        let (encode, part) = tokio::task::spawn_blocking(move || {
            let whole = is_last.then_some(bytes.len() as u64);
            let mut encode = encode.map_or_else(|| Encode::new(whole), Ok)?;
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
            self.upload = Some(Upstream::begin(&self.archive).await?);
        }
        if let Some(upload) = &mut self.upload {
            upload.write(part).await?;
        }
        Ok(())
    }

    /// Ends the file. On return it is in the store and survives a power cut.
    pub async fn finish(self) -> Result<PutResult, StoreError> {
        self.end().await?.store(Replaces::Damaged).await
    }

    /// Ends a file that has a dense object, which stays beside the new one. [`StoreError::OtherFile`] if the bytes are not those of
    /// `digest`; nothing is stored then.
    pub(super) async fn finish_fresh(self, digest: Digest) -> Result<PutResult, StoreError> {
        self.end().await?.of(digest).await?.store(Replaces::Fresh).await
    }

    /// Ends a file that must be `digest`. [`StoreError::OtherFile`] if its bytes are others; nothing is stored then.
    pub async fn finish_as(self, digest: Digest) -> Result<PutResult, StoreError> {
        self.end().await?.of(digest).await?.store(Replaces::Damaged).await
    }

    /// Ends a file that repairs a damaged one. [`StoreError::OtherFile`] if the bytes are not those of `digest`; nothing is stored
    /// then. What was in the place of the object is kept aside until [`Archive::discard_aside`]. `replaces_sound`: an object that reads
    /// back well is replaced too.
    pub async fn finish_repair(self, digest: Digest, replaces_sound: bool) -> Result<PutResult, StoreError> {
        let ended = self.end().await?.of(digest).await?;
        ended.store(if replaces_sound { Replaces::Any } else { Replaces::Unreadable }).await
    }

    async fn end(mut self) -> Result<Ended, StoreError> {
        self.advance(true).await?;
        let encode = self.encode.take().ok_or(StoreError::Interrupted)?;
        let encoded = tokio::task::spawn_blocking(move || encode.finish()).await??;
        Ok(Ended { archive: self.archive, upload: self.upload, encoded })
    }
}

/// Which existing object of a file is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replaces {
    /// One that is damaged, or that this user may not read.
    Damaged,
    /// One that is damaged and not dense.
    Fresh,
    /// One that is damaged or that cannot be read.
    Unreadable,
    Any,
}

impl Replaces {
    /// Whether what is replaced may be all that is left of the file, so that it is kept aside.
    fn is_repair(self) -> bool {
        matches!(self, Self::Unreadable | Self::Any)
    }
}

/// A file whose last byte has come. Its digest is known, and nothing of it can be seen yet.
struct Ended {
    archive: Archive,
    /// The beginning of the frame, where that was too large for memory.
    upload: Option<Upstream>,
    encoded: EncodedFile,
}

impl Ended {
    /// An error unless it is the file with this digest.
    async fn of(self, digest: Digest) -> Result<Self, StoreError> {
        let found = self.encoded.digest;
        if found == digest {
            return Ok(self);
        }
        if let Some(upload) = self.upload {
            upload.upload.abort().await?;
        }
        Err(StoreError::OtherFile { found })
    }

    /// Makes it visible.
    async fn store(self, replaces: Replaces) -> Result<PutResult, StoreError> {
        let Self { archive, upload, encoded } = self;
        let (digest, size) = (encoded.digest, encoded.size);
        let written = upload.as_ref().map_or(0, |upload| upload.bytes);
        let new = encoded.as_stored(written);
        let stored_digest = Some(if new.encoding == Encoding::Plain { digest } else { encoded.frame_digest });
        // Before the object becomes visible, and before an existing one is relied on that another process may be about to remove.
        let unrecorded = archive.journal.note(new)?;
        let mut damaged = None;
        let known = match replaces {
            Replaces::Fresh => archive.find_in(&[Encoding::Zstd, Encoding::Plain], digest, size).await?,
            Replaces::Damaged | Replaces::Unreadable | Replaces::Any => archive.find(digest, size).await?,
        };
        if let Some(known) = known {
            let checked =
                if replaces == Replaces::Any { Err(StoreError::Damaged(digest)) } else { archive.check(known).await };
            match checked {
                Ok(()) => {
                    archive.store.sync(&known.locator()).await?;
                    if let Some(upload) = upload {
                        upload.upload.abort().await?;
                    }
                    return Ok(PutResult { file: known, stored_digest: None, change: ObjectChange::Kept, unrecorded });
                }
                Err(e) if e.damaged().is_some() => damaged = Some(known),
                // Good bytes are at hand, whatever the reason.
                Err(StoreError::Undecodable { .. }) => damaged = Some(known),
                // This user may not read it. The new object has the same bytes, and can be read.
                Err(e) if e.is_denied() => damaged = Some(known),
                // It may be on a bad sector. A new object replaces it.
                Err(e @ StoreError::Io(_)) if replaces.is_repair() && !e.is_away() => damaged = Some(known),
                Err(e) => return Err(e),
            }
        }
        if replaces.is_repair() {
            let other = damaged.filter(|damaged| damaged.locator() != new.locator());
            for file in other.into_iter().chain([new]) {
                archive.store.keep_aside(&file.locator()).await?;
                fault("repair-after-keep-aside");
            }
        }
        put_object(&archive, upload, encoded, new).await?;
        fault("repair-after-put");
        if let Some(damaged) = damaged {
            // The good object replaced the damaged one, unless it has another encoding.
            if damaged.locator() != new.locator()
                && let Err(e) = archive.store.take_away(&damaged.locator()).await
            {
                tracing::warn!(error = %e, %digest, "a damaged object was replaced in another encoding, and cannot be moved away");
            }
            if !replaces.is_repair() {
                tracing::warn!(%digest, "a damaged file of the archive was replaced by good bytes");
            }
        }
        let change = damaged.map_or(ObjectChange::New, |damaged| ObjectChange::Replaced(damaged.encoding));
        Ok(PutResult { file: new, stored_digest, change, unrecorded })
    }
}

/// A fault point where tests end the process, as a power cut would.
fn fault(name: &'static str) {
    let _ = name;
    fail::fail_point!(name, |_| std::process::abort());
}

/// Makes what was encoded the object of `file`. `upload` has the beginning of the frame, where that was too large for memory.
async fn put_object(
    archive: &Archive,
    upload: Option<Upstream>,
    encoded: EncodedFile,
    file: StoredFile,
) -> Result<(), StoreError> {
    let locator = file.locator();
    let Some(mut upload) = upload else {
        let bytes = match (file.encoding, encoded.plain) {
            (Encoding::Plain, Some(plain)) => plain,
            _ => encoded.frame,
        };
        let mut upload = archive.store.put().await?;
        upload.write(bytes.into()).await?;
        return upload.finish(&locator).await;
    };
    upload.write(encoded.frame).await?;
    if file.encoding == Encoding::Zstd {
        return upload.upload.finish(&locator).await;
    }
    // The frame is no smaller than the bytes: they are decoded again from what was uploaded.
    let frame = StoredFile { encoding: Encoding::Zstd, stored_size: upload.bytes, ..file };
    let mut bytes = archive.decode(upload.upload.read_back().await?, frame)?;
    let mut plain = Upstream::begin(archive).await?;
    let mut part = Vec::with_capacity(PART);
    while let Some(some) = bytes.next().await {
        let some: Bytes = some?;
        part.extend_from_slice(&some);
        if part.len() >= PART {
            plain.write(std::mem::replace(&mut part, Vec::with_capacity(PART))).await?;
        }
    }
    plain.write(part).await?;
    plain.upload.finish(&locator).await?;
    upload.upload.abort().await
}

impl Upstream {
    async fn begin(archive: &Archive) -> Result<Self, StoreError> {
        Ok(Self { upload: archive.store.put().await?, bytes: 0 })
    }

    async fn write(&mut self, part: Vec<u8>) -> Result<(), StoreError> {
        self.bytes += part.len() as u64;
        self.upload.write(part.into()).await
    }
}
