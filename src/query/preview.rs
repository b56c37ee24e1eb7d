//! Previews: what a file or a member looks like, without downloading it. Bounded in bytes, rows and time.
use futures_util::StreamExt;

use super::{Queries, QueryError};
use crate::domain::{extension_of, has_members, printable};
use crate::engine::compare::{SheetView, is_text, is_workbook, read_text, view_sheet};
use crate::engine::record::Revision;

/// Bytes of a text that are shown.
const TEXT_BYTES: usize = 256 << 10;

/// The largest workbook that is opened.
const WORKBOOK_BYTES: usize = 16 << 20;

/// Rows and columns of a table that are shown.
const ROWS: u32 = 200;
const COLUMNS: u32 = 60;

/// What can be seen of a content.
#[derive(Clone, Debug)]
pub struct Preview {
    pub name: String,
    pub size: u64,
    pub content: PreviewContent,
}

#[derive(Clone, Debug)]
pub enum PreviewContent {
    Text {
        text: String,
        encoding: &'static str,
        is_cut: bool,
    },
    /// Rows of a text with delimiters.
    Table {
        rows: Vec<Vec<String>>,
        encoding: &'static str,
        is_cut: bool,
    },
    Sheet(SheetView),
    /// A media type that browsers show without running anything.
    Inline(&'static str),
    /// A zip: its members are listed.
    Members,
    /// Why there is nothing to see.
    Unreadable(String),
    TooLarge {
        bytes_max: u64,
    },
    Binary,
}

/// The media type of a picture or PDF, by its first bytes alone: neither its name nor what the portal said counts.
pub fn inline_media(head: &[u8]) -> Option<&'static str> {
    let is_webp = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    match head {
        _ if head.starts_with(b"\x89PNG\r\n\x1a\n") => Some("image/png"),
        _ if head.starts_with(b"\xff\xd8\xff") => Some("image/jpeg"),
        _ if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") => Some("image/gif"),
        _ if is_webp => Some("image/webp"),
        _ if head.starts_with(b"%PDF-") => Some("application/pdf"),
        _ => None,
    }
}

/// The beginning of a content.
struct Beginning {
    name: String,
    size: u64,
    bytes: Vec<u8>,
}

impl Beginning {
    fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.size
    }
}

impl Queries {
    /// What a revision's file or a member of it looks like. `sheet` is the position of a workbook's sheet.
    pub async fn preview(
        &self,
        revision: &Revision,
        member: Option<&str>,
        sheet: usize,
    ) -> Result<Preview, QueryError> {
        self.require_sound(revision).await?;
        let beginning = self.beginning_of(revision, member).await?;
        self.limits().count_bytes(beginning.bytes.len())?;
        let (name, size) = (beginning.name.clone(), beginning.size);
        let content = self.content_of(beginning, sheet).await?;
        Ok(Preview { name, size, content })
    }

    async fn content_of(&self, beginning: Beginning, sheet: usize) -> Result<PreviewContent, QueryError> {
        let extension = extension_of(&beginning.name);
        if is_workbook(&beginning.name, &beginning.bytes) {
            if !beginning.is_whole() {
                return Ok(PreviewContent::TooLarge { bytes_max: WORKBOOK_BYTES as u64 });
            }
            let deadline = self.comparison_deadline();
            let slot = self.comparison_slot(deadline).await?;
            let bytes = beginning.bytes;
            let read = move || view_sheet(&bytes, sheet, ROWS, COLUMNS);
            return Ok(match self.on_thread(slot, deadline, read).await? {
                Ok(view) => PreviewContent::Sheet(view),
                Err(why) => PreviewContent::Unreadable(why),
            });
        }
        if let Some(media) = inline_media(&beginning.bytes) {
            return Ok(PreviewContent::Inline(media));
        }
        if has_members(extension.as_deref(), &beginning.bytes) {
            return Ok(PreviewContent::Members);
        }
        Ok(of_text(&beginning, extension.as_deref()).unwrap_or(PreviewContent::Binary))
    }

