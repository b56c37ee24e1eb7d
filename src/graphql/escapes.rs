//! Escapes in the strings of a document. async-graphql's parser knows neither `\u{1F600}` nor surrogate pairs, both of which
//! the specification has (section 2.9.4): they are written as the character that they mean before it sees them.
use std::borrow::Cow;

/// The document with every escape that the parser does not know replaced. An invalid escape stays as it is, for the parser to
/// report.
pub(super) fn with_known_escapes(document: &str) -> Cow<'_, str> {
    let has_some = document.contains("\\u{") || document.contains("\\ud") || document.contains("\\uD");
    if !has_some {
        return Cow::Borrowed(document);
    }
    let mut written = String::with_capacity(document.len());
    let mut rest = document;
    while let Some(at) = rest.find(['"', '#']) {
        let (before, from) = rest.split_at(at);
        written.push_str(before);
        let length = if from.starts_with('#') {
            from.find(['\n', '\r']).unwrap_or(from.len())
        } else if from.starts_with("\"\"\"") {
            block_length(from)
        } else {
            let length = text_length(from);
            write_text(&mut written, &from[..length]);
            rest = &from[length..];
            continue;
        };
        written.push_str(&from[..length]);
        rest = &from[length..];
    }
    written.push_str(rest);
    Cow::Owned(written)
}

/// The length of a block string with its quotes; its only escape is that of its quotes.
fn block_length(text: &str) -> usize {
    let mut at = 3;
    while let Some(found) = text[at..].find("\"\"\"") {
        let end = at + found;
        if !text[..end].ends_with('\\') {
            return end + 3;
        }
        at = end + 3;
    }
    text.len()
}

/// The length of a string with its quotes; to the end of the line if it is not closed.
fn text_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\n' | b'\r' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn write_text(written: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        written.push_str(before);
        match braced(escape).or_else(|| pair(escape)) {
            Some((c, length)) => {
                // A character that would end the string, or look like another escape, stays escaped.
                if c < ' ' || c == '"' || c == '\\' || c == '\u{7f}' {
                    written.push_str(&format!("\\u{:04X}", u32::from(c)));
                } else {
                    written.push(c);
                }
                rest = &escape[length..];
            }
            None => {
                let length = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
                written.push_str(&escape[..length]);
                rest = &escape[length..];
            }
        }
    }
    written.push_str(rest);
}

/// `\u{1F600}`, and its length.
fn braced(escape: &str) -> Option<(char, usize)> {
    let inner = escape.strip_prefix("\\u{")?;
    let end = inner.find('}')?;
    Some((char::from_u32(hex(&inner[..end])?)?, end + 4))
}

/// `\uD83D\uDE00`, and its length.
fn pair(escape: &str) -> Option<(char, usize)> {
    let leading = hex(escape.strip_prefix("\\u")?.get(..4)?)?;
    let trailing = hex(escape.get(6..)?.strip_prefix("\\u")?.get(..4)?)?;
    if !(0xd800..0xdc00).contains(&leading) || !(0xdc00..0xe000).contains(&trailing) {
        return None;
    }
    let c = char::from_u32(0x10000 + ((leading - 0xd800) << 10) + (trailing - 0xdc00))?;
    Some((c, 12))
}

fn hex(digits: &str) -> Option<u32> {
    let is_hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    // Leading zeros are allowed, in any number.
    let significant = digits.trim_start_matches('0');
    if !is_hex || significant.len() > 6 {
        return None;
    }
    if significant.is_empty() { Some(0) } else { u32::from_str_radix(significant, 16).ok() }
}

#[cfg(test)]
mod tests {
    use super::with_known_escapes;

    #[test]
    fn escapes_mean_their_character() {
        for (document, written) in [
            (r#"{ a(b: "\u{1F600}") }"#, "{ a(b: \"\u{1F600}\") }"),
            (r#"{ a(b: "\uD83D\uDE00x") }"#, "{ a(b: \"\u{1F600}x\") }"),
            (r#"{ a(b: "\ud83d\ude00") }"#, "{ a(b: \"\u{1F600}\") }"),
            (r#"{ a(b: "\u{0000e7}\u00e7") }"#, "{ a(b: \"ç\\u00e7\") }"),
            (r#"{ a(b: "\u{22}\u{5C}\u{A}") }"#, r#"{ a(b: "\u0022\u005C\u000A") }"#),
            // Not an escape: the backslash before it is escaped itself.
            (r#"{ a(b: "\\u{41}") }"#, r#"{ a(b: "\\u{41}") }"#),
            // Not valid: the parser says so.
            (
                r#"{ a(b: "\u{110000}\u{}\u{D800}\uD83D\uD83Dx") }"#,
                r#"{ a(b: "\u{110000}\u{}\u{D800}\uD83D\uD83Dx") }"#,
            ),
            // Blocks and comments know no escapes.
            (
                r#"{ a(b: """\u{41} \""" \u{42}""", c: "\u{43}") # "\u{44}"#,
                r#"{ a(b: """\u{41} \""" \u{42}""", c: "C") # "\u{44}"#,
            ),
            ("# \\u{41} \"\n{ a(b: \"\\u{41}\") }", "# \\u{41} \"\n{ a(b: \"A\") }"),
            (r#"{ a(b: "") c(d: "\u{41}", e: "ã\u{42}") }"#, r#"{ a(b: "") c(d: "A", e: "ãB") }"#),
            (r#"{ a(b: "\u{41"#, r#"{ a(b: "\u{41"#),
            (r#"{ a(b: "\u{41}\"#, r#"{ a(b: "A\"#),
        ] {
            assert_eq!(with_known_escapes(document), written, "{document}");
        }
    }
}
