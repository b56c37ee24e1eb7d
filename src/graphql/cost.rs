//! About how many bytes the answer to a document takes, before it is run: what room it is to be given. Each list counts
//! with the rows that its page may have, each alias anew.
use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Field, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Request, Value, Variables};

use crate::domain::parse_local_date;
use crate::query::FIRST_MAX;

/// Of a value, as it is resolved and as it is written.
const VALUE_BYTES: u64 = 100;

/// Of a row, whatever is asked of it.
const ROW_BYTES: u64 = 1_000;

/// Of what goes through much to say little.
const SUMMARY_BYTES: u64 = 64 << 10;
const PLAN_BYTES: u64 = 16 << 20;

/// Selections that are looked at; fragments may stand for far more than are written.
const SELECTIONS_MAX: usize = 20_000;
const DEPTH_MAX: usize = 40;

/// What is answered with more than it can have.
const ENDLESS: u64 = u64::MAX / 4;

/// Bytes that the answer may take. What does not parse takes none.
pub(super) fn bytes_of(question: &mut Request) -> u64 {
    let variables = std::mem::take(&mut question.variables);
    let wanted = question.operation_name.clone();
    let bytes = question.parsed_query().map_or(0, |document| {
        let mut walk = Walk { fragments: &document.fragments, variables: &variables, left: SELECTIONS_MAX };
        operations(document, wanted.as_deref()).map(|selection| walk.selection(selection, 0)).max().unwrap_or_default()
    });
    question.variables = variables;
    bytes
}

fn operations<'a>(document: &'a ExecutableDocument, wanted: Option<&'a str>) -> impl Iterator<Item = &'a SelectionSet> {
    let all = document.operations.iter();
    let chosen = all.filter(move |(name, _)| wanted.is_none() || name.map(|name| name.as_str()) == wanted);
    chosen.map(|(_, operation)| &operation.node.selection_set.node)
}

struct Walk<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    variables: &'a Variables,
    left: usize,
}

impl Walk<'_> {
    fn selection(&mut self, selection: &SelectionSet, depth: usize) -> u64 {
        if depth > DEPTH_MAX {
            return ENDLESS;
        }
        let mut bytes = 0u64;
        for item in &selection.items {
            if self.left == 0 {
                return ENDLESS;
            }
            self.left -= 1;
            let more = match &item.node {
                Selection::Field(field) => self.field(&field.node, depth),
                Selection::InlineFragment(inline) => self.selection(&inline.node.selection_set.node, depth + 1),
                Selection::FragmentSpread(spread) => match self.fragments.get(&spread.node.fragment_name.node) {
                    Some(fragment) => self.selection(&fragment.node.selection_set.node, depth + 1),
                    None => 0,
                },
            };
            bytes = bytes.saturating_add(more);
        }
        bytes.min(ENDLESS)
    }

    fn field(&mut self, field: &Field, depth: usize) -> u64 {
        let below = self.selection(&field.selection_set.node, depth + 1);
        let each = below.saturating_add(ROW_BYTES);
        match field.name.node.as_str() {
            // Of one publication there are a few, and no page of them is asked for.
            "revisions" if depth > 0 && field.arguments.is_empty() => each.saturating_mul(5),
            "publications" | "revisions" | "products" | "notifications" | "members" | "lines" | "changes"
            | "replays" | "retentionRuns" | "jobRuns" => each.saturating_mul(self.page(field)),
            "publicationStats" => SUMMARY_BYTES + each.saturating_mul(self.number(field, "limit").unwrap_or(1_000)),
            "suggest" => SUMMARY_BYTES + each.saturating_mul(self.number(field, "limit").unwrap_or(10)),
            "coverage" => SUMMARY_BYTES + each.saturating_mul(self.days(field)),
            "retentionPlan" => below.saturating_add(PLAN_BYTES),
            "status" => below.saturating_add(SUMMARY_BYTES),
            _ => below.saturating_add(VALUE_BYTES),
        }
    }

    /// Rows of a page. What is out of bounds is refused by the question itself.
    fn page(&self, field: &Field) -> u64 {
        let asked = self.number(field, "first").or_else(|| self.number(field, "last")).unwrap_or(100);
        asked.clamp(1, u64::try_from(FIRST_MAX).unwrap_or(1))
    }

    fn days(&self, field: &Field) -> u64 {
        let day = |name| match self.argument(field, name) {
            Some(Value::String(text)) => parse_local_date(&text),
            _ => None,
        };
        let span = day("from").zip(day("to")).and_then(|(from, to)| to.since(from).ok());
        span.and_then(|span| u64::try_from(span.get_days()).ok()).unwrap_or_default().clamp(1, 4_000)
    }

    fn number(&self, field: &Field, name: &str) -> Option<u64> {
        match self.argument(field, name)? {
            Value::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    fn argument(&self, field: &Field, name: &str) -> Option<Value> {
        let value = &field.get_argument(name)?.node;
        value.clone().into_const_with(|variable| self.variables.get(&variable).cloned().ok_or(())).ok()
    }
}
