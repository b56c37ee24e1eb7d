//! Batched loading of rows that other rows refer to.
use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::{Context, Error};

use crate::domain::{NotificationId, ProductId, PublicationId, RevisionId};
use crate::query;
use crate::query::{PublicationRow, Queries, QueryError, RevisionRow};

pub struct Loaders(pub Queries);

/// The newest notification of a product.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LastOf(pub ProductId);

/// All revisions of a publication.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RevisionsOf(pub PublicationId);

macro_rules! loader {
    ($key:ty => $value:ty, $load:ident) => {
        impl Loader<$key> for Loaders {
            type Value = $value;
            type Error = Arc<QueryError>;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, $value>, Self::Error> {
                self.0.$load(keys).await.map_err(Arc::new)
            }
        }
    };
}

loader!(PublicationId => PublicationRow, publication_rows);
loader!(RevisionId => RevisionRow, revision_rows);
loader!(ProductId => query::Product, products_by_id);
loader!(NotificationId => query::Notification, notifications_by_id);

impl Loader<RevisionsOf> for Loaders {
    type Value = Vec<RevisionRow>;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[RevisionsOf]) -> Result<HashMap<RevisionsOf, Vec<RevisionRow>>, Self::Error> {
        let ids: Vec<PublicationId> = keys.iter().map(|key| key.0).collect();
        let found = self.0.revisions_of(&ids).await.map_err(Arc::new)?;
        Ok(found.into_iter().map(|(id, rows)| (RevisionsOf(id), rows)).collect())
    }
}

impl Loader<LastOf> for Loaders {
    type Value = query::Notification;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[LastOf]) -> Result<HashMap<LastOf, query::Notification>, Self::Error> {
        let ids: Vec<ProductId> = keys.iter().map(|key| key.0).collect();
        let found = self.0.last_notifications(&ids).await.map_err(Arc::new)?;
        Ok(found.into_iter().map(|(id, row)| (LastOf(id), row)).collect())
    }
}

/// The row of a key, loaded together with others that are requested at the same time.
pub async fn load<K>(ctx: &Context<'_>, key: K) -> Result<Option<<Loaders as Loader<K>>::Value>, Error>
where
    K: Send + Sync + std::hash::Hash + Eq + Clone + 'static,
    Loaders: Loader<K, Error = Arc<QueryError>>,
{
    let loader = ctx.data::<DataLoader<Loaders>>()?;
    loader.load_one(key).await.map_err(|e| super::error::internal(&e))
}

/// The same, for a key that a row refers to: a missing row is an error.
pub async fn must_load<K>(ctx: &Context<'_>, key: K) -> Result<<Loaders as Loader<K>>::Value, Error>
where
    K: Send + Sync + std::hash::Hash + Eq + Clone + 'static,
    Loaders: Loader<K, Error = Arc<QueryError>>,
{
    load(ctx, key).await?.ok_or_else(|| super::error::internal(&"a row refers to another that does not exist"))
}
