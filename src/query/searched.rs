//! What people search for: the same bound and the same meaning of a blank text wherever they may.
use super::QueryError;

/// A search is for people: longer texts are mistakes.
const LENGTH_MAX: usize = 500;

/// A text that may be searched for.
pub(super) struct Searched {
    /// Absent where there is nothing but blanks: that asks for everything.
    pub text: Option<String>,
    /// Whether the hits are to have a score.
    pub scored: bool,
}

impl Searched {
    pub fn new(text: Option<String>, scored: bool) -> Result<Self, QueryError> {
        let length = text.as_ref().map_or(0, |text| text.chars().count());
        if length > LENGTH_MAX {
            return Err(QueryError::bad(format!(
                "`search` has {length} characters: at most {LENGTH_MAX} are searched"
            )));
        }
        Ok(Self { text: text.filter(|text| !text.trim().is_empty()), scored })
    }
}
