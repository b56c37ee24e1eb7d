//! The contract's inputs as JSON, for edges that do not speak GraphQL: read by the same rules, with the same messages.
use std::sync::LazyLock;

use async_graphql::registry::Registry;
use async_graphql::resolver_utils::EnumType;
use async_graphql::{InputType, Value};

use super::coerce::{Source, Types};
use super::filters::{NotificationFilter, PublicationFilter, PublicationOrder, RevisionOrder};
use crate::query::NotificationQuery;
use crate::query::{Filter, Order};

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let mut registry = Registry::default();
    PublicationFilter::create_type_info(&mut registry);
    NotificationFilter::create_type_info(&mut registry);
    Types::new(registry)
});

/// A `PublicationFilter` as JSON.
pub fn publication_filter(json: serde_json::Value) -> Result<Filter, String> {
    PublicationFilter::read(Some(parse(json)?))
}

/// A `NotificationFilter` as JSON.
pub fn notification_filter(json: serde_json::Value) -> Result<NotificationQuery, String> {
    NotificationFilter::read(Some(parse(json)?))
}

/// `PERIOD_DESC` and the like.
pub fn publication_order(name: &str) -> Option<Order> {
    named::<PublicationOrder>(name).map(Into::into)
}

/// All of them.
pub fn publication_orders() -> Vec<&'static str> {
    PublicationOrder::items().iter().map(|item| item.name).collect()
}

/// `ARCHIVED_DESC` and the like.
pub fn revision_order(name: &str) -> Option<Order> {
    named::<RevisionOrder>(name).map(Into::into)
}

/// All of them.
pub fn revision_orders() -> Vec<&'static str> {
    RevisionOrder::items().iter().map(|item| item.name).collect()
}

fn named<T: EnumType>(name: &str) -> Option<T> {
    T::items().iter().find(|item| item.name.eq_ignore_ascii_case(name)).map(|item| item.value)
}

fn parse<T: InputType>(json: serde_json::Value) -> Result<T, String> {
    let value = Value::from_json(json).map_err(|e| e.to_string())?;
    // Parsing alone ignores fields that the input does not have, and a filter that does not filter is worse than an error.
    let value = TYPES.coerce(&T::type_name(), value, Source::Variables)?;
    T::parse(Some(value)).map_err(|e| e.into_server_error(Default::default()).message)
}
