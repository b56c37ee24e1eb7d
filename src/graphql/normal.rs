//! Documents as they are executed: one operation without fragments, directives and variables, whose fields are collected and
//! merged as the specification says (sections 6.3.2 and 6.3.3). What is left then reads the same to every resolver, and the
//! writer of rows meets each list once, with all its columns.
use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::registry::MetaTypeName;
use async_graphql::{Pos, Positioned, ServerError, Variables};
use async_graphql_value::ConstValue;

use super::operation::root;
use super::shape::{PLACEHOLDER, placeholder};
use super::variables::{VariableValues, argument, bad_request, declared, fill_in};
use crate::contract::Types;

/// Selections inside selections, as many as the parser takes: beyond it fragments go around in a circle.
const DEPTH_MAX: usize = 64;

/// An operation as it is executed.
pub(super) struct Normal {
    pub operation: Positioned<OperationDefinition>,
    /// Whether anything differs from the document that was sent.
    pub is_changed: bool,
}

/// Why an operation has no normal form.
pub(super) enum NormalizeError {
    /// A request error.
    Refused(ServerError),
    /// The document breaks a rule, which its validation names.
    Invalid,
}

impl From<ServerError> for NormalizeError {
    fn from(error: ServerError) -> Self {
        Self::Refused(error)
    }
}

pub(super) fn normalize(
    types: &Types,
    document: &ExecutableDocument,
    operation: &Positioned<OperationDefinition>,
    variables: &Variables,
) -> Result<Normal, NormalizeError> {
    let definitions = &operation.node.variable_definitions;
    let mut pass = Pass {
        types,
        document,
        declared: declared(types, definitions, variables)?,
        is_changed: !definitions.is_empty() || !operation.node.directives.is_empty(),
    };
    let set = &operation.node.selection_set;
    let selected = pass.set(Some(root(operation.node.ty)), &[&set.node], 0)?;
    if operation.node.ty == OperationType::Subscription {
        check_single_root(&selected, operation.pos)?;
    }
    let normal = OperationDefinition {
        ty: operation.node.ty,
        variable_definitions: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::new(selected, set.pos),
    };
    Ok(Normal { operation: Positioned::new(normal, operation.pos), is_changed: pass.is_changed })
}

/// A subscription has exactly one root field (specification, 5.2.3.1).
fn check_single_root(selected: &SelectionSet, pos: Pos) -> Result<(), ServerError> {
    let message = match selected.items.as_slice() {
        [Positioned { node: Selection::Field(field), .. }] if field.node.response_key().node != PLACEHOLDER => {
            return Ok(());
        }
        [_] => "every field of the subscription is skipped: select one".to_owned(),
        fields => {
            format!("the subscription selects {} fields: select one, and send a subscription for each", fields.len())
        }
    };
    Err(bad_request(message, pos))
}

struct Pass<'a> {
    types: &'a Types,
    document: &'a ExecutableDocument,
    declared: VariableValues<'a>,
    is_changed: bool,
}

/// A field of the response, and all selections of its value.
struct CollectedField<'a> {
    field: &'a Positioned<Field>,
    sets: Vec<&'a SelectionSet>,
}

/// The fields of an object in the order in which they were first named.
#[derive(Default)]
struct Fields<'a> {
    all: Vec<CollectedField<'a>>,
    positions: HashMap<&'a str, usize>,
    fragments: HashSet<&'a str>,
}

