//! export: streams the rows of `query` as CSV, NDJSON, Parquet and Excel workbooks, and the files of a query as one zip.
//!
//! All formats use the same list of columns. They write page by page and hold at most one page in memory (Parquet: one row
//! group); workbooks are made in temporary files. This module knows nothing of HTTP: it takes values and produces bytes.
mod csv;
mod files;
mod folder;
mod headers;
mod parquet;
mod scratch;
mod text;
mod xlsx;
mod zip;

use std::pin::Pin;

use bytes::Bytes;
use futures_util::stream::{iter, unfold};
use futures_util::{Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::query::{
    Cell, Column, CoverageRequest, CoverageRow, FileMember, PublicationRequest, PublicationRow, Queries, QueryError,
    RevisionRequest, RevisionRow, TableRow,
};
use crate::query::{Notification, NotificationQuery, NotificationRequest, Paging};
pub use csv::{CsvOptions, Dates};
pub use files::{FileLine, FileLines, FileList, ListedFile};
pub use folder::{FileSource, FolderEvent, FolderReport, NotRead, SourceBytes, write_folder};
pub use headers::{Headers, PORTUGUESE};
pub use scratch::ScratchFile;

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv(CsvOptions),
    Ndjson,
    Parquet,
    Xlsx,
}

impl Format {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv(_) => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

/// Columns in output order.
pub type Columns<Row> = Vec<&'static Column<Row>>;

/// The rows to export, with their columns.
pub enum Rows {
    Publications(Box<PublicationRequest>, Columns<PublicationRow>),
    Revisions(Box<RevisionRequest>, Columns<RevisionRow>),
    Notifications(Box<NotificationQuery>, Columns<Notification>),
    Coverage(Box<CoverageRequest>, Columns<CoverageRow>),
    /// The members of the zips of publications.
    Members(Box<PublicationRequest>, Columns<FileMember>),
}

impl Rows {
    pub fn column_names(&self) -> Vec<&'static str> {
        match self {
            Self::Publications(_, columns) => columns.iter().map(|column| column.name).collect(),
            Self::Revisions(_, columns) => columns.iter().map(|column| column.name).collect(),
            Self::Notifications(_, columns) => columns.iter().map(|column| column.name).collect(),
            Self::Coverage(_, columns) => columns.iter().map(|column| column.name).collect(),
            Self::Members(_, columns) => columns.iter().map(|column| column.name).collect(),
        }
    }
}

/// An export.
pub struct Export {
    pub rows: Rows,
    pub format: Format,
    /// The maximum number of rows; `None` exports all.
    pub limit: Option<u64>,
    /// The zone whose local time instants are written in; `None` writes them in UTC.
    pub zone: Option<TimeZone>,
    pub headers: Headers,
}

/// Why an export is incomplete.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("cannot write the rows: {0}")]
    Write(String),
}

/// The bytes of an export.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, ExportError>> + Send>>;

/// An export whose first rows are read.
pub struct RunningExport {
    pub chunks: Chunks,
    /// Whether all the rows are read, so that no later commit can be in them.
    pub is_whole: bool,
}

impl Export {
    /// Starts the export. The first pages are read before this returns, so that an invalid query is an error here and not a file
    /// that ends after its header.
    pub async fn start(&self, queries: &Queries) -> Result<RunningExport, ExportError> {
        if self.format == Format::Xlsx && self.row_count(queries).await?.is_some_and(|rows| rows > xlsx::rows_max()) {
            return Err(xlsx::too_many_rows().into());
        }
        let limit = self.limit;
        match &self.rows {
            Rows::Publications(request, columns) => {
                self.write(limited(queries.all_publications((**request).clone())?, limit), columns, queries).await
            }
            Rows::Revisions(request, columns) => {
                self.write(limited(queries.all_revisions((**request).clone())?, limit), columns, queries).await
            }
            Rows::Notifications(query, columns) => {
                self.write(limited(queries.all_notifications((**query).clone())?, limit), columns, queries).await
            }
            Rows::Coverage(request, columns) => {
                self.write(limited(queries.all_coverage((**request).clone())?, limit), columns, queries).await
            }
            Rows::Members(request, columns) => {
                self.write(limited(queries.all_members((**request).clone())?, limit), columns, queries).await
            }
        }
    }

