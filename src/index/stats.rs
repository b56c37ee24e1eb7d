//! Counts per group, in one pass over all matches.
use std::collections::{BTreeSet, HashMap};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::query::Weight;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use super::deadline::{Deadline, STEPS};
use super::dimension::Values;
use super::scan::scan;
use super::{Dimension, Filter, Index, IndexError, Order, Query, SearchIn, Target};

/// The totals of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub publications: u64,
    pub revisions: u64,
    /// Of the current revisions.
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

/// The groups of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// The values of each dimension; `None` stands for documents without a value.
    pub values: Vec<Vec<Option<String>>>,
    /// For each group, and in it for each dimension, the index of its value in `values`.
    value_indices: Vec<u32>,
    /// The totals of each group.
    sums: Vec<Sums>,
}

impl Groups {
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// The index of a group's value in each dimension.
    pub fn value_indices(&self, group: usize) -> impl Iterator<Item = usize> + '_ {
        let dimensions = self.values.len();
        self.value_indices[group * dimensions..(group + 1) * dimensions].iter().map(|index| *index as usize)
    }

    pub fn sums(&self, group: usize) -> Sums {
        self.sums[group]
    }
}

/// Up to this many possible groups are counted in an array, more in a map.
const ARRAY_MAX: u128 = 1 << 17;

impl Index {
    /// Groups the matching publications as they are now. CPU-bound: call it on the [`Pool`](super::Pool), not on async
    /// threads.
    pub fn stats(
        &self,
        search: Option<String>,
        search_in: SearchIn,
        filter: Filter,
        dimensions: &[Dimension],
        deadline: &Deadline,
    ) -> Result<Groups, IndexError> {
        let query = Query {
            target: Target::Publications { as_of: None },
            search,
            search_in,
            scored: false,
            filter,
            order: Order::Name,
            beyond: None,
            backwards: false,
            offset: 0,
            limit: 0,
        };
        let searcher = self.inner.reader.searcher();
        let compiled = self.compile(&query, &searcher, deadline)?;
        let grouping = Grouping { index: self.clone(), dimensions: dimensions.to_vec(), deadline: deadline.clone() };
        searcher.search(&*compiled, &grouping).map_err(|e| deadline.explain(e))
    }
}

impl Index {
    /// All texts of a dimension, possibly including those of deleted documents.
    pub fn values(&self, dimension: Dimension, deadline: &Deadline) -> Result<BTreeSet<String>, IndexError> {
        let mut all = BTreeSet::new();
        for segment in self.inner.reader.searcher().segment_readers() {
            let values = Values::open(dimension, segment, &self.inner.columns.of(segment))?;
            for (step, code) in (1..values.codes()).enumerate() {
                if step % STEPS == 0 {
                    deadline.check()?;
                }
                all.extend(values.name(code)?);
            }
        }
        Ok(all)
    }
}

/// Totals by group number. The number has one digit per dimension: its code.
struct Counts {
    /// One more than the largest digit of each dimension.
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
        let slot = usize::try_from(number).ok().and_then(|number| self.array.get_mut(number));
        match slot {
            Some(group) => group.add(sums),
            None => self.map.entry(number).or_default().add(sums),
        }
    }

    fn groups(&self) -> impl Iterator<Item = (Vec<u64>, Sums)> {
        let in_array = (0u128..).zip(&self.array).filter(|(_, sums)| sums.publications > 0);
        in_array.chain(self.map.iter().map(|(number, sums)| (*number, sums))).map(|(number, sums)| {
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
    deadline: Deadline,
}

/// The counts of a segment, and the values of its codes.
struct SegmentCounts {
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
    ) -> tantivy::Result<tantivy::Result<SegmentCounts>> {
        let mut groups = self.for_segment(ordinal, segment)?;
        scan(&mut groups, weight, segment, false, &self.deadline)?;
        Ok(groups.harvest())
    }

    fn merge_fruits(&self, segments: Vec<tantivy::Result<SegmentCounts>>) -> tantivy::Result<Groups> {
        let segments = segments.into_iter().collect::<tantivy::Result<Vec<SegmentCounts>>>()?;
        // Each segment numbers its values in its own way.
        let mut indices: Vec<HashMap<&Option<String>, u64>> = vec![HashMap::new(); self.dimensions.len()];
        for (dimension, indices) in indices.iter_mut().enumerate() {
            for value in segments.iter().flat_map(|segment| segment.names[dimension].values()) {
                let next = indices.len() as u64;
                indices.entry(value).or_insert(next);
            }
        }
        let mut all = Counts::new(indices.iter().map(|indices| indices.len().max(1) as u64).collect());
        for segment in &segments {
            let own = segment.names.iter().zip(&indices);
            let own: Vec<HashMap<u64, u64>> = own
                .map(|(names, indices)| names.iter().map(|(code, value)| (*code, indices[value])).collect())
                .collect();
            for (step, (codes, sums)) in segment.counts.groups().enumerate() {
                if step % STEPS == 0 {
                    self.deadline.check_within()?;
                }
                all.add(codes.iter().zip(&own).map(|(code, own)| own[code]), &sums);
            }
        }
        let mut groups = Groups::default();
        for (step, (digits, sums)) in all.groups().enumerate() {
            if step % STEPS == 0 {
                self.deadline.check_within()?;
            }
            groups.value_indices.extend(digits.into_iter().map(|digit| u32::try_from(digit).unwrap_or(u32::MAX)));
            groups.sums.push(sums);
        }
        let values = indices.iter().map(|indices| {
            let mut values = vec![None; indices.len()];
            for (value, index) in indices {
                values[to_index(*index)].clone_from(value);
            }
            values
        });
        groups.values = values.collect();
        Ok(groups)
    }
}

/// Cannot overflow: it counts values in memory.
fn to_index(n: u64) -> usize {
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
    type Fruit = tantivy::Result<SegmentCounts>;

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
                if let std::collections::hash_map::Entry::Vacant(vacant) = names.entry(code) {
                    vacant.insert(values.name(code)?);
                }
            }
        }
        Ok(SegmentCounts { counts: self.counts, names })
    }
}
