//! Files and members of zips. What turns out damaged is recorded, and the error says what helps.
use std::ops::Range;

use futures_util::{StreamExt, stream};

use super::{Queries, QueryError};
use crate::domain::{Digest, RevisionId, first_chars};
use crate::engine::record::{RecordError, Revision};
use crate::engine::store::{Bytes, Encoding, Found, Key, MemberError, StoreError};

impl Queries {
    /// The published bytes: all, or a part. The first of them are there when this returns.
    pub async fn file(&self, revision: &Revision, part: Option<Range<u64>>) -> Result<Bytes, QueryError> {
        let key = key_of(revision)?;
        let bytes = self.app.store.read(key, part).await;
        self.watched(revision, bytes).await
    }

    /// The zstd frame that the archive keeps, and its length.
    pub async fn frame(&self, revision: &Revision) -> Result<(u64, Bytes), QueryError> {
        let (size, bytes) = match self.app.store.read_frame(key_of(revision)?).await {
            Ok((size, bytes)) => (size, Ok(bytes)),
            Err(e) => (0, Err(e)),
        };
        Ok((size, self.watched(revision, bytes).await?))
    }

    /// An error where the file is damaged as far as is known, or gone. A file that was marked is read again: it may have been
    /// put right from outside.
    pub async fn must_be_sound(&self, revision: &Revision) -> Result<(), QueryError> {
        let key = key_of(revision)?;
        if self.app.record.files().is_damaged(key.digest).await? {
            if let Err(e) = self.app.store.check(key).await {
                return Err(self.error_of(revision, e).await);
            }
            self.app.record.files().lift_damage(key.digest).await?;
            tracing::info!(digest = %key.digest, "a file that was damaged reads back as it was archived again");
        }
        match self.app.store.stored_size(key).await {
            Ok(_) => Ok(()),
            Err(e) => Err(self.error_of(revision, e).await),
        }
    }

    /// A member, found and ready to be unpacked.
    pub async fn member(&self, revision: &Revision, path: &str) -> Result<Found, QueryError> {
        let found = self.app.store.member(key_of(revision)?, path).await;
        match found {
            Ok(found) => Ok(found),
            Err(MemberError::Store(e)) => Err(self.error_of(revision, e).await),
            Err(MemberError::Unsupported(why)) => Err(QueryError::Unsupported(why)),
            Err(MemberError::NoMember(_) | MemberError::NotAZip(_) | MemberError::GivenUp) => {
                Err(no_member(revision, path))
            }
        }
    }

    /// The bytes of a member. The first of them are there when this returns.
    pub async fn member_bytes(&self, revision: &Revision, found: Found) -> Result<Bytes, QueryError> {
        self.watched(revision, found.read()).await
    }

    /// Waits for the first piece, so that what is wrong at once is an error and no stream; and watches the rest.
    async fn watched(&self, revision: &Revision, bytes: Result<Bytes, StoreError>) -> Result<Bytes, QueryError> {
        let mut bytes = match bytes {
            Ok(bytes) => bytes,
            Err(e) => return Err(self.error_of(revision, e).await),
        };
        let first = match bytes.next().await {
            Some(Err(e)) => return Err(self.error_of(revision, e).await),
            Some(Ok(first)) => Some(Ok(first)),
            None => None,
        };
        let (queries, revision) = (self.clone(), revision.id);
        let rest = bytes.then(move |piece| {
            let queries = queries.clone();
            async move {
                if let Err(e) = &piece {
                    queries.note_damage(revision, e).await;
                }
                piece
            }
        });
        Ok(stream::iter(first).chain(rest).boxed())
    }

    /// An error of the store as the caller sees it.
    async fn error_of(&self, revision: &Revision, error: StoreError) -> QueryError {
        self.note_damage(revision.id, &error).await;
        match error {
            StoreError::Damaged(digest) | StoreError::Missing(digest) => {
                let name = self.name_of(revision.id).await;
                QueryError::Damaged { error: error.to_string(), advice: advice(name.as_deref(), digest) }
            }
            StoreError::Member(why) => QueryError::Unsupported(why),
            StoreError::DiskFull(_) => QueryError::Busy(error.to_string()),
            StoreError::Io(_) | StoreError::Object(_) | StoreError::Interrupted => error.into(),
        }
    }

    /// The name of a revision's product. `None` where it cannot be read: the damage is reported all the same.
    async fn name_of(&self, revision: RevisionId) -> Option<String> {
        match self.revision(revision).await {
            Ok(row) => Some(row.publication.name),
            Err(e) => {
                tracing::warn!(%revision, error = %e, "the name of a damaged file's product could not be read");
                None
            }
        }
    }

    /// Records that a file is damaged, and says so once.
    async fn note_damage(&self, revision: RevisionId, error: &StoreError) {
        let Some(digest) = error.damaged() else { return };
        metrics::counter!("acervo_damaged_reads_total").increment(1);
        match self.app.record.files().mark_damaged(digest, self.app.clock.now()).await {
            Ok(true) => {
                let name = self.name_of(revision).await;
                let advice = advice(name.as_deref(), digest);
                tracing::error!(%error, %revision, name, "a file of the archive is damaged: {advice}");
            }
            Ok(false) => {}
            Err(e) => tracing::error!(%error, %revision, cause = %e, "a file is damaged, which could not be recorded"),
        }
    }
}

/// What brings good bytes back.
fn advice(name: Option<&str>, digest: Digest) -> String {
    let product = name.map_or_else(|| "this product".to_owned(), |name| format!("the product `{name}`"));
    format!(
        "press \"Enviar\" for {product} on the portal, which sends its last version again; or import the file \
         again (`acervo import --manifest`), or put the object {digest} back from a backup of the archive folder"
    )
}

fn no_member(revision: &Revision, path: &str) -> QueryError {
    let path = first_chars(path, 200);
    QueryError::NotFound { what: "member", id: format!("`{path}` in the file of revision {}", revision.id) }
}

fn key_of(revision: &Revision) -> Result<Key, QueryError> {
    let file = &revision.file;
    let encoding: Encoding = file.encoding.parse().map_err(RecordError::Corrupt)?;
    Ok(Key { digest: file.digest, size: file.size, stored_size: file.stored_size, encoding })
}
