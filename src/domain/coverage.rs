//! Which periods a product's own history leads one to expect, and by when.
use std::collections::HashMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::{Granularity, LocalDateTime, Period, millis, sao_paulo, timestamp};

/// What is known of one publication.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub period: Period,
    /// When its first file came, or where there is none, when it was announced.
    pub came_at: Timestamp,
}

/// How often a product comes, learnt from its publications.
#[derive(Clone, Debug)]
pub struct Rhythm {
    pub granularity: Granularity,
    /// Of days: those of the week on which it comes, Monday first. Of weeks: the day on which they start.
    days: [bool; 7],
    first: Option<Date>,
    /// From the period's start until nine in ten have come, in milliseconds; negative where it comes before.
    usual_delay: i64,
}

/// So many of the newest publications say how it is now; what was years ago says little.
const MEMORY: usize = 60;

/// A day of the week on which it came less often than this share of the weeks is none of its days.
const OFTEN: f64 = 0.4;

impl Rhythm {
    /// Learns from publications, in any order.
    pub fn learn(known: &[Known]) -> Self {
        let mut newest: Vec<&Known> = known.iter().collect();
        newest.sort_by_key(|known| std::cmp::Reverse(known.period.start.0));
        let first = newest.last().map(|known| known.period.start.0.date());
        let granularity = most_frequent(newest.iter().take(MEMORY).map(|known| known.period.granularity()));
        newest.retain(|known| known.period.granularity() == granularity);
        newest.truncate(MEMORY);
        let delays = newest.iter().map(|known| millis(known.came_at) - start_of(known.period));
        // What came much later was brought along from the past, and says nothing of when it was published.
        let mut delays: Vec<i64> = delays.filter(|delay| *delay <= backfilled_after(granularity)).collect();
        delays.sort_unstable();
        let usual_delay = delays.get(delays.len().saturating_sub(1) * 9 / 10).copied().unwrap_or(DAY_MS);
        Self { granularity, days: days(&newest, granularity), first, usual_delay }
    }

    /// The periods that are expected to start from one day to another, both included, none before the first that was
    /// ever seen.
    pub fn expected(&self, from: Date, to: Date) -> Vec<Period> {
        let Some(first) = self.first else { return Vec::new() };
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
        timestamp(start_of(period).saturating_add(self.usual_delay).saturating_add(self.patience()))
    }

    /// When it is not to be expected any more.
    pub fn missed_at(&self, period: Period) -> Timestamp {
        let length = match self.granularity {
            Granularity::Day | Granularity::Other => 3,
            Granularity::Week => 7,
            Granularity::Month => 15,
        };
        timestamp(millis(self.due_at(period)).saturating_add(length * DAY_MS))
    }

    /// What an hour late is to a daily file, a day is to a monthly one.
    fn patience(&self) -> i64 {
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
    sao_paulo().to_timestamp(period.start.0).map(millis).unwrap_or_default()
}

fn weekday(day: Date) -> usize {
    usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or_default()
}

fn most_frequent(all: impl Iterator<Item = Granularity>) -> Granularity {
    let mut counts: HashMap<Granularity, usize> = HashMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    let rank = |granularity: &Granularity| counts.get(granularity).copied().unwrap_or_default();
    // With equal counts the shorter one: what is expected too often is looked at, what is expected too seldom is missed.
    Granularity::ALL.iter().rev().copied().max_by_key(rank).unwrap_or(Granularity::Other)
}

fn days(newest: &[&Known], granularity: Granularity) -> [bool; 7] {
    let mut starts: Vec<Date> = newest.iter().map(|known| known.period.start.0.date()).collect();
    starts.sort();
    starts.dedup();
    let mut counts = [0u32; 7];
    for day in &starts {
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
    std::array::from_fn(|day| counts[day] > 0 && f64::from(counts[day]) >= OFTEN * weeks.min(f64::from(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(days: impl Iterator<Item = Date>, period: impl Fn(Date) -> Period) -> Vec<Known> {
        days.map(|day| {
            let period = period(day);
            Known { period, came_at: timestamp(start_of(period) + 10 * 3_600_000) }
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
    fn workdays_are_learnt_in_spite_of_holidays() {
        let days = date("2025-01-06").series(1.day()).take(90);
        let workdays = days.filter(|day| weekday(*day) < 5 && *day != date("2025-03-04") && *day != date("2025-03-05"));
        let rhythm = Rhythm::learn(&known(workdays, day));
        assert_eq!(rhythm.granularity, Granularity::Day);
        let expected = rhythm.expected(date("2025-04-04"), date("2025-04-08"));
        assert_eq!(starts(&expected), ["2025-04-04", "2025-04-07", "2025-04-08"]);
        // Came ten hours into its day; two hours of patience.
        let due = rhythm.due_at(expected[0]);
        assert_eq!(due.to_string(), "2025-04-04T15:00:00Z");
        assert!(rhythm.missed_at(expected[0]) > due);
        assert!(rhythm.expected(date("2024-01-01"), date("2025-01-05")).is_empty(), "before it was ever seen");
    }

    #[test]
    fn every_day_weeks_and_months_are_learnt() {
        let daily = Rhythm::learn(&known(date("2025-01-06").series(1.day()).take(40), day));
        assert_eq!(daily.expected(date("2025-02-01"), date("2025-02-28")).len(), 28);
        let week = |first: Date| Period {
            start: LocalDateTime::start_of(first),
            end: LocalDateTime::end_of(first.saturating_add(6.days())),
        };
        let weekly = Rhythm::learn(&known(date("2025-09-06").series(1.week()).take(9), week));
        let expected = weekly.expected(date("2025-11-01"), date("2025-11-15"));
        assert_eq!(starts(&expected), ["2025-11-01", "2025-11-08", "2025-11-15"]);
        assert!(expected.iter().all(|period| period.granularity() == Granularity::Week));
        let month = |first: Date| Period {
            start: LocalDateTime::start_of(first),
            end: LocalDateTime::end_of(first.last_of_month()),
        };
        let monthly = Rhythm::learn(&known(date("2024-11-01").series(1.month()).take(4), month));
        assert_eq!(starts(&monthly.expected(date("2025-01-15"), date("2025-03-31"))), ["2025-02-01", "2025-03-01"]);
        assert!(Rhythm::learn(&[]).expected(date("2025-01-01"), date("2025-12-31")).is_empty());
    }
}
