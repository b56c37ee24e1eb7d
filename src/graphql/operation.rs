//! Requests: how they come as JSON, and which operation of their document they ask for.
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType};
use async_graphql::{Positioned, Request, Variables};
use serde_json::{Map, Value};

/// A request as it comes over HTTP and WebSocket alike; an error names the field that is wrong.
pub fn request_of(mut fields: Map<String, Value>) -> Result<Request, String> {
    let wrong = |name: &str, expected: &str| Err(format!("`{name}` is not a {expected}"));
    let Some(Value::String(query)) = fields.remove("query") else {
        return Err("`query` is missing: the GraphQL document".to_owned());
    };
    let mut request = Request::new(query);
    match fields.remove("variables") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.is_empty() => {}
        Some(Value::Object(variables)) => request = request.variables(Variables::from_json(Value::Object(variables))),
        Some(_) => return wrong("variables", "JSON object"),
    }
    match fields.remove("operationName") {
        None | Some(Value::Null) => {}
        // Clients that name no operation may send an empty name.
        Some(Value::String(name)) if name.is_empty() => {}
        Some(Value::String(name)) => request = request.operation_name(name),
        Some(_) => return wrong("operationName", "string"),
    }
    match fields.remove("extensions") {
        None | Some(Value::Null | Value::Object(_)) => Ok(request),
        Some(Value::String(text)) if text.is_empty() => Ok(request),
        Some(_) => wrong("extensions", "JSON object"),
    }
}

/// The type of a request's operation; `None` if its document does not parse or has no such operation.
pub fn operation_type(request: &mut Request) -> Option<OperationType> {
    let name = request.operation_name.clone();
    let document = request.parsed_query().ok()?;
    chosen(document, name.as_deref()).map(|operation| operation.node.ty)
}

/// The operation of a request (specification, 6.1).
pub(super) fn chosen<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Option<&'a Positioned<OperationDefinition>> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Some(operation),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(all), Some(name)) => all.get(name),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => all.values().next(),
        (DocumentOperations::Multiple(_), None) => None,
    }
}

/// The type that an operation begins with.
pub(super) fn root(operation: OperationType) -> &'static str {
    match operation {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    }
}
