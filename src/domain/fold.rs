use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::text::is_invisible;

/// A name as it is compared: without case, accents and characters without width, with single blanks, trimmed.
pub fn fold(text: &str) -> String {
    // Most text has nothing to decompose.
    if text.is_ascii() {
        return fold_decomposed(text.chars(), text.len());
    }
    fold_decomposed(text.nfkd().filter(|c| !is_combining_mark(*c)), text.len())
}

fn fold_decomposed(text: impl Iterator<Item = char>, capacity: usize) -> String {
    let mut folded = String::with_capacity(capacity);
    let mut gap = false;
    for c in text {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is not decomposed first has nothing to decompose.
        #[test]
        fn ascii_text_is_folded_as_any_other(text in "[\\x00-\\x7f]{0,60}") {
            let decomposed = text.nfkd().filter(|c| !is_combining_mark(*c));
            prop_assert_eq!(fold(&text), fold_decomposed(decomposed, text.len()));
        }
    }
}
