//! Coverage of many products: a month at a glance.
use std::sync::Arc;

use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt, future};
use jiff::civil::Date;

use super::judge::Judge;
use super::{CoverageState, JudgedPeriod, check_span};
use crate::domain::{Granularity, ProductId};
use crate::engine::index::{Filter, Order};
use crate::engine::record::Product;
use crate::query::filters::check_filter;
use crate::query::{FIRST_MAX, ListPage, Paging, ProductRequest, Queries, QueryError};

/// Longer spans are refused.
const DAYS_MAX: i32 = 366;

/// Periods of one step: as many products are read at once as have no more in the span.
const PERIODS_AT_ONCE: usize = 25_000;

/// Products that are read at once.
const PRODUCTS_AT_ONCE: usize = 500;

/// About the bytes that a period of a response takes.
const PERIOD_BYTES: usize = 1_000;

/// Which products and which periods.
#[derive(Clone, Debug)]
pub struct CoverageRequest {
    /// Of products.
    pub filter: Filter,
    /// Both days are included: the periods that start within.
    pub from: Date,
    pub to: Date,
    /// Only periods in one of these states, or only those that are noted; the counts include all.
    pub states: Option<CoverageStates>,
}

/// A choice of periods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageStates {
    pub states: Vec<CoverageState>,
    /// Also those whose file arrived late.
    pub arrived_late: bool,
}

impl CoverageStates {
    /// What someone should look at.
    pub fn noted() -> Self {
        Self { states: vec![CoverageState::Late, CoverageState::Missing, CoverageState::Lost], arrived_late: true }
    }

    fn includes(&self, one: &JudgedPeriod) -> bool {
        self.states.contains(&one.state) || (self.arrived_late && one.arrived_late_by.is_some())
    }
}

/// The coverage of one product among others.
#[derive(Clone, Debug)]
pub struct ProductCoverage {
    pub product: Product,
    pub granularity: Granularity,
    counts: Vec<(CoverageState, usize)>,
    /// Periods whose file arrived late.
    pub arrived_late: usize,
    /// In the order of time; those that were asked for.
    pub periods: Vec<JudgedPeriod>,
}

impl ProductCoverage {
    pub fn count(&self, state: CoverageState) -> usize {
        self.counts.iter().find(|(one, _)| *one == state).map_or(0, |(_, count)| *count)
    }

    /// All periods: those that are expected, and others that exist.
    pub fn expected(&self) -> usize {
        self.counts.iter().map(|(_, count)| count).sum()
    }
}

/// A period with its product, as exports have it.
#[derive(Clone, Debug)]
pub struct CoverageRow {
    pub product: Arc<Product>,
    pub granularity: Granularity,
    pub judged: JudgedPeriod,
}

impl CoverageRequest {
    fn check(&self) -> Result<usize, QueryError> {
        let days = check_span(self.from, self.to, DAYS_MAX)?;
        Ok(usize::try_from(days).unwrap_or(1))
    }
}

impl Queries {
    /// A page of products, by name, each with its coverage.
    pub async fn coverage_overview(
        &self,
        request: &CoverageRequest,
        paging: Paging,
    ) -> Result<ListPage<ProductCoverage>, QueryError> {
        request.check()?;
        let page = ProductRequest { search: None, filter: request.filter.clone(), order: Order::Name, paging };
        let products = self.products(page).await?;
        self.with_coverage(products, request).await
    }

    /// The same of some products alone, however many these are; those that the filter names do not count.
    pub async fn coverage_among(
        &self,
        products: impl IntoIterator<Item = ProductId>,
        request: &CoverageRequest,
        paging: Paging,
    ) -> Result<ListPage<ProductCoverage>, QueryError> {
        request.check()?;
        let page = ProductRequest { search: None, filter: request.filter.clone(), order: Order::Name, paging };
        let products = self.products_among(products.into_iter().map(|id| id.0).collect(), page).await?;
        self.with_coverage(products, request).await
    }

    async fn with_coverage(
        &self,
        page: ListPage<Product>,
        request: &CoverageRequest,
    ) -> Result<ListPage<ProductCoverage>, QueryError> {
        let days = request.check()?;
        let ListPage { total, rows, has_next, has_previous } = page;
        let (cursors, products): (Vec<String>, Vec<Product>) = rows.into_iter().unzip();
        let mut covered = Vec::with_capacity(products.len());
        for some in products.chunks((PERIODS_AT_ONCE / days).clamp(1, PRODUCTS_AT_ONCE)) {
            covered.extend(self.covered(some, request).await?);
        }
        Ok(ListPage { total, rows: cursors.into_iter().zip(covered).collect(), has_next, has_previous })
    }

    async fn covered(
        &self,
        products: &[Product],
        request: &CoverageRequest,
    ) -> Result<Vec<ProductCoverage>, QueryError> {
        let judge = Judge::of(&self.record, products, request.from, request.to).await?;
        let now = self.app.clock.now();
        let covered = products.iter().map(|product| {
            let missing = || QueryError::NotFound { what: "product", id: product.id.to_string() };
            let (cadence, mut periods) = judge.periods_of(product.id, now).ok_or_else(missing)?;
            let count = |state| periods.iter().filter(|one| one.state == state).count();
            let counts = CoverageState::ALL.iter().map(|state| (*state, count(*state))).collect();
            let arrived_late = periods.iter().filter(|one| one.arrived_late_by.is_some()).count();
            if let Some(states) = &request.states {
                periods.retain(|one| states.includes(one));
            }
            Ok(ProductCoverage {
                product: product.clone(),
                granularity: cadence.granularity,
                counts,
                arrived_late,
                periods,
            })
        });
        let covered: Vec<ProductCoverage> = covered.collect::<Result<_, QueryError>>()?;
        self.limits().count_bytes(covered.iter().map(|one| one.periods.len() * PERIOD_BYTES).sum())?;
        Ok(covered)
    }

    /// The periods of all products of a request, a step at a time.
    pub fn all_coverage(
        &self,
        request: CoverageRequest,
    ) -> Result<impl Stream<Item = Result<Vec<CoverageRow>, QueryError>> + Send + use<>, QueryError> {
        let days = request.check()?;
        check_filter(&request.filter)?;
        let first = i64::try_from((PERIODS_AT_ONCE / days).clamp(1, PRODUCTS_AT_ONCE)).unwrap_or(FIRST_MAX);
        let start = Some(Paging::first(first));
        let pages = unfold((self.clone(), request, start), |(queries, request, paging)| async move {
            let paging = paging?;
            let first = paging.first;
            let page = match queries.coverage_overview(&request, paging).await {
                Ok(page) => page,
                Err(e) => return Some((Err(e), (queries, request, None))),
            };
            let after = page.rows.last().map(|(cursor, _)| cursor.clone()).filter(|_| page.has_next);
            let next = after.map(|after| Paging { first, after: Some(after), ..Paging::default() });
            let rows = page.rows.into_iter().flat_map(|(_, covered)| {
                let (product, granularity) = (Arc::new(covered.product), covered.granularity);
                covered.periods.into_iter().map(move |judged| CoverageRow {
                    product: product.clone(),
                    granularity,
                    judged,
                })
            });
            Some((Ok(rows.collect::<Vec<_>>()), (queries, request, next)))
        });
        Ok(pages.filter(|page| future::ready(page.as_ref().map_or(true, |rows| !rows.is_empty()))))
    }
}
