//! Counts in groups, suggestions, coverage.
use async_graphql::{Enum, ID, SimpleObject};

use super::connection::int;
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
#[derive(SimpleObject)]
pub struct StatsRow {
    /// Its current name.
    product: Option<String>,
    process: Option<String>,
    macro_process: Option<String>,
    status: Option<PublicationStatus>,
    extension: Option<String>,
    granularity: Option<Granularity>,
    /// A day, month or year as text (2025-02-20, 2025-02, 2025); of archiving in São Paulo time.
    bucket: Option<String>,
    publications: i32,
    /// All revisions of these publications.
    revisions: i32,
    /// Bytes of the revisions shown, as published.
    size: Long,
    /// Bytes that the archive spends on these.
    stored_size: Long,
}

impl From<query::StatsRow> for StatsRow {
    fn from(row: query::StatsRow) -> Self {
        let status = row.status.and_then(|text| text.parse::<domain::PublicationStatus>().ok());
        let granularity = row.granularity.and_then(|text| text.parse::<domain::Granularity>().ok());
        Self {
            product: row.product,
            process: row.process,
            macro_process: row.macro_process,
            status: status.map(Into::into),
            extension: row.extension,
            granularity: granularity.map(Into::into),
            bucket: row.bucket,
            publications: int(row.sums.publications),
            revisions: int(row.sums.revisions),
            size: row.sums.size.into(),
            stored_size: row.sums.stored_size.into(),
        }
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
            publication: one.publication.map(Publication),
        }
    }
}
