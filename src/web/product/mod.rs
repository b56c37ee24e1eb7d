//! Products: their list, and for each the picture of its history.
mod calendar;
mod list;
mod plots;

use std::sync::Arc;

use jiff::civil::Date;
use maud::{Markup, html};

use super::publication::between;
use super::states::State;
use super::visit::address;
use super::{Nav, Page, ViewError, Visit, parts, units};
use crate::domain::{ProductId, RevisionId};
use crate::lang::text;
use crate::query::{
    Bucket, CoverageState, Dimension, Filter, JudgedPeriod, Order, Paging, Product, PublicationRequest, PublicationRow,
    Queries, StatsRequest,
};

pub use list::page as list;

/// Publications that are listed, and those that the plots are of.
const LISTED: usize = 12;
const PLOTTED: i64 = 366;

/// Years of the calendar: as shown first, and at most.
const YEARS_FIRST: i16 = 2;
const YEARS_MAX: i16 = 10;

pub async fn page(queries: &Queries, visit: &Visit, id: ProductId) -> Result<Page, ViewError> {
    let lang = visit.lang;
    let product = queries.products_by_id(&[id]).await?.remove(&id);
    let product = product.ok_or_else(|| crate::query::QueryError::NotFound { what: "product", id: id.to_string() })?;
    let today = units::local(visit.now).date();
    let years = visit.parameter("years").and_then(|text| text.parse().ok()).unwrap_or(YEARS_FIRST).clamp(1, YEARS_MAX);
    let first_year = product.first_period_start.map_or(today.year(), |start| start.0.year());
    let from_year = first_year.max(today.year() + 1 - years).min(today.year());
    let (from, to) = (jiff::civil::date(from_year, 1, 1), last_day(&product, today));
    let filter = || Filter { product_ids: Some(vec![id.0]), ..Filter::default() };
    let publications = PublicationRequest {
        search: None,
        search_in: crate::query::SearchIn::Names,
        scored: false,
        filter: filter(),
        as_of: None,
        order: Order::Period { descending: true },
        paging: Paging::first(PLOTTED),
    };
    let months = StatsRequest {
        search: None,
        search_in: crate::query::SearchIn::Names,
        filter: filter(),
        group_by: vec![Dimension::Archived(Bucket::Month)],
        limit: 1_000,
    };
    let ((granularity, periods), page, months) = tokio::try_join!(
        queries.judged_periods(id, from, to),
        queries.publications(publications),
        queries.publication_stats(months)
    )?;
    let rows = &page.list.rows;
    let all = address("/", [("productId", id.to_string().as_str())]);
    let is_older = first_year < from_year && years < YEARS_MAX;
    let older = is_older.then(|| visit.with("years", Some(&(years * 2).min(YEARS_MAX).to_string())));
    let body = html! {
        p.crumbs { a href="/products" { (text!(lang, "nav-products")) } " › " (parts::name(&product.process)) }
        h1 { (parts::name(&product.name)) }
        (facts(visit, &product, granularity))
        section aria-labelledby="calendar" {
            h2 #calendar { (text!(lang, "calendar")) }
            (calendar::calendar(lang, &periods, from, to))
            @if let Some(older) = older { p { a href=(older) { (text!(lang, "calendar-older")) } } }
            (noted(visit, &periods))
        }
        section aria-labelledby="publications" {
            h2 #publications { (text!(lang, "publications")) }
            @if rows.is_empty() {
                p.empty { (text!(lang, "product-empty")) }
            } @else {
                (super::search::rows_of_product(visit, rows.iter().take(LISTED).map(|(_, row)| &**row), "publications"))
                @if let Some((from, to)) = last_two(rows) {
                    p { a href=(between(from, to)) { (text!(lang, "compare-last")) } }
                }
                p { a href=(all) {
                    (text!(lang, "publications-all", count = page.list.total, shown = units::number(lang, page.list.total)))
                } }
            }
        }
        (plots::plots(lang, &rows.iter().map(|(_, row)| &**row).collect::<Vec<_>>(), &months))
        (aliases(visit, &product))
    };
    Ok(Page { title: product.name.clone(), nav: Nav::Products, body })
}

