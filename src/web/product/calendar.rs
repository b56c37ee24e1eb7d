//! A product's history as a calendar: for each year the weeks as columns, and each period in the colour of its state.
use std::fmt::Write;

use jiff::ToSpan;
use jiff::civil::Date;
use maud::{Markup, html};

use crate::lang::Lang;
use crate::query::{CoverageState, JudgedPeriod};
use crate::web::states::{State, explained};
use crate::web::units;

/// The side of a day and the distance to the next, in pixels.
const DAY: i32 = 11;
const STEP: i32 = 14;
const LEFT: i32 = 34;
const TOP: i32 = 18;
const WEEKS: i32 = 54;

/// The newest year first.
pub fn calendar(lang: Lang, periods: &[JudgedPeriod], from: Date, to: Date) -> Markup {
    html! {
        (legend(lang, periods))
        div.calendar.scroll tabindex="0" role="group" aria-labelledby="calendar" {
            @for number in (from.year()..=to.year()).rev() { (year(lang, number, periods)) }
        }
    }
}

fn legend(lang: Lang, periods: &[JudgedPeriod]) -> Markup {
    html! {
        ul.legend {
            @for state in CoverageState::ALL {
                @let count = periods.iter().filter(|one| one.state == *state).count();
                @if count > 0 {
                    li {
                        svg width="12" height="12" aria-hidden="true" { rect class=(class(*state)) x="1" y="1" width="10" height="10" rx="2" {} }
                        " " (state.word(lang)) " " span.number { (units::number(lang, units::count(count))) }
                    }
                }
            }
        }
        (explained(lang, CoverageState::ALL.iter().copied().filter(|state| periods.iter().any(|one| one.state == *state))))
    }
}

fn class(state: CoverageState) -> &'static str {
    match state {
        CoverageState::Archived => "s-archived",
        CoverageState::Late => "s-late",
        CoverageState::Awaited => "s-awaited",
        CoverageState::Missing => "s-missing",
        CoverageState::Lost => "s-lost",
        CoverageState::Purged => "s-purged",
    }
}

fn year(lang: Lang, number: i16, periods: &[JudgedPeriod]) -> Markup {
    let first = jiff::civil::date(number, 1, 1);
    let last = first.last_of_year();
    let within = periods.iter().filter(|one| one.period.start.0.date() <= last && one.period.end.0.date() >= first);
    let (width, height) = (LEFT + WEEKS * STEP, TOP + 7 * STEP);
    html! {
        // The links are for the mouse: keyboards and screen readers have the lists below.
        svg.year width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } aria-hidden="true" {
            text.label x="0" y="12" { (number) }
            @for month in 1..=12_i8 {
                text.label x=(column(first, jiff::civil::date(number, month, 1)) * STEP + LEFT) y="12" {
                    (units::month_name(lang, month))
                }
            }
            @for weekday in [0, 2, 4] {
                text.label x="0" y=(TOP + weekday * STEP + 10) { (units::weekday_name(lang, weekday.unsigned_abs() as usize)) }
            }
            path.days d=(squares(first, first, last)) {}
            @for one in within {
                @let from = one.period.start.0.date().max(first);
                @let to = one.period.end.0.date().min(last);
                @let title = format!("{}: {}", units::period(lang, one.period), one.state.word(lang));
                @match one.publication {
                    Some(id) => a href={ "/publications/" (id) } tabindex="-1" {
                        path class=(class(one.state)) d=(squares(first, from, to)) { title { (title) } }
                    },
                    None => path class=(class(one.state)) d=(squares(first, from, to)) { title { (title) } },
                }
            }
        }
    }
}

/// Monday is 0.
fn weekday(day: Date) -> i32 {
    i32::from(day.weekday().to_monday_zero_offset())
}

/// The column of a day's week in its year.
fn column(first: Date, day: Date) -> i32 {
    (i32::from(day.day_of_year()) - 1 + weekday(first)) / 7
}

/// A square for each day.
fn squares(first: Date, from: Date, to: Date) -> String {
    let mut path = String::new();
    let mut day = from;
    while day <= to {
        let (x, y) = (LEFT + column(first, day) * STEP, TOP + weekday(day) * STEP);
        // Writing to a string cannot fail.
        let _ = write!(path, "M{x} {y}h{DAY}v{DAY}h-{DAY}z");
        match day.checked_add(1.day()) {
            Ok(next) => day = next,
            Err(_) => break,
        }
    }
    path
}

/// The last days of a product in one line.
pub fn strip(lang: Lang, periods: &[JudgedPeriod], from: Date, to: Date) -> Markup {
    let days = to.since(from).map_or(0, |span| span.get_days()) + 1;
    let position = |day: Date| day.since(from).map_or(0, |span| span.get_days()) * 5;
    let said = CoverageState::ALL.iter().filter_map(|state| {
        let count = periods.iter().filter(|one| one.state == *state).count();
        (count > 0).then(|| format!("{} {count}", state.word(lang)))
    });
    let said = said.collect::<Vec<_>>().join(", ");
    html! {
        @if !periods.is_empty() {
            svg.strip width=(days * 5) height="16" viewBox={ "0 0 " (days * 5) " 16" } role="img" aria-label=(said) {
                @for one in periods {
                    @let start = position(one.period.start.0.date().max(from));
                    @let end = position(one.period.end.0.date().min(to)) + 4;
                    rect class=(class(one.state)) x=(start) y="2" width=((end - start).max(4)) height="12" {
                        title { (units::period(lang, one.period)) ": " (one.state.word(lang)) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{column, squares};

    #[test]
    fn weeks_begin_on_monday_and_each_day_has_a_square() {
        // 1 January 2025 is a Wednesday.
        let day = |text: &str| text.parse().expect("a day");
        let first = day("2025-01-01");
        assert_eq!([day("2025-01-01"), day("2025-01-05"), day("2025-01-06")].map(|day| column(first, day)), [0, 0, 1]);
        assert_eq!(column(first, day("2025-12-31")), 52);
        assert_eq!(squares(first, first, day("2025-01-02")), "M34 46h11v11h-11zM34 60h11v11h-11z");
        assert_eq!(squares(first, day("2025-01-02"), first), "");
    }
}
