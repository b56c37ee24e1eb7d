//! The paths of a zip's members, made from the names that packers write. Each leads back to its member.
//!
//! A path has no part that clients or servers resolve (`.`, `..`, an empty one), no control character and no
//! character that changes the reading direction, and no two members of a zip have the same.
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use crate::domain::{CP437, CP850, PORTUGUESE, capitals_inside_words, is_deceptive, redacted, with_code_page};

/// Longer paths lose their beginning: the name of the file is at the end.
const CHARS_MAX: usize = 500;

/// A member's name as text. `is_utf8`: the zip says that it is UTF-8.
///
/// A name without that flag is UTF-8 from many packers on Linux and macOS, in the code page of DOS from Windows Explorer and
/// 7-Zip (850 in Brazil), and in Windows-1252 from programs that use the system's other code page. The one that gives a
/// Portuguese name is taken. Where two do, as with a single `é` or `Ú`, it is the one with fewer capitals inside words; if
/// that leaves both, it is 850, which most packers write. Without any, it is the format's own default, 437.
fn decode(raw: &[u8], is_utf8: bool) -> String {
    // Other code pages hardly ever read as UTF-8.
    if let Ok(text) = std::str::from_utf8(raw) {
        return text.to_owned();
    }
    if is_utf8 {
        return String::from_utf8_lossy(raw).into_owned();
    }
    let windows = encoding_rs::WINDOWS_1252.decode_without_bom_handling(raw).0.into_owned();
    let is_portuguese = |text: &String| text.chars().all(|c| c.is_ascii() || PORTUGUESE.contains(c));
    let portuguese = [with_code_page(raw, CP850), windows].into_iter().filter(is_portuguese);
    portuguese.min_by_key(|text| capitals_inside_words(text)).unwrap_or_else(|| with_code_page(raw, CP437))
}

/// The paths that earlier versions gave a member whose name has no UTF-8 flag: they did not know Windows-1252.
pub(super) fn earlier_paths(raw: &[u8], is_utf8: bool) -> impl Iterator<Item = String> {
    let is_unmarked = !is_utf8 && std::str::from_utf8(raw).is_err();
    let pages = if is_unmarked { &[CP850, CP437][..] } else { &[] };
    pages.iter().filter_map(move |page| path_of_name(&with_code_page(raw, page), 0))
}

/// The path of a member; `None` if the name is that of a folder. `index` counts the members before it.
pub fn member_path(raw: &[u8], is_utf8: bool, index: usize) -> Option<String> {
    path_of_name(&decode(raw, is_utf8), index)
}

fn path_of_name(name: &str, index: usize) -> Option<String> {
    // .NET wrote backslashes for years.
    let text = name.replace('\\', "/");
    if text.ends_with('/') {
        return None;
    }
    let parts: Vec<String> = text
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".."))
        .map(|part| part.chars().map(|c| if c.is_control() || is_deceptive(c) { '_' } else { c }).collect())
        .collect();
    // Everyone who may search sees the path, including an e-mail address in it.
    let path = redacted(&parts.join("/"));
    let length = path.chars().count();
    match length {
        0 => Some(format!("member-{index}")),
        _ if length <= CHARS_MAX => Some(path),
        _ => {
            let end: String = path.chars().skip(length - CHARS_MAX).collect();
            // The rest of the first part must not be one that is resolved.
            let end = end.trim_start_matches(['/', '.']);
            Some(if end.is_empty() { format!("member-{index}") } else { end.to_owned() })
        }
    }
}

/// Makes the path of each member of a zip unique: `a.txt`, then `a (2).txt`.
#[derive(Default)]
pub struct Paths {
    hasher: RandomState,
    /// How many members have a path, by its hash: the paths themselves could take much memory.
    seen: HashMap<u64, u32>,
}

impl Paths {
    pub fn unique(&mut self, path: String) -> String {
        let hash = self.hasher.hash_one(&path);
        let before = *self.seen.entry(hash).and_modify(|count| *count += 1).or_insert(0);
        if before == 0 {
            return path;
        }
        let (stem, extension) = match path.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() && !stem.ends_with('/') && !extension.contains('/') => {
                (stem, format!(".{extension}"))
            }
            _ => (path.as_str(), String::new()),
        };
        let mut number = before;
        loop {
            number += 1;
            let other = format!("{stem} ({number}){extension}");
            let hash_of_other = self.hasher.hash_one(&other);
            if let std::collections::hash_map::Entry::Vacant(free) = self.seen.entry(hash_of_other) {
                free.insert(0);
                self.seen.insert(hash, number - 1);
                return other;
            }
        }
    }
}

/// The folders of a zip that are named like zips. A nested zip is listed as a folder, which must not be one of these.
#[derive(Default)]
pub struct Folders {
    hasher: RandomState,
    seen: HashSet<u64>,
}

