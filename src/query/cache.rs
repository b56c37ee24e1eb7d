//! Recent pages, cached for as long as nothing is committed: dashboards send the same requests again and again, many at a
//! time, to an archive that changes a few hundred times a day.
use std::hash::{BuildHasher, Hash, RandomState};
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveState {
    pub(super) record: Version,
    pub(super) index: u64,
}

/// A page of publications, shared by all who request it.
#[derive(Debug)]
pub struct PublicationPage {
    pub list: ListPage<Arc<PublicationRow>>,
    pub text: PageText,
    /// Read before the rows: as long as it lasts, they are what the archive contains. Absent if the request was not repeated.
    pub state: Option<ArchiveState>,
}

impl PublicationPage {
    pub(super) fn new(list: ListPage<Arc<PublicationRow>>, state: Option<ArchiveState>) -> Self {
        let text = PageText { length_max: list.rows.len() * ROW_TEXT_BYTES, first: OnceLock::new() };
        Self { list, text, state }
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
    /// The rows with the columns and names that `key` describes, written by `write` unless they are cached.
    pub fn get_or_write<E>(&self, key: &str, write: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<Bytes, E> {
        if let Some((cached, text)) = self.first.get()
            && cached == key
        {
            return Ok(text.clone());
        }
        let text = Bytes::from(write()?);
        if text.len() <= self.length_max {
            // Where another request was faster, its text stays.
            let _ = self.first.set((key.to_owned(), text.clone()));
        }
        Ok(text)
    }
}

/// Requests that are remembered at most, as hashes.
const SEEN_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

pub(super) struct ResultCache {
    pages: Mutex<StateCache<PublicationRequest, Arc<PublicationPage>>>,
    seen: Mutex<LruCache<u64, ()>>,
    hash: RandomState,
}

impl Default for ResultCache {
    fn default() -> Self {
        Self {
            pages: Mutex::new(StateCache::new(BYTES_MAX)),
            seen: Mutex::new(LruCache::new(SEEN_MAX)),
            hash: RandomState::new(),
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
    pub fn get(&self, state: &ArchiveState, request: &PublicationRequest) -> Option<Arc<PublicationPage>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).get(state, request).cloned()
    }

    /// Caches a page that was read after its state was. A commit in between makes it newer than the state says, until the
    /// state is read the next time.
    pub fn insert(&self, request: PublicationRequest, page: &Arc<PublicationPage>) {
        let Some(state) = &page.state else { return };
        if page.list.rows.len() > PAGE_MAX {
            return;
        }
        let request_bytes = format!("{request:?}").len();
        let bytes = page.bytes() + request_bytes;
        if request_bytes > REQUEST_LENGTH_MAX || bytes > PAGE_BYTES_MAX {
            return;
        }
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).insert(state, request, page.clone(), bytes);
    }
}

/// Values that follow from one state of the archive. When they take too many bytes, the least recently used ones are evicted.
pub struct StateCache<Key, Value> {
    state: Option<ArchiveState>,
    /// Each value with the bytes that it takes.
    values: LruCache<Key, (Value, usize)>,
    bytes: usize,
    bytes_max: usize,
}

impl<Key: Hash + Eq, Value> StateCache<Key, Value> {
    pub fn new(bytes_max: usize) -> Self {
        Self { state: None, values: LruCache::unbounded(), bytes: 0, bytes_max }
    }

    /// Whether there is a value, of any state.
    pub fn contains(&self, key: &Key) -> bool {
        self.values.contains(key)
    }

    /// The value of a key, if it is of this state.
    pub fn get(&mut self, state: &ArchiveState, key: &Key) -> Option<&Value> {
        if self.state.as_ref() != Some(state) {
            return None;
        }
        self.values.get(key).map(|(value, _)| value)
    }

    /// Adds a value of this state. Values of another one are dropped.
    pub fn insert(&mut self, state: &ArchiveState, key: Key, value: Value, bytes: usize) {
        if self.state.as_ref() != Some(state) {
            *self = Self { state: Some(state.clone()), ..Self::new(self.bytes_max) };
        }
        self.bytes += bytes;
        if let Some((_, replaced)) = self.values.put(key, (value, bytes)) {
            self.bytes -= replaced;
        }
        while self.bytes > self.bytes_max
            && let Some((_, (_, evicted))) = self.values.pop_lru()
        {
            self.bytes -= evicted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ArchiveState, PageText, StateCache};
    use crate::engine::record::Version;
    use std::sync::OnceLock;

    fn state(index: u64) -> ArchiveState {
        ArchiveState { record: Version::default(), index }
    }

    #[test]
    fn the_least_recently_used_value_is_evicted_and_bytes_are_counted_once() {
        let mut values = StateCache::new(9);
        for key in ["a", "b", "c", "c"] {
            values.insert(&state(1), key, (), 3);
        }
        assert_eq!(values.bytes, 9);
        assert!(values.get(&state(1), &"a").is_some());
        values.insert(&state(1), "d", (), 3);
        assert_eq!(["a", "b", "c", "d"].map(|key| values.contains(&key)), [true, false, true, true]);
        assert_eq!(values.bytes, 9);
    }

    #[test]
    fn a_value_is_not_used_in_another_state() {
        let mut values = StateCache::new(9);
        values.insert(&state(1), "a", "old", 3);
        assert_eq!(values.get(&state(2), &"a"), None);
        assert_eq!(values.get(&state(1), &"a"), Some(&"old"));
        values.insert(&state(2), "b", "new", 4);
        assert_eq!(values.get(&state(1), &"a"), None);
        assert_eq!(values.get(&state(2), &"a"), None);
        assert_eq!(values.get(&state(2), &"b"), Some(&"new"));
        assert_eq!(values.bytes, 4);
    }

    #[test]
    fn the_first_text_of_a_page_is_written_once_and_others_each_time() {
        let text = PageText { length_max: 4, first: OnceLock::new() };
        let mut written = 0;
        let mut get = |key: &str, content: &str| {
            let content = content.as_bytes().to_vec();
            let write = || {
                written += 1;
                Ok::<_, ()>(content)
            };
            (text.get_or_write(key, write).unwrap_or_default(), written)
        };
        assert_eq!(get("long", "12345"), ("12345".into(), 1));
        assert_eq!(get("a", "1234"), ("1234".into(), 2));
        assert_eq!(get("a", "-"), ("1234".into(), 2));
        assert_eq!(get("b", "5"), ("5".into(), 3));
        assert_eq!(get("b", "5"), ("5".into(), 4));
    }
}
