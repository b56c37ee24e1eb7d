use crate::domain::fold;

/// Text from outside as it is kept: control characters gone (PostgreSQL takes no NUL, terminals take escapes), trimmed.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// A published name made safe to show and to offer as a download; never used as a path.
///
/// Directories are dropped (both slashes), control characters and what Windows forbids become `_`, and at most 200
/// characters stay, the extension among them. `None` when nothing is left.
pub fn file_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe: String = clean(last)
        .chars()
        .map(|c| if matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*') { '_' } else { c })
        // Characters that turn the reading direction round could make `exe` look like `pdf`.
        .filter(|c| !matches!(*c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .collect();
    let safe = safe.trim_matches(|c: char| c == ' ').trim_start_matches('.').to_owned();
    if safe.is_empty() {
        return None;
    }
    const CHARS_MAX: usize = 200;
    if safe.chars().count() <= CHARS_MAX {
        return Some(safe);
    }
    let tail = extension_of(&safe).map(|extension| format!(".{extension}")).unwrap_or_default();
    let head: String = safe.chars().take(CHARS_MAX - tail.chars().count()).collect();
    Some(head + &tail)
}

/// The extension of a file name: folded to lower case, without the dot; at most 10 letters and digits.
pub fn extension_of(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    let plain = (1..=10).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain && !stem.is_empty()).then(|| fold(extension))
}
