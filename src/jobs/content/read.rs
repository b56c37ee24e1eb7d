//! The text of one file: of itself, or of the members of a zip, nested zips included. Bounded in bytes, time and members.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use crate::config::Content;
use crate::domain::StoredFile;
use crate::engine::extract::{Extractor, Kind, Limits};
use crate::engine::index::{FileText, Outcome, TextDocument};
use crate::engine::store::{
    Archive, Beginning, Budget, CancelOnDrop, MemberError, OpenFile, OpenZip, StoreError, Work,
};

/// Bytes that show what a document is: a little more than are looked at, so that a character that is cut at their end is known to be.
const HEAD_BYTES: u64 = (64 << 10) + 16;

/// Bytes of one text that are read.
const TEXT_BYTES_MAX: u64 = 8 << 20;

/// Bytes of a PDF or workbook, of which a part is of no use.
const WHOLE_BYTES_MAX: u64 = 32 << 20;

/// Bytes of text kept of one member.
const MEMBER_TEXT_MAX: usize = 1 << 20;

/// Members whose text is kept.
const MEMBERS_MAX: usize = 2_000;

/// Memory of the process that reads a PDF or workbook.
const PROCESS_MEMORY_MAX: u64 = 512 << 20;

/// Characters of a note.
const NOTE_CHARS_MAX: usize = 300;

/// Reads files of an archive, one after the other.
#[derive(Clone)]
pub(super) struct FileReader {
    archive: Archive,
    settings: Content,
    stop: CancellationToken,
}

impl FileReader {
    pub fn new(archive: Archive, settings: &Content, stop: CancellationToken) -> Self {
        Self { archive, settings: settings.clone(), stop }
    }

    /// The text of a file. One that does not read back is unreadable; other errors of the archive may pass.
    pub async fn read(&self, file: StoredFile, name: &str) -> Result<FileText, StoreError> {
        let base = FileText { digest: file.digest, outcome: Outcome::NoText, note: None, documents: Vec::new() };
        match self.documents(file, name).await {
            Ok(reading) => Ok(FileText {
                outcome: reading.outcome(),
                note: reading.failure.or(reading.cut).map(|note| note.chars().take(NOTE_CHARS_MAX).collect()),
                documents: reading.documents,
                ..base
            }),
            Err(MemberError::Store(e)) if e.damaged().is_some() => {
                Ok(FileText { outcome: Outcome::Damaged, note: Some(e.to_string()), ..base })
            }
            Err(MemberError::Store(e)) => Err(e),
            Err(MemberError::Cancelled) => Err(StoreError::Interrupted),
            Err(
                e @ (MemberError::NotAZip(_)
                | MemberError::NoMember(_)
                | MemberError::Ambiguous { .. }
                | MemberError::Unsupported(_)),
            ) => Ok(FileText { outcome: Outcome::Unreadable, note: Some(e.to_string()), ..base }),
        }
    }

    async fn documents(&self, file: StoredFile, name: &str) -> Result<Reading, MemberError> {
        let opened = self.archive.open_file(file).await?;
        let cancel = CancelOnDrop(Arc::default());
        let mut reading = Reading::new(self, cancel.0.clone());
        let name = name.to_owned();
        let work = move || reading.file(opened, &name).map(|()| reading);
        tokio::select! {
            outcome = crate::threads::at_lowest_priority("content", work) => {
                let unexpected = || Err(MemberError::NotAZip("reading it failed unexpectedly".to_owned()));
                outcome.map_err(StoreError::from)?.unwrap_or_else(unexpected)
            }
            _ = self.stop.cancelled() => Err(MemberError::Cancelled),
        }
    }
}

/// Why the rest of a file is not read.
const READ_LIMITS: &str = "reading it exceeds `content.read_max` or `content.time_max`";

/// What was read of a file so far.
struct Reading {
    extractor: Extractor,
    work: Work,
    cancelled: Arc<AtomicBool>,
    text_left: usize,
    documents: Vec<TextDocument>,
    /// What was left out because of a limit, the first of several.
    cut: Option<String>,
    /// Why something could not be read, the first of several.
    failure: Option<String>,
}

impl Reading {
    fn new(reader: &FileReader, cancelled: Arc<AtomicBool>) -> Self {
        let settings = &reader.settings;
        let limits = Limits { memory_max: PROCESS_MEMORY_MAX, time_max: settings.time_max };
        let budget = Budget { bytes: settings.read_max, time: settings.time_max };
        Self {
            extractor: Extractor::new(settings.program.clone(), limits),
            work: Work::new(budget, cancelled.clone()),
            cancelled,
            text_left: usize::try_from(settings.text_max).unwrap_or(usize::MAX),
            documents: Vec::new(),
            cut: None,
            failure: None,
        }
    }

    fn outcome(&self) -> Outcome {
        match (self.documents.is_empty(), self.failure.is_some() || self.cut.is_some()) {
            (true, false) => Outcome::NoText,
            (true, true) => Outcome::Unreadable,
            (false, true) => Outcome::Partly,
            (false, false) => Outcome::Read,
        }
    }

