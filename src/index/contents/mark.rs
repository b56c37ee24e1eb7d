//! The line of a text that shows best why it was found, and the words in it that were searched for.
use std::ops::Range;

use crate::domain::{stem, words};
use crate::engine::extract::split_line;

/// Characters of a line that are shown. Around the first word that was searched for, if it is longer.
const SHOWN_CHARS: usize = 240;

/// Characters that are shown before that word.
const BEFORE_CHARS: usize = 60;

/// A line of a text. Its fragments put together are the line, or a part of it; nothing is added, so that columns stay columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedLine {
    /// The number of the line, the page of a PDF, or the sheet and row of a workbook.
    pub place: String,
    pub fragments: Vec<Fragment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    pub text: String,
    /// One of the words that were searched for.
    pub is_match: bool,
}

/// The words of a search.
pub(super) struct Wanted<'a> {
    words: Vec<(&'a str, String)>,
    /// The beginning of a word.
    prefix: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    pub fn new(words: &'a [String], prefix: Option<&'a String>) -> Self {
        Self {
            words: words.iter().map(|word| (word.as_str(), stem(word))).collect(),
            prefix: prefix.map(String::as_str),
        }
    }

    /// The index of the wanted word that a word of a text is.
    fn find(&self, word: &str) -> Option<usize> {
        let own = stem(word);
        let found = self.words.iter().position(|(wanted, stem)| *wanted == word || *stem == own);
        found.or_else(|| self.prefix.filter(|prefix| word.starts_with(prefix)).map(|_| self.words.len() - 1))
    }
}

/// The first line with the most of the words.
pub(super) fn best_line(lines: &str, wanted: &Wanted<'_>) -> Option<MarkedLine> {
    let mut best: Option<(usize, &str, Vec<Range<usize>>)> = None;
    for line in lines.lines() {
        let (_, text) = split_line(line);
        let (count, ranges) = found_in(text, wanted);
        if count > best.as_ref().map_or(0, |(count, _, _)| *count) {
            best = Some((count, line, ranges));
            if count >= wanted.words.len() {
                break;
            }
        }
    }
    let (_, line, ranges) = best?;
    let (place, text) = split_line(line);
    Some(MarkedLine { place: place.to_owned(), fragments: fragments(text, &ranges) })
}

/// How many of the wanted words a line has, and where.
fn found_in(line: &str, wanted: &Wanted<'_>) -> (usize, Vec<Range<usize>>) {
    let mut found = vec![false; wanted.words.len()];
    let mut ranges = Vec::new();
    for range in word_ranges(line) {
        let word = &line[range.clone()];
        let matched = if word.is_ascii() {
            wanted.find(&word.to_ascii_lowercase())
        } else {
            words(word).iter().find_map(|word| wanted.find(word))
        };
        if let Some(index) = matched {
            found[index] = true;
            ranges.push(range);
        }
    }
    (found.iter().filter(|is_found| **is_found).count(), ranges)
}

/// Where the words of a line are. Accents may be characters of their own.
fn word_ranges(line: &str) -> impl Iterator<Item = Range<usize>> {
    let is_part = |c: char| c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c);
    let mut rest = line.char_indices().peekable();
    std::iter::from_fn(move || {
        while rest.next_if(|(_, c)| !is_part(*c)).is_some() {}
        let start = rest.peek()?.0;
        let mut end = start;
        while let Some((at, c)) = rest.next_if(|(_, c)| is_part(*c)) {
            end = at + c.len_utf8();
        }
        Some(start..end)
    })
}

fn fragments(line: &str, ranges: &[Range<usize>]) -> Vec<Fragment> {
    let shown = shown(line, ranges.first().map_or(0, |range| range.start));
    let mut fragments = Vec::new();
    let mut add = |range: Range<usize>, is_match| {
        if range.start < range.end {
            fragments.push(Fragment { text: line[range].to_owned(), is_match });
        }
    };
    let mut at = shown.start;
    for range in ranges {
        let (start, end) = (range.start.clamp(at, shown.end), range.end.clamp(at, shown.end));
        add(at..start, false);
        add(start..end, true);
        at = end;
    }
    add(at..shown.end, false);
    fragments
}

/// The part of a line that is shown.
fn shown(line: &str, first: usize) -> Range<usize> {
    if line.chars().count() <= SHOWN_CHARS {
        return 0..line.len();
    }
    let start = line[..first].char_indices().rev().nth(BEFORE_CHARS - 1).map_or(0, |(at, _)| at);
    let end = line[start..].char_indices().nth(SHOWN_CHARS).map_or(line.len(), |(at, _)| start + at);
    start..end
}

#[cfg(test)]
mod tests {
    use super::{MarkedLine, SHOWN_CHARS, Wanted, best_line};

    fn marked(lines: &str, text: &str) -> Option<String> {
        let words: Vec<String> = crate::domain::words(text);
        let found = best_line(lines, &Wanted::new(&words, words.last()))?;
        Some(format!("{}: {}", found.place, shown(&found)))
    }

    fn shown(line: &MarkedLine) -> String {
        let fragment = |fragment: &super::Fragment| match fragment.is_match {
            true => format!("[{}]", fragment.text),
            false => fragment.text.clone(),
        };
        line.fragments.iter().map(fragment).collect()
    }

    #[test]
    fn the_line_with_most_words_is_shown_as_it_is() {
        let lines = "1\tUsina de Furnas\n2\t  UH   1    FURNAS   VAZÃO  <b>\n3\tvazao\n";
        assert_eq!(marked(lines, "furnas vazão").as_deref(), Some("2:   UH   1    [FURNAS]   [VAZÃO]  <b>"));
        assert_eq!(marked(lines, "usinas").as_deref(), Some("1: [Usina] de Furnas"));
        assert_eq!(marked(lines, "vaz").as_deref(), Some("2:   UH   1    FURNAS   [VAZÃO]  <b>"));
        assert_eq!(marked(lines, "itaipu"), None);
        assert_eq!(marked("1\tgerac\u{327}a\u{303}o\n", "geração").as_deref(), Some("1: [gerac\u{327}a\u{303}o]"));
    }

    #[test]
    fn a_long_line_is_shown_around_the_first_word() {
        let lines = format!("7\t{} FCMAX {}", "ã ".repeat(300), "ã ".repeat(300));
        let words = vec!["fcmax".to_owned()];
        let found = best_line(&lines, &Wanted::new(&words, None)).expect("a line");
        let text: String = found.fragments.iter().map(|fragment| fragment.text.as_str()).collect();
        assert_eq!(text.chars().count(), SHOWN_CHARS);
        assert!(lines.contains(&text));
        assert!(found.fragments.iter().any(|fragment| fragment.is_match && fragment.text == "FCMAX"));
    }
}
