//! Words that people type: every one that says something must be found, in any order: as it is, in another form, or with a
//! slip of the pen; the last also as a beginning.
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::query::{BooleanQuery, BoostQuery, EmptyQuery, FuzzyTermQuery, Query as TantivyQuery, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{Searcher, Term};

use super::patterns::PatternQuery;
use super::schema::Fields;
use super::terms::any_of;
use super::watch::{STEPS, Watch};
use super::{IndexError, calendar};
use crate::domain::{WrittenDate, dates_in_search, fold, is_empty_word, stem, words};

/// How much less a word counts that was found in another form, as a beginning, or with a slip.
const AS_FORM: f32 = 0.5;
const AS_BEGINNING: f32 = 0.1;
const AS_SLIP: f32 = 0.05;

/// Letters of a word that may have slips.
const LETTERS_MAX: usize = 64;

/// Words that were looked for lately, each with the index's own words that it may stand for.
#[derive(Default)]
pub(super) struct Known(Mutex<Generation>);

/// By a word and whether it may be a beginning, its others.
type Others = HashMap<(String, bool), Arc<Vec<String>>>;

/// The words of one state of the index.
#[derive(Default)]
struct Generation {
    id: u64,
    words: Others,
}

/// Words that are kept at most, and of each at most so many others.
const KNOWN_MAX: usize = 1_000;
const OTHERS_MAX: usize = 100;

impl Known {
    /// The words of the state that is searched; none where another search was of a newer one.
    fn of<T>(&self, searcher: &Searcher, look: impl FnOnce(&mut Others) -> T) -> Option<T> {
        let id = searcher.generation().generation_id();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.id < id || known.words.len() >= KNOWN_MAX {
            *known = Generation { id, words: Others::new() };
        }
        (known.id == id).then(|| look(&mut known.words))
    }
}

/// A query for each word of a text. `scored`: they say how well a document fits, which costs more than finding it.
pub(super) fn read(
    text: &str,
    (fields, known): (&Fields, &Known),
    (searcher, watch): (&Searcher, &Watch),
    scored: bool,
) -> Result<Vec<Box<dyn TantivyQuery>>, IndexError> {
    let folded = fold(text);
    let dates = dates_in_search(&folded);
    if dates.is_empty() {
        return read_words(&folded, true, (fields, known), (searcher, watch), scored);
    }
    let mut queries = Vec::new();
    let mut rest = String::with_capacity(folded.len());
    let mut read_to = 0;
    for (range, date) in &dates {
        rest.push_str(&folded[read_to..range.start]);
        rest.push(' ');
        read_to = range.end;
        let is_last = !folded[range.end..].contains(char::is_alphanumeric);
        // A name may also hold the parts of a date in another sense.
        let parts = read_words(&folded[range.clone()], is_last, (fields, known), (searcher, watch), scored)?;
        let parts = BooleanQuery::intersection(parts);
        queries
            .push(Box::new(BooleanQuery::union(vec![dated(*date, fields), Box::new(parts)])) as Box<dyn TantivyQuery>);
    }
    rest.push_str(&folded[read_to..]);
    // Words that say nothing by themselves need not be found beside a date.
    if words(&rest).iter().any(|word| !is_empty_word(word)) {
        let is_last = folded[read_to..].contains(char::is_alphanumeric);
        queries.extend(read_words(&rest, is_last, (fields, known), (searcher, watch), scored)?);
    }
    Ok(queries)
}

/// Documents of a period that has the day or touches the month, or with a name that holds either.
fn dated(date: WrittenDate, fields: &Fields) -> Box<dyn TantivyQuery> {
    let named = Term::from_field_text(fields.dates, &date.term());
    match date {
        WrittenDate::Day(_) => any_of(vec![named]),
        WrittenDate::Month(first) => {
            any_of(vec![named, Term::from_field_text(fields.calendar, &calendar::term_of_month(first))])
        }
    }
}

/// The same for a text without dates; `ends`: it is the end of what was typed, and may end inside a word.
fn read_words(
    text: &str,
    ends: bool,
    (fields, known): (&Fields, &Known),
    (searcher, watch): (&Searcher, &Watch),
    scored: bool,
) -> Result<Vec<Box<dyn TantivyQuery>>, IndexError> {
    let all = words(text);
    let Some(last) = all.last() else {
        // Nothing but blanks asks for everything; nothing but signs can be found nowhere.
        return Ok(if text.trim().is_empty() { Vec::new() } else { vec![Box::new(EmptyQuery)] });
    };
    let mut telling: Vec<&String> = all.iter().filter(|word| !is_empty_word(word)).collect();
    if telling.is_empty() {
        telling = all.iter().collect();
    }
    let end = telling.len() - 1;
    let read = |(i, text): (usize, &&String)| {
        let word = Word { text, begins: ends && i == end && *text == last, fields, known };
        if scored { Ok(word.scored()) } else { word.found(searcher, watch) }
    };
    telling.iter().enumerate().map(read).collect()
}

struct Word<'a> {
    text: &'a str,
    /// Whether it may be only the beginning of one.
    begins: bool,
    fields: &'a Fields,
    known: &'a Known,
}

