//! A store in a bucket of an S3-compatible service: `ab/abcd….zst` below the prefix, as in the folder of [`super::LocalStore`].
//!
//! `incoming/` has large uploads before they are objects, and for each a note of its multipart upload, so that one that was abandoned
//! can be aborted. `damaged/` has what is kept aside.
//!
//! What the service has answered as stored is durable. A request that fails is repeated with growing delays, and all requests can be
//! repeated: those that put or copy an object give it the same bytes. Their bytes are signed with their SHA-256, so the service
//! refuses what was altered on the way.
mod aside;
mod connection;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::folder::{locator_of, name_of};
use super::object::{AsideObject, Body, Object, ObjectEntry, Space, Store, Upload};
use super::{AWAY, StoreError};
use crate::config::Bucket;
use crate::domain::{Digest, Locator};
use crate::engine::outgoing::causes;
use upload::S3Upload;

pub use connection::BucketError;

const INCOMING: &str = "incoming";
const DAMAGED: &str = "damaged";

/// Written at each start: tells people what the bucket has, and this service that it may write there.
const MARK: &str = "README.txt";
const MARK_TEXT: &[u8] =
    b"Objects of an archive of Acervo. Its database knows what they are; nothing else may change them.\n";

/// Ends the name of a note of a multipart upload. Its content is the id that the service gave the upload.
const NOTE: &str = ".upload";

/// A store in a bucket. Clones share its connections.
#[derive(Clone, Debug)]
pub struct S3Store {
    service: Arc<AmazonS3>,
    prefix: Path,
}

impl S3Store {
    /// Connects to nothing yet.
    pub fn open(bucket: &Bucket) -> Result<Self, BucketError> {
        connection::open(bucket)
    }

    /// Fails unless the bucket exists and this user may write to it and list it: where he may not list, services answer that he may
    /// not read what does not exist.
    pub async fn require(&self) -> Result<(), StoreError> {
        self.service.put(&self.below(MARK), PutPayload::from_static(MARK_TEXT)).await.map_err(explained)?;
        match self.service.list(Some(&self.below("00"))).next().await {
            None | Some(Ok(_)) => Ok(()),
            Some(Err(e)) => Err(explained(e)),
        }
    }

    fn path_of(&self, locator: &Locator) -> Path {
        let folder = format!("{:02x}", locator.digest.0[0]);
        self.prefix.clone().join(folder).join(name_of(locator.digest, locator.encoding))
    }

    fn below(&self, folder: &str) -> Path {
        self.prefix.clone().join(folder)
    }

    /// The size of what has a key.
    async fn size_of(&self, path: &Path) -> Result<Option<u64>, StoreError> {
        match self.service.head(path).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(explained(e)),
        }
    }

    async fn open_path(&self, path: &Path, digest: Digest, offset: u64) -> Result<Object, StoreError> {
        let range = (offset > 0).then_some(GetRange::Offset(offset));
        let opened = match self.service.get_opts(path, GetOptions { range, ..GetOptions::default() }).await {
            Ok(opened) => opened,
            Err(object_store::Error::NotFound { .. }) => return Err(StoreError::Missing(digest)),
            // Services refuse a range that begins at the end or beyond.
            Err(e) if offset > 0 => match self.size_of(path).await? {
                Some(stored_size) if stored_size <= offset => {
                    return Ok(Object { stored_size, body: Body::Stream(Box::new(std::io::empty())) });
                }
                _ => return Err(explained(e)),
            },
            Err(e) => return Err(explained(e)),
        };
        let stored_size = opened.meta.size;
        let bytes = StreamReader::new(opened.into_stream().map_err(|e| io_error(&e)));
        // Read on threads, which wait for the service by the runtime that opened it.
        let reader = SyncIoBridge::new_with_handle(Box::pin(bytes), tokio::runtime::Handle::current());
        Ok(Object { stored_size, body: Body::Stream(Box::new(reader)) })
    }

    async fn delete_path(&self, path: &Path) -> Result<(), StoreError> {
        match self.service.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(explained(e)),
        }
    }

    /// `false` if there is nothing to copy.
    async fn copy_path(&self, from: &Path, to: &Path) -> Result<bool, StoreError> {
        match self.service.copy(from, to).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(explained(e)),
        }
    }

    fn list_below(&self, folder: &Path) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        self.service.list(Some(folder)).map_err(explained).boxed()
    }

    /// The objects among keys. Other keys are not ours.
    fn objects_below(&self, folder: &Path) -> BoxStream<'static, Result<ObjectEntry, StoreError>> {
        let store = self.clone();
        let object = move |found: ObjectMeta| {
            let locator = found.location.filename().and_then(locator_of);
            // One of another folder has the same name and is not at its place, such as one that is kept aside.
            let locator = locator.filter(|locator| store.path_of(locator) == found.location);
            std::future::ready(Ok(locator.map(|locator| ObjectEntry { locator, stored_size: found.size })))
        };
        self.list_below(folder).try_filter_map(object).boxed()
    }

    /// The present time by the clock of the service, from which objects have their times.
    async fn clock(&self) -> Result<DateTime<Utc>, StoreError> {
        let probe = self.below(INCOMING).join(format!("clock-{}", uuid::Uuid::now_v7()));
        self.service.put(&probe, PutPayload::default()).await.map_err(explained)?;
        let found = self.service.head(&probe).await.map_err(explained);
        self.delete_path(&probe).await?;
        Ok(found?.last_modified)
    }

    /// Aborts the multipart upload of a note, and removes the note last: without it nobody finds the upload.
    async fn abort_noted(&self, note: &Path, upload: &Path) -> Result<(), StoreError> {
        let id = match self.service.get(note).await {
            Ok(found) => found.bytes().await.map_err(explained)?,
            Err(object_store::Error::NotFound { .. }) => return Ok(()),
            Err(e) => return Err(explained(e)),
        };
        let id = String::from_utf8_lossy(&id).into_owned();
        match self.service.abort_multipart(upload, &id).await {
            // It was completed or aborted.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            // Some services answer this about an upload that they do not know.
            Err(e @ object_store::Error::PermissionDenied { .. }) => {
                let error = causes(&e);
                tracing::warn!(error, %upload, "an upload could not be aborted; if it was not completed before, its parts stay in the bucket");
            }
            Err(e) => return Err(explained(e)),
        }
        self.delete_path(upload).await?;
        self.delete_path(note).await
    }
}

