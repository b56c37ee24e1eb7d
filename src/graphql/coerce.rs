//! Values as the specification coerces them (sections 6.1.2 and 6.4.1): variables by their declared types, arguments by the
//! schema's. async-graphql departs from it in several ways: it refuses `1.0` for an `Int`, takes a text for an enum value in a
//! document, gives `null` to an argument whose variable is absent, and finds many wrong variables only while it executes.
use std::collections::HashMap;
use std::sync::LazyLock;

use async_graphql::parser::types::VariableDefinition;
use async_graphql::registry::{MetaField, MetaInputValue, MetaType, MetaTypeName, Registry};
use async_graphql::{
    ID, InputType, Name, Number, OutputType, Pos, Positioned, ServerError, SubscriptionType, Variables,
};
use async_graphql_value::{ConstValue, Value as Input};

use super::error::code;
use super::mutation::MutationRoot;
use super::query::QueryRoot;
use super::scalar::{DateTime, LocalDate, LocalDateTime, Long};
use super::subscription::SubscriptionRoot;
use crate::domain::excerpt;

/// The schema's types, by name.
pub(super) struct Types(Registry);

static TYPES: LazyLock<Types> = LazyLock::new(Types::of_schema);

/// The variables that an operation declares; `None` for one that was not given and has no default.
pub(super) type Declared<'a> = HashMap<&'a str, Option<ConstValue>>;

/// Where a value was written: a document may hold less than JSON may.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Document,
    Variables,
}

impl Types {
    pub fn get() -> &'static Self {
        &TYPES
    }

    fn of_schema() -> Self {
        let mut registry = Registry::default();
        QueryRoot::create_type_info(&mut registry);
        MutationRoot::create_type_info(&mut registry);
        SubscriptionRoot::create_type_info(&mut registry);
        Self(registry)
    }

    pub fn field(&self, parent: &str, name: &str) -> Option<&MetaField> {
        self.0.types.get(parent)?.field_by_name(name)
    }

    pub fn input_field(&self, input: &str, name: &str) -> Option<&MetaInputValue> {
        match self.0.types.get(input)? {
            MetaType::InputObject { input_fields, .. } => input_fields.get(name),
            _ => None,
        }
    }

    /// The variables of an operation. A variable of an unknown type is left to the validation of the document.
    pub fn variables<'a>(
        &self,
        definitions: &'a [Positioned<VariableDefinition>],
        given: &Variables,
    ) -> Result<Declared<'a>, ServerError> {
        let mut declared = Declared::new();
        for definition in definitions {
            let variable = &definition.node;
            let name = variable.name.node.as_str();
            let ty = variable.var_type.node.to_string();
            let wrong = |what: String| refusal(format!("variable `${name}`: {what}"), definition.pos);
            let value = match (given.get(name), &variable.default_value) {
                (Some(value), _) => Some(self.coerce(&ty, value.clone(), Source::Variables).map_err(wrong)?),
                (None, Some(default)) => Some(self.coerce(&ty, default.node.clone(), Source::Document).map_err(wrong)?),
                (None, None) if !variable.var_type.node.nullable => {
                    return Err(wrong(format!("a value of type {ty} is required and none is given")));
                }
                (None, None) => None,
            };
            declared.insert(name, value);
        }
        Ok(declared)
    }

    /// A value of an input type that came as JSON.
    pub fn input(&self, ty: &str, value: ConstValue) -> Result<ConstValue, String> {
        self.coerce(ty, value, Source::Variables)
    }

    /// The value of an argument; `argument` is absent for one that the schema does not have.
    pub fn argument(
        &self,
        argument: Option<&MetaInputValue>,
        value: ConstValue,
        name: &Positioned<Name>,
    ) -> Result<ConstValue, ServerError> {
        let Some(argument) = argument else { return Ok(value) };
        let wrong = |what: String| refusal(format!("argument `{}`: {what}", name.node), name.pos);
        self.coerce(&argument.ty, value, Source::Document).map_err(wrong)
    }

    fn coerce(&self, ty: &str, value: ConstValue, source: Source) -> Result<ConstValue, String> {
        match MetaTypeName::create(ty) {
            MetaTypeName::NonNull(_) if value == ConstValue::Null => Err(format!("null is given, expected {ty}")),
            MetaTypeName::NonNull(ty) => self.coerce(ty, value, source),
            _ if value == ConstValue::Null => Ok(value),
            MetaTypeName::List(ty) => match value {
                ConstValue::List(values) => {
                    let items = values.into_iter().map(|value| self.coerce(ty, value, source));
                    Ok(ConstValue::List(items.collect::<Result<_, _>>()?))
                }
                // One value stands for a list of one.
                value => Ok(ConstValue::List(vec![self.coerce(ty, value, source)?])),
            },
            MetaTypeName::Named(name) => self.named(name, value, source),
        }
    }

    fn named(&self, name: &str, value: ConstValue, source: Source) -> Result<ConstValue, String> {
        match self.0.types.get(name) {
            Some(MetaType::Enum { enum_values, .. }) => match value {
                ConstValue::Enum(item) if enum_values.contains_key(item.as_str()) => Ok(ConstValue::Enum(item)),
                ConstValue::String(item) if source == Source::Variables && enum_values.contains_key(&item) => {
                    Ok(ConstValue::Enum(Name::new(item)))
                }
                value => {
                    let all: Vec<&str> = enum_values.keys().map(String::as_str).collect();
                    Err(format!("{} is not one of {name}: {}", shown(&value), all.join(", ")))
                }
            },
            Some(MetaType::InputObject { input_fields, .. }) => {
                let ConstValue::Object(mut given) = value else {
                    return Err(format!("{} is given, expected an object of type {name}", shown(&value)));
                };
                if let Some(unknown) = given.keys().find(|key| !input_fields.contains_key(key.as_str())) {
                    return Err(format!("`{}` is not a field of {name}", excerpt(unknown)));
                }
                for (field, meta) in input_fields {
                    match given.get_mut(field.as_str()) {
                        Some(slot) => {
                            let value = self.coerce(&meta.ty, std::mem::take(slot), source);
                            *slot = value.map_err(|e| format!("{field}: {e}"))?;
                        }
                        None if meta.ty.ends_with('!') && meta.default_value.is_none() => {
                            return Err(format!("{name} needs a field `{field}` of type {}", meta.ty));
                        }
                        None => {}
                    }
                }
                Ok(ConstValue::Object(given))
            }
            Some(MetaType::Scalar { .. }) => scalar(name, value, source),
            // Not a type for values: the validation of the document says so.
            _ => Ok(value),
        }
    }
}

