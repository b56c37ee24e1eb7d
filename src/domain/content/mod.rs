//! Whether a downloaded file is the published one, judged by its name, the media type it was sent with, its first and last
//! bytes, and the product's earlier files. `docs/files.md` describes the rule.
mod ends;
mod expected;
mod sniff;
#[cfg(test)]
mod tests;

pub use ends::Ends;
pub use expected::is_page_type;

use expected::{Expected, is_json_type, is_office_type};
use sniff::{Format, Markup};

/// A text without a tag that was sent as HTML counts as an error message up to this size, and as data above it.
const MESSAGE_BYTES_MAX: u64 = 2 << 10;

/// The warning on a workbook or document that is markup. Stored warnings are compared with it.
pub const UNUSUAL_MARKUP: &str =
    "it is a workbook or document written as HTML or XML, not the binary form that its name promises";

/// What is known about a file apart from its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileInfo<'a> {
    /// Of the published name, folded.
    pub extension: Option<&'a str>,
    /// Without parameters, in lower case.
    pub content_type: Option<&'a str>,
    /// Whether earlier files of this product and extension looked like this and were archived.
    pub is_usual: bool,
}

/// What to do with a downloaded file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    File,
    /// The published file in an unusual format: archived, with a warning.
    Unusual(&'static str),
    /// Perhaps not the published file, or only a part of it: archived with a warning, and fetched once more.
    Doubtful(&'static str),
    /// An HTML page instead of the file: not archived.
    Page,
}

/// Applies the rule.
pub fn judge(file: &FileInfo<'_>, ends: &Ends) -> Verdict {
    let expected = Expected::of(file.extension);
    let format = Format::of(ends.head());
    if expected == Expected::Page {
        return Verdict::File;
    }
    if expected.begins_as(format) {
        return ends.completeness(expected, format);
    }
    let sent_as_page = file.content_type.is_some_and(is_page_type);
    match format {
        Format::Html(markup) | Format::Fragment(markup) | Format::Xml(markup) => {
            judge_markup(file, expected, format, markup, sent_as_page)
        }
        Format::Json if expected.is_binary() => {
            Verdict::Doubtful("it is a JSON document, perhaps an error message, instead of the file")
        }
        Format::Json if expected == Expected::Text && file.content_type.is_some_and(is_json_type) => {
            Verdict::Doubtful("it is a JSON document, perhaps an error message, instead of the file")
        }
        Format::Text if sent_as_page && !(file.is_usual && expected.varies()) => {
            if expected.is_binary() || ends.size() <= MESSAGE_BYTES_MAX {
                Verdict::Page
            } else {
                Verdict::Doubtful("it was sent as an HTML page and does not begin with a tag")
            }
        }
        Format::Text if expected == Expected::Office => {
            Verdict::Unusual("it is a text file, which spreadsheets open, not the binary form that its name promises")
        }
        Format::Text if expected == Expected::Binary => {
            Verdict::Doubtful("it is a text file, perhaps an error message, instead of the file")
        }
        _ if expected.has_signature() => Verdict::Doubtful("it does not begin like a file of its type"),
        _ => Verdict::File,
    }
}

fn judge_markup(
    file: &FileInfo<'_>,
    expected: Expected,
    format: Format,
    markup: Markup,
    sent_as_page: bool,
) -> Verdict {
    let is_xml = matches!(format, Format::Xml(_));
    if expected == Expected::Office && !(is_xml && markup.is_error) {
        let sent_as_office = file.content_type.is_some_and(is_office_type);
        // Office wrote it, its name and type say so and it has a table, or earlier files were like it; never with an HTML form in it.
        let is_table = sent_as_office && markup.has_table;
        if !markup.has_form && (markup.is_office || is_table || file.is_usual) {
            return Verdict::Unusual(UNUSUAL_MARKUP);
        }
    }
    let is_page = match format {
        Format::Html(_) => true,
        Format::Fragment(_) => sent_as_page || expected.is_binary(),
        _ => sent_as_page && expected != Expected::Markup,
    };
    match expected {
        Expected::Markup if matches!(format, Format::Fragment(_)) => Verdict::File,
        Expected::Markup if is_xml && markup.is_error => {
            Verdict::Doubtful("it is an XML document that reports an error")
        }
        _ if is_page && file.is_usual && expected.varies() && !markup.has_form => Verdict::File,
        _ if is_page => Verdict::Page,
        _ if is_xml && (expected.is_binary() || expected == Expected::Json || markup.is_error) => {
            Verdict::Doubtful("it is an XML document, perhaps an error message, instead of the file")
        }
        _ => Verdict::File,
    }
}
