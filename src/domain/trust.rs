//! Whether the wall clock can be believed.
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::{Clock, millis, timestamp};

/// How far the wall clock may run ahead of the time that has passed, before it is doubted.
const JUMP_MS: i64 = 5 * 60 * 1000;

/// The same at a start, where no more is known than when the last process was there.
const START_JUMP_MS: i64 = 60 * 60 * 1000;

/// How far a portal's clock may be from ours to confirm it.
const AGREES_MS: i64 = 10 * 60 * 1000;

/// What must not be done too early, such as giving up a link for good, goes by this: the wall clock, unless it has jumped
/// ahead of all that is known of the time. Then it goes by a time that is certain to have come, until the clock is put right
/// or confirmed.
#[derive(Debug, Default)]
pub struct Trust(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// A time that has certainly come, and what the process's own clock said then.
    known: Option<(i64, Duration)>,
    /// What the wall clock said when it was doubted.
    doubted: Option<i64>,
}

impl Trust {
    /// Begins where an earlier process ended: with the last time that is known to have come.
    pub fn begin(&self, last: Option<Timestamp>, clock: &Clock) {
        self.begin_from(last, START_JUMP_MS, clock);
    }

    /// Begins beside a process that notes the time as it passes, as seldom as `noted_every`.
    pub fn begin_beside(&self, last: Option<Timestamp>, noted_every: Duration, clock: &Clock) {
        let noted_every = i64::try_from(noted_every.as_millis()).unwrap_or(i64::MAX);
        self.begin_from(last, JUMP_MS.saturating_add(noted_every), clock);
    }

    fn begin_from(&self, last: Option<Timestamp>, jump_ms: i64, clock: &Clock) {
        let mut state = self.held();
        let wall = millis(clock.now());
        let last = last.map_or(wall, millis);
        let is_doubted = wall.saturating_sub(last) > jump_ms;
        // A clock that is believed now is what it is compared with from now on.
        let known = if is_doubted { last } else { wall };
        *state = State { known: Some((known, clock.elapsed())), doubted: is_doubted.then_some(wall) };
    }

    /// No later than the true time.
    pub fn now(&self, clock: &Clock) -> Timestamp {
        let mut state = self.held();
        let (wall, elapsed) = (millis(clock.now()), clock.elapsed());
        let (known, then) = state.known.unwrap_or((wall, elapsed));
        let passed = i64::try_from(elapsed.saturating_sub(then).as_millis()).unwrap_or(i64::MAX);
        let certain = known.saturating_add(passed);
        let ahead = wall.saturating_sub(certain);
        match state.doubted {
            // It was put right.
            Some(_) if ahead <= JUMP_MS => state.doubted = None,
            None if ahead > JUMP_MS => state.doubted = Some(wall),
            Some(_) | None => {}
        }
        if state.doubted.is_some() {
            return timestamp(certain);
        }
        state.known = Some((wall, elapsed));
        timestamp(wall)
    }

    /// What the wall clock said when it was doubted; `None` while it is believed.
    pub fn doubted(&self, clock: &Clock) -> Option<Timestamp> {
        self.now(clock);
        self.held().doubted.map(timestamp)
    }

    /// Takes another clock's word for ours: when something was sent by it and received by ours. Returns whether they agree.
    pub fn confirm(&self, sent: Timestamp, received: Timestamp, clock: &Clock) -> bool {
        let agrees = millis(sent).abs_diff(millis(received)) <= AGREES_MS.unsigned_abs();
        if agrees {
            let mut state = self.held();
            *state = State { known: Some((millis(clock.now()), clock.elapsed())), doubted: None };
        }
        agrees
    }

    fn held(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn time_that_passes_is_believed_and_a_jump_is_not() {
        let (clock, trust) = (Clock::default(), Trust::default());
        trust.begin(None, &clock);
        clock.advance(Duration::from_secs(30 * 3600));
        assert_eq!(trust.doubted(&clock), None);
        let before = millis(trust.now(&clock));
        clock.set_wrong(25 * HOUR);
        assert!(millis(trust.now(&clock)) - before < HOUR);
        assert!(trust.doubted(&clock).is_some());
        // Time goes on all the same.
        clock.advance(Duration::from_secs(7200));
        assert!((2 * HOUR..3 * HOUR).contains(&(millis(trust.now(&clock)) - before)));
        clock.set_wrong(0);
        assert_eq!(trust.doubted(&clock), None);
    }

    #[test]
    fn beside_a_process_that_notes_the_time_a_jump_is_known_at_once() {
        let (clock, every) = (Clock::default(), Duration::from_secs(15));
        for (ahead, is_doubted) in [(5, false), (5 * 60, false), (6 * 60, true)] {
            let trust = Trust::default();
            trust.begin_beside(Some(timestamp(millis(clock.now()) - ahead * 1000)), every, &clock);
            assert_eq!(trust.doubted(&clock).is_some(), is_doubted, "{ahead} s");
        }
        let trust = Trust::default();
        trust.begin_beside(None, every, &clock);
        assert_eq!(trust.doubted(&clock), None);
    }

    #[test]
    fn a_start_within_the_hour_is_believed() {
        for (minutes, is_doubted) in [(0, false), (10, false), (59, false), (61, true)] {
            let (clock, trust) = (Clock::default(), Trust::default());
            trust.begin(Some(timestamp(millis(clock.now()) - minutes * 60_000)), &clock);
            assert_eq!(trust.doubted(&clock).is_some(), is_doubted, "{minutes} minutes");
        }
    }

    #[test]
    fn a_start_long_after_the_last_sign_of_life_waits_for_a_word() {
        let (clock, trust) = (Clock::default(), Trust::default());
        let now = clock.now();
        trust.begin(Some(timestamp(millis(now) - 25 * HOUR)), &clock);
        assert!(trust.doubted(&clock).is_some() && trust.now(&clock) < timestamp(millis(now) - 24 * HOUR));
        assert!(!trust.confirm(timestamp(millis(now) - 25 * HOUR), now, &clock));
        assert!(trust.confirm(now, now, &clock));
        assert!(trust.doubted(&clock).is_none() && trust.now(&clock) >= now);
        // A clock that was set back is no danger.
        clock.set_wrong(-3 * HOUR);
        assert!(trust.doubted(&clock).is_none() && trust.now(&clock) < now);
    }
}
