//! The state of each period of some products, from a bounded number of rows.
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;

use super::{CoverageState, JudgedPeriod};
use crate::domain::{Cadence, HISTORY_MAX, Period, ProductId, PublicationStatus, SeenPublication};
use crate::engine::record::{CoveredPublication, Product, Record, RecordError};

/// What the periods of some products within a span of days are judged by.
pub(super) struct Judge {
    from: Date,
    to: Date,
    cadences: HashMap<ProductId, Cadence>,
    within: HashMap<ProductId, Vec<CoveredPublication>>,
}

impl Judge {
    /// Two statements, however many products there are.
    pub async fn of(record: &Record, products: &[Product], from: Date, to: Date) -> Result<Self, RecordError> {
        let ids: Vec<ProductId> = products.iter().map(|product| product.id).collect();
        let history = record.history();
        let (newest, within) = tokio::try_join!(
            history.newest_publications(&ids, HISTORY_MAX),
            history.publications_within(&ids, from, to)
        )?;
        let mut newest = by_product(newest);
        let cadence = |product: &Product| {
            let seen: Vec<SeenPublication> =
                newest.remove(&product.id).unwrap_or_default().iter().map(seen_publication).collect();
            let first = product.first_period_start.map(|start| start.0.date());
            (product.id, Cadence::learn(&seen).since(first))
        };
        Ok(Self { from, to, cadences: products.iter().map(cadence).collect(), within: by_product(within) })
    }

    /// The periods of one of the products: those that are expected, and others that exist.
    pub fn periods_of(&self, product: ProductId, now: Timestamp) -> Option<(&Cadence, Vec<JudgedPeriod>)> {
        let cadence = self.cadences.get(&product)?;
        let mut periods: BTreeMap<_, (Period, Option<&CoveredPublication>)> = BTreeMap::new();
        for period in cadence.expected(self.from, self.to) {
            periods.insert((period.start.0, period.end.0), (period, None));
        }
        for one in self.within.get(&product).into_iter().flatten() {
            let slot = periods.entry((one.period.start.0, one.period.end.0)).or_insert((one.period, None));
            // Several reference dates may name the same period: one that has a file answers for it.
            if slot.1.is_none_or(|other| other.status != PublicationStatus::Archived) {
                slot.1 = Some(one);
            }
        }
        let judged = periods.into_values().map(|(period, one)| judge(cadence, now, period, one));
        Some((cadence, judged.collect()))
    }
}

fn judge(cadence: &Cadence, now: Timestamp, period: Period, one: Option<&CoveredPublication>) -> JudgedPeriod {
    let state = match one.map(|one| one.status) {
        Some(PublicationStatus::Archived) => CoverageState::Archived,
        Some(PublicationStatus::Awaited) => CoverageState::Awaited,
        Some(PublicationStatus::Lost) => CoverageState::Lost,
        Some(PublicationStatus::Purged) => CoverageState::Purged,
        None if now < cadence.due_at(period) => CoverageState::Awaited,
        None if now < cadence.missed_at(period) => CoverageState::Late,
        None => CoverageState::Missing,
    };
    let is_expected = period.granularity() == cadence.granularity;
    JudgedPeriod {
        period,
        state,
        due_at: is_expected.then(|| cadence.due_at(period)),
        arrived_late_by: one.and_then(|one| one.archived_at).and_then(|at| cadence.late_by(period, at)),
        publication: one.map(|one| one.id),
    }
}

fn seen_publication(one: &CoveredPublication) -> SeenPublication {
    SeenPublication { period: one.period, seen_at: one.archived_at.unwrap_or(one.received_at) }
}

fn by_product(rows: Vec<CoveredPublication>) -> HashMap<ProductId, Vec<CoveredPublication>> {
    let mut all: HashMap<ProductId, Vec<CoveredPublication>> = HashMap::new();
    for row in rows {
        all.entry(row.product_id).or_default().push(row);
    }
    all
}
