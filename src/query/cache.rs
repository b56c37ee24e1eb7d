//! Recent pages, cached for as long as nothing is committed: dashboards send the same requests again and again, many at a
//! time, to an archive that changes a few hundred times a day.
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use lru::LruCache;

use super::weight::Weight;
use super::{ListPage, PublicationRequest, PublicationRow};
use crate::engine::record::Version;

/// Bytes of all cached rows at most, and of one page.
const BYTES_MAX: usize = 8 << 20;
const PAGE_BYTES_MAX: usize = 256 << 10;

/// What a row takes in addition to its bytes: its cursor and its slot in the page.
const ROW_BYTES: usize = 200;

/// What a row may take as text; longer text is not cached.
const ROW_TEXT_BYTES: usize = 1_000;

/// Longer requests, such as those with long lists of ids, are not repeated.
const REQUEST_LENGTH_MAX: usize = 4_000;

/// Longer pages belong to walks through a list, which read each page once.
const PAGE_MAX: usize = 200;

/// What a page depends on: the state of the record and that of the index.
pub(super) type State = (Version, u64);

/// A page of publications, shared by all who request it.
#[derive(Debug)]
pub struct PublicationPage {
    pub list: ListPage<Arc<PublicationRow>>,
    pub text: PageText,
}

impl PublicationPage {
    pub(super) fn new(list: ListPage<Arc<PublicationRow>>) -> Self {
        let text = PageText { length_max: list.rows.len() * ROW_TEXT_BYTES, first: OnceLock::new() };
        Self { list, text }
    }

    /// With its text, whether that was written already or not.
    fn bytes(&self) -> usize {
        let rows = self.list.rows.iter().map(|(_, row)| row.weight() + ROW_BYTES).sum::<usize>();
        rows + self.text.length_max
    }
}

/// The rows of a page as they were first written; a dashboard selects the same columns each time.
#[derive(Debug)]
pub struct PageText {
    length_max: usize,
    first: OnceLock<(String, Bytes)>,
}

impl PageText {
    /// The rows with the columns and names that `form` describes, written by `write` unless they are cached.
    pub fn get_or_write<E>(&self, form: &str, write: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<Bytes, E> {
        if let Some((cached, text)) = self.first.get()
            && cached == form
        {
            return Ok(text.clone());
        }
        let text = Bytes::from(write()?);
        if text.len() <= self.length_max {
            // Where another request was faster, its text stays.
            let _ = self.first.set((form.to_owned(), text.clone()));
        }
        Ok(text)
    }
}

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
    rows: Arc<PublicationPage>,
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
    pub fn get(&self, state: &State, request: &PublicationRequest) -> Option<Arc<PublicationPage>> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.state.as_ref() != Some(state) {
            return None;
        }
        pages.pages.get(request).map(|page| page.rows.clone())
    }

    /// Caches a page that was read after this state was. A commit in between makes it newer than the state says, until the
    /// state is read the next time.
    pub fn insert(&self, state: State, request: PublicationRequest, page: &Arc<PublicationPage>) {
        if page.list.rows.len() > PAGE_MAX {
            return;
        }
        let request_bytes = format!("{request:?}").len();
        let bytes = page.bytes() + request_bytes;
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
    use super::{BYTES_MAX, ListPage, Page, PageText, Pages, PublicationPage};
    use crate::engine::index::{Filter, Order};
    use crate::query::{Paging, PublicationRequest};
    use std::sync::{Arc, OnceLock};

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
        let list = ListPage { total: 0, rows: Vec::new(), has_next: false, has_previous: false };
        let rows = Arc::new(PublicationPage::new(list));
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

    #[test]
    fn the_first_text_of_a_page_is_written_once_and_others_each_time() {
        let text = PageText { length_max: 4, first: OnceLock::new() };
        let mut written = 0;
        let mut get = |form: &str, content: &str| {
            let content = content.as_bytes().to_vec();
            let write = || {
                written += 1;
                Ok::<_, ()>(content)
            };
            (text.get_or_write(form, write).unwrap_or_default(), written)
        };
        assert_eq!(get("long", "12345"), ("12345".into(), 1));
        assert_eq!(get("a", "1234"), ("1234".into(), 2));
        assert_eq!(get("a", "-"), ("1234".into(), 2));
        assert_eq!(get("b", "5"), ("5".into(), 3));
        assert_eq!(get("b", "5"), ("5".into(), 4));
    }
}
