//! What is known of each host while files are fetched from it: how many are under way, and whether it fails so steadily
//! that asking it again is no use for a while. Links of other hosts go on meanwhile, and so does receiving.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{millis, timestamp};

/// So many failures in a row, whatever the files, and the host is left alone.
const FAILURES_MAX: u32 = 10;

/// One attempt in so long finds out whether it is back: no link may die of our patience.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How an attempt ended, as far as it tells of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answered, be it with a refusal of this link.
    Answered,
    /// It did not answer, broke off, or said that it is in trouble; and for how long, where it said so.
    Failed { retry_after: Option<Duration> },
    /// Nothing can be said.
    Unknown,
}

/// What an attempt's end changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Paused { until: Timestamp, failures: u32 },
    Resumed,
}

#[derive(Clone, Debug, Default)]
struct Host {
    under_way: usize,
    failures: u32,
    pause: Duration,
    paused_until: Option<Timestamp>,
}

/// The hosts that files are fetched from; clones share all.
#[derive(Clone)]
pub struct Hosts {
    known: Arc<Mutex<HashMap<String, Host>>>,
    at_once: usize,
    pause_first: Duration,
    pause_max: Duration,
}

impl Hosts {
    pub(super) fn new(at_once: usize, pause_first: Duration, pause_max: Duration) -> Self {
        Self { known: Arc::default(), at_once, pause_first, pause_max: pause_max.min(PAUSE_MAX) }
    }

    /// How many files may be asked for at once from a host of which nothing is known.
    pub fn at_once(&self) -> usize {
        self.at_once
    }

    /// How many more files may be asked for, of each host that is known.
    pub fn room(&self, now: Timestamp) -> HashMap<String, usize> {
        let room = |host: &Host| match host.paused_until {
            Some(until) if is_ahead(until, now) => 0,
            // One goes ahead and tells how the host is.
            Some(_) => 1usize.saturating_sub(host.under_way),
            None => self.at_once.saturating_sub(host.under_way),
        };
        self.known().iter().map(|(name, host)| (name.clone(), room(host))).collect()
    }

    /// The hosts that are left alone, and until when, by name.
    pub fn paused(&self, now: Timestamp) -> Vec<(String, Timestamp)> {
        let known = self.known();
        let paused = known.iter().filter_map(|(name, host)| Some((name.clone(), host.paused_until?)));
        let mut paused: Vec<_> = paused.filter(|(_, until)| is_ahead(*until, now)).collect();
        paused.sort();
        paused
    }

    /// An attempt begins; it is over when what is given here is ended or dropped.
    pub fn begin(&self, name: &str) -> Visit {
        self.known().entry(name.to_owned()).or_default().under_way += 1;
        Visit { hosts: self.clone(), name: Some(name.to_owned()) }
    }

    fn end(&self, name: &str, health: Health, now: Timestamp) -> Option<Turn> {
        let mut known = self.known();
        let host = known.get_mut(name)?;
        host.under_way = host.under_way.saturating_sub(1);
        let turn = match health {
            Health::Answered => {
                host.failures = 0;
                host.pause = Duration::ZERO;
                host.paused_until.take().map(|_| Turn::Resumed)
            }
            Health::Failed { retry_after } => self.fail(host, retry_after, now),
            Health::Unknown => None,
        };
        if host.under_way == 0 && host.failures == 0 {
            known.remove(name);
        }
        turn
    }

    fn fail(&self, host: &mut Host, retry_after: Option<Duration>, now: Timestamp) -> Option<Turn> {
        // Those that were under way when it was paused tell nothing new.
        if host.paused_until.is_some_and(|until| is_ahead(until, now)) {
            return None;
        }
        host.failures += 1;
        if host.failures < FAILURES_MAX && retry_after.is_none() {
            return None;
        }
        let doubled = host.pause.saturating_mul(2).clamp(self.pause_first.min(self.pause_max), self.pause_max);
        host.pause = doubled.max(retry_after.unwrap_or_default().min(self.pause_max));
        let until = timestamp(millis(now).saturating_add(i64::try_from(host.pause.as_millis()).unwrap_or(i64::MAX)));
        host.paused_until = Some(until);
        Some(Turn::Paused { until, failures: host.failures })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Whether a pause is not over. One that seems longer than any pause was begun by a clock that was put right since.
fn is_ahead(until: Timestamp, now: Timestamp) -> bool {
    until > now && until.duration_since(now).unsigned_abs() <= PAUSE_MAX
}

/// An attempt that is under way.
pub struct Visit {
    hosts: Hosts,
    name: Option<String>,
}

impl Visit {
    /// The attempt is over.
    pub fn end(mut self, health: Health, now: Timestamp) -> Option<Turn> {
        self.hosts.end(&self.name.take()?, health, now)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.hosts.end(&name, Health::Unknown, Timestamp::MIN);
        }
    }
}

#[cfg(test)]
#[allow(clippy::panic, reason = "a test that cannot go on says so by ending")]
mod tests {
    use super::*;

    const FAILED: Health = Health::Failed { retry_after: None };

    fn at(seconds: i64) -> Timestamp {
        timestamp(seconds * 1000)
    }

    #[test]
    fn a_host_that_fails_steadily_is_left_alone_and_tried_again_one_at_a_time() {
        let hosts = Hosts::new(4, Duration::from_secs(5), Duration::from_secs(900));
        for i in 0..FAILURES_MAX {
            let turn = hosts.begin("a").end(FAILED, at(0));
            assert_eq!(turn.is_some(), i + 1 == FAILURES_MAX, "{i}: {turn:?}");
        }
        assert_eq!(hosts.room(at(4))["a"], 0);
        assert_eq!(hosts.paused(at(4)), [("a".to_owned(), at(5))]);
        assert_eq!(hosts.room(at(5))["a"], 1);
        let visit = hosts.begin("a");
        assert_eq!(hosts.room(at(5))["a"], 0);
        assert_eq!(visit.end(FAILED, at(6)), Some(Turn::Paused { until: at(16), failures: 11 }));
        let mut until = at(16);
        for _ in 0..20 {
            let turn = hosts.begin("a").end(FAILED, until);
            let Some(Turn::Paused { until: next, .. }) = turn else { panic!("{turn:?}") };
            assert_eq!(hosts.paused(until), [("a".to_owned(), next)]);
            until = next;
        }
        assert!(until <= at(16 + 20 + 40 + 60 * 19), "pauses grow to a minute, not beyond");
        assert_eq!(hosts.begin("a").end(Health::Answered, until), Some(Turn::Resumed));
        assert_eq!(hosts.room(until).get("a"), None, "what is well is forgotten");
    }

    #[test]
    fn others_go_on_and_a_success_between_failures_counts() {
        let hosts = Hosts::new(2, Duration::from_secs(5), Duration::from_secs(900));
        for _ in 0..50 {
            for health in [FAILED, FAILED, Health::Answered] {
                assert_eq!(hosts.begin("a").end(health, at(0)), None);
            }
        }
        let visit = hosts.begin("b");
        assert_eq!(hosts.room(at(0))["b"], 1);
        drop(visit);
        assert_eq!(hosts.room(at(0)).get("b"), None, "one that broke off is over too");
    }

    #[test]
    fn a_host_that_says_when_to_come_back_is_heeded_at_once() {
        let hosts = Hosts::new(2, Duration::from_secs(5), Duration::from_secs(900));
        let asked = Health::Failed { retry_after: Some(Duration::from_secs(30)) };
        assert_eq!(hosts.begin("a").end(asked, at(0)), Some(Turn::Paused { until: at(30), failures: 1 }));
    }
}
