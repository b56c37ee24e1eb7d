//! What bytes look like, by how they begin.
use std::borrow::Cow;

use encoding_rs::{UTF_16BE, UTF_16LE};

/// What a file's first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looks {
    /// A page, by a tag that stands nowhere else.
    Html(Markup),
    /// Begins with a tag that is a page's only where no text is expected: `<p>`, `<table>`, a comment.
    Fragment(Markup),
    Xml(Markup),
    Json,
    Pdf,
    Zip,
    /// Microsoft's compound files: `.xls`, `.doc`, `.msi`.
    Compound,
    /// `.xls` of before compound files.
    OldSheet,
    /// Bytes that no text holds.
    Binary,
    Text,
}

/// What is found in markup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Markup {
    /// Excel or Word wrote it, or a program that imitates them.
    pub is_office: bool,
    pub has_table: bool,
    /// Somebody is asked for something: a log-in.
    pub has_form: bool,
    /// An XML document whose root is `Error`, or the like.
    pub is_error: bool,
}

/// Tags that begin a page.
const PAGE: [&str; 12] =
    ["html", "head", "body", "script", "title", "meta", "style", "iframe", "frameset", "base", "link", "noscript"];

/// Tags that begin a part of one.
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

impl Looks {
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

    pub(super) fn markup(self) -> Option<Markup> {
        match self {
            Self::Html(markup) | Self::Fragment(markup) | Self::Xml(markup) => Some(markup),
            _ => None,
        }
    }
}

fn after(text: &str, wanted: impl Fn(char) -> bool) -> Option<()> {
    text.trim_start().chars().next().filter(|c| wanted(*c)).map(|_| ())
}

/// Text in any of the Unicode encodings; what is none of them is read byte for byte.
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

/// What a document is by its first element, whatever stands before that.
fn markup(text: &str) -> Looks {
    let folded = text.to_ascii_lowercase();
    let found = Markup {
        is_office: OFFICE.iter().any(|mark| folded.contains(mark)),
        has_table: folded.contains("<table"),
        has_form: ["<form", "type=\"password\"", "type='password'", "type=password"]
            .iter()
            .any(|mark| folded.contains(mark)),
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
            _ if rest.starts_with("<!doctype") && is_html_type(rest) => return Looks::Html(found),
            _ if rest.starts_with("<!") => {
                is_xml |= rest.starts_with("<!doctype");
                ("<!", ">")
            }
            _ => break,
        };
        match rest[open.len()..].find(close) {
            Some(end) => rest = &rest[open.len() + end + close.len()..],
            // Its end is further on than anybody looks.
            None if is_xml => return Looks::Xml(found),
            None => return Looks::Fragment(found),
        }
    }
    let Some(tag) = rest.strip_prefix('<') else {
        return if is_xml || began_with_comment { Looks::Fragment(found) } else { Looks::Text };
    };
    let name: String = tag.chars().take_while(|c| c.is_alphanumeric() || matches!(c, ':' | '-' | '_' | '.')).collect();
    let local = name.rsplit(':').next().unwrap_or_default();
    match local {
        _ if PAGE.contains(&local) && (!is_xml || local == "html") => Looks::Html(found),
        _ if !is_xml && PART.contains(&local) => Looks::Fragment(found),
        _ if is_xml || tag.starts_with(|c: char| c.is_alphabetic()) && is_element(tag) => {
            let is_error = local.contains("error") || local.contains("exception") || local == "fault";
            Looks::Xml(Markup { is_error, ..found })
        }
        _ => Looks::Text,
    }
}

/// Whether a document type is HTML's.
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
