//! Whether anything is missing: the periods that a product's history makes expected, and the state of each.
use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{PublicationRow, Queries, QueryError};
use crate::domain::{Cadence, Granularity, Period, ProductId, PublicationStatus, SeenPublication};
use crate::engine::record::Publication;

/// Longer spans are refused.
const DAYS_MAX: i32 = 3660;

/// The state of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoverageState {
    Archived,
    /// Overdue, and may still be published.
    Late,
    /// Announced, or not due yet.
    Awaited,
    /// Overdue for too long to be expected any more.
    Missing,
    Lost,
    Purged,
}

#[derive(Clone, Debug)]
pub struct CoveragePeriod {
    pub period: Period,
    pub state: CoverageState,
    pub publication: Option<PublicationRow>,
}

#[derive(Clone, Debug)]
pub struct Coverage {
    pub granularity: Granularity,
    /// In the order of time: the expected periods, and others that exist.
    pub periods: Vec<CoveragePeriod>,
}

impl Coverage {
    pub fn count(&self, state: CoverageState) -> usize {
        self.periods.iter().filter(|period| period.state == state).count()
    }
}

impl Queries {
    /// The periods of a product that start within a span of days, both included.
    pub async fn coverage(&self, product: ProductId, from: Date, to: Date) -> Result<Coverage, QueryError> {
        if to < from {
            return Err(QueryError::bad(format!("`to` is {to}, before `from`, {from}")));
        }
        let days = to.since(from).map_or(i32::MAX, |span| span.get_days());
        if days > DAYS_MAX {
            return Err(QueryError::bad(format!(
                "from {from} to {to} are {days} days: at most {DAYS_MAX} are allowed"
            )));
        }
        let known = self.record.history().publications_of(product).await?;
        if known.is_empty() && !self.record.history().products_by_id(&[product]).await?.contains_key(&product) {
            return Err(QueryError::NotFound { what: "product", id: product.to_string() });
        }
        let history: Vec<SeenPublication> =
            known.iter().map(|(one, seen_at)| SeenPublication { period: one.period, seen_at: *seen_at }).collect();
        let cadence = Cadence::learn(&history);
        let mut periods: BTreeMap<_, (Period, Option<&Publication>)> = BTreeMap::new();
        for period in cadence.expected(from, to) {
            periods.insert((period.start.0, period.end.0), (period, None));
        }
        let within = |one: &Publication| (from..=to).contains(&one.period.start.0.date());
        for (one, _) in known.iter().filter(|(one, _)| within(one)) {
            periods.insert((one.period.start.0, one.period.end.0), (one.period, Some(one)));
        }
        let ids: Vec<_> = periods.values().filter_map(|(_, one)| one.map(|one| one.id)).collect();
        let mut rows = std::collections::HashMap::new();
        for some in ids.chunks(1000) {
            rows.extend(self.publication_rows(some).await?);
        }
        let now = self.app.clock.now();
        let periods = periods.into_values().map(|(period, one)| {
            let publication = one.and_then(|one| rows.remove(&one.id));
            let state = match publication.as_ref().map(PublicationRow::status) {
                Some(PublicationStatus::Archived) => CoverageState::Archived,
                Some(PublicationStatus::Awaited) => CoverageState::Awaited,
                Some(PublicationStatus::Lost) => CoverageState::Lost,
                Some(PublicationStatus::Purged) => CoverageState::Purged,
                None if now < cadence.due_at(period) => CoverageState::Awaited,
                None if now < cadence.missed_at(period) => CoverageState::Late,
                None => CoverageState::Missing,
            };
            CoveragePeriod { period, state, publication }
        });
        Ok(Coverage { granularity: cadence.granularity, periods: periods.collect() })
    }
}
