//! The parameters of a Content-Disposition header, parsed leniently, as browsers do.

/// In the order sent; names in lower case, values unquoted.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn parse(header: &str) -> Self {
        let mut params = Vec::new();
        let mut rest = header;
        while !rest.is_empty() {
            let name_end = rest.find(['=', ';']).unwrap_or(rest.len());
            let name = rest[..name_end].trim().to_ascii_lowercase();
            rest = &rest[name_end..];
            let Some(value) = rest.strip_prefix('=') else {
                // The disposition itself, or an empty parameter.
                rest = rest.strip_prefix(';').unwrap_or(rest);
                continue;
            };
            let value = value.trim_start();
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => read_quoted(quoted),
                None => read_token(value),
            };
            params.push((name, value));
            rest = after;
        }
        Self(params)
    }

    /// The first value with this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// The value up to its closing quote, and the text after the next `;`.
fn read_quoted(text: &str) -> (String, &str) {
    let end = closing_quote(text);
    let after = &text[(end + 1).min(text.len())..];
    let after = after.find(';').map_or("", |at| &after[at + 1..]);
    (unescaped(&text[..end]), after)
}

/// The quote before a `;` or the end, since some servers do not escape inner quotes; else the first quote.
fn closing_quote(text: &str) -> usize {
    let mut first = None;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        if c == '"' && !is_escaped {
            first.get_or_insert(at);
            let after = text[at + 1..].trim_start();
            if after.is_empty() || after.starts_with(';') {
                return at;
            }
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    first.unwrap_or(text.len())
}

/// Only quotes and backslashes are escaped: any other backslash belongs to a Windows path.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = (c == '\\').then(|| chars.next_if(|next| matches!(next, '"' | '\\'))).flatten();
        out.push(escaped.unwrap_or(c));
    }
    out
}

/// An unquoted value: up to the next `;`, inner blanks included.
fn read_token(text: &str) -> (String, &str) {
    let end = text.find(';').unwrap_or(text.len());
    let value = text[..end].trim();
    let single = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
    (single.unwrap_or(value).to_owned(), text.get(end + 1..).unwrap_or_default())
}
