//! An upload. The key of an object is known at its end, so a small object waits in memory and is put at once; a large one is uploaded
//! in parts to `incoming/` and copied to its key inside the service.
use std::io::Cursor;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::{Body, INCOMING, NOTE, Object, S3Store, StoreError, Upload, explained};
use crate::domain::{Digest, Locator};

/// Bytes of a part, and the most of an upload that is in memory. Services take parts of at least 5 MiB, and 10,000 of them.
const PART_BYTES: usize = 8 << 20;

pub(super) struct S3Upload {
    store: S3Store,
    /// What was written and not sent yet.
    unsent: Vec<Bytes>,
    unsent_bytes: usize,
    /// From the first part on.
    parts: Option<Parts>,
    /// Whether a step failed, so that bytes may be missing.
    is_broken: bool,
}

/// A multipart upload to `incoming/`.
struct Parts {
    path: Path,
    note: Path,
    id: String,
    sent: Vec<PartId>,
    bytes: u64,
    is_complete: bool,
}

impl S3Upload {
    pub(super) fn new(store: S3Store) -> Self {
        Self { store, unsent: Vec::new(), unsent_bytes: 0, parts: None, is_broken: false }
    }

    /// Begins the multipart upload. It is noted before any part is sent.
    async fn begin(&self) -> Result<Parts, StoreError> {
        let name = uuid::Uuid::now_v7().to_string();
        let folder = self.store.below(INCOMING);
        let (path, note) = (folder.clone().join(name.as_str()), folder.join(format!("{name}{NOTE}")));
        let id = self.store.service.create_multipart(&path).await.map_err(explained)?;
        if let Err(e) = self.store.service.put(&note, PutPayload::from(id.clone())).await {
            // Without its note nobody would find it.
            let _ = self.store.service.abort_multipart(&path, &id).await;
            return Err(explained(e));
        }
        Ok(Parts { path, note, id, sent: Vec::new(), bytes: 0, is_complete: false })
    }

    async fn send_part(&mut self) -> Result<(), StoreError> {
        let mut parts = match self.parts.take() {
            Some(parts) => parts,
            None => self.begin().await?,
        };
        let bytes = std::mem::take(&mut self.unsent_bytes);
        let payload: PutPayload = std::mem::take(&mut self.unsent).into_iter().collect();
        let sent = self.store.service.put_part(&parts.path, &parts.id, parts.sent.len(), payload).await;
        match sent {
            Ok(part) => {
                parts.sent.push(part);
                parts.bytes += bytes as u64;
                self.parts = Some(parts);
                Ok(())
            }
            Err(e) => {
                self.parts = Some(parts);
                Err(explained(e))
            }
        }
    }

    /// Makes the parts one object of `incoming/`.
    async fn complete(&mut self) -> Result<(), StoreError> {
        if self.parts.as_ref().is_some_and(|parts| parts.is_complete) {
            return Ok(());
        }
        if self.unsent_bytes > 0 {
            self.send_part().await?;
        }
        let Some(parts) = &mut self.parts else { return Ok(()) };
        let sent = std::mem::take(&mut parts.sent);
        if let Err(e) = self.store.service.complete_multipart(&parts.path, &parts.id, sent).await {
            // The answer to the request that did it may have been lost, and the upload is unknown to the one that repeated it.
            if self.store.size_of(&parts.path).await? != Some(parts.bytes) {
                return Err(explained(e));
            }
        }
        parts.is_complete = true;
        Ok(())
    }

    /// Runs a step. After one that failed there is no other.
    fn begin_step(&mut self) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.is_broken, true) { Err(StoreError::Interrupted) } else { Ok(()) }
    }
}

#[async_trait]
impl Upload for S3Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.begin_step()?;
        self.unsent_bytes += bytes.len();
        self.unsent.push(bytes);
        if self.unsent_bytes >= PART_BYTES {
            self.send_part().await?;
        }
        self.is_broken = false;
        Ok(())
    }

    async fn read_back(&mut self) -> Result<Object, StoreError> {
        self.begin_step()?;
        let object = if self.parts.is_some() {
            self.complete().await?;
            let path = self.parts.as_ref().map(|parts| parts.path.clone()).ok_or(StoreError::Interrupted)?;
            // What an upload has lost has no digest yet.
            self.store.open_path(&path, Digest([0; 32]), 0).await?
        } else {
            let written = Bytes::from(self.unsent.concat());
            self.unsent = vec![written.clone()];
            Object { stored_size: written.len() as u64, body: Body::Stream(Box::new(Cursor::new(written))) }
        };
        self.is_broken = false;
        Ok(object)
    }

    async fn finish(mut self: Box<Self>, locator: &Locator) -> Result<(), StoreError> {
        self.begin_step()?;
        let path = self.store.path_of(locator);
        if self.parts.is_none() {
            let payload: PutPayload = std::mem::take(&mut self.unsent).into_iter().collect();
            self.store.service.put(&path, payload).await.map_err(explained)?;
            return Ok(());
        }
        self.complete().await?;
        let Some(parts) = &self.parts else { return Ok(()) };
        if !self.store.copy_path(&parts.path, &path).await? {
            return Err(StoreError::Missing(locator.digest));
        }
        // The object is there. What is left of the upload is removed as one that was abandoned, where this fails.
        if let Some(parts) = self.parts.take() {
            clean_up(&self.store, &parts).await;
        }
        Ok(())
    }

    async fn abort(mut self: Box<Self>) -> Result<(), StoreError> {
        match self.parts.take() {
            Some(parts) => self.store.abort_noted(&parts.note, &parts.path).await,
            None => Ok(()),
        }
    }
}

async fn clean_up(store: &S3Store, parts: &Parts) {
    let removed = match store.delete_path(&parts.path).await {
        Ok(()) => store.delete_path(&parts.note).await,
        Err(e) => Err(e),
    };
    if let Err(e) = removed {
        tracing::warn!(error = %e, upload = %parts.path, "what is left of an upload could not be removed; it is removed after a day");
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        let store = self.store.clone();
        // Without a runtime the process ends, and the upload is aborted after a day.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(e) = store.abort_noted(&parts.note, &parts.path).await {
                tracing::warn!(error = %e, upload = %parts.path, "an unfinished upload could not be aborted; it is aborted after a day");
            }
        });
    }
}
