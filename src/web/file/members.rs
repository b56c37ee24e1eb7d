//! The members of a zip as a tree of its folders. A nested zip is a folder.
use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Listed;
use crate::domain::RevisionId;
use crate::lang::{Lang, text};
use crate::query::{Member, Queries};
use crate::web::visit::address;
use crate::web::{Visit, parts, units};

/// Deeper folders are shown in one line.
const DEPTH_MAX: usize = 12;

#[derive(Default)]
struct Folder<'a> {
    folders: BTreeMap<&'a str, Folder<'a>>,
    files: Vec<(&'a str, &'a Member)>,
}

impl<'a> Folder<'a> {
    fn insert(&mut self, rest: &'a str, member: &'a Member, depth: usize) {
        match rest.split_once('/') {
            Some((folder, rest)) if depth < DEPTH_MAX && !rest.is_empty() => {
                self.folders.entry(folder).or_default().insert(rest, member, depth + 1);
            }
            _ => self.files.push((rest, member)),
        }
    }

    fn count(&self) -> usize {
        self.files.len() + self.folders.values().map(Self::count).sum::<usize>()
    }

    fn contains(&self, path: &str) -> bool {
        self.files.iter().any(|(_, member)| member.path == path) || self.folders.values().any(|one| one.contains(path))
    }
}

struct Tree<'a> {
    queries: &'a Queries,
    lang: Lang,
    id: RevisionId,
    chosen: Option<&'a str>,
    matching: Option<&'a str>,
    /// Folders are open where all are few.
    opens: bool,
}

/// With fewer members, every folder is open.
const OPEN_MAX: usize = 60;

/// From so many members on, there is a field to filter them.
const FILTERED_MIN: usize = 10;

pub fn section(queries: &Queries, visit: &Visit, id: RevisionId, listed: &Listed, chosen: Option<&str>) -> Markup {
    let lang = visit.lang;
    let text = visit.parameter("match");
    let more = listed.matching.saturating_sub(listed.members.len());
    html! {
        section aria-labelledby="members" {
            h2 #members {
                @match text {
                    None => { (text!(lang, "members-count", count = listed.total)) }
                    Some(_) => { (text!(lang, "members-matching", count = listed.matching, total = listed.total)) }
                }
            }
            @if text.is_some() || listed.total >= FILTERED_MIN { (filter(visit, text, chosen)) }
            @if listed.members.is_empty() { p.empty { (text!(lang, "search-empty")) } }
            @else { (tree(queries, visit, id, listed, chosen)) }
            @if more > 0 { p.note { (text!(lang, "members-more", count = more)) } }
        }
    }
}

/// A field that narrows the list. The view is asked for again.
fn filter(visit: &Visit, text: Option<&str>, chosen: Option<&str>) -> Markup {
    let lang = visit.lang;
    html! {
        form.filter role="search" action={ (visit.path) "#members" } method="get" data-search {
            label for="search" { (text!(lang, "members-filter")) }
            input #search type="search" name="match" value=[text] maxlength="200" autocomplete="off" autocapitalize="off"
                spellcheck="false" aria-keyshortcuts="/";
            @if let Some(chosen) = chosen { input type="hidden" name="member" value=(chosen); }
            button.quiet type="submit" { (text!(lang, "filter-button")) }
            @if text.is_some() { a href={ (visit.with("match", None)) "#members" } { (text!(lang, "filter-all")) } }
        }
    }
}

fn tree(queries: &Queries, visit: &Visit, id: RevisionId, listed: &Listed, chosen: Option<&str>) -> Markup {
    let mut root = Folder::default();
    for member in &listed.members {
        root.insert(&member.path, member, 0);
    }
    let opens = listed.members.len() <= OPEN_MAX;
    let tree = Tree { queries, lang: visit.lang, id, chosen, matching: visit.parameter("match"), opens };
    html! { div.tree { (tree.folder(&root)) } }
}

impl Tree<'_> {
    fn folder(&self, folder: &Folder<'_>) -> Markup {
        html! {
            ul {
                @for (name, inner) in &folder.folders {
                    li {
                        details open[self.opens || self.chosen.is_some_and(|path| inner.contains(path))] {
                            summary { (parts::name(name)) " " span.soft { (inner.count()) } }
                            (self.folder(inner))
                        }
                    }
                }
                @for (name, member) in &folder.files { (self.file(name, member)) }
            }
        }
    }

    fn file(&self, name: &str, member: &Member) -> Markup {
        let parameters = [("member", member.path.as_str()), ("match", self.matching.unwrap_or_default())];
        let address = address(&format!("/revisions/{}", self.id), parameters);
        let is_chosen = self.chosen == Some(member.path.as_str());
        html! {
            li.member {
                a href={ (address) "#preview" } aria-current=[is_chosen.then_some("true")] data-row { (parts::name(name)) }
                " " span.soft { (units::size(self.lang, member.size)) } " "
                a.download href=(self.queries.member_path(self.id, &member.path)) download {
                    span aria-hidden="true" { "↓" }
                    span.visually-hidden { (text!(self.lang, "download-of", name = name.to_owned())) }
                }
            }
        }
    }
}
