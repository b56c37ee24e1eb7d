//! File names from outside, made safe to show, to offer as a download and to create on every common file system.
use unicode_normalization::UnicodeNormalization;

use super::{Secrets, clean, fold, is_deceptive};

/// The longest name, in characters and in UTF-8 bytes: file systems allow 255 bytes, and tools append to names.
const CHARS_MAX: usize = 200;
const BYTES_MAX: usize = 240;

/// Names that Windows reserves for devices, with any extension.
const DEVICES: [&str; 7] = ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"];

/// A published name, made safe to show and to create. It is never used as a path.
///
/// Directories (with either slash) and invisible characters are removed, characters that Windows forbids become `_`, a
/// device name is prefixed with `_`, and a long name is shortened before its extension. `None` when nothing is left.
pub fn file_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last.nfc().filter_map(visible).collect();
    let plain: String = clean(&visible)
        .chars()
        .map(|c| if matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*') { '_' } else { c })
        .collect();
    // Windows drops blanks and dots at the end; a dot at the beginning hides the file on other systems.
    let trimmed = plain.trim_matches(|c: char| c == ' ' || c == '.');
    if trimmed.is_empty() {
        return None;
    }
    Some(if is_device(trimmed) { shorten(&format!("_{trimmed}")) } else { shorten(trimmed) })
}

/// The same, redacted. An address reaches to the end of its last label, and so over the extension, which is restored.
pub fn redacted_file_name(name: &str, secrets: &Secrets) -> Option<String> {
    let Some(redacted) = secrets.redact(name) else { return file_name(name) };
    match extension_of(name).filter(|extension| !redacted.to_lowercase().ends_with(&format!(".{extension}"))) {
        Some(extension) => file_name(&format!("{redacted}.{extension}")),
        None => file_name(&redacted),
    }
}

/// The extension of a file name: folded to lower case, without the dot; at most 10 letters and digits.
pub fn extension_of(name: &str) -> Option<String> {
    raw_extension(name).map(fold)
}

fn raw_extension(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    let plain = (1..=10).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain && !stem.is_empty()).then_some(extension)
}

/// A visible character as it is; a blank for white space of every kind; nothing for invisible characters.
fn visible(c: char) -> Option<char> {
    match c {
        _ if c.is_whitespace() => Some(' '),
        _ if is_deceptive(c) => None,
        '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' => None,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => None,
        _ => Some(c),
    }
}

fn shorten(name: &str) -> String {
    if name.chars().count() <= CHARS_MAX && name.len() <= BYTES_MAX {
        return name.to_owned();
    }
    let tail = raw_extension(name).map(|extension| format!(".{extension}")).unwrap_or_default();
    let stem = &name[..name.len() - tail.len()];
    let mut head = String::new();
    for c in stem.chars().take(CHARS_MAX - tail.len()) {
        if head.len() + c.len_utf8() > BYTES_MAX - tail.len() {
            break;
        }
        head.push(c);
    }
    head.truncate(head.trim_end_matches([' ', '.']).len());
    head + &tail
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let numbered = ["com", "lpt"].iter().filter_map(|port| stem.strip_prefix(port)).any(|number| {
        let mut digits = number.chars();
        matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
    });
    numbered || DEVICES.contains(&stem.as_str())
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, CHARS_MAX, Secrets, extension_of, file_name, redacted_file_name};

    #[test]
    fn names_are_made_safe() {
        let cases = [
            ("IPDO-20-02-2025.pdf", Some("IPDO-20-02-2025.pdf")),
            ("C:\\temp\\x.pdf", Some("x.pdf")),
            ("../../etc/passwd", Some("passwd")),
            ("Relatório: \"Limites\" <1>|?*.txt", Some("Relatório_ _Limites_ _1____.txt")),
            ("Relatório\r\n\tMensal.pdf", Some("Relatório   Mensal.pdf")),
            ("a\u{0}\u{1b}[31m.txt", Some("a[31m.txt")),
            ("fatura\u{202e}fdp.exe", Some("faturafdp.exe")),
            ("\u{feff}a\u{200b}b.txt", Some("ab.txt")),
            ("Previsa\u{303}o.zip", Some("Previsão.zip")),
            ("fim. . .", Some("fim")),
            (" .oculto.txt ", Some("oculto.txt")),
            ("CON", Some("_CON")),
            ("con.txt", Some("_con.txt")),
            ("Aux .tar.gz", Some("_Aux .tar.gz")),
            ("LPT¹.dat", Some("_LPT¹.dat")),
            ("aux-semanal.xlsx", Some("aux-semanal.xlsx")),
            ("a\u{7}\u{85}\u{2028}b.txt", Some("a  b.txt")),
            ("com10.dat", Some("com10.dat")),
            ("COM1 .dat", Some("_COM1 .dat")),
            ("console.log", Some("console.log")),
            ("..", None),
            ("pasta/", None),
            ("\u{202e}", None),
            ("", None),
        ];
        for (name, safe) in cases {
            assert_eq!(file_name(name).as_deref(), safe, "{name:?}");
            let again = safe.and_then(file_name);
            assert_eq!(again.as_deref(), safe, "{name:?} a second time");
        }
    }

    #[test]
    fn redacted_names_keep_their_extension() {
        let name = |name| redacted_file_name(name, &Secrets::of_user("joao.canario@example.com.br"));
        assert_eq!(name("para joao@example.com.pdf").as_deref(), Some(&*format!("para {}.pdf", "_".repeat(20))));
        assert_eq!(name("joao.canario_carga.zip").as_deref(), Some(&*format!("{}carga.zip", "_".repeat(13))));
        assert_eq!(name("Carga.zip").as_deref(), Some("Carga.zip"));
    }

    #[test]
    fn long_names_keep_their_extension() {
        for stem in ["x", "ã", "漢", "a b. ", "𝕏"] {
            let safe = file_name(&format!("{}.XLSX", stem.repeat(400))).unwrap_or_default();
            assert!(safe.ends_with(".XLSX") && safe.chars().count() <= CHARS_MAX && safe.len() <= BYTES_MAX, "{safe}");
            assert!(safe.len() > 150, "{safe}");
            assert_eq!(file_name(&safe).as_deref(), Some(safe.as_str()));
        }
        assert_eq!(file_name(&"x".repeat(400)).map(|name| name.len()), Some(CHARS_MAX));
        assert_eq!(extension_of("Deck.ZIP").as_deref(), Some("zip"));
    }
}
