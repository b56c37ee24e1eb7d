//! A revision's file: what it is, its members as a tree, and a preview. Its bytes are somebody else's: they are shown as text, as
//! tables and as pictures, and everything else is downloaded.
mod members;
mod preview;

use maud::{Markup, html};

use super::{Nav, Page, ViewError, Visit, parts, units};
use crate::domain::{RevisionId, printable};
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
    let (members, more) = match revision.purged_at {
        None => all_members(queries, &row).await?,
        Some(_) => (Vec::new(), 0),
    };
    let previewed = match revision.purged_at {
        None if member.is_some() || members.is_empty() => Some(queries.preview(revision, member, sheet).await?),
        _ => None,
    };
    let body = html! {
        p.crumbs {
            a href={ "/products/" (row.publication.product_id) } { (parts::name(&row.publication.name)) } " › "
            a href={ "/publications/" (row.publication.id) } { (units::period(lang, row.publication.period)) }
        }
        h1 { (parts::name(&revision.file_name)) }
        (facts(visit, &row))
        @for warning in &revision.warnings { p.note lang="en" { (printable(warning)) } }
        div.file {
            @if !members.is_empty() {
                section aria-labelledby="members" {
                    h2 #members { (text!(lang, "members-count", count = members.len() + more)) }
                    (members::tree(queries, visit, id, &members, member))
                    @if more > 0 { p.note { (text!(lang, "facet-more", count = more)) } }
                }
            }
            @if let Some(previewed) = previewed { (shown(queries, visit, id, member, &previewed)) }
        }
    };
    Ok(Page { title: revision.file_name.clone(), nav: Nav::None, body })
}

/// The first members, and how many more there are.
async fn all_members(queries: &Queries, row: &RevisionRow) -> Result<(Vec<Member>, usize), ViewError> {
    let mut all = Vec::new();
    let mut paging = Paging::first(crate::query::FIRST_MAX);
    loop {
        let page = queries.members(&row.revision, None, &paging).await?;
        paging.after = page.rows.last().map(|(cursor, _)| cursor.clone());
        all.extend(page.rows.into_iter().map(|(_, row)| row.member));
        if !page.has_next || all.len() >= MEMBERS {
            let total = usize::try_from(page.total).unwrap_or(usize::MAX);
            all.truncate(MEMBERS);
            let more = total.saturating_sub(all.len());
            return Ok((all, more));
        }
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
