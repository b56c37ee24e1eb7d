//! Collecting hits: one pass counts all that match and keeps the first so many beyond a cursor, in a total order.
use std::cmp::Ordering;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::query::Weight;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};
use uuid::Uuid;

use super::columns::Columns;
use super::scan::scan;
use super::{Index, IndexError, Order, Query, Target, Watch};
use crate::domain::{ProductId, PublicationId, RevisionId};

/// What a hit was put in order by.
#[derive(Clone, Debug, PartialEq)]
pub enum SortValue {
    Number(i64),
    Text(String),
    Score(f32),
}

impl SortValue {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Score(a), Self::Score(b)) => a.total_cmp(b),
            // Cursors are checked against their order before they come here.
            _ => Ordering::Equal,
        }
    }
}

/// A document that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub value: SortValue,
    /// Of the publication or of the product, whichever was asked for.
    id: Uuid,
    revision: Option<Uuid>,
    pub score: Option<f32>,
}

impl Hit {
    pub fn publication(&self) -> PublicationId {
        PublicationId(self.id)
    }

    pub fn product(&self) -> ProductId {
        ProductId(self.id)
    }

    pub fn revision(&self) -> Option<RevisionId> {
        self.revision.map(RevisionId)
    }

    /// The id that breaks ties.
    pub fn tie(&self, target: Target) -> Uuid {
        match target {
            Target::Revisions => self.revision.unwrap_or(self.id),
            Target::Publications { .. } | Target::Products => self.id,
        }
    }
}

/// What a question found.
#[derive(Clone, Debug)]
pub struct Hits {
    /// All that match, whatever part of them was asked for.
    pub total: usize,
    /// In the direction read.
    pub hits: Vec<Hit>,
    /// Whether there is more in the direction read.
    pub more: bool,
}

impl Index {
    /// Answers a question. Takes the CPU for a while: for the [`Pool`](super::Pool), not for async threads.
    pub fn search(&self, query: &Query, watch: &Watch) -> Result<Hits, IndexError> {
        let searcher = self.inner.reader.searcher();
        let compiled = self.compile(query, &searcher, watch)?;
        let collector = TopHits {
            index: self.clone(),
            watch: watch.clone(),
            target: query.target,
            order: query.order,
            scored: query.is_scored(),
            beyond: query.beyond.clone(),
            backwards: query.backwards,
            // One more tells whether there is more.
            keep: query.offset.saturating_add(query.limit).saturating_add(1),
        };
        let (total, mut hits) = searcher.search(&*compiled, &collector).map_err(|e| watch.explain(e))?;
        hits.drain(..query.offset.min(hits.len()));
        let more = hits.len() > query.limit;
        hits.truncate(query.limit);
        Ok(Hits { total, hits, more })
    }
}

impl Index {
    /// Another number whenever readers see another state of the index.
    pub fn generation(&self) -> u64 {
        self.inner.reader.searcher().generation().generation_id()
    }

    /// How many publications the index holds.
    pub fn publications(&self, watch: &Watch) -> Result<usize, IndexError> {
        let query = Query {
            target: Target::Publications { as_of: None },
            search: None,
            scored: false,
            filter: super::Filter::default(),
            order: Order::Name,
            beyond: None,
            backwards: false,
            offset: 0,
            limit: 0,
        };
        Ok(self.search(&query, watch)?.total)
    }
}

struct TopHits {
    index: Index,
    watch: Watch,
    target: Target,
    order: Order,
    scored: bool,
    beyond: Option<(SortValue, Uuid)>,
    backwards: bool,
    keep: usize,
}

impl TopHits {
    fn descending(&self) -> bool {
        match self.order {
            Order::Period { descending }
            | Order::PeriodEnd { descending }
            | Order::Archived { descending }
            | Order::Received { descending }
            | Order::Size { descending } => descending,
            Order::Name => false,
            Order::Relevance => true,
        }
    }

    /// In the direction read.
    fn compare(&self, a: &Hit, b: &Hit) -> Ordering {
        let by_value = a.value.compare(&b.value);
        let by_value = if self.descending() { by_value.reverse() } else { by_value };
        let forwards = by_value.then_with(|| a.tie(self.target).cmp(&b.tie(self.target)));
        if self.backwards { forwards.reverse() } else { forwards }
    }
}

