//! How names are matched: conditions of a filter, and patterns of the configuration.
use std::fmt;

use super::fold;

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

/// A name pattern that ignores case and accents. `*` matches any number of characters, `?` exactly one.
///
/// Not `globset`: its `?` is one byte, and `[`, `{` and `\` have a meaning there, which names may contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    written: String,
    folded: Vec<char>,
}

impl Glob {
    pub fn new(pattern: &str) -> Self {
        Self { written: pattern.to_owned(), folded: fold(pattern).chars().collect() }
    }

    /// Whether the pattern matches a folded text.
    pub fn matches(&self, folded: &str) -> bool {
        let text: Vec<char> = folded.chars().collect();
        let (mut at, mut from) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while from < text.len() {
            match self.folded.get(at) {
                Some('*') => {
                    star = Some((at, from));
                    at += 1;
                }
                Some(c) if *c == '?' || *c == text[from] => {
                    at += 1;
                    from += 1;
                }
                // Let the last star match one more character.
                _ => match star {
                    Some((star_at, eaten)) => {
                        star = Some((star_at, eaten + 1));
                        at = star_at + 1;
                        from = eaten + 1;
                    }
                    None => return false,
                },
            }
        }
        self.folded[at..].iter().all(|c| *c == '*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Which products and files a policy or a hook is about. One pattern of each list must match; an empty list matches
/// everything.
#[derive(Clone, Debug, Default)]
pub struct ProductMatch {
    pub names: Vec<Glob>,
    pub processes: Vec<Glob>,
    pub macro_processes: Vec<Glob>,
    /// Folded, without the dot.
    pub extensions: Vec<String>,
}

impl ProductMatch {
    /// Whether a pattern matches one of a product's folded names.
    pub fn is_named(&self, names: &[String]) -> bool {
        self.names.is_empty() || self.names.iter().any(|glob| names.iter().any(|name| glob.matches(name)))
    }

    /// Whether patterns match the folded names of a publication's process and macro-process.
    pub fn has_processes(&self, process: &str, macro_process: &str) -> bool {
        let any = |globs: &[Glob], text: &str| globs.is_empty() || globs.iter().any(|glob| glob.matches(text));
        any(&self.processes, process) && any(&self.macro_processes, macro_process)
    }

    /// Whether the folded extension of a file is one of these.
    pub fn has_extension(&self, extension: &str) -> bool {
        self.extensions.is_empty() || self.extensions.iter().any(|own| own == extension)
    }
}
