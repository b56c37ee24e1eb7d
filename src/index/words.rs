//! Free-text search. Every significant word must be found, in any order: exactly, as another word with the same stem, or with a typing error.
//! The last word also matches as a prefix.
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::query::{BooleanQuery, BoostQuery, EmptyQuery, FuzzyTermQuery, Query as TantivyQuery, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{Searcher, Term};

use super::deadline::{Deadline, STEPS};
use super::patterns::PatternQuery;
use super::schema::Fields;
use super::terms::any_of;
use super::{IndexError, calendar};
use crate::domain::{SearchedDate, WrittenDate, dates_in_search, fold, is_stop_word, stem, words};

/// The weight of a word found by its stem, as a prefix, or with a typing error, compared with an exact match.
const STEM_WEIGHT: f32 = 0.5;
const PREFIX_WEIGHT: f32 = 0.1;
const TYPO_WEIGHT: f32 = 0.05;

/// Longer words are not searched for typing errors.
const LETTERS_MAX: usize = 64;

/// Recently searched words, each with the similar words of the index.
#[derive(Default)]
pub(super) struct WordCache(Mutex<Generation>);

/// The similar words of a word, by the word and whether it may be a prefix.
type SimilarWords = HashMap<(String, bool), Arc<Vec<String>>>;

/// The cached words of one state of the index.
#[derive(Default)]
struct Generation {
    id: u64,
    words: SimilarWords,
}

/// Limits of the cache: words, and similar words of each.
const CACHED_MAX: usize = 1_000;
const SIMILAR_MAX: usize = 100;

impl WordCache {
    /// Accesses the entries for the state that is searched; `None` if another search already used a newer one.
    fn with<T>(&self, searcher: &Searcher, access: impl FnOnce(&mut SimilarWords) -> T) -> Option<T> {
        let id = searcher.generation().generation_id();
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.id < id || cached.words.len() >= CACHED_MAX {
            *cached = Generation { id, words: SimilarWords::new() };
        }
        (cached.id == id).then(|| access(&mut cached.words))
    }
}

/// A query for each word of a text. With `scored`, they rank documents, which costs more than finding them.
pub(super) fn parse(
    text: &str,
    (fields, cache): (&Fields, &WordCache),
    (searcher, deadline): (&Searcher, &Deadline),
    scored: bool,
) -> Result<Vec<Box<dyn TantivyQuery>>, IndexError> {
    let folded = fold(text);
    let dates = dates_in_search(&folded);
    if dates.is_empty() {
        return parse_words(&folded, true, (fields, cache), (searcher, deadline), scored);
    }
    let mut queries = Vec::new();
    let mut rest = String::with_capacity(folded.len());
    let mut read_to = 0;
    for (range, date) in &dates {
        rest.push_str(&folded[read_to..range.start]);
        rest.push(' ');
        read_to = range.end;
        let is_last = !folded[range.end..].contains(char::is_alphanumeric);
        // A name may also contain the parts of the date with another meaning.
        let parts = parse_words(&folded[range.clone()], is_last, (fields, cache), (searcher, deadline), scored)?;
        let parts = BooleanQuery::intersection(parts);
        queries
            .push(Box::new(BooleanQuery::union(vec![date_query(*date, fields), Box::new(parts)]))
                as Box<dyn TantivyQuery>);
    }
    rest.push_str(&folded[read_to..]);
    // Insignificant words are optional next to a date.
    if words(&rest).iter().any(|word| !is_stop_word(word)) {
        let is_last = folded[read_to..].contains(char::is_alphanumeric);
        queries.extend(parse_words(&rest, is_last, (fields, cache), (searcher, deadline), scored)?);
    }
    Ok(queries)
}

/// Documents whose period contains the day or overlaps the month, or whose names contain either.
fn date_query(date: SearchedDate, fields: &Fields) -> Box<dyn TantivyQuery> {
    let terms = date.written().into_iter().flat_map(|date| {
        let named = Term::from_field_text(fields.dates, &date.term());
        let overlapped = match date {
            WrittenDate::Day(_) => None,
            WrittenDate::Month(first) => Some(Term::from_field_text(fields.calendar, &calendar::term_of_month(first))),
        };
        [Some(named), overlapped].into_iter().flatten()
    });
    any_of(terms.collect())
}

/// The same for a text without dates. `is_last`: the text ends the input, so its last word may be incomplete.
fn parse_words(
    text: &str,
    is_last: bool,
    (fields, cache): (&Fields, &WordCache),
    (searcher, deadline): (&Searcher, &Deadline),
    scored: bool,
) -> Result<Vec<Box<dyn TantivyQuery>>, IndexError> {
    let all = words(text);
    let Some(last) = all.last() else {
        // White space matches everything; text without any word matches nothing.
        return Ok(if text.trim().is_empty() { Vec::new() } else { vec![Box::new(EmptyQuery)] });
    };
    let mut significant: Vec<&String> = all.iter().filter(|word| !is_stop_word(word)).collect();
    if significant.is_empty() {
        significant = all.iter().collect();
    }
    let end = significant.len() - 1;
    let query = |(i, text): (usize, &&String)| {
        let word = Word { text, may_be_prefix: is_last && i == end && *text == last, fields, cache };
        if scored { Ok(word.scored()) } else { word.unscored(searcher, deadline) }
    };
    significant.iter().enumerate().map(query).collect()
}

struct Word<'a> {
    text: &'a str,
    may_be_prefix: bool,
    fields: &'a Fields,
    cache: &'a WordCache,
}

