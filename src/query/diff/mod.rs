//! What changed from one revision's file to another's: members by path where both are zips, text by line.
//!
//! A comparison runs on a thread of its own, of low priority, and few of them at once. What it unpacks, holds and lists is bounded, and
//! so is its time: where that does not suffice, the result says what is missing.
mod chosen;
mod content;
mod note;
mod pairs;
mod run;
mod shown;
mod walk;

use futures_util::StreamExt;
use tokio::time::timeout_at;

use super::{Queries, QueryError, RevisionRow};
use crate::domain::{RevisionId, extension_of, fold_case, format_instant, has_members};
use crate::engine::store::{Beginning, MemberError, MemberReader};
use content::{CELLS_LISTED_MAX, Contents, wanted};
use run::{FILE_BYTES_MAX, Files};
use walk::{Found, Walk};

pub use crate::engine::compare::{CellChange, LineEnds, Note as ContentNote};
pub use chosen::ChosenRevisions;
pub use note::{DiffNote, Side};

/// What is said of larger files.
const FILES_TOO_LARGE: DiffNote = DiffNote::FilesTooLarge { gibibytes_max: FILE_BYTES_MAX >> 30 };

/// Comparisons at once; others wait.
pub(super) const AT_ONCE: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChangeKind {
    Added,
    Removed,
    Changed,
}

impl MemberChangeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Removed => "REMOVED",
            Self::Changed => "CHANGED",
        }
    }
}

/// What changed in a content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentChange {
    /// Of texts within the bounds.
    pub lines_added: Option<u64>,
    pub lines_removed: Option<u64>,
    /// Of workbooks within the bounds.
    pub cells_changed: Option<u64>,
    /// The first of them.
    pub cells: Vec<CellChange>,
    /// What the numbers do not show, or why there are none.
    pub notes: Vec<DiffNote>,
}

impl ContentChange {
    /// Bytes that it takes.
    fn weight(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let cell = |one: &CellChange| {
            size_of::<CellChange>() + one.sheet.len() + one.cell.len() + text(&one.before) + text(&one.after)
        };
        let notes = self.notes.iter().map(DiffNote::weight).sum::<usize>();
        size_of::<Self>() + notes + self.cells.iter().map(cell).sum::<usize>()
    }

    /// Its notes in one line, in English; `None` if there are none.
    pub fn note(&self) -> Option<String> {
        let notes: Vec<String> = self.notes.iter().map(ToString::to_string).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

impl From<DiffNote> for ContentChange {
    fn from(note: DiffNote) -> Self {
        Self { notes: vec![note], ..Self::default() }
    }
}

/// A member that is not the same in both zips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberChange {
    pub path: String,
    /// Where it is another one.
    pub path_before: Option<String>,
    pub kind: MemberChangeKind,
    pub size_before: Option<u64>,
    pub size_after: Option<u64>,
    pub content: ContentChange,
}

impl MemberChange {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.path.len() + self.path_before.as_ref().map_or(0, String::len) + self.content.weight()
    }
}

/// What changed from one revision's file to another's.
#[derive(Clone, Debug)]
pub struct RevisionDiff {
    pub from: RevisionRow,
    pub to: RevisionRow,
    /// The files are the same byte for byte.
    pub is_same: bool,
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
    /// By path. Empty where one of the files is not a zip.
    pub members: Vec<MemberChange>,
    /// Of the members removed and added, those that are the same under another name.
    pub renamed: Vec<MemberChange>,
    /// Of the files themselves, where they are not zips.
    pub content: ContentChange,
    pub notes: Vec<DiffNote>,
    /// It could be more with more time.
    pub is_partial: bool,
}

/// A unified diff, or a sentence where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiffText {
    /// Lines that begin with `#` are ours.
    pub text: String,
    /// What these lines say at the beginning of the text, for edges that say it in their own words.
    pub notes: Vec<DiffNote>,
    /// It ends before the last change, and its last line says so.
    pub is_cut: bool,
    /// It could be more with more time.
    pub is_partial: bool,
}

