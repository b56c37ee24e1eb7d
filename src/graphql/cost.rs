//! What an operation costs, found before it is executed: about how many values and bytes its response takes. Each list counts
//! with the rows that its page may have, each alias separately. An operation is measured in its normal form, so its arguments are
//! values, and its fragments are filled in.
use async_graphql::parser::types::{Field, OperationDefinition, Selection, SelectionSet};
use async_graphql::registry::MetaTypeName;
use async_graphql::{Positioned, ServerError};
use async_graphql_value::Value;

use super::error::{code, request_error};
use super::operation::root;
use crate::contract::Types;
use crate::domain::parse_local_date;
use crate::query::{CONTENT_MATCHES_MAX, FIRST_MAX, STATS_LIMIT_MAX};

/// Deeper operations are mistakes or worse; introspection needs 13.
const DEPTH_MAX: usize = 15;

/// Values of a response: a thousand rows of every field with their products are a tenth of it, a thousand rows with a thousand
/// members each are ten times as many.
const VALUES_MAX: u64 = 300_000;

/// The cost of a row apart from its values: it is read as a whole, whatever is selected.
const ROW: Cost = Cost { values: 8, bytes: 1_000 };

/// Of a value, as it is resolved and as it is written.
const VALUE: Cost = Cost { values: 1, bytes: 100 };

/// Of an object within a row: its fields are resolved one by one, and all at once.
const OBJECT: Cost = Cost { values: 1, bytes: 2_000 };

/// Of a field that reads much and returns little.
const SUMMARY: Cost = Cost { values: 500, bytes: 64 << 10 };

/// Of looking up what needs a broken item.
const USED: Cost = Cost { values: 8, bytes: 1_000 };

/// Of a plan of retention, which reads every revision.
const PLAN: Cost = Cost { values: 50_000, bytes: 16 << 20 };

/// Rows of a page if the request does not say how many.
const PAGE_DEFAULT: u64 = 100;

/// Revisions that a publication is expected to have; they are not paged.
const REVISIONS_OF_ONE: u64 = 5;

/// Members that are expected to differ between two files; they are not paged.
const CHANGES_OF_ONE: u64 = 500;

/// Texts with the words of a search that are listed for each file at most. Each has its line, in a few fragments.
const MATCHES_OF_ONE: u64 = CONTENT_MATCHES_MAX as u64;
const FRAGMENTS_OF_ONE: u64 = 3;

/// Of finding these texts, and unpacking them to find their lines.
const LINES: Cost = Cost { values: 30, bytes: 4_000 };

/// Cells that are expected to differ in a member: most are not workbooks.
const CELLS_OF_ONE: u64 = 10;

/// Periods of a product that are expected to need a look; how many there are in all is bounded by `query`.
const PERIODS_OF_ONE: u64 = 5;

/// Days of a span at most; longer ones are refused by `query`.
const DAYS_MAX: u64 = 4_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub values: u64,
    pub bytes: u64,
}

impl Cost {
    fn plus(self, other: Self) -> Self {
        Self { values: self.values.saturating_add(other.values), bytes: self.bytes.saturating_add(other.bytes) }
    }

    fn times(self, count: u64) -> Self {
        Self { values: self.values.saturating_mul(count), bytes: self.bytes.saturating_mul(count) }
    }
}

/// How a field's cost follows from that of its selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Price {
    Value,
    Summary,
    /// As many rows as `first` or `last` says.
    Page,
    /// The same of broken items. What needs each is looked up, whatever is selected.
    Broken,
    Rows(u64),
    /// So many small objects, which are there already.
    Parts(u64),
    /// As many rows as `limit` says, found by a summary.
    Limited,
    /// As many texts as `first` says, found in each row.
    Matches,
    /// A row a day of a span, found by a summary.
    Days,
    /// Counted once in an operation: all its fields are given the same plan.
    Plan,
}

/// The one table of what costs more than a value.
fn price(parent: &str, field: &str) -> Price {
    match (parent, field) {
        (
            "Query",
            "publications" | "revisions" | "products" | "notifications" | "changes" | "replays" | "retentionRuns"
            | "jobRuns" | "verifyRuns" | "coverageOverview" | "members" | "hookDeliveries" | "hookDeadLetters"
            | "productRemovals",
        )
        | ("Product", "publications")
        | ("Publication", "notifications")
        | ("Revision", "members")
        | ("RetentionPlan", "lines") => Price::Page,
        ("Query", "brokenItems") => Price::Broken,
        ("Publication" | "BrokenItem", "revisions") => Price::Rows(REVISIONS_OF_ONE),
        ("ProductCoverage", "periods") => Price::Rows(PERIODS_OF_ONE),
        ("Query", "publicationStats" | "suggest") => Price::Limited,
        ("Query", "coverage") => Price::Days,
        ("Query", "retentionPlan") => Price::Plan,
        ("Query", "status" | "hooks" | "revisionDiff" | "revisionPair") => Price::Summary,
        ("RevisionDiff", "members" | "renamed" | "cells") => Price::Rows(CHANGES_OF_ONE),
        ("Publication" | "Revision", "contentMatches") => Price::Matches,
        ("ContentMatch", "fragments") => Price::Parts(FRAGMENTS_OF_ONE),
        ("MemberChange", "cells") => Price::Rows(CELLS_OF_ONE),
        _ => Price::Value,
    }
}

