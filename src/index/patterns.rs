//! Terms that contain a text or start with it. tantivy's regular expressions refuse texts of some hundred characters.
use std::sync::Arc;

use tantivy::query::{AutomatonWeight, EnableScoring, Query as TantivyQuery, Weight};
use tantivy::schema::Field;
use tantivy_fst::Automaton;

use crate::domain::{MatchState, MemberPattern};

/// Documents with a term that matches.
#[derive(Clone, Debug)]
pub(super) struct PatternQuery {
    field: Field,
    pattern: Arc<Pattern>,
}

impl PatternQuery {
    pub fn containing(field: Field, text: &str) -> Self {
        let needle = text.as_bytes().to_vec();
        let fallbacks = fallbacks(&needle);
        Self { field, pattern: Arc::new(Pattern { needle, fallbacks: Some(fallbacks) }) }
    }

    pub fn starting_with(field: Field, text: &str) -> Self {
        Self { field, pattern: Arc::new(Pattern { needle: text.as_bytes().to_vec(), fallbacks: None }) }
    }
}

impl TantivyQuery for PatternQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(AutomatonWeight::<Pattern>::new(self.field, self.pattern.clone())))
    }
}

/// Documents with a path of a member that matches.
#[derive(Clone, Debug)]
pub(super) struct PathQuery {
    field: Field,
    pattern: Arc<PathPattern>,
}

impl PathQuery {
    pub fn new(field: Field, pattern: MemberPattern) -> Self {
        Self { field, pattern: Arc::new(PathPattern(pattern)) }
    }
}

impl TantivyQuery for PathQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(AutomatonWeight::<PathPattern>::new(self.field, self.pattern.clone())))
    }
}

#[derive(Debug)]
struct PathPattern(MemberPattern);

impl Automaton for PathPattern {
    type State = MatchState;

    fn start(&self) -> Self::State {
        self.0.start()
    }

    fn is_match(&self, state: &Self::State) -> bool {
        self.0.is_match(state)
    }

    fn can_match(&self, state: &Self::State) -> bool {
        !state.is_dead()
    }

    fn will_always_match(&self, state: &Self::State) -> bool {
        self.0.always_matches(state)
    }

    fn accept(&self, state: &Self::State, byte: u8) -> Self::State {
        self.0.step(*state, byte)
    }
}

#[derive(Debug)]
struct Pattern {
    needle: Vec<u8>,
    /// The failure function of Knuth, Morris and Pratt. Absent if a term must start with the needle.
    fallbacks: Option<Vec<usize>>,
}

fn fallbacks(needle: &[u8]) -> Vec<usize> {
    let mut all = vec![0; needle.len()];
    let mut length = 0;
    for at in 1..needle.len() {
        while length > 0 && needle[length] != needle[at] {
            length = all[length - 1];
        }
        if needle[length] == needle[at] {
            length += 1;
        }
        all[at] = length;
    }
    all
}

impl Automaton for Pattern {
    /// The length of the needle matched so far; `None` if the term cannot match any more.
    type State = Option<usize>;

    fn start(&self) -> Self::State {
        Some(0)
    }

    fn is_match(&self, state: &Self::State) -> bool {
        *state == Some(self.needle.len())
    }

    fn can_match(&self, state: &Self::State) -> bool {
        state.is_some()
    }

    fn will_always_match(&self, state: &Self::State) -> bool {
        self.is_match(state)
    }

    fn accept(&self, state: &Self::State, byte: u8) -> Self::State {
        let mut length = (*state)?;
        loop {
            match (self.needle.get(length), &self.fallbacks) {
                (None, _) => return Some(length),
                (Some(next), _) if *next == byte => return Some(length + 1),
                (Some(_), None) => return None,
                (Some(_), Some(_)) if length == 0 => return Some(0),
                (Some(_), Some(fallbacks)) => length = fallbacks[length - 1],
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, fallbacks};
    use proptest::prelude::*;
    use tantivy_fst::Automaton;

    fn is_match(pattern: &Pattern, text: &str) -> bool {
        let state = text.bytes().fold(pattern.start(), |state, byte| pattern.accept(&state, byte));
        pattern.is_match(&state)
    }

    proptest! {
        #[test]
        fn patterns_find_what_texts_hold(needle in "[ab\u{e7}]{0,6}", text in "[ab\u{e7}]{0,20}") {
            let bytes = needle.as_bytes().to_vec();
            let containing = Pattern { fallbacks: Some(fallbacks(&bytes)), needle: bytes.clone() };
            let starting = Pattern { needle: bytes, fallbacks: None };
            prop_assert_eq!(is_match(&containing, &text), text.contains(&needle));
            prop_assert_eq!(is_match(&starting, &text), text.starts_with(&needle));
        }
    }
}
