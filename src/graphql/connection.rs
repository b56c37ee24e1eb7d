//! Connections: a page of rows with its count, cursors and neighbours.
use async_graphql::{OutputType, SimpleObject};

use super::notification::Notification;
use super::product::Product;
use super::publication::Publication;
use super::replay::Replay;
use super::retention::{JobRun, RetentionLine, RetentionRun};
use super::revision::{Member, Revision};
use crate::query::{Listed, Paging};

/// Where a page lies in its list.
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
}

/// A page of a list.
#[derive(SimpleObject)]
#[graphql(concrete(name = "PublicationConnection", params(Publication)))]
#[graphql(concrete(name = "RevisionConnection", params(Revision)))]
#[graphql(concrete(name = "ProductConnection", params(Product)))]
#[graphql(concrete(name = "NotificationConnection", params(Notification)))]
#[graphql(concrete(name = "MemberConnection", params(Member)))]
#[graphql(concrete(name = "ReplayConnection", params(Replay)))]
#[graphql(concrete(name = "RetentionLineConnection", params(RetentionLine)))]
#[graphql(concrete(name = "RetentionRunConnection", params(RetentionRun)))]
#[graphql(concrete(name = "JobRunConnection", params(JobRun)))]
pub struct Connection<T: OutputType + Clone>
where
    Edge<T>: OutputType,
{
    /// All rows of the list, on whatever page.
    total_count: i32,
    nodes: Vec<T>,
    edges: Vec<Edge<T>>,
    page_info: PageInfo,
}

/// A row and its place.
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

impl<T: OutputType + Clone> Connection<T>
where
    Edge<T>: OutputType,
{
    pub fn new<Row>(listed: Listed<Row>, show: impl Fn(Row) -> T) -> Self {
        let page_info = PageInfo::of(&listed);
        let total_count = int(listed.total);
        let edges: Vec<Edge<T>> =
            listed.rows.into_iter().map(|(cursor, row)| Edge { cursor, node: show(row) }).collect();
        Self { total_count, nodes: edges.iter().map(|edge| edge.node.clone()).collect(), page_info, edges }
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
