//! At which hours a source usually sends notifications, learned from its own history, and so how unlikely a silence is.
use std::collections::HashMap;

use jiff::{Timestamp, ToSpan};

use super::{millis, sao_paulo, timestamp};

/// How much of the past counts: long enough to see every hour of the week several times, short enough to follow changes of
/// the season.
const HISTORY_HOURS: i64 = 8 * 7 * 24;

/// A silence with a lower probability than this is reported.
const SILENCE_PROBABILITY_MAX: f64 = 1e-3;

const HOUR_MS: i64 = 3_600_000;
const DAY: usize = 24;
const WEEK: usize = 7 * DAY;

/// How often a source sent something in each hour of the week, São Paulo time.
#[derive(Clone, Debug)]
pub struct ActivityProfile {
    /// For each hour of the week: how many are in the history, and in how many of these something was received.
    of_week: Vec<(u32, u32)>,
    /// The same for each hour of the day, for histories shorter than a week.
    of_day: Vec<(u32, u32)>,
}

impl ActivityProfile {
    /// Learns from the hours (since 1970, UTC) in which something was received, up to the last one.
    pub fn learn(received: &HashMap<i64, u64>, last: Timestamp) -> Self {
        let mut profile = Self { of_week: vec![(0, 0); WEEK], of_day: vec![(0, 0); DAY] };
        let last = hour_of(last);
        let first = received.keys().copied().min().unwrap_or(last).max(last - HISTORY_HOURS);
        for hour in first..last {
            let is_active = u32::from(received.contains_key(&hour));
            let (week, day) = slots(hour);
            for seen in [&mut profile.of_week[week], &mut profile.of_day[day]] {
                seen.0 += 1;
                seen.1 += is_active;
            }
        }
        profile
    }

    /// The probability that nothing is received in all the full hours after the last notification.
    pub fn chance_of_silence(&self, last: Timestamp, now: Timestamp) -> f64 {
        // A longer silence counts like one of a week.
        let until = hour_of(now).min(hour_of(last) + 1 + WEEK as i64);
        (hour_of(last) + 1..until).map(|hour| 1.0 - self.chance_of_notification(hour)).product()
    }

    /// Whether a silence is unlikely enough to be reported.
    pub fn is_unlikely(&self, last: Timestamp, now: Timestamp) -> bool {
        self.chance_of_silence(last, now) <= SILENCE_PROBABILITY_MAX
    }

    fn chance_of_notification(&self, hour: i64) -> f64 {
        let (week, day) = slots(hour);
        let (hours, active) = if self.of_week[week].0 > 0 { self.of_week[week] } else { self.of_day[day] };
        // One more hour without a notification, so that a short history promises little.
        f64::from(active) / f64::from(hours + 1)
    }
}

fn hour_of(at: Timestamp) -> i64 {
    millis(at).div_euclid(HOUR_MS)
}

/// The hour of the week and the hour of the day.
fn slots(hour: i64) -> (usize, usize) {
    let local = sao_paulo().to_datetime(timestamp(hour * HOUR_MS));
    let day = usize::from(local.hour().unsigned_abs());
    let weekday = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
    (weekday * DAY + day, day)
}

/// The start of the history.
pub fn history_start(last: Timestamp) -> Timestamp {
    last.checked_sub(HISTORY_HOURS.hours()).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Active every hour from 7 to 21, Monday to Friday, for some weeks before a Friday, 18 h.
    fn office(weeks: i64) -> (HashMap<i64, u64>, Timestamp) {
        let last: Timestamp = "2026-11-20T18:10:00-03:00".parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let is_open = |hour: &i64| {
            let local = sao_paulo().to_datetime(timestamp(hour * HOUR_MS));
            (7..=21).contains(&local.hour()) && local.weekday().to_monday_zero_offset() < 5
        };
        let received = (hour_of(last) - weeks * WEEK as i64..=hour_of(last)).filter(is_open).map(|hour| (hour, 3));
        (received.collect(), last)
    }

    fn hours_later(last: Timestamp, hours: i64) -> Timestamp {
        timestamp(millis(last) + hours * HOUR_MS)
    }

    #[test]
    fn a_silence_is_unlikely_in_hours_that_were_always_active() {
        let (received, last) = office(8);
        let profile = ActivityProfile::learn(&received, last);
        let unlikely_from = (1..200).find(|hours| profile.is_unlikely(last, hours_later(last, *hours)));
        // 19, 20 and 21 h on the Friday are not enough; nothing is expected until Monday at 7, and then one more hour is.
        assert_eq!(unlikely_from, Some(62));
        assert!(!profile.is_unlikely(last, hours_later(last, 60)), "a weekend is not unlikely");
    }

    #[test]
    fn a_short_history_promises_little() {
        let (received, last) = office(1);
        let profile = ActivityProfile::learn(&received, last);
        let (long, _) = office(8);
        let long_history = ActivityProfile::learn(&long, last);
        let unlikely_from =
            |profile: &ActivityProfile| (1..300).find(|hours| profile.is_unlikely(last, hours_later(last, *hours)));
        assert!(unlikely_from(&profile) > unlikely_from(&long_history), "{:?}", unlikely_from(&profile));
        let nothing = ActivityProfile::learn(&HashMap::new(), last);
        assert!((1..2000).all(|hours| !nothing.is_unlikely(last, hours_later(last, hours))));
    }
}
