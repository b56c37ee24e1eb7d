//! Counts in groups, and completions of what a person types.
use std::collections::HashMap;

use super::filters::check_filter;
use super::search_text::SearchText;
use super::weight::weigh;
use super::{Queries, QueryError};
use crate::domain::{ProductId, PublicationStatus, TextMatch, fold, words};
use crate::engine::index::{Dimension, Filter, Groups, Order, Query, SearchIn, Sums, Target};
use crate::engine::record::RecordError;

/// Groups in a response at most.
pub const STATS_LIMIT_MAX: usize = 10_000;

/// Suggestions in a response at most.
const SUGGESTIONS_MAX: usize = 100;

/// Counts in groups.
#[derive(Clone, Debug)]
pub struct StatsRequest {
    pub search: Option<String>,
    pub search_in: SearchIn,
    pub filter: Filter,
    pub group_by: Vec<Dimension>,
    pub limit: i64,
}

/// A group: the fields that it is grouped by are present, the others absent.
#[derive(Clone, Debug, Default)]
pub struct StatsRow {
    pub product: Option<String>,
    pub process: Option<String>,
    pub macro_process: Option<String>,
    pub status: Option<String>,
    pub extension: Option<String>,
    pub granularity: Option<String>,
    pub bucket: Option<String>,
    pub sums: Sums,
}

/// What kind of name a suggestion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SuggestionKind {
    Product,
    Alias,
    Process,
    MacroProcess,
    File,
}

/// A completion of what a person typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    pub text: String,
    pub kind: SuggestionKind,
    pub product_id: Option<ProductId>,
    pub publications: u64,
}

impl Queries {
    /// Publications as they are now, counted in groups, in the order of what they are grouped by.
    pub async fn publication_stats(&self, request: StatsRequest) -> Result<Vec<StatsRow>, QueryError> {
        let limit = limit(request.limit, STATS_LIMIT_MAX)?;
        let of_time = |dimension: &&Dimension| matches!(dimension, Dimension::Period(_) | Dimension::Archived(_));
        if request.group_by.iter().filter(of_time).count() > 1 {
            return Err(QueryError::bad(
                "`groupBy` has two dimensions of time: a row has one `bucket`, so give one of them",
            ));
        }
        if request.group_by.iter().enumerate().any(|(i, dimension)| request.group_by[..i].contains(dimension)) {
            return Err(QueryError::bad("`groupBy` names a dimension twice"));
        }
        check_filter(&request.filter)?;
        let SearchText { text, within, .. } = SearchText::new(request.search, request.search_in, false)?;
        let dimensions = request.group_by.clone();
        let mut found =
            self.query_index(move |index, watch| index.stats(text, within, request.filter, &dimensions, watch)).await?;
        for (dimension, values) in request.group_by.iter().zip(&mut found.values) {
            if *dimension == Dimension::Product {
                self.name_products(values).await?;
            }
        }
        let rows = rows(&request.group_by, &found, limit);
        self.limits().count_bytes(weigh(&rows))?;
        Ok(rows)
    }

    /// How many publications of each product are lost, however old they are. Products without any are not listed.
    pub async fn lost_by_product(&self) -> Result<HashMap<ProductId, u64>, QueryError> {
        let filter = Filter { status: Some(vec![PublicationStatus::Lost]), ..Filter::default() };
        let groups = self
            .query_index(move |index, watch| index.stats(None, SearchIn::Names, filter, &[Dimension::Product], watch))
            .await?;
        let of_product = |group| {
            let value = groups.values[0][groups.value_indices(group).next()?].as_deref()?;
            Some((value.parse().ok()?, groups.sums(group).publications))
        };
        Ok((0..groups.len()).filter_map(of_product).collect())
    }

