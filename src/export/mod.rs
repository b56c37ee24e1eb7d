//! export: streams the rows of `query` as CSV, NDJSON and Parquet.
//!
//! All formats use the same list of columns. They write page by page and hold at most one page in memory (Parquet: one row
//! group). This module knows nothing of HTTP: it takes values and produces bytes.
mod csv;
mod parquet;
mod text;

use std::pin::Pin;

use bytes::Bytes;
use futures_util::stream::{iter, unfold};
use futures_util::{Stream, StreamExt};

use crate::query::{
    Cell, Column, PublicationRequest, PublicationRow, Queries, QueryError, RevisionRequest, RevisionRow, TableRow,
};
use crate::query::{Notification, NotificationQuery};
pub use csv::CsvOptions;

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv(CsvOptions),
    Ndjson,
    Parquet,
}

impl Format {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv(_) => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
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
}

impl Rows {
    pub fn column_names(&self) -> Vec<&'static str> {
        match self {
            Self::Publications(_, columns) => columns.iter().map(|column| column.name).collect(),
            Self::Revisions(_, columns) => columns.iter().map(|column| column.name).collect(),
            Self::Notifications(_, columns) => columns.iter().map(|column| column.name).collect(),
        }
    }
}

/// An export.
pub struct Export {
    pub rows: Rows,
    pub format: Format,
    /// The maximum number of rows; `None` exports all.
    pub limit: Option<u64>,
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
    /// Whether these are all the rows, so that no later commit can be in them.
    pub is_whole: bool,
}

impl Export {
    /// Starts the export. The first pages are read before this returns, so that an invalid query is an error here and not a file
    /// that ends after its header.
    pub async fn start(&self, queries: &Queries) -> Result<RunningExport, QueryError> {
        let (format, limit) = (self.format, self.limit);
        Ok(match &self.rows {
            Rows::Publications(request, columns) => {
                let pages = prefetched(limited(queries.all_publications((**request).clone())?, limit)).await?;
                write(format, pages, Sheet { columns: columns.clone(), queries: queries.clone() })
            }
            Rows::Revisions(request, columns) => {
                let pages = prefetched(limited(queries.all_revisions((**request).clone())?, limit)).await?;
                write(format, pages, Sheet { columns: columns.clone(), queries: queries.clone() })
            }
            Rows::Notifications(query, columns) => {
                let pages = prefetched(limited(queries.all_notifications((**query).clone())?, limit)).await?;
                write(format, pages, Sheet { columns: columns.clone(), queries: queries.clone() })
            }
        })
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
}

impl<Row: TableRow> Sheet<Row> {
    fn cells<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = Cell<'a>> {
        self.columns.iter().map(move |column| (column.cell)(row, &self.queries))
    }
}

type Pages<Row> = Pin<Box<dyn Stream<Item = Result<Vec<Row>, QueryError>> + Send>>;

fn write<Row: TableRow>(format: Format, (pages, is_whole): (Pages<Row>, bool), sheet: Sheet<Row>) -> RunningExport {
    let chunks = match format {
        Format::Csv(options) => csv::write(pages, sheet, options),
        Format::Ndjson => text::write(pages, sheet),
        Format::Parquet => parquet::write(pages, sheet),
    };
    // A consumer may poll again after the last chunk.
    RunningExport { chunks: chunks.fuse().boxed(), is_whole }
}

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
