//! What a caller may request.
use jiff::Timestamp;

use super::Paging;
use crate::engine::index::{Filter, Order, SearchIn};
use crate::engine::record::NotificationQuery;

/// A page of publications.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicationRequest {
    pub search: Option<String>,
    pub search_in: SearchIn,
    /// Whether rows need their score, whatever their order.
    pub scored: bool,
    pub filter: Filter,
    pub as_of: Option<Timestamp>,
    pub order: Order,
    pub paging: Paging,
}

/// A page of revisions.
#[derive(Clone, Debug)]
pub struct RevisionRequest {
    pub search: Option<String>,
    pub search_in: SearchIn,
    pub filter: Filter,
    pub order: Order,
    pub paging: Paging,
}

/// A page of products.
#[derive(Clone, Debug)]
pub struct ProductRequest {
    pub search: Option<String>,
    pub filter: Filter,
    pub order: Order,
    pub paging: Paging,
}

/// A page of the log of notifications, newest first.
#[derive(Clone, Debug, Default)]
pub struct NotificationRequest {
    pub query: NotificationQuery,
    pub paging: Paging,
    /// Whether rows need their bodies, which may be large; otherwise these are empty.
    pub bodies: bool,
}
