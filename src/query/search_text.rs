//! The text of a search: one bound, and one meaning of a blank text, wherever a caller may search.
use std::sync::Arc;

use super::QueryError;
use crate::engine::index::SearchIn;

/// A search is typed by people: longer texts are mistakes.
const LENGTH_MAX: usize = 500;

/// A checked text.
pub(super) struct SearchText {
    /// Absent if the text is blank: then everything is found.
    pub text: Option<String>,
    pub within: SearchIn,
    /// Whether hits need a score.
    pub scored: bool,
}

impl SearchText {
    pub fn new(text: Option<String>, within: SearchIn, scored: bool) -> Result<Self, QueryError> {
        let length = text.as_ref().map_or(0, |text| text.chars().count());
        if length > LENGTH_MAX {
            return Err(QueryError::bad(format!(
                "`search` has {length} characters: at most {LENGTH_MAX} are searched"
            )));
        }
        Ok(Self { text: text.filter(|text| !text.trim().is_empty()), within, scored })
    }

    /// The text, if it is searched for inside files.
    pub fn in_content(&self) -> Option<Arc<str>> {
        self.text.as_deref().filter(|_| self.within == SearchIn::Content).map(Arc::from)
    }
}
