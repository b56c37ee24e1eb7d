//! Which responses can be sent again: those to a query for lists of publications and nothing else of the archive, with columns of
//! their rows. Such a response depends neither on its caller nor on the time, only on the state of the archive.
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::parser::types::{Field, OperationDefinition, OperationType, Selection, SelectionSet};

use super::publication::Publication;
use super::rows::has_columns_alone;
use crate::query::ArchiveState;

/// Says of a response that the same request gets the same one as long as the archive is in this state.
#[derive(Clone, Debug)]
pub struct Repeatable {
    pub state: ArchiveState,
    /// What the request is admitted with.
    pub cost_bytes: u64,
}

/// The state of the lists of one request; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct ListStates(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
enum Noted {
    #[default]
    Nothing,
    One(ArchiveState),
    /// Several, or one that is unknown.
    Mixed,
}

impl ListStates {
    /// Notes the state of a list.
    pub fn note(&self, state: Option<&ArchiveState>) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *noted = match (&*noted, state) {
            (Noted::Nothing, Some(state)) => Noted::One(state.clone()),
            (Noted::One(known), Some(state)) if known == state => return,
            _ => Noted::Mixed,
        };
    }

    /// The state of all lists, if it is the same.
    pub fn common(&self) -> Option<ArchiveState> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Noted::One(state) => Some(state.clone()),
            Noted::Nothing | Noted::Mixed => None,
        }
    }
}

/// Whether an operation in its normal form requests such lists alone.
pub(super) fn has_lists_alone(operation: &OperationDefinition) -> bool {
    let is_list = |field: &Field| match field.name.node.as_str() {
        "publications" => all_fields(&field.selection_set.node, is_of_page),
        "__typename" => true,
        _ => false,
    };
    operation.ty == OperationType::Query && all_fields(&operation.selection_set.node, is_list)
}

fn is_of_page(field: &Field) -> bool {
    let selected = &field.selection_set.node;
    match field.name.node.as_str() {
        "totalCount" | "pageInfo" | "__typename" => true,
        "nodes" => has_columns_alone::<Publication>(selected),
        "edges" => all_fields(selected, |field| match field.name.node.as_str() {
            "cursor" | "__typename" => true,
            "node" => has_columns_alone::<Publication>(&field.selection_set.node),
            _ => false,
        }),
        _ => false,
    }
}

fn all_fields(selected: &SelectionSet, check: impl Fn(&Field) -> bool) -> bool {
    selected.items.iter().all(|item| match &item.node {
        Selection::Field(field) => check(&field.node),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => false,
    })
}
