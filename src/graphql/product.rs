use async_graphql::{Context, ID, Object, Result, SimpleObject};

use super::connection::{Connection, page, paging, rows};
use super::error::shown;
use super::loaders::{LastOf, load};
use super::notification::Notification;
use super::publication::Publication;
use super::scalar::{DateTime, LocalDateTime, Long};
use crate::index::{Filter, Order};
use crate::query::{PublicationAsk, Queries};
use crate::record;

/// A series that ONS publishes.
#[derive(Clone)]
pub struct Product(pub record::Product);

/// A name that a product had.
#[derive(SimpleObject)]
pub struct ProductAlias {
    name: String,
    first_seen_at: DateTime,
    last_seen_at: DateTime,
}

/// A series that ONS publishes; its list path stays when it is renamed.
#[Object]
impl Product {
    async fn id(&self) -> ID {
        self.0.id.0.into()
    }
    /// The current one.
    async fn name(&self) -> &str {
        &self.0.name
    }
    /// All names it was announced under, the current one among them.
    async fn aliases(&self) -> Vec<ProductAlias> {
        let alias = |alias: &record::Alias| ProductAlias {
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
    /// The list on the portal, /sites/9/38/Produtos/487.
    async fn list_path(&self) -> Option<&str> {
        self.0.list_path.as_deref()
    }
    async fn publication_count(&self) -> i32 {
        self.0.publication_count
    }
    async fn revision_count(&self) -> i32 {
        self.0.revision_count
    }
    /// Bytes of all its revisions as published.
    async fn size(&self) -> Long {
        Long(self.0.size)
    }
    /// Bytes that the archive spends on them.
    async fn stored_size(&self) -> Long {
        Long(self.0.stored_size)
    }
    async fn first_period_start(&self) -> Option<LocalDateTime> {
        self.0.first_period_start.map(LocalDateTime)
    }
    async fn last_period_end(&self) -> Option<LocalDateTime> {
        self.0.last_period_end.map(LocalDateTime)
    }
    async fn last_notification(&self, ctx: &Context<'_>) -> Result<Option<Notification>> {
        Ok(load(ctx, LastOf(self.0.id)).await?.map(Notification))
    }
    /// By period, newest first; as the archive knew them at `asOf`.
    #[graphql(complexity = "rows(page(first, None), child_complexity)")]
    async fn publications(
        &self,
        ctx: &Context<'_>,
        as_of: Option<DateTime>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Publication>> {
        let ask = PublicationAsk {
            scored: false,
            search: None,
            filter: Filter { product_ids: Some(vec![self.0.id.0]), ..Filter::default() },
            as_of: as_of.map(|at| at.0),
            order: Order::Period { descending: true },
            paging: paging(first, after, None, None, None),
        };
        Ok(Connection::of_publications(&*ctx.data::<Queries>()?.publications(ask).await.map_err(shown)?))
    }
}
