//! The results as a table.
use std::collections::HashMap;

use maud::{Markup, html};

use crate::domain::{PublicationStatus, RevisionId};
use crate::lang::{Lang, text};
use crate::query::{ContentMatch, PublicationRow, Revision};
use crate::web::states::State;
use crate::web::visit::address;
use crate::web::{Visit, parts, units};

/// Where a search inside files found its words.
pub type Matches = HashMap<RevisionId, Vec<ContentMatch>>;

/// Publications of any products. `heading` is the id of what names the table.
pub fn table<'a>(
    visit: &Visit,
    rows: impl Iterator<Item = &'a PublicationRow>,
    heading: &str,
    matches: &Matches,
) -> Markup {
    table_of(visit, rows, heading, false, matches)
}

/// Publications of one product: each is named by its period.
pub fn table_of_product<'a>(visit: &Visit, rows: impl Iterator<Item = &'a PublicationRow>, heading: &str) -> Markup {
    table_of(visit, rows, heading, true, &Matches::new())
}

fn table_of<'a>(
    visit: &Visit,
    rows: impl Iterator<Item = &'a PublicationRow>,
    heading: &str,
    is_of_product: bool,
    matches: &Matches,
) -> Markup {
    let lang = visit.lang;
    html! {
        div.scroll tabindex="0" role="group" aria-labelledby=(heading) {
            table.list data-rows {
                thead {
                    tr {
                        @if !is_of_product { th scope="col" { (text!(lang, "product")) } }
                        th scope="col" { (text!(lang, "period")) }
                        th scope="col" { (text!(lang, "revision")) }
                        th.right scope="col" { (text!(lang, "size")) }
                        th scope="col" { (text!(lang, "arrived")) }
                        th scope="col" { span.visually-hidden { (text!(lang, "download")) } }
                    }
                }
                tbody { @for one in rows { (row(visit, one, is_of_product, matches)) } }
            }
        }
    }
}

fn row(visit: &Visit, row: &PublicationRow, is_of_product: bool, matches: &Matches) -> Markup {
    let lang = visit.lang;
    let publication = &row.publication;
    let file_name = row.revision.as_ref().map(|revision| revision.file_name.as_str());
    html! {
        tr {
            th scope="row" {
                a.title href={ "/publications/" (publication.id) } data-row {
                    @if is_of_product { (units::period(lang, publication.period)) } @else { (parts::name(&publication.name)) }
                }
                div.under {
                    @if row.status() != PublicationStatus::Archived { (row.status().badge(lang)) " " }
                    @if let Some(file_name) = file_name { (parts::name(file_name)) } @else { (parts::name(&publication.process)) }
                }
                @if let Some(revision) = &row.revision {
                    @for one in matches.get(&revision.id).into_iter().flatten() { (found(visit.lang, revision.id, one)) }
                }
            }
            @if !is_of_product { td { (units::period(lang, publication.period)) } }
            td {
                @if let Some(revision) = &row.revision {
                    (text!(lang, "revision-of", number = revision.number, count = publication.revision_count))
                }
            }
            td.right { @if let Some(revision) = &row.revision { (units::size(lang, revision.file.size)) } }
            td { (units::instant(lang, visit.now, row.received_at())) }
            td { @if let Some(revision) = &row.revision { (download(visit, revision)) } }
        }
    }
}

/// The link to a revision's file, while it is stored.
fn download(visit: &Visit, revision: &Revision) -> Markup {
    let lang = visit.lang;
    html! {
        @if revision.purged_at.is_none() {
            a.download href={ "/files/" (revision.id) } download {
                span aria-hidden="true" { "↓" }
                span.visually-hidden { (text!(lang, "download-of", name = revision.file_name.clone())) }
            }
        }
    }
}

/// A line with the words of the search, and where it is.
fn found(lang: Lang, revision: RevisionId, one: &ContentMatch) -> Markup {
    let member = one.path.as_deref().unwrap_or_default();
    let place = &one.line.place;
    // Pages and rows of workbooks say what they are.
    let is_line = place.chars().all(|c| c.is_ascii_digit());
    let place = if is_line { text!(lang, "found-line", number = place.clone()) } else { place.clone() };
    html! {
        div.found {
            a href=(address(&format!("/revisions/{revision}"), [("member", member)])) {
                @if let Some(path) = &one.path { (parts::name(path)) ", " }
                (parts::name(&place))
            }
            " "
            @for fragment in &one.line.fragments {
                @if fragment.is_match { mark { (parts::name(&fragment.text)) } } @else { (parts::name(&fragment.text)) }
            }
        }
    }
}
