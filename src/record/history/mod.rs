//! Reading: rows by their ids, and the log of notifications, page by page.
mod coverage;
mod log;
mod packed;
mod recent_files;

use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, LikeExpr, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::{
    Digest, NotificationId, NotificationStatus, ProductId, PublicationId, RevisionId, TextMatch, fold, is_storable,
    millis,
};
use crate::engine::record::db::Db;
use crate::engine::record::entity::{members, notifications, product_aliases, products, publications, revisions};
use crate::engine::record::intake::UNRESOLVED;
use crate::engine::record::losses::lost_ids;
use crate::engine::record::{Member, Notification, Product, RecordError};
use notifications::Column as N;

pub use coverage::CoveredPublication;
pub use recent_files::RecentFile;

/// Which notifications; all given conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct NotificationQuery {
    pub ids: Option<Vec<NotificationId>>,
    pub status: Option<Vec<NotificationStatus>>,
    pub product_id: Option<Vec<ProductId>>,
    pub publication_id: Option<PublicationId>,
    /// Without those of publications that are lost.
    pub not_lost: bool,
    pub name: Option<TextMatch>,
    pub source: Option<Vec<String>>,
    /// From, included.
    pub received_from: Option<Timestamp>,
    /// To, excluded.
    pub received_to: Option<Timestamp>,
}

/// Which part of a list, newest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// Only rows after this one, in the direction of reading.
    pub beyond: Option<(Timestamp, NotificationId)>,
    /// Read from the end.
    pub backwards: bool,
    pub offset: u64,
    pub limit: u64,
    /// Whether to read the bodies; otherwise they are empty.
    pub bodies: bool,
}

/// Texts are folded before they are compared.
fn matches<T: ColumnTrait>(wanted: &TextMatch, folded: T) -> Condition {
    let like = |pattern: String| folded.like(LikeExpr::new(pattern).escape('\\'));
    Condition::all()
        .add_option(wanted.eq.as_deref().map(|text| folded.eq(fold(text))))
        .add_option(wanted.any_of.as_ref().map(|texts| folded.is_in(texts.iter().map(|text| fold(text)))))
        .add_option(wanted.contains.as_deref().map(|text| like(format!("%{}%", escaped(text)))))
        .add_option(wanted.starts_with.as_deref().map(|text| like(format!("{}%", escaped(text)))))
}

