//! Whether anything is missing: the periods that a product's history makes expected, and the state of each. For one product, and
//! for many at once (`overview`).
mod by_process;
mod judge;
mod overview;

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::{PublicationRow, Queries, QueryError};
use crate::domain::{Granularity, Period, ProductId, PublicationId};
use judge::Judge;

pub use by_process::CoverageByProcess;
pub(super) use by_process::ProcessCoverageCache;
pub use overview::{CoverageRequest, CoverageRow, CoverageStates, ProductCoverage};

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

impl CoverageState {
    pub const ALL: &[Self] = &[Self::Archived, Self::Late, Self::Awaited, Self::Missing, Self::Lost, Self::Purged];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "ARCHIVED",
            Self::Late => "LATE",
            Self::Awaited => "AWAITED",
            Self::Missing => "MISSING",
            Self::Lost => "LOST",
            Self::Purged => "PURGED",
        }
    }
}

/// A period of a product.
#[derive(Clone, Copy, Debug)]
pub struct JudgedPeriod {
    pub period: Period,
    pub state: CoverageState,
    /// When its file is, or was, due. Unknown for a period that the product's history does not lead one to expect.
    pub due_at: Option<Timestamp>,
    /// How much later than that its file arrived, if it did.
    pub arrived_late_by: Option<SignedDuration>,
    pub publication: Option<PublicationId>,
}

#[derive(Clone, Debug)]
pub struct CoveragePeriod {
    pub judged: JudgedPeriod,
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
        self.periods.iter().filter(|period| period.judged.state == state).count()
    }
}

/// The days of a span; an error if it ends before it begins, or is longer than `days_max`.
fn check_span(from: Date, to: Date, days_max: i32) -> Result<i32, QueryError> {
    if to < from {
        return Err(QueryError::bad(format!("`to` is {to}, before `from`, {from}")));
    }
    let days = to.since(from).map_or(i32::MAX, |span| span.get_days());
    if days > days_max {
        return Err(QueryError::bad(format!("from {from} to {to} are {days} days: at most {days_max} are allowed")));
    }
    Ok(days + 1)
}

impl Queries {
    /// The periods of a product that start within a span of days, both included.
    pub async fn coverage(&self, product: ProductId, from: Date, to: Date) -> Result<Coverage, QueryError> {
        let (granularity, periods) = self.judged_periods(product, from, to).await?;
        let ids: Vec<PublicationId> = periods.iter().filter_map(|one| one.publication).collect();
        let mut rows = HashMap::with_capacity(ids.len());
        for some in ids.chunks(1000) {
            rows.extend(self.publication_rows(some).await?);
        }
        let with_row = |judged: JudgedPeriod| {
            let publication = judged.publication.and_then(|id| rows.remove(&id));
            CoveragePeriod { judged, publication }
        };
        Ok(Coverage { granularity, periods: periods.into_iter().map(with_row).collect() })
    }

    /// The same without the publications: what a calendar shows.
    pub async fn judged_periods(
        &self,
        product: ProductId,
        from: Date,
        to: Date,
    ) -> Result<(Granularity, Vec<JudgedPeriod>), QueryError> {
        check_span(from, to, DAYS_MAX)?;
        let known = self.record.history().products_by_id(&[product]).await?.remove(&product);
        let known = known.ok_or_else(|| QueryError::NotFound { what: "product", id: product.to_string() })?;
        let judge = Judge::of(&self.record, &[known], from, to).await?;
        let judged = judge.periods_of(product, self.app.clock.now());
        let (cadence, periods) =
            judged.ok_or_else(|| QueryError::NotFound { what: "product", id: product.to_string() })?;
        Ok((cadence.granularity, periods))
    }
}
