//! One admission for the queries of all protocols: how many run at once, in all and for each key, and how much
//! memory their responses may take together. A query that finds no slot waits for a while and is then refused.
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::QueryError;
use crate::config;

/// Bytes of one permit of memory.
const UNIT: u64 = 16 << 10;

/// The share of the memory that only small responses may take, so that they never wait for large ones.
const SMALL_SHARE: u64 = 4;

/// The share of the memory for small responses that one of them may take.
const SMALL_RESPONSE_SHARE: u64 = 4;

/// Queries that wait at once; more are refused without waiting.
const WAITING_MAX: usize = 256;

/// Clones share it.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    settings: config::Query,
    slots: Arc<Semaphore>,
    small: MemoryPool,
    large: MemoryPool,
    keys: Keys,
    exports: Kind,
    subscriptions: Arc<Semaphore>,
    polls: Kind,
    polls_max: AtomicUsize,
    waiting: AtomicUsize,
}

impl Inner {
    fn pool(&self, bytes: u64) -> &MemoryPool {
        if bytes <= self.small.bytes_max { &self.small } else { &self.large }
    }
}

/// Memory for responses of one size.
struct MemoryPool {
    memory: Arc<Semaphore>,
    bytes_max: u64,
}

impl MemoryPool {
    fn new(bytes: u64, bytes_max: u64) -> Self {
        let permits = usize::try_from(bytes / UNIT).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        Self { memory: Arc::new(Semaphore::new(permits)), bytes_max: bytes_max.min(bytes).max(UNIT) }
    }

    /// The permits for a response of about `bytes` bytes. One that is larger than the pool runs alone.
    fn permits(&self, bytes: u64) -> Result<u32, QueryError> {
        u32::try_from(bytes.clamp(UNIT, self.bytes_max) / UNIT).map_err(|_| QueryError::Overloaded)
    }
}

/// Slots in all and for each key.
struct Kind {
    slots: Arc<Semaphore>,
    keys: Keys,
}

/// Slots for each key, as long as a request uses or waits for one.
struct Keys {
    each: usize,
    known: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Keys {
    fn new(each: usize) -> Self {
        Self { each, known: Mutex::default() }
    }

    fn slots(&self, key: &str) -> Arc<Semaphore> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slots) = known.get(key).and_then(Weak::upgrade) {
            return slots;
        }
        known.retain(|_, slots| slots.strong_count() > 0);
        let slots = Arc::new(Semaphore::new(self.each));
        known.insert(key.to_owned(), Arc::downgrade(&slots));
        slots
    }
}

/// The slots and the memory of an admitted query; both are free again when this is dropped.
#[derive(Debug)]
pub struct Permit {
    pool: Arc<Semaphore>,
    memory: Mutex<Vec<OwnedSemaphorePermit>>,
    covered: AtomicU64,
    slots: Mutex<Vec<OwnedSemaphorePermit>>,
}

impl Permit {
    fn new(pool: &MemoryPool, memory: OwnedSemaphorePermit, slots: [OwnedSemaphorePermit; 2]) -> Self {
        Self {
            pool: pool.memory.clone(),
            covered: AtomicU64::new(memory.num_permits() as u64 * UNIT),
            memory: Mutex::new(vec![memory]),
            slots: Mutex::new(slots.into()),
        }
    }

    /// Takes more memory if a response turns out larger than estimated.
    pub(super) fn cover(&self, bytes: u64) -> Result<(), QueryError> {
        let covered = self.covered.load(Ordering::Relaxed);
        if bytes <= covered {
            return Ok(());
        }
        let missing = u32::try_from((bytes - covered).div_ceil(UNIT)).map_err(|_| QueryError::Overloaded)?;
        let permit = self.pool.clone().try_acquire_many_owned(missing).map_err(|_| QueryError::Overloaded)?;
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).push(permit);
        self.covered.fetch_add(u64::from(missing) * UNIT, Ordering::Relaxed);
        Ok(())
    }

    /// Frees the slots: the response is made.
    pub fn end_work(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Releases all memory but `bytes`, which the response needs until it is sent.
    pub fn keep_only(&self, bytes: usize) {
        let wanted = usize::try_from((bytes as u64).div_ceil(UNIT)).unwrap_or(usize::MAX);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut all) = memory.pop() else { return };
        memory.drain(..).for_each(|permit| all.merge(permit));
        let excess = all.num_permits().saturating_sub(wanted);
        drop(all.split(excess));
        memory.push(all);
    }
}

impl Admission {
    pub fn new(settings: &config::Query) -> Self {
        let small = settings.memory / SMALL_SHARE;
        let large = settings.memory - small;
        Self(Arc::new(Inner {
            slots: Arc::new(Semaphore::new(settings.concurrency)),
            small: MemoryPool::new(small, small / SMALL_RESPONSE_SHARE),
            large: MemoryPool::new(large, large),
            keys: Keys::new(settings.concurrency_per_key),
            exports: Kind {
                slots: Arc::new(Semaphore::new(settings.exports)),
                keys: Keys::new(settings.exports_per_key),
            },
            subscriptions: Arc::new(Semaphore::new(settings.subscriptions)),
            polls: Kind {
                slots: Arc::new(Semaphore::new(settings.subscriptions)),
                keys: Keys::new(settings.subscriptions.div_ceil(2)),
            },
            polls_max: AtomicUsize::new(settings.subscriptions),
            waiting: AtomicUsize::default(),
            settings: settings.clone(),
        }))
    }

