//! extract: the bytes of a document in, its lines of text out.
//!
//! Plain text is read here. PDFs and workbooks are read by third-party parsers, which may panic, loop or take any amount of memory on a
//! hostile file. They run in a process of their own, which is this program with another command (`child`), with limits on memory and
//! processor time and a deadline. Whatever happens to that process, the document is unreadable, and nothing else is affected.
mod child;
mod lines;
mod pdf;
mod process;
mod text;
mod workbook;

use crate::engine::compare;

pub use child::{limit_and_run, run as run_limited};
pub use lines::{Lines, split_line};
pub use process::{Extractor, Limits};

/// The command of the child process.
pub const COMMAND: &str = "extract-text";

/// How a document is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Pdf,
    Workbook,
}

impl Kind {
    /// By the name and the first bytes of a document; `None` if it has no text that can be read.
    pub fn of(name: &str, bytes: &[u8]) -> Option<Self> {
        const HEAD: usize = 1024;
        let head = &bytes[..bytes.len().min(HEAD)];
        if memchr::memmem::find(head, b"%PDF-").is_some() {
            Some(Self::Pdf)
        } else if compare::is_workbook(name, bytes) {
            Some(Self::Workbook)
        } else if !bytes.is_empty() && compare::is_text(bytes) {
            Some(Self::Text)
        } else {
            None
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Pdf => "pdf",
            Self::Workbook => "workbook",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Text, Self::Pdf, Self::Workbook].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Reads a document with the parsers of this process; an error says why it cannot be read.
fn read(kind: Kind, bytes: &[u8], bytes_max: usize) -> Result<Lines, String> {
    let mut lines = Lines::new(bytes_max);
    match kind {
        Kind::Text => text::read(bytes, &mut lines),
        Kind::Pdf => pdf::read(bytes, &mut lines)?,
        Kind::Workbook => workbook::read(bytes, &mut lines)?,
    }
    Ok(lines)
}
