//! Questions, and how they become tantivy's.
use std::ops::Bound;

use jiff::Timestamp;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, EmptyQuery, FuzzyTermQuery, Occur, Query as TantivyQuery, RangeQuery,
    RegexQuery, TermQuery, TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use uuid::Uuid;

use super::collect::SortValue;
use super::document::term;
use super::schema::{Fields, Flag};
use super::{Index, IndexError};
use crate::domain::{
    Granularity, LocalDateTime, PublicationStatus, TextMatch, fold, is_empty_word, millis, stem, words,
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// As the archive knew them at an instant, or knows them now.
    Publications {
        as_of: Option<Timestamp>,
    },
    Revisions,
    Products,
}

/// What must hold; all of it.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of publications, or of products where these are asked for.
    pub ids: Option<Vec<Uuid>>,
    pub product_ids: Option<Vec<Uuid>>,
    pub name: Option<TextMatch>,
    pub process: Option<TextMatch>,
    pub macro_process: Option<TextMatch>,
    pub file_name: Option<TextMatch>,
    pub reference_date: Option<TextMatch>,
    pub list_path: Option<TextMatch>,
    /// The period overlaps these readings, both included.
    pub period_from: Option<LocalDateTime>,
    pub period_to: Option<LocalDateTime>,
    /// From, included, to, excluded.
    pub received: (Option<Timestamp>, Option<Timestamp>),
    pub archived: (Option<Timestamp>, Option<Timestamp>),
    pub granularity: Option<Vec<Granularity>>,
    pub status: Option<Vec<PublicationStatus>>,
    /// Lower case, without the dot.
    pub extension: Option<Vec<String>>,
}

/// By what hits are put in order; the id breaks ties, always upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Period { descending: bool },
    PeriodEnd { descending: bool },
    Archived { descending: bool },
    Received { descending: bool },
    Size { descending: bool },
    Name,
    Relevance,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Query {
    pub target: Target,
    /// For people: every word, the last also as a prefix.
    pub search: Option<String>,
    pub filter: Filter,
    pub order: Order,
    /// Only hits beyond this one, in the direction read.
    pub beyond: Option<(SortValue, Uuid)>,
    /// Read from the end; the hits come in the direction read.
    pub backwards: bool,
    pub offset: usize,
    pub limit: usize,
}

impl Index {
    pub(super) fn compile(&self, query: &Query) -> Result<Box<dyn TantivyQuery>, IndexError> {
        let fields = &self.inner.fields;
        let mut all = Clauses { fields, clauses: Vec::new() };
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
        if let Some(text) = &query.search {
            all.search(text)?;
        }
        all.filter(query.target, &query.filter)?;
        Ok(Box::new(BooleanQuery::new(all.clauses)))
    }
}

/// How much less a word counts that was found in another form, as a beginning, or with a slip.
const AS_FORM: f32 = 0.5;
const AS_BEGINNING: f32 = 0.1;
const AS_SLIP: f32 = 0.05;

struct Clauses<'a> {
    fields: &'a Fields,
    clauses: Vec<(Occur, Box<dyn TantivyQuery>)>,
}

