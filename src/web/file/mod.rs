//! A revision's file: what it is, its members as a tree, and a preview. Its bytes are somebody else's: they are shown as text, as
//! tables and as pictures, and everything else is downloaded.
mod members;
mod preview;

use maud::{Markup, html};

use super::{Nav, Page, ViewError, Visit, parts, units};
use crate::domain::RevisionId;
use crate::lang::text;
use crate::query::{Member, Paging, Preview, PreviewContent, Queries, RevisionRow};

/// Members that are listed.
const MEMBERS: usize = 3_000;

pub async fn page(queries: &Queries, visit: &Visit, id: RevisionId) -> Result<Page, ViewError> {
    let lang = visit.lang;
    let row = queries.revision(id).await?;
    let revision = &row.revision;
    let member = visit.exact("member");
    let sheet = visit.parameter("sheet").and_then(|text| text.parse().ok()).unwrap_or(0);
    let listed = match revision.purged_at {
        None => Listed::read(queries, &row, visit.parameter("match")).await?,
        Some(_) => Listed::default(),
    };
    let previewed = match revision.purged_at {
        None if member.is_some() || listed.total == 0 => Some(queries.preview(revision, member, sheet).await?),
        _ => None,
    };
    let body = html! {
        p.crumbs {
            a href={ "/products/" (row.publication.product_id) } { (parts::name(&row.publication.name)) } " › "
            a href={ "/publications/" (row.publication.id) } { (units::period(lang, row.publication.period)) }
        }
        h1 { (parts::name(&revision.file_name)) }
        (facts(visit, &row))
        @for warning in &revision.warnings { p.note { (parts::reason(lang, warning)) } }
        div.file {
            @if listed.total > 0 { (members::section(queries, visit, id, &listed, member)) }
            @if let Some(previewed) = previewed { (shown(queries, visit, id, member, &previewed)) }
        }
    };
    Ok(Page { title: revision.file_name.clone(), nav: Nav::None, body })
}

/// The members of a file, as far as they are listed.
#[derive(Default)]
struct Listed {
    /// The first of those that match.
    members: Vec<Member>,
    matching: usize,
    /// Of the whole file.
    total: usize,
}

impl Listed {
    async fn read(queries: &Queries, row: &RevisionRow, text: Option<&str>) -> Result<Self, ViewError> {
        let count = |total: u64| usize::try_from(total).unwrap_or(usize::MAX);
        let mut members = Vec::new();
        let mut paging = Paging::first(crate::query::FIRST_MAX);
        let matching = loop {
            let page = queries.members(&row.revision, text, &paging).await?;
            paging.after = page.rows.last().map(|(cursor, _)| cursor.clone());
            members.extend(page.rows.into_iter().map(|(_, row)| row.member));
            if !page.has_next || members.len() >= MEMBERS {
                break count(page.total);
            }
        };
        members.truncate(MEMBERS);
        let total = match text {
            Some(_) => count(queries.members(&row.revision, None, &Paging::first(1)).await?.total),
            None => matching,
        };
        Ok(Self { members, matching, total })
    }
}

fn facts(visit: &Visit, row: &RevisionRow) -> Markup {
    let lang = visit.lang;
    let revision = &row.revision;
    let digest = revision.file.digest.to_string();
    html! {
        @if let Some(at) = revision.purged_at {
            p.empty { (text!(lang, "file-purged", at = units::minute(lang, at))) }
        } @else {
            p.actions {
                a.button href={ "/files/" (revision.id) } download { "↓ " (text!(lang, "download")) " (" (units::size(lang, revision.file.size)) ")" }
            }
        }
        dl.facts {
            div { dt { (text!(lang, "revision")) } dd { (text!(lang, "revision-of", number = revision.number, count = row.publication.revision_count)) } }
            div { dt { (text!(lang, "size-published")) } dd { (units::size(lang, revision.file.size)) } }
            div { dt { (text!(lang, "size-stored")) } dd { (units::size(lang, revision.file.stored_size)) } }
            div { dt { (text!(lang, "arrived")) } dd { (units::instant(lang, visit.now, revision.received_at)) } }
            div { dt { (text!(lang, "state-archived")) } dd { (units::instant(lang, visit.now, revision.archived_at)) } }
            div.wide {
                dt { "SHA-256" }
                dd {
                    code { (digest) } " "
                    button.quiet type="button" data-copy=(digest) data-done=(text!(lang, "copied")) hidden { (text!(lang, "copy")) }
                }
            }
        }
    }
}

fn shown(queries: &Queries, visit: &Visit, id: RevisionId, member: Option<&str>, previewed: &Preview) -> Markup {
    let lang = visit.lang;
    html! {
        section.preview aria-labelledby="preview" {
            h2 #preview {
                @if let Some(member) = member { (parts::name(member)) } @else { (text!(lang, "preview")) }
                " " span.soft { (units::size(lang, previewed.size)) }
            }
            @if let Some(member) = member {
                p { a href=(queries.member_path(id, member)) download { "↓ " (text!(lang, "download-member")) } }
            }
            @if !matches!(previewed.content, PreviewContent::Members) || member.is_none() {
                (preview::content(visit, id, member, previewed))
            }
        }
    }
}