fn escaped(text: &str) -> String {
    fold(text).replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

impl NotificationQuery {
    pub(super) fn condition(&self) -> Condition {
        let by_name = self.name.as_ref().map(|name| {
            let aliased = product_aliases::Entity::find()
                .select_only()
                .column(product_aliases::Column::ProductId)
                .filter(matches(name, product_aliases::Column::NameFolded));
            Condition::any()
                .add(matches(name, N::NameFolded))
                .add(N::ProductId.in_subquery(sea_orm::QueryTrait::into_query(aliased)))
        });
        Condition::all()
            .add_option(self.ids.as_ref().map(|ids| N::Id.is_in(ids.iter().map(|id| id.0))))
            .add_option(self.status.as_ref().map(|all| N::Status.is_in(all.iter().copied())))
            .add_option(self.product_id.as_ref().map(|ids| N::ProductId.is_in(ids.iter().map(|id| id.0))))
            .add_option(self.publication_id.map(|id| N::PublicationId.eq(id.0)))
            .add_option(self.not_lost.then(|| {
                let of_others = N::PublicationId.not_in_subquery(lost_ids());
                Condition::any().add(N::PublicationId.is_null()).add(of_others)
            }))
            .add_option(self.source.as_ref().map(|all| N::Source.is_in(all.iter().filter(|name| is_storable(name)))))
            .add_option(self.received_from.map(|at| N::ReceivedAt.gte(millis(at))))
            .add_option(self.received_to.map(|at| N::ReceivedAt.lt(millis(at))))
            .add_option(by_name)
    }
}

/// Products, publications, revisions and notifications, read only.
#[derive(Clone)]
pub struct History {
    pub(super) db: Db,
}

impl History {
    pub async fn notifications_by_id(
        &self,
        ids: &[NotificationId],
    ) -> Result<HashMap<NotificationId, Notification>, RecordError> {
        let rows =
            notifications::Entity::find().filter(N::Id.is_in(ids.iter().map(|id| id.0))).all(self.db.reader()).await?;
        rows.into_iter().map(|row| Ok((NotificationId(row.id), Notification::read(row)?))).collect()
    }

    /// Whether a notification has its publication, or will never have one; `None` if there is no such notification.
    pub async fn is_resolved(&self, id: NotificationId) -> Result<Option<bool>, RecordError> {
        let priority = notifications::Entity::find_by_id(id.0).select_only().column(N::Priority);
        let priority: Option<i32> = priority.into_tuple().one(self.db.jobs_reader()).await?;
        Ok(priority.map(|priority| priority != UNRESOLVED))
    }

    /// The newest notification of some products.
    pub async fn last_notifications(&self, of: &[ProductId]) -> Result<HashMap<ProductId, Notification>, RecordError> {
        let own = Alias::new("own");
        let newest = Query::select()
            .column((own.clone(), N::Id))
            .from_as(notifications::Entity, own.clone())
            .and_where(Expr::col((own.clone(), N::ProductId)).equals((products::Entity, products::Column::Id)))
            .order_by((own.clone(), N::ReceivedAt), Order::Desc)
            .order_by((own, N::Id), Order::Desc)
            .limit(1)
            .to_owned();
        let newest = Query::select()
            .expr(Expr::SubQuery(None, Box::new(newest.into())))
            .from(products::Entity)
            .and_where(products::Column::Id.is_in(of.iter().map(|id| id.0)))
            .to_owned();
        let rows = notifications::Entity::find().filter(N::Id.in_subquery(newest)).all(self.db.reader()).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in rows {
            if let Some(product) = row.product_id {
                found.insert(ProductId(product), Notification::read(row)?);
            }
        }
        Ok(found)
    }

    pub async fn products_by_id(&self, ids: &[ProductId]) -> Result<HashMap<ProductId, Product>, RecordError> {
        let mut found = HashMap::with_capacity(ids.len());
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows =
            products::Entity::find().filter(products::Column::Id.is_in(ids.clone())).all(self.db.reader()).await?;
        let mut aliases: HashMap<Uuid, Vec<_>> = HashMap::new();
        let by_product = product_aliases::Entity::find()
            .filter(product_aliases::Column::ProductId.is_in(ids))
            .order_by(product_aliases::Column::FirstSeenAt, Order::Asc)
            .order_by(product_aliases::Column::Name, Order::Asc);
        for alias in by_product.all(self.db.reader()).await? {
            aliases.entry(alias.product_id).or_default().push(alias.into());
        }
        for row in rows {
            let own = aliases.remove(&row.id).unwrap_or_default();
            found.insert(ProductId(row.id), Product::read(row, own)?);
        }
        Ok(found)
    }

    /// The names of all products, in the order of their ids.
    pub async fn product_names(&self) -> Result<Vec<(ProductId, String)>, RecordError> {
        let rows: Vec<(Uuid, String)> = products::Entity::find()
            .select_only()
            .columns([products::Column::Id, products::Column::Name])
            .order_by(products::Column::Id, Order::Asc)
            .into_tuple()
            .all(self.db.reader())
            .await?;
        Ok(rows.into_iter().map(|(id, name)| (ProductId(id), name)).collect())
    }

    /// The notification that each of these revisions was made for.
    pub async fn notifications_of(&self, ids: &[RevisionId]) -> Result<Vec<(RevisionId, NotificationId)>, RecordError> {
        let rows: Vec<(Uuid, Uuid)> = revisions::Entity::find()
            .select_only()
            .columns([revisions::Column::Id, revisions::Column::NotificationId])
            .filter(revisions::Column::Id.is_in(ids.iter().map(|id| id.0)))
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?;
        Ok(rows.into_iter().map(|(id, notification)| (RevisionId(id), NotificationId(notification))).collect())
    }

    /// Publications after one, in the order of their ids.
    pub async fn publication_ids_after(
        &self,
        after: Option<PublicationId>,
        limit: u64,
    ) -> Result<Vec<PublicationId>, RecordError> {
        let mut all = publications::Entity::find().select_only().column(publications::Column::Id);
        if let Some(after) = after {
            all = all.filter(publications::Column::Id.gt(after.0));
        }
        let ids: Vec<Uuid> =
            all.order_by(publications::Column::Id, Order::Asc).limit(limit).into_tuple().all(self.db.reader()).await?;
        Ok(ids.into_iter().map(PublicationId).collect())
    }

    /// All products.
    pub async fn product_ids(&self) -> Result<Vec<ProductId>, RecordError> {
        let ids: Vec<Uuid> = products::Entity::find()
            .select_only()
            .column(products::Column::Id)
            .into_tuple()
            .all(self.db.reader())
            .await?;
        Ok(ids.into_iter().map(ProductId).collect())
    }

    /// The paths of all members of some zips.
    pub async fn member_names(&self, of: &[Digest]) -> Result<HashMap<Digest, Vec<String>>, RecordError> {
        let mut found: HashMap<Digest, Vec<String>> = HashMap::new();
        for some in of.chunks(500) {
            let rows: Vec<(Digest, String)> = members::Entity::find()
                .select_only()
                .columns([members::Column::Digest, members::Column::Path])
                .filter(members::Column::Digest.is_in(some.iter().copied()))
                .into_tuple()
                .all(self.db.reader())
                .await?;
            for (of, path) in rows {
                found.entry(of).or_default().push(path);
            }
        }
        Ok(found)
    }

    /// How many members some zips have.
    pub async fn count_members(&self, of: &[Digest]) -> Result<HashMap<Digest, u64>, RecordError> {
        let rows: Vec<(Digest, i64)> = members::Entity::find()
            .select_only()
            .column(members::Column::Digest)
            .column_as(members::Column::Position.count(), "n")
            .filter(members::Column::Digest.is_in(of.iter().copied()))
            .group_by(members::Column::Digest)
            .into_tuple()
            .all(self.db.reader())
            .await?;
        Ok(rows.into_iter().map(|(digest, n)| (digest, n.unsigned_abs())).collect())
    }

    /// The members of some zips, each zip's in its order. `after`: only those after this position.
    pub async fn members_of_files(
        &self,
        of: &[Digest],
        after: Option<i32>,
        limit: u64,
    ) -> Result<Vec<(Digest, i32, Member)>, RecordError> {
        let mut all = members::Entity::find().filter(members::Column::Digest.is_in(of.iter().copied()));
        if let Some(after) = after {
            all = all.filter(members::Column::Position.gt(after));
        }
        let rows = all
            .order_by(members::Column::Digest, Order::Asc)
            .order_by(members::Column::Position, Order::Asc)
            .limit(limit)
            .all(self.db.reader())
            .await?;
        rows.into_iter().map(|row| Ok((row.digest, row.position, Member::read(row)?))).collect()
    }

    /// All members of a zip, in its order.
    pub async fn members_of(&self, file: Digest) -> Result<Vec<Member>, RecordError> {
        let rows = members::Entity::find()
            .filter(members::Column::Digest.eq(file))
            .order_by(members::Column::Position, Order::Asc)
            .all(self.db.reader())
            .await?;
        rows.into_iter().map(Member::read).collect()
    }

    /// The members of a zip, in its order; and how many there are.
    pub async fn members(
        &self,
        of: Digest,
        after: Option<i32>,
        limit: u64,
    ) -> Result<(Vec<(i32, Member)>, u64), RecordError> {
        let mut all = members::Entity::find().filter(members::Column::Digest.eq(of));
        let total = all.clone().count(self.db.reader()).await?;
        if let Some(after) = after {
            all = all.filter(members::Column::Position.gt(after));
        }
        let rows = all.order_by(members::Column::Position, Order::Asc).limit(limit).all(self.db.reader()).await?;
        let page: Result<_, RecordError> = rows.into_iter().map(|row| Ok((row.position, Member::read(row)?))).collect();
        Ok((page?, total))
    }
}
