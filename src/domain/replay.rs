//! Replays: many notifications of one source in a row, such as those that "Enviar Tudo" sends.
use std::time::Duration;

use jiff::Timestamp;

use super::millis;

/// What makes a run of notifications a replay.
#[derive(Clone, Copy, Debug)]
pub struct ReplayRule {
    /// The number of notifications from which on a run is a replay.
    pub at_least: u64,
    /// The longest time between one notification and the next.
    pub gap: Duration,
}

impl ReplayRule {
    /// Whether `later` no longer belongs to a run whose last notification came at `last`.
    pub fn is_over(&self, last: Timestamp, later: Timestamp) -> bool {
        // Also if `later` is earlier: replicas commit out of order.
        millis(later) - millis(last) > i64::try_from(self.gap.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Notifications of one source, none of which came long after the one before. `Id` is that of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run<Id> {
    pub started_at: Timestamp,
    pub last_at: Timestamp,
    pub count: u64,
    /// Of these, those whose publication was known before the run.
    pub known: u64,
    /// The replay that the run is, once it is one.
    pub replay: Option<Id>,
}

impl<Id> Run<Id> {
    /// The run that a notification received at `at` belongs to: the source's present one, or a new one.
    pub fn at(present: Option<Self>, at: Timestamp, rule: &ReplayRule) -> Self {
        match present {
            Some(run) if !rule.is_over(run.last_at, at) => run,
            _ => Self { started_at: at, last_at: at, count: 0, known: 0, replay: None },
        }
    }

    /// Counts a notification, and whether its publication was known before the run: since `known_since`, or for longer than
    /// is recorded.
    pub fn add(&mut self, at: Timestamp, publication: Option<KnownSince>) {
        self.last_at = self.last_at.max(at);
        self.count += 1;
        let is_known = match publication {
            None => false,
            Some(KnownSince::Always) => true,
            Some(KnownSince::At(since)) => since < self.started_at,
        };
        self.known += u64::from(is_known);
    }

    /// Whether the run has just become a replay.
    pub fn becomes_replay(&self, rule: &ReplayRule) -> bool {
        self.replay.is_none() && self.count >= rule.at_least
    }
}

/// Since when a publication is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownSince {
    At(Timestamp),
    /// From a time when this was not recorded.
    Always,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::{KnownSince, ReplayRule, Run};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_764_115_200 + seconds).expect("an instant")
    }

    const RULE: ReplayRule = ReplayRule { at_least: 3, gap: Duration::from_secs(10) };

    fn run_of(seconds: &[i64]) -> Option<Run<u32>> {
        seconds.iter().fold(None, |present, second| {
            let mut run = Run::at(present, at(*second), &RULE);
            run.add(at(*second), None);
            Some(run)
        })
    }

    #[test]
    fn a_gap_ends_a_run_and_the_rule_says_from_when_on_it_is_a_replay() {
        let run = run_of(&[0, 10, 20]).expect("a run");
        assert_eq!((run.started_at, run.last_at, run.count), (at(0), at(20), 3));
        assert!(run.becomes_replay(&RULE));
        let run = run_of(&[0, 10, 21]).expect("a run");
        assert_eq!((run.started_at, run.count), (at(21), 1));
        assert!(!run.becomes_replay(&RULE));
        assert!(RULE.is_over(at(0), at(11)) && !RULE.is_over(at(0), at(10)));
    }

    #[test]
    fn what_is_committed_out_of_order_belongs_to_the_run() {
        let run = run_of(&[100, 95]).expect("a run");
        assert_eq!((run.last_at, run.count), (at(100), 2));
    }

    #[test]
    fn a_replay_begins_once() {
        let mut run = run_of(&[0, 1, 2]).expect("a run");
        run.replay = Some(7);
        run.add(at(3), None);
        assert!(!run.becomes_replay(&RULE));
    }

    #[test]
    fn what_was_known_before_the_run_is_counted() {
        let mut run = run_of(&[0]).expect("a run");
        for since in [KnownSince::At(at(-1)), KnownSince::At(at(0)), KnownSince::At(at(1)), KnownSince::Always] {
            run.add(at(2), Some(since));
        }
        assert_eq!((run.count, run.known), (5, 2));
    }
}
