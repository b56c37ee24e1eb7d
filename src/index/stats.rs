//! Counting in groups: one pass over all that match, grouped by some of what every document has.
use std::collections::{BTreeSet, HashMap};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::query::Weight;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use super::dimension::Values;
use super::scan::scan;
use super::watch::{STEPS, Watch};
use super::{Dimension, Filter, Index, IndexError, Order, Query, Target};

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

/// Groups, by what they are grouped by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// The values of each dimension asked for, absent where documents have none.
    pub values: Vec<Vec<Option<String>>>,
    /// For each group the place of its value of each dimension, one group after the other.
    places: Vec<u32>,
    /// Of each group.
    sums: Vec<Sums>,
}

impl Groups {
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// The place of a group's value of each dimension.
    pub fn places(&self, group: usize) -> impl Iterator<Item = usize> + '_ {
        let dimensions = self.values.len();
        self.places[group * dimensions..(group + 1) * dimensions].iter().map(|place| *place as usize)
    }

    pub fn sums(&self, group: usize) -> Sums {
        self.sums[group]
    }
}

/// Groups that are counted in a plain array; more go to a map.
const ARRAY_MAX: u128 = 1 << 17;

impl Index {
    /// Groups the publications that match, as they are now. Takes the CPU for a while: for the [`Pool`](super::Pool), not
    /// for async threads.
    pub fn stats(
        &self,
        search: Option<String>,
        filter: Filter,
        dimensions: &[Dimension],
        watch: &Watch,
    ) -> Result<Groups, IndexError> {
        let query = Query {
            target: Target::Publications { as_of: None },
            search,
            scored: false,
            filter,
            order: Order::Name,
            beyond: None,
            backwards: false,
            offset: 0,
            limit: 0,
        };
        let searcher = self.inner.reader.searcher();
        let compiled = self.compile(&query, &searcher, watch)?;
        let grouping = Grouping { index: self.clone(), dimensions: dimensions.to_vec(), watch: watch.clone() };
        searcher.search(&*compiled, &grouping).map_err(|e| watch.explain(e))
    }
}

impl Index {
    /// All texts that a dimension has, those of documents that are gone perhaps among them.
    pub fn values(&self, dimension: Dimension, watch: &Watch) -> Result<BTreeSet<String>, IndexError> {
        let mut all = BTreeSet::new();
        for segment in self.inner.reader.searcher().segment_readers() {
            let values = Values::open(dimension, segment, &self.inner.columns.of(segment))?;
            for (step, code) in (1..values.codes()).enumerate() {
                if step % STEPS == 0 {
                    watch.check()?;
                }
                all.extend(values.name(code)?);
            }
        }
        Ok(all)
    }
}

/// Sums by a number that stands for a group: each dimension's code is a digit of it.
struct Counts {
    /// One more than the greatest digit of each dimension.
    radixes: Vec<u64>,
    array: Vec<Sums>,
    map: HashMap<u128, Sums>,
}

impl Counts {
    fn new(radixes: Vec<u64>) -> Self {
        let numbers = radixes.iter().map(|radix| u128::from(*radix)).try_fold(1, u128::checked_mul);
        let array = numbers.filter(|numbers| *numbers <= ARRAY_MAX).and_then(|numbers| usize::try_from(numbers).ok());
        Self { radixes, array: vec![Sums::default(); array.unwrap_or_default()], map: HashMap::new() }
    }

    fn add(&mut self, digits: impl Iterator<Item = u64>, sums: &Sums) {
        let digits = digits.zip(&self.radixes);
        let number = digits.fold(0u128, |number, (digit, radix)| number * u128::from(*radix) + u128::from(digit));
        let place = usize::try_from(number).ok().and_then(|number| self.array.get_mut(number));
        match place {
            Some(group) => group.add(sums),
            None => self.map.entry(number).or_default().add(sums),
        }
    }

    fn groups(&self) -> impl Iterator<Item = (Vec<u64>, Sums)> {
        let counted = (0u128..).zip(&self.array).filter(|(_, sums)| sums.publications > 0);
        counted.chain(self.map.iter().map(|(number, sums)| (*number, sums))).map(|(number, sums)| {
            let mut number = number;
            let mut digits = vec![0; self.radixes.len()];
            for (digit, radix) in digits.iter_mut().zip(&self.radixes).rev() {
                *digit = u64::try_from(number % u128::from(*radix)).unwrap_or_default();
                number /= u128::from(*radix);
            }
            (digits, *sums)
        })
    }
}

