//! One admission for all questions, whatever carries them: how many at once, in all and for one key, and how much memory
//! their answers may take together. What finds no room waits for a while and is then told to come again.
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::QueryError;
use crate::config;

/// What a permit of memory stands for.
const UNIT: u64 = 16 << 10;

/// Of the memory, the part that only small answers may take, so that they never wait for large ones.
const LIGHT_PART: u64 = 4;

/// Of the memory for small answers, the most that one of them takes.
const SMALL_PART: u64 = 4;

/// Questions that wait at once; more are refused without waiting.
const WAITING_MAX: usize = 256;

/// Clones share it.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    settings: config::Query,
    places: Arc<Semaphore>,
    light: Lane,
    heavy: Lane,
    keys: Keys,
    exports: Kind,
    subscriptions: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Memory for answers of one size.
struct Lane {
    memory: Arc<Semaphore>,
    bytes_max: u64,
}

impl Lane {
    fn new(bytes: u64, bytes_max: u64) -> Self {
        let permits = usize::try_from(bytes / UNIT).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        Self { memory: Arc::new(Semaphore::new(permits)), bytes_max: bytes_max.min(bytes).max(UNIT) }
    }
}

/// Places in all and for each key.
struct Kind {
    places: Arc<Semaphore>,
    keys: Keys,
}

/// Places for each key, as long as anybody uses or waits for one.
struct Keys {
    each: usize,
    known: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Keys {
    fn new(each: usize) -> Self {
        Self { each, known: Mutex::default() }
    }

    fn places(&self, key: &str) -> Arc<Semaphore> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = known.get(key).and_then(Weak::upgrade) {
            return places;
        }
        known.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(self.each));
        known.insert(key.to_owned(), Arc::downgrade(&places));
        places
    }
}

/// Room that a question has; it is free again when this is dropped.
#[derive(Debug)]
pub struct Admitted {
    lane: Arc<Semaphore>,
    memory: Mutex<Vec<OwnedSemaphorePermit>>,
    covered: AtomicU64,
    places: Mutex<Vec<OwnedSemaphorePermit>>,
}

impl Admitted {
    /// Takes more room where an answer turns out larger than it looked.
    pub(super) fn cover(&self, bytes: u64) -> Result<(), QueryError> {
        let covered = self.covered.load(Ordering::Relaxed);
        if bytes <= covered {
            return Ok(());
        }
        let missing = u32::try_from((bytes - covered).div_ceil(UNIT)).unwrap_or(u32::MAX);
        let permit = self.lane.clone().try_acquire_many_owned(missing).map_err(|_| QueryError::Overloaded)?;
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).push(permit);
        self.covered.fetch_add(u64::from(missing) * UNIT, Ordering::Relaxed);
        Ok(())
    }

    /// The answer is made: others may work.
    pub fn end_work(&self) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Keeps so much memory alone, which the answer takes until it was sent.
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
        let light = settings.memory / LIGHT_PART;
        let heavy = settings.memory - light;
        Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(settings.concurrency)),
            light: Lane::new(light, light / SMALL_PART),
            heavy: Lane::new(heavy, settings.answer_max),
            keys: Keys::new(settings.concurrency_per_key),
            exports: Kind {
                places: Arc::new(Semaphore::new(settings.exports)),
                keys: Keys::new(settings.exports_per_key),
            },
            subscriptions: Arc::new(Semaphore::new(settings.subscriptions)),
            waiting: AtomicUsize::default(),
            settings: settings.clone(),
        }))
    }

    pub fn settings(&self) -> &config::Query {
        &self.0.settings
    }

    /// Room for a question of a key, whose answer will take about so many bytes.
    pub async fn admit(&self, key: &str, bytes: u64) -> Result<Admitted, QueryError> {
        let inner = &self.0;
        let lane = if bytes <= inner.light.bytes_max { &inner.light } else { &inner.heavy };
        let bytes = bytes.clamp(UNIT, lane.bytes_max);
        let permits = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX);
        let room = async {
            let own = inner.keys.places(key).acquire_owned().await.map_err(|_| QueryError::Overloaded)?;
            let memory = lane.memory.clone().acquire_many_owned(permits).await.map_err(|_| QueryError::Overloaded)?;
            let place = inner.places.clone().acquire_owned().await.map_err(|_| QueryError::Overloaded)?;
            Ok(Admitted {
                lane: lane.memory.clone(),
                memory: Mutex::new(vec![memory]),
                covered: AtomicU64::new(u64::from(permits) * UNIT),
                places: Mutex::new(vec![own, place]),
            })
        };
        self.wait(room).await
    }

    /// Room for an export of a key.
    pub async fn admit_export(&self, key: &str) -> Result<[OwnedSemaphorePermit; 2], QueryError> {
        let exports = &self.0.exports;
        let room = async {
            let own = exports.keys.places(key).acquire_owned().await.map_err(|_| QueryError::Overloaded)?;
            let place = exports.places.clone().acquire_owned().await.map_err(|_| QueryError::Overloaded)?;
            Ok([own, place])
        };
        self.wait(room).await
    }

    /// A place for a subscription; these last, so nobody waits for one.
    pub fn admit_subscription(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        self.0.subscriptions.clone().try_acquire_owned().map_err(|_| QueryError::Crowded {
            what: "subscriptions on this service",
            max: self.0.settings.subscriptions,
        })
    }

    async fn wait<T>(&self, room: impl Future<Output = Result<T, QueryError>>) -> Result<T, QueryError> {
        let waiting = &self.0.waiting;
        let _waits = Waits(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            metrics::counter!("acervo_questions_refused_total").increment(1);
            return Err(QueryError::Overloaded);
        }
        let admitted =
            timeout_at(Instant::now() + self.0.settings.wait, room).await.unwrap_or(Err(QueryError::Overloaded));
        if admitted.is_err() {
            metrics::counter!("acervo_questions_refused_total").increment(1);
        }
        admitted
    }
}

struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
