/// Conditions on a name, without regard to case, accents and runs of white space. All that are set must hold.
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
