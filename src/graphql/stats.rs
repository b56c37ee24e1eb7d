//! Counts in groups, suggestions, coverage.
use async_graphql::{Enum, ID, Object, SimpleObject};

use super::connection::int;
use super::flat::flat;
use super::input::{Granularity, PublicationStatus, mirror};
use super::publication::Publication;
use super::scalar::{LocalDateTime, Long};
use crate::domain;
use crate::index::{Bucket, Dimension};
use crate::query;

/// What publications are grouped by; of the stretches of time at most one.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum StatsDimension {
    Product,
    Process,
    MacroProcess,
    Status,
    Extension,
    Granularity,
    PeriodDay,
    PeriodMonth,
    PeriodYear,
    ArchivedDay,
    ArchivedMonth,
}

impl From<StatsDimension> for Dimension {
    fn from(dimension: StatsDimension) -> Self {
        match dimension {
            StatsDimension::Product => Self::Product,
            StatsDimension::Process => Self::Process,
            StatsDimension::MacroProcess => Self::MacroProcess,
            StatsDimension::Status => Self::Status,
            StatsDimension::Extension => Self::Extension,
            StatsDimension::Granularity => Self::Granularity,
            StatsDimension::PeriodDay => Self::Period(Bucket::Day),
            StatsDimension::PeriodMonth => Self::Period(Bucket::Month),
            StatsDimension::PeriodYear => Self::Period(Bucket::Year),
            StatsDimension::ArchivedDay => Self::Archived(Bucket::Day),
            StatsDimension::ArchivedMonth => Self::Archived(Bucket::Month),
        }
    }
}

/// A group of publications: what it is grouped by is there, all else is null.
#[derive(Clone)]
pub struct StatsRow(pub query::StatsRow);

flat!(StatsRow => query::StatsRow);

/// A group of publications: what it is grouped by is there, all else is null.
#[Object]
impl StatsRow {
    /// Its current name.
    async fn product(&self) -> Option<&str> {
        self.0.product.as_deref()
    }
    async fn process(&self) -> Option<&str> {
        self.0.process.as_deref()
    }
    async fn macro_process(&self) -> Option<&str> {
        self.0.macro_process.as_deref()
    }
    async fn status(&self) -> Option<PublicationStatus> {
        self.0.status.as_deref()?.parse::<domain::PublicationStatus>().ok().map(Into::into)
    }
    async fn extension(&self) -> Option<&str> {
        self.0.extension.as_deref()
    }
    async fn granularity(&self) -> Option<Granularity> {
        self.0.granularity.as_deref()?.parse::<domain::Granularity>().ok().map(Into::into)
    }
    /// A day, month or year as text (2025-02-20, 2025-02, 2025); of archiving in São Paulo time.
    async fn bucket(&self) -> Option<&str> {
        self.0.bucket.as_deref()
    }
    async fn publications(&self) -> i32 {
        int(self.0.sums.publications)
    }
    /// All revisions of these publications.
    async fn revisions(&self) -> i32 {
        int(self.0.sums.revisions)
    }
    /// Bytes of the revisions shown, as published.
    async fn size(&self) -> Long {
        self.0.sums.size.into()
    }
    /// Bytes that the archive spends on these.
    async fn stored_size(&self) -> Long {
        self.0.sums.stored_size.into()
    }
}

mirror! {
    /// What a suggestion is.
    SuggestionKind => query::SuggestionKind { Product, Alias, Process, MacroProcess, File }
}

/// What somebody who types may mean.
#[derive(SimpleObject)]
pub struct Suggestion {
    text: String,
    kind: SuggestionKind,
    product_id: Option<ID>,
    /// How many there are of it.
    publications: i32,
}

impl From<query::Suggestion> for Suggestion {
    fn from(found: query::Suggestion) -> Self {
        Self {
            text: found.text,
            kind: found.kind.into(),
            product_id: found.product_id.map(|id| id.0.into()),
            publications: int(found.publications),
        }
    }
}

mirror! {
    /// ARCHIVED; LATE: overdue, and still to be hoped for; AWAITED: announced, or not due yet; MISSING: overdue for so long
    /// that it will hardly come by itself; LOST; PURGED.
    CoverageState => query::CoverageState { Archived, Late, Awaited, Missing, Lost, Purged }
}

/// The periods that a product's history leads one to expect, and what became of each.
#[derive(SimpleObject)]
pub struct Coverage {
    granularity: Granularity,
    /// Periods: those expected, and those that are there besides.
    expected: i32,
    archived: i32,
    late: i32,
    missing: i32,
    /// In the order of time.
    periods: Vec<CoveragePeriod>,
}

impl From<query::Coverage> for Coverage {
    fn from(coverage: query::Coverage) -> Self {
        let count = |state| int(coverage.count(state) as u64);
        Self {
            granularity: coverage.granularity.into(),
            expected: int(coverage.periods.len() as u64),
            archived: count(query::CoverageState::Archived),
            late: count(query::CoverageState::Late),
            missing: count(query::CoverageState::Missing),
            periods: coverage.periods.into_iter().map(CoveragePeriod::from).collect(),
        }
    }
}

/// A period, and what became of it.
#[derive(SimpleObject)]
pub struct CoveragePeriod {
    period_start: LocalDateTime,
    period_end: LocalDateTime,
    state: CoverageState,
    publication: Option<Publication>,
}

impl From<query::CoveragePeriod> for CoveragePeriod {
    fn from(one: query::CoveragePeriod) -> Self {
        Self {
            period_start: LocalDateTime(one.period.start),
            period_end: LocalDateTime(one.period.end),
            state: one.state.into(),
            publication: one.publication.map(Publication::from),
        }
    }
}
