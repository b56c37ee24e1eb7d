//! Bytes as lines of text. Published files are in UTF-8, Windows-1252 (of which Latin-1 is a part), the code page 850 of DOS, or
//! UTF-16, and do not say which.
use std::borrow::Cow;

use super::{LineEnds, Note};
use crate::domain::{CP850, PORTUGUESE, capitals_inside_words, with_code_page};

/// Bytes that decide whether a content is text.
const SNIFFED: usize = 64 << 10;

/// Of a text in a single-byte encoding, at most this share is outside ASCII, in percent, unless it reads well.
const NON_ASCII_MAX: usize = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Ascii,
    Utf8,
    Utf8WithBom,
    Utf16,
    Windows1252,
    Cp850,
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ASCII",
            Self::Utf8 => "UTF-8",
            Self::Utf8WithBom => "UTF-8 (BOM)",
            Self::Utf16 => "UTF-16",
            Self::Windows1252 => "Windows-1252",
            Self::Cp850 => "CP850",
        }
    }
}

/// A content as text. It never changes how many columns a line has: nothing is trimmed, expanded or joined.
#[derive(Debug)]
pub struct Text<'a> {
    text: Cow<'a, str>,
    encoding: Encoding,
    line_ends: LineEnds,
}

/// A line without its end. Only the last one of a text may have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line<'a> {
    pub text: &'a str,
    pub has_end: bool,
}

impl Text<'_> {
    fn new(text: Cow<'_, str>, encoding: Encoding) -> Text<'_> {
        let lf = memchr::memchr_iter(b'\n', text.as_bytes()).count();
        let crlf = memchr::memmem::find_iter(text.as_bytes(), "\r\n").count();
        let line_ends = match (lf, crlf) {
            (0, _) => LineEnds::None,
            (_, 0) => LineEnds::Lf,
            _ if lf == crlf => LineEnds::CrLf,
            _ => LineEnds::Mixed,
        };
        Text { text, encoding, line_ends }
    }

    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.text.split_inclusive('\n').map(|line| match line.strip_suffix('\n') {
            Some(text) => Line { text: text.strip_suffix('\r').unwrap_or(text), has_end: true },
            None => Line { text: line, has_end: false },
        })
    }

    pub fn line_count(&self) -> u64 {
        let ends = memchr::memchr_iter(b'\n', self.text.as_bytes()).count() as u64;
        ends + u64::from(!self.text.is_empty() && !self.text.ends_with('\n'))
    }

    /// What lines do not show: another encoding, or other line ends.
    pub fn differs_in(&self, to: &Self) -> Vec<Note> {
        let mut differences = Vec::new();
        let is_ascii = |text: &Self| text.encoding == Encoding::Ascii;
        if self.encoding != to.encoding && !is_ascii(self) && !is_ascii(to) {
            differences.push(Note::Encoding { before: self.encoding.name(), after: to.encoding.name() });
        }
        let has_none = |text: &Self| text.line_ends == LineEnds::None;
        if self.line_ends != to.line_ends && !has_none(self) && !has_none(to) {
            differences.push(Note::LineEnds { before: self.line_ends, after: to.line_ends });
        }
        differences
    }
}

/// Whether a content begins as text does.
pub fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(SNIFFED)];
    if utf16(start).is_some() {
        return true;
    }
    if start.starts_with(b"%PDF") || start.iter().any(|b| is_binary(*b)) {
        return false;
    }
    let end = std::str::from_utf8(start).map_or_else(|e| e.valid_up_to(), str::len);
    // A character may be cut at the end.
    let is_utf8 = start.len() - end < 4 && (start.len() < bytes.len() || end == start.len());
    is_utf8 || start.iter().filter(|b| !b.is_ascii()).count() * 100 <= start.len() * NON_ASCII_MAX || reads_well(start)
}

/// Whether three quarters of what is outside ASCII are letters of Portuguese or lines of tables, in one of the code pages.
fn reads_well(bytes: &[u8]) -> bool {
    let in_use = |text: &str| {
        let others = text.chars().filter(|c| !c.is_ascii());
        let (known, unknown): (Vec<char>, Vec<char>) =
            others.partition(|c| PORTUGUESE.contains(*c) || is_line_of_table(*c));
        known.len() >= unknown.len() * 3
    };
    in_use(&with_code_page(bytes, CP850)) || in_use(&encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0)
}

fn is_line_of_table(c: char) -> bool {
    matches!(c, '\u{2500}'..='\u{257f}')
}

/// Control characters that no text has. DOS ended files with 0x1A, and printers were sent form feeds and escapes.
fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=0x08 | 0x0e..=0x19 | 0x1c..=0x1f | 0x7f)
}

/// Two contents as text; `None` if one of them is not text. Both are read in the same encoding where neither says its own.
pub fn read_pair<'a>(from: &'a [u8], to: &'a [u8]) -> Option<(Text<'a>, Text<'a>)> {
    if !is_text(from) || !is_text(to) {
        return None;
    }
    let known = [with_own_encoding(from), with_own_encoding(to)];
    let is_cp850 = is_cp850(&uncertain_words([from, to], &known));
    let [from_known, to_known] = known;
    let read = |known: Option<Text<'a>>, bytes: &'a [u8]| known.unwrap_or_else(|| single_byte(bytes, is_cp850));
    Some((read(from_known, from), read(to_known, to)))
}

