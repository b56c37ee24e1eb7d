//! Redaction: tokens, e-mail addresses and what is known to be secret are overwritten anywhere in a text, in
//! any encoding.
//!
//! A text is normalized ([`view`]) and searched with all its escapes decoded ([`escape`]), as often as they are
//! nested; base64 and hexadecimal are decoded too ([`encoded`]). What is found is overwritten where it came from. The work
//! grows with the length of the text and no faster.
mod encoded;
mod escape;
mod find;
mod fragment;
mod mailbox;
#[cfg(test)]
mod tests;
mod view;

use std::ops::Range;
use std::sync::OnceLock;

use memchr::memmem;

use escape::Dialect;
use find::{AddressSyntax, TOKEN_BYTES_MIN};
use fragment::Fragments;
use view::View;

/// How often base64 is decoded again. What could be decoded still further is redacted.
const ENCODINGS_MAX: usize = 3;

/// Shorter texts are too likely to be part of ordinary words.
const SECRET_BYTES_MIN: usize = 4;

/// The secrets of one notification, in addition to everything with the syntax of a token or an address.
#[derive(Clone, Default)]
pub struct Secrets {
    texts: Vec<SecretText>,
    fragments: Fragments,
}

/// A text that is overwritten wherever it stands.
#[derive(Clone)]
struct SecretText {
    /// In lower case.
    bytes: Vec<u8>,
    /// Made when a text is searched that is long enough: most tokens are longer than all texts beside the link.
    finder: OnceLock<memmem::Finder<'static>>,
}

impl SecretText {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, finder: OnceLock::new() }
    }

    fn finder(&self) -> &memmem::Finder<'static> {
        self.finder.get_or_init(|| memmem::Finder::new(&self.bytes).into_owned())
    }
}

impl Secrets {
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let mut secrets = Self::default();
        let mut texts: Vec<String> = texts.into_iter().collect();
        texts.sort_unstable();
        texts.dedup();
        let all = texts.iter().flat_map(|text| spellings(text));
        secrets.add_texts(all.filter(|secret| secret.len() >= SECRET_BYTES_MIN).map(SecretText::new).collect());
        secrets
    }

    /// A token is secret as a whole and in pieces.
    pub fn of_token(token: &str) -> Self {
        let mut secrets = Self::new([token.to_owned()]);
        spellings(token).into_iter().for_each(|spelling| secrets.fragments.add(spelling));
        secrets
    }

    /// The user that a token names: an e-mail address or a log-in name, and the part of it that identifies the person.
    pub fn of_user(name: &str) -> Self {
        let mut secrets = Self::new([name.to_owned()]);
        for spelling in spellings(name) {
            let text = String::from_utf8_lossy(&spelling).into_owned();
            secrets.add(Self::new(mailbox::personal_parts(&text)));
        }
        secrets
    }

    pub fn add(&mut self, others: Self) {
        self.add_texts(others.texts);
        self.fragments.extend(others.fragments);
    }

    fn add_texts(&mut self, texts: Vec<SecretText>) {
        self.texts.extend(texts);
        self.texts.sort_by(|a, b| a.bytes.cmp(&b.bytes));
        self.texts.dedup_by(|a, b| a.bytes == b.bytes);
    }

    /// A text with every secret overwritten by `*`; `None` if there is none. The length in bytes stays.
    pub fn redact(&self, text: &str) -> Option<String> {
        self.redact_counted(text).0
    }

    /// The same, with the number of bytes read.
    pub fn redact_counted(&self, text: &str) -> (Option<String>, usize) {
        let mut search = Search { secrets: self, steps: 0 };
        let found = search.text(text.as_bytes());
        let redacted = (!found.is_empty()).then(|| overwritten(text, found));
        (redacted, search.steps)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A text without tokens and e-mail addresses.
pub fn redacted(text: &str) -> String {
    Secrets::default().redact(text).unwrap_or_else(|| text.to_owned())
}

/// A secret as it appears in the views of a text that repeats it.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let plain = View::new(secret.as_bytes());
    let common = plain.decoded(Dialect::Common, &mut 0);
    let others: Vec<View> =
        ambiguous_in(&plain, common.as_ref()).filter_map(|dialect| plain.decoded(dialect, &mut 0)).collect();
    let mut spellings = Vec::new();
    for view in std::iter::once(&plain).chain(&common).chain(&others) {
        let without_breaks = view.without_breaks().map(|view| view.bytes);
        for bytes in std::iter::once(&view.bytes).chain(&without_breaks) {
            let spelling = bytes.to_ascii_lowercase();
            if !spellings.contains(&spelling) {
                spellings.push(spelling);
            }
        }
    }
    spellings
}

