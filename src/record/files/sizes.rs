//! The stored bytes of products, which change with how their files are stored.
use std::collections::HashMap;

use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect};

use crate::domain::Digest;
use crate::engine::record::RecordError;
use crate::engine::record::entity::{products, publications, revisions};

/// Changes the stored bytes of the products that have a file, after the file is stored in more or fewer.
pub(in crate::engine::record) async fn resize_products(
    txn: &DatabaseTransaction,
    file: Digest,
    by: i64,
) -> Result<(), RecordError> {
    if by == 0 {
        return Ok(());
    }
    let with_file: Vec<Uuid> = revisions::Entity::find()
        .select_only()
        .column(revisions::Column::PublicationId)
        .filter(revisions::Column::Digest.eq(file))
        .filter(revisions::Column::SweptAt.is_null())
        .into_tuple()
        .all(txn)
        .await?;
    let parents = products_of(txn, with_file.iter().copied()).await?;
    let mut by_product: HashMap<Uuid, i64> = HashMap::new();
    for publication in with_file {
        let orphan = || RecordError::Corrupt(format!("the publication {publication} of a revision does not exist"));
        *by_product.entry(*parents.get(&publication).ok_or_else(orphan)?).or_default() += by;
    }
    add_to_products(txn, by_product).await
}

/// The products of publications.
pub(in crate::engine::record) async fn products_of(
    txn: &DatabaseTransaction,
    some: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Uuid>, RecordError> {
    let pairs: Vec<(Uuid, Uuid)> = publications::Entity::find()
        .select_only()
        .columns([publications::Column::Id, publications::Column::ProductId])
        .filter(publications::Column::Id.is_in(some))
        .into_tuple()
        .all(txn)
        .await?;
    Ok(pairs.into_iter().collect())
}

/// Adds to the stored bytes of products.
pub(in crate::engine::record) async fn add_to_products(
    txn: &DatabaseTransaction,
    by_product: HashMap<Uuid, i64>,
) -> Result<(), RecordError> {
    for (product, by) in by_product {
        products::Entity::update_many()
            .col_expr(products::Column::StoredSize, Expr::col(products::Column::StoredSize).add(by))
            .filter(products::Column::Id.eq(product))
            .exec(txn)
            .await?;
    }
    Ok(())
}
