use async_graphql::{Context, ID, Object, Result};

use super::connection::{Connection, forward};
use super::contents::{ContentMatch, RevisionText};
use super::error::query_error;
use super::loaders::must_load;
use super::publication::Publication;
use super::rows::{resolved_rows, table_rows};
use crate::contract::{DateTime, LocalDateTime, Long};
use crate::query::{MemberRow, Queries, RevisionRow};

/// One content of a publication.
#[derive(Clone)]
pub struct Revision(pub RevisionRow);

table_rows!(Revision => RevisionRow);

/// One content of a publication, numbered 1, 2, … in the order of archiving.
#[Object]
impl Revision {
    async fn id(&self) -> ID {
        self.0.revision.id.0.into()
    }
    async fn publication_id(&self) -> ID {
        self.0.revision.publication_id.0.into()
    }
    async fn number(&self) -> i32 {
        self.0.revision.number
    }
    /// The product's current name.
    async fn name(&self) -> &str {
        &self.0.publication.name
    }
    async fn process(&self) -> &str {
        &self.0.publication.process
    }
    async fn reference_date(&self) -> &str {
        &self.0.publication.reference_date
    }
    async fn period_start(&self) -> LocalDateTime {
        LocalDateTime(self.0.publication.period.start)
    }
    async fn period_end(&self) -> LocalDateTime {
        LocalDateTime(self.0.publication.period.end)
    }
    /// The file name as published.
    async fn file_name(&self) -> &str {
        &self.0.revision.file_name
    }
    /// The file extension in lower case, without the dot.
    async fn file_extension(&self) -> Option<&str> {
        self.0.revision.extension.as_deref()
    }
    async fn content_type(&self) -> Option<&str> {
        self.0.revision.content_type.as_deref()
    }
    /// File size in bytes, as published.
    async fn size(&self) -> Long {
        self.0.revision.file.size.into()
    }
    /// Bytes on disk used by the file.
    async fn stored_size(&self) -> Long {
        self.0.revision.file.stored_size.into()
    }
    /// SHA-256 of the file as published, in lower-case hex.
    async fn sha256(&self) -> String {
        self.0.revision.file.digest.to_string()
    }
    /// Where to download the file. Null once retention removed it.
    async fn file_url(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let queries = ctx.data::<Queries>()?;
        Ok(self.0.revision.purged_at.is_none().then(|| queries.file_url(self.0.revision.id)))
    }
    /// When the portal last announced this content.
    async fn announced_at(&self) -> DateTime {
        DateTime(self.0.revision.announced_at)
    }
    /// When the notification that led to this revision was received.
    async fn received_at(&self) -> DateTime {
        DateTime(self.0.revision.received_at)
    }
    async fn archived_at(&self) -> DateTime {
        DateTime(self.0.revision.archived_at)
    }
    /// When a revision announced later was archived; null for the latest one.
    async fn superseded_at(&self) -> Option<DateTime> {
        self.0.revision.superseded_at.map(DateTime)
    }
    /// When retention removed the revision. Its metadata stays.
    async fn purged_at(&self) -> Option<DateTime> {
        self.0.revision.purged_at.map(DateTime)
    }
    /// Whether the revision is protected from retention (`holdRevision`).
    async fn held(&self) -> bool {
        self.0.revision.held
    }
    async fn hold_reason(&self) -> Option<&str> {
        self.0.revision.hold_reason.as_deref()
    }
    /// The name of the API key that placed the hold.
    async fn held_by(&self) -> Option<&str> {
        self.0.revision.held_by.as_deref()
    }
    async fn held_at(&self) -> Option<DateTime> {
        self.0.revision.held_at.map(DateTime)
    }
    /// The policy and rule that removed the revision.
    async fn purge_reason(&self) -> Option<&str> {
        self.0.revision.purge_rule.as_deref()
    }
    /// What seems wrong with the file.
    async fn warnings(&self) -> &[String] {
        &self.0.revision.warnings
    }
    /// How much of its file can be found by `in: CONTENT`. Null once retention removed the file, and where such text is not indexed.
    async fn text(&self, ctx: &Context<'_>) -> Result<Option<RevisionText>> {
        let found = ctx.data::<Queries>()?.revision_text(&self.0.revision).await.map_err(query_error)?;
        Ok(found.map(RevisionText::from))
    }
    /// Where the words of `search` are in its file, one line for each text that has them: at most `first`, up to 20. Empty unless the list was
    /// requested with `in: CONTENT`.
    async fn content_matches(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 3)] first: i32,
    ) -> Result<Vec<ContentMatch>> {
        let (revision, Some(search)) = (&self.0.revision, &self.0.content_search) else { return Ok(Vec::new()) };
        let queries = ctx.data::<Queries>()?;
        let found = queries.content_matches(revision, search, first.into()).await.map_err(query_error)?;
        Ok(found.into_iter().map(|one| ContentMatch::new(one, revision.id, queries)).collect())
    }
    async fn publication(&self, ctx: &Context<'_>) -> Result<Publication> {
        must_load(ctx, self.0.revision.publication_id).await.map(Publication::from)
    }
    /// The files in a zip, including those in nested zips. `match` keeps paths that contain the text; with `*` or `?`, paths or names
    /// that match it as a whole.
    async fn members(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        #[graphql(name = "match")] matching: Option<String>,
    ) -> Result<Connection<Member>> {
        let paging = forward(first, after);
        let listed = ctx
            .data::<Queries>()?
            .members(&self.0.revision, matching.as_deref(), &paging)
            .await
            .map_err(query_error)?;
        Ok(Connection::new(listed, Member))
    }
}

/// A file inside a zip.
#[derive(Clone)]
pub struct Member(pub MemberRow);

resolved_rows!(Member);

/// A file inside a zip.
#[Object]
impl Member {
    /// Path inside the zip; for a file in a nested zip, outer.zip/inner.dat.
    async fn path(&self) -> &str {
        &self.0.member.path
    }
    async fn size(&self) -> Long {
        self.0.member.size.into()
    }
    async fn compressed_size(&self) -> Option<Long> {
        self.0.member.compressed_size.map(Into::into)
    }
    /// Modification time recorded in the zip, by the packer's clock.
    async fn modified_at(&self) -> Option<LocalDateTime> {
        self.0.member.modified_at.map(LocalDateTime)
    }
    /// Where to download the file.
    async fn url(&self) -> &str {
        &self.0.url
    }
}