/// The dialects in which a text may mean something else than in the common one.
fn ambiguous_in(plain: &View, common: Option<&View>) -> impl Iterator<Item = Dialect> + use<> {
    // The sign itself may be the result of an escape.
    let has = |sign: u8| plain.bytes.contains(&sign) || common.is_some_and(|view| view.bytes.contains(&sign));
    let by_backslash = has(b'\\').then_some([Dialect::Octal, Dialect::Css]);
    let by_equals = has(b'=').then_some(Dialect::QuotedPrintable);
    by_backslash.into_iter().flatten().chain(by_equals)
}

/// One search of a text.
struct Search<'a> {
    secrets: &'a Secrets,
    steps: usize,
}

impl Search<'_> {
    fn text(&mut self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let plain = View::new(text);
        self.view(&plain, AddressSyntax::Any, 0, &mut found);
        self.steps += text.len();
        let decoded = plain.decoded(Dialect::Common, &mut self.steps);
        if let Some(decoded) = &decoded {
            self.view(decoded, AddressSyntax::Any, 0, &mut found);
        }
        for dialect in ambiguous_in(&plain, decoded.as_ref()) {
            let view = plain.decoded(dialect, &mut self.steps);
            if let Some(view) = view.filter(|view| decoded.as_ref().is_none_or(|decoded| decoded.bytes != view.bytes)) {
                self.view(&view, AddressSyntax::Dotted, 0, &mut found);
            }
        }
        if let Some(view) = decoded.as_ref().unwrap_or(&plain).without_breaks() {
            let lower = view.bytes.to_ascii_lowercase();
            self.known(&view, &lower, &mut |span| found.push(view.source(span)));
            let is_broken = |run: &Range<usize>| (run.start + 1..run.end).any(|at| view.has_gap_before(at));
            for run in encoded::runs(&view.bytes).filter(is_broken) {
                if self.hides_secret(&view.bytes[run.clone()], 0) {
                    found.push(view.source(run));
                }
            }
        }
        found
    }

    fn view(&mut self, view: &View, syntax: AddressSyntax, depth: usize, found: &mut Vec<Range<usize>>) {
        let bytes = &view.bytes;
        let lower = bytes.to_ascii_lowercase();
        let mut note = |span: Range<usize>| found.push(view.source(span));
        find::find_addresses(bytes, syntax, &mut self.steps, &mut note);
        find::find_tokens(bytes, &mut self.steps, &mut note);
        find::find_parameters(&lower, &mut self.steps, &mut note);
        self.known(view, &lower, &mut note);
        self.steps += bytes.len();
        for run in encoded::runs(bytes) {
            if self.hides_secret(&bytes[run.clone()], depth) {
                note(run);
            }
        }
    }

    /// What is known to be secret.
    fn known(&mut self, view: &View, lower: &[u8], note: &mut impl FnMut(Range<usize>)) {
        for secret in self.secrets.texts.iter().filter(|secret| secret.bytes.len() <= lower.len()) {
            self.steps += lower.len();
            for at in secret.finder().find_iter(lower) {
                let end = at + secret.bytes.len();
                if stands_alone(view, lower, at..end, &secret.bytes) {
                    note(at..end);
                }
            }
        }
        self.secrets.fragments.find(lower, &mut self.steps, note);
    }

    /// Whether base64 or hexadecimal letters decode to something secret.
    fn hides_secret(&mut self, run: &[u8], depth: usize) -> bool {
        encoded::any_decoding(run, |decoded| {
            self.steps += decoded.len();
            if !encoded::holds_text(decoded) {
                return false;
            }
            if depth == ENCODINGS_MAX {
                return encoded::is_encoded(decoded);
            }
            let plain = View::new(decoded);
            let view = plain.decoded(Dialect::Octal, &mut self.steps).unwrap_or(plain);
            let mut found = Vec::new();
            self.view(&view, AddressSyntax::Ascii, depth + 1, &mut found);
            !found.is_empty()
        })
    }
}

/// A secret of letters and digits alone, such as a log-in name, is found as a word; any other wherever it stands.
fn stands_alone(view: &View, bytes: &[u8], span: Range<usize>, secret: &[u8]) -> bool {
    let in_word = |b: &u8| b.is_ascii_alphanumeric() || *b >= 0x80;
    if !secret.iter().all(in_word) || secret.len() >= TOKEN_BYTES_MIN {
        return true;
    }
    let before = span.start.checked_sub(1).and_then(|at| bytes.get(at));
    let begins = !before.is_some_and(in_word) || view.has_gap_before(span.start);
    let ends = !bytes.get(span.end).is_some_and(in_word) || view.has_gap_before(span.end);
    begins && ends
}

fn overwritten(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.sort_by_key(|span| span.start);
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for span in found {
        let start = text.floor_char_boundary(span.start.max(at));
        let end = text.ceil_char_boundary(span.end);
        if end <= at {
            continue;
        }
        kept.push_str(text.get(at..start).unwrap_or_default());
        kept.extend(std::iter::repeat_n('*', end - start));
        at = end;
    }
    kept.push_str(&text[at..]);
    kept
}
