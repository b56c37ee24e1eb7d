//! Files and members of zips. A damaged file is recorded as such, and the error says how to repair it.
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;

use futures_util::{StreamExt, stream};

use super::{Queries, QueryError, quoted};
use crate::domain::{Digest, MemberPattern, ProductFolders, RevisionId, StoredFile, first_chars};
use crate::engine::record::Revision;
use crate::engine::store::{Bytes, MemberError, MemberReader, Spool, StoreError};

impl Queries {
    /// The published bytes: all, or a part. The first of them have been read when this returns.
    pub async fn file(&self, revision: &Revision, part: Option<Range<u64>>) -> Result<Bytes, QueryError> {
        let bytes = self.app.store.read(revision.file, part).await;
        self.watch_for_damage(revision, bytes).await
    }

    /// The stored zstd frame and its length.
    pub async fn frame(&self, revision: &Revision) -> Result<(u64, Bytes), QueryError> {
        match self.app.store.read_frame(revision.file).await {
            Ok((size, bytes)) => Ok((size, self.watch_for_damage(revision, Ok(bytes)).await?)),
            Err(e) => Err(self.record_and_explain(revision, e).await),
        }
    }

    /// An error if the file is known to be damaged, or its object does not exist. A file that was marked as damaged is read
    /// again: it may have been repaired from outside.
    pub async fn require_sound(&self, revision: &Revision) -> Result<(), QueryError> {
        let file = revision.file;
        if self.app.record.files().is_damaged(file.digest).await? {
            if let Err(e) = self.app.store.check(file).await {
                return Err(self.record_and_explain(revision, e).await);
            }
            self.app.record.files().lift_damage(file.digest).await?;
            tracing::info!(digest = %file.digest, "a file that was damaged reads back as it was archived again");
        }
        match self.app.store.require(file).await {
            Ok(()) => Ok(()),
            Err(e) => Err(self.record_and_explain(revision, e).await),
        }
    }

    /// Those of some revisions whose files are damaged, each with the error for the caller. Files that are not known to be damaged are
    /// not read.
    pub async fn damaged_among(&self, revisions: &[&Revision]) -> Result<HashMap<RevisionId, String>, QueryError> {
        let digests: Vec<Digest> = revisions.iter().map(|revision| revision.file.digest).collect();
        let known = self.app.record.files().damaged_among(&digests).await?;
        let mut damaged = HashMap::new();
        for revision in revisions.iter().filter(|revision| known.contains(&revision.file.digest)) {
            match self.require_sound(revision).await {
                Ok(()) => {}
                Err(QueryError::Damaged { error, .. }) => _ = damaged.insert(revision.id, error),
                Err(e) => return Err(e),
            }
        }
        Ok(damaged)
    }

    /// The folder for temporary files.
    pub fn scratch_folder(&self) -> PathBuf {
        self.app.store.scratch_folder().to_owned()
    }

    /// An empty temporary file, for what is prepared before it is sent.
    pub fn spool(&self) -> Spool {
        self.app.store.spool()
    }

    /// The folder of every product of the archive, for paths of files. `reserved` are names that no product gets.
    pub async fn product_folders(&self, reserved: &[&str]) -> Result<ProductFolders, QueryError> {
        let mut folders = ProductFolders::new(reserved);
        for (id, name) in self.record.history().product_names().await? {
            folders.assign(id.0, &name);
        }
        Ok(folders)
    }

    /// Finds a member by its path, in any case of letters; or the only one that a pattern with `*` or `?` matches, where no member has
    /// such a path.
    pub async fn member(&self, revision: &Revision, path: &str) -> Result<MemberReader, QueryError> {
        let path = match self.app.store.member(revision.file, path).await {
            Err(MemberError::NoMember(_)) if path.contains(['*', '?']) => self.only_match(revision, path).await?,
            found => return self.member_found(revision, path, found).await,
        };
        let found = self.app.store.member(revision.file, &path).await;
        self.member_found(revision, &path, found).await
    }

    async fn member_found(
        &self,
        revision: &Revision,
        path: &str,
        found: Result<MemberReader, MemberError>,
    ) -> Result<MemberReader, QueryError> {
        match found {
            Ok(member) => Ok(member),
            Err(MemberError::Store(e)) => Err(self.record_and_explain(revision, e).await),
            Err(MemberError::Unsupported(why)) => Err(QueryError::Unsupported(why)),
            Err(MemberError::NoMember(_) | MemberError::NotAZip(_)) => Err(self.no_member(&[revision], path).await?),
            Err(MemberError::Ambiguous { candidates, .. }) => Err(ambiguous(path, &candidates)),
            Err(MemberError::Cancelled) => Err(StoreError::Interrupted.into()),
        }
    }

    /// The path of the only member that a pattern matches.
    async fn only_match(&self, revision: &Revision, pattern: &str) -> Result<String, QueryError> {
        let parsed = MemberPattern::parse(pattern).map_err(QueryError::bad)?;
        let (found, count) = self.matching_members(revision, &parsed, None, CANDIDATES_NAMED).await?;
        let mut paths: Vec<String> = found.into_iter().map(|(_, member)| member.path).collect();
        match count {
            0 => Err(self.no_member(&[revision], pattern).await?),
            1 => paths.pop().ok_or_else(|| StoreError::Interrupted.into()),
            _ => Err(QueryError::bad(format!(
                "the pattern `{}` matches {count} members: {}{}; give one of these",
                first_chars(pattern, 200),
                quoted(&paths),
                if count > CANDIDATES_NAMED as u64 { ", and others" } else { "" }
            ))),
        }
    }

