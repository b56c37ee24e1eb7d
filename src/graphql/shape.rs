//! The shape of a response. async-graphql puts the fields of an object in the order in which they were resolved; the
//! specification requires the order of the selection (section 7.2.2).
use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Value};

/// Stands in a selection where every field was skipped: async-graphql has no empty selections. [`Shape::arrange`] takes it out
/// of the response.
pub(super) const PLACEHOLDER: &str = "acervoNothingSelected";

pub(super) fn placeholder() -> Positioned<Selection> {
    let field = Field {
        alias: Some(Positioned::new(Name::new(PLACEHOLDER), Default::default())),
        name: Positioned::new(Name::new("__typename"), Default::default()),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::default(),
    };
    Positioned::new(Selection::Field(Positioned::new(field, Default::default())), Default::default())
}

/// The fields of an object in the order of their selection, each with its own; none of a scalar.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape(Vec<(Name, Shape)>);

impl Shape {
    /// Of a selection in its normal form, which has fields alone.
    pub fn of(selected: &SelectionSet) -> Self {
        let fields = selected.items.iter().filter_map(|selection| match &selection.node {
            Selection::Field(field) => {
                let field = &field.node;
                Some((field.response_key().node.clone(), Self::of(&field.selection_set.node)))
            }
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
        });
        Self(fields.collect())
    }

    /// Puts the fields of a response in order, and takes out placeholders.
    pub fn arrange(&self, response: &mut Value) {
        // A scalar may be a JSON object, whose order is its own.
        if self.0.is_empty() {
            return;
        }
        match response {
            Value::List(items) => items.iter_mut().for_each(|item| self.arrange(item)),
            Value::Object(fields) => {
                let is_arranged =
                    fields.keys().eq(self.0.iter().map(|(name, _)| name)) && !fields.contains_key(PLACEHOLDER);
                if !is_arranged {
                    let mut unordered = std::mem::take(fields);
                    for (name, _) in self.0.iter().filter(|(name, _)| name != PLACEHOLDER) {
                        if let Some(value) = unordered.swap_remove(name) {
                            fields.insert(name.clone(), value);
                        }
                    }
                }
                for (name, shape) in self.0.iter().filter(|(_, shape)| !shape.0.is_empty()) {
                    if let Some(value) = fields.get_mut(name) {
                        shape.arrange(value);
                    }
                }
            }
            _ => {}
        }
    }
}
