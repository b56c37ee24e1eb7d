//! Counts for facets, in one pass over all matches: of each value, the publications that have it and pass what is chosen in the other
//! dimensions.
//!
//! Only sums of single values are kept, not those of their combinations (as in `stats`), so a match costs an addition for each dimension.
use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::query::Weight;
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, Score, SegmentOrdinal, SegmentReader, TantivyError};

use super::deadline::{Deadline, STEPS};
use super::dimension::text_column;
use super::scan::scan;
use super::{Dimension, Filter, Index, IndexError, Order, Query, SearchIn, Target};
use crate::domain::fold;

/// Which publications to count, and what is chosen of them.
#[derive(Clone, Debug)]
pub struct FacetQuery {
    pub search: Option<String>,
    pub search_in: SearchIn,
    /// What is not chosen in a facet.
    pub filter: Filter,
    pub as_of: Option<Timestamp>,
    /// Dimensions with texts for values, and the values that are chosen, folded; none is every value.
    pub facets: Vec<(Dimension, HashSet<String>)>,
}

/// The values of a facet, each with its publications.
pub type FacetCounts = BTreeMap<String, u64>;

impl Index {
    /// Counts publications by the values of each facet. CPU-bound: call it on the [`Pool`](super::Pool), not on async threads.
    pub fn facets(&self, asked: FacetQuery, deadline: &Deadline) -> Result<Vec<FacetCounts>, IndexError> {
        let query = Query {
            target: Target::Publications { as_of: asked.as_of },
            search: asked.search,
            search_in: asked.search_in,
            scored: false,
            filter: asked.filter,
            order: Order::Name,
            beyond: None,
            backwards: false,
            offset: 0,
            limit: 0,
        };
        let searcher = self.inner.reader.searcher();
        let compiled = self.compile(&query, &searcher, deadline)?;
        let counting = Counting { facets: asked.facets, deadline: deadline.clone() };
        searcher.search(&*compiled, &counting).map_err(|e| deadline.explain(e))
    }
}

struct Counting {
    facets: Vec<(Dimension, HashSet<String>)>,
    deadline: Deadline,
}

/// A facet in a segment. A value's code is one more than its position among the segment's texts; 0 means no value.
struct SegmentFacet {
    column: Option<StrColumn>,
    /// Publications by code.
    counts: Vec<u64>,
    /// Whether a code is chosen; none if all are.
    chosen: Option<Vec<bool>>,
    /// The codes of a block of documents.
    codes: [usize; COLLECT_BLOCK_BUFFER_LEN],
}

impl SegmentFacet {
    fn open(
        dimension: Dimension,
        chosen: &HashSet<String>,
        segment: &SegmentReader,
        deadline: &Deadline,
    ) -> tantivy::Result<Self> {
        let name = text_column(dimension)
            .ok_or_else(|| TantivyError::InvalidArgument(format!("{dimension:?} has no texts for values")))?;
        let column = segment.fast_fields().str(name)?;
        let texts = column.as_ref().map_or(0, |column| column.num_terms());
        let chosen = match (chosen.is_empty(), &column) {
            (true, _) => None,
            (false, None) => Some(vec![false]),
            (false, Some(column)) => {
                let mut is_chosen = Vec::with_capacity(texts + 1);
                is_chosen.push(false);
                let mut stream = column.dictionary().stream()?;
                while stream.advance() {
                    if is_chosen.len() % STEPS == 0 {
                        deadline.check_within()?;
                    }
                    is_chosen.push(std::str::from_utf8(stream.key()).is_ok_and(|text| chosen.contains(&fold(text))));
                }
                Some(is_chosen)
            }
        };
        Ok(Self { column, counts: vec![0; texts + 1], chosen, codes: [0; COLLECT_BLOCK_BUFFER_LEN] })
    }

    /// Reads the codes of at most a block of documents.
    fn read(&mut self, docs: &[DocId]) {
        let Some(column) = &self.column else { return };
        // A document without a value leaves what was there.
        let mut ords = [None; COLLECT_BLOCK_BUFFER_LEN];
        column.ords().first_vals(docs, &mut ords[..docs.len()]);
        for (code, ord) in self.codes.iter_mut().zip(&ords[..docs.len()]) {
            *code = ord.and_then(|ord| usize::try_from(ord).ok()).map_or(0, |ord| ord + 1);
        }
    }

    fn fails(&self, at: usize) -> bool {
        self.chosen.as_ref().is_some_and(|chosen| !chosen.get(self.codes[at]).copied().unwrap_or_default())
    }

    fn count(&mut self, at: usize) {
        if let Some(count) = self.counts.get_mut(self.codes[at]) {
            *count += 1;
        }
    }

    fn harvest(self) -> tantivy::Result<FacetCounts> {
        let mut named = FacetCounts::new();
        let Some(column) = &self.column else { return Ok(named) };
        for (ord, count) in (0..).zip(self.counts.into_iter().skip(1)).filter(|(_, count)| *count > 0) {
            let mut text = String::new();
            column.ord_to_str(ord, &mut text)?;
            named.insert(text, count);
        }
        Ok(named)
    }
}

struct SegmentFacets(Vec<SegmentFacet>);

impl SegmentCollector for SegmentFacets {
    type Fruit = tantivy::Result<Vec<FacetCounts>>;

    fn collect(&mut self, doc: DocId, _: Score) {
        self.collect_block(&[doc]);
    }

    fn collect_block(&mut self, docs: &[DocId]) {
        for docs in docs.chunks(COLLECT_BLOCK_BUFFER_LEN) {
            self.0.iter_mut().for_each(|facet| facet.read(docs));
            if self.0.iter().all(|facet| facet.chosen.is_none()) {
                for facet in &mut self.0 {
                    (0..docs.len()).for_each(|at| facet.count(at));
                }
                continue;
            }
            for at in 0..docs.len() {
                // A publication counts in a facet if it passes all others.
                let mut failing = (0..self.0.len()).filter(|facet| self.0[*facet].fails(at));
                match (failing.next(), failing.next()) {
                    (None, _) => self.0.iter_mut().for_each(|facet| facet.count(at)),
                    (Some(only), None) => self.0[only].count(at),
                    (Some(_), Some(_)) => {}
                }
            }
        }
    }

    fn harvest(self) -> Self::Fruit {
        self.0.into_iter().map(SegmentFacet::harvest).collect()
    }
}

impl Collector for Counting {
    type Fruit = Vec<FacetCounts>;
    type Child = SegmentFacets;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentFacets> {
        let facets = self.facets.iter();
        let open = facets.map(|(dimension, chosen)| SegmentFacet::open(*dimension, chosen, segment, &self.deadline));
        Ok(SegmentFacets(open.collect::<tantivy::Result<_>>()?))
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn collect_segment(
        &self,
        weight: &dyn Weight,
        ordinal: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<tantivy::Result<Vec<FacetCounts>>> {
        let mut facets = self.for_segment(ordinal, segment)?;
        scan(&mut facets, weight, segment, false, &self.deadline)?;
        Ok(facets.harvest())
    }

    fn merge_fruits(&self, segments: Vec<tantivy::Result<Vec<FacetCounts>>>) -> tantivy::Result<Vec<FacetCounts>> {
        let mut all = vec![FacetCounts::new(); self.facets.len()];
        for segment in segments {
            for (all, counts) in all.iter_mut().zip(segment?) {
                for (text, count) in counts {
                    *all.entry(text).or_default() += count;
                }
            }
        }
        Ok(all)
    }
}
