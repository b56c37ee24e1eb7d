//! What may be asked.
use jiff::Timestamp;

use super::Paging;
use crate::index::{Filter, Order};
use crate::record::NotificationQuery;

/// For publications.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicationAsk {
    pub search: Option<String>,
    /// Whether the rows are to have their score, in whatever order they come.
    pub scored: bool,
    pub filter: Filter,
    pub as_of: Option<Timestamp>,
    pub order: Order,
    pub paging: Paging,
}

/// For revisions.
#[derive(Clone, Debug)]
pub struct RevisionAsk {
    pub search: Option<String>,
    pub filter: Filter,
    pub order: Order,
    pub paging: Paging,
}

/// For products.
#[derive(Clone, Debug)]
pub struct ProductAsk {
    pub search: Option<String>,
    pub filter: Filter,
    pub order: Order,
    pub paging: Paging,
}

/// For the log of notifications, newest first.
#[derive(Clone, Debug, Default)]
pub struct NotificationAsk {
    pub query: NotificationQuery,
    pub paging: Paging,
    /// Whether the rows are to have their bodies, which may be large; without, they are empty.
    pub bodies: bool,
}
