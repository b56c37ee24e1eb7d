//! A diff as JSON and as lines of text, the same for every edge.
use serde_json::{Map, Value, json};

use super::{CellChange, ContentChange, DiffNote, MemberChange, MemberChangeKind, RevisionDiff};
use crate::query::{Queries, RevisionRow, TableRow};

impl RevisionDiff {
    /// Leaves out all members but one, by the path that it has in each file, and, of a nested zip, those in it.
    pub(super) fn keep_only(&mut self, paths: [Option<&str>; 2]) {
        let is_in = |path: &str| {
            let rest = paths.iter().flatten().find_map(|wanted| path.strip_prefix(wanted));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_wanted = |one: &MemberChange| is_in(&one.path) || one.path_before.as_deref().is_some_and(is_in);
        self.members.retain(is_wanted);
        self.renamed.retain(is_wanted);
        let count = |kind| self.members.iter().filter(|one| one.kind == kind).count() as u64;
        (self.added, self.removed, self.changed) =
            (count(MemberChangeKind::Added), count(MemberChangeKind::Removed), count(MemberChangeKind::Changed));
    }

    /// In the shape of `revisionDiff` in GraphQL.
    pub fn to_json(&self, queries: &Queries) -> serde_json::Result<Value> {
        let members = |members: &[MemberChange]| members.iter().map(member).collect::<Vec<Value>>();
        let mut object = Map::new();
        object.insert("from".to_owned(), revision(&self.from, queries)?);
        object.insert("to".to_owned(), revision(&self.to, queries)?);
        object.insert("isSame".to_owned(), self.is_same.into());
        object.insert("added".to_owned(), self.added.into());
        object.insert("removed".to_owned(), self.removed.into());
        object.insert("changed".to_owned(), self.changed.into());
        add(&mut object, &self.content);
        object.insert("members".to_owned(), members(&self.members).into());
        object.insert("renamed".to_owned(), members(&self.renamed).into());
        object.insert("notes".to_owned(), self.notes.iter().map(ToString::to_string).collect::<Vec<_>>().into());
        Ok(Value::Object(object))
    }

    /// A line for each member, each that was renamed once, and the counts.
    pub fn summary(&self) -> String {
        if self.is_same {
            return "the files are the same\n".to_owned();
        }
        let is_shown_as_renamed = |member: &&MemberChange| {
            let paths = |one: &MemberChange| match member.kind {
                MemberChangeKind::Added => one.path == member.path,
                MemberChangeKind::Removed => one.path_before.as_ref() == Some(&member.path),
                MemberChangeKind::Changed => false,
            };
            self.renamed.iter().any(paths)
        };
        let lone = self.members.iter().filter(|member| !is_shown_as_renamed(member));
        // What a renamed folder has without any change needs no line.
        let renamed = self.renamed.iter().filter(|member| !member.is_moved_only());
        let mut shown: Vec<&MemberChange> = lone.chain(renamed).collect();
        shown.sort_by(|a, b| a.path.cmp(&b.path));
        let names: Vec<String> = shown.iter().map(|member| with_path_before(member)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default().min(60);
        let mut text = String::new();
        for (member, name) in shown.iter().zip(names) {
            let line = format!("{} {name:<width$}  {}", sign(member), described(&member.content));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        if self.members.is_empty() && self.renamed.is_empty() {
            let described = described(&self.content);
            text.push_str(format!("the files differ  {described}").trim_end());
            text.push('\n');
        } else {
            let Self { added, removed, changed, renamed, .. } = self;
            let renamed = match renamed.len() {
                0 => String::new(),
                count => format!(" ({count} renamed)"),
            };
            text.push_str(&format!("{added} added, {removed} removed{renamed}, {changed} changed\n"));
        }
        self.notes.iter().for_each(|note| text.push_str(&format!("# {note}\n")));
        text
    }
}

impl MemberChange {
    /// Whether only its folder has another name.
    fn is_moved_only(&self) -> bool {
        let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
        let is_renamed = self.path_before.as_ref().is_some_and(|before| name(before) != name(&self.path));
        !is_renamed && self.content.notes == [DiffNote::SameContent]
    }
}

fn revision(row: &RevisionRow, queries: &Queries) -> serde_json::Result<Value> {
    let cells = RevisionRow::COLUMNS.iter();
    let cells = cells.map(|column| Ok((column.name.to_owned(), serde_json::to_value((column.cell)(row, queries))?)));
    Ok(Value::Object(cells.collect::<serde_json::Result<_>>()?))
}

fn member(change: &MemberChange) -> Value {
    let mut object = Map::new();
    object.insert("path".to_owned(), change.path.clone().into());
    object.insert("pathBefore".to_owned(), change.path_before.clone().into());
    object.insert("kind".to_owned(), change.kind.as_str().into());
    object.insert("sizeBefore".to_owned(), json!(change.size_before));
    object.insert("sizeAfter".to_owned(), json!(change.size_after));
    add(&mut object, &change.content);
    Value::Object(object)
}

fn add(object: &mut Map<String, Value>, content: &ContentChange) {
    object.insert("linesAdded".to_owned(), json!(content.lines_added));
    object.insert("linesRemoved".to_owned(), json!(content.lines_removed));
    object.insert("cellsChanged".to_owned(), json!(content.cells_changed));
    object.insert("cells".to_owned(), content.cells.iter().map(cell).collect::<Vec<Value>>().into());
    object.insert("note".to_owned(), json!(content.note()));
}

fn cell(change: &CellChange) -> Value {
    json!({ "sheet": change.sheet, "cell": change.cell, "before": change.before, "after": change.after })
}

fn sign(member: &MemberChange) -> char {
    match (member.kind, &member.path_before) {
        (_, Some(_)) => 'R',
        (MemberChangeKind::Added, None) => 'A',
        (MemberChangeKind::Removed, None) => 'D',
        (MemberChangeKind::Changed, None) => 'M',
    }
}

fn with_path_before(member: &MemberChange) -> String {
    match &member.path_before {
        Some(before) => format!("{before} => {}", member.path),
        None => member.path.clone(),
    }
}

fn described(content: &ContentChange) -> String {
    let mut parts = Vec::new();
    parts.extend(content.lines_added.filter(|lines| *lines > 0).map(|lines| format!("+{lines}")));
    parts.extend(content.lines_removed.filter(|lines| *lines > 0).map(|lines| format!("-{lines}")));
    parts.extend(content.cells_changed.map(|cells| format!("{cells} cells")));
    let counts = parts.join(" ");
    match content.note() {
        Some(note) if counts.is_empty() => note,
        Some(note) => format!("{counts}  {note}"),
        None => counts,
    }
}
