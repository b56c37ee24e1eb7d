use crate::domain::fold;

/// Text from outside as it is kept: control characters gone (PostgreSQL takes no NUL, terminals take escapes), trimmed.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// A published name made safe to show and to offer as a download; never used as a path.
///
/// Directories are dropped (both slashes), control characters are dropped and what Windows forbids becomes `_`; names that
/// Windows keeps for devices (`CON`, `nul.txt`) get a `_` before them, and dots and blanks at the end go. At most 200
/// characters stay, the extension among them. `None` when nothing is left.
pub fn file_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe: String = clean(last)
        .chars()
        .map(|c| if matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*') { '_' } else { c })
        .filter(|c| !is_deceptive(*c))
        .collect();
    let is_edge = |c: char| c.is_whitespace() || c == '.';
    let safe = safe.trim_start_matches(is_edge).trim_end_matches(is_edge);
    if safe.is_empty() {
        return None;
    }
    const CHARS_MAX: usize = 200;
    let safe = if is_device(safe) { format!("_{safe}") } else { safe.to_owned() };
    if safe.chars().count() <= CHARS_MAX {
        return Some(safe);
    }
    let tail = extension_of(&safe).map(|extension| format!(".{extension}")).unwrap_or_default();
    let head: String = safe.chars().take(CHARS_MAX - tail.chars().count()).collect();
    Some(head + &tail)
}

/// Characters that turn the reading direction (`exe` could look like `pdf`) or break the line.
pub fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether Windows takes a file of this name for a device, whatever its extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let is_port = |number: &str| {
        let mut chars = number.chars();
        matches!((chars.next(), chars.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$")
        || stem.strip_prefix("COM").or(stem.strip_prefix("LPT")).is_some_and(is_port)
}

/// The extension of a file name: folded to lower case, without the dot; at most 10 letters and digits.
pub fn extension_of(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    let plain = (1..=10).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain && !stem.is_empty()).then(|| fold(extension))
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_are_made_safe() {
        for (name, safe) in [
            ("Relatório (2).pdf", Some("Relatório (2).pdf")),
            ("a/b\\c.txt", Some("c.txt")),
            ("C:\\temp\\x.pdf", Some("x.pdf")),
            ("CON", Some("_CON")),
            ("con.txt", Some("_con.txt")),
            ("Nul .tar.gz", Some("_Nul .tar.gz")),
            ("COM1.csv", Some("_COM1.csv")),
            ("lpt¹.csv", Some("_lpt¹.csv")),
            ("COM10.csv", Some("COM10.csv")),
            ("console.txt", Some("console.txt")),
            ("aux-semanal.xlsx", Some("aux-semanal.xlsx")),
            ("dados.csv. . ", Some("dados.csv")),
            (" . dados.csv", Some("dados.csv")),
            ("a<b>c:d\"e|f?g*h.txt", Some("a_b_c_d_e_f_g_h.txt")),
            ("rel\u{202e}fdp.exe", Some("relfdp.exe")),
            ("a\u{1b}[31m\u{7}\u{85}.txt", Some("a[31m.txt")),
            ("a\u{2028}b.txt", Some("ab.txt")),
            ("...", None),
            ("\u{202e}", None),
            ("", None),
        ] {
            assert_eq!(file_name(name).as_deref(), safe, "{name:?}");
            let again = safe.and_then(file_name);
            assert_eq!(again.as_deref(), safe, "{name:?} changes a second time");
        }
    }
}
