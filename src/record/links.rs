//! Expired links are erased from the database and its files.
use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::time::Instant;

use super::RecordError;
use super::batch::{self, PAGE};
use super::db::Db;
use super::entity::notifications;
use crate::domain::millis;
use notifications::Column as N;

/// The links of notifications, which are erased once they expire or are used.
#[derive(Clone)]
pub struct Links {
    pub(super) db: Db,
}

impl Links {
    /// Erases the links that have expired, page by page.
    ///
    /// SQLite's write-ahead log has old pages until it is emptied, which the checkpointer does as soon as no reader needs it. That
    /// covers all links that a commit of this process erased.
    pub async fn erase(&self, now: Timestamp) -> Result<(), RecordError> {
        loop {
            let began = Instant::now();
            let ids: Vec<Uuid> = notifications::Entity::find()
                .select_only()
                .column(N::Id)
                .filter(N::Link.is_not_null())
                .filter(N::LinkExpiresAt.lte(millis(now)))
                .order_by_asc(N::LinkExpiresAt)
                .limit(PAGE)
                .into_tuple()
                .all(self.db.jobs_reader())
                .await?;
            if ids.is_empty() {
                return Ok(());
            }
            let txn = self.db.begin().await?;
            notifications::Entity::update_many()
                .col_expr(N::Link, Expr::value(None::<String>))
                .filter(N::Id.is_in(batch::padded(ids)))
                .exec(&txn)
                .await?;
            txn.commit().await?;
            self.db.links_erased();
            batch::pause(began).await;
        }
    }

    /// Tries once to empty SQLite's write-ahead log, if links were erased since it was emptied last; `false` if another
    /// connection uses it.
    pub async fn empty_log(&self) -> Result<bool, RecordError> {
        match self.db.checkpointer() {
            Some(checkpointer) => Ok(checkpointer.try_empty().await?),
            None => Ok(true),
        }
    }
}
