//! Documents as they are executed: one operation without fragments, directives and variables, whose fields are collected and
//! merged as the specification says (sections 6.3.2 and 6.3.3). What is left then reads the same to every resolver, and the
//! flat writer meets each list once, with all its columns.
use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, InlineFragment, OperationDefinition, OperationType,
    Selection, SelectionSet,
};
use async_graphql::registry::MetaTypeName;
use async_graphql::{Name, Pos, Positioned, ServerError, Variables};
use async_graphql_value::{ConstValue, Value};

use super::coerce::{Declared, Types, fill_in, refusal};
use super::error::code;

/// Selections of a document once its fragments are filled in; a document without them cannot come close.
const SELECTIONS_MAX: usize = 10_000;

/// Selections inside selections, as many as the parser takes: beyond it fragments go around in a circle.
const DEPTH_MAX: usize = 64;

/// Stands where every field of an object was skipped: the library has no empty selections. [`without_placeholders`] takes it
/// out of the answer.
pub(super) const PLACEHOLDER: &str = "acervoNothingSelected";

/// An operation as it is executed.
pub(super) struct Normal {
    pub document: ExecutableDocument,
    /// Whether anything differs from the document that was sent.
    pub is_changed: bool,
    pub has_placeholders: bool,
    /// The variables after coercion. One that was not given, where an argument has a number for its default, has that number:
    /// async-graphql reads it to count what the document costs, and would find a null.
    pub variables: Variables,
}

/// Why an operation has no normal form.
pub(super) enum Abnormal {
    /// A request error of its own.
    Refused(ServerError),
    /// The document breaks a rule that its validation will name.
    Invalid,
}

impl From<ServerError> for Abnormal {
    fn from(error: ServerError) -> Self {
        Self::Refused(error)
    }
}

/// The operation that a request asks for.
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

pub(super) fn normalize(
    types: &Types,
    document: &ExecutableDocument,
    operation: &Positioned<OperationDefinition>,
    variables: &Variables,
) -> Result<Normal, Abnormal> {
    let definitions = &operation.node.variable_definitions;
    let mut pass = Pass {
        types,
        document,
        declared: types.variables(definitions, variables)?,
        is_changed: !definitions.is_empty() || !operation.node.directives.is_empty(),
        has_placeholders: false,
        defaults: Vec::new(),
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
    let operations = DocumentOperations::Single(Positioned::new(normal, operation.pos));
    let document = ExecutableDocument { operations, fragments: HashMap::new() };
    let (is_changed, has_placeholders) = (pass.is_changed, pass.has_placeholders);
    let mut variables = Variables::default();
    for (name, number) in pass.defaults {
        variables.insert(Name::new(name), ConstValue::from(number));
    }
    for (name, value) in pass.declared {
        if let Some(value) = value {
            variables.insert(Name::new(name), value);
        }
    }
    Ok(Normal { document, is_changed, has_placeholders, variables })
}

/// A subscription has exactly one root field (specification, 5.2.3.1).
fn check_single_root(selected: &SelectionSet, pos: Pos) -> Result<(), ServerError> {
    let told = match selected.items.as_slice() {
        [Positioned { node: Selection::Field(field), .. }] if field.node.response_key().node != PLACEHOLDER => {
            return Ok(());
        }
        [_] => "every field of the subscription is skipped: select one".to_owned(),
        fields => {
            format!("the subscription selects {} fields: select one, and send a subscription for each", fields.len())
        }
    };
    Err(refusal(told, pos))
}

/// Refuses a document whose fragments, filled in again and again, make it far larger than it looks: validation walks through
/// each of them wherever it stands.
pub(super) fn check_size(document: &ExecutableDocument) -> Result<(), ServerError> {
    let mut sizes = Sizes { document, known: HashMap::new() };
    for (_, operation) in document.operations.iter() {
        if sizes.of(&operation.node.selection_set.node) > SELECTIONS_MAX {
            let told =
                format!("the document has more than {SELECTIONS_MAX} selections once its fragments are filled in");
            let mut error = ServerError::new(told, Some(operation.pos));
            error.extensions.get_or_insert_default().set("code", code::TOO_COMPLEX);
            return Err(error);
        }
    }
    Ok(())
}

struct Sizes<'a> {
    document: &'a ExecutableDocument,
    /// Of fragments; nothing while one is looked at, since a circle is refused for what it is.
    known: HashMap<&'a str, usize>,
}

