//! Patterns for the paths of zip members: a text that the path contains, or one with the wildcards `*` and `?`.
use super::{excerpt, fold};

/// Positions of a pattern, so that a set of them fits into a few words.
const POSITIONS_MAX: usize = 255;

/// A pattern without `*` and `?` matches every path that contains it. One with them matches whole paths, or, if it has no `/`, also the
/// name after the last `/`; `*` stands for any text, also across folders, and `?` for one character. Case and accents are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemberPattern {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Token {
    Byte(u8),
    /// One character, which may have several bytes.
    Character,
    /// Any text.
    Any,
    /// Nothing, or any text that ends with `/`.
    Folders,
}

/// How far a path has matched: a set of positions in the pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchState([u64; 4]);

impl MatchState {
    fn add(&mut self, position: usize) {
        self.0[position / 64] |= 1 << (position % 64);
    }

    fn has(&self, position: usize) -> bool {
        (self.0[position / 64] >> (position % 64)) & 1 == 1
    }

    fn positions(self) -> impl Iterator<Item = usize> {
        (0..4).flat_map(move |word| {
            let mut bits = self.0[word];
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                bits &= bits - 1;
                Some(word * 64 + bit)
            })
        })
    }

    /// Whether no continuation can match.
    pub fn is_dead(&self) -> bool {
        self.0 == [0; 4]
    }
}

impl MemberPattern {
    /// An error names the bound that the pattern exceeds.
    pub fn parse(text: &str) -> Result<Self, String> {
        let folded = fold(text);
        let mut tokens = Vec::new();
        let has_wildcards = folded.contains(['*', '?']);
        tokens.extend(match (has_wildcards, folded.contains('/')) {
            (false, _) => Some(Token::Any),
            (true, false) => Some(Token::Folders),
            (true, true) => None,
        });
        for c in folded.chars() {
            match c {
                '*' if tokens.last() == Some(&Token::Any) => {}
                '*' => tokens.push(Token::Any),
                '?' => tokens.push(Token::Character),
                c => tokens.extend(c.encode_utf8(&mut [0; 4]).bytes().map(Token::Byte)),
            }
        }
        if !has_wildcards && tokens.last() != Some(&Token::Any) {
            tokens.push(Token::Any);
        }
        if tokens.len() > POSITIONS_MAX {
            let what = excerpt(text);
            return Err(format!(
                "the pattern `{what}` is too long: at most about {POSITIONS_MAX} characters are compared"
            ));
        }
        Ok(Self { text: text.to_owned(), tokens })
    }

    /// Matches every path.
    pub fn every() -> Self {
        Self { text: String::new(), tokens: vec![Token::Any] }
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, path: &str) -> bool {
        let end = fold(path).bytes().fold(self.start(), |state, byte| self.step(state, byte));
        self.is_match(&end)
    }

    /// The state before the first byte of a folded path.
    pub fn start(&self) -> MatchState {
        let mut state = MatchState::default();
        self.reach(&mut state, 0);
        state
    }

    /// The state after one more byte of a folded path.
    pub fn step(&self, state: MatchState, byte: u8) -> MatchState {
        let mut next = MatchState::default();
        let is_continuation = byte & 0xc0 == 0x80;
        for at in state.positions() {
            // The rest of the character that was skipped.
            if is_continuation && at > 0 && self.tokens[at - 1] == Token::Character {
                next.add(at);
            }
            match self.tokens.get(at) {
                Some(Token::Byte(wanted)) if *wanted == byte => self.reach(&mut next, at + 1),
                Some(Token::Character) if !is_continuation => self.reach(&mut next, at + 1),
                Some(Token::Any) => self.reach(&mut next, at),
                Some(Token::Folders) => {
                    next.add(at);
                    if byte == b'/' {
                        self.reach(&mut next, at + 1);
                    }
                }
                Some(Token::Byte(_) | Token::Character) | None => {}
            }
        }
        next
    }

    /// Whether the bytes so far are a path that matches.
    pub fn is_match(&self, state: &MatchState) -> bool {
        state.has(self.tokens.len())
    }

    /// Whether the path matches however it continues.
    pub fn always_matches(&self, state: &MatchState) -> bool {
        self.tokens.last() == Some(&Token::Any) && state.has(self.tokens.len() - 1)
    }

    /// Adds a position and those that follow without a byte.
    fn reach(&self, state: &mut MatchState, position: usize) {
        state.add(position);
        if let Some(Token::Any | Token::Folders) = self.tokens.get(position) {
            self.reach(state, position + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MemberPattern;

    #[test]
    fn patterns_match_paths() {
        for (pattern, path, expected) in [
            ("vazoes", "Deck/VAZÕES.DAT", true),
            ("vazoes", "vazios.dat", false),
            ("", "x", true),
            ("*", "x", true),
            ("*vazoes*", "a.zip/pasta/prevs_vazões_1.rv0", true),
            ("vazoes.*", "vazoes.dat", true),
            ("vazoes.*", "pasta/vazoes.dat", true),
            ("vazoes.*", "pasta/novas-vazoes.dat", false),
            ("vazoes.*", "vazoes.d/x", true),
            ("dadger.rv?", "dadger.rv0", true),
            ("dadger.rv?", "dadger.rv", false),
            ("dadger.rv?", "dadger.rv10", false),
            ("pasta/*.dat", "pasta/a/b.dat", true),
            ("pasta/*.dat", "outra/pasta/a.dat", false),
            ("*/pasta/*.dat", "outra/pasta/a.dat", true),
            ("?.dat", "漢.dat", true),
            ("??.dat", "漢.dat", false),
            ("?漢?", "x漢ß", true),
            ("a**b", "aXb", true),
            ("*.DAT", "dger.dat", true),
            ("*.dat", "dger.date", false),
            ("100%_", "100%_x", true),
        ] {
            let parsed = MemberPattern::parse(pattern).expect("a pattern");
            assert_eq!(parsed.matches(path), expected, "{pattern} and {path}");
            assert!(MemberPattern::every().matches(path));
        }
        assert!(MemberPattern::parse(&"a".repeat(300)).is_err());
        assert!(MemberPattern::parse(&"a".repeat(250)).is_ok());
    }
}
