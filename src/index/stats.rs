//! Counting in groups: one pass over all that match, grouped by some of what every document has.
use std::collections::HashMap;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use super::{Filter, Index, IndexError, Order, Query, Target};
use crate::domain::{LocalDateTime, sao_paulo, timestamp};

/// What publications are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// By its id, in hexadecimal.
    Product,
    Process,
    MacroProcess,
    Status,
    Extension,
    Granularity,
    /// Of the period's start.
    Period(Bucket),
    /// Of the revision shown, São Paulo time.
    Archived(Bucket),
}

/// A stretch of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    Day,
    Month,
    Year,
}

/// What is added up in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub publications: u64,
    pub revisions: u64,
    /// Of the revisions shown.
    pub size: u64,
    pub stored_size: u64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.publications += other.publications;
        self.revisions += other.revisions;
        self.size += other.size;
        self.stored_size += other.stored_size;
    }
}

/// A group: a value for each dimension asked for, absent where documents have none; and its sums.
pub type Group = (Vec<Option<String>>, Sums);

/// Groups that one segment counts in a plain array; with more they go to a map.
const ARRAY_MAX: u64 = 1 << 16;

impl Index {
    /// Groups the publications that match, as they are now. Takes the CPU for a while: not for async threads.
    pub fn stats(
        &self,
        search: Option<String>,
        filter: Filter,
        dimensions: &[Dimension],
    ) -> Result<Vec<Group>, IndexError> {
        let query = Query {
            target: Target::Publications { as_of: None },
            search,
            filter,
            order: Order::Name,
            beyond: None,
            backwards: false,
            offset: 0,
            limit: 0,
        };
        let compiled = self.compile(&query)?;
        let searcher = self.inner.reader.searcher();
        let groups = searcher.search(&*compiled, &Grouping { dimensions: dimensions.to_vec() })?;
        Ok(groups.into_iter().collect())
    }
}

struct Grouping {
    dimensions: Vec<Dimension>,
}

/// Where a segment keeps what is grouped by.
enum Values {
    Text(Option<StrColumn>),
    /// Seconds of the wall clock since 1970.
    Wall(Column<i64>, Bucket),
    /// Milliseconds since 1970.
    Instant(Column<i64>, Bucket),
}

impl Values {
    fn open(dimension: Dimension, segment: &SegmentReader) -> tantivy::Result<Self> {
        let fast = segment.fast_fields();
        let text = |name: &str| fast.str(name).map(Self::Text);
        match dimension {
            Dimension::Product => text("product"),
            Dimension::Process => text("process_shown"),
            Dimension::MacroProcess => text("macro_process_shown"),
            Dimension::Status => text("status"),
            Dimension::Extension => text("extension"),
            Dimension::Granularity => text("granularity"),
            Dimension::Period(bucket) => Ok(Self::Wall(fast.i64("period_start")?, bucket)),
            Dimension::Archived(bucket) => Ok(Self::Instant(fast.i64("archived_at")?, bucket)),
        }
    }

    /// A number for each value: 0 for none.
    fn code(&self, doc: DocId) -> u64 {
        match self {
            Self::Text(column) => column.as_ref().and_then(|column| column.ords().first(doc)).map_or(0, |ord| ord + 1),
            Self::Wall(column, _) => column.first(doc).map_or(0, |seconds| day_code(seconds.div_euclid(DAY_SECONDS))),
            Self::Instant(column, _) => column.first(doc).map_or(0, |ms| day_code(local_day(ms))),
        }
    }

    /// One more than the greatest code.
    fn codes(&self) -> u64 {
        match self {
            Self::Text(column) => column.as_ref().map_or(1, |column| column.num_terms() as u64 + 1),
            Self::Wall(..) | Self::Instant(..) => DAYS,
        }
    }

    fn name(&self, code: u64) -> tantivy::Result<Option<String>> {
        if code == 0 {
            return Ok(None);
        }
        match self {
            Self::Text(None) => Ok(None),
            Self::Text(Some(column)) => {
                let mut text = String::new();
                column.ord_to_str(code - 1, &mut text)?;
                Ok(Some(text))
            }
            Self::Wall(_, bucket) | Self::Instant(_, bucket) => Ok(Some(bucket.name(day_of(code)))),
        }
    }
}

const DAY_SECONDS: i64 = 86_400;