impl<'a> Sizes<'a> {
    fn of(&mut self, set: &'a SelectionSet) -> usize {
        let sizes = set.items.iter().map(|selection| match &selection.node {
            Selection::Field(field) => self.of(&field.node.selection_set.node),
            Selection::InlineFragment(fragment) => self.of(&fragment.node.selection_set.node),
            Selection::FragmentSpread(spread) => self.of_fragment(spread.node.fragment_name.node.as_str()),
        });
        sizes.fold(0, |sum: usize, size| sum.saturating_add(size).saturating_add(1))
    }

    fn of_fragment(&mut self, name: &'a str) -> usize {
        if let Some(size) = self.known.get(name) {
            return *size;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return 0 };
        self.known.insert(name, 0);
        let size = self.of(&fragment.node.selection_set.node);
        self.known.insert(name, size);
        size
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

struct Pass<'a> {
    types: &'a Types,
    document: &'a ExecutableDocument,
    declared: Declared<'a>,
    is_changed: bool,
    has_placeholders: bool,
    /// Variables that were not given, with the number that stands for them.
    defaults: Vec<(&'a str, i64)>,
}

/// A field of the answer, and all selections that say what it holds.
struct Collected<'a> {
    field: &'a Positioned<Field>,
    sets: Vec<&'a SelectionSet>,
}

/// The fields of an object in the order in which they were first named.
#[derive(Default)]
struct Fields<'a> {
    all: Vec<Collected<'a>>,
    places: HashMap<&'a str, usize>,
    fragments: HashSet<&'a str>,
}

