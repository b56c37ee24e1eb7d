//! What kind of file bytes look like, by how they begin.
use std::borrow::Cow;

use encoding_rs::{UTF_16BE, UTF_16LE};

/// The kind of a file, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// An HTML page, by a tag that occurs only there.
    Html(Markup),
    /// Begins with a tag or a comment that means a page only where text is not expected: `<p>`, `<table>`.
    Fragment(Markup),
    Xml(Markup),
    Json,
    Pdf,
    Zip,
    /// A compound file of Microsoft: `.xls`, `.doc`, `.msi`.
    Compound,
    /// An `.xls` older than compound files.
    OldSheet,
    /// Holds control characters that text does not have.
    Binary,
    Text,
}

/// What markup contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Markup {
    /// Marks of Excel or Word, or of a program that imitates them.
    pub is_office: bool,
    pub has_table: bool,
    /// A form, such as a log-in.
    pub has_form: bool,
    /// An XML document whose root is `Error`, or the like.
    pub is_error: bool,
}

/// Tags that begin a page.
const PAGE: [&str; 12] =
    ["html", "head", "body", "script", "title", "meta", "style", "iframe", "frameset", "base", "link", "noscript"];

/// Tags that begin a part of a page.
const PART: [&str; 24] = [
    "div", "p", "table", "center", "font", "span", "form", "h1", "h2", "h3", "h4", "br", "hr", "b", "strong", "i", "a",
    "img", "pre", "ul", "ol", "section", "main", "header",
];

const OFFICE: [&str; 7] = [
    "urn:schemas-microsoft-com:office:excel",
    "urn:schemas-microsoft-com:office:spreadsheet",
    "urn:schemas-microsoft-com:office:word",
    "excel.sheet",
    "word.document",
    "<x:excelworkbook",
    "http://schemas.microsoft.com/office/word/2003/wordml",
];

impl Format {
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            _ if memchr::memmem::find(&head[..head.len().min(1024)], b"%PDF-").is_some() => return Self::Pdf,
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, ..] => return Self::Zip,
            [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => return Self::Compound,
            [9, 0 | 2 | 4 | 8, 4 | 6 | 7 | 8, 0, ..] => return Self::OldSheet,
            _ => {}
        }
        let text = decode(head);
        let begin = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
        match begin.as_bytes() {
            [b'<', ..] => markup(begin),
            [b'{', ..] => after(&begin[1..], |c| matches!(c, '"' | '}')).map_or(Self::Text, |()| Self::Json),
            [b'[', ..] => {
                after(&begin[1..], |c| matches!(c, '{' | '[' | ']' | '"' | '-' | '0'..='9' | 't' | 'f' | 'n'))
                    .map_or(Self::Text, |()| Self::Json)
            }
            _ if text
                .chars()
                .take(4096)
                .any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{1a}')) =>
            {
                Self::Binary
            }
            _ => Self::Text,
        }
    }
}

fn after(text: &str, wanted: impl Fn(char) -> bool) -> Option<()> {
    text.trim_start().chars().next().filter(|c| wanted(*c)).map(|_| ())
}

/// Decodes text in any Unicode encoding, else as Windows-1252.
fn decode(head: &[u8]) -> Cow<'_, str> {
    let wide = |little: bool| {
        let units = head.as_chunks::<4>().0.iter().map(|unit| {
            let unit = if little { u32::from_le_bytes(*unit) } else { u32::from_be_bytes(*unit) };
            char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
        });
        Cow::Owned(units.collect())
    };
    match head {
        [0xff, 0xfe, 0, 0, ..] | [1..=127, 0, 0, 0, ..] => wide(true),
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, 1..=127, ..] => wide(false),
        [0xff, 0xfe, ..] | [1..=127, 0, 1..=127, 0, ..] => UTF_16LE.decode_without_bom_handling(head).0,
        [0xfe, 0xff, ..] | [0, 1..=127, 0, 1..=127, ..] => UTF_16BE.decode_without_bom_handling(head).0,
        _ => {
            encoding_rs::WINDOWS_1252.decode_without_bom_handling(head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head)).0
        }
    }
}

/// The kind of a document by its first element, after comments and declarations.
fn markup(text: &str) -> Format {
    let folded = text.to_ascii_lowercase();
    let found = Markup {
        is_office: OFFICE.iter().any(|text| folded.contains(text)),
        has_table: folded.contains("<table"),
        has_form: ["<form", "type=\"password\"", "type='password'", "type=password"]
            .iter()
            .any(|text| folded.contains(text)),
        is_error: false,
    };
    let mut rest = folded.as_str();
    let (mut is_xml, mut began_with_comment) = (false, false);
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
        let (open, close) = match rest {
            _ if rest.starts_with("<!--") => {
                began_with_comment = true;
                ("<!--", "-->")
            }
            _ if rest.starts_with("<?") => {
                is_xml |= rest.starts_with("<?xml") || rest.starts_with("<?mso-application");
                ("<?", "?>")
            }
            _ if rest.starts_with("<!doctype") && is_html_type(rest) => return Format::Html(found),
            _ if rest.starts_with("<!") => {
                is_xml |= rest.starts_with("<!doctype");
                ("<!", ">")
            }
            _ => break,
        };
        match rest[open.len()..].find(close) {
            Some(end) => rest = &rest[open.len() + end + close.len()..],
            // Its end is beyond the inspected bytes.
            None if is_xml => return Format::Xml(found),
            None => return Format::Fragment(found),
        }
    }
    let Some(tag) = rest.strip_prefix('<') else {
        return if is_xml || began_with_comment { Format::Fragment(found) } else { Format::Text };
    };
    let name: String = tag.chars().take_while(|c| c.is_alphanumeric() || matches!(c, ':' | '-' | '_' | '.')).collect();
    let local = name.rsplit(':').next().unwrap_or_default();
    match local {
        _ if PAGE.contains(&local) && (!is_xml || local == "html") => Format::Html(found),
        _ if !is_xml && PART.contains(&local) => Format::Fragment(found),
        _ if is_xml || tag.starts_with(|c: char| c.is_alphabetic()) && is_element(tag) => {
            let is_error = local.contains("error") || local.contains("exception") || local == "fault";
            Format::Xml(Markup { is_error, ..found })
        }
        _ => Format::Text,
    }
}

/// Whether a document type is HTML.
fn is_html_type(text: &str) -> bool {
    let name = text["<!doctype".len()..].trim_start();
    name.starts_with("html") && !name[4..].starts_with(|c: char| c.is_alphanumeric())
}

/// Whether a tag ends: `<5 MW` and `<a, b>` are text.
fn is_element(tag: &str) -> bool {
    let name_end =
        tag.find(|c: char| !(c.is_alphanumeric() || matches!(c, ':' | '-' | '_' | '.'))).unwrap_or(tag.len());
    tag[name_end..].starts_with(|c: char| c == '>' || c == '/' || c.is_whitespace()) && tag.contains('>')
}