    /// Writes the whole export to a temporary file.
    pub async fn to_file(&self, queries: &Queries) -> Result<ScratchFile, ExportError> {
        let mut chunks = self.start(queries).await?.chunks;
        let mut file = scratch::Scratch::new(queries);
        while let Some(chunk) = chunks.next().await {
            file.append(&chunk?).await.map_err(QueryError::from)?;
        }
        Ok(file.finish().await.map_err(QueryError::from)?)
    }

    async fn write<Row: TableRow>(
        &self,
        pages: Pages<Row>,
        columns: &Columns<Row>,
        queries: &Queries,
    ) -> Result<RunningExport, ExportError> {
        let (zone, headers) = (self.zone.clone(), self.headers);
        let sheet = Sheet { columns: columns.clone(), queries: queries.clone(), zone, headers };
        let (pages, is_whole) = prefetched(pages).await?;
        let chunks = match self.format {
            Format::Csv(options) => csv::write(pages, sheet, options),
            Format::Ndjson => text::write(pages, sheet),
            Format::Parquet => parquet::write(pages, sheet),
            Format::Xlsx => {
                let file = xlsx::write(pages, sheet).await?;
                let chunks = file.stream(0..file.length()).map_err(|e| QueryError::from(e).into()).boxed();
                return Ok(RunningExport { chunks, is_whole: true });
            }
        };
        // A consumer may poll again after the last chunk.
        Ok(RunningExport { chunks: chunks.fuse().boxed(), is_whole })
    }

    /// The number of rows; `None` if they are not counted before they are read.
    async fn row_count(&self, queries: &Queries) -> Result<Option<u64>, QueryError> {
        let paging = Paging::first(0);
        let total = match &self.rows {
            Rows::Publications(request, _) => {
                queries.publications(PublicationRequest { paging, ..(**request).clone() }).await?.list.total
            }
            Rows::Revisions(request, _) => {
                queries.revisions(RevisionRequest { paging, ..(**request).clone() }).await?.total
            }
            Rows::Notifications(query, _) => {
                let request = NotificationRequest { query: (**query).clone(), paging, bodies: false };
                queries.notifications(request).await?.total
            }
            Rows::Coverage(..) | Rows::Members(..) => return Ok(None),
        };
        Ok(Some(self.limit.map_or(total, |limit| total.min(limit))))
    }
}

/// Reads the first page, and the second to know whether there is one. Returns whether the first is all.
async fn prefetched<Row: TableRow>(mut pages: Pages<Row>) -> Result<(Pages<Row>, bool), QueryError> {
    let first = pages.next().await.transpose()?;
    let second = pages.next().await.transpose()?;
    let is_whole = second.is_none();
    Ok((iter(first.into_iter().chain(second).map(Ok)).chain(pages).boxed(), is_whole))
}

/// The columns to write, and what computes their cells.
struct Sheet<Row: 'static> {
    columns: Columns<Row>,
    queries: Queries,
    zone: Option<TimeZone>,
    headers: Headers,
}

impl<Row: 'static> Sheet<Row> {
    /// An instant as local time, if that is requested.
    fn local(&self, at: Timestamp) -> Option<DateTime> {
        self.zone.as_ref().map(|zone| zone.to_datetime(at))
    }

    /// An instant as local time, or else in UTC.
    fn civil(&self, at: Timestamp) -> DateTime {
        self.local(at).unwrap_or_else(|| TimeZone::UTC.to_datetime(at))
    }
}

impl<Row: TableRow> Sheet<Row> {
    fn cells<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = Cell<'a>> {
        self.columns.iter().map(move |column| (column.cell)(row, &self.queries))
    }
}

type Pages<Row> = Pin<Box<dyn Stream<Item = Result<Vec<Row>, QueryError>> + Send>>;

/// Ends the stream after `limit` rows.
fn limited<Row: TableRow>(
    pages: impl Stream<Item = Result<Vec<Row>, QueryError>> + Send + 'static,
    limit: Option<u64>,
) -> Pages<Row> {
    let pages = pages.fuse().boxed();
    let Some(limit) = limit else { return pages };
    let left = usize::try_from(limit).unwrap_or(usize::MAX);
    let cut = unfold((pages, left), |(mut pages, left)| async move {
        if left == 0 {
            return None;
        }
        let mut page = match pages.next().await? {
            Ok(page) => page,
            Err(e) => return Some((Err(e), (pages, 0))),
        };
        page.truncate(left);
        let left = left - page.len();
        Some((Ok(page), (pages, left)))
    });
    cut.fuse().boxed()
}
