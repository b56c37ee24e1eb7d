//! Variables and arguments, coerced as the specification says (sections 6.1.2 and 6.4.1): variables by their declared types,
//! arguments by the schema's. async-graphql gives `null` to an argument whose variable is absent.
use std::collections::HashMap;
use std::sync::LazyLock;

use async_graphql::parser::types::VariableDefinition;
use async_graphql::registry::{MetaInputValue, Registry};
use async_graphql::{Name, OutputType, Pos, Positioned, ServerError, SubscriptionType, Variables};
use async_graphql_value::{ConstValue, Value};

use super::error::{code, request_error};
use super::mutation::MutationRoot;
use super::query::QueryRoot;
use super::subscription::SubscriptionRoot;
use crate::contract::{Source, Types};
use crate::domain::{end_of_day, format_instant, parse_local_date};

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let mut registry = Registry::default();
    QueryRoot::create_type_info(&mut registry);
    MutationRoot::create_type_info(&mut registry);
    SubscriptionRoot::create_type_info(&mut registry);
    registry.query_type = QueryRoot::type_name().into_owned();
    registry.mutation_type = Some(MutationRoot::type_name().into_owned());
    registry.subscription_type = Some(SubscriptionRoot::type_name().into_owned());
    // The parts that the root is made of are no types of the schema.
    registry.remove_unused_types();
    Types::new(registry)
});

/// The schema's types.
pub(super) fn schema_types() -> &'static Types {
    &TYPES
}

/// The variables that an operation declares; `None` for one that was not given and has no default.
pub(super) type VariableValues<'a> = HashMap<&'a str, Option<ConstValue>>;

/// The variables of an operation. A variable of an unknown type is left to the validation of the document.
pub(super) fn declared<'a>(
    types: &Types,
    definitions: &'a [Positioned<VariableDefinition>],
    given: &Variables,
) -> Result<VariableValues<'a>, ServerError> {
    let mut declared = VariableValues::new();
    for definition in definitions {
        let variable = &definition.node;
        let name = variable.name.node.as_str();
        let ty = variable.var_type.node.to_string();
        let wrong = |what: String| bad_request(format!("variable `${name}`: {what}"), definition.pos);
        let value = match (given.get(name), &variable.default_value) {
            (Some(value), _) => Some(types.coerce(&ty, value.clone(), Source::Variables).map_err(wrong)?),
            (None, Some(default)) => Some(types.coerce(&ty, default.node.clone(), Source::Document).map_err(wrong)?),
            (None, None) if !variable.var_type.node.nullable => {
                return Err(wrong(format!("a value of type {ty} is required and none is given")));
            }
            (None, None) => None,
        };
        declared.insert(name, value);
    }
    Ok(declared)
}

/// The value of an argument; `argument` is absent for one that the schema does not have.
pub(super) fn argument(
    types: &Types,
    argument: Option<&MetaInputValue>,
    value: ConstValue,
    name: &Positioned<Name>,
) -> Result<ConstValue, ServerError> {
    let Some(argument) = argument else { return Ok(value) };
    let value = if name.node == AS_OF { with_end_of_day(value) } else { value };
    let wrong = |what: String| bad_request(format!("argument `{}`: {what}", name.node), name.pos);
    types.coerce(&argument.ty, value, Source::Document).map_err(wrong)
}

/// The argument that takes a day too.
const AS_OF: &str = "asOf";

/// A day as the instant at which it ends in São Paulo; anything else as it is.
fn with_end_of_day(value: ConstValue) -> ConstValue {
    let ConstValue::String(text) = &value else { return value };
    let end = parse_local_date(text).and_then(end_of_day);
    end.map_or(value, |end| ConstValue::String(format_instant(end)))
}

/// A value with its variables filled in. The outer `None`: a variable that the operation does not declare. The inner one:
/// the whole value is a variable without a value.
pub(super) fn fill_in(value: &Value, declared: &VariableValues<'_>) -> Option<Option<ConstValue>> {
    Some(Some(match value {
        Value::Variable(name) => return declared.get(name.as_str()).cloned(),
        Value::Null => ConstValue::Null,
        Value::Number(n) => ConstValue::Number(n.clone()),
        Value::String(text) => ConstValue::String(text.clone()),
        Value::Boolean(flag) => ConstValue::Boolean(*flag),
        Value::Binary(bytes) => ConstValue::Binary(bytes.clone()),
        Value::Enum(name) => ConstValue::Enum(name.clone()),
        Value::List(values) => {
            // An item of a list cannot be absent: a missing value is null there.
            let items = values.iter().map(|value| Some(fill_in(value, declared)?.unwrap_or(ConstValue::Null)));
            ConstValue::List(items.collect::<Option<_>>()?)
        }
        Value::Object(fields) => {
            let mut filled = async_graphql::indexmap::IndexMap::with_capacity(fields.len());
            for (name, value) in fields {
                if let Some(value) = fill_in(value, declared)? {
                    filled.insert(name.clone(), value);
                }
            }
            ConstValue::Object(filled)
        }
    }))
}

/// An error of the client's in a document or its variables.
pub(super) fn bad_request(message: String, pos: Pos) -> ServerError {
    request_error(code::BAD_USER_INPUT, message, Some(pos))
}
