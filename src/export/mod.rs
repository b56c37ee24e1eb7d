//! export: the rows of `query` as CSV, NDJSON and Parquet, streamed.
//!
//! Every format writes from the rows' one list of columns, page by page, and holds no more than a page (Parquet: a row
//! group). Knows no request: what is asked for comes as values, what goes out are bytes.
mod csv;
mod parquet;
mod text;

use std::pin::Pin;

use bytes::Bytes;
use futures_util::stream::{iter, unfold};
use futures_util::{Stream, StreamExt};

use crate::query::{Cell, Column, Flat, PublicationAsk, PublicationRow, Queries, QueryError, RevisionAsk, RevisionRow};
use crate::record::{Notification, NotificationQuery};
pub use csv::CsvOptions;

/// How rows are written.
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

/// Columns in the order in which they are written.
pub type Columns<Row> = Vec<&'static Column<Row>>;

/// Which rows, and which of their columns.
pub enum Rows {
    Publications(Box<PublicationAsk>, Columns<PublicationRow>),
    Revisions(Box<RevisionAsk>, Columns<RevisionRow>),
    Notifications(Box<NotificationQuery>, Columns<Notification>),
}

/// An export.
pub struct Export {
    pub rows: Rows,
    pub format: Format,
    /// The most rows; all where absent.
    pub limit: Option<u64>,
}

/// Why an export ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("the rows cannot be written: {0}")]
    Write(String),
}

/// The export's bytes as they come.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, ExportError>> + Send>>;

impl Export {
    /// Begins to write. The first page is read before: what cannot be answered is an error here, not a file that breaks off
    /// after its first line.
    pub async fn pieces(self, queries: &Queries) -> Result<Pieces, QueryError> {
        let (format, limit) = (self.format, self.limit);
        let queries = queries.clone();
        Ok(match self.rows {
            Rows::Publications(ask, columns) => {
                let pages = begun(limited(queries.all_publications(*ask)?, limit)).await?;
                write(format, pages, Sheet { columns, queries })
            }
            Rows::Revisions(ask, columns) => {
                let pages = begun(limited(queries.all_revisions(*ask)?, limit)).await?;
                write(format, pages, Sheet { columns, queries })
            }
            Rows::Notifications(query, columns) => {
                let pages = begun(limited(queries.all_notifications(*query)?, limit)).await?;
                write(format, pages, Sheet { columns, queries })
            }
        })
    }
}

/// Pages of which the first is there.
async fn begun<Row: Flat>(mut pages: Pages<Row>) -> Result<Pages<Row>, QueryError> {
    let first = pages.next().await.transpose()?;
    Ok(iter(first.map(Ok)).chain(pages).boxed())
}

/// What is written of rows.
struct Sheet<Row: 'static> {
    columns: Columns<Row>,
    queries: Queries,
}

impl<Row: Flat> Sheet<Row> {
    fn cells<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = Cell<'a>> {
        self.columns.iter().map(move |column| (column.cell)(row, &self.queries))
    }
}

type Pages<Row> = Pin<Box<dyn Stream<Item = Result<Vec<Row>, QueryError>> + Send>>;

fn write<Row: Flat>(format: Format, pages: Pages<Row>, sheet: Sheet<Row>) -> Pieces {
    let pieces = match format {
        Format::Csv(options) => csv::write(pages, sheet, options),
        Format::Ndjson => text::write(pages, sheet),
        Format::Parquet => parquet::write(pages, sheet),
    };
    // Who sends them may ask once more after the last.
    pieces.fuse().boxed()
}

/// No more than so many rows.
fn limited<Row: Flat>(
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
