//! Pages that were asked for lately, kept for as long as nothing is committed: dashboards ask the same again and again,
//! many at a time, of an archive that changes a few hundred times a day.
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

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

/// Questions that are remembered at most, as hashes.
const ASKED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

pub(super) struct ResultCache {
    pages: Mutex<Pages>,
    asked: Mutex<LruCache<u64, ()>>,
    hash: RandomState,
}

impl Default for ResultCache {
    fn default() -> Self {
        Self { pages: Mutex::default(), asked: Mutex::new(LruCache::new(ASKED_MAX)), hash: RandomState::new() }
    }
}

/// The pages of one state. Where they take too many bytes, the least recently used ones are evicted.
struct Pages {
    state: Option<State>,
    pages: LruCache<PublicationAsk, Page>,
    bytes: usize,
}

impl Default for Pages {
    fn default() -> Self {
        Self { state: None, pages: LruCache::unbounded(), bytes: 0 }
    }
}

struct Page {
    rows: Arc<Publications>,
    bytes: usize,
}

impl Pages {
    fn insert(&mut self, question: PublicationAsk, page: Page) {
        self.bytes += page.bytes;
        if let Some(replaced) = self.pages.put(question, page) {
            self.bytes -= replaced.bytes;
        }
        while self.bytes > BYTES_MAX
            && let Some((_, evicted)) = self.pages.pop_lru()
        {
            self.bytes -= evicted.bytes;
        }
    }
}

impl ResultCache {
    /// Whether a question was asked before, as far as is remembered. Most are asked once, and neither the record's state
    /// nor memory is spent on these.
    pub fn is_asked_again(&self, question: &PublicationAsk) -> bool {
        let mark = self.hash.hash_one(question);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).put(mark, ()).is_some()
    }

    /// The answer to a question, if it was given in this state.
    pub fn get(&self, state: &State, question: &PublicationAsk) -> Option<Arc<Publications>> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.state.as_ref() != Some(state) {
            return None;
        }
        pages.pages.get(question).map(|page| page.rows.clone())
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
        if pages.state.as_ref() != Some(&state) {
            *pages = Pages { state: Some(state), ..Pages::default() };
        }
        pages.insert(question, Page { rows: page.clone(), bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, Page, Pages, Publications};
    use crate::index::{Filter, Order};
    use crate::query::{Paging, PublicationAsk};
    use std::sync::Arc;

    fn question(search: &str) -> PublicationAsk {
        PublicationAsk {
            search: Some(search.to_owned()),
            scored: false,
            filter: Filter::default(),
            as_of: None,
            order: Order::Archived { descending: true },
            paging: Paging::first(1),
        }
    }

    #[test]
    fn the_least_recently_used_page_is_evicted_and_bytes_are_counted_once() {
        let mut pages = Pages::default();
        let rows = Arc::new(Publications { total: 0, rows: Vec::new(), has_next: false, has_previous: false });
        let page = || Page { rows: rows.clone(), bytes: BYTES_MAX / 3 };
        for search in ["a", "b", "c", "c"] {
            pages.insert(question(search), page());
        }
        assert_eq!(pages.bytes, BYTES_MAX / 3 * 3);
        assert!(pages.pages.get(&question("a")).is_some());
        pages.insert(question("d"), page());
        let is_kept = |search: &str| pages.pages.contains(&question(search));
        assert_eq!(["a", "b", "c", "d"].map(is_kept), [true, false, true, true]);
        assert_eq!(pages.bytes, BYTES_MAX / 3 * 3);
    }
}
