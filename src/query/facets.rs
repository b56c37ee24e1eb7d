//! Facets of a search: the values of each dimension, each with the number of publications that choosing it would find.
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::cache::StateCache;
use super::filters::check_filter;
use super::search_text::SearchText;
use super::{Queries, QueryError};
use crate::domain::{Granularity, ProductId, PublicationStatus, fold};
use crate::engine::index::{Dimension, FacetCounts, FacetQuery, Filter, SearchIn};

/// Values of one facet in a response at most.
pub const FACET_VALUES_MAX: usize = 60;

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
    /// The dimensions in the order of [`Facets`], each with what is chosen in it as the index writes values, folded.
    fn by_dimension(&self) -> [(Dimension, HashSet<String>); 6] {
        let texts = |texts: &[String]| texts.iter().map(|text| fold(text)).collect();
        [
            (Dimension::Process, texts(&self.process)),
            (Dimension::MacroProcess, texts(&self.macro_process)),
            (Dimension::Product, self.product.iter().map(|id| id.0.simple().to_string()).collect()),
            (Dimension::Granularity, self.granularity.iter().map(|one| fold(one.as_str())).collect()),
            (Dimension::Extension, texts(&self.extension)),
            (Dimension::Status, self.status.iter().map(|one| fold(one.as_str())).collect()),
        ]
    }
}

/// Whose facets are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FacetRequest {
    pub search: Option<String>,
    pub search_in: SearchIn,
    /// The conditions that are not facets.
    pub filter: Filter,
    pub as_of: Option<Timestamp>,
    pub chosen: Chosen,
}

/// Facets that were counted, for as long as nothing is committed: every visitor begins with the same ones, and to count them the
/// whole index is walked.
pub(super) struct FacetCache(Mutex<StateCache<FacetRequest, Arc<Facets>>>);

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
    /// Counts the facets of publications. The index is walked once for all facets: each counts the publications that match what is chosen
    /// in the others.
    pub async fn facets(&self, request: FacetRequest) -> Result<Arc<Facets>, QueryError> {
        check_filter(&request.filter)?;
        // What is inside files is indexed on its own, so a state does not cover it.
        let state = if request.search_in == SearchIn::Names { self.state().await } else { None };
        let cache = || self.facet_cache.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(facets) = state.as_ref().and_then(|state| cache().get(state, &request).cloned()) {
            return Ok(facets);
        }
        let SearchText { text, within, .. } = SearchText::new(request.search.clone(), request.search_in, false)?;
        let chosen = request.chosen.by_dimension();
        let asked = FacetQuery {
            search: text,
            search_in: within,
            filter: request.filter.clone(),
            as_of: request.as_of,
            facets: chosen.to_vec(),
        };
        let counted = self.query_index(move |index, watch| index.facets(asked, watch)).await?;
        let mut facets: [Vec<FacetValue>; 6] = Default::default();
        for (facet, (counts, (_, chosen))) in facets.iter_mut().zip(counted.into_iter().zip(&chosen)) {
            *facet = values(counts, chosen);
        }
        let [process, macro_process, mut product, granularity, extension, status] = facets;
        self.name_facet(&mut product).await?;
        let facets = Arc::new(Facets { process, macro_process, product, granularity, extension, status });
        if let Some(state) = &state {
            let bytes = facets.weight() + format!("{request:?}").len();
            cache().insert(state, request, facets.clone(), bytes);
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

/// The values of a facet, those that are chosen first, then the most frequent. Filters compare folded texts, so spellings of the same folded
/// text are one value, under the most frequent spelling. What is blank cannot be chosen.
fn values(counts: FacetCounts, chosen: &HashSet<String>) -> Vec<FacetValue> {
    let mut by_folded: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for (text, publications) in counts.into_iter().filter(|(text, _)| !text.trim().is_empty()) {
        by_folded.entry(fold(&text)).or_default().push((publications, text));
    }
    let value = |(folded, mut spellings): (String, Vec<(u64, String)>)| {
        spellings.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let publications = spellings.iter().map(|(publications, _)| publications).sum();
        let text = spellings.swap_remove(0).1;
        FacetValue { value: text.clone(), text, publications, is_chosen: chosen.contains(&folded) }
    };
    let mut values: Vec<FacetValue> = by_folded.into_iter().map(value).collect();
    values.sort_by(|a, b| (b.is_chosen, b.publications, &a.text).cmp(&(a.is_chosen, a.publications, &b.text)));
    values.truncate(FACET_VALUES_MAX);
    values
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::values;

    #[test]
    fn spellings_of_one_value_are_counted_together() {
        let counts = [("Operacao", 1), ("Operação", 7), ("", 3), ("Carga", 2)].map(|(text, n)| (text.to_owned(), n));
        let found = values(counts.into_iter().collect(), &HashSet::from(["carga".to_owned()]));
        let found: Vec<_> = found.iter().map(|one| (one.text.as_str(), one.publications, one.is_chosen)).collect();
        assert_eq!(found, [("Carga", 2, true), ("Operação", 8, false)]);
    }
}
