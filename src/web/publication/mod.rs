//! A publication: its revisions as a line in time, and which of them counted at an instant.
mod compare;
mod notes;

use maud::{Markup, html};

use super::states::State;
use super::{Nav, Page, ViewError, Visit, parts, units};
use crate::domain::{PublicationId, PublicationStatus, excerpt, parse_as_of};
use crate::lang::text;
use crate::query::{
    Filter, Order, Paging, PublicationRequest, PublicationRow, Queries, QueryError, Revision, RevisionRow,
};

pub use compare::{between, page as compare};

pub async fn page(queries: &Queries, visit: &Visit, id: PublicationId) -> Result<Page, ViewError> {
    let lang = visit.lang;
    let not_found = || QueryError::NotFound { what: "publication", id: id.to_string() };
    let row = queries.publication_rows(&[id]).await?.remove(&id).ok_or_else(not_found)?;
    let mut revisions = queries.revisions_of(&[id]).await?.remove(&id).unwrap_or_default();
    revisions.sort_by_key(|row| std::cmp::Reverse(row.revision.number));
    let as_of = visit.parameter("asOf");
    let counted = match as_of {
        Some(text) => Some(revision_at(queries, visit, id, text).await?),
        None => None,
    };
    let before = previous(queries, &row, &revisions).await?;
    let publication = &row.publication;
    let body = html! {
        (crumbs(&row))
        h1 { (parts::name(&publication.name)) " " span.soft { (units::period(lang, publication.period)) } }
        dl.facts {
            div { dt { (text!(lang, "status")) } dd { (row.status().badge(lang)) " " span.soft { (row.status().meaning(lang)) } } }
            div { dt { (text!(lang, "reference-date")) } dd { (parts::name(&publication.reference_date)) } }
            div { dt { (text!(lang, "period")) } dd { (units::period(lang, publication.period)) } }
            div { dt { (text!(lang, "granularity")) } dd { (parts::granularity_text(lang, publication.granularity)) } }
            div { dt { (text!(lang, "process")) } dd { (parts::name(&publication.process)) } }
            div { dt { (text!(lang, "last-notification")) } dd { (units::instant(lang, visit.now, publication.received_at)) } }
        }
        @if revisions.is_empty() {
            @if row.status() == PublicationStatus::Lost {
                p.alert { (text!(lang, "press-enviar")) }
            } @else {
                p.empty { (text!(lang, "publication-empty")) }
            }
        } @else {
            section aria-labelledby="revisions" {
                h2 #revisions { (text!(lang, "revisions-in-time")) }
                (as_of_form(visit, as_of, counted.as_ref()))
                (timeline(visit, &revisions, counted.as_ref().and_then(Option::as_ref)))
            }
            (compare::choice(visit, &revisions, before.as_ref()))
        }
    };
    let title = format!("{} – {}", publication.name, units::period(lang, publication.period));
    Ok(Page { title, nav: Nav::None, body })
}

pub fn crumbs(row: &PublicationRow) -> Markup {
    let publication = &row.publication;
    html! {
        p.crumbs {
            a href={ "/products/" (publication.product_id) } { (parts::name(&publication.name)) }
        }
    }
}

/// The revision that was the latest at an instant; none if the archive had none.
async fn revision_at(
    queries: &Queries,
    visit: &Visit,
    id: PublicationId,
    text: &str,
) -> Result<Option<Revision>, ViewError> {
    let at = parse_as_of(text)
        .ok_or_else(|| ViewError::BadInput(text!(visit.lang, "bad-parameter", name = "asOf", value = excerpt(text))))?;
    let request = PublicationRequest {
        search: None,
        search_in: crate::query::SearchIn::Names,
        scored: false,
        filter: Filter { ids: Some(vec![id.0]), ..Filter::default() },
        as_of: Some(at),
        order: Order::Period { descending: true },
        paging: Paging::first(1),
    };
    let page = queries.publications(request).await?;
    Ok(page.list.rows.first().and_then(|(_, row)| row.revision.clone()))
}

/// The file of the series before this publication's first one.
async fn previous(
    queries: &Queries,
    row: &PublicationRow,
    revisions: &[RevisionRow],
) -> Result<Option<(RevisionRow, Revision)>, ViewError> {
    let (Some(latest), Some(first)) = (row.revision.as_ref(), revisions.last()) else { return Ok(None) };
    if latest.purged_at.is_some() {
        return Ok(None);
    }
    let chosen = match queries.with_previous(first.revision.id.0).await {
        Ok(chosen) => chosen,
        // It is the first of its product.
        Err(QueryError::BadInput(_)) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    Ok(Some((queries.revision(chosen.from).await?, latest.clone())))
}

fn as_of_form(visit: &Visit, as_of: Option<&str>, counted: Option<&Option<Revision>>) -> Markup {
    let lang = visit.lang;
    html! {
        form.at action=(visit.path) method="get" {
            label {
                span { (text!(lang, "as-of")) }
                input type="date" name="asOf" value=[as_of.filter(|text| text.len() == 10)] title=(text!(lang, "as-of-help"));
            }
            button.quiet type="submit" { (text!(lang, "as-of-show")) }
            @if let Some(counted) = counted {
                p role="status" {
                    @match counted {
                        Some(revision) => { strong { (text!(lang, "as-of-was", number = revision.number)) } },
                        None => { (text!(lang, "as-of-none")) },
                    }
                }
            }
        }
    }
}

fn timeline(visit: &Visit, revisions: &[RevisionRow], counted: Option<&Revision>) -> Markup {
    let lang = visit.lang;
    html! {
        ol.timeline reversed {
            @for RevisionRow { revision, .. } in revisions {
                li data-counted[counted.is_some_and(|one| one.id == revision.id)]
                    data-latest[revision.superseded_at.is_none()] {
                    div.what {
                        strong { (text!(lang, "revision-number", number = revision.number)) } " "
                        a href={ "/revisions/" (revision.id) } { (parts::name(&revision.file_name)) } " "
                        span.soft { (units::size(lang, revision.file.size)) } " "
                        @if revision.purged_at.is_some() {
                            (PublicationStatus::Purged.badge(lang))
                        } @else {
                            a.download href={ "/files/" (revision.id) } download {
                                span aria-hidden="true" { "↓" }
                                span.visually-hidden { (text!(lang, "download-of", name = revision.file_name.clone())) }
                            }
                        }
                        @if revision.held { " " span.badge { (text!(lang, "held")) } }
                    }
                    div.when {
                        (text!(lang, "archived")) " " (units::instant(lang, visit.now, revision.archived_at))
                        @if let Some(at) = revision.superseded_at {
                            " · " (text!(lang, "superseded")) " " (units::instant(lang, visit.now, at))
                        } @else {
                            " · " strong { (text!(lang, "latest")) }
                        }
                    }
                }
            }
        }
    }
}
