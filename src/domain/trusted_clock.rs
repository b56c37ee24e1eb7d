//! Whether the wall clock can be trusted.
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::clock::duration_millis;
use super::{Clock, millis, timestamp};

/// How far the wall clock may run ahead of the elapsed time before it is suspect.
const JUMP_MS: i64 = 5 * 60 * 1000;

/// The same at a start, where only the last time of the previous process is known.
const START_JUMP_MS: i64 = 60 * 60 * 1000;

/// How far the portal's clock may differ from this one to confirm it.
const AGREES_MS: i64 = 10 * 60 * 1000;

/// The clock for what must not be done too early, such as letting a link expire: the wall clock, unless that has jumped ahead
/// of the elapsed time. Then it is a time that has certainly come, until the wall clock is corrected or confirmed.
#[derive(Debug, Default)]
pub struct TrustedClock(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// A time that has certainly come, and the elapsed time at that moment.
    certain: Option<(i64, Duration)>,
    /// The wall clock's time when it became suspect.
    suspect_since: Option<i64>,
}

impl TrustedClock {
    /// Starts from the last time that a previous process recorded.
    pub fn begin(&self, last: Option<Timestamp>, clock: &Clock) {
        self.begin_from(last, START_JUMP_MS, clock);
    }

    /// Starts while another process runs that records the time at intervals of `recorded_every`.
    pub fn begin_while_service_runs(&self, last: Option<Timestamp>, recorded_every: Duration, clock: &Clock) {
        self.begin_from(last, JUMP_MS.saturating_add(duration_millis(recorded_every)), clock);
    }

    fn begin_from(&self, last: Option<Timestamp>, jump_ms: i64, clock: &Clock) {
        let mut state = self.lock();
        let wall = millis(clock.now());
        let last = last.map_or(wall, millis);
        let is_suspect = wall.saturating_sub(last) > jump_ms;
        // A wall clock that is trusted now is what it is compared with from now on.
        let certain = if is_suspect { last } else { wall };
        *state = State { certain: Some((certain, clock.elapsed())), suspect_since: is_suspect.then_some(wall) };
    }

    /// A time no later than the true one.
    pub fn now(&self, clock: &Clock) -> Timestamp {
        let mut state = self.lock();
        let (wall, elapsed) = (millis(clock.now()), clock.elapsed());
        let (last, then) = state.certain.unwrap_or((wall, elapsed));
        let certain = last.saturating_add(duration_millis(elapsed.saturating_sub(then)));
        let ahead = wall.saturating_sub(certain);
        match state.suspect_since {
            // It was corrected.
            Some(_) if ahead <= JUMP_MS => state.suspect_since = None,
            None if ahead > JUMP_MS => state.suspect_since = Some(wall),
            Some(_) | None => {}
        }
        if state.suspect_since.is_some() {
            return timestamp(certain);
        }
        state.certain = Some((wall, elapsed));
        timestamp(wall)
    }

    /// The wall clock's time when it became suspect; `None` while it is trusted.
    pub fn suspect_since(&self, clock: &Clock) -> Option<Timestamp> {
        self.now(clock);
        self.lock().suspect_since.map(timestamp)
    }

    /// Compares another clock with this one, by the time at which something was sent and received. Returns whether they
    /// agree; this clock is trusted then.
    pub fn confirm(&self, sent: Timestamp, received: Timestamp, clock: &Clock) -> bool {
        let agrees = millis(sent).abs_diff(millis(received)) <= AGREES_MS.unsigned_abs();
        if agrees {
            let mut state = self.lock();
            *state = State { certain: Some((millis(clock.now()), clock.elapsed())), suspect_since: None };
        }
        agrees
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn elapsed_time_is_trusted_and_a_jump_is_not() {
        let (clock, trusted) = (Clock::default(), TrustedClock::default());
        trusted.begin(None, &clock);
        clock.advance(Duration::from_secs(30 * 3600));
        assert_eq!(trusted.suspect_since(&clock), None);
        let before = millis(trusted.now(&clock));
        clock.set_wrong(25 * HOUR);
        assert!(millis(trusted.now(&clock)) - before < HOUR);
        assert!(trusted.suspect_since(&clock).is_some());
        // Time passes.
        clock.advance(Duration::from_secs(7200));
        assert!((2 * HOUR..3 * HOUR).contains(&(millis(trusted.now(&clock)) - before)));
        clock.set_wrong(0);
        assert_eq!(trusted.suspect_since(&clock), None);
    }

    #[test]
    fn a_jump_is_detected_at_once_while_another_process_records_the_time() {
        let (clock, every) = (Clock::default(), Duration::from_secs(15));
        for (ahead, is_suspect) in [(5, false), (5 * 60, false), (6 * 60, true)] {
            let trusted = TrustedClock::default();
            trusted.begin_while_service_runs(Some(timestamp(millis(clock.now()) - ahead * 1000)), every, &clock);
            assert_eq!(trusted.suspect_since(&clock).is_some(), is_suspect, "{ahead} s");
        }
        let trusted = TrustedClock::default();
        trusted.begin_while_service_runs(None, every, &clock);
        assert_eq!(trusted.suspect_since(&clock), None);
    }

    #[test]
    fn a_start_within_the_hour_is_trusted() {
        for (minutes, is_suspect) in [(0, false), (10, false), (59, false), (61, true)] {
            let (clock, trusted) = (Clock::default(), TrustedClock::default());
            trusted.begin(Some(timestamp(millis(clock.now()) - minutes * 60_000)), &clock);
            assert_eq!(trusted.suspect_since(&clock).is_some(), is_suspect, "{minutes} minutes");
        }
    }

    #[test]
    fn a_start_long_after_the_last_recorded_time_waits_for_a_confirmation() {
        let (clock, trusted) = (Clock::default(), TrustedClock::default());
        let now = clock.now();
        trusted.begin(Some(timestamp(millis(now) - 25 * HOUR)), &clock);
        assert!(trusted.suspect_since(&clock).is_some() && trusted.now(&clock) < timestamp(millis(now) - 24 * HOUR));
        assert!(!trusted.confirm(timestamp(millis(now) - 25 * HOUR), now, &clock));
        assert!(trusted.confirm(now, now, &clock));
        assert!(trusted.suspect_since(&clock).is_none() && trusted.now(&clock) >= now);
        // A clock that was set back is not suspect.
        clock.set_wrong(-3 * HOUR);
        assert!(trusted.suspect_since(&clock).is_none() && trusted.now(&clock) < now);
    }
}
