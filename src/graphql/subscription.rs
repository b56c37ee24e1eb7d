use async_graphql::{Context, Result, Subscription};
use futures_util::{Stream, StreamExt};

use super::error::{bad, query_error};
use super::notification::Notification;
use super::revision::Revision;
use crate::contract::PublicationFilter;
use crate::query::Queries;

pub struct SubscriptionRoot;

/// Events from now on, over WebSocket (protocols graphql-transport-ws and graphql-ws).
#[Subscription(name = "Subscription")]
impl SubscriptionRoot {
    /// Every revision that is archived and matches the filter.
    async fn publication_archived(
        &self,
        ctx: &Context<'_>,
        filter: Option<PublicationFilter>,
    ) -> Result<impl Stream<Item = Result<Revision>> + use<>> {
        let archived =
            ctx.data::<Queries>()?.archived(PublicationFilter::read(filter).map_err(bad)?).map_err(query_error)?;
        Ok(archived.map(|row| row.map(Revision).map_err(query_error)))
    }

    /// Every notification, whatever its outcome.
    async fn notification_received(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<Notification>> + use<>> {
        let bodies = ctx.look_ahead().field("body").exists();
        let received = ctx.data::<Queries>()?.received(bodies);
        Ok(received.map(|row| row.map(Notification).map_err(query_error)))
    }
}
