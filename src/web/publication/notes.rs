//! Notes of a comparison in the language of the visitor. `query` writes them in English, as the API does.
use maud::{Markup, html};

use crate::domain::printable;
use crate::lang::{Lang, text};

/// A note. One that is not known here is shown as it is, and marked as English.
pub fn note(lang: Lang, note: &str) -> Markup {
    // Notes of one content are joined.
    let parts: Vec<Option<String>> = note.split("; ").map(|part| translated(lang, part)).collect();
    match parts.into_iter().collect::<Option<Vec<String>>>() {
        Some(parts) => html! { p.note { (printable(&parts.join("; "))) } },
        None => html! { p.note lang="en" { (printable(note)) } },
    }
}

/// What stands between a beginning and an end.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.strip_suffix(end)
}

fn translated(lang: Lang, note: &str) -> Option<String> {
    if lang == Lang::English {
        return Some(note.to_owned());
    }
    if note == "the content is the same" {
        return Some(text!(lang, "note-same-content"));
    }
    if let Some(size) = between(note, "it is larger than ", ", so it is not compared by line") {
        return Some(text!(lang, "note-too-large", size = size));
    }
    if let Some(size) = between(note, "files of more than ", " are not compared") {
        return Some(text!(lang, "note-files-too-large", size = size));
    }
    for (start, message) in
        [("the encoding changed from ", Change::Encoding), ("the line ends changed from ", Change::LineEnds)]
    {
        if let Some((before, after)) = note.strip_prefix(start).and_then(|rest| rest.split_once(" to ")) {
            return Some(match message {
                Change::Encoding => text!(lang, "note-encoding", before = before, after = after),
                Change::LineEnds => text!(lang, "note-line-ends", before = before, after = after),
            });
        }
    }
    if let Some(sheets) = note.strip_prefix("sheets added: ") {
        return Some(text!(lang, "note-sheets-added", sheets = sheets));
    }
    if let Some(sheets) = note.strip_prefix("sheets removed: ") {
        return Some(text!(lang, "note-sheets-removed", sheets = sheets));
    }
    let renamed = note.strip_prefix("sheets renamed: ")?;
    Some(text!(lang, "note-sheets-renamed", sheets = renamed.replace("` to `", "` → `")))
}

enum Change {
    Encoding,
    LineEnds,
}

#[cfg(test)]
mod tests {
    use super::{note, translated};
    use crate::lang::Lang::{English, Portuguese};

    #[test]
    fn known_notes_are_translated_and_others_are_marked() {
        assert_eq!(
            translated(Portuguese, "the encoding changed from UTF-8 to Windows-1252").as_deref(),
            Some("a codificação mudou de UTF-8 para Windows-1252")
        );
        let joined = note(Portuguese, "sheets added: `A`; sheets renamed: `1 b` to `2 b`").into_string();
        assert!(joined.contains("`1 b` → `2 b`") && !joined.contains("lang="), "{joined}");
        assert!(note(Portuguese, "something new").into_string().contains("lang=\"en\""));
        assert_eq!(note(English, "something new").into_string(), "<p class=\"note\">something new</p>");
    }
}