/// Where a segment keeps what hits are put in order by.
enum Values {
    Number(Column<i64>),
    Text(Option<StrColumn>),
    Score,
}

impl Values {
    fn open(order: Order, segment: &SegmentReader, columns: &Columns) -> tantivy::Result<Self> {
        let number = |name| columns.i64(segment, name).map(Self::Number);
        match order {
            Order::Period { .. } => number("period_start"),
            Order::PeriodEnd { .. } => number("period_end"),
            Order::Archived { .. } => number("archived_at"),
            Order::Received { .. } => number("received_at"),
            Order::Size { .. } => number("size"),
            Order::Name => Ok(Self::Text(segment.fast_fields().str("name_sort")?)),
            Order::Relevance => Ok(Self::Score),
        }
    }

    /// A number that sorts as the value does, within this segment.
    fn rank(&self, doc: DocId, score: Score) -> i64 {
        match self {
            // What has no such value stands below all that have.
            Self::Number(column) => column.first(doc).unwrap_or(i64::MIN),
            Self::Text(column) => {
                let ord = column.as_ref().and_then(|column| column.ords().first(doc)).unwrap_or_default();
                text_rank(ord, true)
            }
            Self::Score => score_rank(score),
        }
    }

    /// The rank that a value from elsewhere has, or would have, in this segment.
    fn rank_of(&self, value: &SortValue) -> tantivy::Result<i64> {
        Ok(match (self, value) {
            (Self::Text(Some(column)), SortValue::Text(text)) => {
                let (mut low, mut high) = (0, column.num_terms() as u64);
                let mut term = String::new();
                while low < high {
                    let middle = low + (high - low) / 2;
                    term.clear();
                    column.ord_to_str(middle, &mut term)?;
                    if term.as_str() < text.as_str() { low = middle + 1 } else { high = middle }
                }
                term.clear();
                let found = column.ord_to_str(low, &mut term)? && term == *text;
                text_rank(low, found)
            }
            (_, SortValue::Number(number)) => *number,
            (_, SortValue::Score(score)) => score_rank(*score),
            (_, SortValue::Text(_)) => i64::MIN,
        })
    }

    fn value(&self, rank: i64) -> tantivy::Result<SortValue> {
        Ok(match self {
            Self::Number(_) => SortValue::Number(rank),
            Self::Text(None) => SortValue::Text(String::new()),
            Self::Text(Some(column)) => {
                let mut text = String::new();
                column.ord_to_str((rank / 2) as u64, &mut text)?;
                SortValue::Text(text)
            }
            Self::Score => SortValue::Score(score_of(rank)),
        })
    }
}

/// Twice the place among the segment's texts; a text that it lacks stands between two.
fn text_rank(ord: u64, found: bool) -> i64 {
    i64::try_from(ord).unwrap_or(i64::MAX / 4) * 2 + i64::from(found)
}

/// Scores are not negative, and the bits of such floats sort as they do.
fn score_rank(score: Score) -> i64 {
    i64::from(score.max(0.0).to_bits())
}

fn score_of(rank: i64) -> f32 {
    f32::from_bits(u32::try_from(rank).unwrap_or_default())
}

impl Collector for TopHits {
    type Fruit = (usize, Vec<Hit>);
    type Child = SegmentHits;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentHits> {
        let columns = self.index.inner.columns.of(segment);
        let values = Values::open(self.order, segment, &columns)?;
        let number = |name| columns.u64(segment, name);
        let id = Ids { high: number("id_high")?, low: number("id_low")? };
        let revision = Ids { high: number("revision_high")?, low: number("revision_low")? };
        let mut hits = SegmentHits {
            values,
            id,
            revision,
            tie_is_revision: self.target == Target::Revisions,
            flip_value: self.descending() != self.backwards,
            flip_tie: self.backwards,
            scored: self.scored,
            beyond: None,
            keep: self.keep,
            total: 0,
            best: Vec::new(),
            bound: None,
        };
        if let Some((value, tie)) = &self.beyond {
            hits.beyond = Some(hits.place(hits.values.rank_of(value)?, tie.as_u128()));
        }
        Ok(hits)
    }

