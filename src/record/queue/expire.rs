//! Links that expire before their files are archived: their notifications end, and publications with no other chance are LOST.
use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::time::Instant;

use super::Queue;
use super::predicates::has_expired_link;
use super::transitions::end_without_file;
use crate::domain::{NotificationStatus as Status, link_expired, link_not_restored};
use crate::engine::record::RecordError;
use crate::engine::record::batch::{self, PAGE, padded};
use crate::engine::record::entity::notifications;
use crate::engine::record::publications::mark_lost;
use notifications::Column as N;

impl Queue {
    /// Ends notifications whose links have expired, page by page. Returns how many.
    pub async fn expire(&self, now: Timestamp) -> Result<u64, RecordError> {
        let mut expired = 0;
        loop {
            let began = Instant::now();
            let first = notifications::Entity::find()
                .select_only()
                .column(N::Id)
                .filter(has_expired_link(now, self.db.shared_clock(now)))
                .limit(1);
            let first: Option<Uuid> = first.into_tuple().one(self.db.jobs_reader()).await?;
            if first.is_none() {
                return Ok(expired);
            }
            expired += self.expire_page(now).await?;
            batch::pause(began).await;
        }
    }

    /// Ends open notifications without a link, page by page: a restore leaves them. Returns how many.
    pub async fn end_without_link(&self, now: Timestamp) -> Result<u64, RecordError> {
        let mut ended = 0;
        loop {
            let txn = self.db.begin().await?;
            let page = notifications::Entity::find()
                .filter(N::NextAttemptAt.is_not_null())
                .filter(N::Link.is_null())
                .order_by_asc(N::Id)
                .limit(PAGE);
            let rows = page.all(&txn).await?;
            if rows.is_empty() {
                return Ok(ended);
            }
            end_without_file(&txn, &rows, Status::Expired, &|_| link_not_restored()).await?;
            mark_lost(&txn, rows.iter().filter_map(|row| row.publication_id).collect(), now).await?;
            txn.commit().await?;
            self.db.notify_feed();
            ended += rows.len() as u64;
        }
    }

    async fn expire_page(&self, now: Timestamp) -> Result<u64, RecordError> {
        let txn = self.db.begin().await?;
        let page = notifications::Entity::find()
            .filter(has_expired_link(now, self.db.shared_clock(now)))
            .order_by_asc(N::LinkExpiresAt)
            .limit(PAGE);
        let rows = page.all(&txn).await?;
        let reason = |row: &notifications::Model| link_expired(row.error.as_deref());
        end_without_file(&txn, &rows, Status::Expired, &reason).await?;
        mark_lost(&txn, rows.iter().filter_map(|row| row.publication_id).collect(), now).await?;
        notifications::Entity::update_many()
            .col_expr(N::Link, Expr::value(None::<String>))
            .filter(N::Id.is_in(padded(rows.iter().map(|row| row.id).collect())))
            .exec(&txn)
            .await?;
        txn.commit().await?;
        self.db.links_erased();
        self.db.notify_feed();
        Ok(rows.len() as u64)
    }
}
