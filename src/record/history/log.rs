//! The notification log, page by page. Where no index applies it is scanned, a bounded number of rows per statement. No
//! connection or snapshot is kept between statements, so a caller may stop there.
use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, Iterable, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};

use super::History;
use crate::domain::{NotificationId, millis, timestamp};
use crate::engine::record::entity::notifications;
use crate::engine::record::{Notification, NotificationQuery, Page, RecordError};
use notifications::Column as N;

/// Rows that one statement scans.
const WINDOW: u64 = 2_000;

/// A position in the log.
type Position = (Timestamp, NotificationId);

/// A direction, and how far the scan has come.
#[derive(Clone, Copy)]
struct Scan {
    beyond: Option<Position>,
    backwards: bool,
}

impl Scan {
    fn order(self) -> Order {
        if self.backwards { Order::Asc } else { Order::Desc }
    }

    /// What is after a position.
    fn after(self, position: Position) -> SimpleExpr {
        let (row, edge) = (row(), edge(position));
        if self.backwards { row.gt(edge) } else { row.lt(edge) }
    }

    /// What is up to a position, the position included.
    fn up_to(self, position: Position) -> SimpleExpr {
        let (row, edge) = (row(), edge(position));
        if self.backwards { row.lte(edge) } else { row.gte(edge) }
    }
}

/// Rows with their bodies, which may be large, or with empty ones.
fn rows(bodies: bool) -> Select<notifications::Entity> {
    let all = notifications::Entity::find();
    if bodies {
        return all;
    }
    let others = N::iter().filter(|column| !matches!(column, N::Body));
    all.select_only().columns(others).column_as(Expr::value(Vec::<u8>::new()), "body")
}

fn row() -> SimpleExpr {
    Expr::tuple([Expr::col(N::ReceivedAt), Expr::col(N::Id)])
}

fn edge((at, id): Position) -> SimpleExpr {
    Expr::tuple([Expr::value(millis(at)), Expr::value(id.0)])
}

impl NotificationQuery {
    /// Whether no index finds the rows.
    fn scans(&self) -> bool {
        let found = self.ids.is_some() || self.product_id.is_some() || self.publication_id.is_some();
        !found && (self.name.is_some() || self.source.is_some())
    }

    /// The range of time alone.
    fn range(&self) -> Condition {
        Condition::all()
            .add_option(self.received_from.map(|at| N::ReceivedAt.gte(millis(at))))
            .add_option(self.received_to.map(|at| N::ReceivedAt.lt(millis(at))))
    }
}

impl History {
    /// A page of the log, in the direction read.
    pub async fn notifications(
        &self,
        query: &NotificationQuery,
        page: &Page,
    ) -> Result<Vec<Notification>, RecordError> {
        let mut scan = Scan { beyond: page.beyond, backwards: page.backwards };
        if !query.scans() {
            return self.page(query.condition(), scan, page.offset, page.limit, page.bodies).await;
        }
        let mut found = Vec::new();
        let mut offset = page.offset;
        loop {
            let end = self.window_end(query, scan).await?;
            let within = query.condition().add_option(end.map(|end| scan.up_to(end)));
            let skipped = if offset > 0 { std::cmp::min(offset, self.count(within.clone(), scan).await?) } else { 0 };
            let left = page.limit - found.len() as u64;
            if skipped == 0 || skipped == offset {
                found.append(&mut self.page(within, scan, skipped, left, page.bodies).await?);
            }
            offset -= skipped;
            match end {
                Some(end) if (found.len() as u64) < page.limit => scan.beyond = Some(end),
                _ => return Ok(found),
            }
        }
    }

    pub async fn count_notifications(&self, query: &NotificationQuery) -> Result<u64, RecordError> {
        let mut scan = Scan { beyond: None, backwards: false };
        if !query.scans() {
            return self.count(query.condition(), scan).await;
        }
        let mut total = 0;
        loop {
            let end = self.window_end(query, scan).await?;
            let within = query.condition().add_option(end.map(|end| scan.up_to(end)));
            total += self.count(within, scan).await?;
            match end {
                Some(end) => scan.beyond = Some(end),
                None => return Ok(total),
            }
        }
    }

    /// Those with ids from one on, in the order of their ids.
    pub async fn notifications_after(
        &self,
        from: NotificationId,
        limit: u64,
        bodies: bool,
    ) -> Result<Vec<Notification>, RecordError> {
        let all = rows(bodies).filter(N::Id.gte(from.0)).order_by(N::Id, Order::Asc).limit(limit);
        all.all(self.db.reader()).await?.into_iter().map(Notification::read).collect()
    }

    /// The last row of the next window; `None` if the rest is less than one.
    async fn window_end(&self, query: &NotificationQuery, scan: Scan) -> Result<Option<Position>, RecordError> {
        let position: Option<(i64, Uuid)> = notifications::Entity::find()
            .select_only()
            .columns([N::ReceivedAt, N::Id])
            .filter(query.range().add_option(scan.beyond.map(|position| scan.after(position))))
            .order_by(N::ReceivedAt, scan.order())
            .order_by(N::Id, scan.order())
            .offset(WINDOW - 1)
            .limit(1)
            .into_tuple()
            .one(self.db.reader())
            .await?;
        Ok(position.map(|(at, id)| (timestamp(at), NotificationId(id))))
    }

    async fn page(
        &self,
        condition: Condition,
        scan: Scan,
        offset: u64,
        limit: u64,
        bodies: bool,
    ) -> Result<Vec<Notification>, RecordError> {
        let rows = rows(bodies)
            .filter(condition.add_option(scan.beyond.map(|position| scan.after(position))))
            .order_by(N::ReceivedAt, scan.order())
            .order_by(N::Id, scan.order())
            .offset(offset)
            .limit(limit)
            .all(self.db.reader())
            .await?;
        rows.into_iter().map(Notification::read).collect()
    }

    async fn count(&self, condition: Condition, scan: Scan) -> Result<u64, RecordError> {
        let within = condition.add_option(scan.beyond.map(|position| scan.after(position)));
        Ok(notifications::Entity::find().filter(within).count(self.db.reader()).await?)
    }
}