    /// The index groups by ids; people read names.
    async fn name_products(&self, values: &mut [Option<String>]) -> Result<(), QueryError> {
        let id = |value: &Option<String>| value.as_deref()?.parse::<ProductId>().ok();
        for some in values.chunks_mut(1000) {
            let ids: Vec<ProductId> = some.iter().filter_map(id).collect();
            let products = self.record.history().products_by_id(&ids).await?;
            for value in some {
                if let Some(product) = id(value).and_then(|id| products.get(&id)) {
                    *value = Some(product.name.clone());
                }
            }
        }
        Ok(())
    }

    /// Names of products, present and past, of processes and of files that begin with a text, or have a word that does.
    pub async fn suggest(&self, prefix: &str, limit: i64) -> Result<Vec<Suggestion>, QueryError> {
        let limit = self::limit(limit, SUGGESTIONS_MAX)?;
        SearchText::new(Some(prefix.to_owned()), SearchIn::Names, false)?;
        if words(prefix).is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let mut found = self.suggest_products(prefix, limit).await?;
        found.extend(self.suggest_processes(prefix).await?);
        found.extend(self.suggest_files(prefix, limit).await?);
        found.sort_by(|a, b| {
            (a.kind, std::cmp::Reverse(a.publications), &a.text).cmp(&(
                b.kind,
                std::cmp::Reverse(b.publications),
                &b.text,
            ))
        });
        found.dedup_by(|a, b| a.kind == b.kind && a.text == b.text && a.product_id == b.product_id);
        found.truncate(limit);
        Ok(found)
    }

    async fn suggest_products(&self, prefix: &str, limit: usize) -> Result<Vec<Suggestion>, QueryError> {
        let hits = self.hits(Target::Products, Some(prefix.to_owned()), Filter::default(), limit).await?;
        let ids: Vec<ProductId> = hits.hits.iter().map(crate::engine::index::Hit::product).collect();
        let products = self.record.history().products_by_id(&ids).await?;
        let mut found = Vec::new();
        for product in products.into_values() {
            let publications = u64::try_from(product.publication_count).map_err(|_| {
                RecordError::Corrupt(format!(
                    "the product {} has {} publications",
                    product.id, product.publication_count
                ))
            })?;
            let names = product.aliases.iter().map(|alias| &alias.name).chain([&product.name]);
            for name in names.filter(|name| begins(name, prefix)) {
                found.push(Suggestion {
                    text: name.clone(),
                    kind: if *name == product.name { SuggestionKind::Product } else { SuggestionKind::Alias },
                    product_id: Some(product.id),
                    publications,
                });
            }
        }
        Ok(found)
    }

    async fn suggest_processes(&self, prefix: &str) -> Result<Vec<Suggestion>, QueryError> {
        let mut found = Vec::new();
        for (dimension, kind) in
            [(Dimension::Process, SuggestionKind::Process), (Dimension::MacroProcess, SuggestionKind::MacroProcess)]
        {
            let all = self.query_index(move |index, watch| index.values(dimension, watch)).await?;
            let matching: Vec<String> = all.into_iter().filter(|text| begins(text, prefix)).collect();
            if matching.is_empty() {
                continue;
            }
            let wanted = Some(TextMatch { any_of: Some(matching), ..TextMatch::default() });
            let filter = match kind {
                SuggestionKind::Process => Filter { process: wanted, ..Filter::default() },
                _ => Filter { macro_process: wanted, ..Filter::default() },
            };
            let groups = self
                .query_index(move |index, watch| index.stats(None, SearchIn::Names, filter, &[dimension], watch))
                .await?;
            for row in rows(&[dimension], &groups, usize::MAX) {
                let Some(text) = row.process.or(row.macro_process).filter(|text| begins(text, prefix)) else {
                    continue;
                };
                found.push(Suggestion { text, kind, product_id: None, publications: row.sums.publications });
            }
        }
        Ok(found)
    }

