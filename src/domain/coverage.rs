//! Which periods of a product are expected, and when, judged by its own history.
use std::collections::HashMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::{Granularity, LocalDateTime, Period, millis, timestamp};

/// The part of a publication that the history consists of.
#[derive(Clone, Copy, Debug)]
pub struct SeenPublication {
    pub period: Period,
    /// When its first file was archived; if there is none, when it was announced.
    pub seen_at: Timestamp,
}

/// How often a product is published, learned from its publications.
#[derive(Clone, Debug)]
pub struct Cadence {
    pub granularity: Granularity,
    /// For daily products the days of the week with a publication, Monday first; for weekly ones the day on which a week starts.
    days: [bool; 7],
    first: Option<Date>,
    is_regular: bool,
    /// From the start of a period until nine in ten are published, in milliseconds; negative before the start.
    usual_delay: i64,
}

/// How many of the newest publications count; older ones say little about the present.
pub const HISTORY_MAX: usize = 60;

/// One publication says nothing about how often others follow.
const PERIODS_MIN: usize = 2;

/// A day of the week with a publication in fewer weeks than this share is not one of the product's days.
const USUAL_SHARE_MIN: f64 = 0.4;

impl Cadence {
    /// Learns from publications in any order: the newest ones are enough.
    pub fn learn(history: &[SeenPublication]) -> Self {
        let mut newest: Vec<&SeenPublication> = history.iter().collect();
        newest.sort_by_key(|seen| std::cmp::Reverse(seen.period.start.0));
        let first = newest.last().map(|seen| seen.period.start.0.date());
        newest.truncate(HISTORY_MAX);
        let granularity = most_frequent(newest.iter().map(|seen| seen.period.granularity()));
        newest.retain(|seen| seen.period.granularity() == granularity);
        let delays = newest.iter().map(|seen| millis(seen.seen_at) - start_of(seen.period));
        // A much longer delay is that of a backfill, and says nothing about the publication.
        let mut delays: Vec<i64> = delays.filter(|delay| *delay <= backfilled_after(granularity)).collect();
        delays.sort_unstable();
        let usual_delay = delays.get(delays.len().saturating_sub(1) * 9 / 10).copied().unwrap_or(DAY_MS);
        let mut starts: Vec<Date> = newest.iter().map(|seen| seen.period.start.0.date()).collect();
        starts.sort();
        starts.dedup();
        Self {
            granularity,
            days: days(&starts, granularity),
            first,
            is_regular: starts.len() >= PERIODS_MIN,
            usual_delay,
        }
    }

    /// The same of a product whose first publication is older than those that were learned from.
    pub fn since(mut self, first: Option<Date>) -> Self {
        self.first = first.into_iter().chain(self.first).min();
        self
    }

    /// How much later than it was due a period's file arrived, if it was late. Nothing is known of a period of another length, nor
    /// of one whose file came so much later that it was imported, or sent again.
    pub fn late_by(&self, period: Period, arrived_at: Timestamp) -> Option<SignedDuration> {
        let delay = millis(arrived_at) - start_of(period);
        let is_judged = period.granularity() == self.granularity && delay <= backfilled_after(self.granularity);
        let late_by = arrived_at.duration_since(self.due_at(period));
        (is_judged && late_by.is_positive()).then_some(late_by)
    }

    /// The periods that are expected to start within a span of days, both included; none before the first publication, and none of a
    /// product that was published once.
    pub fn expected(&self, from: Date, to: Date) -> Vec<Period> {
        let Some(first) = self.first.filter(|_| self.is_regular) else { return Vec::new() };
        let mut day = from.max(first);
        let mut periods = Vec::new();
        while day <= to {
            let is_start = match self.granularity {
                Granularity::Day | Granularity::Week => self.days[weekday(day)],
                Granularity::Month => day == day.first_of_month(),
                Granularity::Other => false,
            };
            if is_start {
                let last = match self.granularity {
                    Granularity::Week => day.saturating_add(6.days()),
                    Granularity::Month => day.last_of_month(),
                    Granularity::Day | Granularity::Other => day,
                };
                periods.push(Period { start: LocalDateTime::start_of(day), end: LocalDateTime::end_of(last) });
            }
            match day.tomorrow() {
                Ok(next) => day = next,
                Err(_) => break,
            }
        }
        periods
    }

    /// When a period's file is overdue.
    pub fn due_at(&self, period: Period) -> Timestamp {
        timestamp(start_of(period).saturating_add(self.usual_delay).saturating_add(self.tolerance()))
    }

    /// When a period's file is not expected any more.
    pub fn missed_at(&self, period: Period) -> Timestamp {
        let length = match self.granularity {
            Granularity::Day | Granularity::Other => 3,
            Granularity::Week => 7,
            Granularity::Month => 15,
        };
        timestamp(millis(self.due_at(period)).saturating_add(length * DAY_MS))
    }

    /// How late a file may be: hours for a daily product, a day for a monthly one.
    fn tolerance(&self) -> i64 {
        match self.granularity {
            Granularity::Day => DAY_MS / 12,
            Granularity::Week | Granularity::Other => DAY_MS / 2,
            Granularity::Month => DAY_MS,
        }
    }
}

const DAY_MS: i64 = 86_400_000;

fn backfilled_after(granularity: Granularity) -> i64 {
    let days = match granularity {
        Granularity::Day | Granularity::Other => 7,
        Granularity::Week => 14,
        Granularity::Month => 60,
    };
    days * DAY_MS
}

fn start_of(period: Period) -> i64 {
    millis(period.start.instant())
}

