//! When a source is usually heard, learnt from its own past, and so how odd it is that nothing comes.
use std::collections::HashMap;

use jiff::{Timestamp, ToSpan};

use super::{millis, sao_paulo, timestamp};

/// So much of the past is looked at: long enough for every hour of the week to be seen some times, short enough to
/// follow what changes with the season.
pub const MEMORY_HOURS: i64 = 8 * 7 * 24;

/// Rarer than once in so many times, a silence is told of.
const ODD: f64 = 1e-3;

const HOUR_MS: i64 = 3_600_000;
const DAY: usize = 24;
const WEEK: usize = 7 * DAY;

/// How often a source was heard in each hour of the week, São Paulo time.
#[derive(Clone, Debug)]
pub struct Habit {
    /// Hours of the week: how many were looked at, and in how many of these it was heard.
    of_week: Vec<(u32, u32)>,
    /// Hours of the day, for what is known for less than a week.
    of_day: Vec<(u32, u32)>,
}

impl Habit {
    /// Learns from the hours (since 1970, UTC) in which it was heard, up to the one of its last word.
    pub fn learn(heard: &HashMap<i64, u64>, last: Timestamp) -> Self {
        let mut habit = Self { of_week: vec![(0, 0); WEEK], of_day: vec![(0, 0); DAY] };
        let last = hour_of(last);
        let first = heard.keys().copied().min().unwrap_or(last).max(last - MEMORY_HOURS);
        for hour in first..last {
            let was_heard = u32::from(heard.contains_key(&hour));
            let (week, day) = places(hour);
            for seen in [&mut habit.of_week[week], &mut habit.of_day[day]] {
                seen.0 += 1;
                seen.1 += was_heard;
            }
        }
        habit
    }

    /// How likely it is that nothing comes in all the whole hours after its last word.
    pub fn chance_of_silence(&self, last: Timestamp, now: Timestamp) -> f64 {
        // Weeks of silence are as odd as one.
        let until = hour_of(now).min(hour_of(last) + 1 + WEEK as i64);
        (hour_of(last) + 1..until).map(|hour| 1.0 - self.chance_of_word(hour)).product()
    }

    /// Whether a silence is odd enough to be told of.
    pub fn is_odd(&self, last: Timestamp, now: Timestamp) -> bool {
        self.chance_of_silence(last, now) <= ODD
    }

    fn chance_of_word(&self, hour: i64) -> f64 {
        let (week, day) = places(hour);
        let (looked, heard) = if self.of_week[week].0 > 0 { self.of_week[week] } else { self.of_day[day] };
        // One more time without a word: what is known for little time promises little.
        f64::from(heard) / f64::from(looked + 1)
    }
}

fn hour_of(at: Timestamp) -> i64 {
    millis(at).div_euclid(HOUR_MS)
}

/// The hour of the week and that of the day.
fn places(hour: i64) -> (usize, usize) {
    let local = sao_paulo().to_datetime(timestamp(hour * HOUR_MS));
    let day = usize::try_from(local.hour()).unwrap_or_default();
    let weekday = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or_default();
    (weekday * DAY + day, day)
}

/// The start of what is looked at.
pub fn memory_begins(last: Timestamp) -> Timestamp {
    last.checked_sub(MEMORY_HOURS.hours()).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heard every hour from 7 to 21, Monday to Friday, for so many weeks before a Friday, 18 h.
    fn office(weeks: i64) -> (HashMap<i64, u64>, Timestamp) {
        let last: Timestamp = "2026-11-20T18:10:00-03:00".parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let is_open = |hour: &i64| {
            let local = sao_paulo().to_datetime(timestamp(hour * HOUR_MS));
            (7..=21).contains(&local.hour()) && local.weekday().to_monday_zero_offset() < 5
        };
        let heard = (hour_of(last) - weeks * WEEK as i64..=hour_of(last)).filter(is_open).map(|hour| (hour, 3));
        (heard.collect(), last)
    }

    fn hours_later(last: Timestamp, hours: i64) -> Timestamp {
        timestamp(millis(last) + hours * HOUR_MS)
    }

    #[test]
    fn a_silence_is_odd_where_there_was_always_a_word() {
        let (heard, last) = office(8);
        let habit = Habit::learn(&heard, last);
        let odd_from = (1..200).find(|hours| habit.is_odd(last, hours_later(last, *hours)));
        // 19, 20 and 21 h on the Friday are not enough; nothing is expected until Monday at 7, and then one more hour is.
        assert_eq!(odd_from, Some(62));
        assert!(!habit.is_odd(last, hours_later(last, 60)), "a weekend is none");
    }

    #[test]
    fn what_is_known_for_little_time_promises_little() {
        let (heard, last) = office(1);
        let habit = Habit::learn(&heard, last);
        let (long, _) = office(8);
        let practised = Habit::learn(&long, last);
        let odd_from = |habit: &Habit| (1..300).find(|hours| habit.is_odd(last, hours_later(last, *hours)));
        assert!(odd_from(&habit) > odd_from(&practised), "{:?}", odd_from(&habit));
        let nothing = Habit::learn(&HashMap::new(), last);
        assert!((1..2000).all(|hours| !nothing.is_odd(last, hours_later(last, hours))));
    }
}
