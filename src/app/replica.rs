//! This process among those that share the database.
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long a service counts as there, and leads, after it was last heard of.
const LASTS: Duration = Duration::from_secs(30);

/// This process among those that share the database.
#[derive(Debug)]
pub struct ReplicaIdentity {
    /// Another one after each start.
    pub id: String,
    /// The same after each start.
    pub name: String,
    leadership: Mutex<Leadership>,
}

#[derive(Debug, Default)]
struct Leadership {
    /// Until when this process leads, unless it says so again.
    until: Option<Instant>,
    /// Counts the releases of slots that services which are gone had taken.
    releases: u64,
}

impl ReplicaIdentity {
    pub(super) fn new(name: String) -> Self {
        Self { id: uuid::Uuid::now_v7().to_string(), name, leadership: Mutex::default() }
    }

    /// For how long a service counts as there after it was last heard of.
    pub fn lasts() -> Duration {
        fail::fail_point!("replica-lasts", |millis| {
            millis.and_then(|millis| millis.parse().ok()).map_or(LASTS, Duration::from_millis)
        });
        LASTS
    }

    /// Whether no other service leads now.
    pub fn leads(&self) -> bool {
        self.leadership().until.is_some_and(|until| Instant::now() < until)
    }

    /// Grows whenever slots of schedules that were taken are free again.
    pub fn releases(&self) -> u64 {
        self.leadership().releases
    }

    /// Notes the outcome of a heartbeat that began at an instant. A service stops to lead before another one can begin.
    pub fn note(&self, leads: bool, began: Instant, has_released: bool) {
        let mut leadership = self.leadership();
        leadership.until = leads.then(|| began + Self::lasts() * 2 / 3);
        leadership.releases += u64::from(has_released);
    }

    fn leadership(&self) -> std::sync::MutexGuard<'_, Leadership> {
        self.leadership.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
