//! Dates as people and file names write them: `24/09/2025`, `2025-09-24`, `24.09.2025`, `20250924`, `24092025`, `09/2025`,
//! `2025-09`, `202509`. In a search also with the names of months (`months`).
use std::ops::Range;

use jiff::civil::Date;

use super::months::months;

/// A day or a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WrittenDate {
    Day(Date),
    /// As its first day.
    Month(Date),
}

impl WrittenDate {
    /// `2025-09-24` or `2025-09`.
    pub fn term(self) -> String {
        match self {
            Self::Day(day) => day.strftime("%Y-%m-%d").to_string(),
            Self::Month(first) => first.strftime("%Y-%m").to_string(),
        }
    }

    pub fn month_term(self) -> String {
        let (Self::Day(day) | Self::Month(day)) = self;
        day.strftime("%Y-%m").to_string()
    }
}

/// What a search says of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchedDate {
    Written(WrittenDate),
    /// From 1 on.
    MonthOfAnyYear(i16),
}

impl SearchedDate {
    /// The days and months that it may be.
    pub fn written(self) -> Vec<WrittenDate> {
        match self {
            Self::Written(date) => vec![date],
            Self::MonthOfAnyYear(number) => YEARS.filter_map(|year| month(year, number)).collect(),
        }
    }
}

/// Numbers outside of these years are not dates.
const YEARS: std::ops::RangeInclusive<i16> = 1980..=2100;

/// The dates in a search text, with their positions. A date next to a letter or digit does not count.
pub fn dates_in_search(folded: &str) -> Vec<(Range<usize>, SearchedDate)> {
    let alone = |range: &Range<usize>| {
        let before = folded[..range.start].chars().next_back();
        let after = folded[range.end..].chars().next();
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    };
    let mut found = months(folded);
    let overlaps = |one: &Range<usize>, other: &Range<usize>| one.start < other.end && other.start < one.end;
    let mut in_digits = dates(folded);
    in_digits.retain(|(range, _)| alone(range) && !found.iter().any(|(month, _)| overlaps(month, range)));
    found.extend(in_digits.into_iter().map(|(range, date)| (range, SearchedDate::Written(date))));
    found.sort_by_key(|(range, _)| range.start);
    found
}

/// The dates in a name. Letters may precede the digits (`DC202510`), and a time may follow the day (`20250924T1030`,
/// `202509241030`).
pub fn dates_in_name(folded: &str) -> Vec<WrittenDate> {
    dates(folded).into_iter().map(|(_, date)| date).collect()
}

