//! Connections: a page of rows with its count, cursors and neighbours.
use std::sync::Arc;

use async_graphql::{Object, OutputType, SimpleObject};

use super::flat::{Row, Rows, flat, never_flat};
use super::notification::Notification;
use super::product::Product;
use super::publication::Publication;
use super::replay::Replay;
use super::retention::{JobRun, RetentionLine, RetentionRun};
use super::revision::{Member, Revision};
use super::scalar::LocalDate;
use crate::query::{self, Listed, Paging};
use crate::record;

flat!(
    Publication => query::PublicationRow,
    Revision => query::RevisionRow,
    Notification => record::Notification
);
never_flat!(Product, Member, Replay, RetentionLine, RetentionRun, JobRun);

/// The position of a page in its list.
#[derive(SimpleObject)]
pub struct PageInfo {
    has_next_page: bool,
    has_previous_page: bool,
    start_cursor: Option<String>,
    end_cursor: Option<String>,
}

impl PageInfo {
    pub(super) fn of<Row>(listed: &Listed<Row>) -> Self {
        Self {
            has_next_page: listed.has_next,
            has_previous_page: listed.has_previous,
            start_cursor: listed.rows.first().map(|(cursor, _)| cursor.clone()),
            end_cursor: listed.rows.last().map(|(cursor, _)| cursor.clone()),
        }
    }

    /// With this end where the page has none.
    pub(super) fn ending_at_least_at(mut self, cursor: String) -> Self {
        self.end_cursor.get_or_insert(cursor);
        self
    }
}

/// A page of a list.
pub struct Connection<T: Row> {
    total_count: i32,
    rows: Vec<T>,
    /// Each row's.
    cursors: Vec<String>,
    page_info: PageInfo,
}

/// A page of a list.
#[Object(
    concrete(name = "PublicationConnection", params(Publication)),
    concrete(name = "RevisionConnection", params(Revision)),
    concrete(name = "ProductConnection", params(Product)),
    concrete(name = "NotificationConnection", params(Notification)),
    concrete(name = "MemberConnection", params(Member)),
    concrete(name = "ReplayConnection", params(Replay)),
    concrete(name = "RetentionLineConnection", params(RetentionLine)),
    concrete(name = "RetentionRunConnection", params(RetentionRun)),
    concrete(name = "JobRunConnection", params(JobRun))
)]
impl<T: Row> Connection<T>
where
    Edge<T>: OutputType,
{
    /// Number of rows in the whole list, not only on this page.
    async fn total_count(&self) -> i32 {
        self.total_count
    }
    async fn nodes(&self) -> Rows<'_, T> {
        Rows(self.rows.as_slice().into())
    }
    async fn edges(&self) -> Vec<Edge<T>> {
        let edge = |(cursor, node): (&String, &T)| Edge { cursor: cursor.clone(), node: node.clone() };
        self.cursors.iter().zip(&self.rows).map(edge).collect()
    }
    async fn page_info(&self) -> &PageInfo {
        &self.page_info
    }
}

/// A row and its cursor.
#[derive(SimpleObject)]
#[graphql(concrete(name = "PublicationEdge", params(Publication)))]
#[graphql(concrete(name = "RevisionEdge", params(Revision)))]
#[graphql(concrete(name = "ProductEdge", params(Product)))]
#[graphql(concrete(name = "NotificationEdge", params(Notification)))]
#[graphql(concrete(name = "MemberEdge", params(Member)))]
#[graphql(concrete(name = "ReplayEdge", params(Replay)))]
#[graphql(concrete(name = "RetentionLineEdge", params(RetentionLine)))]
#[graphql(concrete(name = "RetentionRunEdge", params(RetentionRun)))]
#[graphql(concrete(name = "JobRunEdge", params(JobRun)))]
pub struct Edge<T: OutputType> {
    cursor: String,
    node: T,
}

impl Connection<Publication> {
    /// Of a page that others may show too.
    pub fn of_publications(listed: &Listed<Arc<query::PublicationRow>>) -> Self {
        Self {
            total_count: int(listed.total),
            rows: listed.rows.iter().map(|(_, row)| Publication(row.clone())).collect(),
            cursors: listed.rows.iter().map(|(cursor, _)| cursor.clone()).collect(),
            page_info: PageInfo::of(listed),
        }
    }
}

impl<T: Row> Connection<T> {
    pub fn new<Own>(listed: Listed<Own>, show: impl Fn(Own) -> T) -> Self {
        let page_info = PageInfo::of(&listed);
        let total_count = int(listed.total);
        let (cursors, rows) = listed.rows.into_iter().map(|(cursor, row)| (cursor, show(row))).unzip();
        Self { total_count, rows, cursors, page_info }
    }
}

/// GraphQL's Int has 32 bits; counts beyond that are held at its edge.
pub(super) fn int(n: u64) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

pub(super) fn paging(
    first: Option<i32>,
    after: Option<String>,
    last: Option<i32>,
    before: Option<String>,
    offset: Option<i32>,
) -> Paging {
    Paging { first: first.map(i64::from), after, last: last.map(i64::from), before, offset: offset.map(i64::from) }
}

/// How many rows a page may hold, for what its answer costs.
pub(super) fn page(first: Option<i32>, last: Option<i32>) -> usize {
    let asked = first.or(last).map_or(100, i64::from);
    // What is out of bounds is refused by the question itself, with the bound in its words.
    usize::try_from(asked.clamp(1, crate::query::FIRST_MAX)).unwrap_or(1)
}

/// What a row costs beside its values: it is read as a whole, whatever is asked of it.
const ROW: usize = 8;

/// What it costs to go through all that there is and say little of it.
pub(super) const SUMMARY: usize = 500;

/// What a plan of retention costs, which goes through every revision.
pub(super) const PLAN: usize = 50_000;

/// What so many rows of a list cost.
pub(super) fn rows(count: usize, child_complexity: usize) -> usize {
    count.saturating_mul(ROW.saturating_add(child_complexity))
}

/// Rows of a list that has a limit alone.
pub(super) fn stats_rows(limit: i32) -> usize {
    usize::try_from(limit.max(1)).unwrap_or(1)
}

/// Days of a span; what is out of bounds is refused by the question itself.
pub(super) fn days(from: &LocalDate, to: &LocalDate) -> usize {
    let days = to.0.since(from.0).map_or(0, |span| span.get_days());
    usize::try_from(days).unwrap_or_default().clamp(1, 4_000)
}
