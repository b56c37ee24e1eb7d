//! What changed between two revisions: members of zips, text by line, cells of workbooks.
use maud::{Markup, html};

use super::notes;
use crate::domain::{RevisionId, excerpt, printable};
use crate::lang::{Lang, text};
use crate::query::{
    CellChange, ContentChange, DiffText, MemberChange, MemberChangeKind, Queries, Revision, RevisionDiff, RevisionRow,
};
use crate::web::visit::address;
use crate::web::{Nav, Page, ViewError, Visit, parts, units};

/// Lines of a diff, members and cells that are shown.
const LINES: usize = 2_000;
const MEMBERS: usize = 500;
const CELLS: usize = 200;

/// Which revisions to compare. The last two are chosen first.
pub fn choice(visit: &Visit, revisions: &[RevisionRow], before: Option<&(RevisionRow, Revision)>) -> Markup {
    let lang = visit.lang;
    let stored: Vec<&Revision> =
        revisions.iter().map(|row| &row.revision).filter(|revision| revision.purged_at.is_none()).collect();
    let option = |revision: &Revision, is_chosen: bool| {
        html! {
            option value=(revision.id) selected[is_chosen] {
                (text!(lang, "revision-number", number = revision.number)) " · " (units::minute(lang, revision.archived_at))
            }
        }
    };
    html! {
        @if stored.len() > 1 || before.is_some() {
            section aria-labelledby="compare" {
                h2 #compare { (text!(lang, "compare")) }
                @if stored.len() > 1 {
                    form.compare action="/compare" method="get" {
                        label {
                            span { (text!(lang, "compare-from")) }
                            select name="from" { @for (at, one) in stored.iter().enumerate() { (option(one, at == 1)) } }
                        }
                        label {
                            span { (text!(lang, "compare-to")) }
                            select name="to" { @for (at, one) in stored.iter().enumerate() { (option(one, at == 0)) } }
                        }
                        button type="submit" { (text!(lang, "compare-button")) }
                    }
                }
                @if let Some((from, to)) = before {
                    p {
                        a href=(between(from.revision.id, to.id)) {
                            (text!(lang, "compare-previous", period = units::period(lang, from.publication.period)))
                        }
                    }
                }
            }
        }
    }
}

pub fn between(from: RevisionId, to: RevisionId) -> String {
    address("/compare", [("from", from.to_string().as_str()), ("to", to.to_string().as_str())])
}

pub async fn page(queries: &Queries, visit: &Visit) -> Result<Page, ViewError> {
    let lang = visit.lang;
    let id = |name: &'static str| {
        let text = visit.parameter(name).unwrap_or_default();
        text.parse::<RevisionId>()
            .map_err(|_| ViewError::BadInput(text!(lang, "bad-parameter", name = name, value = excerpt(text))))
    };
    let (from, to) = (id("from")?, id("to")?);
    let (shown, rows) = match visit.exact("member") {
        Some(member) => {
            let rows = (queries.revision(from).await?, queries.revision(to).await?);
            let diff = queries.diff_text(from, to, Some(member)).await?;
            let shown = html! {
                p { a href=(between(from, to)) { "‹ " (text!(lang, "compare-all-members")) } }
                h2 { (parts::name(member)) }
                (notes::notes(lang, &diff.notes))
                (lines(lang, &diff))
            };
            (shown, rows)
        }
        None => {
            let diff = queries.revision_diff(from, to).await?;
            let text = match diff.content.lines_added.or(diff.content.lines_removed) {
                Some(_) => Some(queries.diff_text(from, to, None).await?),
                None => None,
            };
            let shown = html! {
                (summary(lang, &diff))
                (members(lang, &diff))
                (cells(lang, &diff.content.cells, diff.content.cells_changed))
                @if let Some(text) = text { (lines(lang, &text)) }
            };
            (shown, (diff.from, diff.to))
        }
    };
    let (from, to) = (&rows.0, &rows.1);
    let body = html! {
        p.crumbs { a href={ "/publications/" (to.publication.id) } { (parts::name(&to.publication.name)) } }
        h1 { (text!(lang, "compare-title")) }
        div.sides {
            (side(visit, text!(lang, "compare-from"), from))
            (side(visit, text!(lang, "compare-to"), to))
        }
        p { a href=(between(to.revision.id, from.revision.id)) rel="nofollow" { (text!(lang, "compare-swap")) } }
        (shown)
    };
    Ok(Page { title: text!(lang, "compare-title"), nav: Nav::None, body })
}

