//! Reference periods, in São Paulo wall-clock time, as the portal sends them.
use std::fmt;
use std::sync::OnceLock;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::Stamp;
use super::state::states;

/// The time zone of the portal's dates.
pub fn sao_paulo() -> &'static TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    // The zone is in the bundled database; without it, the offset in force since 2019 applies.
    ZONE.get_or_init(|| TimeZone::get("America/Sao_Paulo").unwrap_or(TimeZone::fixed(jiff::tz::offset(-3))))
}

/// A wall-clock time to the second, without offset: `2025-02-20T23:59:59`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalDateTime(pub DateTime);

impl LocalDateTime {
    /// Parses ISO 8601. A value with an offset or `Z` is converted to São Paulo time.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let local = match text.parse::<Timestamp>() {
            Ok(instant) => sao_paulo().to_datetime(instant),
            Err(_) => text.parse::<DateTime>().ok()?,
        };
        Self::of(local)
    }

    /// Parses the formats of other programs that have only one meaning: `/Date(1740020400000)/`, `20/02/2025 00:00:00` in the
    /// portal's order, `2/20/2025 12:00:00 AM` in the American one, RFC 2822.
    pub fn parse_lenient(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(inner) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
            // An offset after it changes how the instant is written, not which instant it is.
            let digits = inner
                .char_indices()
                .find(|(at, c)| *at > 0 && matches!(c, '+' | '-'))
                .map_or(inner.len(), |(at, _)| at);
            let at = Timestamp::from_millisecond(inner[..digits].parse().ok()?).ok()?;
            return Self::of(sao_paulo().to_datetime(at));
        }
        if let Ok(at) = jiff::fmt::rfc2822::parse(text) {
            return Self::of(sao_paulo().to_datetime(at.timestamp()));
        }
        let (day, clock) = text.split_once([' ', 'T']).unwrap_or((text, ""));
        let (clock, half) = match clock.trim().rsplit_once(' ') {
            Some((clock, half)) => (clock, Some(half.to_ascii_uppercase())),
            None => (clock.trim(), None),
        };
        let numbers: Vec<i16> = day.split(['/', '-', '.']).map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let [first, second, year] = numbers[..] else { return None };
        let (day, month) = if half.is_some() { (second, first) } else { (first, second) };
        let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        let clock: Vec<i8> = match clock {
            "" => vec![0, 0],
            clock => clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?,
        };
        let (hour, minute, second) = match clock[..] {
            [hour, minute] => (hour, minute, 0),
            [hour, minute, second] => (hour, minute, second),
            _ => return None,
        };
        let hour = match half.as_deref() {
            None => hour,
            Some("AM") if (1..=12).contains(&hour) => hour % 12,
            Some("PM") if (1..=12).contains(&hour) => hour % 12 + 12,
            Some(_) => return None,
        };
        Self::of(DateTime::new(year, date.month(), date.day(), hour, minute, second, 0).ok()?)
    }

    /// Whether it is the zero of SQL Server, which programs send for no date. The zero of .NET, in the year 1, is out of
    /// range.
    pub fn is_unset(self) -> bool {
        self.0 == DateTime::constant(1900, 1, 1, 0, 0, 0, 0)
    }

    /// Other years do not sort as text, or are outside of jiff's range in some zone.
    fn of(local: DateTime) -> Option<Self> {
        let whole = local.with().subsec_nanosecond(0).build().ok()?;
        (1900..=9998).contains(&local.year()).then_some(Self(whole))
    }

    /// The instant in São Paulo. Outside of jiff's range, which no parsed value is, the nearest end of it.
    pub fn instant(self) -> Timestamp {
        let end = if self.0.year() < 1970 { Timestamp::MIN } else { Timestamp::MAX };
        sao_paulo().to_timestamp(self.0).unwrap_or(end)
    }

    /// Seconds since 1970 as if the time were UTC: sorts and compares like the time itself.
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
        f.write_str(Stamp::of_local(self.0).as_str())
    }
}

/// The last instant of a day in São Paulo.
pub fn end_of_day(day: Date) -> Option<Timestamp> {
    let next = day.tomorrow().ok()?.at(0, 0, 0, 0);
    sao_paulo().to_timestamp(next).ok()?.checked_sub(SignedDuration::from_millis(1)).ok()
}

/// What `asOf` takes: an instant in RFC 3339, or a day, which means its end in São Paulo.
pub fn parse_as_of(text: &str) -> Option<Timestamp> {
    match parse_local_date(text) {
        Some(day) => end_of_day(day),
        None => super::parse_instant(text),
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

/// The time that a publication covers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    pub start: LocalDateTime,
    pub end: LocalDateTime,
}

impl Period {
    fn days(first: Date, last: Date) -> Option<Self> {
        (first <= last).then(|| Self { start: LocalDateTime::start_of(first), end: LocalDateTime::end_of(last) })
    }

    /// The period of a `DataProduto` in one of its three formats: `20/02/2025`, `02/2025`, `06/09/2025 - 12/09/2025`.
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

    /// The period of a `DataProduto` in another format that has only one meaning: `2025-02-20`, `20/02/2025 00:00:00`, `2/2025`,
    /// `2025-02`, `06/09/2025 a 12/09/2025`.
    pub fn of_lenient_reference_date(text: &str) -> Option<Self> {
        let day = |text: &str| LocalDateTime::parse(text).or(LocalDateTime::parse_lenient(text)).map(|at| at.0.date());
        let month = |text: &str| {
            let (first, second) = text.split_once(['/', '-', '.'])?;
            let (month, year) = if first.len() == 4 { (second, first) } else { (first, second) };
            let first = parse_day(&format!("01/{month:0>2}/{year}"))?;
            Self::days(first, first.last_of_month())
        };
        let text = text.trim();
        if let Some(one) = day(text) {
            return Self::days(one, one);
        }
        let parts = [" - ", " a ", " à ", " até ", " – ", "–", "-"].iter().find_map(|between| text.split_once(between));
        let range = parts.and_then(|(first, last)| Self::days(day(first)?, day(last)?));
        range.or_else(|| month(text))
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

/// `DD/MM/YYYY`, strictly.
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
