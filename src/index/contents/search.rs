//! Finds files by the words inside them, and the lines with these words.
use std::collections::HashMap;
use std::io::Read;

use tantivy::collector::{Collector, SegmentCollector, TopDocs};
use tantivy::columnar::Column;
use tantivy::query::{BooleanQuery, BoostQuery, EmptyQuery, Occur, Query as TantivyQuery, TermQuery, Weight};
use tantivy::schema::{IndexRecordOption, Value};
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader, TantivyDocument, Term};

use super::mark::{MarkedLine, Wanted, best_line};
use super::schema::terms_to_find;
use super::{Contents, Outcome};
use crate::domain::{Digest, fold, is_stop_word, words};
use crate::engine::index::IndexError;
use crate::engine::index::deadline::Deadline;
use crate::engine::index::patterns::PatternQuery;
use crate::engine::index::scan::scan;

/// Shorter beginnings of a word are not completed: nearly every file has a word that begins so.
const PREFIX_CHARS_MIN: usize = 3;
const PREFIX_WEIGHT: f32 = 0.1;

/// Files that one search may find: what it keeps of each takes memory.
const FILES_MAX: usize = 500_000;

/// Lines of one document when it is unpacked; what is stored is less.
const LINES_BYTES_MAX: u64 = 64 << 20;

/// The files that have the words of a search, by the first half of their digests, each with how well it matches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching(HashMap<u64, f32>);

impl Matching {
    /// The score of a file, if it has the words.
    pub(in crate::engine::index) fn score(&self, digest_high: u64) -> Option<f32> {
        self.0.get(&digest_high).copied()
    }
}

/// A text that has the words of a search, with the line that shows it best.
#[derive(Clone, Debug, PartialEq)]
pub struct ContentMatch {
    /// Of a member; absent for the file itself.
    pub path: Option<String>,
    pub line: MarkedLine,
}

/// The words of a search, without insignificant ones unless there are no others.
fn significant(text: &str) -> Vec<String> {
    let all = words(&fold(text));
    let significant: Vec<String> = all.iter().filter(|word| !is_stop_word(word)).cloned().collect();
    if significant.is_empty() { all } else { significant }
}

/// Whether the last word of a search may be incomplete.
fn completed(words: &[String]) -> Option<&String> {
    words.last().filter(|word| word.chars().count() >= PREFIX_CHARS_MIN)
}

impl Contents {
    /// All files with a text that has every word of a search.
    pub fn matching(&self, text: &str, scored: bool, deadline: &Deadline) -> Result<Matching, IndexError> {
        let searcher = self.inner.reader.searcher();
        let collector = Digests { deadline: deadline.clone(), scored };
        let found = searcher.search(&*self.query(text), &collector).map_err(|e| deadline.explain(e))?;
        match found {
            Some(found) => Ok(Matching(found)),
            None => Err(IndexError::TooManyFiles { limit: FILES_MAX }),
        }
    }

    /// The texts of a file that have every word of a search, up to `limit`. The order is that in which they were added.
    pub fn matches_in(
        &self,
        digest: Digest,
        text: &str,
        limit: usize,
        deadline: &Deadline,
    ) -> Result<Vec<ContentMatch>, IndexError> {
        let fields = self.inner.fields;
        let searcher = self.inner.reader.searcher();
        let own = TermQuery::new(Term::from_field_text(fields.digest, &digest.to_string()), IndexRecordOption::Basic);
        let query = BooleanQuery::intersection(vec![Box::new(own), self.query(text)]);
        let found = searcher.search(&query, &TopDocs::with_limit(limit.max(1)).order_by_score());
        let mut found: Vec<_> = found.map_err(|e| deadline.explain(e))?.into_iter().map(|(_, at)| at).collect();
        found.sort_unstable();
        let words = significant(text);
        let wanted = Wanted::new(&words, completed(&words));
        let mut matches = Vec::with_capacity(found.len());
        for at in found.into_iter().take(limit) {
            deadline.check()?;
            let document: TantivyDocument = searcher.doc(at)?;
            let stored = document.get_first(fields.lines).and_then(|value| value.as_bytes()).unwrap_or_default();
            let mut lines = Vec::new();
            zstd::Decoder::with_buffer(stored)?.take(LINES_BYTES_MAX).read_to_end(&mut lines)?;
            let lines = String::from_utf8_lossy(&lines);
            let path = document.get_first(fields.path).and_then(|value| value.as_str()).map(str::to_owned);
            if let Some(line) = best_line(&lines, &wanted) {
                matches.push(ContentMatch { path, line });
            }
        }
        Ok(matches)
    }

    /// Whether a file was read.
    pub fn has(&self, digest: Digest) -> Result<bool, IndexError> {
        let term = Term::from_field_text(self.inner.fields.digest, &digest.to_string());
        Ok(self.inner.reader.searcher().doc_freq(&term)? > 0 && {
            let query = TermQuery::new(term, IndexRecordOption::Basic);
            self.inner.reader.searcher().search(&query, &tantivy::collector::Count)? > 0
        })
    }