fn side(visit: &Visit, label: String, row: &RevisionRow) -> Markup {
    let lang = visit.lang;
    html! {
        div.side {
            h2 { (label) }
            p {
                a href={ "/publications/" (row.publication.id) } { (units::period(lang, row.publication.period)) }
                " · " (text!(lang, "revision-number", number = row.revision.number))
            }
            p { a href={ "/revisions/" (row.revision.id) } { (parts::name(&row.revision.file_name)) } " "
                span.soft { (units::size(lang, row.revision.file.size)) } }
            p.soft { (units::instant(lang, visit.now, row.revision.archived_at)) }
        }
    }
}

fn summary(lang: Lang, diff: &RevisionDiff) -> Markup {
    let count = |value: u64| units::number(lang, value);
    let has_members = !diff.members.is_empty() || !diff.renamed.is_empty();
    html! {
        @if diff.is_same {
            p.empty { (text!(lang, "compare-same")) }
        } @else if has_members {
            // As the table below counts: a renamed member is neither new nor removed.
            @let renamed = diff.renamed.len() as u64;
            @let (added, removed) = (diff.added.saturating_sub(renamed), diff.removed.saturating_sub(renamed));
            @let counts = [
                (added, "plus", text!(lang, "members-added", count = added, shown = count(added))),
                (removed, "minus", text!(lang, "members-removed", count = removed, shown = count(removed))),
                (diff.changed, "same", text!(lang, "members-changed", count = diff.changed, shown = count(diff.changed))),
                (renamed, "same", text!(lang, "members-renamed", count = renamed, shown = count(renamed))),
            ];
            p.counts {
                @for (at, (_, class, text)) in counts.iter().filter(|(count, ..)| *count > 0).enumerate() {
                    @if at > 0 { " · " }
                    span class=(class) { (text) }
                }
            }
        } @else {
            p.counts {
                @match changed(lang, &diff.content) {
                    Some(changed) => { (changed) },
                    None => { (text!(lang, "compare-binary")) },
                }
            }
        }
        (notes::notes(lang, diff.notes.iter().chain(&diff.content.notes)))
    }
}

/// The numbers of a content's change.
fn changed(lang: Lang, content: &ContentChange) -> Option<Markup> {
    let (added, removed) = (content.lines_added.unwrap_or(0), content.lines_removed.unwrap_or(0));
    if let Some(cells) = content.cells_changed {
        return Some(html! { (text!(lang, "cells-changed", count = cells, shown = units::number(lang, cells))) });
    }
    (content.lines_added.is_some() || content.lines_removed.is_some()).then(|| {
        html! {
            span.plus { "+" (units::number(lang, added)) } " "
            span.minus { "−" (units::number(lang, removed)) } " "
            (text!(lang, "lines"))
        }
    })
}

fn members(lang: Lang, diff: &RevisionDiff) -> Markup {
    // A renamed member is one row, not one that was removed and one that was added.
    let is_renamed = |one: &&MemberChange| {
        diff.renamed.iter().any(|renamed| match one.kind {
            MemberChangeKind::Added => renamed.path == one.path,
            MemberChangeKind::Removed => renamed.path_before.as_ref() == Some(&one.path),
            MemberChangeKind::Changed => false,
        })
    };
    let mut all: Vec<&MemberChange> = diff.members.iter().filter(|one| !is_renamed(one)).chain(&diff.renamed).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    let (from, to) = (diff.from.revision.id.to_string(), diff.to.revision.id.to_string());
    html! {
        @if !all.is_empty() {
            div.scroll tabindex="0" role="group" aria-label=(text!(lang, "members")) {
                table.members {
                    thead { tr {
                        th scope="col" { (text!(lang, "member")) }
                        th scope="col" { (text!(lang, "change")) }
                        th.right scope="col" { (text!(lang, "size-before")) }
                        th.right scope="col" { (text!(lang, "size-after")) }
                    } }
                    tbody {
                        @for one in all.iter().take(MEMBERS) {
                            tr {
                                th scope="row" {
                                    (kind(lang, one)) " "
                                    a href=(address("/compare", [("from", from.as_str()), ("to", &to), ("member", &one.path)])) {
                                        (parts::name(&one.path))
                                    }
                                    @if let Some(before) = &one.path_before {
                                        div.under { (text!(lang, "renamed-from")) " " (parts::name(before)) }
                                    }
                                }
                                td {
                                    @if let Some(changed) = changed(lang, &one.content) { (changed) }
                                    @else if one.kind == MemberChangeKind::Changed && one.content.notes.is_empty() {
                                        span.soft { (text!(lang, "change-not-text")) }
                                    }
                                    (notes::notes(lang, &one.content.notes))
                                }
                                td.right { @if let Some(size) = one.size_before { (units::size(lang, size)) } }
                                td.right { @if let Some(size) = one.size_after { (units::size(lang, size)) } }
                            }
                        }
                    }
                }
            }
            @if all.len() > MEMBERS { p.note { (text!(lang, "facet-more", count = all.len() - MEMBERS)) } }
        }
    }
}

