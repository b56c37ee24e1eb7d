//! Opens the archive where the configuration says it is.
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use super::Role;
use crate::config::{ArchiveLocation, Bucket};
use crate::engine::store::{Archive, S3Store, StoreError};

/// How long a start waits for the service of a bucket. Notifications are received without it.
const START_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn open(location: &ArchiveLocation, scratch: &Path, role: Role) -> anyhow::Result<Archive> {
    match location {
        ArchiveLocation::Folder(folder) => Archive::open(folder, scratch).with_context(|| {
            let folder = folder.display();
            format!(
                "the archive folder {folder} cannot be opened: check that it is mounted, and that this user may read and write it"
            )
        }),
        ArchiveLocation::Bucket(bucket) => {
            let store = S3Store::open(bucket).with_context(|| format!("{location} (archive_url)"))?;
            if role == Role::Server {
                require(&store, bucket, location).await?;
            }
            Ok(Archive::over(Arc::new(store), scratch)?)
        }
    }
}

/// A bucket that does not exist or may not be listed ends the start. A service that is away does not: its files are fetched later.
async fn require(store: &S3Store, bucket: &Bucket, location: &ArchiveLocation) -> anyhow::Result<()> {
    let name = &bucket.name;
    let error = match tokio::time::timeout(START_TIMEOUT, store.require()).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(StoreError::Io(e))) if e.kind() == ErrorKind::NotFound => {
            bail!(
                "{location}: there is no bucket {name}; create it, or correct archive_url, AWS_REGION or AWS_ENDPOINT_URL: {e}"
            )
        }
        Ok(Err(StoreError::Io(e))) if e.kind() == ErrorKind::PermissionDenied => bail!(
            "{location}: permission denied; the credentials of AWS_* must allow to list, read, write and delete in the bucket {name}: {e}"
        ),
        Ok(Err(e)) => e.to_string(),
        Err(_) => format!("no answer after {} seconds", START_TIMEOUT.as_secs()),
    };
    tracing::warn!(archive = %location, error, "the archive cannot be reached; notifications are received, and their files are fetched once it can");
    Ok(())
}
