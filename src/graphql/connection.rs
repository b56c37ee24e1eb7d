//! Connections: a page of rows with its count, cursors and neighbours.
use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{Object, ObjectType, OutputType, SimpleObject, TypeName};

use super::rows::{Row, Rows};
use crate::contract::Count;
use crate::query::{ListPage, Paging, PublicationPage, PublicationRow};

/// The position of a page in its list.
#[derive(SimpleObject)]
pub struct PageInfo {
    has_next_page: bool,
    has_previous_page: bool,
    start_cursor: Option<String>,
    end_cursor: Option<String>,
}

impl PageInfo {
    pub(super) fn of<Row>(listed: &ListPage<Row>) -> Self {
        Self {
            has_next_page: listed.has_next,
            has_previous_page: listed.has_previous,
            start_cursor: listed.rows.first().map(|(cursor, _)| cursor.clone()),
            end_cursor: listed.rows.last().map(|(cursor, _)| cursor.clone()),
        }
    }

    /// With this end if the page has none.
    pub(super) fn ending_at_least_at(mut self, cursor: String) -> Self {
        self.end_cursor.get_or_insert(cursor);
        self
    }
}

/// A page of a list.
pub struct Connection<T: Row> {
    total_count: Count,
    rows: Vec<T>,
    /// Each row's.
    cursors: Vec<String>,
    page_info: PageInfo,
    /// Where its rows may be written already.
    page: Option<Arc<PublicationPage>>,
}

/// A page of a list.
#[Object(name_type)]
impl<T: Row + ObjectType> Connection<T> {
    /// Number of rows in the whole list, not only on this page.
    async fn total_count(&self) -> Count {
        self.total_count
    }
    async fn nodes(&self) -> Rows<'_, T> {
        Rows { rows: self.rows.as_slice().into(), text: self.page.as_ref().map(|page| &page.text) }
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
#[graphql(name_type)]
pub struct Edge<T: OutputType> {
    cursor: String,
    node: T,
}

impl<T: Row> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", <T as OutputType>::type_name()).into()
    }
}

impl<T: OutputType> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", <T as OutputType>::type_name()).into()
    }
}

impl<T: Row> Connection<T> {
    pub fn new<Own>(listed: ListPage<Own>, show: impl Fn(Own) -> T) -> Self {
        let page_info = PageInfo::of(&listed);
        let total_count = Count(listed.total);
        let (cursors, rows) = listed.rows.into_iter().map(|(cursor, row)| (cursor, show(row))).unzip();
        Self { total_count, rows, cursors, page_info, page: None }
    }

    /// Of a page that other requests may be given too.
    pub fn shared(page: Arc<PublicationPage>, show: impl Fn(Arc<PublicationRow>) -> T) -> Self {
        let listed = &page.list;
        Self {
            total_count: Count(listed.total),
            rows: listed.rows.iter().map(|(_, row)| show(row.clone())).collect(),
            cursors: listed.rows.iter().map(|(cursor, _)| cursor.clone()).collect(),
            page_info: PageInfo::of(listed),
            page: Some(page),
        }
    }
}

/// A page of a list that is only read forward.
pub(super) fn forward(first: Option<i32>, after: Option<String>) -> Paging {
    paging(first, after, None, None, None)
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