impl Folders {
    /// Notes the folders of a member's path.
    pub fn note(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            if path[..at].to_ascii_lowercase().contains(".zip") {
                self.seen.insert(self.hasher.hash_one(&path[..at]));
            }
        }
    }

    /// The folder that a nested zip is listed as: its path, `a.zip`, or `a.zip (2)` where such a folder exists.
    pub fn of_nested(&self, path: &str) -> String {
        let mut folder = path.to_owned();
        let mut number = 1_u64;
        while self.seen.contains(&self.hasher.hash_one(folder.as_str())) {
            number += 1;
            folder = format!("{path} ({number})");
        }
        folder
    }
}

#[cfg(test)]
mod tests {
    use super::{Paths, member_path};

    #[test]
    fn names_of_many_packers() {
        let cases: &[(&[u8], bool, Option<&str>)] = &[
            (b"C_ADIC.DAT", false, Some("C_ADIC.DAT")),
            ("Previsão.csv".as_bytes(), true, Some("Previsão.csv")),
            ("Previsão.csv".as_bytes(), false, Some("Previsão.csv")),
            (b"Previs\xc6o E\xa2lica.csv", false, Some("Previsão Eólica.csv")),
            (b"Relat\xa2rio \xe0\xc7\xe5.txt", false, Some("Relatório ÓÃÕ.txt")),
            (b"N\xa7 1 - 3\xa6 via.txt", false, Some("Nº 1 - 3ª via.txt")),
            (b"Opera\xe7\xe3o Di\xe1ria \xba 1.txt", false, Some("Operação Diária º 1.txt")),
            (b"OPERA\xc7\xc3O.txt", false, Some("OPERAÇÃO.txt")),
            (b"OPERA\x80\xc7O.txt", false, Some("OPERAÇÃO.txt")),
            (b"Relat\xf3rio \x96 Ver\xe3o.txt", false, Some("Relatório – Verão.txt")),
            (b"caf\xe9.txt", false, Some("café.txt")),
            (b"caf\x82.txt", false, Some("café.txt")),
            (b"P\xe9BLICO.txt", false, Some("PÚBLICO.txt")),
            (b"P\xdaBLICO.txt", false, Some("PÚBLICO.txt")),
            (b"Pr\xe9via.txt", false, Some("Prévia.txt")),
            (b"Gr\xe1fico de Vaz\xf5es.txt", false, Some("Gráfico de Vazões.txt")),
            (b"Gr\xa0fico de Vaz\xe4es.txt", false, Some("Gráfico de Vazões.txt")),
            (b"\xc9\xcd\xbb caixa.txt", false, Some("╔═╗ caixa.txt")),
            (b"x \xf7 y.txt", false, Some("x ≈ y.txt")),
            (b"torto\xff\xfe.txt", true, Some("torto\u{fffd}\u{fffd}.txt")),
            (b"pasta\\sub\\a.txt", false, Some("pasta/sub/a.txt")),
            (b"pasta\\", false, None),
            (b"pasta/", false, None),
            (b"/abs/a.txt", false, Some("abs/a.txt")),
            (b"./a.txt", false, Some("a.txt")),
            (b"../../a.txt", false, Some("a.txt")),
            (b"a/./b/../c.txt", false, Some("a/b/c.txt")),
            (b"a//b.txt", false, Some("a/b.txt")),
            (b" a .txt ", false, Some(" a .txt ")),
            (b"a\x00b\n\x1b[1m.txt", false, Some("a_b__[1m.txt")),
            ("a\u{202e}b.txt".as_bytes(), true, Some("a_b.txt")),
            (b"..", false, Some("member-7")),
            (b"", false, Some("member-7")),
        ];
        for (raw, is_utf8, path) in cases {
            assert_eq!(member_path(raw, *is_utf8, 7).as_deref(), *path, "{}", raw.escape_ascii());
        }
        let long = member_path(&[b"../".repeat(9), b"a/".repeat(400), b"b.txt".to_vec()].concat(), false, 0);
        assert!(long.is_some_and(|path| path.ends_with("a/b.txt") && path.chars().count() <= super::CHARS_MAX));
    }

    #[test]
    fn no_two_members_share_a_path() {
        let mut paths = Paths::default();
        let given: Vec<String> = ["a.txt", "a (2).txt", "a.txt", "a.txt", "b/c", "b/c", ".x", ".x", "d.e/f", "d.e/f"]
            .map(|path| paths.unique(path.to_owned()))
            .into();
        let expected =
            ["a.txt", "a (2).txt", "a (3).txt", "a (4).txt", "b/c", "b/c (2)", ".x", ".x (2)", "d.e/f", "d.e/f (2)"];
        assert_eq!(given, expected);
        for _ in 0..30_000 {
            paths.unique("same.txt".to_owned());
        }
    }
}