fn weekday(day: Date) -> usize {
    usize::from(day.weekday().to_monday_zero_offset().unsigned_abs())
}

fn most_frequent(all: impl Iterator<Item = Granularity>) -> Granularity {
    let mut counts: HashMap<Granularity, usize> = HashMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    let rank = |granularity: &Granularity| counts.get(granularity).copied().unwrap_or_default();
    // The shorter one if counts are equal: a period expected in excess is noticed, one that is not expected is missed.
    Granularity::ALL.iter().rev().copied().max_by_key(rank).unwrap_or(Granularity::Other)
}

/// `starts` of periods, in the order of time.
fn days(starts: &[Date], granularity: Granularity) -> [bool; 7] {
    let mut counts = [0u32; 7];
    for day in starts {
        counts[weekday(*day)] += 1;
    }
    let most = counts.iter().max().copied().unwrap_or_default();
    if granularity == Granularity::Week {
        let usual = counts.iter().position(|count| *count == most);
        return std::array::from_fn(|day| Some(day) == usual && most > 0);
    }
    let span = match (starts.first(), starts.last()) {
        (Some(first), Some(last)) => last.since(*first).map_or(0, |span| span.get_days()),
        _ => 0,
    };
    let weeks = f64::from(span / 7 + 1);
    std::array::from_fn(|day| counts[day] > 0 && f64::from(counts[day]) >= USUAL_SHARE_MIN * weeks.min(f64::from(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(days: impl Iterator<Item = Date>, period: impl Fn(Date) -> Period) -> Vec<SeenPublication> {
        days.map(|day| {
            let period = period(day);
            SeenPublication { period, seen_at: timestamp(start_of(period) + 10 * 3_600_000) }
        })
        .collect()
    }

    fn day(first: Date) -> Period {
        Period { start: LocalDateTime::start_of(first), end: LocalDateTime::end_of(first) }
    }

    fn date(text: &str) -> Date {
        text.parse().unwrap_or(Date::ZERO)
    }

    fn starts(periods: &[Period]) -> Vec<String> {
        periods.iter().map(|period| period.start.0.date().to_string()).collect()
    }

    #[test]
    fn workdays_are_learned_in_spite_of_holidays() {
        let days = date("2025-01-06").series(1.day()).take(90);
        let workdays = days.filter(|day| weekday(*day) < 5 && *day != date("2025-03-04") && *day != date("2025-03-05"));
        let cadence = Cadence::learn(&history(workdays, day));
        assert_eq!(cadence.granularity, Granularity::Day);
        let expected = cadence.expected(date("2025-04-04"), date("2025-04-08"));
        assert_eq!(starts(&expected), ["2025-04-04", "2025-04-07", "2025-04-08"]);
        // Published ten hours into the day, with a tolerance of two hours.
        let due = cadence.due_at(expected[0]);
        assert_eq!(due.to_string(), "2025-04-04T15:00:00Z");
        assert!(cadence.missed_at(expected[0]) > due);
        let late = |hours| cadence.late_by(expected[0], due + hours * SignedDuration::from_hours(1));
        assert_eq!(late(0), None);
        assert_eq!(late(5), Some(SignedDuration::from_hours(5)));
        assert_eq!(late(24 * 30), None, "imported, or sent again");
        let week = Period { end: LocalDateTime::end_of(date("2025-04-10")), ..expected[0] };
        assert_eq!(cadence.late_by(week, due + SignedDuration::from_hours(5)), None, "a period of another length");
        assert!(cadence.expected(date("2024-01-01"), date("2025-01-05")).is_empty(), "before the first publication");
    }

    #[test]
    fn one_publication_makes_no_other_expected() {
        let once = Cadence::learn(&history(date("2025-01-06").series(1.day()).take(1), day));
        assert_eq!(once.granularity, Granularity::Day);
        assert!(once.expected(date("2025-01-01"), date("2025-03-31")).is_empty());
    }

    #[test]
    fn the_newest_publications_are_enough() {
        let all = history(date("2015-01-01").series(1.day()).take(3_000), day);
        let whole = Cadence::learn(&all);
        let newest = Cadence::learn(&all[all.len() - HISTORY_MAX..]).since(Some(date("2015-01-01")));
        assert_eq!(format!("{whole:?}"), format!("{newest:?}"));
    }

    #[test]
    fn every_day_weeks_and_months_are_learned() {
        let daily = Cadence::learn(&history(date("2025-01-06").series(1.day()).take(40), day));
        assert_eq!(daily.expected(date("2025-02-01"), date("2025-02-28")).len(), 28);
        let week = |first: Date| Period {
            start: LocalDateTime::start_of(first),
            end: LocalDateTime::end_of(first.saturating_add(6.days())),
        };
        let weekly = Cadence::learn(&history(date("2025-09-06").series(1.week()).take(9), week));
        let expected = weekly.expected(date("2025-11-01"), date("2025-11-15"));
        assert_eq!(starts(&expected), ["2025-11-01", "2025-11-08", "2025-11-15"]);
        assert!(expected.iter().all(|period| period.granularity() == Granularity::Week));
        let month = |first: Date| Period {
            start: LocalDateTime::start_of(first),
            end: LocalDateTime::end_of(first.last_of_month()),
        };
        let monthly = Cadence::learn(&history(date("2024-11-01").series(1.month()).take(4), month));
        assert_eq!(starts(&monthly.expected(date("2025-01-15"), date("2025-03-31"))), ["2025-02-01", "2025-03-01"]);
        assert!(Cadence::learn(&[]).expected(date("2025-01-01"), date("2025-12-31")).is_empty());
    }
}
