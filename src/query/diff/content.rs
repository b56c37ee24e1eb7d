//! Two contents, of members or of whole files: by line where both are text.
use std::time::{Duration, Instant};

use super::{ContentChange, DiffNote, DiffText};
use crate::engine::compare::{CellDiff, LineDiff, Note, compare_workbooks, is_text, is_workbook, read_pair, unified};
use crate::engine::store::Beginning;

/// Bytes of a content that is compared by line.
pub(super) const BYTES_MAX: u64 = 16 << 20;

/// What is said of a larger one.
const TOO_LARGE: DiffNote = DiffNote::TooLarge { mebibytes_max: BYTES_MAX >> 20 };

/// Bytes read of a larger one, to see whether it is text.
const SNIFFED: u64 = 64 << 10;

/// How long one pair of texts may be compared before the result becomes coarser.
const TIME_MAX: Duration = Duration::from_secs(3);

/// Bytes of a unified diff.
const DIFF_BYTES_MAX: usize = 4 << 20;

/// Cells of a workbook that are listed.
pub(super) const CELLS_LISTED_MAX: usize = 1_000;

/// How much to read of a content of this size.
pub(super) fn wanted(size: u64) -> u64 {
    if size > BYTES_MAX { SNIFFED } else { BYTES_MAX }
}

/// Two contents; one may not exist.
pub(super) struct Contents {
    pub from: Option<Beginning>,
    pub to: Option<Beginning>,
    /// Of the second one.
    pub name: String,
    /// When a comparison becomes coarser at the latest.
    pub until: Instant,
    /// Cells that are listed.
    pub cells_max: usize,
}

impl Contents {
    fn bytes(&self) -> (&[u8], &[u8]) {
        (self.from.as_ref().map_or(&[], |side| &side.bytes), self.to.as_ref().map_or(&[], |side| &side.bytes))
    }

    fn are_whole(&self) -> bool {
        [&self.from, &self.to].into_iter().flatten().all(|side| side.is_whole)
    }

    fn are_text(&self) -> bool {
        let (from, to) = self.bytes();
        is_text(from) && is_text(to)
    }

    /// What differs between two workbooks; `None` if they are not workbooks.
    fn cells(&self) -> Option<Result<CellDiff, String>> {
        let (from, to) = self.bytes();
        let are_workbooks = is_workbook(&self.name, from) && is_workbook(&self.name, to);
        are_workbooks.then(|| compare_workbooks(from, to, self.cells_max))
    }

    fn deadline(&self) -> Instant {
        self.until.min(Instant::now() + TIME_MAX)
    }

    /// What changed, in numbers.
    pub fn change(&self) -> ContentChange {
        if !self.are_whole() {
            return if self.are_text() { TOO_LARGE.into() } else { ContentChange::default() };
        }
        if let Some(compared) = self.cells() {
            return match compared {
                Ok(diff) => {
                    let notes = diff.notes.into_iter().map(DiffNote::from).collect();
                    let (cells_changed, cells) = (Some(diff.changed), diff.cells);
                    ContentChange { cells_changed, cells, notes, ..ContentChange::default() }
                }
                Err(why) => DiffNote::from(Note::Unreadable(why)).into(),
            };
        }
        let (from, to) = self.bytes();
        let Some((from, to)) = read_pair(from, to) else { return ContentChange::default() };
        if self.from.is_none() || self.to.is_none() {
            let lines = (Some(to.line_count()), Some(from.line_count()));
            return ContentChange { lines_added: lines.0, lines_removed: lines.1, ..ContentChange::default() };
        }
        match LineDiff::new(&from, &to, self.deadline()) {
            Ok(diff) => {
                let (added, removed) = diff.counts();
                let notes = from.differs_in(&to).into_iter().map(DiffNote::from).collect();
                let lines = (Some(added), Some(removed));
                ContentChange { lines_added: lines.0, lines_removed: lines.1, notes, ..ContentChange::default() }
            }
            Err(note) => DiffNote::from(note).into(),
        }
    }

    /// What changed, as a unified diff under these names.
    pub fn text(&self, from_name: &str, to_name: &str) -> DiffText {
        let none = |note: DiffNote| {
            let text = match &note {
                DiffNote::Binary => format!("Binary files {from_name} and {to_name} differ\n"),
                note => format!("# {from_name} and {to_name}: {note}\n"),
            };
            DiffText { text, notes: vec![note], ..DiffText::default() }
        };
        if !self.are_whole() {
            return none(if self.are_text() { TOO_LARGE } else { DiffNote::Binary });
        }
        let (from, to) = self.bytes();
        if from == to && self.from.is_some() == self.to.is_some() {
            return DiffText::default();
        }
        match self.cells() {
            Some(Ok(diff)) => return cells_as_text(diff, from_name, to_name),
            Some(Err(why)) => return none(Note::Unreadable(why).into()),
            None => {}
        }
        let Some((from, to)) = read_pair(from, to) else { return none(DiffNote::Binary) };
        match LineDiff::new(&from, &to, self.deadline()) {
            Ok(diff) => {
                let written = unified(&diff, from_name, to_name, DIFF_BYTES_MAX);
                let notes = match self.from.is_some() && self.to.is_some() {
                    true => from.differs_in(&to),
                    false => Vec::new(),
                };
                DiffText { is_cut: written.is_cut, ..DiffText::noted(notes, &written.text) }
            }
            Err(note) => none(note.into()),
        }
    }
}

/// Two lines for each cell, under the name of its sheet.
fn cells_as_text(diff: CellDiff, from_name: &str, to_name: &str) -> DiffText {
    let mut text = String::new();
    if diff.changed > 0 {
        text.push_str(&format!("--- {from_name}\n+++ {to_name}\n"));
    }
    let mut sheet = None;
    for one in &diff.cells {
        if sheet != Some(&one.sheet) {
            sheet = Some(&one.sheet);
            text.push_str(&format!("@@ {} @@\n", one.sheet));
        }
        for (sign, value) in [('-', &one.before), ('+', &one.after)] {
            let value = value.as_ref().map(|value| value.replace(['\r', '\n'], " "));
            text.push_str(&value.map(|value| format!("{sign}{}\t{value}\n", one.cell)).unwrap_or_default());
        }
    }
    let is_cut = diff.changed > diff.cells.len() as u64;
    if is_cut {
        text.push_str(&format!("# cut here: {} of {} cells are shown\n", diff.cells.len(), diff.changed));
    }
    DiffText { is_cut, ..DiffText::noted(diff.notes, &text) }
}
