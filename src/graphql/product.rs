use async_graphql::{Context, ID, Object, Result, SimpleObject};

use super::connection::{Connection, forward};
use super::error::query_error;
use super::loaders::{LastOf, load};
use super::notification::Notification;
use super::publication::Publication;
use super::rows::resolved_rows;
use crate::contract::{DateTime, LocalDateTime, Long};
use crate::query;
use crate::query::{Filter, Order};
use crate::query::{PublicationRequest, Queries, SearchIn};

/// A series that ONS publishes.
#[derive(Clone)]
pub struct Product(pub query::Product);

resolved_rows!(Product);

/// A name under which a product was announced.
#[derive(SimpleObject)]
pub struct ProductAlias {
    name: String,
    first_seen_at: DateTime,
    last_seen_at: DateTime,
}

/// A series that ONS publishes. ONS may rename it; its list path stays the same.
#[Object]
impl Product {
    async fn id(&self) -> ID {
        self.0.id.0.into()
    }
    /// The current name.
    async fn name(&self) -> &str {
        &self.0.name
    }
    /// All names under which the product was announced, including the current one.
    async fn aliases(&self) -> Vec<ProductAlias> {
        let alias = |alias: &query::Alias| ProductAlias {
            name: alias.name.clone(),
            first_seen_at: DateTime(alias.first_seen_at),
            last_seen_at: DateTime(alias.last_seen_at),
        };
        self.0.aliases.iter().map(alias).collect()
    }
    async fn process(&self) -> &str {
        &self.0.process
    }
    async fn macro_process(&self) -> &str {
        &self.0.macro_process
    }
    /// The path of the product's list on the portal, such as /sites/9/38/Produtos/487.
    async fn list_path(&self) -> Option<&str> {
        self.0.list_path.as_deref()
    }
    async fn publication_count(&self) -> i32 {
        self.0.publication_count
    }
    async fn revision_count(&self) -> i32 {
        self.0.revision_count
    }
    /// Total size in bytes of all revisions, as published.
    async fn size(&self) -> Long {
        self.0.size.into()
    }
    /// Bytes on disk used by these revisions.
    async fn stored_size(&self) -> Long {
        self.0.stored_size.into()
    }
    async fn first_period_start(&self) -> Option<LocalDateTime> {
        self.0.first_period_start.map(LocalDateTime)
    }
    async fn last_period_end(&self) -> Option<LocalDateTime> {
        self.0.last_period_end.map(LocalDateTime)
    }
    /// The most recent notification for this product.
    async fn last_notification(&self, ctx: &Context<'_>) -> Result<Option<Notification>> {
        Ok(load(ctx, LastOf(self.0.id)).await?.map(Notification))
    }
    /// The product's publications, newest period first. With `asOf`, as the archive knew them at that instant.
    async fn publications(
        &self,
        ctx: &Context<'_>,
        as_of: Option<DateTime>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Publication>> {
        let request = PublicationRequest {
            scored: false,
            search: None,
            search_in: SearchIn::Names,
            filter: Filter { product_ids: Some(vec![self.0.id.0]), ..Filter::default() },
            as_of: as_of.map(|at| at.0),
            order: Order::Period { descending: true },
            paging: forward(first, after),
        };
        Ok(Connection::shared(ctx.data::<Queries>()?.publications(request).await.map_err(query_error)?, Publication))
    }
}
