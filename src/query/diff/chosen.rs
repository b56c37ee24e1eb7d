//! Which two revisions a person means who names one of them, or only the product.
use jiff::Timestamp;

use crate::domain::{PublicationId, RevisionId};
use crate::engine::index::{Filter, Order, SearchIn};
use crate::query::{FIRST_MAX, Paging, PublicationRequest, Queries, QueryError, RevisionRequest, RevisionRow};

/// Two revisions of a product, one after the other.
#[derive(Clone, Debug)]
pub struct ChosenRevisions {
    pub from: RevisionId,
    pub to: RevisionId,
    /// Other products that the words find.
    pub other_products: Vec<String>,
}

impl Queries {
    /// Two revisions as people name them: both, each by its id or by that of its publication; one, with the one before it; or the words
    /// of a product, for its last two as the archive was at an instant.
    pub async fn chosen_revisions(
        &self,
        from: Option<uuid::Uuid>,
        to: Option<uuid::Uuid>,
        search: Option<&str>,
        as_of: Option<Timestamp>,
    ) -> Result<ChosenRevisions, QueryError> {
        match (from, to, search) {
            (None, None, Some(words)) => self.last_two(words, as_of).await,
            _ if as_of.is_some() => Err(QueryError::bad("`asOf` is for `search`; an id is of one revision")),
            (Some(from), Some(to), None) => {
                let (from, to) = (self.revision_or_latest(from).await?, self.revision_or_latest(to).await?);
                Ok(ChosenRevisions { from: from.revision.id, to: to.revision.id, other_products: Vec::new() })
            }
            (Some(one), None, None) => self.with_previous(one).await,
            _ => Err(QueryError::bad("give `from`, `from` and `to`, or `search`")),
        }
    }

    /// A revision by its id, or the latest one of the publication with that id.
    pub async fn revision_or_latest(&self, id: uuid::Uuid) -> Result<RevisionRow, QueryError> {
        if let Some(row) = self.revision_rows(&[RevisionId(id)]).await?.remove(&RevisionId(id)) {
            return Ok(row);
        }
        let what = "revision or publication with the id";
        let found = self.publication_rows(&[PublicationId(id)]).await?.remove(&PublicationId(id));
        let row = found.ok_or_else(|| QueryError::NotFound { what, id: id.to_string() })?;
        match row.revision {
            Some(revision) => Ok(RevisionRow { revision, publication: row.publication, content_search: None }),
            None => {
                let status = row.publication.status.as_str().to_lowercase();
                Err(QueryError::bad(format!("the publication {id} has no file yet: it is {status}")))
            }
        }
    }

    /// A revision, or the latest one of a publication, with the one before it.
    pub async fn with_previous(&self, id: uuid::Uuid) -> Result<ChosenRevisions, QueryError> {
        let row = self.revision_or_latest(id).await?;
        let filter = Filter {
            product_ids: Some(vec![row.publication.product_id.0]),
            period_to: Some(row.publication.period.end),
            ..Filter::default()
        };
        let series = self.series(filter).await?;
        let at = series.iter().position(|one| one.revision.id == row.revision.id);
        let previous = at.and_then(|at| at.checked_sub(1)).and_then(|before| series.get(before));
        let from = previous.ok_or_else(|| no_previous(&row))?.revision.id;
        Ok(ChosenRevisions { from, to: row.revision.id, other_products: Vec::new() })
    }

    /// The last two revisions of the product that the words find best, as the archive was at an instant.
    pub async fn last_two(&self, search: &str, as_of: Option<Timestamp>) -> Result<ChosenRevisions, QueryError> {
        let request = PublicationRequest {
            search: Some(search.to_owned()),
            search_in: SearchIn::Names,
            scored: false,
            filter: Filter::default(),
            as_of,
            order: Order::Relevance,
            paging: Paging::first(FIRST_MAX),
        };
        let page = self.publications(request).await?;
        let mut hits = page.list.rows.iter().map(|(_, row)| row).filter(|row| row.revision.is_some());
        let none = || QueryError::NotFound { what: "product with a file for", id: format!("`{search}`") };
        let best = hits.next().ok_or_else(none)?;
        let product = best.publication.product_id;
        let mut other_products: Vec<String> =
            hits.filter(|row| row.publication.product_id != product).map(|row| row.publication.name.clone()).collect();
        other_products.sort();
        other_products.dedup();
        // The end of the range is excluded.
        let until = as_of.map(|at| at.checked_add(jiff::SignedDuration::from_millis(1)).unwrap_or(at));
        let filter = Filter { product_ids: Some(vec![product.0]), archived: (None, until), ..Filter::default() };
        let series = self.series(filter).await?;
        match &series[..] {
            [.., from, to] => Ok(ChosenRevisions { from: from.revision.id, to: to.revision.id, other_products }),
            [only] => Err(no_previous(only)),
            [] => Err(none()),
        }
    }

    /// The newest revisions of a product whose files exist: by period, and within a period as they were announced.
    async fn series(&self, filter: Filter) -> Result<Vec<RevisionRow>, QueryError> {
        let order = Order::Period { descending: true };
        let request = RevisionRequest {
            search: None,
            search_in: SearchIn::Names,
            filter,
            order,
            paging: Paging::first(FIRST_MAX),
        };
        let found = self.revisions(request).await?.rows.into_iter().map(|(_, row)| row);
        let mut rows: Vec<RevisionRow> = found.filter(|row| row.revision.purged_at.is_none()).collect();
        rows.sort_by_key(|row| {
            let period = row.publication.period;
            (period.start.0, period.end.0, row.revision.announced_at, row.revision.number)
        });
        Ok(rows)
    }
}

fn no_previous(row: &RevisionRow) -> QueryError {
    let (name, id) = (&row.publication.name, row.revision.id);
    QueryError::bad(format!("no file of `{name}` is older than the revision {id}; give two ids"))
}