    /// The error for a path that no member of these files has. It names members with the same name in another folder, or with another
    /// ending.
    pub(super) async fn no_member(&self, revisions: &[&Revision], path: &str) -> Result<QueryError, QueryError> {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let mut similar = Vec::new();
        if !stem.trim_matches(['*', '?']).is_empty()
            && let Ok(pattern) = MemberPattern::parse(&format!("*{stem}.*"))
        {
            for revision in revisions {
                let (found, _) = self.matching_members(revision, &pattern, None, SIMILAR_NAMED).await?;
                similar.extend(found.into_iter().map(|(_, member)| member.path));
            }
        }
        similar.sort();
        similar.dedup();
        similar.truncate(SIMILAR_NAMED);
        let files = revisions.iter().map(|revision| revision.id).collect();
        Ok(QueryError::NoMember { path: first_chars(path, 200).to_owned(), files, similar })
    }

    /// The bytes of a member. The first of them have been read when this returns.
    pub async fn member_bytes(&self, revision: &Revision, member: MemberReader) -> Result<Bytes, QueryError> {
        self.watch_for_damage(revision, member.read()).await
    }

    /// Waits for the first piece, so that an error at the beginning is an error response and not a broken one; records damage
    /// that the rest turns out to have.
    async fn watch_for_damage(
        &self,
        revision: &Revision,
        bytes: Result<Bytes, StoreError>,
    ) -> Result<Bytes, QueryError> {
        let mut bytes = match bytes {
            Ok(bytes) => bytes,
            Err(e) => return Err(self.record_and_explain(revision, e).await),
        };
        let first = match bytes.next().await {
            Some(Err(e)) => return Err(self.record_and_explain(revision, e).await),
            Some(Ok(first)) => Some(Ok(first)),
            None => None,
        };
        let (queries, revision, file) = (self.clone(), revision.id, revision.file);
        let rest = bytes.then(move |piece| {
            let queries = queries.clone();
            async move {
                if let Err(e) = &piece {
                    queries.record_damage(revision, &file, e).await;
                }
                piece
            }
        });
        Ok(stream::iter(first).chain(rest).boxed())
    }

    /// An error of the archive as the caller gets it. Damage is recorded.
    pub(super) async fn record_and_explain(&self, revision: &Revision, error: StoreError) -> QueryError {
        self.record_damage(revision.id, &revision.file, &error).await;
        if let Some(digest) = error.damaged() {
            let name = self.name_of(revision.id).await;
            return QueryError::Damaged { error: error.to_string(), advice: advice(name.as_deref(), digest) };
        }
        if error.is_away() {
            tracing::warn!(%error, revision = %revision.id, "a file cannot be read; the archive cannot be reached");
            return QueryError::Busy("the archive cannot be reached; try again in a moment".to_owned());
        }
        match error {
            StoreError::Member(why) => QueryError::Unsupported(why),
            StoreError::DiskFull(_) => QueryError::Busy(error.to_string()),
            StoreError::Missing(_)
            | StoreError::Damaged(_)
            | StoreError::Unreadable(_)
            | StoreError::OtherFile { .. }
            | StoreError::NotAFile { .. }
            | StoreError::BaseDamaged { .. }
            | StoreError::Undecodable { .. }
            | StoreError::Io(_)
            | StoreError::Interrupted => error.into(),
        }
    }

    /// The name of a revision's product. `None` if it cannot be read: the damage is reported all the same.
    async fn name_of(&self, revision: RevisionId) -> Option<String> {
        match self.revision(revision).await {
            Ok(row) => Some(row.publication.name),
            Err(e) => {
                tracing::warn!(%revision, error = %e, "the name of a damaged file's product could not be read");
                None
            }
        }
    }

    /// Records that a file is damaged, and logs it the first time.
    async fn record_damage(&self, revision: RevisionId, file: &StoredFile, error: &StoreError) {
        let Some(digest) = error.damaged() else { return };
        metrics::counter!("acervo_damaged_reads_total").increment(1);
        match self.app.record.files().mark_damaged(file, error.breakage(), self.app.clock.now()).await {
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

/// How to repair a damaged file.
fn advice(name: Option<&str>, digest: Digest) -> String {
    let product = name.map_or_else(|| "this product".to_owned(), |name| format!("the product `{name}`"));
    format!(
        "press \"Enviar\" for {product} on the portal, which sends its last version again; or import the file \
         again (`acervo import --manifest`), or put the object {digest} back from a backup of the archive folder"
    )
}

/// Paths that a message names.
const CANDIDATES_NAMED: usize = 10;

/// Similar paths that a message names.
const SIMILAR_NAMED: usize = 4;

fn ambiguous(path: &str, candidates: &[String]) -> QueryError {
    let path = first_chars(path, 200);
    let named = quoted(&candidates[..candidates.len().min(CANDIDATES_NAMED)]);
    let more = if candidates.len() > CANDIDATES_NAMED { ", and others" } else { "" };
    QueryError::bad(format!(
        "no member has exactly the path `{path}`, and several differ from it only in the case of letters: {named}{more}; give one of these"
    ))
}