impl DiffText {
    /// A text with its notes before it.
    fn noted(notes: Vec<ContentNote>, text: &str) -> Self {
        let notes: Vec<DiffNote> = notes.into_iter().map(DiffNote::from).collect();
        let text = notes.iter().map(|note| format!("# {note}\n")).collect::<String>() + text;
        Self { text, notes, ..Self::default() }
    }
}

impl Queries {
    /// What changed from one revision's file to another's.
    pub async fn revision_diff(&self, from: RevisionId, to: RevisionId) -> Result<RevisionDiff, QueryError> {
        let (from, to) = (self.comparable(from).await?, self.comparable(to).await?);
        if from.revision.file.digest == to.revision.file.digest {
            return self.found_between(from, to, Found::default(), ContentChange::default());
        }
        let compared = self.compare(&from, &to, |files| compare_files(files, true)).await?;
        let (found, content) = compared
            .unwrap_or_else(|| (Found { notes: vec![FILES_TOO_LARGE], ..Found::default() }, ContentChange::default()));
        self.found_between(from, to, found, content)
    }

    fn found_between(
        &self,
        from: RevisionRow,
        to: RevisionRow,
        found: Found,
        content: ContentChange,
    ) -> Result<RevisionDiff, QueryError> {
        let is_same = from.revision.file.digest == to.revision.file.digest;
        let Found { added, removed, changed, members, renamed, notes, is_partial } = found;
        let listed = members.iter().chain(&renamed).map(MemberChange::weight);
        self.limits().count_bytes(listed.sum::<usize>() + content.weight())?;
        Ok(RevisionDiff { from, to, is_same, added, removed, changed, members, renamed, content, notes, is_partial })
    }

    /// The same of one member, by the path that it has in either file.
    pub async fn member_diff(&self, from: RevisionId, to: RevisionId, path: &str) -> Result<RevisionDiff, QueryError> {
        let (from_row, to_row) = (self.comparable(from).await?, self.comparable(to).await?);
        let paths = [self.listed_path(&from_row, path).await?, self.listed_path(&to_row, path).await?];
        if paths.iter().all(Option::is_none) {
            return Err(self.no_member(&[&from_row.revision, &to_row.revision], path).await?);
        }
        let mut diff = self.revision_diff(from, to).await?;
        diff.keep_only(paths.each_ref().map(Option::as_deref));
        Ok(diff)
    }

    /// The path of a member as it is listed. One that cannot be unpacked is compared all the same.
    async fn listed_path(&self, row: &RevisionRow, path: &str) -> Result<Option<String>, QueryError> {
        match self.member_if_any(row, path).await {
            Ok(found) => Ok(found.map(|member| member.full_path().to_owned())),
            Err(QueryError::Unsupported(_)) => Ok(Some(path.to_owned())),
            Err(e) => Err(e),
        }
    }

    /// The same as text: a unified diff of a member, by the path that it has in either file, or of files that are text; of zips a list.
    pub async fn diff_text(
        &self,
        from: RevisionId,
        to: RevisionId,
        member: Option<&str>,
    ) -> Result<DiffText, QueryError> {
        let (from, to) = (self.comparable(from).await?, self.comparable(to).await?);
        if let Some(path) = member {
            let written = timeout_at(self.comparison_deadline().into(), self.member_text(&from, &to, path));
            let written = written.await.map_err(|_| self.timed_out())??;
            self.limits().count_bytes(written.text.len())?;
            return Ok(written);
        }
        let names = [&from, &to].map(|row| name(&row.revision.file_name, row));
        let written = match self.compare(&from, &to, move |files| text_of_files(files, &names)).await? {
            Some(Written::Text(written)) => written,
            Some(Written::Members(found)) => {
                let diff = self.found_between(from, to, found, ContentChange::default())?;
                DiffText {
                    text: diff.summary(),
                    notes: diff.notes.clone(),
                    is_partial: diff.is_partial,
                    ..DiffText::default()
                }
            }
            None => {
                let text = format!("# {FILES_TOO_LARGE}\n");
                DiffText { text, notes: vec![FILES_TOO_LARGE], ..DiffText::default() }
            }
        };
        self.limits().count_bytes(written.text.len())?;
        Ok(written)
    }

