//! Recent pages, cached for as long as nothing is committed: dashboards send the same requests again and again, many at a
//! time, to an archive that changes a few hundred times a day.
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::weight::Weight;
use super::{ListPage, PublicationRequest, PublicationRow};
use crate::engine::record::Version;

/// Bytes of all cached rows at most, and of one page.
const BYTES_MAX: usize = 4 << 20;
const PAGE_BYTES_MAX: usize = 256 << 10;

/// What a row takes in addition to its bytes: its cursor and its slot in the page.
const ROW_BYTES: usize = 200;

/// Longer requests, such as those with long lists of ids, are not repeated.
const REQUEST_LENGTH_MAX: usize = 4_000;

/// Longer pages belong to walks through a list, which read each page once.
const PAGE_MAX: usize = 200;

/// What a page depends on: the state of the record and that of the index.
pub(super) type State = (Version, u64);

pub(super) type Publications = ListPage<Arc<PublicationRow>>;

/// Requests that are remembered at most, as hashes.
const SEEN_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

pub(super) struct ResultCache {
    pages: Mutex<Pages>,
    seen: Mutex<LruCache<u64, ()>>,
    hash: RandomState,
}

impl Default for ResultCache {
    fn default() -> Self {
        Self { pages: Mutex::default(), seen: Mutex::new(LruCache::new(SEEN_MAX)), hash: RandomState::new() }
    }
}

/// The pages of one state. Where they take too many bytes, the least recently used ones are evicted.
struct Pages {
    state: Option<State>,
    pages: LruCache<PublicationRequest, Page>,
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
    fn insert(&mut self, request: PublicationRequest, page: Page) {
        self.bytes += page.bytes;
        if let Some(replaced) = self.pages.put(request, page) {
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
    /// Whether a request was seen recently. Most come once; for these, neither the record's state is read nor memory used.
    pub fn is_repeated(&self, request: &PublicationRequest) -> bool {
        let mark = self.hash.hash_one(request);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).put(mark, ()).is_some()
    }

    /// The cached page of a request, if it is of this state.
    pub fn get(&self, state: &State, request: &PublicationRequest) -> Option<Arc<Publications>> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.state.as_ref() != Some(state) {
            return None;
        }
        pages.pages.get(request).map(|page| page.rows.clone())
    }

    /// Caches a page that was read after this state was. A commit in between makes it newer than the state says, until the
    /// state is read the next time.
    pub fn insert(&self, state: State, request: PublicationRequest, page: &Arc<Publications>) {
        if page.rows.len() > PAGE_MAX {
            return;
        }
        let request_bytes = format!("{request:?}").len();
        let rows = page.rows.iter().map(|(_, row)| row.weight() + ROW_BYTES).sum::<usize>();
        let bytes = rows + request_bytes;
        if request_bytes > REQUEST_LENGTH_MAX || bytes > PAGE_BYTES_MAX {
            return;
        }
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.state.as_ref() != Some(&state) {
            *pages = Pages { state: Some(state), ..Pages::default() };
        }
        pages.insert(request, Page { rows: page.clone(), bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, Page, Pages, Publications};
    use crate::engine::index::{Filter, Order};
    use crate::query::{Paging, PublicationRequest};
    use std::sync::Arc;

    fn request(search: &str) -> PublicationRequest {
        PublicationRequest {
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
            pages.insert(request(search), page());
        }
        assert_eq!(pages.bytes, BYTES_MAX / 3 * 3);
        assert!(pages.pages.get(&request("a")).is_some());
        pages.insert(request("d"), page());
        let is_cached = |search: &str| pages.pages.contains(&request(search));
        assert_eq!(["a", "b", "c", "d"].map(is_cached), [true, false, true, true]);
        assert_eq!(pages.bytes, BYTES_MAX / 3 * 3);
    }
}