/// The cost of an operation in its normal form; an error if it exceeds the limits.
pub(super) fn checked(types: &Types, operation: &Positioned<OperationDefinition>) -> Result<Cost, ServerError> {
    let mut traversal = Traversal { types, depth_max: 0, has_plan: false };
    let cost = traversal.selected(Some(root(operation.node.ty)), &operation.node.selection_set.node, 1);
    let refuse = |message| Err(request_error(code::TOO_COMPLEX, message, Some(operation.pos)));
    if traversal.depth_max > DEPTH_MAX {
        let depth = traversal.depth_max;
        return refuse(format!("the operation selects {depth} levels deep; the limit is {DEPTH_MAX}"));
    }
    if cost.values > VALUES_MAX {
        let values = cost.values;
        return refuse(format!(
            "the operation is too complex: its response may have {values} values; the limit is {VALUES_MAX}. Request \
             fewer rows, or fewer fields of them"
        ));
    }
    Ok(cost)
}

struct Traversal<'a> {
    types: &'a Types,
    depth_max: usize,
    has_plan: bool,
}

impl Traversal<'_> {
    fn selected(&mut self, parent: Option<&str>, set: &SelectionSet, depth: usize) -> Cost {
        let fields = set.items.iter().filter_map(|selection| match &selection.node {
            Selection::Field(field) => Some(&field.node),
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
        });
        fields.fold(Cost::default(), |sum, field| sum.plus(self.field(parent, field, depth)))
    }

    fn field(&mut self, parent: Option<&str>, field: &Field, depth: usize) -> Cost {
        self.depth_max = self.depth_max.max(depth);
        let name = field.name.node.as_str();
        let types = self.types;
        let meta = parent.and_then(|parent| types.field(parent, name));
        let inner = meta.map(|meta| MetaTypeName::concrete_typename(&meta.ty));
        let below = self.selected(inner, &field.selection_set.node, depth + 1);
        // What is out of bounds is refused by `query`, with a message that names the bound.
        match price(parent.unwrap_or_default(), name) {
            Price::Value if field.selection_set.node.items.is_empty() => VALUE,
            Price::Value => below.plus(OBJECT),
            Price::Summary => below.plus(SUMMARY),
            Price::Page => below.plus(ROW).times(page_rows(field)),
            Price::Broken => below.plus(ROW).plus(USED).times(page_rows(field)).plus(SUMMARY),
            Price::Rows(rows) => below.plus(ROW).times(rows),
            Price::Limited => {
                let default = meta.and_then(|meta| meta.args.get("limit")?.default_value.as_deref()?.parse().ok());
                let rows = number(field, "limit").or(default).unwrap_or(PAGE_DEFAULT);
                let row = Cost { values: 2, ..ROW };
                below.plus(row).times(rows.clamp(1, STATS_LIMIT_MAX as u64)).plus(SUMMARY)
            }
            Price::Parts(parts) => below.plus(VALUE).times(parts),
            Price::Matches => {
                let first = number(field, "first").unwrap_or(3).clamp(1, MATCHES_OF_ONE);
                below.plus(OBJECT).times(first).plus(LINES)
            }
            Price::Days => below.plus(ROW).times(days(field)).plus(SUMMARY),
            Price::Plan if std::mem::replace(&mut self.has_plan, true) => below.plus(VALUE),
            Price::Plan => below.plus(PLAN),
        }
    }
}

/// The rows of a page at most.
fn page_rows(field: &Field) -> u64 {
    let rows = number(field, "first").or_else(|| number(field, "last")).unwrap_or(PAGE_DEFAULT);
    rows.clamp(1, FIRST_MAX.unsigned_abs())
}

fn days(field: &Field) -> u64 {
    let day = |name: &str| match &field.get_argument(name)?.node {
        Value::String(text) => parse_local_date(text),
        _ => None,
    };
    let span = day("from").zip(day("to")).and_then(|(from, to)| to.since(from).ok());
    span.and_then(|span| u64::try_from(span.get_days()).ok()).map_or(1, |days| days.clamp(1, DAYS_MAX))
}

fn number(field: &Field, name: &str) -> Option<u64> {
    match &field.get_argument(name)?.node {
        Value::Number(number) => number.as_u64(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Price, price};
    use crate::graphql::variables::schema_types;

    #[test]
    fn every_list_that_grows_with_the_archive_has_its_price() {
        let mut connections = 0;
        for (parent, field) in schema_types().fields() {
            if field.ty.trim_end_matches('!').ends_with("Connection") {
                let price = price(parent, &field.name);
                assert!(matches!(price, Price::Page | Price::Broken), "{parent}.{}: {price:?}", field.name);
                connections += 1;
            }
            if field.args.contains_key("limit") {
                assert_eq!(price(parent, &field.name), Price::Limited, "{parent}.{}", field.name);
            }
        }
        assert!(connections > 5, "{connections} connections");
    }
}