struct Grouping {
    index: Index,
    dimensions: Vec<Dimension>,
    watch: Watch,
}

/// What a segment counted, and the values that its codes stand for.
struct Counted {
    counts: Counts,
    names: Vec<HashMap<u64, Option<String>>>,
}

impl Collector for Grouping {
    type Fruit = Groups;
    type Child = SegmentGroups;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentGroups> {
        let columns = self.index.inner.columns.of(segment);
        let values: tantivy::Result<Vec<Values>> =
            self.dimensions.iter().map(|dimension| Values::open(*dimension, segment, &columns)).collect();
        let values = values?;
        let number = |name| columns.i64(segment, name);
        Ok(SegmentGroups {
            counts: Counts::new(values.iter().map(Values::codes).collect()),
            values,
            revisions: number("revision_count")?,
            size: number("size")?,
            stored_size: number("stored_size")?,
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn collect_segment(
        &self,
        weight: &dyn Weight,
        ordinal: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<tantivy::Result<Counted>> {
        let mut groups = self.for_segment(ordinal, segment)?;
        scan(&mut groups, weight, segment, false, &self.watch)?;
        Ok(groups.harvest())
    }

    fn merge_fruits(&self, segments: Vec<tantivy::Result<Counted>>) -> tantivy::Result<Groups> {
        let segments = segments.into_iter().collect::<tantivy::Result<Vec<Counted>>>()?;
        // Segments number their values each in its own way.
        let mut places: Vec<HashMap<&Option<String>, u64>> = vec![HashMap::new(); self.dimensions.len()];
        for (dimension, places) in places.iter_mut().enumerate() {
            for value in segments.iter().flat_map(|segment| segment.names[dimension].values()) {
                let next = places.len() as u64;
                places.entry(value).or_insert(next);
            }
        }
        let mut all = Counts::new(places.iter().map(|places| places.len().max(1) as u64).collect());
        for segment in &segments {
            let own = segment.names.iter().zip(&places);
            let own: Vec<HashMap<u64, u64>> =
                own.map(|(names, places)| names.iter().map(|(code, value)| (*code, places[value])).collect()).collect();
            for (step, (codes, sums)) in segment.counts.groups().enumerate() {
                if step % STEPS == 0 {
                    self.watch.check_within()?;
                }
                all.add(codes.iter().zip(&own).map(|(code, own)| own[code]), &sums);
            }
        }
        let mut groups = Groups::default();
        for (step, (digits, sums)) in all.groups().enumerate() {
            if step % STEPS == 0 {
                self.watch.check_within()?;
            }
            groups.places.extend(digits.into_iter().map(|digit| u32::try_from(digit).unwrap_or(u32::MAX)));
            groups.sums.push(sums);
        }
        let values = places.iter().map(|places| {
            let mut values = vec![None; places.len()];
            for (value, at) in places {
                values[place(*at)].clone_from(value);
            }
            values
        });
        groups.values = values.collect();
        Ok(groups)
    }
}

/// Numbers of values are numbers of things in memory.
fn place(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

struct SegmentGroups {
    values: Vec<Values>,
    revisions: Column<i64>,
    size: Column<i64>,
    stored_size: Column<i64>,
    counts: Counts,
}

impl SegmentCollector for SegmentGroups {
    type Fruit = tantivy::Result<Counted>;

    fn collect(&mut self, doc: DocId, _: Score) {
        let number = |column: &Column<i64>| column.first(doc).and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
        let sums = Sums {
            publications: 1,
            revisions: number(&self.revisions),
            size: number(&self.size),
            stored_size: number(&self.stored_size),
        };
        self.counts.add(self.values.iter().map(|values| values.code(doc)), &sums);
    }

    fn harvest(self) -> Self::Fruit {
        let mut names = vec![HashMap::new(); self.values.len()];
        for (codes, _) in self.counts.groups() {
            for ((code, names), values) in codes.into_iter().zip(&mut names).zip(&self.values) {
                if let std::collections::hash_map::Entry::Vacant(free) = names.entry(code) {
                    free.insert(values.name(code)?);
                }
            }
        }
        Ok(Counted { counts: self.counts, names })
    }
}
