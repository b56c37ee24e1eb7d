//! What a file or a member looks like.
use maud::{Markup, html};

use crate::domain::{RevisionId, printable};
use crate::lang::{Lang, text};
use crate::query::{Preview, PreviewContent};
use crate::web::visit::address;
use crate::web::{Visit, parts, units};

pub fn content(visit: &Visit, id: RevisionId, member: Option<&str>, previewed: &Preview) -> Markup {
    let lang = visit.lang;
    let at = |sheet: Option<String>| {
        let sheet = sheet.unwrap_or_default();
        address(&visit.path, [("member", member.unwrap_or_default()), ("sheet", sheet.as_str())])
    };
    let inline = address(&format!("/revisions/{id}/inline"), [("member", member.unwrap_or_default())]);
    match &previewed.content {
        PreviewContent::Text { text, encoding, is_cut } => html! {
            (said(lang, Some(encoding), *is_cut))
            pre.text tabindex="0" aria-label=(text!(lang, "preview")) { "\n" (text) }
        },
        PreviewContent::Table { rows, encoding, is_cut } => html! {
            (said(lang, Some(encoding), *is_cut))
            (table(lang, rows, true))
        },
        PreviewContent::Sheet(view) => {
            let chosen: usize = visit.parameter("sheet").and_then(|text| text.parse().ok()).unwrap_or(0);
            html! {
                nav.tabs aria-label=(text!(lang, "sheets")) {
                    @for (position, name) in view.sheets.iter().enumerate() {
                        a href={ (at(Some(position.to_string()))) "#preview" } aria-current=[(position == chosen).then_some("true")] {
                            (parts::name(name))
                        }
                    }
                }
                (said(lang, None, view.is_cut))
                @if view.rows.is_empty() { p.empty { (text!(lang, "sheet-empty")) } } @else { (table(lang, &view.rows, false)) }
            }
        }
        PreviewContent::Inline("application/pdf") => html! {
            p { a.button href=(inline) target="_blank" rel="noopener" { (text!(lang, "open-pdf")) } }
        },
        PreviewContent::Inline(_) => html! {
            a href=(inline) target="_blank" rel="noopener" { img.picture src=(inline) alt=(printable(&previewed.name)); }
        },
        PreviewContent::Members => html! { p.empty { (text!(lang, "members-none")) } },
        PreviewContent::Unreadable(why) => html! {
            p.empty { (text!(lang, "preview-unreadable")) }
            p.note { (parts::reason(lang, why)) }
        },
        PreviewContent::TooLarge { bytes_max } => html! {
            p.empty { (text!(lang, "preview-too-large", max = units::size(lang, *bytes_max))) }
        },
        PreviewContent::Binary => html! { p.empty { (text!(lang, "preview-binary")) } },
    }
}

/// The encoding, and whether the content goes on.
fn said(lang: Lang, encoding: Option<&str>, is_cut: bool) -> Markup {
    html! {
        p.note {
            @if let Some(encoding) = encoding { (encoding) }
            @if is_cut { @if encoding.is_some() { " · " } (text!(lang, "preview-cut")) }
        }
    }
}

/// The first row is the head, where the file is a table and not a sheet.
fn table(lang: Lang, rows: &[Vec<String>], has_head: bool) -> Markup {
    let width = rows.iter().map(Vec::len).max().unwrap_or_default();
    let (head, body) = rows.split_at(usize::from(has_head).min(rows.len()));
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    html! {
        div.scroll.sheet tabindex="0" role="group" aria-label=(text!(lang, "preview")) {
            table {
                @if let Some(head) = head.first() {
                    thead { tr { @for column in 0..width { th scope="col" { (parts::name(&cell(head, column))) } } } }
                }
                tbody {
                    @for row in body {
                        tr { @for column in 0..width { td { (parts::name(&cell(row, column))) } } }
                    }
                }
            }
        }
    }
}
