//! Rows and what they refer to.
use std::collections::{HashMap, HashSet};

use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::Verify;
use crate::domain::{ProductId, PublicationId, RevisionId};
use crate::engine::record::RecordError;
use crate::engine::record::batch::padded;
use crate::engine::record::entity::{products, publications, revisions};

/// A publication and what it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationRefs {
    pub id: PublicationId,
    pub product: ProductId,
    pub has_product: bool,
    pub latest: Option<RevisionId>,
    /// Sorted.
    pub revisions: Vec<RevisionId>,
}

/// A revision whose publication does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrphanRevision {
    pub revision: RevisionId,
    pub publication: PublicationId,
}

impl Verify {
    /// Some publications with what they refer to.
    pub async fn publications(&self, ids: &[PublicationId]) -> Result<Vec<PublicationRefs>, RecordError> {
        use publications::Column as P;
        use revisions::Column as R;
        let wanted = || padded(ids.iter().map(|id| id.0).collect::<Vec<_>>());
        let rows: Vec<(Uuid, Uuid, Option<Uuid>)> = publications::Entity::find()
            .select_only()
            .columns([P::Id, P::ProductId, P::LatestRevisionId])
            .filter(P::Id.is_in(wanted()))
            .into_tuple()
            .all(self.db.reader())
            .await?;
        let of: Vec<(Uuid, Uuid)> = revisions::Entity::find()
            .select_only()
            .columns([R::PublicationId, R::Id])
            .filter(R::PublicationId.is_in(wanted()))
            .order_by_asc(R::Id)
            .into_tuple()
            .all(self.db.reader())
            .await?;
        let mut own: HashMap<Uuid, Vec<RevisionId>> = HashMap::new();
        for (publication, revision) in of {
            own.entry(publication).or_default().push(RevisionId(revision));
        }
        let named: HashSet<Uuid> = rows.iter().map(|(_, product, _)| *product).collect();
        let known = self.known_products(named.into_iter().collect()).await?;
        let refs = |(id, product, latest): (Uuid, Uuid, Option<Uuid>)| PublicationRefs {
            id: PublicationId(id),
            product: ProductId(product),
            has_product: known.contains(&product),
            latest: latest.map(RevisionId),
            revisions: own.remove(&id).unwrap_or_default(),
        };
        Ok(rows.into_iter().map(refs).collect())
    }

    async fn known_products(&self, ids: Vec<Uuid>) -> Result<HashSet<Uuid>, RecordError> {
        use products::Column as C;
        let known: Vec<Uuid> = products::Entity::find()
            .select_only()
            .column(C::Id)
            .filter(C::Id.is_in(padded(ids)))
            .into_tuple()
            .all(self.db.reader())
            .await?;
        Ok(known.into_iter().collect())
    }

    /// The ids of all products.
    pub async fn product_ids(&self) -> Result<Vec<ProductId>, RecordError> {
        let ids: Vec<Uuid> = products::Entity::find()
            .select_only()
            .column(products::Column::Id)
            .into_tuple()
            .all(self.db.reader())
            .await?;
        Ok(ids.into_iter().map(ProductId).collect())
    }

    /// Revisions after one, in the order of their ids, whose publication does not exist.
    pub async fn without_publication(
        &self,
        after: Option<RevisionId>,
        limit: u64,
    ) -> Result<Vec<OrphanRevision>, RecordError> {
        use revisions::Column as R;
        let mut all = revisions::Entity::find().select_only().columns([R::Id, R::PublicationId]).filter(Expr::cust(
            "NOT EXISTS (SELECT 1 FROM publications WHERE publications.id = revisions.publication_id)",
        ));
        if let Some(after) = after {
            all = all.filter(R::Id.gt(after.0));
        }
        let rows: Vec<(Uuid, Uuid)> = all.order_by_asc(R::Id).limit(limit).into_tuple().all(self.db.reader()).await?;
        let page = |(revision, publication)| OrphanRevision {
            revision: RevisionId(revision),
            publication: PublicationId(publication),
        };
        Ok(rows.into_iter().map(page).collect())
    }
}
