//! Reference periods: São Paulo wall clock, as the portal writes it.
use std::fmt;
use std::sync::OnceLock;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::Stamp;
use super::state::states;

/// The zone that the portal's dates are meant in.
pub fn sao_paulo() -> &'static TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    // Where no zone database is to be had (the bundled one makes this unlikely), the offset in force since 2019 serves.
    ZONE.get_or_init(|| TimeZone::get("America/Sao_Paulo").unwrap_or(TimeZone::fixed(jiff::tz::offset(-3))))
}

/// A wall clock reading to the second, without offset: `2025-02-20T23:59:59`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalDateTime(pub DateTime);

impl LocalDateTime {
    /// Reads ISO 8601. A value with an offset or `Z` is turned into São Paulo wall clock.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let local = match text.parse::<Timestamp>() {
            Ok(instant) => sao_paulo().to_datetime(instant),
            Err(_) => text.parse::<DateTime>().ok()?,
        };
        // Years outside these four digits would not sort as text.
        ((1900..=9998).contains(&local.year()))
            .then(|| Self(local.with().subsec_nanosecond(0).build().unwrap_or(local)))
    }

    /// Seconds since 1970 as if the reading were UTC: sorts and compares like the reading itself.
    pub fn as_number(self) -> i64 {
        self.0.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_secs()
    }

    pub fn start_of(day: Date) -> Self {
        Self(day.at(0, 0, 0, 0))
    }

    pub fn end_of(day: Date) -> Self {
        Self(day.at(23, 59, 59, 0))
    }
}

impl fmt::Display for LocalDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Stamp::of_reading(self.0).as_str())
    }
}

/// A calendar day, `2025-02-20`.
pub fn parse_local_date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse().ok()).flatten()
}

pub(super) fn seconds(since_1970: i64) -> Option<Timestamp> {
    Timestamp::from_second(since_1970).ok()
}

states! {
    /// How long the period is.
    Granularity {
        Day = "DAY",
        Week = "WEEK",
        Month = "MONTH",
        Other = "OTHER",
    }
}

/// What a publication is about, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    pub start: LocalDateTime,
    pub end: LocalDateTime,
}

impl Period {
    fn days(first: Date, last: Date) -> Option<Self> {
        (first <= last).then(|| Self { start: LocalDateTime::start_of(first), end: LocalDateTime::end_of(last) })
    }

    /// The span of a `DataProduto` in one of its three forms: `20/02/2025`, `02/2025`, `06/09/2025 - 12/09/2025`.
    pub fn of_reference_date(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((first, last)) = text.split_once(" - ") {
            return Self::days(parse_day(first)?, parse_day(last)?);
        }
        match text.len() {
            10 => parse_day(text).and_then(|day| Self::days(day, day)),
            7 => {
                let first = parse_day(&format!("01/{text}"))?;
                Self::days(first, first.last_of_month())
            }
            _ => None,
        }
    }

    /// The end of the day on which the period starts.
    pub fn end_of_first_day(start: LocalDateTime) -> LocalDateTime {
        LocalDateTime::end_of(start.0.date())
    }

    /// The period written as a `DataProduto`.
    pub fn reference_date(&self) -> String {
        let (first, last) = (self.start.0.date(), self.end.0.date());
        match self.granularity() {
            Granularity::Day => first.strftime("%d/%m/%Y").to_string(),
            Granularity::Month => first.strftime("%m/%Y").to_string(),
            Granularity::Week | Granularity::Other => {
                format!("{} - {}", first.strftime("%d/%m/%Y"), last.strftime("%d/%m/%Y"))
            }
        }
    }

    pub fn granularity(&self) -> Granularity {
        let (first, last) = (self.start.0.date(), self.end.0.date());
        if first == last {
            Granularity::Day
        } else if first == first.first_of_month() && last == first.last_of_month() {
            Granularity::Month
        } else if first.checked_add(6.days()).is_ok_and(|seventh| seventh == last) {
            Granularity::Week
        } else {
            Granularity::Other
        }
    }
}

/// `DD/MM/YYYY`, and nothing like it.
fn parse_day(text: &str) -> Option<Date> {
    let text = text.trim();
    let mut parts = text.split('/');
    let mut number = |digits: usize| {
        parts
            .next()
            .filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))?
            .parse::<i16>()
            .ok()
    };
    let (day, month, year) = (number(2)?, number(2)?, number(4)?);
    if parts.next().is_some() || year < 1900 {
        return None;
    }
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}