    pub fn settings(&self) -> &config::Query {
        &self.0.settings
    }

    /// Admits a query of a key, whose response will take about `bytes` bytes.
    pub async fn admit(&self, key: &str, bytes: u64) -> Result<Permit, QueryError> {
        let inner = &self.0;
        let pool = inner.pool(bytes);
        let permits = pool.permits(bytes)?;
        let admitted = async {
            let own = inner.keys.slots(key).acquire_owned().await.map_err(|_| QueryError::Overloaded)?;
            let memory = pool.memory.clone().acquire_many_owned(permits).await.map_err(|_| QueryError::Overloaded)?;
            let slot = inner.slots.clone().acquire_owned().await.map_err(|_| QueryError::Overloaded)?;
            Ok(Permit::new(pool, memory, [own, slot]))
        };
        self.wait(admitted).await
    }

    /// The same for a query that can be admitted at once; `None` if it would have to wait.
    pub fn try_admit(&self, key: &str, bytes: u64) -> Option<Permit> {
        let inner = &self.0;
        let pool = inner.pool(bytes);
        let own = inner.keys.slots(key).try_acquire_owned().ok()?;
        let memory = pool.memory.clone().try_acquire_many_owned(pool.permits(bytes).ok()?).ok()?;
        let slot = inner.slots.clone().try_acquire_owned().ok()?;
        Some(Permit::new(pool, memory, [own, slot]))
    }

    /// Admits an export of a key.
    pub async fn admit_export(&self, key: &str) -> Result<[OwnedSemaphorePermit; 2], QueryError> {
        let exports = &self.0.exports;
        let admitted = async {
            let own = exports.keys.slots(key).acquire_owned().await.map_err(|_| QueryError::Overloaded)?;
            let slot = exports.slots.clone().acquire_owned().await.map_err(|_| QueryError::Overloaded)?;
            Ok([own, slot])
        };
        self.wait(admitted).await
    }

    /// Admits a subscription or refuses it at once: subscriptions last, so waiting for a slot is pointless.
    pub fn admit_subscription(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        self.0.subscriptions.clone().try_acquire_owned().map_err(|_| QueryError::Crowded {
            what: "subscriptions on this service",
            max: self.0.settings.subscriptions,
        })
    }

    /// Lets no more than `max` polls wait.
    pub fn limit_polls(&self, max: usize) {
        let before = self.0.polls_max.fetch_min(max, Ordering::Relaxed);
        self.0.polls.slots.forget_permits(before.saturating_sub(max));
    }

    /// How many polls wait now.
    pub fn waiting_polls(&self) -> usize {
        let polls_max = self.0.polls_max.load(Ordering::Relaxed);
        polls_max.saturating_sub(self.0.polls.slots.available_permits())
    }

    /// Admits a poll that waits for a change, or refuses it at once.
    pub fn admit_poll(&self, key: &str) -> Result<PollPlace, QueryError> {
        let polls = &self.0.polls;
        let crowded = |what, max| QueryError::Crowded { what, max };
        let each = polls.keys.each;
        let own = polls.keys.slots(key).try_acquire_owned();
        let own = own.map_err(|_| crowded("requests that wait for changes with this key", each))?;
        let slot = polls.slots.clone().try_acquire_owned();
        let slots_max = self.0.polls_max.load(Ordering::Relaxed);
        let slot = slot.map_err(|_| crowded("requests that wait for changes on this service", slots_max))?;
        Ok(PollPlace { _slots: [own, slot] })
    }

    async fn wait<T>(&self, admitted: impl Future<Output = Result<T, QueryError>>) -> Result<T, QueryError> {
        let waiting = Waiting::new(&self.0.waiting);
        if waiting.others >= WAITING_MAX {
            metrics::counter!("acervo_queries_refused_total").increment(1);
            return Err(QueryError::Overloaded);
        }
        let admitted =
            timeout_at(Instant::now() + self.0.settings.wait, admitted).await.unwrap_or(Err(QueryError::Overloaded));
        if admitted.is_err() {
            metrics::counter!("acervo_queries_refused_total").increment(1);
        }
        admitted
    }
}

/// The place of a poll that waits; free again when this is dropped.
#[derive(Debug)]
pub struct PollPlace {
    _slots: [OwnedSemaphorePermit; 2],
}

/// Counts a query that waits, until it is dropped.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    /// How many waited before it.
    others: usize,
}

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        metrics::gauge!("acervo_queries_waiting").increment(1.0);
        Self { count, others: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        metrics::gauge!("acervo_queries_waiting").decrement(1.0);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
