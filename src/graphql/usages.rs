//! Where variables are allowed (section 5.8.5 of the specification). async-graphql has the rule and never runs it, so a variable
//! of the wrong type would be found only by its value.
use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, FragmentDefinition, OperationDefinition, Selection,
    SelectionSet, VariableDefinition,
};
use async_graphql::registry::MetaTypeName;
use async_graphql::{Name, Pos, Positioned, ServerError};
use async_graphql_value::{ConstValue, Value};

use super::operation::root;
use super::variables::bad_request;
use crate::contract::Types;

/// Refuses a variable whose declared type does not fit where it is used.
pub(super) fn check_usages(types: &Types, document: &ExecutableDocument) -> Result<(), ServerError> {
    let operations: Vec<&Positioned<OperationDefinition>> = match &document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(all) => all.values().collect(),
    };
    for operation in operations {
        let definitions = &operation.node.variable_definitions;
        let declared = definitions.iter().map(|definition| (definition.node.name.node.as_str(), &definition.node));
        let mut usages =
            Usages { types, fragments: &document.fragments, declared: declared.collect(), seen: HashSet::new() };
        usages.set(Some(root(operation.node.ty)), &operation.node.selection_set.node)?;
    }
    Ok(())
}

struct Usages<'a> {
    types: &'a Types,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    declared: HashMap<&'a str, &'a VariableDefinition>,
    seen: HashSet<&'a str>,
}

impl<'a> Usages<'a> {
    fn set(&mut self, parent: Option<&str>, set: &'a SelectionSet) -> Result<(), ServerError> {
        let types = self.types;
        for selection in &set.items {
            self.directives(selection.node.directives())?;
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    let meta = parent.and_then(|parent| types.field(parent, field.name.node.as_str()));
                    for (name, value) in &field.arguments {
                        if let Some(argument) = meta.and_then(|meta| meta.args.get(name.node.as_str())) {
                            self.value(&argument.ty, argument.default_value.is_some(), &value.node, value.pos)?;
                        }
                    }
                    let inner = meta.map(|meta| MetaTypeName::concrete_typename(&meta.ty));
                    self.set(inner, &field.selection_set.node)?;
                }
                Selection::InlineFragment(fragment) => self.set(parent, &fragment.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    if let Some(fragment) = self.fragments.get(name)
                        && self.seen.insert(name)
                    {
                        let on = fragment.node.type_condition.node.on.node.as_str();
                        self.set(Some(on), &fragment.node.selection_set.node)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn directives(&self, directives: &[Positioned<Directive>]) -> Result<(), ServerError> {
        let conditions = directives.iter().flat_map(|directive| &directive.node.arguments);
        conditions.into_iter().try_for_each(|(_, value)| self.value("Boolean!", false, &value.node, value.pos))
    }

    fn value(&self, ty: &str, has_default: bool, value: &Value, pos: Pos) -> Result<(), ServerError> {
        match value {
            Value::Variable(name) => {
                let Some(variable) = self.declared.get(name.as_str()) else { return Ok(()) };
                if is_allowed_at(variable, ty, has_default) {
                    return Ok(());
                }
                let declared = &variable.var_type.node;
                Err(bad_request(
                    format!("variable `${name}` is of type {declared}, but is used where {ty} is expected"),
                    pos,
                ))
            }
            Value::List(values) => match MetaTypeName::create(ty).unwrap_non_null() {
                MetaTypeName::List(item) => values.iter().try_for_each(|value| self.value(item, false, value, pos)),
                _ => Ok(()),
            },
            Value::Object(fields) => {
                let fields = fields.iter().filter_map(|(name, value)| {
                    let field = self.types.input_field(MetaTypeName::concrete_typename(ty), name.as_str())?;
                    Some((field, value))
                });
                fields
                    .into_iter()
                    .try_for_each(|(field, value)| self.value(&field.ty, field.default_value.is_some(), value, pos))
            }
            _ => Ok(()),
        }
    }
}

fn is_allowed_at(variable: &VariableDefinition, expected: &str, has_default: bool) -> bool {
    let declared = variable.var_type.node.to_string();
    let of_variable = variable.default_value.as_ref().is_some_and(|value| value.node != ConstValue::Null);
    match expected.strip_suffix('!') {
        Some(nullable) if !declared.ends_with('!') => (has_default || of_variable) && fits(&declared, nullable),
        _ => fits(&declared, expected),
    }
}

fn fits(declared: &str, expected: &str) -> bool {
    match (MetaTypeName::create(declared), MetaTypeName::create(expected)) {
        (MetaTypeName::NonNull(declared), MetaTypeName::NonNull(expected)) => fits(declared, expected),
        (_, MetaTypeName::NonNull(_)) => false,
        (MetaTypeName::NonNull(declared), _) => fits(declared, expected),
        (MetaTypeName::List(declared), MetaTypeName::List(expected)) => fits(declared, expected),
        (MetaTypeName::Named(declared), MetaTypeName::Named(expected)) => declared == expected,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn types_fit_as_the_specification_says() {
        for (declared, expected, fit) in [
            ("Int", "Int", true),
            ("Int!", "Int", true),
            ("Int", "Int!", false),
            ("Int", "ID", false),
            ("[ID!]", "[ID!]", true),
            ("[ID!]!", "[ID!]", true),
            ("[ID!]", "[ID]", true),
            ("[ID]", "[ID!]", false),
            ("ID!", "[ID!]", false),
            ("[ID!]", "ID", false),
        ] {
            assert_eq!(fits(declared, expected), fit, "{declared} at {expected}");
        }
    }
}
