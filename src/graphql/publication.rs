use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};

use super::connection::{Connection, forward};
use super::contents::ContentMatch;
use super::error::query_error;
use super::loaders::{RevisionsOf, load, must_load};
use super::notification::Notification;
use super::product::Product;
use super::query::wants;
use super::revision::Revision;
use super::rows::table_rows;
use crate::contract::{DateTime, Granularity, LocalDateTime, Long, PublicationStatus};
use crate::query::NotificationQuery;
use crate::query::{NotificationRequest, PublicationRow, Queries};

/// One product for one reference period.
#[derive(Clone)]
pub struct Publication(pub Arc<PublicationRow>);

table_rows!(Publication => PublicationRow);

impl From<PublicationRow> for Publication {
    fn from(row: PublicationRow) -> Self {
        Self(Arc::new(row))
    }
}

/// One product for one reference period. File fields (`fileName`, `size`, `sha256`, …) are those of the latest
/// revision, or with `asOf`, of the one that was the latest at that instant; they are null while no file has been
/// archived.
#[Object]
impl Publication {
    async fn id(&self) -> ID {
        self.0.publication.id.0.into()
    }
    async fn product_id(&self) -> ID {
        self.0.publication.product_id.0.into()
    }
    /// The product's current name.
    async fn name(&self) -> &str {
        &self.0.publication.name
    }
    async fn process(&self) -> &str {
        &self.0.publication.process
    }
    async fn macro_process(&self) -> &str {
        &self.0.publication.macro_process
    }
    /// `dataProduto` as the portal wrote it: 20/02/2025, 02/2025 or 06/09/2025 - 12/09/2025.
    async fn reference_date(&self) -> &str {
        &self.0.publication.reference_date
    }
    async fn period_start(&self) -> LocalDateTime {
        LocalDateTime(self.0.publication.period.start)
    }
    async fn period_end(&self) -> LocalDateTime {
        LocalDateTime(self.0.publication.period.end)
    }
    async fn granularity(&self) -> Granularity {
        self.0.publication.granularity.into()
    }
    /// With `asOf`, the status at that instant.
    async fn status(&self) -> PublicationStatus {
        self.0.status().into()
    }
    /// The latest revision, or with `asOf` the one that was the latest at that instant.
    async fn revision_id(&self) -> Option<ID> {
        self.0.revision.as_ref().map(|revision| revision.id.0.into())
    }
    async fn revision_number(&self) -> Option<i32> {
        self.0.revision.as_ref().map(|revision| revision.number)
    }
    async fn revision_count(&self) -> i32 {
        self.0.publication.revision_count
    }
    /// The file name as published.
    async fn file_name(&self) -> Option<&str> {
        self.0.revision.as_ref().map(|revision| revision.file_name.as_str())
    }
    /// The file extension in lower case, without the dot.
    async fn file_extension(&self) -> Option<&str> {
        self.0.revision.as_ref().and_then(|revision| revision.extension.as_deref())
    }
    async fn content_type(&self) -> Option<&str> {
        self.0.revision.as_ref().and_then(|revision| revision.content_type.as_deref())
    }
    /// File size in bytes, as published.
    async fn size(&self) -> Option<Long> {
        self.0.revision.as_ref().map(|revision| revision.file.size.into())
    }
    /// Bytes on disk used by the file.
    async fn stored_size(&self) -> Option<Long> {
        self.0.revision.as_ref().map(|revision| revision.file.stored_size.into())
    }
    /// SHA-256 of the file as published, in lower-case hex.
    async fn sha256(&self) -> Option<String> {
        self.0.revision.as_ref().map(|revision| revision.file.digest.to_string())
    }
    /// Where to download the file. Null when there is none or retention removed it.
    async fn file_url(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let queries = ctx.data::<Queries>()?;
        let present = self.0.revision.as_ref().filter(|revision| revision.purged_at.is_none());
        Ok(present.map(|revision| queries.file_url(revision.id)))
    }
    /// When the notification that led to that revision was received; without a revision, the most recent notification.
    async fn received_at(&self) -> DateTime {
        DateTime(self.0.received_at())
    }
    /// When that revision was archived.
    async fn archived_at(&self) -> Option<DateTime> {
        self.0.revision.as_ref().map(|revision| DateTime(revision.archived_at))
    }
    /// How well the publication matches `search`; null without one.
    async fn score(&self) -> Option<f32> {
        self.0.score
    }
    /// Where the words of `search` are in its file, one line for each text that has them: at most `first`, up to 20. Empty unless the list was
    /// requested with `in: CONTENT`.
    async fn content_matches(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 3)] first: i32,
    ) -> Result<Vec<ContentMatch>> {
        let (Some(revision), Some(search)) = (&self.0.revision, &self.0.content_search) else { return Ok(Vec::new()) };
        let queries = ctx.data::<Queries>()?;
        let found = queries.content_matches(revision, search, first.into()).await.map_err(query_error)?;
        Ok(found.into_iter().map(|one| ContentMatch::new(one, revision.id, queries)).collect())
    }
    async fn product(&self, ctx: &Context<'_>) -> Result<Product> {
        must_load(ctx, self.0.publication.product_id).await.map(Product)
    }
    /// All revisions, by number.
    async fn revisions(&self, ctx: &Context<'_>) -> Result<Vec<Revision>> {
        let rows = load(ctx, RevisionsOf(self.0.publication.id)).await?.unwrap_or_default();
        Ok(rows.into_iter().map(Revision).collect())
    }
    /// The notifications of this publication, newest first.
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Notification>> {
        let query = NotificationQuery {
            product_id: Some(vec![self.0.publication.product_id]),
            publication_id: Some(self.0.publication.id),
            ..Default::default()
        };
        let request = NotificationRequest { query, paging: forward(first, after), bodies: wants(ctx, "body") };
        Ok(Connection::new(ctx.data::<Queries>()?.notifications(request).await.map_err(query_error)?, Notification))
    }
}
