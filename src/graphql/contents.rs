//! What a search inside files found in each of them.
use async_graphql::{Enum, SimpleObject};

use crate::query::{self, Queries};

/// Where `search` looks for words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[graphql(name = "SearchIn")]
pub enum SearchIn {
    /// Names, aliases, processes, file names and the paths of members.
    #[default]
    Names,
    /// The text inside files: PDFs, workbooks, CSV and other plain text, also inside zips. All words must be in one text (the file, or
    /// one member). Forms of a word are found, typing errors are not. Lines without any word, such as those of numbers alone, are not searched.
    Content,
}

impl From<SearchIn> for query::SearchIn {
    fn from(search_in: SearchIn) -> Self {
        match search_in {
            SearchIn::Names => Self::Names,
            SearchIn::Content => Self::Content,
        }
    }
}

/// A text that has the words of a search: a file, or a member of a zip.
#[derive(Clone, SimpleObject)]
pub struct ContentMatch {
    /// Path inside the zip; for a file in a nested zip, outer.zip/inner.dat. Null for the text of the file itself.
    path: Option<String>,
    /// Where the line is: its number, the page of a PDF (p. 3), or the sheet and row of a workbook (Sheet!12).
    place: String,
    /// The line with the most of the words, as plain text; of a line longer than 240 characters, the part around the first word.
    line: String,
    /// The same in parts, to highlight the words without markup in the text.
    fragments: Vec<LineFragment>,
    /// Where to download the file, or the member.
    url: String,
}

/// A part of a line.
#[derive(Clone, SimpleObject)]
pub struct LineFragment {
    text: String,
    /// Whether it is one of the words that were searched for.
    is_match: bool,
}

impl ContentMatch {
    pub fn new(found: query::ContentMatch, revision: crate::domain::RevisionId, queries: &Queries) -> Self {
        let url = match &found.path {
            Some(path) => queries.member_url(revision, path),
            None => queries.file_url(revision),
        };
        let fragments = found.line.fragments;
        Self {
            path: found.path,
            place: found.line.place,
            line: fragments.iter().map(|fragment| fragment.text.as_str()).collect(),
            fragments: fragments
                .into_iter()
                .map(|fragment| LineFragment { text: fragment.text, is_match: fragment.is_match })
                .collect(),
            url,
        }
    }
}

/// How much of a file can be found by `in: CONTENT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum TextState {
    /// It was not read yet.
    Pending,
    /// All of its text.
    Read,
    /// A part: limits did not suffice, or a member could not be read.
    Partly,
    /// Nothing, because it cannot be read.
    Unreadable,
    /// It has no text.
    NoText,
}

/// What became of the text of a file.
#[derive(SimpleObject)]
pub struct RevisionText {
    state: TextState,
    /// Why something was not read; of several reasons, the first.
    note: Option<String>,
}

impl From<query::RevisionText> for RevisionText {
    fn from(text: query::RevisionText) -> Self {
        let state = match text.outcome {
            None => TextState::Pending,
            Some(query::Outcome::Read) => TextState::Read,
            Some(query::Outcome::Partly) => TextState::Partly,
            Some(query::Outcome::Unreadable | query::Outcome::Damaged) => TextState::Unreadable,
            Some(query::Outcome::NoText) => TextState::NoText,
        };
        Self { state, note: text.note }
    }
}