    /// The revision, if its file can be read.
    async fn comparable(&self, id: RevisionId) -> Result<RevisionRow, QueryError> {
        let row = self.revision(id).await?;
        if let Some(at) = row.revision.purged_at {
            let why = row.revision.purge_rule.clone().unwrap_or_default();
            let at = format_instant(at);
            return Err(QueryError::Purged(format!(
                "the file of revision {id} was removed by retention at {at}: {why}"
            )));
        }
        self.require_sound(&row.revision).await?;
        Ok(row)
    }

    /// The diff of one member, which may have another name in the other file.
    async fn member_text(&self, from: &RevisionRow, to: &RevisionRow, path: &str) -> Result<DiffText, QueryError> {
        let mut found = (self.member_if_any(from, path).await?, self.member_if_any(to, path).await?);
        let only = match (&found.0, &found.1) {
            (Some(one), None) | (None, Some(one)) => Some(one.full_path().to_owned()),
            _ => None,
        };
        if let Some(only) = only
            && let Some((before, after)) = self.renamed_member(from, to, &only).await?
        {
            found = (self.member_if_any(from, &before).await?, self.member_if_any(to, &after).await?);
        }
        let paths = [&found.0, &found.1].map(|side| side.as_ref().map(|member| member.full_path().to_owned()));
        if paths.iter().all(Option::is_none) {
            return Err(self.no_member(&[&from.revision, &to.revision], path).await?);
        }
        if paths.iter().flatten().all(|path| has_members(extension_of(path).as_deref(), &[])) {
            let mut diff = self.revision_diff(from.revision.id, to.revision.id).await?;
            diff.keep_only(paths.each_ref().map(Option::as_deref));
            let (text, notes) = (diff.summary(), diff.notes.clone());
            return Ok(DiffText { text, notes, is_partial: diff.is_partial, ..DiffText::default() });
        }
        let named = |path: &Option<String>, row| path.as_ref().map_or("/dev/null".to_owned(), |path| name(path, row));
        let names = [named(&paths[0], from), named(&paths[1], to)];
        let shown_name = paths.iter().flatten().next_back().cloned().unwrap_or_default();
        let deadline = self.comparison_deadline();
        let slot = self.comparison_slot(deadline).await?;
        let contents = (self.beginning(from, found.0).await?, self.beginning(to, found.1).await?);
        let contents = Contents {
            from: contents.0,
            to: contents.1,
            name: shown_name,
            until: deadline,
            cells_max: CELLS_LISTED_MAX,
        };
        self.on_thread(slot, deadline, move || contents.text(&names[0], &names[1])).await
    }