fn scalar(name: &str, value: ConstValue, source: Source) -> Result<ConstValue, String> {
    let value = match (name, value) {
        // JSON does not tell 1.0 from 1; a document does.
        ("Int" | "Long" | "ID", ConstValue::Number(n)) if source == Source::Variables => {
            ConstValue::Number(whole(&n).map_or(n, Number::from))
        }
        (_, value) => value,
    };
    match name {
        "Int" => parsed::<i32>(value),
        "Long" => parsed::<Long>(value),
        "Float" => parsed::<f64>(value),
        "Boolean" => parsed::<bool>(value),
        "String" => parsed::<String>(value),
        "ID" => parsed::<ID>(value).map(|value| match value {
            ConstValue::Number(n) => ConstValue::String(n.to_string()),
            value => value,
        }),
        "DateTime" => parsed::<DateTime>(value),
        "LocalDate" => parsed::<LocalDate>(value),
        "LocalDateTime" => parsed::<LocalDateTime>(value),
        _ => Ok(value),
    }
}

/// The value, where the scalar takes it.
fn parsed<T: InputType>(value: ConstValue) -> Result<ConstValue, String> {
    match T::parse(Some(value.clone())) {
        Ok(_) => Ok(value),
        Err(e) => {
            let message = e.into_server_error(Pos::default()).message;
            Err(format!("{} is given: {}", shown(&value), message.trim_end_matches('.')))
        }
    }
}

/// The integer that a number is, whatever way it was written.
fn whole(number: &Number) -> Option<i64> {
    if let Some(n) = number.as_i64() {
        return Some(n);
    }
    // Up to here every integer is a double of its own.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let n = number.as_f64()?;
    (n.fract() == 0.0 && n.abs() <= EXACT_MAX).then_some(n as i64)
}

/// A value with its variables filled in. The outer `None`: a variable that the operation does not declare. The inner one:
/// a variable that was not given stands for the whole.
pub(super) fn fill_in(value: &Input, declared: &Declared<'_>) -> Option<Option<ConstValue>> {
    Some(Some(match value {
        Input::Variable(name) => return declared.get(name.as_str()).cloned(),
        Input::Null => ConstValue::Null,
        Input::Number(n) => ConstValue::Number(n.clone()),
        Input::String(text) => ConstValue::String(text.clone()),
        Input::Boolean(flag) => ConstValue::Boolean(*flag),
        Input::Binary(bytes) => ConstValue::Binary(bytes.clone()),
        Input::Enum(name) => ConstValue::Enum(name.clone()),
        Input::List(values) => {
            // Inside a list there is no absence: what is not given is null there.
            let items = values.iter().map(|value| Some(fill_in(value, declared)?.unwrap_or_default()));
            ConstValue::List(items.collect::<Option<_>>()?)
        }
        Input::Object(fields) => {
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

/// A request error: the document is not executed.
pub(super) fn refusal(message: String, pos: Pos) -> ServerError {
    let mut error = ServerError::new(message, Some(pos));
    error.extensions.get_or_insert_default().set("code", code::BAD_USER_INPUT);
    error
}

fn shown(value: &ConstValue) -> String {
    format!("`{}`", excerpt(&value.to_string()))
}
