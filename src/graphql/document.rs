//! A document is looked at before it is parsed: what is absurdly large or deep is refused without the work.
use async_graphql::ServerError;

use super::error::code;

/// Bytes of one document; what a tool has more to say, such as a list of ids, it says in variables.
const LENGTH_MAX: usize = 100_000;

/// Names, numbers, texts and signs of one document; the largest that a tool was seen to send, a full introspection, has
/// under 600.
const TOKENS_MAX: usize = 4_000;

/// Selections inside selections; what is counted after parsing is stricter.
const NESTING_MAX: usize = 60;

/// Names given to fields: each asks the same thing once more.
const ALIASES_MAX: usize = 100;

/// Whether a document is worth parsing; an error names the bound.
pub fn check_document(text: &str) -> Result<(), ServerError> {
    let refuse = |what: &str, max: usize| {
        let told = format!("the document has more than {max} {what}: ask in parts, and put long lists into variables");
        let mut error = ServerError::new(told, None);
        error.extensions.get_or_insert_default().set("code", code::TOO_COMPLEX);
        Err(error)
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

/// A text's length with its quotes, a block's included; to the end where it has none.
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
