//! `errors.ftl` and the errors in the code agree.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::errors::{ERRORS, messages};

/// What stands right before the text of an error.
const BEFORE: &[&str] = &[
    "#[error(",
    "bail!(",
    "anyhow!(",
    ".context(",
    "with_context(|| format!(",
    "BadInput(",
    "BadInput(format!(",
    "Err(",
    "Err(format!(",
    "|_| format!(",
    "|| format!(",
    "|e| format!(",
];

/// Where errors stay English: formats and protocols whose details only those meet who write programs for them, and rows of the
/// database that nothing but a defect makes.
const ENGLISH: &[&str] = &[
    "compare/workbook",
    "dense",
    "domain/lock.rs",
    "domain/stored.rs",
    "http/socket.rs",
    "jobs/import/tar",
    "jobs/plain/folders.rs",
    "jobs/plain/manifest.rs",
    "portal",
    "record/pack.rs",
];

/// Errors elsewhere that no person is meant to read: a broken invariant, or a number beside a text that is known.
const INTERNAL: &[&str] = &[
    "a remote instance is asked",
    "a row of CSV is not an object: {}",
    "a run of retention panicked",
    "it has had {} attempts",
    "making the plan panicked",
    "standard output is closed",
    "the database has {} as the size of files",
    "the summary is not an object",
    "the writer of the index of contents panicked",
    "{} is given: {}",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The texts of a file, each with the code before it; without those of its tests and comments.
fn texts(code: &str) -> Vec<(String, String)> {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let (mut found, mut before, mut rest) = (Vec::new(), String::new(), code);
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if let Some(after) = rest.strip_prefix("'\"'").or_else(|| rest.strip_prefix("'\\\"'")) {
            rest = after;
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            rest = raw.find("\"#").map_or("", |end| &raw[end + 2..]);
        } else if next == '"' {
            let (text, after) = literal(&rest[1..]);
            found.push((std::mem::take(&mut before), text));
            rest = after;
        } else {
            if !next.is_whitespace() {
                before.push(next);
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    found
}

/// A literal as the compiler reads it, and the code after it.
fn literal(code: &str) -> (String, &str) {
    let (mut text, mut rest) = (String::new(), code);
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        match next {
            '"' => break,
            '\\' if rest.starts_with('\n') => rest = rest.trim_start(),
            '\\' => {
                let escaped = rest.chars().next().unwrap_or_default();
                text.push(if escaped == 'n' { '\n' } else { escaped });
                rest = &rest[escaped.len_utf8()..];
            }
            other => text.push(other),
        }
    }
    (text, rest)
}

/// A text without what its variables are called: `{}` for each.
fn anonymous(text: &str) -> String {
    let (mut written, mut rest) = (String::new(), text);
    while let Some((part, variable)) = rest.split_once('{') {
        written += part;
        match (variable.strip_prefix('{'), variable.split_once('}')) {
            (Some(after), _) => {
                written.push('{');
                rest = after;
            }
            (None, Some((_, after))) => {
                written += "{}";
                rest = after;
            }
            (None, None) => return written + variable,
        }
    }
    written + rest
}

#[test]
fn every_error_that_people_meet_is_known_in_portuguese_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let known: BTreeSet<String> = messages(ERRORS).map(|(_, english)| anonymous(english)).collect();
    let (mut all, mut unknown) = (String::new(), Vec::new());
    for file in files.iter().filter(|file| !file.starts_with(root.join("lang"))) {
        let code = std::fs::read_to_string(file).expect("a file");
        let stays_english = ENGLISH.iter().any(|place| file.starts_with(root.join(place)));
        for (before, text) in texts(&code) {
            let text = anonymous(&text);
            let before: &str = &before;
            let of_setting = before.rsplit_once("Problem::new(").is_some_and(|(_, after)| !after.contains([';', '}']));
            let is_error = of_setting || BEFORE.iter().any(|start| before.ends_with(&start.replace(' ', "")));
            let has_words = text.replace("{}", "").trim_matches([' ', ':', ',', '(', ')']).contains(' ');
            // The lines below are put together from others.
            let first_line = text.split('\n').next().unwrap_or_default();
            let is_known = known.contains(first_line) || INTERNAL.contains(&first_line);
            if is_error && has_words && !stays_english && !is_known {
                unknown.push(format!("{}: {text}", file.display()));
            }
            all += &text;
            all.push('\n');
        }
    }
    assert_eq!(unknown, Vec::<String>::new(), "add these to errors.ftl");
    // A text may be put together in the code: each of its parts is there.
    let stale: Vec<String> = messages(ERRORS)
        .filter(|(id, _)| !id.starts_with("os-"))
        .map(|(_, english)| anonymous(english))
        .filter(|english| english.split("{}").any(|part| !all.contains(part.trim())))
        .collect();
    assert_eq!(stale, Vec::<String>::new(), "no code says this");
}

#[test]
fn both_texts_of_an_error_have_the_same_variables_and_no_text_is_there_twice() {
    let mut portuguese = BTreeMap::new();
    for line in ERRORS.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())) {
        let (id, text) = line.split_once(" = ").expect("a message on one line");
        assert_eq!(portuguese.insert(id, text), None, "{id} is there twice");
    }
    let variables = |text: &str| -> BTreeSet<String> {
        text.split("{ $").skip(1).filter_map(|rest| Some(rest.split_once(" }")?.0.to_owned())).collect()
    };
    let mut english = BTreeSet::new();
    for (id, text) in messages(ERRORS) {
        assert!(english.insert(anonymous(text)), "{text}");
        let translated = portuguese.remove(id).expect(id);
        assert_eq!(variables(text), variables(translated), "{id}");
        assert_eq!(text.matches('{').count(), text.matches("{ $").count(), "{id}");
    }
    assert!(portuguese.is_empty(), "{portuguese:?}");
}
