//! The lines of files that have the words of a search.
use super::{Queries, QueryError};
use crate::engine::index::{ContentMatch, IndexError, Outcome};
use crate::engine::record::Revision;

/// Texts of one file that are listed.
pub const CONTENT_MATCHES_MAX: usize = 20;

/// How far the text inside files is indexed.
#[derive(Clone, Debug, Default)]
pub struct ContentStatus {
    /// Changes whose files were not read yet.
    pub lag: i64,
    /// Files whose whole text is found.
    pub read: u64,
    /// Files of which something was left out.
    pub partly: u64,
    /// Files that could not be read.
    pub unreadable: u64,
    /// Files without any text.
    pub no_text: u64,
}

/// What became of the text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionText {
    /// Absent if the file was not read yet.
    pub outcome: Option<Outcome>,
    pub note: Option<String>,
}

impl Queries {
    /// Whether the text inside files is searched.
    pub fn reads_contents(&self) -> bool {
        self.app.index.contents().is_ok()
    }

    /// The texts of a revision's file that have every word of a search, each with one line.
    pub async fn content_matches(
        &self,
        revision: &Revision,
        search: &str,
        first: i64,
    ) -> Result<Vec<ContentMatch>, QueryError> {
        let limit = usize::try_from(first).ok().filter(|first| *first <= CONTENT_MATCHES_MAX);
        let limit = limit.ok_or_else(|| {
            QueryError::bad(format!("`first` is {first}: it must be from 0 to {CONTENT_MATCHES_MAX}"))
        })?;
        if limit == 0 || revision.purged_at.is_some() {
            return Ok(Vec::new());
        }
        let (digest, search) = (revision.file.digest, search.to_owned());
        self.query_index(move |index, watch| index.contents()?.matches_in(digest, &search, limit, watch)).await
    }

    /// What became of the text of a revision's file, and why something of it was not read. `None` where such text is not indexed, or the file
    /// was removed.
    pub async fn revision_text(&self, revision: &Revision) -> Result<Option<RevisionText>, QueryError> {
        if revision.purged_at.is_some() || !self.reads_contents() {
            return Ok(None);
        }
        let digest = revision.file.digest;
        let found = self.query_index(move |index, _| index.contents()?.outcome_of(digest)).await?;
        let (outcome, note) = found.map_or((None, None), |(outcome, note)| (Some(outcome), note));
        Ok(Some(RevisionText { outcome, note }))
    }

    /// How far the text inside files is indexed; `None` if it is not.
    pub(super) fn content_status(&self, head: i64) -> Result<Option<ContentStatus>, QueryError> {
        let contents = match self.app.index.contents() {
            Ok(contents) => contents,
            Err(IndexError::NoContents) => return Ok(None),
            Err(e) => return Err(QueryError::Index(e)),
        };
        let count = |outcome: Outcome| contents.count(outcome).map_err(QueryError::Index);
        Ok(Some(ContentStatus {
            lag: (head - contents.position().unwrap_or_default()).max(0),
            read: count(Outcome::Read)?,
            partly: count(Outcome::Partly)?,
            unreadable: count(Outcome::Unreadable)? + count(Outcome::Damaged)?,
            no_text: count(Outcome::NoText)?,
        }))
    }
}
