//! What monitoring asks again and again: how many periods are late or missing, by process.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::ToSpan;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{CoverageRequest, CoverageState, CoverageStates};
use crate::domain::sao_paulo;
use crate::engine::index::Filter;
use crate::query::{FIRST_MAX, Paging, Queries, QueryError};

/// The periods that are counted started today or within so many days before.
const DAYS_BEFORE: i64 = 30;

/// How old the counts may be: they change with the hour.
const AGE_MAX: Duration = Duration::from_secs(5 * 60);

/// The periods of a process's products.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessCoverage {
    pub late: usize,
    pub missing: usize,
}

/// Counts by the name of the process.
pub type CoverageByProcess = BTreeMap<String, ProcessCoverage>;

/// The counts, and when they were made.
pub(in crate::engine::query) type ProcessCoverageCache = Arc<Mutex<Option<(Instant, Arc<CoverageByProcess>)>>>;

impl Queries {
    /// How many periods of the last 31 days are late or missing, by process; at most five minutes old.
    pub async fn coverage_by_process(&self) -> Result<Arc<CoverageByProcess>, QueryError> {
        // One request counts; concurrent ones share its result.
        let mut cache = self.process_coverage.lock().await;
        if let Some((_, counts)) = cache.as_ref().filter(|(at, _)| at.elapsed() < AGE_MAX) {
            return Ok(counts.clone());
        }
        let today = sao_paulo().to_datetime(self.app.clock.now()).date();
        let request = CoverageRequest {
            filter: Filter::default(),
            from: today.saturating_sub(DAYS_BEFORE.days()),
            to: today,
            states: Some(CoverageStates { states: Vec::new(), arrived_late: false }),
        };
        let mut counts = CoverageByProcess::new();
        let mut paging = Paging::first(FIRST_MAX);
        loop {
            let page = self.coverage_overview(&request, paging).await?;
            for (_, covered) in &page.rows {
                let of_process = counts.entry(covered.product.process.clone()).or_default();
                of_process.late += covered.count(CoverageState::Late);
                of_process.missing += covered.count(CoverageState::Missing);
            }
            let after = page.rows.last().map(|(cursor, _)| cursor.clone());
            if !page.has_next || after.is_none() {
                break;
            }
            paging = Paging { after, ..Paging::first(FIRST_MAX) };
        }
        // A process of which no product is left reads 0, not what it was.
        for process in cache.iter().flat_map(|(_, before)| before.keys()) {
            counts.entry(process.clone()).or_default();
        }
        let counts = Arc::new(counts);
        *cache = Some((Instant::now(), counts.clone()));
        Ok(counts)
    }
}