    /// How many files ended so.
    pub fn count(&self, outcome: Outcome) -> Result<u64, IndexError> {
        let term = Term::from_field_text(self.inner.fields.outcome, outcome.as_str());
        let query = TermQuery::new(term, IndexRecordOption::Basic);
        Ok(self.inner.reader.searcher().search(&query, &tantivy::collector::Count)? as u64)
    }

    /// What became of a file, and why something was not read; `None` if it was not read yet.
    pub fn outcome_of(&self, digest: Digest) -> Result<Option<(Outcome, Option<String>)>, IndexError> {
        let fields = self.inner.fields;
        let searcher = self.inner.reader.searcher();
        let own =
            || TermQuery::new(Term::from_field_text(fields.digest, &digest.to_string()), IndexRecordOption::Basic);
        for outcome in Outcome::ALL {
            let term = Term::from_field_text(fields.outcome, outcome.as_str());
            let ended = TermQuery::new(term, IndexRecordOption::Basic);
            let query = BooleanQuery::intersection(vec![Box::new(own()), Box::new(ended)]);
            let found = searcher.search(&query, &tantivy::collector::DocSetCollector)?;
            if let Some(at) = found.into_iter().next() {
                let document: TantivyDocument = searcher.doc(at)?;
                let note = document.get_first(fields.note).and_then(|value| value.as_str()).map(str::to_owned);
                return Ok(Some((outcome, note)));
            }
        }
        Ok(None)
    }

    /// The files that ended so.
    pub fn ended(&self, outcome: Outcome) -> Result<Vec<Digest>, IndexError> {
        let term = Term::from_field_text(self.inner.fields.outcome, outcome.as_str());
        let query = TermQuery::new(term, IndexRecordOption::Basic);
        let searcher = self.inner.reader.searcher();
        let mut found = Vec::new();
        for at in searcher.search(&query, &tantivy::collector::DocSetCollector)? {
            let document: TantivyDocument = searcher.doc(at)?;
            let digest = document.get_first(self.inner.fields.digest).and_then(|value| value.as_str());
            found.extend(digest.and_then(|digest| digest.parse::<Digest>().ok()));
        }
        Ok(found)
    }

    fn query(&self, text: &str) -> Box<dyn TantivyQuery> {
        let words = significant(text);
        if words.is_empty() {
            return Box::new(EmptyQuery);
        }
        let completed = completed(&words);
        let last = words.len() - 1;
        let all = words.iter().enumerate().map(|(i, word)| self.word(word, i == last && completed.is_some()));
        Box::new(BooleanQuery::new(all.map(|query| (Occur::Must, query)).collect()))
    }

    fn word(&self, word: &str, may_be_prefix: bool) -> Box<dyn TantivyQuery> {
        let field = self.inner.fields.words;
        let terms = terms_to_find(word).into_iter().map(|term| Term::from_field_text(field, &term));
        let mut ways: Vec<Box<dyn TantivyQuery>> = terms
            .map(|term| Box::new(TermQuery::new(term, IndexRecordOption::Basic)) as Box<dyn TantivyQuery>)
            .collect();
        if may_be_prefix {
            let prefix = Box::new(PatternQuery::starting_with(field, word));
            ways.push(Box::new(BoostQuery::new(prefix, PREFIX_WEIGHT)));
        }
        Box::new(BooleanQuery::union(ways))
    }
}

/// Collects the digests of the documents that match; `None` if there are too many.
struct Digests {
    deadline: Deadline,
    scored: bool,
}

struct SegmentDigests {
    column: Column<u64>,
    found: HashMap<u64, f32>,
}

impl Collector for Digests {
    type Fruit = Option<HashMap<u64, f32>>;
    type Child = SegmentDigests;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<Self::Child> {
        Ok(SegmentDigests { column: segment.fast_fields().u64("digest_high")?, found: HashMap::new() })
    }

    fn requires_scoring(&self) -> bool {
        self.scored
    }

    fn collect_segment(
        &self,
        weight: &dyn Weight,
        ordinal: u32,
        segment: &SegmentReader,
    ) -> tantivy::Result<Self::Fruit> {
        let mut child = self.for_segment(ordinal, segment)?;
        scan(&mut child, weight, segment, self.scored, &self.deadline)?;
        Ok(child.harvest())
    }

    fn merge_fruits(&self, fruits: Vec<Self::Fruit>) -> tantivy::Result<Self::Fruit> {
        let mut all: HashMap<u64, f32> = HashMap::new();
        for fruit in fruits {
            let Some(fruit) = fruit else { return Ok(None) };
            for (digest, score) in fruit {
                keep(&mut all, digest, score);
            }
            if all.len() > FILES_MAX {
                return Ok(None);
            }
        }
        Ok(Some(all))
    }
}

fn keep(found: &mut HashMap<u64, f32>, digest: u64, score: f32) {
    let best = found.entry(digest).or_insert(score);
    *best = best.max(score);
}

impl SegmentCollector for SegmentDigests {
    type Fruit = Option<HashMap<u64, f32>>;

    fn collect(&mut self, doc: DocId, score: Score) {
        if let Some(digest) = self.column.first(doc)
            && self.found.len() <= FILES_MAX
        {
            keep(&mut self.found, digest, score);
        }
    }

    fn harvest(self) -> Self::Fruit {
        (self.found.len() <= FILES_MAX).then_some(self.found)
    }
}