impl Clauses<'_> {
    fn must(&mut self, query: impl TantivyQuery) {
        self.clauses.push((Occur::Must, Box::new(query)));
    }

    fn flag(&mut self, flag: Flag) {
        // A constant score: what a document is says nothing of how well it fits.
        let term = Term::from_field_text(self.fields.flags, flag.as_str());
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
        let terms: Vec<Term> = values.iter().map(|value| Term::from_field_text(field, value)).collect();
        if terms.is_empty() {
            return self.must(EmptyQuery);
        }
        self.must(BoostQuery::new(Box::new(TermSetQuery::new(terms)), 0.0));
    }

    /// Every word that says something must be found, in any order: as it is, in another form, or with a slip of the pen;
    /// the last also as a beginning.
    fn search(&mut self, text: &str) -> Result<(), IndexError> {
        let all = words(text);
        let Some(last) = all.last().cloned() else {
            // Nothing but blanks asks for everything; nothing but signs can be found nowhere.
            if !text.trim().is_empty() {
                self.must(EmptyQuery);
            }
            return Ok(());
        };
        let mut telling: Vec<&String> = all.iter().filter(|word| !is_empty_word(word)).collect();
        if telling.is_empty() {
            telling = all.iter().collect();
        }
        let count = telling.len();
        for (i, word) in telling.into_iter().enumerate() {
            let mut ways = self.ways(word);
            if i + 1 == count && *word == last {
                let begins = RegexQuery::from_pattern(&format!("{}.*", literal(word)), self.fields.text)?;
                ways.push(Box::new(BoostQuery::new(Box::new(begins), AS_BEGINNING)));
            }
            self.must(BooleanQuery::union(ways));
        }
        Ok(())
    }

    /// How a word may be found, the surest way first.
    fn ways(&self, word: &str) -> Vec<Box<dyn TantivyQuery>> {
        let term = |field: Field, text: &str| Term::from_field_text(field, text);
        let exact = TermQuery::new(term(self.fields.text, word), IndexRecordOption::WithFreqs);
        let mut ways: Vec<Box<dyn TantivyQuery>> = vec![Box::new(exact)];
        // Numbers are meant as they are.
        if word.bytes().any(|b| b.is_ascii_digit()) {
            return ways;
        }
        let form = TermQuery::new(term(self.fields.stems, &stem(word)), IndexRecordOption::WithFreqs);
        ways.push(Box::new(BoostQuery::new(Box::new(form), AS_FORM)));
        let letters = word.chars().count();
        let slips = if letters >= 8 { 2 } else { u8::from(letters >= 5) };
        if slips > 0 {
            let near = FuzzyTermQuery::new(term(self.fields.text, word), slips, true);
            ways.push(Box::new(BoostQuery::new(Box::new(near), AS_SLIP)));
        }
        ways
    }

    fn text(&mut self, field: Field, wanted: &Option<TextMatch>) -> Result<(), IndexError> {
        let Some(wanted) = wanted else { return Ok(()) };
        if let Some(text) = &wanted.eq {
            self.any_of(field, vec![fold(text)]);
        }
        if let Some(texts) = &wanted.any_of {
            self.any_of(field, texts.iter().map(|text| fold(text)).collect());
        }
        for (text, before) in [(&wanted.contains, ".*"), (&wanted.starts_with, "")] {
            if let Some(text) = text {
                let pattern = format!("{before}{}.*", literal(&fold(text)));
                self.must(BoostQuery::new(Box::new(RegexQuery::from_pattern(&pattern, field)?), 0.0));
            }
        }
        Ok(())
    }

    fn filter(&mut self, target: Target, filter: &Filter) -> Result<(), IndexError> {
        let fields = self.fields;
        let own = if target == Target::Products { fields.product } else { fields.publication };
        if let Some(ids) = &filter.ids {
            self.any_of(own, ids.iter().map(|id| term(*id)).collect());
        }
        if let Some(ids) = &filter.product_ids {
            self.any_of(fields.product, ids.iter().map(|id| term(*id)).collect());
        }
        self.text(fields.name, &filter.name)?;
        self.text(fields.process, &filter.process)?;
        self.text(fields.macro_process, &filter.macro_process)?;
        self.text(fields.file_name, &filter.file_name)?;
        self.text(fields.reference_date, &filter.reference_date)?;
        self.text(fields.list_path, &filter.list_path)?;
        let included =
            |reading: Option<LocalDateTime>| reading.map_or(Bound::Unbounded, |at| Bound::Included(at.as_number()));
        self.range(fields.period_end, included(filter.period_from), Bound::Unbounded);
        self.range(fields.period_start, Bound::Unbounded, included(filter.period_to));
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
        Ok(())
    }
}

/// A text as a pattern that matches it alone.
fn literal(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_alphanumeric() { c.to_string() } else { format!("\\x{{{:x}}}", u32::from(c)) })
        .collect()
}
