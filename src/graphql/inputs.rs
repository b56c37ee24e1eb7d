//! The contract's inputs for who speaks no GraphQL: the same JSON, the same words.
use async_graphql::{InputType, Value};

use super::coerce::Types;
use super::input::{NotificationFilter, PublicationFilter, PublicationOrder, RevisionOrder};
use crate::index::{Filter, Order};
use crate::record::NotificationQuery;

/// A `PublicationFilter` as JSON.
pub fn publication_filter(json: serde_json::Value) -> Result<Filter, String> {
    let read = PublicationFilter::read(Some(parse(json)?));
    read.map_err(|e| e.message)
}

/// A `NotificationFilter` as JSON.
pub fn notification_filter(json: serde_json::Value) -> Result<NotificationQuery, String> {
    let read = NotificationFilter::read(Some(parse(json)?));
    read.map_err(|e| e.message)
}

/// `PERIOD_DESC` and the like.
pub fn publication_order(name: &str) -> Option<Order> {
    named::<PublicationOrder>(name).map(Into::into)
}

/// `ARCHIVED_DESC` and the like.
pub fn revision_order(name: &str) -> Option<Order> {
    named::<RevisionOrder>(name).map(Into::into)
}

fn named<T: async_graphql::resolver_utils::EnumType>(name: &str) -> Option<T> {
    T::items().iter().find(|item| item.name == name).map(|item| item.value)
}

fn parse<T: InputType>(json: serde_json::Value) -> Result<T, String> {
    let value = Value::from_json(json).map_err(|e| e.to_string())?;
    // Parsing alone passes over fields that the input does not have, and a filter that does not filter is worse than an error.
    let value = Types::get().input(&T::type_name(), value)?;
    T::parse(Some(value)).map_err(|e| e.into_server_error(Default::default()).message)
}