    async fn suggest_files(&self, prefix: &str, limit: usize) -> Result<Vec<Suggestion>, QueryError> {
        let starts = TextMatch { starts_with: Some(prefix.to_owned()), ..TextMatch::default() };
        let filter = Filter { file_name: Some(starts), ..Filter::default() };
        let hits = self.hits(Target::Publications { as_of: None }, None, filter, limit * 4).await?;
        let revision_ids: Vec<_> = hits.hits.iter().filter_map(crate::engine::index::Hit::revision).collect();
        let mut found: Vec<Suggestion> = Vec::new();
        for revision in self.record.history().revisions_by_id(&revision_ids).await?.into_values() {
            match found.iter_mut().find(|one| one.text == revision.file_name) {
                Some(one) => one.publications += 1,
                None => found.push(Suggestion {
                    text: revision.file_name,
                    kind: SuggestionKind::File,
                    product_id: None,
                    publications: 1,
                }),
            }
        }
        Ok(found)
    }

    async fn hits(
        &self,
        target: Target,
        search: Option<String>,
        filter: Filter,
        limit: usize,
    ) -> Result<crate::engine::index::Hits, QueryError> {
        let order = if search.is_some() { Order::Relevance } else { Order::Archived { descending: true } };
        let query = Query {
            target,
            search,
            search_in: SearchIn::Names,
            scored: false,
            filter,
            order,
            beyond: None,
            backwards: false,
            offset: 0,
            limit,
        };
        self.query_index(move |index, watch| index.search(&query, watch)).await
    }
}

/// A limit within its bounds.
fn limit(limit: i64, max: usize) -> Result<usize, QueryError> {
    let checked = usize::try_from(limit).ok().filter(|limit| *limit <= max);
    checked.ok_or_else(|| QueryError::bad(format!("`limit` is {limit}: it must be from 0 to {max}")))
}

/// The first groups, in the order of what they are grouped by.
fn rows(group_by: &[Dimension], found: &Groups, limit: usize) -> Vec<StatsRow> {
    if found.is_empty() && group_by.is_empty() && limit > 0 {
        return vec![StatsRow::default()];
    }
    // Ranks are faster to compare than texts.
    let ranks: Vec<Vec<usize>> = found.values.iter().map(|values| ranks(values)).collect();
    let key = |group: usize| found.value_indices(group).zip(&ranks).map(|(index, ranks)| ranks[index]);
    let compare = |a: &usize, b: &usize| key(*a).cmp(key(*b));
    let mut order: Vec<usize> = (0..found.len()).collect();
    if limit < order.len() {
        order.select_nth_unstable_by(limit, compare);
        order.truncate(limit);
    }
    order.sort_by(compare);
    let row = |group: usize| {
        let mut row = StatsRow { sums: found.sums(group), ..StatsRow::default() };
        for ((dimension, index), values) in group_by.iter().zip(found.value_indices(group)).zip(&found.values) {
            row.slot(*dimension).clone_from(&values[index]);
        }
        row
    };
    order.into_iter().map(row).collect()
}

/// The rank of each value among all.
fn ranks(values: &[Option<String>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].cmp(&values[*b]));
    let mut ranks = vec![0; values.len()];
    for (rank, value) in order.into_iter().enumerate() {
        ranks[value] = rank;
    }
    ranks
}

impl StatsRow {
    fn slot(&mut self, dimension: Dimension) -> &mut Option<String> {
        match dimension {
            Dimension::Product => &mut self.product,
            Dimension::Process => &mut self.process,
            Dimension::MacroProcess => &mut self.macro_process,
            Dimension::Status => &mut self.status,
            Dimension::Extension => &mut self.extension,
            Dimension::Granularity => &mut self.granularity,
            Dimension::Period(_) | Dimension::Archived(_) => &mut self.bucket,
        }
    }
}

/// Whether a text, or one of its words, begins with the prefix.
fn begins(text: &str, prefix: &str) -> bool {
    let (text, prefix) = (fold(text), fold(prefix));
    let starts = text
        .char_indices()
        .filter(|(at, _)| *at == 0 || text[..*at].chars().next_back().is_some_and(|before| !before.is_alphanumeric()));
    starts.into_iter().any(|(at, _)| text[at..].starts_with(&prefix))
}