/// Days of the calendar that have a code of their own: from 1800 on, for more than a thousand years.
const DAYS: u64 = 400_000;
const DAY_ZERO: i64 = -62_091;

fn day_code(day: i64) -> u64 {
    u64::try_from(day - DAY_ZERO).unwrap_or_default().clamp(1, DAYS - 1)
}

fn day_of(code: u64) -> i64 {
    i64::try_from(code).unwrap_or_default() + DAY_ZERO
}

/// The day in São Paulo, since 1970.
fn local_day(ms: i64) -> i64 {
    let local = sao_paulo().to_datetime(timestamp(ms));
    LocalDateTime(local).as_number().div_euclid(DAY_SECONDS)
}

impl Bucket {
    /// 2025-02-20, 2025-02 or 2025.
    fn name(self, day: i64) -> String {
        let instant = timestamp(day.saturating_mul(DAY_SECONDS * 1000));
        let date = jiff::tz::TimeZone::UTC.to_datetime(instant).date();
        let form = match self {
            Self::Day => "%Y-%m-%d",
            Self::Month => "%Y-%m",
            Self::Year => "%Y",
        };
        date.strftime(form).to_string()
    }
}

impl Collector for Grouping {
    type Fruit = HashMap<Vec<Option<String>>, Sums>;
    type Child = SegmentGroups;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentGroups> {
        let values: tantivy::Result<Vec<Values>> =
            self.dimensions.iter().map(|dimension| Values::open(*dimension, segment)).collect();
        let values = values?;
        let fast = segment.fast_fields();
        let codes = values.iter().map(Values::codes).try_fold(1u64, u64::checked_mul);
        let array = codes.filter(|codes| *codes <= ARRAY_MAX).and_then(|codes| usize::try_from(codes).ok());
        Ok(SegmentGroups {
            values,
            revisions: fast.i64("revision_count")?,
            size: fast.i64("size")?,
            stored_size: fast.i64("stored_size")?,
            array: vec![Sums::default(); array.unwrap_or_default()],
            map: HashMap::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<tantivy::Result<Self::Fruit>>) -> tantivy::Result<Self::Fruit> {
        let mut all = Self::Fruit::new();
        for segment in segments {
            for (key, sums) in segment? {
                all.entry(key).or_default().add(&sums);
            }
        }
        Ok(all)
    }
}

struct SegmentGroups {
    values: Vec<Values>,
    revisions: Column<i64>,
    size: Column<i64>,
    stored_size: Column<i64>,
    /// By the code of the group, where there are few.
    array: Vec<Sums>,
    map: HashMap<u128, Sums>,
}

impl SegmentGroups {
    fn codes_of(&self, mut code: u128) -> Vec<u64> {
        let mut codes = Vec::with_capacity(self.values.len());
        for values in self.values.iter().rev() {
            let radix = u128::from(values.codes());
            codes.push(u64::try_from(code % radix).unwrap_or_default());
            code /= radix;
        }
        codes.reverse();
        codes
    }
}

impl SegmentCollector for SegmentGroups {
    type Fruit = tantivy::Result<HashMap<Vec<Option<String>>, Sums>>;

    fn collect(&mut self, doc: DocId, _: Score) {
        let number = |column: &Column<i64>| column.first(doc).and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
        let sums = Sums {
            publications: 1,
            revisions: number(&self.revisions),
            size: number(&self.size),
            stored_size: number(&self.stored_size),
        };
        let code = self
            .values
            .iter()
            .fold(0u128, |code, values| code * u128::from(values.codes()) + u128::from(values.code(doc)));
        let place = usize::try_from(code).ok().and_then(|code| self.array.get_mut(code));
        match place {
            Some(group) => group.add(&sums),
            None => self.map.entry(code).or_default().add(&sums),
        }
    }

    fn harvest(self) -> Self::Fruit {
        let counted = (0u128..).zip(&self.array).filter(|(_, sums)| sums.publications > 0);
        let mut groups = HashMap::new();
        for (code, sums) in counted.chain(self.map.iter().map(|(code, sums)| (*code, sums))) {
            let codes = self.codes_of(code);
            let names: tantivy::Result<Vec<Option<String>>> =
                self.values.iter().zip(codes).map(|(values, code)| values.name(code)).collect();
            let group: &mut Sums = groups.entry(names?).or_default();
            group.add(sums);
        }
        Ok(groups)
    }
}
