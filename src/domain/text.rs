//! Text from outside: how it is cleaned, how long it may be, which characters are invisible or control a terminal.
use std::borrow::Cow;

use super::{fold, redacted};

/// The longest field of a notification that is accepted. A longer one is neither a name nor a date.
pub const FIELD_CHARS_MAX: usize = 2_000;

/// Longer names are truncated; real ones have fewer than 120 characters.
pub const NAME_CHARS_MAX: usize = 500;

/// The longest folded name in bytes: an index row of PostgreSQL has 2,704 bytes at most.
const FOLDED_BYTES_MAX: usize = 2_000;

/// The longest reason for a hold.
pub const REASON_CHARS_MAX: usize = 1_000;

/// Text from outside as it is stored: control characters become a blank if they are white space and are removed otherwise,
/// since PostgreSQL does not store NUL and terminals interpret escapes. Trimmed.
pub fn clean(text: &str) -> String {
    let kept = text.chars().filter_map(|c| match c {
        '\u{2028}' | '\u{2029}' => Some(' '),
        c if c.is_control() => c.is_whitespace().then_some(' '),
        c => Some(c),
    });
    kept.collect::<String>().trim().to_owned()
}

/// Whether a database can store a text: PostgreSQL cannot store NUL. A text that cannot be stored equals no stored one.
pub fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

/// Whether a text is empty or holds only white space and invisible characters.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c.is_control() || is_invisible(c))
}

/// Whether a character has no width: joiners, directional marks, the byte order mark and the other default ignorable code
/// points of Unicode. Comparisons of names ignore them.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// A text that is safe to print: control characters and those that change the reading direction are escaped, as in
/// `\u202e`. Line ends and tabs stay. The escapes are those of JSON, so that the meaning of JSON does not change.
pub fn printable(text: &str) -> Cow<'_, str> {
    let must_escape = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || is_deceptive(c);
    if !text.contains(must_escape) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_line_end = c == '\r' && rest.peek() == Some(&'\n');
        match must_escape(c) && !is_line_end {
            true => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// The beginning of a text, of at most `chars_max` characters which, folded, fits into an index of the database.
pub fn indexable_prefix(text: &str, chars_max: usize) -> &str {
    let mut folded_bytes = 0;
    for (count, (at, c)) in text.char_indices().enumerate() {
        folded_bytes += fold(c.encode_utf8(&mut [0; 4])).len().max(c.len_utf8());
        if count == chars_max || folded_bytes > FOLDED_BYTES_MAX {
            return text[..at].trim_end();
        }
    }
    text
}

/// How many characters of a value a message repeats.
const EXCERPT_CHARS_MAX: usize = 60;

/// A value from outside as a message repeats it: its first characters, with tokens and e-mail addresses redacted.
pub fn excerpt(text: &str) -> String {
    // Redacted first, since a truncated token is not recognised.
    first_chars(&redacted(text), EXCERPT_CHARS_MAX).to_owned()
}

/// The first characters of a text, `chars_max` at most.
pub fn first_chars(text: &str, chars_max: usize) -> &str {
    text.char_indices().nth(chars_max).map_or(text, |(end, _)| &text[..end])
}

/// Bytes as text: UTF-8, else Windows-1252, the superset of Latin-1 that Brazilian systems write.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// Whether a character changes the reading direction (`exe` could look like `pdf`) or breaks the line.
pub fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{
        FOLDED_BYTES_MAX, NAME_CHARS_MAX, clean, decode, excerpt, first_chars, fold, indexable_prefix, is_blank,
        printable,
    };
    use proptest::prelude::*;

    #[test]
    fn every_white_space_is_a_blank_and_invisible_characters_are_ignored() {
        assert_eq!(clean("Relatório\nMensal\u{0}\u{1b}[2J\r\n"), "Relatório Mensal[2J");
        for space in ["\n", "\r\n", "\t", "\u{b}", "\u{c}", "\u{85}", "\u{a0}", "\u{2007}", "\u{2028}", "\u{3000}"] {
            assert_eq!(fold(&clean(&format!("Relatório{space}Mensal"))), "relatorio mensal", "{space:?}");
        }
        for nothing in ["\u{200b}", "\u{200d}", "\u{feff}", "\u{ad}", "\u{2060}", "\u{202e}", "\u{0}"] {
            assert_eq!(
                fold(&format!("Rela{nothing}tório {nothing} Mensal{nothing}")),
                "relatorio mensal",
                "{nothing:?}"
            );
            assert!(is_blank(&format!(" {nothing}\n")));
        }
    }

    #[test]
    fn what_controls_a_terminal_is_escaped() {
        assert_eq!(printable("a\u{202e}fdp\u{1b}[31m\u{9b}\n"), "a\\u202efdp\\u001b[31m\\u009b\n");
        assert_eq!(printable("Previsão\t1\r\n"), "Previsão\t1\r\n");
        assert_eq!(printable("100 %\rOK"), "100 %\\u000dOK");
    }

    #[test]
    fn an_excerpt_is_short_and_holds_no_secret() {
        assert_eq!(excerpt("Previsão"), "Previsão");
        assert_eq!(excerpt(&"ã".repeat(100)), "ã".repeat(60));
        assert_eq!(first_chars("ação", 3), "açã");
        assert_eq!(first_chars("ação", 0), "");
        // The address would be cut in the middle.
        let cut = format!("{} maria.silva@example.com", "x".repeat(45));
        assert!(!excerpt(&cut).contains("maria"), "{}", excerpt(&cut));
    }

    #[test]
    fn what_is_not_utf_8_is_windows_1252() {
        assert_eq!(decode("Previsão".as_bytes()), "Previsão");
        assert_eq!(decode(b"Previs\xe3o \x96 x"), "Previsão – x");
    }

    proptest! {
        #[test]
        fn an_indexable_prefix_fits(text in "\\PC{0,800}", wide in "[\u{fdfa}\u{fb03}a]{0,700}") {
            for text in [text, wide] {
                let kept = indexable_prefix(&text, NAME_CHARS_MAX);
                prop_assert!(text.starts_with(kept));
                prop_assert!(kept.chars().count() <= NAME_CHARS_MAX);
                prop_assert!(fold(kept).len() <= FOLDED_BYTES_MAX && kept.len() <= FOLDED_BYTES_MAX);
            }
        }
    }
}