    fn file(&mut self, mut file: OpenFile, name: &str) -> Result<(), MemberError> {
        if is_zip(name) {
            let mut zip = file.into_zip(&mut self.work)?;
            return self.zip(&mut zip, "", 0);
        }
        self.document(None, name, |bytes_max, work| file.read(bytes_max, work))
    }

    /// Small members first: a large table must not keep the others from being read.
    fn zip(&mut self, zip: &mut OpenZip, prefix: &str, depth: usize) -> Result<(), MemberError> {
        if zip.is_cut() {
            self.cut(|| "it has more members than are listed".to_owned());
        }
        let mut order: Vec<usize> = (0..zip.members().len()).collect();
        order.sort_by_key(|index| zip.members().get(*index).map(|member| (member.is_zip(), member.size)));
        for index in order {
            if let Some(why) = self.limit_reached() {
                self.cut(|| why.to_owned());
                break;
            }
            let Some(member) = zip.members().get(index) else { continue };
            let (name, is_nested) = (member.path.clone(), member.is_zip());
            if is_nested {
                let folder = zip.folder_of(index, &mut self.work)?;
                match zip.open_nested(index, depth, &mut self.work) {
                    Ok(Some(mut nested)) => self.zip(&mut nested, &format!("{prefix}{folder}/"), depth + 1)?,
                    Ok(None) => self
                        .cut(|| format!("`{}` is nested too deeply, or {READ_LIMITS}", format_args!("{prefix}{name}"))),
                    Err(e) => self.failed(&format!("{prefix}{name}"), e)?,
                }
                continue;
            }
            let path = format!("{prefix}{name}");
            self.document(Some(path), &name, |bytes_max, work| zip.read(index, bytes_max, work))?;
        }
        Ok(())
    }

    /// The limit of the whole file that is reached.
    fn limit_reached(&self) -> Option<&'static str> {
        if self.text_left == 0 {
            return Some("it has more text than `content.text_max`");
        }
        if self.documents.len() >= MEMBERS_MAX {
            return Some("it has text in more members than are read");
        }
        self.work.is_over().then_some(READ_LIMITS)
    }

    /// Reads a document with `read`, which returns up to so many of its first bytes.
    fn document(
        &mut self,
        path: Option<String>,
        name: &str,
        mut read: impl FnMut(u64, &mut Work) -> Result<Beginning, MemberError>,
    ) -> Result<(), MemberError> {
        let what = path.clone().unwrap_or_else(|| name.to_owned());
        let mut beginning = match read(HEAD_BYTES, &mut self.work) {
            Ok(beginning) => beginning,
            Err(e) => return self.failed(&what, e),
        };
        if beginning.bytes.is_empty() {
            if !beginning.is_whole {
                self.cut(|| READ_LIMITS.to_owned());
            }
            return Ok(());
        }
        let Some(kind) = Kind::of(name, &beginning.bytes) else { return Ok(()) };
        if !beginning.is_whole {
            let bytes_max = if kind == Kind::Text { TEXT_BYTES_MAX } else { WHOLE_BYTES_MAX };
            beginning = match read(bytes_max, &mut self.work) {
                Ok(beginning) => beginning,
                Err(e) => return self.failed(&what, e),
            };
        }
        if !beginning.is_whole && kind != Kind::Text {
            self.note(format!("`{what}` is too large to be read"));
            return Ok(());
        }
        if !beginning.is_whole {
            self.cut(|| format!("of `{what}` the first {} MiB are read", TEXT_BYTES_MAX >> 20));
            // A character may be cut at the end.
            let end = memchr::memrchr(b'\n', &beginning.bytes).map_or(beginning.bytes.len(), |at| at + 1);
            beginning.bytes.truncate(end);
        }
        let text_max = if path.is_some() { self.text_left.min(MEMBER_TEXT_MAX) } else { self.text_left };
        let cancelled = self.cancelled.clone();
        let is_cancelled = move || cancelled.load(Ordering::Relaxed);
        match self.extractor.read(kind, &beginning.bytes, text_max, &is_cancelled) {
            Ok(lines) => {
                if lines.is_cut() {
                    self.cut(|| format!("`{what}` has more text than is kept"));
                }
                self.text_left = self.text_left.saturating_sub(lines.as_str().len());
                if !lines.as_str().is_empty() {
                    self.documents.push(TextDocument { path, lines: lines.as_str().to_owned() });
                }
                Ok(())
            }
            Err(_) if self.cancelled.load(Ordering::Relaxed) => Err(MemberError::Cancelled),
            Err(reason) => {
                self.note(format!("`{what}`: {reason}"));
                Ok(())
            }
        }
    }

    /// A member that does not unpack is left out; an error of the archive ends the reading.
    fn failed(&mut self, what: &str, error: MemberError) -> Result<(), MemberError> {
        match error {
            MemberError::Store(_) | MemberError::Cancelled => Err(error),
            MemberError::NotAZip(_)
            | MemberError::NoMember(_)
            | MemberError::Ambiguous { .. }
            | MemberError::Unsupported(_) => {
                self.note(format!("`{what}`: {error}"));
                Ok(())
            }
        }
    }

    fn note(&mut self, failure: String) {
        self.failure.get_or_insert(failure);
    }

    fn cut(&mut self, why: impl FnOnce() -> String) {
        self.cut.get_or_insert_with(why);
    }
}

fn is_zip(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("zip"))
}
