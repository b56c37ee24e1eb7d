//! Facets of a search: the values of each dimension, each with the number of publications that choosing it would find.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::cache::StateCache;
use super::filters::check_filter;
use super::search_text::SearchText;
use super::{Queries, QueryError};
use crate::domain::{Granularity, ProductId, PublicationStatus, fold};
use crate::engine::index::{Dimension, Filter, Groups, SearchIn};

/// Values of one facet in a response at most.
pub const FACET_VALUES_MAX: usize = 60;

/// The dimensions of the facets, in the order in which they are counted.
const DIMENSIONS: [Dimension; 6] = [
    Dimension::Process,
    Dimension::MacroProcess,
    Dimension::Product,
    Dimension::Granularity,
    Dimension::Extension,
    Dimension::Status,
];

/// A value of a facet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetValue {
    /// As a filter takes it; of a product its id.
    pub value: String,
    /// As people read it.
    pub text: String,
    /// Publications that have it and match the other conditions.
    pub publications: u64,
    pub is_chosen: bool,
}

/// The values of each facet, the most frequent first.
#[derive(Clone, Debug, Default)]
pub struct Facets {
    pub process: Vec<FacetValue>,
    pub macro_process: Vec<FacetValue>,
    pub product: Vec<FacetValue>,
    pub granularity: Vec<FacetValue>,
    pub extension: Vec<FacetValue>,
    pub status: Vec<FacetValue>,
}

/// What is chosen in each facet; nothing is every value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chosen {
    pub process: Vec<String>,
    pub macro_process: Vec<String>,
    pub product: Vec<ProductId>,
    pub granularity: Vec<Granularity>,
    pub extension: Vec<String>,
    pub status: Vec<PublicationStatus>,
}

impl Chosen {
    /// By dimension, as the index writes values, folded.
    fn values(&self) -> [Vec<String>; 6] {
        [
            self.process.iter().map(|text| fold(text)).collect(),
            self.macro_process.iter().map(|text| fold(text)).collect(),
            self.product.iter().map(|id| id.0.simple().to_string()).collect(),
            self.granularity.iter().map(|one| fold(one.as_str())).collect(),
            self.extension.iter().map(|text| fold(text)).collect(),
            self.status.iter().map(|one| fold(one.as_str())).collect(),
        ]
    }
}

type FacetKey = (Option<String>, Filter, Chosen);

/// Facets that were counted, for as long as nothing is committed: every visitor begins with the same ones, and to count them the
/// whole index is walked.
pub(super) struct FacetCache(Mutex<StateCache<FacetKey, Arc<Facets>>>);

/// Bytes of all cached facets at most.
const CACHE_BYTES_MAX: usize = 4 << 20;

impl Default for FacetCache {
    fn default() -> Self {
        Self(Mutex::new(StateCache::new(CACHE_BYTES_MAX)))
    }
}

impl Facets {
    fn weight(&self) -> usize {
        let all = [&self.process, &self.macro_process, &self.product, &self.granularity, &self.extension, &self.status];
        let values = all.into_iter().flatten();
        values.map(|one| size_of::<FacetValue>() + one.value.len() + one.text.len()).sum()
    }
}

impl Queries {
    /// Counts the facets of publications as they are now. `filter` has the conditions that are not facets. The index is walked once
    /// for all facets: each counts the publications that match what is chosen in the others.
    pub async fn facets(
        &self,
        search: Option<String>,
        filter: Filter,
        chosen: &Chosen,
    ) -> Result<Arc<Facets>, QueryError> {
        check_filter(&filter)?;
        let key = (search.clone(), filter.clone(), chosen.clone());
        let state = self.state().await;
        let cache = || self.facet_cache.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(facets) = state.as_ref().and_then(|state| cache().get(state, &key).cloned()) {
            return Ok(facets);
        }
        let SearchText { text, within, .. } = SearchText::new(search, SearchIn::Names, false)?;
        let groups =
            self.query_index(move |index, watch| index.stats(text, within, filter, &DIMENSIONS, watch)).await?;
        let mut counted = count(&groups, &chosen.values());
        self.name_facet(&mut counted[2]).await?;
        let [process, macro_process, product, granularity, extension, status] = counted;
        let facets = Arc::new(Facets { process, macro_process, product, granularity, extension, status });
        if let Some(state) = &state {
            let bytes = facets.weight() + format!("{key:?}").len();
            cache().insert(state, key, facets.clone(), bytes);
        }
        Ok(facets)
    }

    /// The index has the ids of products; people read names.
    async fn name_facet(&self, values: &mut [FacetValue]) -> Result<(), QueryError> {
        let ids: Vec<ProductId> = values.iter().filter_map(|one| one.value.parse().ok()).collect();
        let products = self.products_by_id(&ids).await?;
        for one in values {
            if let Some(product) = one.value.parse::<ProductId>().ok().and_then(|id| products.get(&id)) {
                one.value = product.id.to_string();
                one.text.clone_from(&product.name);
            }
        }
        Ok(())
    }
}

fn count(groups: &Groups, chosen: &[Vec<String>; 6]) -> [Vec<FacetValue>; 6] {
    // Whether each value of each dimension is chosen, or nothing is.
    let passes: Vec<Vec<(bool, bool)>> = groups
        .values
        .iter()
        .zip(chosen)
        .map(|(values, chosen)| {
            let is_chosen = |value: &Option<String>| value.as_ref().is_some_and(|text| chosen.contains(&fold(text)));
            values.iter().map(|value| (is_chosen(value), chosen.is_empty() || is_chosen(value))).collect()
        })
        .collect();
    let mut counts: [HashMap<usize, u64>; 6] = Default::default();
    for group in 0..groups.len() {
        let indices: Vec<usize> = groups.value_indices(group).collect();
        let failed: Vec<usize> = (0..indices.len()).filter(|at| !passes[*at][indices[*at]].1).collect();
        let publications = groups.sums(group).publications;
        for (at, index) in indices.iter().enumerate() {
            if failed.iter().all(|other| *other == at) {
                *counts[at].entry(*index).or_default() += publications;
            }
        }
    }
    let mut facets: [Vec<FacetValue>; 6] = Default::default();
    for (at, (counts, facet)) in counts.into_iter().zip(&mut facets).enumerate() {
        for (index, publications) in counts {
            if let Some(value) = &groups.values[at][index] {
                let is_chosen = passes[at][index].0;
                facet.push(FacetValue { value: value.clone(), text: value.clone(), publications, is_chosen });
            }
        }
        facet.sort_by(|a, b| (b.is_chosen, b.publications, &a.text).cmp(&(a.is_chosen, a.publications, &b.text)));
        facet.truncate(FACET_VALUES_MAX);
    }
    facets
}
