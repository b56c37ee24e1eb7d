//! The calendar as terms: the months and years that a period touches. A filter by period reads their lists first, which
//! leaves few documents whose bounds are to be looked at.
use jiff::ToSpan;
use jiff::civil::Date;

use crate::domain::{LocalDateTime, Period, WrittenDate};

/// Periods longer than this, which nobody publishes, have one term that every filter asks for.
const MONTHS_MAX: i32 = 60;
const LONG: &str = "long";

/// Filters up to so many months go by months, up to so many years by years; beyond that the calendar leaves little out.
const BY_MONTHS_MAX: i32 = 24;
const BY_YEARS_MAX: i32 = 40;

/// Months since the year 0.
fn month(at: LocalDateTime) -> i32 {
    i32::from(at.0.year()) * 12 + i32::from(at.0.month()) - 1
}

fn month_term(month: i32) -> String {
    format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1)
}

fn year_term(year: i32) -> String {
    format!("{year:04}")
}

/// What a period is found by.
pub(super) fn of(period: Period) -> Vec<String> {
    let (a, b) = (month(period.start), month(period.end));
    let (first, last) = (a.min(b), a.max(b));
    if last - first >= MONTHS_MAX {
        return vec![LONG.to_owned()];
    }
    let years = first.div_euclid(12)..=last.div_euclid(12);
    (first..=last).map(month_term).chain(years.map(year_term)).collect()
}

/// Days of a period that has each of them as a term; of a longer one the month is what people look for.
const DAYS_MAX: usize = 7;

/// The days of a short period, as searches for a day ask for them.
pub(super) fn days_of(period: Period) -> Vec<String> {
    let (first, last) = (period.start.0.date(), period.end.0.date());
    let days: Vec<Date> = first.series(1.day()).take(DAYS_MAX + 1).take_while(|day| *day <= last).collect();
    if days.len() > DAYS_MAX { Vec::new() } else { days.into_iter().map(|day| WrittenDate::Day(day).term()).collect() }
}

/// The term of the periods that touch a month.
pub(super) fn term_of_month(first_day: Date) -> String {
    month_term(month(LocalDateTime::start_of(first_day)))
}

/// The terms of which every period that touches such a stretch has one; none where they would leave little out.
pub(super) fn touching(from: LocalDateTime, to: LocalDateTime) -> Option<Vec<String>> {
    let (first, last) = (month(from), month(to));
    let (first_year, last_year) = (first.div_euclid(12), last.div_euclid(12));
    let mut terms: Vec<String> = if from > to || last_year - first_year >= BY_YEARS_MAX {
        return None;
    } else if last - first >= BY_MONTHS_MAX {
        (first_year..=last_year).map(year_term).collect()
    } else {
        (first..=last).map(month_term).collect()
    };
    terms.push(LONG.to_owned());
    Some(terms)
}
