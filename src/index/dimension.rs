//! Grouping dimensions, encoded as small numbers within a segment.
use jiff::civil::{Date, DateTime};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocId, SegmentReader};

use super::columns::Columns;
use crate::domain::{LocalDateTime, millis, sao_paulo, timestamp};

/// A dimension by which publications are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The product's id in hexadecimal.
    Product,
    Process,
    MacroProcess,
    Status,
    Extension,
    Granularity,
    /// The start of the period.
    Period(Bucket),
    /// When the current revision was archived, in São Paulo time.
    Archived(Bucket),
}

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    Day,
    Month,
    Year,
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);
const DAY_SECONDS: i64 = 86_400;
const HOUR_MS: i64 = 3_600_000;

/// A segment whose documents span at most this many days uses a lookup table. Otherwise each document is computed.
const TABLE_DAYS: i64 = 50_000;

/// The column of a dimension whose values are texts.
pub(super) fn text_column(dimension: Dimension) -> Option<&'static str> {
    match dimension {
        Dimension::Product => Some("product"),
        Dimension::Process => Some("process_unfolded"),
        Dimension::MacroProcess => Some("macro_process_unfolded"),
        Dimension::Status => Some("status"),
        Dimension::Extension => Some("extension"),
        Dimension::Granularity => Some("granularity"),
        Dimension::Period(_) | Dimension::Archived(_) => None,
    }
}

/// The values of a dimension in a segment.
pub(super) enum Values {
    /// No document of the segment has a value.
    None,
    Text(Option<StrColumn>),
    /// Wall-clock seconds since 1970.
    Wall(Column<i64>, Days),
    /// Milliseconds since 1970; the first hour; the day of each hour from then on.
    Instant(Column<i64>, Days, i64, Vec<u32>),
}

impl Values {
    pub fn open(dimension: Dimension, segment: &SegmentReader, columns: &Columns) -> tantivy::Result<Self> {
        match dimension {
            Dimension::Product
            | Dimension::Process
            | Dimension::MacroProcess
            | Dimension::Status
            | Dimension::Extension
            | Dimension::Granularity => {
                let column = text_column(dimension).map(|name| segment.fast_fields().str(name)).transpose()?;
                Ok(Self::Text(column.flatten()))
            }
            Dimension::Period(bucket) => {
                let column = columns.i64(segment, "period_start")?;
                if column.values.num_vals() == 0 {
                    return Ok(Self::None);
                }
                let day = |seconds: i64| seconds.div_euclid(DAY_SECONDS);
                let days = Days::new(day(column.min_value()), day(column.max_value()), bucket);
                Ok(Self::Wall(column, days))
            }
            Dimension::Archived(bucket) => {
                let column = columns.i64(segment, "archived_at")?;
                if column.values.num_vals() == 0 {
                    // An empty column has no meaningful bounds.
                    return Ok(Self::None);
                }
                // Clamped to instants that have a date.
                let (first_ms, last_ms) =
                    (millis(timestamp(column.min_value())), millis(timestamp(column.max_value())));
                let days = Days::new(local_day(first_ms), local_day(last_ms), bucket);
                let first_hour = first_ms.div_euclid(HOUR_MS);
                let hours = if days.has_table() { hours(&days, first_hour, last_ms) } else { Vec::new() };
                Ok(Self::Instant(column, days, first_hour, hours))
            }
        }
    }

    /// A number for each value; 0 means no value.
    pub fn code(&self, doc: DocId) -> u64 {
        match self {
            Self::None => 0,
            Self::Text(column) => column.as_ref().and_then(|column| column.ords().first(doc)).map_or(0, |ord| ord + 1),
            Self::Wall(column, days) => {
                column.first(doc).map_or(0, |seconds| days.code(seconds.div_euclid(DAY_SECONDS)))
            }
            Self::Instant(column, days, first_hour, hours) => column.first(doc).map_or(0, |ms| {
                let hour = usize::try_from(ms.div_euclid(HOUR_MS) - first_hour).ok();
                let day = hour.and_then(|hour| hours.get(hour)).map(|day| days.first + i64::from(*day));
                days.code(day.unwrap_or_else(|| local_day(ms)))
            }),
        }
    }

