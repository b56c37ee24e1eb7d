//! The lines of a document that can be found, each with its place in the document.
use std::fmt::Display;

/// Longer lines are split.
const LINE_BYTES_MAX: usize = 4_000;

/// Lines as they are stored: a place, a tab, the line, a line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    text: String,
    bytes_max: usize,
    is_cut: bool,
}

impl Lines {
    /// At most so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max, is_cut: false }
    }

    /// Adds a line, if it has a word: lines of numbers alone, which most lines of a deck are, are not searched for. Returns whether there is room
    /// for more.
    pub fn push(&mut self, place: impl Display, line: &str) -> bool {
        if self.is_cut {
            return false;
        }
        let mut rest = line.trim_end();
        while !rest.is_empty() {
            let piece = first_piece(rest);
            rest = &rest[piece.len()..];
            if !has_word(piece) {
                continue;
            }
            let start = self.text.len();
            self.text.extend(place.to_string().chars().map(without_controls));
            self.text.push('\t');
            self.text.extend(piece.chars().map(without_controls));
            self.text.push('\n');
            if self.text.len() > self.bytes_max {
                self.text.truncate(start);
                self.is_cut = true;
                return false;
            }
        }
        true
    }

    /// Notes that the document has more lines than these.
    pub fn cut(&mut self) {
        self.is_cut = true;
    }

    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Lines that another process has written.
    fn from_stored(text: String, is_cut: bool) -> Self {
        Self { bytes_max: text.len(), text, is_cut }
    }

    pub(super) fn decode(stored: &[u8]) -> Option<Self> {
        let (is_cut, text) = match stored.split_first()? {
            (b'+', text) => (false, text),
            (b'~', text) => (true, text),
            _ => return None,
        };
        Some(Self::from_stored(String::from_utf8(text.to_vec()).ok()?, is_cut))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut stored = vec![if self.is_cut { b'~' } else { b'+' }];
        stored.extend_from_slice(self.text.as_bytes());
        stored
    }
}

/// The place and the text of a stored line.
pub fn split_line(line: &str) -> (&str, &str) {
    line.split_once('\t').unwrap_or(("", line))
}

/// Whether there are two letters in a row: a single one may belong to a number, as in 1.0E+05.
fn has_word(line: &str) -> bool {
    let mut is_letter_before = false;
    line.chars().any(|c| {
        let is_letter = c.is_alphabetic();
        std::mem::replace(&mut is_letter_before, is_letter) && is_letter
    })
}

/// The start of a line that is not too long, up to a blank if it has one.
fn first_piece(line: &str) -> &str {
    if line.len() <= LINE_BYTES_MAX {
        return line;
    }
    let end = line.floor_char_boundary(LINE_BYTES_MAX);
    let blank = line[..end].rfind(|c: char| !c.is_alphanumeric()).filter(|at| *at > 0);
    &line[..blank.unwrap_or(end)]
}

/// Tabs are columns; escapes and line feeds would be more than text where a line is shown.
fn without_controls(c: char) -> char {
    if c.is_control() && c != '\t' { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES_MAX, Lines, has_word, split_line};

    #[test]
    fn lines_without_words_are_left_out() {
        for (line, expected) in [
            ("UH  1   3  0.5", true),
            ("FURNAS", true),
            ("ç ã", false),
            ("1.0E+05 2.0E-01", false),
            ("2025-01-03; 12,4; 9", false),
            ("açude", true),
        ] {
            assert_eq!(has_word(line), expected, "{line}");
        }
        let mut lines = Lines::new(1_000);
        for (i, line) in ["POSTO  NOME", "  1  12.5", "  1  CAMARGOS\x1b[31m\r"].iter().enumerate() {
            assert!(lines.push(i + 1, line));
        }
        assert_eq!(lines.as_str(), "1\tPOSTO  NOME\n3\t  1  CAMARGOS [31m\n");
        assert_eq!(split_line("3\t  1  CAMARGOS"), ("3", "  1  CAMARGOS"));
    }

    #[test]
    fn the_text_is_bounded_and_says_that_it_was_cut() {
        let mut lines = Lines::new(30);
        assert!(lines.push(1, "first line"));
        assert!(lines.push(2, "second line"));
        assert!(!lines.push(3, "third line"));
        assert!(!lines.push(4, "ab"));
        assert!(lines.is_cut());
        assert_eq!(lines.as_str(), "1\tfirst line\n2\tsecond line\n");
        assert_eq!(Lines::decode(&lines.encode()).map(|read| read.encode()), Some(lines.encode()));
    }

    #[test]
    fn long_lines_are_split_between_words() {
        let mut lines = Lines::new(1 << 20);
        let word = "vazão;";
        assert!(lines.push("x", &word.repeat(LINE_BYTES_MAX)));
        let found = lines.as_str().matches("vazão").count();
        assert_eq!(found, LINE_BYTES_MAX);
        assert!(lines.as_str().lines().count() > 5);
        // Without any blank.
        let mut lines = Lines::new(1 << 20);
        assert!(lines.push("x", &"ã".repeat(LINE_BYTES_MAX)));
        assert_eq!(lines.as_str().matches('ã').count(), LINE_BYTES_MAX);
    }
}