    fn requires_scoring(&self) -> bool {
        self.scored
    }

    fn collect_segment(
        &self,
        weight: &dyn Weight,
        ordinal: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<tantivy::Result<(usize, Vec<Hit>)>> {
        let mut hits = self.for_segment(ordinal, segment)?;
        scan(&mut hits, weight, segment, self.scored, &self.watch)?;
        Ok(hits.harvest())
    }

    fn merge_fruits(&self, segments: Vec<tantivy::Result<(usize, Vec<Hit>)>>) -> tantivy::Result<Self::Fruit> {
        let mut total = 0;
        let mut all = Vec::new();
        for segment in segments {
            let (count, mut hits) = segment?;
            total += count;
            all.append(&mut hits);
        }
        if all.len() > self.keep {
            all.select_nth_unstable_by(self.keep, |a, b| self.compare(a, b));
            all.truncate(self.keep);
        }
        all.sort_unstable_by(|a, b| self.compare(a, b));
        Ok((total, all))
    }
}

struct Ids {
    high: Column<u64>,
    low: Column<u64>,
}

impl Ids {
    fn of(&self, doc: DocId) -> u128 {
        let part = |column: &Column<u64>| column.first(doc).unwrap_or_default();
        (u128::from(part(&self.high)) << 64) | u128::from(part(&self.low))
    }
}

/// Hits that are gathered at least before the best of them are picked.
const CUT_MIN: usize = 1_000;

/// A value and its tie-breaker, turned so that the smallest are wanted.
type Place = (i64, u128);

struct SegmentHits {
    values: Values,
    id: Ids,
    revision: Ids,
    tie_is_revision: bool,
    flip_value: bool,
    flip_tie: bool,
    scored: bool,
    beyond: Option<Place>,
    keep: usize,
    total: usize,
    /// The smallest so far, and some that are not among them any more.
    best: Vec<(Place, DocId, u32)>,
    /// Of the smallest so far the greatest, once there are as many as are kept.
    bound: Option<Place>,
}

impl SegmentHits {
    /// `!` turns the order round without the overflow that `-` has.
    fn place(&self, rank: i64, tie: u128) -> Place {
        (if self.flip_value { !rank } else { rank }, if self.flip_tie { !tie } else { tie })
    }
}

impl SegmentHits {
    /// Keeps only the smallest: once in as many hits as are kept, which costs less than to find each its place.
    fn cut(&mut self) {
        if self.keep > 0 && self.best.len() > self.keep {
            let (_, greatest, _) = self.best.select_nth_unstable(self.keep - 1);
            self.bound = Some(greatest.0);
        }
        self.best.truncate(self.keep);
    }
}

impl SegmentCollector for SegmentHits {
    type Fruit = tantivy::Result<(usize, Vec<Hit>)>;

    fn collect(&mut self, doc: DocId, score: Score) {
        self.total += 1;
        let rank = self.values.rank(doc, score);
        let value = if self.flip_value { !rank } else { rank };
        if self.bound.is_some_and(|bound| value > bound.0) {
            return;
        }
        let tie = if self.tie_is_revision { self.revision.of(doc) } else { self.id.of(doc) };
        let place = self.place(rank, tie);
        if self.beyond.is_some_and(|beyond| place <= beyond) || self.bound.is_some_and(|bound| place >= bound) {
            return;
        }
        self.best.push((place, doc, score.to_bits()));
        if self.best.len() >= self.keep.saturating_mul(2).max(CUT_MIN) {
            self.cut();
        }
    }

    fn harvest(mut self) -> Self::Fruit {
        self.cut();
        let mut hits = Vec::with_capacity(self.best.len());
        for ((value, _), doc, score) in &self.best {
            let rank = if self.flip_value { !*value } else { *value };
            let revision = self.revision.of(*doc);
            hits.push(Hit {
                value: self.values.value(rank)?,
                id: Uuid::from_u128(self.id.of(*doc)),
                revision: (revision != 0).then(|| Uuid::from_u128(revision)),
                score: self.scored.then(|| f32::from_bits(*score)),
            });
        }
        Ok((self.total, hits))
    }
}
