use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::text::is_invisible;

/// A name as it is compared: without case, accents and characters without width, with single blanks, trimmed.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        if c.is_whitespace() {
            gap = !folded.is_empty();
            continue;
        }
        if is_invisible(c) || c.is_control() {
            continue;
        }
        if gap {
            folded.push(' ');
            gap = false;
        }
        folded.extend(c.to_lowercase());
    }
    folded
}

/// Text compared without regard to case alone: accents count, and a letter is the same composed or decomposed.
pub fn fold_case(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).nfc().collect()
}

/// The words of a text as they are searched: folded, and split at everything that is not a letter or a digit.
pub fn words(text: &str) -> Vec<String> {
    fold(text).split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
