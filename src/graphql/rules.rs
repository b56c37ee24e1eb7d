//! Between parsing and execution: a document is validated once, as it was sent, and replaced by its normal form, whose cost is
//! checked.
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute};
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, InlineFragment, Selection, SelectionSet};
use async_graphql::{Positioned, Request, Response, ServerError, Value, Variables};
use lru::LruCache;

use super::cost::{self, Cost};
use super::limits::check_fragments;
use super::normal::{Normal, NormalizeError, normalize};
use super::operation::chosen;
use super::repeat::has_lists_alone;
use super::shape::Shape;
use super::usages::check_usages;
use super::variables::schema_types;
use super::wait::{Wait, wait_of};
use super::{Schema, builder};
use crate::contract::Types;

/// Documents that are remembered as valid, and characters of each at most.
const VALIDATED_MAX: NonZeroUsize = NonZeroUsize::new(200).unwrap();
const LENGTH_MAX: usize = 2_000;

/// Clones share it.
#[derive(Clone)]
pub(super) struct Rules {
    /// Validates and executes nothing.
    validator: Schema,
    types: &'static Types,
    /// Documents that are valid with any values of their variables.
    validated: Arc<Mutex<LruCache<String, ()>>>,
}

/// A request that is ready to be executed.
#[derive(Clone, Debug, Default)]
pub(super) struct PreparedRequest {
    shape: Shape,
    pub cost: Cost,
    /// Whether its response depends on the state of the archive alone.
    pub has_lists_alone: bool,
    /// What it waits for before it is executed.
    pub wait: Option<Wait>,
}

impl PreparedRequest {
    /// Gives a response the shape of its operation.
    pub fn finish(&self, mut response: Response) -> Response {
        self.shape.arrange(&mut response.data);
        response
    }
}

impl Rules {
    pub fn new() -> Self {
        let validator = builder().extension(ValidateOnly).finish();
        Self { validator, types: schema_types(), validated: Arc::new(Mutex::new(LruCache::new(VALIDATED_MAX))) }
    }

    /// Replaces a request's document by its normal form, so that async-graphql executes that. A document that does not
    /// parse, or has no such operation, is left to the execution, which reports it.
    pub async fn apply(&self, request: &mut Request) -> Result<PreparedRequest, Vec<ServerError>> {
        let variables = std::mem::take(&mut request.variables);
        let normal = match self.normal(request, &variables) {
            Ok(Some(normal)) => normal,
            Ok(None) => {
                request.variables = variables;
                return Ok(PreparedRequest::default());
            }
            Err(NormalizeError::Refused(error)) => return Err(vec![error]),
            Err(NormalizeError::Invalid) => {
                // Its validation reports what is wrong.
                request.variables = variables;
                return self.validate(request).await.map(|()| PreparedRequest::default());
            }
        };
        let operation = &normal.operation.node;
        let shape = Shape::of(&operation.selection_set.node);
        let cost = cost::checked(self.types, &normal.operation).map_err(|error| vec![error])?;
        let has_lists_alone = has_lists_alone(operation);
        let wait = wait_of(operation).map_err(|error| vec![error])?;
        if normal.is_changed {
            self.validate(request).await?;
            let operations = DocumentOperations::Single(normal.operation);
            request.set_parsed_query(ExecutableDocument { operations, fragments: HashMap::new() });
            request.operation_name = None;
        }
        Ok(PreparedRequest { shape, cost, has_lists_alone, wait })
    }

    fn normal(&self, request: &mut Request, variables: &Variables) -> Result<Option<Normal>, NormalizeError> {
        let name = request.operation_name.clone();
        let Ok(document) = request.parsed_query() else { return Ok(None) };
        check_fragments(document)?;
        match chosen(document, name.as_deref()) {
            Some(operation) => normalize(self.types, document, operation, variables).map(Some),
            None => Ok(None),
        }
    }

    /// The rules of the specification, for a document as it was sent: its normal form would pass some that it breaks.
    async fn validate(&self, request: &mut Request) -> Result<(), Vec<ServerError>> {
        let is_known = self.validated.lock().unwrap_or_else(PoisonError::into_inner).get(&request.query).is_some();
        if is_known {
            return Ok(());
        }
        let mut checked = Request::new("");
        match request.parsed_query() {
            Ok(document) => {
                check_usages(self.types, document).map_err(|error| vec![error])?;
                checked.set_parsed_query(for_validation(document));
            }
            Err(error) => return Err(vec![error]),
        }
        checked.operation_name = request.operation_name.clone();
        let response = self.validator.execute(checked).await;
        if response.is_err() {
            return Err(response.errors);
        }
        if request.query.len() <= LENGTH_MAX {
            self.validated.lock().unwrap_or_else(PoisonError::into_inner).put(request.query.clone(), ());
        }
        Ok(())
    }
}

/// Stops a request between its validation and its execution.
struct ValidateOnly;

impl ExtensionFactory for ValidateOnly {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for ValidateOnly {
    async fn execute(&self, _: &ExtensionContext<'_>, _: Option<&str>, _: NextExecute<'_>) -> Response {
        Response::new(Value::Null)
    }
}

/// The document as async-graphql's validation is to see it. It passes over the directives of `__typename`, and so takes a
/// variable that is used only there for an unused one: they are put on a fragment around it.
fn for_validation(document: &ExecutableDocument) -> ExecutableDocument {
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
