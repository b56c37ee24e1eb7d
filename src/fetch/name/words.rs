//! Encoded words of RFC 2047, `=?charset?B?…?=` and `=?charset?Q?…?=`, anywhere in a text.
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use encoding_rs::Encoding;

/// Some servers omit the padding or leave trailing bits.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

struct Word<'a> {
    charset: &'a str,
    is_base64: bool,
    text: &'a str,
}

/// Decodes every word. Adjacent words of one charset are joined first, since a character may be split between them; blanks
/// between words are dropped.
pub(super) fn decode(text: &str) -> String {
    let mut out = String::new();
    let mut run: Vec<Word<'_>> = Vec::new();
    let mut rest = text;
    while let Some((before, word, after)) = next_word(rest) {
        if run.is_empty() || !before.trim().is_empty() {
            out.push_str(&decode_run(&std::mem::take(&mut run)));
            out.push_str(before);
        } else if run.last().is_some_and(|last| !last.charset.eq_ignore_ascii_case(word.charset)) {
            out.push_str(&decode_run(&std::mem::take(&mut run)));
        }
        run.push(word);
        rest = after;
    }
    out.push_str(&decode_run(&run));
    out.push_str(rest);
    out
}

/// The text before the next word, the word, and the text after it. A word without an end reaches to the end of the text.
fn next_word(text: &str) -> Option<(&str, Word<'_>, &str)> {
    let mut from = 0;
    while let Some(at) = text[from..].find("=?").map(|at| from + at) {
        if let Some((word, after)) = read_word(&text[at + 2..]) {
            return Some((&text[..at], word, after));
        }
        from = at + 2;
    }
    None
}

fn read_word(text: &str) -> Option<(Word<'_>, &str)> {
    let (charset, rest) = text.split_once('?')?;
    let is_label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '.' | ':');
    if charset.is_empty() || !charset.chars().all(is_label) {
        return None;
    }
    let (encoding, rest) = rest.split_once('?')?;
    let is_base64 = match encoding {
        "B" | "b" => true,
        "Q" | "q" => false,
        _ => return None,
    };
    let (text, after) = rest.split_once("?=").unwrap_or((rest, ""));
    let charset = charset.split('*').next().unwrap_or_default();
    Some((Word { charset, is_base64, text }, after))
}

fn decode_run(words: &[Word<'_>]) -> String {
    let Some(first) = words.first() else { return String::new() };
    let bytes = bytes_of(words);
    let declared = Encoding::for_label(first.charset.as_bytes()).unwrap_or(encoding_rs::UTF_8);
    super::decode_as(&bytes, Some(declared)).into_owned()
}

fn bytes_of(words: &[Word<'_>]) -> Vec<u8> {
    let each: Option<Vec<Vec<u8>>> =
        words.iter().map(|word| if word.is_base64 { base64(word.text) } else { Some(quoted(word.text)) }).collect();
    if let Some(each) = each {
        return each.concat();
    }
    // Some servers cut the base64 text at any position.
    let joined: String = words.iter().filter(|word| word.is_base64).map(|word| word.text).collect();
    base64(&joined).unwrap_or_else(|| words.iter().flat_map(|word| word.text.bytes()).collect())
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace() && *c != '=').collect();
    LENIENT.decode(plain.replace('-', "+").replace('_', "/")).ok()
}

fn quoted(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).filter(|_| byte == b'=').and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.filter(|hex| !hex.starts_with('+')).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(escaped.unwrap_or(if byte == b'_' { b' ' } else { byte }));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    out
}
