//! All products, each with its last days: what is late is seen at a glance.
use std::collections::HashMap;

use jiff::ToSpan;
use maud::{Markup, html};

use super::calendar;
use crate::domain::{ProductId, TextMatch};
use crate::lang::{Lang, text};
use crate::query::{CoverageRequest, CoverageState, FIRST_MAX, Filter, ListPage, Paging, ProductCoverage, Queries};
use crate::web::states::{State, explained};
use crate::web::visit::address;
use crate::web::{Nav, Page, ViewError, Visit, parts, units};

/// The days that are shown, today included.
const DAYS: i64 = 35;

/// Products of a page.
const ROWS: i64 = 100;
const ROWS_SHOWN: usize = ROWS as usize;

/// Pages of products that are read to find those of one state, before the reader is asked to go on.
const PAGES_MAX: usize = 10;

/// The states by which the list is narrowed.
const STATES: [CoverageState; 3] = [CoverageState::Late, CoverageState::Missing, CoverageState::Lost];

pub async fn page(queries: &Queries, visit: &Visit) -> Result<Page, ViewError> {
    let lang = visit.lang;
    let today = units::local(visit.now).date();
    let from = today.saturating_sub((DAYS - 1).days());
    let name = visit.parameter("name");
    let state = visit.parameter("state").and_then(|text| STATES.into_iter().find(|state| state.as_str() == text));
    let lost = queries.lost_by_product().await?;
    let filter = Filter { name: name.map(TextMatch::containing), ..Filter::default() };
    let request = CoverageRequest { filter, from, to: today, states: None };
    let after = visit.parameter("after").map(str::to_owned);
    let paging = Paging { after: after.clone(), ..Paging::first(ROWS) };
    let (rows, next) = match state {
        None => listed(queries.coverage_overview(&request, paging).await?),
        Some(CoverageState::Lost) => listed(queries.coverage_among(lost.keys().copied(), &request, paging).await?),
        Some(state) => in_state(queries, &request, state, after).await?,
    };
    let is_later = visit.parameter("after").is_some();
    let goes_on = next.is_some();
    let state_name = state.map_or("", CoverageState::as_str);
    let next = next.map(|cursor| {
        address("/products", [("name", name.unwrap_or_default()), ("state", state_name), ("after", &cursor)])
    });
    let choices = std::iter::once(None).chain(STATES.into_iter().map(Some));
    let body = html! {
        h1 { (text!(lang, "nav-products")) }
        form.search.products role="search" action="/products" method="get" data-search {
            div.box {
                label.visually-hidden for="search" { (text!(lang, "products-label")) }
                input #search type="search" name="name" value=[name] maxlength="500" placeholder=(text!(lang, "products-label"))
                    autocomplete="off" spellcheck="false" aria-keyshortcuts="/";
                @if let Some(state) = state { input type="hidden" name="state" value=(state.as_str()); }
                button type="submit" { (text!(lang, "search-button")) }
            }
        }
        nav.tabs aria-label=(text!(lang, "status")) {
            @for choice in choices {
                @let value = choice.map_or("", CoverageState::as_str);
                a href=(address("/products", [("name", name.unwrap_or_default()), ("state", value)]))
                    aria-current=[(choice == state).then_some("true")] { (choice_text(lang, choice)) }
            }
        }
        @match state {
            Some(state) => p.note { (state.badge(lang)) " " (state.meaning(lang)) },
            None => (explained(lang, CoverageState::ALL.iter().copied())),
        }
        @if rows.is_empty() {
            p.empty {
                @if goes_on { (text!(lang, "products-none-yet")) }
                @else if is_later { (text!(lang, "products-none-more")) }
                @else if name.is_some() || state.is_none() { (text!(lang, "search-empty")) }
                @else { (text!(lang, "products-none-in-state")) }
            }
        } @else {
            (table(visit, &rows, from, &lost))
        }
        (parts::pager(lang, None, next.as_deref()))
    };
    Ok(Page { title: text!(lang, "nav-products"), nav: Nav::Products, body })
}

fn choice_text(lang: Lang, choice: Option<CoverageState>) -> String {
    match choice {
        None => text!(lang, "products-all"),
        Some(CoverageState::Late) => text!(lang, "products-late"),
        Some(CoverageState::Missing) => text!(lang, "products-missing"),
        Some(_) => text!(lang, "products-lost"),
    }
}

/// Lost publications of each product, however old: a loss stays one until its file is sent again.
type Losses = HashMap<ProductId, u64>;

/// The periods of a product in a state.
fn periods_in(row: &ProductCoverage, state: CoverageState, lost: &Losses) -> u64 {
    match state {
        CoverageState::Lost => lost.get(&row.product.id).copied().unwrap_or_default(),
        _ => row.count(state) as u64,
    }
}

/// The products of a page, and the cursor of the next one.
type Listed = (Vec<ProductCoverage>, Option<String>);

fn listed(page: ListPage<ProductCoverage>) -> Listed {
    let next = page.rows.last().map(|(cursor, _)| cursor.clone()).filter(|_| page.has_next);
    (page.rows.into_iter().map(|(_, row)| row).collect(), next)
}

/// The next products with a period in a state. Where these are rare, the next page goes on looking for them.
async fn in_state(
    queries: &Queries,
    request: &CoverageRequest,
    state: CoverageState,
    mut after: Option<String>,
) -> Result<Listed, ViewError> {
    let mut found: Vec<(String, ProductCoverage)> = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = queries.coverage_overview(request, Paging { after, ..Paging::first(FIRST_MAX) }).await?;
        after = page.rows.last().map(|(cursor, _)| cursor.clone()).filter(|_| page.has_next);
        found.extend(page.rows.into_iter().filter(|(_, row)| row.count(state) > 0));
        if after.is_none() || found.len() > ROWS_SHOWN {
            break;
        }
    }
    if found.len() > ROWS_SHOWN {
        found.truncate(ROWS_SHOWN);
        after = found.last().map(|(cursor, _)| cursor.clone());
    }
    Ok((found.into_iter().map(|(_, row)| row).collect(), after))
}

fn table(visit: &Visit, rows: &[ProductCoverage], from: jiff::civil::Date, lost: &Losses) -> Markup {
    let lang = visit.lang;
    let today = units::local(visit.now).date();
    html! {
        div.scroll tabindex="0" role="group" aria-label=(text!(lang, "nav-products")) {
            table.list data-rows {
                thead { tr {
                    th scope="col" { (text!(lang, "product")) }
                    th scope="col" { (text!(lang, "products-last-days", days = DAYS)) }
                    th scope="col" { (text!(lang, "status")) }
                    th.right scope="col" { (text!(lang, "publications")) }
                    th.right scope="col" { (text!(lang, "size-published")) }
                } }
                tbody {
                    @for row in rows {
                        @let product = &row.product;
                        tr {
                            th scope="row" {
                                a.title href={ "/products/" (product.id) } data-row { (parts::name(&product.name)) }
                                div.under { (parts::name(&product.process)) }
                            }
                            td { (calendar::strip(lang, &row.periods, from, today)) }
                            td {
                                @for state in STATES {
                                    @let count = periods_in(row, state, lost);
                                    @if count > 0 { (state.badge(lang)) " " (units::number(lang, count)) " " }
                                }
                            }
                            td.right data-label=(text!(lang, "publications")) { (units::number(lang, units::count(product.publication_count))) }
                            td.right data-label=(text!(lang, "size-published")) { (units::size(lang, units::count(product.size))) }
                        }
                    }
                }
            }
        }
    }
}
