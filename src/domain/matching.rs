/// A match of names, blind to case, accents and runs of white space; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TextMatch {
    pub eq: Option<String>,
    pub any_of: Option<Vec<String>>,
    pub contains: Option<String>,
    pub starts_with: Option<String>,
}

impl TextMatch {
    pub fn containing(text: impl Into<String>) -> Self {
        Self { contains: Some(text.into()), ..Self::default() }
    }
}