/// One content as text with LF as its line ends, and the name of its encoding; `None` if it is not text.
pub fn read_text(bytes: &[u8]) -> Option<(String, &'static str)> {
    let (text, _) = read_pair(bytes, bytes)?;
    let lines: Vec<&str> = text.lines().map(|line| line.text).collect();
    Some((lines.join("\n"), text.encoding.name()))
}

/// The words outside ASCII of the contents whose encoding is not known, of a bounded part of them.
fn uncertain_words(contents: [&[u8]; 2], known: &[Option<Text<'_>>; 2]) -> Vec<u8> {
    let uncertain = contents.into_iter().zip(known).filter(|(_, known)| known.is_none());
    let words = uncertain.flat_map(|(bytes, _)| bytes.split(u8::is_ascii_whitespace)).filter(|word| !word.is_ascii());
    words.flat_map(|word| word.iter().copied().chain([b' '])).take(SNIFFED).collect()
}

/// The text, if its encoding is certain.
fn with_own_encoding(bytes: &[u8]) -> Option<Text<'_>> {
    if let Some(text) = utf16(bytes) {
        return Some(Text::new(text.into(), Encoding::Utf16));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    Some(match text.strip_prefix('\u{feff}') {
        Some(rest) => Text::new(rest.into(), Encoding::Utf8WithBom),
        None if text.is_ascii() => Text::new(text.into(), Encoding::Ascii),
        None => Text::new(text.into(), Encoding::Utf8),
    })
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let encoding = match bytes {
        [0xff, 0xfe, ..] => encoding_rs::UTF_16LE,
        [0xfe, 0xff, ..] => encoding_rs::UTF_16BE,
        _ => return None,
    };
    // The beginning of a text may end inside a character.
    let whole = &bytes[..bytes.len() & !1];
    let text = encoding.decode_with_bom_removal(whole).0;
    (!text.contains('\0')).then(|| text.into_owned())
}

fn single_byte(bytes: &[u8], is_cp850: bool) -> Text<'_> {
    match is_cp850 {
        true => Text::new(with_code_page(bytes, CP850).into(), Encoding::Cp850),
        false => Text::new(encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0, Encoding::Windows1252),
    }
}

/// Whether words read better in the code page of DOS: with more letters of Portuguese and lines of tables, and with fewer capitals inside
/// words. What reads alike is Windows-1252, which most programs write.
fn is_cp850(words: &[u8]) -> bool {
    let score = |text: &str| {
        let letters = text.chars().filter(|c| PORTUGUESE.contains(*c)).count();
        let lines = text.chars().filter(|c| is_line_of_table(*c)).count();
        (letters * 2 + lines, std::cmp::Reverse(capitals_inside_words(text)))
    };
    let windows = encoding_rs::WINDOWS_1252.decode_without_bom_handling(words).0;
    score(&with_code_page(words, CP850)) > score(&windows)
}

#[cfg(test)]
mod tests {
    use super::{is_text, read_pair};

    fn read(bytes: &[u8]) -> (String, &'static str) {
        let (text, _) = read_pair(bytes, b"").expect("text");
        (text.text.to_string(), text.encoding.name())
    }

    #[test]
    fn encodings_are_recognized() {
        for (bytes, text, encoding) in [
            (&b"UH  1   3\r\n"[..], "UH  1   3\r\n", "ASCII"),
            ("geração".as_bytes(), "geração", "UTF-8"),
            (b"\xef\xbb\xbfdata;vaz\xc3\xa3o", "data;vazão", "UTF-8 (BOM)"),
            (b"gera\xe7\xe3o di\xe1ria", "geração diária", "Windows-1252"),
            (b"OPERA\xc7\xc3O", "OPERAÇÃO", "Windows-1252"),
            (b"gera\x87\xc6o di\xa0ria", "geração diária", "CP850"),
            (b"\xda\xc4\xc4\xc4\xbf\n\xb3  1\xb3\n", "┌───┐\n│  1│\n", "CP850"),
            (b"\xff\xfeA\0\xe7\0", "Aç", "UTF-16"),
            (b"\xfe\xff\0A\0\xe7", "Aç", "UTF-16"),
            (b"fim\x1a", "fim\x1a", "ASCII"),
        ] {
            assert_eq!(read(bytes), (text.to_owned(), encoding), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn binary_contents_are_no_text() {
        for bytes in [
            &b"\x01\0\0\0\x02\0\0\0"[..],
            b"%PDF-1.7\n",
            b"\x89PNG\r\n\x1a\n\0\0",
            b"PK\x03\x04\x14\0",
            &b"\xf7\xd0\xbe\xa9".repeat(9),
        ] {
            assert!(!is_text(bytes), "{}", bytes.escape_ascii());
        }
        assert!(is_text(b""));
        // A character is cut where the beginning ends.
        let long = "ç".repeat(super::SNIFFED);
        assert!(is_text(format!("a{long}").as_bytes()));
    }

    #[test]
    fn two_texts_share_an_encoding_that_neither_names() {
        // Alone, the first could be either.
        let (from, to) = read_pair(b"caf\x82", b"caf\x82 da manh\xc6").expect("texts");
        assert_eq!((&*from.text, &*to.text), ("café", "café da manhã"));
    }

    #[test]
    fn what_lines_do_not_show_is_said() {
        let (from, to) = read_pair(b"\xe9\r\n", "é\n".as_bytes()).expect("texts");
        assert_eq!(
            from.differs_in(&to).iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["the encoding changed from Windows-1252 to UTF-8", "the line ends changed from CRLF to LF"]
        );
        assert!(from.lines().eq(to.lines()));
    }
}