    async fn member_if_any(&self, row: &RevisionRow, path: &str) -> Result<Option<MemberReader>, QueryError> {
        match self.member(&row.revision, path).await {
            Ok(found) => Ok(Some(found)),
            Err(QueryError::NoMember { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Both paths of a member that was renamed, by one of them.
    async fn renamed_member(
        &self,
        from: &RevisionRow,
        to: &RevisionRow,
        path: &str,
    ) -> Result<Option<(String, String)>, QueryError> {
        let compared = self.compare(from, to, |files| compare_files(files, false)).await?;
        let wanted = fold_case(path);
        let renamed = compared.map(|(found, _)| found.renamed).unwrap_or_default().into_iter();
        let mut both = renamed.filter_map(|one| Some((one.path_before?, one.path)));
        Ok(both.find(|(before, after)| fold_case(before) == wanted || fold_case(after) == wanted))
    }

    /// The first bytes of a member, as many as are compared.
    async fn beginning(
        &self,
        row: &RevisionRow,
        member: Option<MemberReader>,
    ) -> Result<Option<Beginning>, QueryError> {
        let Some(member) = member else { return Ok(None) };
        let bytes_max = usize::try_from(wanted(member.size())).unwrap_or(usize::MAX);
        let mut pieces = self.member_bytes(&row.revision, member).await?;
        let mut beginning = Beginning { bytes: Vec::new(), is_whole: true };
        while let Some(piece) = pieces.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(e) => return Err(self.record_and_explain(&row.revision, e).await),
            };
            let room = bytes_max - beginning.bytes.len();
            beginning.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() > room {
                beginning.is_whole = false;
                break;
            }
        }
        Ok(Some(beginning))
    }
}

/// How a side is named in a unified diff. What follows the tab is not a part of the name.
fn name(path: &str, row: &RevisionRow) -> String {
    let path: String = path.chars().map(|c| if c.is_control() { '_' } else { c }).collect();
    format!("{path}\trevision {} of {}, {}", row.revision.number, row.publication.reference_date, row.revision.id)
}

/// Which of the files are zips with members.
fn are_zips(files: &mut Files) -> Result<[bool; 2], MemberError> {
    const SIGNATURE_BYTES: u64 = 4;
    let heads = [
        files.from.read(SIGNATURE_BYTES, &mut files.work)?.bytes,
        files.to.read(SIGNATURE_BYTES, &mut files.work)?.bytes,
    ];
    let [from, to] = &files.names;
    let is_zip = |name: &String, head: &[u8]| has_members(extension_of(name).as_deref(), head);
    Ok([is_zip(from, &heads[0]), is_zip(to, &heads[1])])
}

fn compare_files(mut files: Files, by_line: bool) -> Result<(Found, ContentChange), MemberError> {
    match are_zips(&mut files)? {
        [true, true] => {}
        [false, false] => return Ok((Found::default(), contents(&mut files)?.change())),
        _ => {
            let found = Found { notes: vec![DiffNote::OneZip], ..Found::default() };
            return Ok((found, contents(&mut files)?.change()));
        }
    }
    let Files { from, to, mut work, until, .. } = files;
    let mut notes = Vec::new();
    let mut opened = Vec::new();
    for (side, file) in [(Side::From, from), (Side::To, to)] {
        match file.into_zip(&mut work) {
            Ok(zip) => opened.push(zip),
            Err(MemberError::NotAZip(why)) => notes.push(DiffNote::NotAZip { side, why }),
            Err(e) => return Err(e),
        }
    }
    let Ok([from, to]) = <[_; 2]>::try_from(opened) else {
        return Ok((Found { notes, ..Found::default() }, ContentChange::default()));
    };
    let mut found = Walk::new(&mut work, until, by_line).compare(from, to)?;
    // Two files that are the same are not compared.
    if found.members.is_empty() && found.renamed.is_empty() && found.notes.is_empty() {
        found.notes.push(DiffNote::SameMembers);
    }
    Ok((found, ContentChange::default()))
}

/// Two files as they are shown as text.
enum Written {
    Text(DiffText),
    /// Of two zips.
    Members(Found),
}

fn text_of_files(mut files: Files, names: &[String; 2]) -> Result<Written, MemberError> {
    if are_zips(&mut files)?.contains(&true) {
        return Ok(Written::Members(compare_files(files, true)?.0));
    }
    Ok(Written::Text(contents(&mut files)?.text(&names[0], &names[1])))
}

fn contents(files: &mut Files) -> Result<Contents, MemberError> {
    let from = files.from.read(content::BYTES_MAX, &mut files.work)?;
    let to = files.to.read(content::BYTES_MAX, &mut files.work)?;
    Ok(Contents {
        from: Some(from),
        to: Some(to),
        name: files.names[1].clone(),
        until: files.until,
        cells_max: CELLS_LISTED_MAX,
    })
}
