//! The search: everything that a visitor asks is in the address, so that each state is a link.
mod facets;
mod form;
mod parameters;
mod period;
mod rows;
mod take;

use std::sync::Arc;

use maud::html;

use super::{Nav, Page, ViewError, Visit, parts, units};
use crate::lang::text;
use crate::query::{Facets, Paging, PublicationRequest, Queries};
use parameters::Parameters;

pub use rows::{table as rows, table_of_product as rows_of_product};

/// Rows of a page.
const ROWS: i64 = 25;

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
    let facets = async {
        match asked.has_facets() {
            false => Ok(Arc::new(Facets::default())),
            true => queries.facets(asked.search.clone(), asked.without_facets(), &asked.chosen).await,
        }
    };
    let (page, facets) = tokio::try_join!(queries.publications(request), facets)?;
    let list = &page.list;
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
                    a.to-facets href="#facets" { (text!(lang, "search-narrow")) }
                }
                (facets::chosen(lang, &asked, &facets))
                @if list.rows.is_empty() {
                    p.empty { (text!(lang, "search-empty")) }
                } @else {
                    (rows(visit, list.rows.iter().map(|(_, row)| &**row), "count"))
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
