//! Queries, and how they are compiled for tantivy.
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use tantivy::query::doc_predicate_query::{DocPredicateQuery, FunctionPredicate};
use tantivy::query::{AllQuery, BooleanQuery, BoostQuery, Occur, Query as TantivyQuery, RangeQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, Searcher, SegmentReader, Term};
use uuid::Uuid;

use super::collect::SortValue;
use super::contained::ContainedQuery;
use super::document::term;
use super::patterns::{PathQuery, PatternQuery};
use super::schema::Flag;
use super::terms::any_of;
use super::{Deadline, Index, IndexError, calendar, words};
use crate::domain::{Granularity, LocalDateTime, MemberPattern, PublicationStatus, TextMatch, fold, millis};

/// The kind of documents to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Publications as they are now, or as the archive knew them at an instant.
    Publications {
        as_of: Option<Timestamp>,
    },
    Revisions,
    Products,
}

/// Conditions that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Ids of publications; for the target `Products`, of products.
    pub ids: Option<Vec<Uuid>>,
    pub product_ids: Option<Vec<Uuid>>,
    pub name: Option<TextMatch>,
    pub process: Option<TextMatch>,
    pub macro_process: Option<TextMatch>,
    pub file_name: Option<TextMatch>,
    /// The file is a zip with such a member.
    pub member: Option<MemberPattern>,
    pub reference_date: Option<TextMatch>,
    pub list_path: Option<TextMatch>,
    /// The period overlaps this range, both ends included.
    pub period_from: Option<LocalDateTime>,
    pub period_to: Option<LocalDateTime>,
    /// From (included) to (excluded).
    pub received: (Option<Timestamp>, Option<Timestamp>),
    pub archived: (Option<Timestamp>, Option<Timestamp>),
    pub granularity: Option<Vec<Granularity>>,
    pub status: Option<Vec<PublicationStatus>>,
    /// Lower case, without the dot.
    pub extension: Option<Vec<String>>,
}

/// How hits are sorted. Ties are broken by id, always ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    Period { descending: bool },
    PeriodEnd { descending: bool },
    Archived { descending: bool },
    Received { descending: bool },
    Size { descending: bool },
    Name,
    Relevance,
}

/// Where the words of a search are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SearchIn {
    /// Names, aliases, processes, file names and the paths of members.
    #[default]
    Names,
    /// The text inside files.
    Content,
}

/// A query.
#[derive(Clone, Debug)]
pub struct Query {
    pub target: Target,
    /// Free text: every word must match, the last one also as a prefix.
    pub search: Option<String>,
    pub search_in: SearchIn,
    /// Whether hits have a score, whatever their order.
    pub scored: bool,
    pub filter: Filter,
    pub order: Order,
    /// Only hits after this one, in reading direction.
    pub beyond: Option<(SortValue, Uuid)>,
    /// Read from the end; hits are returned in reading direction.
    pub backwards: bool,
    pub offset: usize,
    pub limit: usize,
}

impl Query {
    pub(super) fn is_scored(&self) -> bool {
        self.search.is_some() && (self.scored || self.order == Order::Relevance)
    }
}

impl Index {
    pub(super) fn compile(
        &self,
        query: &Query,
        searcher: &Searcher,
        deadline: &Deadline,
    ) -> Result<Box<dyn TantivyQuery>, IndexError> {
        deadline.check()?;
        let fields = &self.inner.fields;
        let mut all = Clauses { index: self, clauses: Vec::new() };
        match query.target {
            Target::Publications { as_of: None } => all.flag(Flag::Current),
            Target::Publications { as_of: Some(at) } => {
                all.flag(Flag::Revision);
                all.range(fields.archived_at, Bound::Unbounded, Bound::Included(millis(at)));
                all.range(fields.superseded_at, Bound::Excluded(millis(at)), Bound::Unbounded);
            }
            Target::Revisions => all.flag(Flag::Revision),
            Target::Products => all.flag(Flag::Product),
        }
        if let (Some(text), SearchIn::Content) = (&query.search, query.search_in) {
            let matching = Arc::new(self.contents()?.matching(text, query.is_scored(), deadline)?);
            all.must(ContainedQuery { matching, deadline: deadline.clone() });
            // What was removed cannot be read, so its words are not found either.
            all.any_of(fields.status, vec![PublicationStatus::Archived.as_str().to_owned()]);
        } else if let Some(text) = &query.search {
            let words = words::parse(text, (fields, &self.inner.word_cache), (searcher, deadline), query.is_scored())?;
            all.clauses.extend(words.into_iter().map(|word| (Occur::Must, word)));
        }
        all.filter(query.target, &query.filter);
        Ok(Box::new(BooleanQuery::new(all.clauses)))
    }
}

struct Clauses<'a> {
    index: &'a Index,
    clauses: Vec<(Occur, Box<dyn TantivyQuery>)>,
}

