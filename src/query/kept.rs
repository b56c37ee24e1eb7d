//! Pages that were asked for lately, kept for as long as nothing is committed: dashboards ask the same again and again,
//! many at a time, of an archive that changes a few hundred times a day.
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use super::weight::Weight;
use super::{Listed, PublicationAsk, PublicationRow};
use crate::record::Version;

/// Bytes of the rows that are kept at most, and of one page.
const BYTES_MAX: usize = 4 << 20;
const PAGE_BYTES_MAX: usize = 256 << 10;

/// What a row takes beside its own bytes: its cursor and its place.
const ROW_BYTES: usize = 200;

/// Questions of more characters, such as long lists of ids, are not asked again and again.
const QUESTION_MAX: usize = 4_000;

/// Longer pages are read to be gone through once.
const PAGE_MAX: usize = 200;

/// What an answer depends on: the record's state, and the index's.
pub(super) type State = (Version, u64);

pub(super) type Publications = Listed<Arc<PublicationRow>>;

/// Questions that are remembered at most, eight bytes each.
const ASKED_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct ResultCache {
    pages: Mutex<Pages>,
    asked: Mutex<HashSet<u64>>,
    hash: RandomState,
}

#[derive(Default)]
struct Pages {
    state: Option<State>,
    pages: HashMap<PublicationAsk, Arc<Publications>>,
    bytes: usize,
}

impl ResultCache {
    /// Whether a question was asked before, as far as is remembered. Most are asked once, and neither the record's state
    /// nor memory is spent on these.
    pub fn is_asked_again(&self, question: &PublicationAsk) -> bool {
        let mark = self.hash.hash_one(question);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= ASKED_MAX {
            asked.clear();
        }
        !asked.insert(mark)
    }

    /// The answer to a question, if it was given in this state.
    pub fn get(&self, state: &State, question: &PublicationAsk) -> Option<Arc<Publications>> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.state.as_ref() != Some(state) {
            return None;
        }
        pages.pages.get(question).cloned()
    }

    /// Keeps an answer that was found after this state was seen. What is committed in between makes it newer than the
    /// state says, which the next look at the state ends.
    pub fn keep(&self, state: State, question: PublicationAsk, page: &Arc<Publications>) {
        if page.rows.len() > PAGE_MAX {
            return;
        }
        let question_bytes = format!("{question:?}").len();
        let rows = page.rows.iter().map(|(_, row)| row.weight() + ROW_BYTES).sum::<usize>();
        let bytes = rows + question_bytes;
        if question_bytes > QUESTION_MAX || bytes > PAGE_BYTES_MAX {
            return;
        }
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.state.as_ref() != Some(&state) || pages.bytes + bytes > BYTES_MAX {
            *pages = Pages { state: Some(state), ..Pages::default() };
        }
        pages.bytes += bytes;
        pages.pages.insert(question, page.clone());
    }
}
