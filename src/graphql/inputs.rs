//! The contract's inputs for who speaks no GraphQL: the same JSON, the same words.
use async_graphql::{InputType, Value};

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
    let known = unknown_fields::<T>(&json);
    if let Some(name) = known {
        return Err(format!("`{name}` is no field of it"));
    }
    let value = Value::from_json(json).map_err(|e| e.to_string())?;
    T::parse(Some(value)).map_err(|e| e.into_server_error(Default::default()).message)
}

/// A field that the input does not have: parsing passes over it, and a filter that does not filter is worse than an error.
fn unknown_fields<T: InputType>(json: &serde_json::Value) -> Option<String> {
    let mut registry = async_graphql::registry::Registry::default();
    let name = T::create_type_info(&mut registry);
    let known = match registry.types.get(name.trim_end_matches('!'))? {
        async_graphql::registry::MetaType::InputObject { input_fields, .. } => input_fields,
        _ => return None,
    };
    json.as_object()?.keys().find(|key| !known.contains_key(key.as_str())).cloned()
}
