//! Values as the specification coerces them (sections 6.1.2 and 6.4.1). async-graphql departs from it in several ways: it
//! refuses `1.0` for an `Int`, takes a text for an enum value in a document, and finds many wrong values only while it executes.
use async_graphql::registry::{MetaField, MetaInputValue, MetaType, MetaTypeName, Registry};
use async_graphql::{ID, InputType, Name, Number, Pos};
use async_graphql_value::ConstValue;

use super::scalar::{DateTime, LocalDate, LocalDateTime, Long};
use crate::domain::{excerpt, parse_local_date};

/// Types by name.
pub(crate) struct Types(Registry);

/// Where a value was written: a document may hold less than JSON may.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Document,
    Variables,
}

impl Types {
    pub fn new(registry: Registry) -> Self {
        Self(registry)
    }

    pub fn field(&self, parent: &str, name: &str) -> Option<&MetaField> {
        self.0.types.get(parent)?.field_by_name(name)
    }

    /// Every field of every object, with the object's name.
    #[cfg(test)]
    pub fn fields(&self) -> impl Iterator<Item = (&str, &MetaField)> {
        let objects = self.0.types.iter().filter_map(|(name, ty)| match ty {
            MetaType::Object { fields, .. } => Some((name.as_str(), fields)),
            _ => None,
        });
        objects.flat_map(|(name, fields)| fields.values().map(move |field| (name, field)))
    }

    pub fn input_field(&self, input: &str, name: &str) -> Option<&MetaInputValue> {
        match self.0.types.get(input)? {
            MetaType::InputObject { input_fields, .. } => input_fields.get(name),
            _ => None,
        }
    }

    /// A value of a type of input; an error says what is wrong with it.
    pub fn coerce(&self, ty: &str, value: ConstValue, source: Source) -> Result<ConstValue, String> {
        match MetaTypeName::create(ty) {
            MetaTypeName::NonNull(_) if value == ConstValue::Null => Err(format!("null is given, expected {ty}")),
            MetaTypeName::NonNull(ty) => self.coerce(ty, value, source),
            _ if value == ConstValue::Null => Ok(value),
            MetaTypeName::List(ty) => match value {
                ConstValue::List(values) => {
                    let items = values.into_iter().map(|value| self.coerce(ty, value, source));
                    Ok(ConstValue::List(items.collect::<Result<_, _>>()?))
                }
                // A single value is coerced to a list of one.
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
                    Err(format!("{} is not one of {name}: {}", display(&value), all.join(", ")))
                }
            },
            Some(MetaType::InputObject { input_fields, .. }) => {
                let ConstValue::Object(mut given) = value else {
                    return Err(format!("{} is given, expected an object of type {name}", display(&value)));
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
        // JSON does not distinguish 1.0 from 1; a document does.
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
        // The argument `asOf` takes a day too; every other one refuses it.
        "DateTime" if source == Source::Variables && is_day(&value) => Ok(value),
        "DateTime" => parsed::<DateTime>(value),
        "LocalDate" => parsed::<LocalDate>(value),
        "LocalDateTime" => parsed::<LocalDateTime>(value),
        _ => Ok(value),
    }
}

fn is_day(value: &ConstValue) -> bool {
    matches!(value, ConstValue::String(text) if parse_local_date(text).is_some())
}

/// The value, if the scalar takes it.
fn parsed<T: InputType>(value: ConstValue) -> Result<ConstValue, String> {
    match T::parse(Some(value.clone())) {
        Ok(_) => Ok(value),
        Err(e) => {
            let message = e.into_server_error(Pos::default()).message;
            let message = message.trim_end_matches('.');
            // What our scalars say names the value already.
            match message.strip_prefix("Failed to parse ").and_then(|rest| rest.split_once(": ")) {
                Some((_, ours)) if ours.starts_with('`') => Err(ours.to_owned()),
                _ => Err(format!("{} is given: {message}", display(&value))),
            }
        }
    }
}

/// The integer that a number is, however it was written.
fn whole(number: &Number) -> Option<i64> {
    if let Some(n) = number.as_i64() {
        return Some(n);
    }
    // Up to here every integer has a distinct double.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let n = number.as_f64()?;
    (n.fract() == 0.0 && n.abs() <= EXACT_MAX).then_some(n as i64)
}

fn display(value: &ConstValue) -> String {
    format!("`{}`", excerpt(&value.to_string()))
}
