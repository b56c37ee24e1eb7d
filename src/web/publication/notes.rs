//! Notes of a comparison in the language of the visitor.
use maud::{Markup, html};

use crate::domain::printable;
use crate::lang::{Lang, text};
use crate::query::{ContentNote, DiffNote, LineEnds, Side};
use crate::web::{parts, units};

/// What is said beside the numbers of a comparison.
pub fn notes<'a>(lang: Lang, notes: impl IntoIterator<Item = &'a DiffNote>) -> Markup {
    html! {
        @for note in notes {
            div.note {
                (printable(&said(lang, note)))
                @if let Some(why) = reason(note) {
                    details { summary { (text!(lang, "reason")) } (parts::reason(lang, why)) }
                }
            }
        }
    }
}

fn said(lang: Lang, note: &DiffNote) -> String {
    match note {
        DiffNote::Content(note) => of_content(lang, note),
        DiffNote::SameContent => text!(lang, "note-same-content"),
        DiffNote::TooLarge { mebibytes_max } => text!(lang, "note-too-large", mebibytes = *mebibytes_max),
        DiffNote::NotUnpacked(_) => text!(lang, "note-not-unpacked"),
        DiffNote::Binary => text!(lang, "compare-binary"),
        DiffNote::FilesTooLarge { gibibytes_max } => text!(lang, "note-files-too-large", gibibytes = *gibibytes_max),
        DiffNote::NotAZip { side: Side::From, .. } => text!(lang, "note-first-no-zip"),
        DiffNote::NotAZip { side: Side::To, .. } => text!(lang, "note-second-no-zip"),
        DiffNote::OneZip => text!(lang, "note-one-zip"),
        DiffNote::SameMembers => text!(lang, "note-same-members"),
        DiffNote::MembersCut => text!(lang, "note-members-cut"),
        DiffNote::ChangesCut { changes_max } => {
            text!(lang, "note-changes-cut", count = units::number(lang, *changes_max as u64))
        }
        DiffNote::Unfinished => text!(lang, "note-unfinished"),
    }
}

fn of_content(lang: Lang, note: &ContentNote) -> String {
    let quoted = |names: &[String]| names.iter().map(|name| format!("“{name}”")).collect::<Vec<_>>().join(", ");
    match note {
        ContentNote::Encoding { before, after } => text!(lang, "note-encoding", before = *before, after = *after),
        ContentNote::LineEnds { before, after } => {
            text!(lang, "note-line-ends", before = line_ends(lang, *before), after = line_ends(lang, *after))
        }
        ContentNote::SheetsAdded(names) => text!(lang, "note-sheets-added", sheets = quoted(names)),
        ContentNote::SheetsRemoved(names) => text!(lang, "note-sheets-removed", sheets = quoted(names)),
        ContentNote::SheetsRenamed(pairs) => {
            let pairs: Vec<String> = pairs.iter().map(|(before, after)| format!("“{before}” → “{after}”")).collect();
            text!(lang, "note-sheets-renamed", sheets = pairs.join(", "))
        }
        ContentNote::TooManyLines { lines, lines_max } => {
            let (lines, most) = (units::number(lang, *lines), units::number(lang, *lines_max));
            text!(lang, "note-too-many-lines", lines = lines, most = most)
        }
        ContentNote::Unreadable(_) => text!(lang, "note-unreadable"),
    }
}

fn line_ends(lang: Lang, ends: LineEnds) -> String {
    match ends {
        LineEnds::None => text!(lang, "line-ends-none"),
        LineEnds::Lf => "LF".to_owned(),
        LineEnds::CrLf => "CRLF".to_owned(),
        LineEnds::Mixed => text!(lang, "line-ends-mixed"),
    }
}

/// What the reader of a file says, in English.
fn reason(note: &DiffNote) -> Option<&str> {
    match note {
        DiffNote::NotUnpacked(why)
        | DiffNote::NotAZip { why, .. }
        | DiffNote::Content(ContentNote::Unreadable(why)) => Some(why),
        DiffNote::Content(_)
        | DiffNote::SameContent
        | DiffNote::TooLarge { .. }
        | DiffNote::Binary
        | DiffNote::FilesTooLarge { .. }
        | DiffNote::OneZip
        | DiffNote::SameMembers
        | DiffNote::MembersCut
        | DiffNote::ChangesCut { .. }
        | DiffNote::Unfinished => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{ContentNote, DiffNote, LineEnds, notes};
    use crate::lang::Lang::{English, Portuguese};

    #[test]
    fn notes_are_in_the_language_of_the_visitor_and_reasons_are_marked() {
        let all = [
            ContentNote::LineEnds { before: LineEnds::Mixed, after: LineEnds::CrLf }.into(),
            ContentNote::SheetsRenamed(vec![("1 b".to_owned(), "2 b".to_owned())]).into(),
            DiffNote::NotUnpacked("it is encrypted".to_owned()),
        ];
        let portuguese = notes(Portuguese, &all).into_string();
        assert!(portuguese.contains("de LF e CRLF para CRLF") && portuguese.contains("“1 b” → “2 b”"), "{portuguese}");
        assert!(portuguese.contains("<span lang=\"en\">it is encrypted</span>"), "{portuguese}");
        assert!(notes(English, &all).into_string().contains("from LF and CRLF to CRLF"));
    }
}