impl Word<'_> {
    /// Numbers are meant as they are.
    fn is_number(&self) -> bool {
        self.text.bytes().any(|b| b.is_ascii_digit())
    }

    fn itself(&self) -> Term {
        Term::from_field_text(self.fields.text, self.text)
    }

    fn form(&self) -> Term {
        Term::from_field_text(self.fields.stems, &stem(self.text))
    }

    /// Words a slip or two away.
    fn near(&self) -> Option<FuzzyTermQuery> {
        let letters = self.text.chars().count();
        let slips = match letters {
            0..=4 => 0,
            5..=7 => 1,
            8..=LETTERS_MAX => 2,
            // No word is so long, and looking for those near it would cost more than all else.
            _ => 0,
        };
        (slips > 0 && !self.is_number()).then(|| FuzzyTermQuery::new(self.itself(), slips, true))
    }

    /// The surest way first.
    fn scored(&self) -> Box<dyn TantivyQuery> {
        let mut ways: Vec<Box<dyn TantivyQuery>> =
            vec![Box::new(TermQuery::new(self.itself(), IndexRecordOption::WithFreqs))];
        let mut add = |query: Box<dyn TantivyQuery>, weight| ways.push(Box::new(BoostQuery::new(query, weight)));
        if !self.is_number() {
            add(Box::new(TermQuery::new(self.form(), IndexRecordOption::WithFreqs)), AS_FORM);
        }
        if let Some(near) = self.near() {
            add(Box::new(near), AS_SLIP);
        }
        if self.begins {
            add(Box::new(PatternQuery::beginning(self.fields.text, self.text)), AS_BEGINNING);
        }
        Box::new(BooleanQuery::union(ways))
    }

    /// The same documents by as few lists as will do: what shares the word's form is in the list of that form already.
    fn found(&self, searcher: &Searcher, watch: &Watch) -> Result<Box<dyn TantivyQuery>, IndexError> {
        let others = self.others(searcher, watch)?;
        let mut terms = Vec::with_capacity(others.len() + 1);
        terms.push(if self.is_number() { self.itself() } else { self.form() });
        terms.extend(others.iter().map(|other| Term::from_field_text(self.fields.text, other)));
        Ok(any_of(terms))
    }

    /// The index's own words that are near enough, but for those of the word's form.
    fn others(&self, searcher: &Searcher, watch: &Watch) -> Result<Arc<Vec<String>>, IndexError> {
        let key = (self.text.to_owned(), self.begins);
        let known = self.known;
        if let Some(others) = known.of(searcher, |words| words.get(&key).cloned()).flatten() {
            return Ok(others);
        }
        let mut found = BTreeSet::new();
        let mut steps = 0usize;
        let mut step = || {
            steps += 1;
            if usize::is_multiple_of(steps, STEPS) { watch.check() } else { Ok(()) }
        };
        let near = self.near().map(|near| near.automaton()).transpose()?;
        for segment in searcher.segment_readers() {
            let list = segment.inverted_index(self.fields.text)?;
            if let Some(near) = &near {
                let mut terms = list.terms().search(near).into_stream()?;
                while terms.advance() {
                    step()?;
                    found.insert(terms.key().to_vec());
                }
            }
            if self.begins {
                let mut terms = list.terms().range().ge(self.text).into_stream()?;
                while terms.advance() && terms.key().starts_with(self.text.as_bytes()) {
                    step()?;
                    found.insert(terms.key().to_vec());
                }
            }
        }
        let own = stem(self.text);
        let others = found.iter().filter_map(|term| std::str::from_utf8(term).ok());
        let others = others.filter(|other| *other != self.text && (self.is_number() || stem(other) != own));
        let others = Arc::new(others.map(str::to_owned).collect::<Vec<_>>());
        if others.len() <= OTHERS_MAX {
            known.of(searcher, |words| words.insert(key, others.clone()));
        }
        Ok(others)
    }
}