    /// One more than the largest code.
    pub fn codes(&self) -> u64 {
        match self {
            Self::None => 1,
            Self::Text(column) => column.as_ref().map_or(1, |column| column.num_terms() as u64 + 1),
            Self::Wall(_, days) | Self::Instant(_, days, ..) => days.codes(),
        }
    }

    pub fn name(&self, code: u64) -> tantivy::Result<Option<String>> {
        if code == 0 {
            return Ok(None);
        }
        match self {
            Self::None | Self::Text(None) => Ok(None),
            Self::Text(Some(column)) => {
                let mut text = String::new();
                column.ord_to_str(code - 1, &mut text)?;
                Ok(Some(text))
            }
            Self::Wall(_, days) | Self::Instant(_, days, ..) => Ok(Some(days.name(code))),
        }
    }
}

/// The days that the documents of a segment span.
pub(super) struct Days {
    /// Since 1970.
    first: i64,
    last: i64,
    bucket: Bucket,
    /// The code of each day, and the first day of each code. Empty if codes are day offsets.
    codes: Vec<u32>,
    starts: Vec<i64>,
}

impl Days {
    fn new(first: i64, last: i64, bucket: Bucket) -> Self {
        let mut days = Self { first, last: last.max(first), bucket, codes: Vec::new(), starts: Vec::new() };
        if bucket != Bucket::Day && days.has_table() {
            let mut before = None;
            for day in days.first..=days.last {
                let range = bucket.range_of(date(day));
                if before.replace(range) != Some(range) {
                    days.starts.push(day);
                }
                days.codes.push(u32::try_from(days.starts.len()).unwrap_or(u32::MAX));
            }
        }
        days
    }

    fn has_table(&self) -> bool {
        self.last - self.first < TABLE_DAYS
    }

    fn code(&self, day: i64) -> u64 {
        let offset = usize::try_from(day - self.first).unwrap_or_default();
        self.codes.get(offset).map_or(offset as u64 + 1, |code| u64::from(*code))
    }

    fn codes(&self) -> u64 {
        let all = if self.starts.is_empty() { self.last - self.first + 1 } else { self.starts.len() as i64 };
        u64::try_from(all).unwrap_or(u64::MAX - 1) + 1
    }

    fn name(&self, code: u64) -> String {
        let offset = usize::try_from(code - 1).unwrap_or_default();
        let day = self.starts.get(offset).copied().unwrap_or(self.first + offset as i64);
        self.bucket.name(date(day))
    }
}

/// The day offset of each hour from the first on. São Paulo's UTC offset changes only at full hours.
fn hours(days: &Days, first_hour: i64, last_ms: i64) -> Vec<u32> {
    let mut day = days.first;
    let mut ends = start_of_day(day + 1);
    (first_hour..=last_ms.div_euclid(HOUR_MS))
        .map(|hour| {
            while day < days.last && hour * HOUR_MS >= ends {
                day += 1;
                ends = start_of_day(day + 1);
            }
            u32::try_from(day - days.first).unwrap_or(u32::MAX)
        })
        .collect()
}

/// A day by its number since 1970.
fn date(day: i64) -> Date {
    let since = jiff::Span::new().try_days(day);
    since.map_or(if day < 0 { Date::MIN } else { Date::MAX }, |since| EPOCH.saturating_add(since))
}

/// The start of a day in São Paulo, in milliseconds.
fn start_of_day(day: i64) -> i64 {
    let midnight: DateTime = date(day).at(0, 0, 0, 0);
    sao_paulo().to_timestamp(midnight).map_or(i64::MAX, millis)
}

/// The day in São Paulo, since 1970.
fn local_day(ms: i64) -> i64 {
    let local = sao_paulo().to_datetime(timestamp(ms));
    LocalDateTime(local).as_number().div_euclid(DAY_SECONDS)
}

impl Bucket {
    /// Equal for all days of the same day, month or year.
    fn range_of(self, date: Date) -> (i16, i8, i8) {
        match self {
            Self::Day => (date.year(), date.month(), date.day()),
            Self::Month => (date.year(), date.month(), 0),
            Self::Year => (date.year(), 0, 0),
        }
    }

    /// 2025-02-20, 2025-02 or 2025.
    fn name(self, date: Date) -> String {
        let format = match self {
            Self::Day => "%Y-%m-%d",
            Self::Month => "%Y-%m",
            Self::Year => "%Y",
        };
        date.strftime(format).to_string()
    }
}
