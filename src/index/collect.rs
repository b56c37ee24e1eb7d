//! Collects hits: one pass counts all matches and keeps the first ones after a cursor, in a total order.
use std::cmp::Ordering;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::query::Weight;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};
use uuid::Uuid;

use super::columns::Columns;
use super::scan::scan;
use super::{Deadline, Index, IndexError, Order, Query, Target};
use crate::domain::{ProductId, PublicationId, RevisionId};

/// The value by which a hit is sorted.
#[derive(Clone, Debug, PartialEq)]
pub enum SortValue {
    Number(i64),
    Text(String),
    Score(Relevance),
}

/// How well a hit matches; of two that match as well, the one with the later period comes first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relevance {
    pub score: f32,
    /// The hour in which its period starts, from 1970 on.
    pub hour: u32,
}

impl SortValue {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Score(a), Self::Score(b)) => relevance_rank(*a).cmp(&relevance_rank(*b)),
            // Cursors were checked against the order before.
            _ => Ordering::Equal,
        }
    }
}

/// A document that matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub value: SortValue,
    /// The id of the publication or product, depending on the target.
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
    pub fn tie_breaker(&self, target: Target) -> Uuid {
        match target {
            Target::Revisions => self.revision.unwrap_or(self.id),
            Target::Publications { .. } | Target::Products => self.id,
        }
    }
}

/// The result of a query.
#[derive(Clone, Debug)]
pub struct Hits {
    /// The number of all matches, not only those of the page.
    pub total: usize,
    /// In reading direction.
    pub hits: Vec<Hit>,
    /// Whether there are more hits in reading direction.
    pub more: bool,
}

impl Index {
    /// Runs a query. CPU-bound: call it on the [`Pool`](super::Pool), not on async threads.
    pub fn search(&self, query: &Query, deadline: &Deadline) -> Result<Hits, IndexError> {
        let searcher = self.inner.reader.searcher();
        let compiled = self.compile(query, &searcher, deadline)?;
        let collector = TopHits {
            index: self.clone(),
            deadline: deadline.clone(),
            target: query.target,
            order: query.order,
            scored: query.is_scored(),
            beyond: query.beyond.clone(),
            backwards: query.backwards,
            // One extra hit shows whether there are more.
            keep: query.offset.saturating_add(query.limit).saturating_add(1),
        };
        let (total, mut hits) = searcher.search(&*compiled, &collector).map_err(|e| deadline.explain(e))?;
        hits.drain(..query.offset.min(hits.len()));
        let more = hits.len() > query.limit;
        hits.truncate(query.limit);
        Ok(Hits { total, hits, more })
    }
}

impl Index {
    /// Changes whenever readers see a new state of the index.
    pub fn generation(&self) -> u64 {
        self.inner.reader.searcher().generation().generation_id()
    }

    /// The number of publications in the index.
    pub fn publications(&self, deadline: &Deadline) -> Result<usize, IndexError> {
        let query = Query {
            target: Target::Publications { as_of: None },
            search: None,
            search_in: super::SearchIn::Names,
            scored: false,
            filter: super::Filter::default(),
            order: Order::Name,
            beyond: None,
            backwards: false,
            offset: 0,
            limit: 0,
        };
        Ok(self.search(&query, deadline)?.total)
    }
}

struct TopHits {
    index: Index,
    deadline: Deadline,
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

    /// In reading direction.
    fn compare(&self, a: &Hit, b: &Hit) -> Ordering {
        let by_value = a.value.compare(&b.value);
        let by_value = if self.descending() { by_value.reverse() } else { by_value };
        let forwards = by_value.then_with(|| a.tie_breaker(self.target).cmp(&b.tie_breaker(self.target)));
        if self.backwards { forwards.reverse() } else { forwards }
    }
}

/// The sort column of a segment.
enum Values {
    Number(Column<i64>),
    Text(Option<StrColumn>),
    /// With the start of the period, in seconds.
    Score(Column<i64>),
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
            Order::Relevance => columns.i64(segment, "period_start").map(Self::Score),
        }
    }

    /// A number that sorts like the value within this segment.
    fn rank(&self, doc: DocId, score: Score) -> i64 {
        match self {
            // Documents without the value sort below all others.
            Self::Number(column) => column.first(doc).unwrap_or(i64::MIN),
            Self::Text(column) => {
                let ord = column.as_ref().and_then(|column| column.ords().first(doc)).unwrap_or_default();
                text_rank(ord, true)
            }
            Self::Score(starts) => {
                let hours = starts.first(doc).unwrap_or_default().div_euclid(3_600);
                relevance_rank(Relevance { score, hour: u32::try_from(hours.max(0)).unwrap_or(u32::MAX) })
            }
        }
    }

    /// The rank that a value from another segment has, or would have, in this one.
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
            (_, SortValue::Score(relevance)) => relevance_rank(*relevance),
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
            Self::Score(_) => SortValue::Score(relevance_of(rank)),
        })
    }
}

/// Twice the ordinal among the segment's texts, so that a text missing from the segment ranks between two others.
fn text_rank(ord: u64, found: bool) -> i64 {
    i64::try_from(ord).unwrap_or(i64::MAX / 4) * 2 + i64::from(found)
}

/// Scores are not negative, and the bits of such floats sort like the floats; the first one is 0.
fn relevance_rank(Relevance { score, hour }: Relevance) -> i64 {
    (i64::from(score.max(0.0).to_bits()) << 32) | i64::from(hour)
}

fn relevance_of(rank: i64) -> Relevance {
    let part = |bits: i64| u32::try_from(bits & i64::from(u32::MAX)).unwrap_or_default();
    Relevance { score: f32::from_bits(part(rank >> 32)), hour: part(rank) }
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
            hits.beyond = Some(hits.sort_key(hits.values.rank_of(value)?, tie.as_u128()));
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
        scan(&mut hits, weight, segment, self.scored, &self.deadline)?;
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

/// At least this many hits are collected before the best are selected.
const CUT_MIN: usize = 1_000;

/// A rank and its tie-breaker, flipped so that the smallest keys are the best.
type SortKey = (i64, u128);

struct SegmentHits {
    values: Values,
    id: Ids,
    revision: Ids,
    tie_is_revision: bool,
    flip_value: bool,
    flip_tie: bool,
    scored: bool,
    beyond: Option<SortKey>,
    keep: usize,
    total: usize,
    /// The smallest keys so far, and some that no longer belong to them.
    best: Vec<(SortKey, DocId, u32)>,
    /// The largest of the smallest keys, once there are `keep` of them.
    bound: Option<SortKey>,
}

impl SegmentHits {
    /// `!` reverses the order and cannot overflow, unlike `-`.
    fn sort_key(&self, rank: i64, tie: u128) -> SortKey {
        (if self.flip_value { !rank } else { rank }, if self.flip_tie { !tie } else { tie })
    }
}

impl SegmentHits {
    /// Drops all but the smallest keys. Done once per `keep` hits, which costs less than sorting in each hit.
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
        let key = self.sort_key(rank, tie);
        if self.beyond.is_some_and(|beyond| key <= beyond) || self.bound.is_some_and(|bound| key >= bound) {
            return;
        }
        self.best.push((key, doc, score.to_bits()));
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
