//! The state of each host: how many files are being fetched from it, and whether it is paused. A host that fails
//! repeatedly gets no requests for a while; fetches from other hosts continue, and so does receiving.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{millis, timestamp};

/// A host is paused after this many failures in a row, regardless of the files.
const FAILURES_MAX: u32 = 10;

/// The longest pause. A longer one could outlast links.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What the end of an attempt says about the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It responded, even if with an error for this link.
    Responded,
    /// It did not respond, broke the connection, or said that it is overloaded, perhaps with a Retry-After.
    Failed { retry_after: Option<Duration> },
    /// Nothing.
    Unknown,
}

/// What the end of an attempt changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostChange {
    Paused { until: Timestamp, failures: u32 },
    Resumed,
}

#[derive(Clone, Debug, Default)]
struct Host {
    in_progress: usize,
    failures: u32,
    pause: Duration,
    paused_until: Option<Timestamp>,
}

/// The hosts that files are fetched from. Clones share the state.
#[derive(Clone)]
pub struct Hosts {
    states: Arc<Mutex<HashMap<String, Host>>>,
    per_host: usize,
    pause_first: Duration,
    pause_max: Duration,
}

impl Hosts {
    pub(super) fn new(per_host: usize, pause_first: Duration, pause_max: Duration) -> Self {
        Self { states: Arc::default(), per_host, pause_first, pause_max: pause_max.min(PAUSE_MAX) }
    }

    /// How many files may be fetched at once from one host.
    pub fn per_host(&self) -> usize {
        self.per_host
    }

    /// How many more files may be fetched, from each host that has a state.
    pub fn capacity(&self, now: Timestamp) -> HashMap<String, usize> {
        let capacity = |host: &Host| match host.paused_until {
            Some(until) if is_before(now, until) => 0,
            // After a pause, one attempt finds out whether the host is back.
            Some(_) => usize::from(host.in_progress == 0),
            None => self.per_host.saturating_sub(host.in_progress),
        };
        self.lock().iter().map(|(name, host)| (name.clone(), capacity(host))).collect()
    }

    /// The paused hosts and the ends of their pauses, by name.
    pub fn paused(&self, now: Timestamp) -> Vec<(String, Timestamp)> {
        let states = self.lock();
        let paused = states.iter().filter_map(|(name, host)| Some((name.clone(), host.paused_until?)));
        let mut paused: Vec<_> = paused.filter(|(_, until)| is_before(now, *until)).collect();
        paused.sort();
        paused
    }

    /// Begins an attempt; it is over when the permit is ended or dropped.
    pub fn begin(&self, name: &str) -> HostPermit {
        self.lock().entry(name.to_owned()).or_default().in_progress += 1;
        HostPermit { hosts: self.clone(), name: Some(name.to_owned()) }
    }

    fn end(&self, name: &str, health: Health, now: Timestamp) -> Option<HostChange> {
        let mut states = self.lock();
        let host = states.get_mut(name)?;
        host.in_progress -= 1;
        let change = match health {
            Health::Responded => {
                host.failures = 0;
                host.pause = Duration::ZERO;
                host.paused_until.take().map(|_| HostChange::Resumed)
            }
            Health::Failed { retry_after } => self.fail(host, retry_after, now),
            Health::Unknown => None,
        };
        if host.in_progress == 0 && host.failures == 0 {
            states.remove(name);
        }
        change
    }

    fn fail(&self, host: &mut Host, retry_after: Option<Duration>, now: Timestamp) -> Option<HostChange> {
        // Attempts that were in progress when the pause began say nothing new.
        if host.paused_until.is_some_and(|until| is_before(now, until)) {
            return None;
        }
        host.failures += 1;
        if host.failures < FAILURES_MAX && retry_after.is_none() {
            return None;
        }
        let doubled = host.pause.saturating_mul(2).clamp(self.pause_first.min(self.pause_max), self.pause_max);
        host.pause = retry_after.map_or(doubled, |asked| doubled.max(asked.min(self.pause_max)));
        // A pause has a minute at most.
        let until = timestamp(millis(now) + host.pause.as_millis() as i64);
        host.paused_until = Some(until);
        Some(HostChange::Paused { until, failures: host.failures })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.states.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Whether a pause is not over. One that seems longer than any pause was begun before the clock was set back.
fn is_before(now: Timestamp, until: Timestamp) -> bool {
    until > now && until.duration_since(now).unsigned_abs() <= PAUSE_MAX
}

/// An attempt in progress.
pub struct HostPermit {
    hosts: Hosts,
    name: Option<String>,
}

impl HostPermit {
    pub fn end(mut self, health: Health, now: Timestamp) -> Option<HostChange> {
        self.hosts.end(&self.name.take()?, health, now)
    }
}

impl Drop for HostPermit {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.hosts.end(&name, Health::Unknown, Timestamp::MIN);
        }
    }
}

#[cfg(test)]
#[allow(clippy::panic, reason = "a test that cannot continue ends")]
mod tests {
    use super::*;

    const FAILED: Health = Health::Failed { retry_after: None };

    fn at(seconds: i64) -> Timestamp {
        timestamp(seconds * 1000)
    }

    #[test]
    fn a_host_that_fails_repeatedly_is_paused_and_then_tried_once() {
        let hosts = Hosts::new(4, Duration::from_secs(5), Duration::from_secs(900));
        for i in 0..FAILURES_MAX {
            let change = hosts.begin("a").end(FAILED, at(0));
            assert_eq!(change.is_some(), i + 1 == FAILURES_MAX, "{i}: {change:?}");
        }
        assert_eq!(hosts.capacity(at(4))["a"], 0);
        assert_eq!(hosts.paused(at(4)), [("a".to_owned(), at(5))]);
        assert_eq!(hosts.capacity(at(5))["a"], 1);
        let permit = hosts.begin("a");
        assert_eq!(hosts.capacity(at(5))["a"], 0);
        assert_eq!(permit.end(FAILED, at(6)), Some(HostChange::Paused { until: at(16), failures: 11 }));
        let mut until = at(16);
        for _ in 0..20 {
            let change = hosts.begin("a").end(FAILED, until);
            let Some(HostChange::Paused { until: next, .. }) = change else { panic!("{change:?}") };
            assert_eq!(hosts.paused(until), [("a".to_owned(), next)]);
            until = next;
        }
        assert!(until <= at(16 + 20 + 40 + 60 * 19), "pauses grow to a minute, not beyond");
        assert_eq!(hosts.begin("a").end(Health::Responded, until), Some(HostChange::Resumed));
        assert_eq!(hosts.capacity(until).get("a"), None, "a healthy host has no state");
    }

    #[test]
    fn others_go_on_and_a_success_between_failures_counts() {
        let hosts = Hosts::new(2, Duration::from_secs(5), Duration::from_secs(900));
        for _ in 0..50 {
            for health in [FAILED, FAILED, Health::Responded] {
                assert_eq!(hosts.begin("a").end(health, at(0)), None);
            }
        }
        let permit = hosts.begin("b");
        assert_eq!(hosts.capacity(at(0))["b"], 1);
        drop(permit);
        assert_eq!(hosts.capacity(at(0)).get("b"), None, "a dropped permit is over too");
    }

    #[test]
    fn a_host_that_sends_retry_after_is_paused_at_once() {
        let hosts = Hosts::new(2, Duration::from_secs(5), Duration::from_secs(900));
        let asked = Health::Failed { retry_after: Some(Duration::from_secs(30)) };
        assert_eq!(hosts.begin("a").end(asked, at(0)), Some(HostChange::Paused { until: at(30), failures: 1 }));
    }
}