impl<'a> Pass<'a> {
    /// `parent` is the type of the object, where the schema knows it.
    fn set(&mut self, parent: Option<&str>, sets: &[&'a SelectionSet], depth: usize) -> Result<SelectionSet, Abnormal> {
        if depth > DEPTH_MAX {
            return Err(Abnormal::Invalid);
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
            self.has_placeholders = true;
            items.push(placeholder());
        }
        Ok(SelectionSet { items })
    }

    fn collect(&mut self, set: &'a SelectionSet, fields: &mut Fields<'a>) -> Result<(), Abnormal> {
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
                        let fragment = self.document.fragments.get(name).ok_or(Abnormal::Invalid)?;
                        self.collect(&fragment.node.selection_set.node, fields)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, field: &'a Positioned<Field>, fields: &mut Fields<'a>) -> Result<(), Abnormal> {
        let set = &field.node.selection_set.node;
        let key = field.node.response_key().node.as_str();
        match fields.places.get(key) {
            None => {
                fields.places.insert(key, fields.all.len());
                fields.all.push(Collected { field, sets: vec![set] });
            }
            Some(place) => {
                self.is_changed = true;
                if let Some(known) = fields.all.get_mut(*place) {
                    // Every type of the schema is an object: under one name there is one field.
                    if !is_same(&known.field.node, &field.node) {
                        let told = format!(
                            "two different fields are selected as `{key}`, or one with different arguments: give one of them an alias"
                        );
                        return Err(refusal(told, field.pos).into());
                    }
                    known.sets.push(set);
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, parent: Option<&str>, collected: &Collected<'a>, depth: usize) -> Result<Field, Abnormal> {
        let field = &collected.field.node;
        let types = self.types;
        let meta = parent.and_then(|parent| types.field(parent, field.name.node.as_str()));
        let mut arguments = Vec::with_capacity(field.arguments.len());
        for (name, value) in &field.arguments {
            let argument = meta.and_then(|meta| meta.args.get(name.node.as_str()));
            let filled = fill_in(&value.node, &self.declared).ok_or(Abnormal::Invalid)?;
            let Some(filled) = filled else {
                // A variable that was not given: as if the argument were not there.
                if argument.is_some_and(|argument| argument.ty.ends_with('!') && argument.default_value.is_none()) {
                    let told = format!("argument `{}` is required, and its variable has no value", name.node);
                    return Err(refusal(told, name.pos).into());
                }
                let default = argument.and_then(|argument| argument.default_value.as_deref());
                if let (Value::Variable(variable), Some(number)) =
                    (&value.node, default.and_then(|text| text.parse().ok()))
                {
                    self.defaults.push((variable.as_str(), number));
                }
                continue;
            };
            let coerced = self.types.argument(argument, filled, name)?.into_value();
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
    fn is_skipped(&self, directives: &[Positioned<Directive>]) -> Result<bool, Abnormal> {
        let mut skipped = false;
        for directive in directives {
            let includes = match directive.node.name.node.as_str() {
                "skip" => false,
                "include" => true,
                _ => return Err(Abnormal::Invalid),
            };
            let [(name, value)] = directive.node.arguments.as_slice() else { return Err(Abnormal::Invalid) };
            if name.node != "if" {
                return Err(Abnormal::Invalid);
            }
            match fill_in(&value.node, &self.declared).ok_or(Abnormal::Invalid)? {
                Some(ConstValue::Boolean(flag)) => skipped |= flag != includes,
                _ => {
                    let told = format!("`if` of @{} must be true or false", directive.node.name.node);
                    return Err(refusal(told, value.pos).into());
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

fn placeholder() -> Positioned<Selection> {
    let field = Field {
        alias: Some(Positioned::new(Name::new(PLACEHOLDER), Default::default())),
        name: Positioned::new(Name::new("__typename"), Default::default()),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::default(),
    };
    Positioned::new(Selection::Field(Positioned::new(field, Default::default())), Default::default())
}

/// An answer's data without what stood for nothing.
pub(super) fn without_placeholders(value: &mut ConstValue) {
    match value {
        ConstValue::List(values) => values.iter_mut().for_each(without_placeholders),
        ConstValue::Object(fields) => {
            fields.shift_remove(PLACEHOLDER);
            fields.values_mut().for_each(without_placeholders);
        }
        _ => {}
    }
}

/// The document as async-graphql's validation is to see it. It passes over the directives of `__typename`, and so takes a
/// variable that is used only there for an unused one: they are put on a fragment around it.
pub(super) fn for_validation(document: &ExecutableDocument) -> ExecutableDocument {
    let mut document = document.clone();
    match &mut document.operations {
        DocumentOperations::Single(operation) => wrap_type_names(&mut operation.node.selection_set.node),
        DocumentOperations::Multiple(all) => {
            all.values_mut().for_each(|operation| wrap_type_names(&mut operation.node.selection_set.node));
        }
    }
    document.fragments.values_mut().for_each(|fragment| wrap_type_names(&mut fragment.node.selection_set.node));
    document
}

fn wrap_type_names(set: &mut SelectionSet) {
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) if field.node.name.node == "__typename" && !field.node.directives.is_empty() => {
                let directives = std::mem::take(&mut field.node.directives);
                let inner = SelectionSet { items: vec![Positioned::new(Selection::Field(field.clone()), field.pos)] };
                let wrapped = InlineFragment {
                    type_condition: None,
                    directives,
                    selection_set: Positioned::new(inner, field.pos),
                };
                let pos = field.pos;
                selection.node = Selection::InlineFragment(Positioned::new(wrapped, pos));
            }
            Selection::Field(field) => wrap_type_names(&mut field.node.selection_set.node),
            Selection::InlineFragment(fragment) => wrap_type_names(&mut fragment.node.selection_set.node),
            Selection::FragmentSpread(_) => {}
        }
    }
}
