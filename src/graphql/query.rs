use async_graphql::{Context, ID, Object, Result};

use super::connection::{Connection, paging};
use super::error::shown;
use super::input::{
    NotificationFilter, ProductFilter, ProductOrder, PublicationFilter, PublicationOrder, RevisionOrder, uuid,
};
use super::loaders::load;
use super::notification::Notification;
use super::product::Product;
use super::publication::Publication;
use super::revision::Revision;
use super::scalar::DateTime;
use super::status::ServiceStatus;
use crate::domain::{NotificationId, ProductId, PublicationId, RevisionId};
use crate::query::{NotificationAsk, ProductAsk, PublicationAsk, Queries, RevisionAsk};

pub struct QueryRoot;

/// The whole product history.
#[Object(name = "Query")]
#[allow(clippy::too_many_arguments, reason = "the arguments are the contract's")]
impl QueryRoot {
    /// first: 100 when no bound is given, 1000 at most. search: for people. filter: exact. Both narrow.
    async fn publications(
        &self,
        ctx: &Context<'_>,
        search: Option<String>,
        filter: Option<PublicationFilter>,
        as_of: Option<DateTime>,
        #[graphql(default_with = "PublicationOrder::PeriodDesc")] order_by: PublicationOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        offset: Option<i32>,
    ) -> Result<Connection<Publication>> {
        let ask = PublicationAsk {
            search,
            filter: PublicationFilter::read(filter)?,
            as_of: as_of.map(|at| at.0),
            order: order_by.into(),
            paging: paging(first, after, last, before, offset),
        };
        Ok(Connection::new(ctx.data::<Queries>()?.publications(ask).await.map_err(shown)?, Publication))
    }

    async fn publication(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Publication>> {
        Ok(load(ctx, PublicationId(uuid("id", &id)?)).await?.map(Publication))
    }

    /// Every content of every publication.
    async fn revisions(
        &self,
        ctx: &Context<'_>,
        search: Option<String>,
        filter: Option<PublicationFilter>,
        #[graphql(default_with = "RevisionOrder::ArchivedDesc")] order_by: RevisionOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        offset: Option<i32>,
    ) -> Result<Connection<Revision>> {
        let ask = RevisionAsk {
            search,
            filter: PublicationFilter::read(filter)?,
            order: order_by.into(),
            paging: paging(first, after, last, before, offset),
        };
        Ok(Connection::new(ctx.data::<Queries>()?.revisions(ask).await.map_err(shown)?, Revision))
    }

    async fn revision(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Revision>> {
        Ok(load(ctx, RevisionId(uuid("id", &id)?)).await?.map(Revision))
    }

    async fn products(
        &self,
        ctx: &Context<'_>,
        search: Option<String>,
        filter: Option<ProductFilter>,
        #[graphql(default_with = "ProductOrder::NameAsc")] order_by: ProductOrder,
        first: Option<i32>,
        after: Option<String>,
        offset: Option<i32>,
    ) -> Result<Connection<Product>> {
        let ask = ProductAsk {
            search,
            filter: ProductFilter::read(filter)?,
            order: order_by.into(),
            paging: paging(first, after, None, None, offset),
        };
        Ok(Connection::new(ctx.data::<Queries>()?.products(ask).await.map_err(shown)?, Product))
    }

    async fn product(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Product>> {
        Ok(load(ctx, ProductId(uuid("id", &id)?)).await?.map(Product))
    }

    /// Newest first.
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        filter: Option<NotificationFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        offset: Option<i32>,
    ) -> Result<Connection<Notification>> {
        let query = NotificationFilter::read(filter)?;
        let ask = NotificationAsk { query, paging: paging(first, after, last, before, offset) };
        Ok(Connection::new(ctx.data::<Queries>()?.notifications(ask).await.map_err(shown)?, Notification))
    }

    async fn notification(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Notification>> {
        Ok(load(ctx, NotificationId(uuid("id", &id)?)).await?.map(Notification))
    }

    /// How the service is.
    async fn status(&self, ctx: &Context<'_>) -> Result<ServiceStatus> {
        Ok(ctx.data::<Queries>()?.status().await.map_err(shown)?.into())
    }
}