impl<'a> Pass<'a> {
    /// `parent` is the type of the object, if the schema knows it.
    fn set(
        &mut self,
        parent: Option<&str>,
        sets: &[&'a SelectionSet],
        depth: usize,
    ) -> Result<SelectionSet, NormalizeError> {
        if depth > DEPTH_MAX {
            return Err(NormalizeError::Invalid);
        }
        let mut fields = Fields::default();
        for set in sets {
            self.collect(set, &mut fields)?;
        }
        let mut items = Vec::with_capacity(fields.all.len());
        for collected in fields.all {
            let field = self.field(parent, &collected, depth)?;
            items.push(Positioned::new(
                Selection::Field(Positioned::new(field, collected.field.pos)),
                collected.field.pos,
            ));
        }
        if items.is_empty() {
            self.is_changed = true;
            items.push(placeholder());
        }
        Ok(SelectionSet { items })
    }

    fn collect(&mut self, set: &'a SelectionSet, fields: &mut Fields<'a>) -> Result<(), NormalizeError> {
        for selection in &set.items {
            let directives = selection.node.directives();
            self.is_changed |= !directives.is_empty() || !matches!(selection.node, Selection::Field(_));
            if self.is_skipped(directives)? {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => self.add(field, fields)?,
                Selection::InlineFragment(fragment) => {
                    self.collect(&fragment.node.selection_set.node, fields)?;
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    if fields.fragments.insert(name) {
                        let fragment = self.document.fragments.get(name).ok_or(NormalizeError::Invalid)?;
                        self.collect(&fragment.node.selection_set.node, fields)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, field: &'a Positioned<Field>, fields: &mut Fields<'a>) -> Result<(), NormalizeError> {
        let set = &field.node.selection_set.node;
        let key = field.node.response_key().node.as_str();
        match fields.positions.get(key) {
            None => {
                fields.positions.insert(key, fields.all.len());
                fields.all.push(CollectedField { field, sets: vec![set] });
            }
            Some(position) => {
                self.is_changed = true;
                if let Some(known) = fields.all.get_mut(*position) {
                    // Every type of the schema is an object: under one name there is one field.
                    if !is_same(&known.field.node, &field.node) {
                        let message = format!(
                            "two different fields are selected as `{key}`, or one with different arguments: give one of them an alias"
                        );
                        return Err(bad_request(message, field.pos).into());
                    }
                    known.sets.push(set);
                }
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        parent: Option<&str>,
        collected: &CollectedField<'a>,
        depth: usize,
    ) -> Result<Field, NormalizeError> {
        let field = &collected.field.node;
        let types = self.types;
        let meta = parent.and_then(|parent| types.field(parent, field.name.node.as_str()));
        let mut arguments = Vec::with_capacity(field.arguments.len());
        for (name, value) in &field.arguments {
            let known = meta.and_then(|meta| meta.args.get(name.node.as_str()));
            let filled = fill_in(&value.node, &self.declared).ok_or(NormalizeError::Invalid)?;
            let Some(filled) = filled else {
                // A variable without a value: as if the argument were absent.
                if known.is_some_and(|argument| argument.ty.ends_with('!') && argument.default_value.is_none()) {
                    let message = format!("argument `{}` is required, and its variable has no value", name.node);
                    return Err(bad_request(message, name.pos).into());
                }
                continue;
            };
            let coerced = argument(types, known, filled, name)?.into_value();
            self.is_changed |= coerced != value.node;
            arguments.push((name.clone(), Positioned::new(coerced, value.pos)));
        }
        let inner = meta.map(|meta| MetaTypeName::concrete_typename(&meta.ty));
        let is_leaf = collected.sets.iter().all(|set| set.items.is_empty());
        let selected = if is_leaf { SelectionSet::default() } else { self.set(inner, &collected.sets, depth + 1)? };
        Ok(Field {
            alias: field.alias.clone(),
            name: field.name.clone(),
            arguments,
            directives: Vec::new(),
            selection_set: Positioned::new(selected, field.selection_set.pos),
        })
    }

    /// Whether `@skip` or `@include` leaves a selection out.
    fn is_skipped(&self, directives: &[Positioned<Directive>]) -> Result<bool, NormalizeError> {
        let mut skipped = false;
        for directive in directives {
            let includes = match directive.node.name.node.as_str() {
                "skip" => false,
                "include" => true,
                _ => return Err(NormalizeError::Invalid),
            };
            let [(name, value)] = directive.node.arguments.as_slice() else { return Err(NormalizeError::Invalid) };
            if name.node != "if" {
                return Err(NormalizeError::Invalid);
            }
            match fill_in(&value.node, &self.declared).ok_or(NormalizeError::Invalid)? {
                Some(ConstValue::Boolean(flag)) => skipped |= flag != includes,
                _ => {
                    let message = format!("`if` of @{} must be true or false", directive.node.name.node);
                    return Err(bad_request(message, value.pos).into());
                }
            }
        }
        Ok(skipped)
    }
}

fn is_same(one: &Field, other: &Field) -> bool {
    one.name.node == other.name.node
        && one.arguments.len() == other.arguments.len()
        && one
            .arguments
            .iter()
            .all(|(name, value)| other.get_argument(&name.node).is_some_and(|it| it.node == value.node))
}