#[async_trait]
impl Store for S3Store {
    async fn put(&self) -> Result<Box<dyn Upload>, StoreError> {
        Ok(Box::new(S3Upload::new(self.clone())))
    }

    async fn open(&self, locator: &Locator, offset: u64) -> Result<Object, StoreError> {
        self.open_path(&self.path_of(locator), locator.digest, offset).await
    }

    async fn contains(&self, locator: &Locator) -> Result<Option<u64>, StoreError> {
        self.size_of(&self.path_of(locator)).await
    }

    async fn age(&self, locator: &Locator) -> Result<Option<Duration>, StoreError> {
        let put_at = match self.service.head(&self.path_of(locator)).await {
            Ok(found) => found.last_modified,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(explained(e)),
        };
        Ok(Some(age_at(self.clock().await?, put_at)))
    }

    async fn sync(&self, _: &Locator) -> Result<(), StoreError> {
        Ok(())
    }

    async fn delete(&self, locator: &Locator) -> Result<(), StoreError> {
        self.delete_path(&self.path_of(locator)).await
    }

    fn list(&self) -> BoxStream<'static, Result<ObjectEntry, StoreError>> {
        self.objects_below(&self.prefix)
    }

    fn list_part(&self, first_byte: u8) -> BoxStream<'static, Result<ObjectEntry, StoreError>> {
        self.objects_below(&self.below(&format!("{first_byte:02x}")))
    }

    async fn keep_aside(&self, locator: &Locator) -> Result<(), StoreError> {
        aside::keep(self, locator).await.map(|_| ())
    }

    async fn take_away(&self, locator: &Locator) -> Result<(), StoreError> {
        aside::take_away(self, locator).await
    }

    async fn kept_aside(&self) -> Result<Vec<AsideObject>, StoreError> {
        aside::kept(self).await
    }

    async fn open_aside(&self, aside: &AsideObject) -> Result<Object, StoreError> {
        self.open_path(&self.below(DAMAGED).join(aside.id.as_str()), aside.locator.digest, 0).await
    }

    async fn discard(&self, aside: &AsideObject) -> Result<(), StoreError> {
        self.delete_path(&self.below(DAMAGED).join(aside.id.as_str())).await
    }

    async fn remove_abandoned(&self, min_age: Duration) -> Result<u64, StoreError> {
        let mut now = None;
        let mut removed = 0;
        let mut found = self.list_below(&self.below(INCOMING));
        while let Some(found) = found.next().await.transpose()? {
            // What was uploaded is removed with its note, which is older.
            let Some(upload) = found.location.filename().and_then(|name| name.strip_suffix(NOTE)) else { continue };
            let now = match now {
                Some(now) => now,
                None => *now.insert(self.clock().await?),
            };
            if age_at(now, found.last_modified) >= min_age {
                self.abort_noted(&found.location, &self.below(INCOMING).join(upload)).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn space(&self) -> Result<Option<Space>, StoreError> {
        Ok(None)
    }
}

fn age_at(now: DateTime<Utc>, began: DateTime<Utc>) -> Duration {
    now.signed_duration_since(began).to_std().unwrap_or_default()
}

/// An error of the service as readers of files know it. Never one that a damaged file gives.
fn io_error(error: &object_store::Error) -> std::io::Error {
    let kind = match error {
        object_store::Error::NotFound { .. } => std::io::ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            std::io::ErrorKind::PermissionDenied
        }
        _ => {
            metrics::counter!("acervo_archive_unreachable_total").increment(1);
            AWAY
        }
    };
    std::io::Error::new(kind, causes(error))
}

fn explained(error: object_store::Error) -> StoreError {
    StoreError::Io(io_error(&error))
}
