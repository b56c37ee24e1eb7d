//! Calendar terms: the months and years that a period overlaps. A period filter reads these postings first, so that only a
//! few documents need their exact bounds checked.
use jiff::ToSpan;
use jiff::civil::Date;

use crate::domain::{LocalDateTime, Period, WrittenDate};

/// Longer periods, which are not published in practice, get a single term that every filter includes.
const MONTHS_MAX: i32 = 60;
const LONG: &str = "long";

/// Filters up to this many months use month terms, up to this many years year terms. Longer ones would exclude little.
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

/// The terms of a period.
pub(super) fn of(period: Period) -> Vec<String> {
    let (a, b) = (month(period.start), month(period.end));
    let (first, last) = (a.min(b), a.max(b));
    if last - first >= MONTHS_MAX {
        return vec![LONG.to_owned()];
    }
    let years = first.div_euclid(12)..=last.div_euclid(12);
    (first..=last).map(month_term).chain(years.map(year_term)).collect()
}

/// Periods of up to this many days have a term for each day. For longer ones people search by month.
const DAYS_MAX: usize = 7;

/// The day terms of a short period.
pub(super) fn days_of(period: Period) -> Vec<String> {
    let (first, last) = (period.start.0.date(), period.end.0.date());
    let days: Vec<Date> = first.series(1.day()).take(DAYS_MAX + 1).take_while(|day| *day <= last).collect();
    if days.len() > DAYS_MAX { Vec::new() } else { days.into_iter().map(|day| WrittenDate::Day(day).term()).collect() }
}

/// The term of the periods that overlap a month.
pub(super) fn term_of_month(first_day: Date) -> String {
    month_term(month(LocalDateTime::start_of(first_day)))
}

/// Terms such that every period that overlaps the range has at least one; `None` if they would exclude little.
pub(super) fn overlapping(from: LocalDateTime, to: LocalDateTime) -> Option<Vec<String>> {
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