    /// The first bytes: as many as are shown, or all of a workbook.
    async fn beginning_of(&self, revision: &Revision, member: Option<&str>) -> Result<Beginning, QueryError> {
        let (name, size, mut pieces) = match member {
            Some(path) => {
                let found = self.member(revision, path).await?;
                let (name, size) = (found.path().to_owned(), found.size());
                (name, size, self.member_bytes(revision, found).await?)
            }
            None => (revision.file_name.clone(), revision.file.size, self.file(revision, None).await?),
        };
        let mut bytes: Vec<u8> = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(e) => return Err(self.record_and_explain(revision, e).await),
            };
            let wanted = if is_workbook(&name, if bytes.is_empty() { &piece } else { &bytes }) {
                WORKBOOK_BYTES
            } else {
                TEXT_BYTES
            };
            let room = wanted.saturating_sub(bytes.len());
            bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() >= room {
                break;
            }
        }
        Ok(Beginning { name, size, bytes })
    }
}

/// `None` if it is not text.
fn of_text(beginning: &Beginning, extension: Option<&str>) -> Option<PreviewContent> {
    let is_cut = !beginning.is_whole();
    let mut bytes = &beginning.bytes[..];
    if !is_text(bytes) {
        return None;
    }
    if is_cut {
        // A line that is cut may end in the middle of a character.
        let end = memchr::memrchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        bytes = &bytes[..end];
    }
    let (text, encoding) = read_text(bytes)?;
    let table = (extension == Some("csv")).then(|| table(&text)).flatten();
    Some(match table {
        Some((rows, has_more)) => PreviewContent::Table { rows, encoding, is_cut: is_cut || has_more },
        None => PreviewContent::Text { text: printable(&text).into_owned(), encoding, is_cut },
    })
}

/// The rows of a text with delimiters, and whether there are more; `None` if it has no delimiter.
fn table(text: &str) -> Option<(Vec<Vec<String>>, bool)> {
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    let count = |delimiter: &u8| first.bytes().filter(|byte| byte == delimiter).count();
    let delimiter = *[b';', b',', b'\t', b'|'].iter().rev().max_by_key(|delimiter| count(delimiter))?;
    if count(&delimiter) == 0 {
        return None;
    }
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
    let (mut rows, mut has_more) = (Vec::new(), false);
    for record in reader.records() {
        let record = record.ok()?;
        if rows.len() >= ROWS as usize {
            has_more = true;
            break;
        }
        has_more |= record.len() > COLUMNS as usize;
        rows.push(record.iter().take(COLUMNS as usize).map(|cell| printable(cell).into_owned()).collect());
    }
    Some((rows, has_more))
}

#[cfg(test)]
mod tests {
    use super::{inline_media, table};

    #[test]
    fn the_delimiter_is_the_most_frequent_sign_of_the_first_line() {
        let (rows, has_more) = table("a;\"b;c\";1,5\r\n2;3\n").expect("a table");
        assert_eq!(
            (rows, has_more),
            (vec![vec!["a".into(), "b;c".into(), "1,5".into()], vec!["2".into(), "3".into()]], false)
        );
        assert_eq!(table("a\tb\n").expect("a table").0, [["a", "b"]]);
        assert!(table("a text\nof lines\n").is_none() && table("").is_none());
        assert!(table(&"1;2\n".repeat(1_000)).expect("a table").1);
    }

    #[test]
    fn only_the_first_bytes_decide_what_a_browser_shows() {
        assert_eq!(inline_media(b"%PDF-1.4"), Some("application/pdf"));
        assert_eq!(inline_media(b"\x89PNG\r\n\x1a\n\0"), Some("image/png"));
        for other in [&b"<svg xmlns="[..], b"<html>", b"RIFF0000WAVE", b"", b"GIF8", b"BM"] {
            assert_eq!(inline_media(other), None);
        }
    }
}
