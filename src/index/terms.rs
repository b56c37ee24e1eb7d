//! Queries for any of several terms.
use tantivy::Term;
use tantivy::query::{BooleanQuery, EmptyQuery, Query as TantivyQuery, TermQuery, TermSetQuery};
use tantivy::schema::IndexRecordOption;

/// Up to this many terms are merged while reading their postings; more are first collected into a set of documents.
const MERGED_MAX: usize = 32;

/// Documents with any of the terms, without a score.
pub(super) fn any_of(mut terms: Vec<Term>) -> Box<dyn TantivyQuery> {
    let query = |term: Term| -> Box<dyn TantivyQuery> { Box::new(TermQuery::new(term, IndexRecordOption::Basic)) };
    match terms.len() {
        0 => Box::new(EmptyQuery),
        1 => terms.pop().map_or_else(|| Box::new(EmptyQuery) as Box<dyn TantivyQuery>, query),
        2..=MERGED_MAX => Box::new(BooleanQuery::union(terms.into_iter().map(query).collect())),
        _ => Box::new(TermSetQuery::new(terms)),
    }
}
