//! The search: everything that a visitor asks is in the address, so that each state is a link.
mod facets;
mod form;
mod parameters;
mod period;
mod rows;
mod take;

use futures_util::{StreamExt, TryStreamExt, stream};
use maud::html;

use super::{Nav, Page, ViewError, Visit, parts, units};
use crate::lang::text;
use crate::query::{FacetRequest, Paging, PublicationRequest, PublicationRow, Queries, SearchIn};
use parameters::Parameters;
use rows::Matches;

pub use rows::{table as rows, table_of_product as rows_of_product};

/// Rows of a page.
const ROWS: i64 = 25;

/// Lines of each file that a search inside files shows.
const LINES: i64 = 3;

/// Files whose lines are looked for at the same time.
const FILES_AT_ONCE: usize = 4;

pub async fn page(queries: &Queries, visit: &Visit) -> Result<Page, ViewError> {
    let lang = visit.lang;
    let asked = Parameters::read(visit)?;
    let paging = match (&asked.after, &asked.before) {
        (None, Some(before)) => Paging { last: Some(ROWS), before: Some(before.clone()), ..Paging::default() },
        (after, _) => Paging { first: Some(ROWS), after: after.clone(), ..Paging::default() },
    };
    let request = PublicationRequest {
        search: asked.search.clone(),
        search_in: asked.search_in,
        scored: false,
        filter: asked.filter(),
        as_of: asked.as_of_instant(),
        order: asked.order.order(),
        paging,
    };
    let facets = FacetRequest {
        search: asked.search.clone(),
        search_in: asked.search_in,
        filter: asked.without_facets(),
        as_of: asked.as_of_instant(),
        chosen: asked.chosen.clone(),
    };
    let (page, facets) = tokio::try_join!(queries.publications(request), queries.facets(facets))?;
    let list = &page.list;
    let matches = matches(queries, &asked, list.rows.iter().map(|(_, row)| &**row)).await?;
    let cursor = |row: Option<&(String, _)>| row.map(|(cursor, _)| cursor.clone());
    let previous = cursor(list.rows.first()).filter(|_| list.has_previous).map(|at| asked.before_address(&at));
    let next = cursor(list.rows.last()).filter(|_| list.has_next).map(|at| asked.after_address(&at));
    let total = units::number(lang, list.total);
    let body = html! {
        h1.visually-hidden { (text!(lang, "search-title")) }
        (form::form(visit, &asked))
        div.columns {
            section.results aria-labelledby="count" {
                div.above {
                    h2 #count aria-live="polite" {
                        (text!(lang, "search-count", count = list.total, shown = total))
                    }
                    @if let Some(elsewhere) = elsewhere(queries, &asked) {
                        a href=(asked.in_place(elsewhere)) {
                            @match elsewhere {
                                SearchIn::Content => { (text!(lang, "search-inside-files")) }
                                SearchIn::Names => { (text!(lang, "search-by-name")) }
                            }
                        }
                    }
                    a.to-facets href="#facets" { (text!(lang, "search-narrow")) }
                }
                (facets::chosen(lang, &asked, &facets))
                @if list.rows.is_empty() {
                    p.empty { (text!(lang, "search-empty")) }
                } @else {
                    (rows(visit, list.rows.iter().map(|(_, row)| &**row), "count", &matches))
                }
                (parts::pager(lang, previous.as_deref(), next.as_deref()))
                (take::take(visit, &asked, list.total))
            }
            aside #facets aria-label=(text!(lang, "facets-label")) {
                (facets::facets(lang, &asked, &facets))
            }
        }
    };
    let title = match &asked.search {
        Some(search) => text!(lang, "search-title-of", search = crate::domain::excerpt(search)),
        None => text!(lang, "search-title"),
    };
    Ok(Page { title, nav: Nav::Search, body })
}

/// The lines with the words of a search inside files.
async fn matches(
    queries: &Queries,
    asked: &Parameters,
    rows: impl Iterator<Item = &PublicationRow>,
) -> Result<Matches, ViewError> {
    let Some(search) = asked.search.as_deref().filter(|_| asked.search_in == SearchIn::Content) else {
        return Ok(Matches::new());
    };
    let of_file = rows.filter_map(|row| row.revision.as_ref()).map(|revision| async move {
        let lines = queries.content_matches(revision, search, LINES).await?;
        Ok::<_, ViewError>((revision.id, lines))
    });
    let of_file: Vec<_> = of_file.collect();
    stream::iter(of_file).buffer_unordered(FILES_AT_ONCE).try_collect().await
}

/// Where else the same words can be searched for.
fn elsewhere(queries: &Queries, asked: &Parameters) -> Option<SearchIn> {
    asked.search.as_ref()?;
    match asked.search_in {
        SearchIn::Content => Some(SearchIn::Names),
        SearchIn::Names => queries.reads_contents().then_some(SearchIn::Content),
    }
}
