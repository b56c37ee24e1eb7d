//! The fields of a document.
use tantivy::schema::{FAST, Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions};

use crate::domain::{Digest, stem, words};

/// Incremented with every change to the fields, their content, or what is read of files. An index of another version is built anew.
pub(super) const VERSION: u32 = 1;

#[derive(Clone, Copy)]
pub(super) struct Fields {
    /// The digest of the file, which all its documents have.
    pub digest: Field,
    /// The first half of its bits.
    pub digest_high: Field,
    /// The words, each with its stem.
    pub words: Field,
    /// The path of a member; absent for the text of the file itself.
    pub path: Field,
    /// The lines, compressed.
    pub lines: Field,
    /// In the one document that stands for the file: what became of it.
    pub outcome: Field,
    /// There too: why something was not read.
    pub note: Field,
}

pub(super) fn build() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let words = TextFieldIndexing::default().set_tokenizer("whitespace").set_index_option(IndexRecordOption::Basic);
    let fields = Fields {
        digest: schema.add_text_field("digest", STRING | STORED),
        digest_high: schema.add_u64_field("digest_high", FAST),
        words: schema.add_text_field("words", TextOptions::default().set_indexing_options(words)),
        path: schema.add_text_field("path", STORED),
        lines: schema.add_bytes_field("lines", STORED),
        outcome: schema.add_text_field("outcome", STRING),
        note: schema.add_text_field("note", STORED),
    };
    (schema.build(), fields)
}

/// The part of a digest that columns have. Two files that share it would be found for each other's words, and shown without a line.
pub(in crate::engine::index) fn high_of(digest: Digest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = digest.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Longer words are no words that people search for, such as encoded pictures.
const WORD_CHARS_MAX: usize = 40;

/// The terms of a line: its words, and their stems where these differ.
pub(super) fn terms_of(line: &str) -> impl Iterator<Item = String> {
    let words = words(line).into_iter().filter(|word| word.chars().count() <= WORD_CHARS_MAX);
    words.flat_map(|word| {
        let stem = stem_term(&word);
        [Some(word), stem].into_iter().flatten()
    })
}

/// The term of a word's stem, if it is not the word itself.
fn stem_term(word: &str) -> Option<String> {
    let stem = stem(word);
    (stem != word).then(|| marked(&stem))
}

/// No word has the sign, so a stem is not found as a word.
fn marked(stem: &str) -> String {
    format!("~{stem}")
}

/// The terms that a word is found by: itself, the words that are its stem, and those that have its stem.
pub(super) fn terms_to_find(word: &str) -> Vec<String> {
    let stem = stem(word);
    let mut terms = vec![word.to_owned(), marked(&stem), stem];
    terms.sort();
    terms.dedup();
    terms
}