fn dates(text: &str) -> Vec<(Range<usize>, WrittenDate)> {
    let runs = digit_runs(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < runs.len() {
        let together = (1..=3).rev().find_map(|number| {
            let some = runs.get(at..at + number)?;
            Some((number, read(text, some)?))
        });
        let number = together.map_or(1, |(number, _)| number);
        if let Some((_, Some(date))) = together {
            found.push((runs[at].start..runs[at + number - 1].end, date));
        }
        at += number;
    }
    found
}

fn digit_runs(text: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end += 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

/// The date that consecutive runs of digits are; the inner `None` if they look like a date that does not exist.
fn read(text: &str, runs: &[Range<usize>]) -> Option<Option<WrittenDate>> {
    let separator = |pair: &[Range<usize>]| text.get(pair[0].end..pair[1].start);
    let separators: Vec<Option<&str>> = runs.windows(2).map(separator).collect();
    let is_one =
        |separator: &Option<&str>| matches!(separator, Some("/" | "-" | "." | "_")) && *separator == separators[0];
    if !separators.iter().all(is_one) {
        return None;
    }
    let lengths: Vec<usize> = runs.iter().map(Range::len).collect();
    let number = |at: usize| text[runs[at].clone()].parse::<i16>().ok();
    Some(match lengths.as_slice() {
        [1 | 2, 1 | 2, 4] => day(number(2)?, number(1)?, number(0)?),
        [4, 1 | 2, 1 | 2] => day(number(0)?, number(1)?, number(2)?),
        [1 | 2, 4] => month(number(1)?, number(0)?),
        [4, 1 | 2] => month(number(0)?, number(1)?),
        [length] => run_together(&text[runs[0].clone()], *length),
        _ => return None,
    })
}

fn run_together(digits: &str, length: usize) -> Option<WrittenDate> {
    let number = |range: Range<usize>| digits.get(range)?.parse::<i16>().ok();
    match length {
        8 => day(number(0..4)?, number(4..6)?, number(6..8)?)
            .or_else(|| day(number(4..8)?, number(2..4)?, number(0..2)?)),
        // With the hour, the minute and the second.
        10 | 12 | 14 => day(number(0..4)?, number(4..6)?, number(6..8)?),
        6 => month(number(0..4)?, number(4..6)?).or_else(|| month(number(2..6)?, number(0..2)?)),
        _ => None,
    }
}

pub(super) fn day(year: i16, month: i16, day: i16) -> Option<WrittenDate> {
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    YEARS.contains(&year).then_some(WrittenDate::Day(date))
}

pub(super) fn month(year: i16, month: i16) -> Option<WrittenDate> {
    let first = Date::new(year, i8::try_from(month).ok()?, 1).ok()?;
    YEARS.contains(&year).then_some(WrittenDate::Month(first))
}

#[cfg(test)]
mod tests {
    use super::{SearchedDate, WrittenDate, dates_in_name, dates_in_search};

    #[test]
    fn dates_are_read_as_they_are_typed() {
        for (text, terms) in [
            ("24/09/2025", vec!["2025-09-24"]),
            ("24-09-2025", vec!["2025-09-24"]),
            ("24.9.2025", vec!["2025-09-24"]),
            ("2025-09-24", vec!["2025-09-24"]),
            ("2025/09/24", vec!["2025-09-24"]),
            ("20250924", vec!["2025-09-24"]),
            ("24092025", vec!["2025-09-24"]),
            ("09/2025", vec!["2025-09"]),
            ("9-2025", vec!["2025-09"]),
            ("2025-09", vec!["2025-09"]),
            ("202510", vec!["2025-10"]),
            ("102025", vec!["2025-10"]),
            ("deck de 06/09/2025 - 12/09/2025", vec!["2025-09-06", "2025-09-12"]),
            ("06/09/2025-12/09/2025", vec!["2025-09-06", "2025-09-12"]),
            // No dates: no such day, other signs between, digits in a word, other numbers.
            ("31/02/2025", vec![]),
            ("24/09-2025", vec!["2025-09"]),
            ("dc202510", vec![]),
            ("2025", vec![]),
            ("487", vec![]),
            ("99999999", vec![]),
            ("202513", vec![]),
            ("12345678901", vec![]),
            ("10.10.10.10", vec![]),
        ] {
            let written = dates_in_search(text).into_iter().flat_map(|(_, date)| SearchedDate::written(date));
            let found: Vec<String> = written.map(WrittenDate::term).collect();
            assert_eq!(found, terms, "{text}");
        }
    }

    #[test]
    fn dates_are_read_inside_names() {
        for (name, terms) in [
            ("dc202510-sem1.zip", vec!["2025-10"]),
            ("psat_24092025.txt", vec!["2025-09-24"]),
            ("eta40_p_240925a.dat", vec![]),
            ("relatorio_2025_09_24.pdf", vec!["2025-09-24"]),
            ("rel 24-09-2025v2.pdf", vec!["2025-09-24"]),
            ("x20250924t1030z.csv", vec!["2025-09-24"]),
            ("x202509241030.csv", vec!["2025-09-24"]),
            ("nw202510.zip/nw202511.dat", vec!["2025-10", "2025-11"]),
            ("487.txt", vec![]),
        ] {
            let found: Vec<String> = dates_in_name(name).into_iter().map(WrittenDate::term).collect();
            assert_eq!(found, terms, "{name}");
        }
    }
}