fn kind(lang: Lang, change: &MemberChange) -> Markup {
    let (name, text) = match (change.kind, &change.path_before) {
        (_, Some(_)) => ("renamed", text!(lang, "kind-renamed")),
        (MemberChangeKind::Added, None) => ("added", text!(lang, "kind-added")),
        (MemberChangeKind::Removed, None) => ("removed", text!(lang, "kind-removed")),
        (MemberChangeKind::Changed, None) => ("changed", text!(lang, "kind-changed")),
    };
    html! { span.badge data-kind=(name) { (text) } }
}

fn cells(lang: Lang, cells: &[CellChange], count: Option<u64>) -> Markup {
    html! {
        @if !cells.is_empty() {
            div.scroll tabindex="0" role="group" aria-label=(text!(lang, "cells")) {
                table {
                    thead { tr {
                        th scope="col" { (text!(lang, "sheet")) }
                        th scope="col" { (text!(lang, "cell")) }
                        th scope="col" { (text!(lang, "value-before")) }
                        th scope="col" { (text!(lang, "value-after")) }
                    } }
                    tbody {
                        @for one in cells.iter().take(CELLS) {
                            tr {
                                td.wrap { (parts::name(&one.sheet)) }
                                td { (one.cell) }
                                td.wrap { @if let Some(value) = &one.before { del { (parts::name(value)) } } }
                                td.wrap { @if let Some(value) = &one.after { ins { (parts::name(value)) } } }
                            }
                        }
                    }
                }
            }
            @let more = count.unwrap_or_default().saturating_sub(cells.len().min(CELLS) as u64);
            @if more > 0 { p.note { (text!(lang, "facet-more", count = more)) } }
        }
    }
}

/// A unified diff, in colours. What it says of itself is said by the view: the names of both sides, and notes.
fn lines(lang: Lang, diff: &DiffText) -> Markup {
    let is_ours = |line: &&str| line.starts_with('#') || line.starts_with("Binary files ");
    let has_names = diff.text.lines().find(|line| !is_ours(line)).is_some_and(|line| line.starts_with("--- "));
    let mut shown = diff.text.lines().filter(|line| !is_ours(line)).skip(if has_names { 2 } else { 0 }).peekable();
    html! {
        @if shown.peek().is_none() {
            @if diff.notes.is_empty() { p.empty { (text!(lang, "compare-same")) } }
        } @else {
            pre.diff tabindex="0" role="group" aria-label=(text!(lang, "compare-title")) {
                @for line in shown.by_ref().take(LINES) {
                    @match line.as_bytes().first() {
                        Some(b'+') => { ins { (printable(line)) } "\n" },
                        Some(b'-') => { del { (printable(line)) } "\n" },
                        Some(b'@') => { b { (printable(line)) } "\n" },
                        Some(b'\\') => { i { "\\ " (text!(lang, "diff-no-end")) } "\n" },
                        _ => { (printable(line)) "\n" },
                    }
                }
            }
            @let more = shown.count();
            @if more > 0 { p.note { (text!(lang, "lines-cut", count = LINES, total = units::number(lang, (LINES + more) as u64))) } }
            @if diff.is_cut { p.note { (text!(lang, "diff-cut")) } }
        }
    }
}
