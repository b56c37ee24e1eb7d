//! Pages of the rows of a table, newest first.
use sea_orm::{ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select, Value};

use super::db::Db;

/// A page of `all`, by descending `id`, and how many rows there are. It begins behind the row with the id `after`.
pub(super) async fn newest_first<E>(
    db: &Db,
    all: Select<E>,
    id: E::Column,
    after: Option<impl Into<Value>>,
    limit: u64,
) -> Result<(Vec<E::Model>, u64), DbErr>
where
    E: EntityTrait,
    E::Model: Sync,
{
    let total = all.clone().count(db.reader()).await?;
    let page = match after {
        Some(after) => all.filter(id.lt(after)),
        None => all,
    };
    Ok((page.order_by_desc(id).limit(limit).all(db.reader()).await?, total))
}
