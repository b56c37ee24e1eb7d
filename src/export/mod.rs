//! export: the rows of `query` as CSV, NDJSON and Parquet, streamed.
//!
//! One list of columns for each table; every format writes from it, page by page, and holds no more than a page (Parquet: a
//! row group). Knows no request: what is asked for comes as values, what goes out are bytes.
mod columns;
mod csv;
mod parquet;
mod text;

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use crate::query::{PublicationAsk, Queries, QueryError, RevisionAsk};
use crate::record::NotificationQuery;
pub use columns::{Column, Kind, Table};
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

/// Which rows.
#[derive(Clone, Debug)]
pub enum Rows {
    Publications(Box<PublicationAsk>),
    Revisions(Box<RevisionAsk>),
    Notifications(Box<NotificationQuery>),
}

/// An export.
#[derive(Clone, Debug)]
pub struct Export {
    pub rows: Rows,
    /// In the order in which they are written.
    pub columns: Vec<&'static Column>,
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

/// A row's values, one for each column asked for.
type Values = Vec<columns::Value>;

impl Export {
    /// Begins to write.
    pub fn pieces(self, queries: &Queries) -> Pieces {
        let pages = self.pages(queries);
        let limited = limited(pages, self.limit);
        let pieces = match self.format {
            Format::Csv(options) => csv::write(limited, self.columns, options),
            Format::Ndjson => text::write(limited, self.columns),
            Format::Parquet => parquet::write(limited, self.columns),
        };
        // Who sends them may ask once more after the last.
        pieces.fuse().boxed()
    }

    fn pages(&self, queries: &Queries) -> Pin<Box<dyn Stream<Item = Result<Vec<Values>, ExportError>> + Send>> {
        let columns = self.columns.clone();
        let context = queries.clone();
        match &self.rows {
            Rows::Publications(ask) => {
                let pages = queries.all_publications((**ask).clone());
                pages
                    .map(move |page| {
                        Ok(page?.iter().map(|row| columns::publication(row, &columns, &context)).collect())
                    })
                    .fuse()
                    .boxed()
            }
            Rows::Revisions(ask) => {
                let pages = queries.all_revisions((**ask).clone());
                pages
                    .map(move |page| Ok(page?.iter().map(|row| columns::revision(row, &columns, &context)).collect()))
                    .fuse()
                    .boxed()
            }
            Rows::Notifications(query) => {
                let pages = queries.all_notifications((**query).clone());
                pages
                    .map(move |page| Ok(page?.iter().map(|row| columns::notification(row, &columns)).collect()))
                    .fuse()
                    .boxed()
            }
        }
    }
}

type Pages = Pin<Box<dyn Stream<Item = Result<Vec<Values>, ExportError>> + Send>>;

/// No more than so many rows.
fn limited(pages: Pages, limit: Option<u64>) -> Pages {
    let Some(limit) = limit else { return pages };
    let left = usize::try_from(limit).unwrap_or(usize::MAX);
    let cut = futures_util::stream::unfold((pages, left), |(mut pages, left)| async move {
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
