//! Which periods are expected and what became of them: of one product, and of many.
use async_graphql::{Context, ID, Object, Result, SimpleObject};

use super::loaders::load;
use super::product::Product;
use super::publication::Publication;
use super::rows::resolved_rows;
use crate::contract::{Count, DateTime, Granularity, LocalDateTime, Long, mirror};
use crate::query;

mirror! {
    /// The state of a period.
    CoverageState => query::CoverageState {
        /// Its file is archived.
        Archived,
        /// Overdue, but may still be published.
        Late,
        /// Announced, or not due yet.
        Awaited,
        /// Overdue for so long that it is unlikely to be published without action.
        Missing,
        /// Announced, but the link expired before the file was fetched.
        Lost,
        /// Removed by a retention policy.
        Purged,
    }
}

/// Which periods are expected from the product's own history, and the state of each.
#[derive(SimpleObject)]
pub struct Coverage {
    granularity: Granularity,
    /// Number of periods: those expected, and published ones beyond these.
    expected: Count,
    archived: Count,
    late: Count,
    missing: Count,
    /// The periods in chronological order.
    periods: Vec<CoveragePeriod>,
}

impl From<query::Coverage> for Coverage {
    fn from(coverage: query::Coverage) -> Self {
        let count = |state| Count(coverage.count(state) as u64);
        Self {
            granularity: coverage.granularity.into(),
            expected: Count(coverage.periods.len() as u64),
            archived: count(query::CoverageState::Archived),
            late: count(query::CoverageState::Late),
            missing: count(query::CoverageState::Missing),
            periods: coverage.periods.into_iter().map(CoveragePeriod::from).collect(),
        }
    }
}

/// One period and its state.
pub struct CoveragePeriod {
    judged: query::JudgedPeriod,
    /// Where it was read with the period.
    row: Option<query::PublicationRow>,
}

/// One period and its state.
#[Object]
impl CoveragePeriod {
    async fn period_start(&self) -> LocalDateTime {
        LocalDateTime(self.judged.period.start)
    }
    async fn period_end(&self) -> LocalDateTime {
        LocalDateTime(self.judged.period.end)
    }
    async fn state(&self) -> CoverageState {
        self.judged.state.into()
    }
    /// When its file is due, or was: when nine in ten of the product's last files had arrived, and some hours (for a monthly product a
    /// day) later. Null for a period that its history does not lead one to expect.
    async fn due_at(&self) -> Option<DateTime> {
        self.judged.due_at.map(DateTime)
    }
    /// How much later than that its first file was archived, in seconds. Null if it was not late, if there is none, and if it came so
    /// much later that it was imported or sent again.
    async fn arrived_late_by_seconds(&self) -> Option<Long> {
        self.judged.arrived_late_by.map(|late_by| late_by.as_secs().into())
    }
    async fn publication(&self, ctx: &Context<'_>) -> Result<Option<Publication>> {
        match (&self.row, self.judged.publication) {
            (Some(row), _) => Ok(Some(row.clone().into())),
            (None, Some(id)) => Ok(load(ctx, id).await?.map(Publication::from)),
            (None, None) => Ok(None),
        }
    }
}

impl From<query::CoveragePeriod> for CoveragePeriod {
    fn from(one: query::CoveragePeriod) -> Self {
        Self { judged: one.judged, row: one.publication }
    }
}

/// The coverage of one product among others.
#[derive(Clone)]
pub struct ProductCoverage(query::ProductCoverage);

resolved_rows!(ProductCoverage);

impl ProductCoverage {
    fn count(&self, state: query::CoverageState) -> Count {
        Count(self.0.count(state) as u64)
    }
}

impl From<query::ProductCoverage> for ProductCoverage {
    fn from(covered: query::ProductCoverage) -> Self {
        Self(covered)
    }
}

/// The coverage of one product among others.
#[Object]
impl ProductCoverage {
    async fn product_id(&self) -> ID {
        self.0.product.id.0.into()
    }
    async fn name(&self) -> &str {
        &self.0.product.name
    }
    async fn process(&self) -> &str {
        &self.0.product.process
    }
    async fn macro_process(&self) -> &str {
        &self.0.product.macro_process
    }
    async fn granularity(&self) -> Granularity {
        self.0.granularity.into()
    }
    /// Number of periods: those expected, and published ones beyond these.
    async fn expected(&self) -> Count {
        Count(self.0.expected() as u64)
    }
    async fn archived(&self) -> Count {
        self.count(query::CoverageState::Archived)
    }
    async fn awaited(&self) -> Count {
        self.count(query::CoverageState::Awaited)
    }
    async fn late(&self) -> Count {
        self.count(query::CoverageState::Late)
    }
    async fn missing(&self) -> Count {
        self.count(query::CoverageState::Missing)
    }
    async fn lost(&self) -> Count {
        self.count(query::CoverageState::Lost)
    }
    async fn purged(&self) -> Count {
        self.count(query::CoverageState::Purged)
    }
    /// Periods whose file arrived late.
    async fn arrived_late(&self) -> Count {
        Count(self.0.arrived_late as u64)
    }
    /// In chronological order: the periods in one of the states that were asked for, else those that are late, missing or lost, or
    /// whose file arrived late.
    async fn periods(&self) -> Vec<CoveragePeriod> {
        self.0.periods.iter().map(|judged| CoveragePeriod { judged: *judged, row: None }).collect()
    }
    async fn product(&self) -> Product {
        Product(self.0.product.clone())
    }
}
