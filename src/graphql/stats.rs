//! Counts in groups, and suggestions.
use std::str::FromStr;

use async_graphql::{Enum, ID, Object, Result, SimpleObject};

use super::error::internal;
use super::rows::table_rows;
use crate::contract::{Count, Granularity, Long, PublicationStatus, mirror};
use crate::domain;
use crate::query;
use crate::query::{Bucket, Dimension};

/// What publications are grouped by. At most one of the time dimensions (`PERIOD_*`, `ARCHIVED_*`) can be used at a
/// time.
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

/// One group of publications.
#[derive(Clone)]
pub struct StatsRow(pub query::StatsRow);

table_rows!(StatsRow => query::StatsRow);

/// One group of publications. Dimensions that are not in `groupBy` are null.
#[Object]
impl StatsRow {
    /// The product's current name.
    async fn product(&self) -> Option<&str> {
        self.0.product.as_deref()
    }
    async fn process(&self) -> Option<&str> {
        self.0.process.as_deref()
    }
    async fn macro_process(&self) -> Option<&str> {
        self.0.macro_process.as_deref()
    }
    async fn status(&self) -> Result<Option<PublicationStatus>> {
        parsed::<domain::PublicationStatus, _>(self.0.status.as_deref())
    }
    async fn extension(&self) -> Option<&str> {
        self.0.extension.as_deref()
    }
    async fn granularity(&self) -> Result<Option<Granularity>> {
        parsed::<domain::Granularity, _>(self.0.granularity.as_deref())
    }
    /// The day, month or year: 2025-02-20, 2025-02 or 2025. `ARCHIVED_*` uses São Paulo time.
    async fn bucket(&self) -> Option<&str> {
        self.0.bucket.as_deref()
    }
    /// Number of publications.
    async fn publications(&self) -> Count {
        Count(self.0.sums.publications)
    }
    /// Number of revisions of these publications.
    async fn revisions(&self) -> Count {
        Count(self.0.sums.revisions)
    }
    /// Total size in bytes of the latest revisions, as published.
    async fn size(&self) -> Long {
        self.0.sums.size.into()
    }
    /// Bytes on disk used by these revisions.
    async fn stored_size(&self) -> Long {
        self.0.sums.stored_size.into()
    }
}

mirror! {
    /// What a suggestion names.
    SuggestionKind => query::SuggestionKind { Product, Alias, Process, MacroProcess, File }
}

/// A completion for a prefix.
#[derive(SimpleObject)]
pub struct Suggestion {
    text: String,
    kind: SuggestionKind,
    product_id: Option<ID>,
    /// Number of publications that it matches.
    publications: Count,
}

impl From<query::Suggestion> for Suggestion {
    fn from(found: query::Suggestion) -> Self {
        Self {
            text: found.text,
            kind: found.kind.into(),
            product_id: found.product_id.map(|id| id.0.into()),
            publications: Count(found.publications),
        }
    }
}

/// A value of the index as the contract's enum.
fn parsed<T: FromStr, Shown: From<T>>(value: Option<&str>) -> Result<Option<Shown>> {
    let Some(text) = value else { return Ok(None) };
    let value = text.parse::<T>().map_err(|_| internal(&format!("the index has the unknown value `{text}`")))?;
    Ok(Some(value.into()))
}
