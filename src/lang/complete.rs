//! Both languages are complete, and the code and the files agree.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{AREAS, Area, Lang, bundle};

/// The variables of each message. Fluent writes them as `$name`; a literal `$` does not occur in messages.
fn variables(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut messages = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        if let Some((id, _)) = line.split_once(" =").filter(|_| line.starts_with(|c: char| c.is_ascii_lowercase())) {
            current = Some(id.to_owned());
            messages.insert(id.to_owned(), BTreeSet::new());
        }
        let (Some(id), false) = (&current, line.starts_with('#')) else { continue };
        let names = line.split('$').skip(1).map(|rest| {
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-').collect::<String>()
        });
        messages.get_mut(id).expect("a message").extend(names);
    }
    messages
}

#[test]
fn every_message_is_in_both_languages_with_the_same_variables() {
    for Area { name, english, portuguese } in AREAS {
        assert_eq!(variables(english), variables(portuguese), "{name}");
    }
    let (_, wrong) = bundle(Lang::English, |area| area.english);
    assert_eq!(wrong, Vec::<String>::new());
    let (_, wrong) = bundle(Lang::Portuguese, |area| area.portuguese);
    assert_eq!(wrong, Vec::<String>::new());
}

fn sources(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("lang/complete.rs") {
            found.push_str(&std::fs::read_to_string(&path).expect("a file"));
        }
    }
}

/// The ids that stand in the code as the second argument of `text!`, or as the only one of a macro that adds the language.
fn named(code: &str) -> BTreeSet<&str> {
    let calls = code.split("text!(").skip(1).chain(code.split("say!(").skip(1));
    calls
        .filter_map(|call| {
            let (before, rest) = call.split_once('"')?;
            let id = rest.split_once('"')?.0;
            (before.len() < 80
                && !id.is_empty()
                && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
            .then_some(id)
        })
        .collect()
}

#[test]
fn the_code_names_only_messages_that_exist_and_every_message_is_used() {
    let mut code = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
    let all: BTreeSet<String> = AREAS.iter().flat_map(|area| variables(area.english).into_keys()).collect();
    let missing: Vec<&str> = named(&code).into_iter().filter(|id| !all.contains(*id)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    let unused: Vec<&String> = all.iter().filter(|id| !code.contains(&format!("\"{id}\""))).collect();
    assert_eq!(unused, Vec::<&String>::new());
}