impl Clauses<'_> {
    fn must(&mut self, query: impl TantivyQuery) {
        self.clauses.push((Occur::Must, Box::new(query)));
    }

    fn flag(&mut self, flag: Flag) {
        // A constant score: the kind of a document does not affect how well it matches.
        let term = Term::from_field_text(self.index.inner.fields.flags, flag.as_str());
        self.must(BoostQuery::new(Box::new(TermQuery::new(term, IndexRecordOption::Basic)), 0.0));
    }

    fn range(&mut self, field: Field, from: Bound<i64>, to: Bound<i64>) {
        if matches!((&from, &to), (Bound::Unbounded, Bound::Unbounded)) {
            return;
        }
        let bound = |bound: Bound<i64>| bound.map(|n| Term::from_field_i64(field, n));
        self.must(BoostQuery::new(Box::new(RangeQuery::new(bound(from), bound(to))), 0.0));
    }

    fn any_of(&mut self, field: Field, values: Vec<String>) {
        let terms = values.iter().map(|value| Term::from_field_text(field, value)).collect();
        self.must(BoostQuery::new(any_of(terms), 0.0));
    }

    fn text(&mut self, field: Field, condition: &Option<TextMatch>) {
        let Some(condition) = condition else { return };
        if let Some(text) = &condition.eq {
            self.any_of(field, vec![fold(text)]);
        }
        if let Some(texts) = &condition.any_of {
            self.any_of(field, texts.iter().map(|text| fold(text)).collect());
        }
        if let Some(text) = &condition.contains {
            self.must(BoostQuery::new(Box::new(PatternQuery::containing(field, &fold(text))), 0.0));
        }
        if let Some(text) = &condition.starts_with {
            self.must(BoostQuery::new(Box::new(PatternQuery::starting_with(field, &fold(text))), 0.0));
        }
    }

    /// Periods that overlap the range. With both ends given, calendar terms select a few documents whose bounds are checked.
    fn period(&mut self, target: Target, filter: &Filter) {
        let (from, to) = (filter.period_from, filter.period_to);
        let terms = from.zip(to).filter(|_| target != Target::Products);
        if let Some((terms, (from, to))) =
            terms.and_then(|(from, to)| Some((calendar::overlapping(from, to)?, (from, to))))
        {
            self.any_of(self.index.inner.fields.calendar, terms);
            let index = self.index.clone();
            let (from, to) = (from.as_number(), to.as_number());
            let overlaps = FunctionPredicate::from(move |segment: &SegmentReader| {
                let columns = index.inner.columns.of(segment);
                let (start, end) = (columns.i64(segment, "period_start")?, columns.i64(segment, "period_end")?);
                Ok(move |doc: DocId| {
                    start.first(doc).is_some_and(|start| start <= to) && end.first(doc).is_some_and(|end| end >= from)
                })
            });
            return self.must(BoostQuery::new(Box::new(DocPredicateQuery::from(overlaps)), 0.0));
        }
        let included =
            |reading: Option<LocalDateTime>| reading.map_or(Bound::Unbounded, |at| Bound::Included(at.as_number()));
        self.range(self.index.inner.fields.period_end, included(from), Bound::Unbounded);
        self.range(self.index.inner.fields.period_start, Bound::Unbounded, included(to));
    }

    fn filter(&mut self, target: Target, filter: &Filter) {
        let fields = &self.index.inner.fields;
        let own = if target == Target::Products { fields.product } else { fields.publication };
        if let Some(ids) = &filter.ids {
            self.any_of(own, ids.iter().map(|id| term(*id)).collect());
        }
        if let Some(ids) = &filter.product_ids {
            self.any_of(fields.product, ids.iter().map(|id| term(*id)).collect());
        }
        self.text(fields.name, &filter.name);
        self.text(fields.process, &filter.process);
        self.text(fields.macro_process, &filter.macro_process);
        self.text(fields.file_name, &filter.file_name);
        if let Some(pattern) = &filter.member {
            self.must(BoostQuery::new(Box::new(PathQuery::new(fields.member, pattern.clone())), 0.0));
        }
        self.text(fields.reference_date, &filter.reference_date);
        self.text(fields.list_path, &filter.list_path);
        self.period(target, filter);
        for (field, (from, to)) in [(fields.received_at, filter.received), (fields.archived_at, filter.archived)] {
            let from = from.map_or(Bound::Unbounded, |at| Bound::Included(millis(at)));
            let to = to.map_or(Bound::Unbounded, |at| Bound::Excluded(millis(at)));
            self.range(field, from, to);
        }
        if let Some(all) = &filter.granularity {
            self.any_of(fields.granularity, all.iter().map(|g| g.as_str().to_owned()).collect());
        }
        if let Some(all) = &filter.status {
            self.any_of(fields.status, all.iter().map(|s| s.as_str().to_owned()).collect());
        }
        if let Some(all) = &filter.extension {
            self.any_of(fields.extension, all.iter().map(|e| fold(e.trim_start_matches('.'))).collect());
        }
        if self.clauses.is_empty() {
            self.must(AllQuery);
        }
    }
}