impl Word<'_> {
    /// Words with digits match only exactly.
    fn is_number(&self) -> bool {
        self.text.bytes().any(|b| b.is_ascii_digit())
    }

    fn exact(&self) -> Term {
        Term::from_field_text(self.fields.text, self.text)
    }

    fn stem(&self) -> Term {
        Term::from_field_text(self.fields.stems, &stem(self.text))
    }

    /// Words within an edit distance of 1 or 2.
    fn fuzzy(&self) -> Option<FuzzyTermQuery> {
        let letters = self.text.chars().count();
        let distance = match letters {
            0..=4 => 0,
            5..=7 => 1,
            8..=LETTERS_MAX => 2,
            // Real words are not this long, and a fuzzy search would cost more than everything else.
            _ => 0,
        };
        (distance > 0 && !self.is_number()).then(|| FuzzyTermQuery::new(self.exact(), distance, true))
    }

    /// All ways to match the word, with their weights.
    fn scored(&self) -> Box<dyn TantivyQuery> {
        let mut ways: Vec<Box<dyn TantivyQuery>> =
            vec![Box::new(TermQuery::new(self.exact(), IndexRecordOption::WithFreqs))];
        let mut add = |query: Box<dyn TantivyQuery>, weight| ways.push(Box::new(BoostQuery::new(query, weight)));
        if !self.is_number() {
            add(Box::new(TermQuery::new(self.stem(), IndexRecordOption::WithFreqs)), STEM_WEIGHT);
        }
        if let Some(fuzzy) = self.fuzzy() {
            add(Box::new(fuzzy), TYPO_WEIGHT);
        }
        if self.may_be_prefix {
            add(Box::new(PatternQuery::starting_with(self.fields.text, self.text)), PREFIX_WEIGHT);
        }
        Box::new(BooleanQuery::union(ways))
    }

    /// The same documents from as few postings as possible: words with the same stem share the postings of that stem.
    fn unscored(&self, searcher: &Searcher, deadline: &Deadline) -> Result<Box<dyn TantivyQuery>, IndexError> {
        let similar = self.similar(searcher, deadline)?;
        let mut terms = Vec::with_capacity(similar.len() + 1);
        terms.push(if self.is_number() { self.exact() } else { self.stem() });
        terms.extend(similar.iter().map(|word| Term::from_field_text(self.fields.text, word)));
        Ok(any_of(terms))
    }

    /// The similar words of the index, except those with the same stem.
    fn similar(&self, searcher: &Searcher, deadline: &Deadline) -> Result<Arc<Vec<String>>, IndexError> {
        let key = (self.text.to_owned(), self.may_be_prefix);
        if let Some(similar) = self.cache.with(searcher, |words| words.get(&key).cloned()).flatten() {
            return Ok(similar);
        }
        let mut found = BTreeSet::new();
        let mut steps = 0usize;
        let mut step = || {
            steps += 1;
            if usize::is_multiple_of(steps, STEPS) { deadline.check() } else { Ok(()) }
        };
        let fuzzy = self.fuzzy().map(|fuzzy| fuzzy.automaton()).transpose()?;
        for segment in searcher.segment_readers() {
            let list = segment.inverted_index(self.fields.text)?;
            if let Some(fuzzy) = &fuzzy {
                let mut terms = list.terms().search(fuzzy).into_stream()?;
                while terms.advance() {
                    step()?;
                    found.insert(terms.key().to_vec());
                }
            }
            if self.may_be_prefix {
                let mut terms = list.terms().range().ge(self.text).into_stream()?;
                while terms.advance() && terms.key().starts_with(self.text.as_bytes()) {
                    step()?;
                    found.insert(terms.key().to_vec());
                }
            }
        }
        let own = stem(self.text);
        let similar = found.iter().filter_map(|term| std::str::from_utf8(term).ok());
        let similar = similar.filter(|word| *word != self.text && (self.is_number() || stem(word) != own));
        let similar = Arc::new(similar.map(str::to_owned).collect::<Vec<_>>());
        if similar.len() <= SIMILAR_MAX {
            self.cache.with(searcher, |words| words.insert(key, similar.clone()));
        }
        Ok(similar)
    }
}
