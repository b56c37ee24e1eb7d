//! Limits of documents: what is absurdly large or deep is refused before it is parsed, and what its fragments make so before it
//! is validated.
use std::collections::HashMap;

use async_graphql::ServerError;
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};

use super::error::{code, request_error};

/// Bytes of one document. Long values, such as lists of ids, belong into variables.
const LENGTH_MAX: usize = 100_000;

/// Tokens of one document. The largest that a tool was seen to send, a full introspection, has fewer than 600.
const TOKENS_MAX: usize = 4_000;

/// Nested selections; the limit after parsing is stricter.
const NESTING_MAX: usize = 60;

/// Selections of a document once its fragments are filled in; a document without them cannot come close.
const SELECTIONS_MAX: usize = 10_000;

/// Aliases: each selects a field once more.
const ALIASES_MAX: usize = 100;

/// Checks a document before it is parsed; an error names the limit.
pub(super) fn check_text(text: &str) -> Result<(), ServerError> {
    let refuse = |what: &str, max: usize| {
        let message =
            format!("the document has more than {max} {what}: ask in parts, and put long lists into variables");
        Err(request_error(code::TOO_COMPLEX, message, None))
    };
    if text.len() > LENGTH_MAX {
        return refuse("bytes", LENGTH_MAX);
    }
    let (mut tokens, mut nesting, mut deepest, mut colons) = (0usize, 0usize, 0usize, 0usize);
    // Inside parentheses a colon belongs to an argument, outside to an alias.
    let mut parentheses = 0usize;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() && tokens <= TOKENS_MAX {
        let byte = bytes[at];
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' | 0xef | 0xbb | 0xbf => {
                at += 1;
                continue;
            }
            b'#' => {
                at += bytes[at..].iter().take_while(|b| !matches!(b, b'\n' | b'\r')).count();
                continue;
            }
            b'"' => at += text_length(&bytes[at..]),
            _ if byte.is_ascii_alphanumeric() || byte == b'_' => {
                at += bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
            }
            _ => {
                match byte {
                    b'{' | b'[' => nesting += 1,
                    b'}' | b']' => nesting = nesting.saturating_sub(1),
                    b'(' => parentheses += 1,
                    b')' => parentheses = parentheses.saturating_sub(1),
                    b':' if parentheses == 0 => colons += 1,
                    _ => {}
                }
                deepest = deepest.max(nesting);
                at += 1;
            }
        }
        tokens += 1;
    }
    if tokens > TOKENS_MAX {
        return refuse("tokens", TOKENS_MAX);
    }
    if deepest > NESTING_MAX {
        return refuse("selections inside each other", NESTING_MAX);
    }
    if colons > ALIASES_MAX {
        return refuse("aliases", ALIASES_MAX);
    }
    Ok(())
}

/// The length of a string with its quotes, block strings included; to the end of the document if it is not closed.
fn text_length(bytes: &[u8]) -> usize {
    let block = bytes.starts_with(b"\"\"\"");
    let quotes = if block { 3 } else { 1 };
    let mut at = quotes;
    while at < bytes.len() {
        if bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at..].starts_with(&b"\"\"\""[..quotes]) {
            return at + quotes;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// Refuses a document whose fragments make it far larger than its text: validation walks through a fragment at each of its
/// spreads.
pub(super) fn check_fragments(document: &ExecutableDocument) -> Result<(), ServerError> {
    let mut sizes = Sizes { document, known: HashMap::new() };
    for (_, operation) in document.operations.iter() {
        if sizes.of(&operation.node.selection_set.node) > SELECTIONS_MAX {
            let message =
                format!("the document has more than {SELECTIONS_MAX} selections once its fragments are filled in");
            return Err(request_error(code::TOO_COMPLEX, message, Some(operation.pos)));
        }
    }
    Ok(())
}

struct Sizes<'a> {
    document: &'a ExecutableDocument,
    /// Of fragments; 0 while one is being counted, since validation refuses circles.
    known: HashMap<&'a str, usize>,
}

impl<'a> Sizes<'a> {
    fn of(&mut self, set: &'a SelectionSet) -> usize {
        let sizes = set.items.iter().map(|selection| match &selection.node {
            Selection::Field(field) => self.of(&field.node.selection_set.node),
            Selection::InlineFragment(fragment) => self.of(&fragment.node.selection_set.node),
            Selection::FragmentSpread(spread) => self.of_fragment(spread.node.fragment_name.node.as_str()),
        });
        sizes.fold(0, |sum: usize, size| sum.saturating_add(size).saturating_add(1))
    }

    fn of_fragment(&mut self, name: &'a str) -> usize {
        if let Some(size) = self.known.get(name) {
            return *size;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return 0 };
        self.known.insert(name, 0);
        let size = self.of(&fragment.node.selection_set.node);
        self.known.insert(name, size);
        size
    }
}