/// The files of the last two publications.
fn last_two(rows: &[(String, Arc<PublicationRow>)]) -> Option<(RevisionId, RevisionId)> {
    let stored = |row: &PublicationRow| row.revision.as_ref().filter(|one| one.purged_at.is_none()).map(|one| one.id);
    let mut files = rows.iter().filter_map(|(_, row)| stored(row));
    let (to, from) = (files.next()?, files.next()?);
    Some((from, to))
}

/// Today, or the end of a period that is announced already, within this year.
fn last_day(product: &Product, today: Date) -> Date {
    let last = product.last_period_end.map_or(today, |end| end.0.date());
    last.clamp(today, today.last_of_year())
}

fn facts(visit: &Visit, product: &Product, granularity: crate::domain::Granularity) -> Markup {
    let lang = visit.lang;
    let number = |value: i32| units::number(lang, units::count(value));
    html! {
        dl.facts {
            @if !product.macro_process.is_empty() {
                div { dt { (text!(lang, "macro-process")) } dd { (parts::name(&product.macro_process)) } }
            }
            div { dt { (text!(lang, "granularity")) } dd { (parts::granularity_text(lang, granularity)) } }
            div { dt { (text!(lang, "publications")) } dd { (number(product.publication_count)) } }
            div { dt { (text!(lang, "revisions")) } dd { (number(product.revision_count)) } }
            div { dt { (text!(lang, "size-published")) } dd { (units::size(lang, units::count(product.size))) } }
            div { dt { (text!(lang, "size-stored")) } dd { (units::size(lang, units::count(product.stored_size))) } }
            @if let Some(path) = &product.list_path {
                div { dt { (text!(lang, "list-path")) } dd { code { (path) } } }
            }
        }
    }
}

/// Rows of the list under the calendar.
const NOTED: usize = 20;

/// What someone should look at, the last first: what is late, missing or lost.
fn noted(visit: &Visit, periods: &[JudgedPeriod]) -> Markup {
    let lang = visit.lang;
    let is_noted =
        |one: &&JudgedPeriod| matches!(one.state, CoverageState::Late | CoverageState::Missing | CoverageState::Lost);
    let found: Vec<&JudgedPeriod> = periods.iter().rev().filter(is_noted).collect();
    html! {
        @if !found.is_empty() {
            details.noted open[found.len() <= 5] {
                summary { (text!(lang, "calendar-noted", count = found.len())) }
                ul {
                    @for one in found.iter().take(NOTED) {
                        li {
                            (one.state.badge(lang)) " "
                            @if let Some(publication) = one.publication {
                                a href={ "/publications/" (publication) } { (units::period(lang, one.period)) }
                            } @else { (units::period(lang, one.period)) }
                            @if let Some(due) = one.due_at {
                                " · " span.soft { (text!(lang, "due-at", at = units::minute(lang, due))) }
                            }
                        }
                    }
                    @if found.len() > NOTED { li.soft { (text!(lang, "facet-more", count = found.len() - NOTED)) } }
                }
                p.note { (text!(lang, "calendar-noted-help")) }
            }
        }
    }
}

fn aliases(visit: &Visit, product: &Product) -> Markup {
    let lang = visit.lang;
    let mut all: Vec<_> = product.aliases.iter().collect();
    all.sort_by_key(|alias| std::cmp::Reverse(alias.last_seen_at));
    html! {
        @if all.len() > 1 {
            section aria-labelledby="aliases" {
                h2 #aliases { (text!(lang, "aliases")) }
                div.scroll tabindex="0" role="group" aria-labelledby="aliases" {
                    table {
                        thead { tr {
                            th scope="col" { (text!(lang, "name")) }
                            th scope="col" { (text!(lang, "first-seen")) }
                            th scope="col" { (text!(lang, "last-seen")) }
                        } }
                        tbody {
                            @for alias in all {
                                tr {
                                    td.wrap { (parts::name(&alias.name)) }
                                    td { (units::instant(lang, visit.now, alias.first_seen_at)) }
                                    td { (units::instant(lang, visit.now, alias.last_seen_at)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
