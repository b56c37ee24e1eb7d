//! The walk through two zips at once, nested zips included. Members are compared by the size and checksum that the directories give, and
//! only those that differ are unpacked.
use std::time::Instant;

use super::content::{CELLS_LISTED_MAX, Contents, wanted};
use super::pairs::{Pair, pairs};
use super::{ContentChange, DiffNote, MemberChange, MemberChangeKind};
use crate::engine::store::{Beginning, MemberError, OpenZip, Work};

/// Changes that are listed.
const CHANGES_MAX: usize = 20_000;

/// Cells of all workbooks that are listed.
const CELLS_MAX: usize = 20_000;

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
    pub members: Vec<MemberChange>,
    pub renamed: Vec<MemberChange>,
    pub notes: Vec<DiffNote>,
    /// It could be more with more time.
    pub is_partial: bool,
}

pub(super) struct Walk<'a> {
    work: &'a mut Work,
    /// When comparisons by line become coarser at the latest.
    until: Instant,
    /// Whether contents are compared by line, or only found to differ.
    by_line: bool,
    found: Found,
    has_more: bool,
    is_cut: bool,
    cells_left: usize,
}

/// A zip and the path of its members' folder.
struct Folder {
    zip: OpenZip,
    prefix: String,
}

/// A member of a folder.
struct At<'a> {
    folder: &'a mut Folder,
    index: usize,
}

impl Folder {
    fn path(&self, index: usize) -> String {
        let path = self.zip.members().get(index).map(|member| member.path.as_str());
        format!("{}{}", self.prefix, path.unwrap_or_default())
    }

    fn size(&self, index: usize) -> u64 {
        self.zip.members().get(index).map_or(0, |member| member.size)
    }

    fn crc32(&self, index: usize) -> u32 {
        self.zip.members().get(index).map_or(0, |member| member.crc32)
    }

    /// A nested zip as a folder; `None` if it is a member like any other.
    fn nested(&mut self, index: usize, depth: usize, work: &mut Work) -> Result<Option<Self>, MemberError> {
        let Some(zip) = self.zip.open_nested(index, depth, work)? else { return Ok(None) };
        let folder = self.zip.folder_of(index, work)?;
        Ok(Some(Self { zip, prefix: format!("{}{folder}/", self.prefix) }))
    }
}

impl<'a> Walk<'a> {
    pub fn new(work: &'a mut Work, until: Instant, by_line: bool) -> Self {
        Self { work, until, by_line, found: Found::default(), has_more: false, is_cut: false, cells_left: CELLS_MAX }
    }

    pub fn compare(mut self, from: OpenZip, to: OpenZip) -> Result<Found, MemberError> {
        let folder = |zip| Folder { zip, prefix: String::new() };
        self.folders(&mut folder(from), &mut folder(to), 0, true)?;
        let mut found = self.found;
        if self.is_cut {
            found.notes.push(DiffNote::MembersCut);
        }
        if self.has_more {
            found.notes.push(DiffNote::ChangesCut { changes_max: CHANGES_MAX });
        }
        if self.work.is_over() {
            found.notes.push(DiffNote::Unfinished);
        }
        found.is_partial = self.work.is_over();
        found.members.sort_by(|a, b| a.path.cmp(&b.path));
        found.renamed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// `is_same`: the folders have the same path.
    fn folders(&mut self, from: &mut Folder, to: &mut Folder, depth: usize, is_same: bool) -> Result<(), MemberError> {
        let (from_is_cut, to_is_cut) = (from.zip.is_cut(), to.zip.is_cut());
        self.is_cut |= from_is_cut || to_is_cut;
        for pair in pairs(from.zip.members(), to.zip.members()) {
            match pair {
                Pair::Same(i, j) => {
                    self.pair(&mut At { folder: from, index: i }, &mut At { folder: to, index: j }, depth, is_same)?;
                }
                Pair::Renamed(i, j) => {
                    self.pair(&mut At { folder: from, index: i }, &mut At { folder: to, index: j }, depth, false)?;
                }
                // The other zip may have it among the members that are not listed.
                Pair::Removed(_) if to_is_cut => {}
                Pair::Added(_) if from_is_cut => {}
                Pair::Removed(i) => {
                    self.single(&mut At { folder: from, index: i }, depth, MemberChangeKind::Removed)?
                }
                Pair::Added(j) => self.single(&mut At { folder: to, index: j }, depth, MemberChangeKind::Added)?,
            }
        }
        Ok(())
    }

    /// A member of both zips. `is_same`: it has the same path in both.
    fn pair(&mut self, from: &mut At<'_>, to: &mut At<'_>, depth: usize, is_same: bool) -> Result<(), MemberError> {
        let is_equal = self.is_equal(from, to)?;
        if is_same && is_equal {
            return Ok(());
        }
        let nested = match from.folder.nested(from.index, depth, self.work)? {
            Some(inner) => to.folder.nested(to.index, depth, self.work)?.map(|other| (inner, other)),
            None => None,
        };
        if let Some((mut inner, mut other)) = nested {
            if !is_same {
                self.push(from, None, MemberChangeKind::Removed, ContentChange::default());
                self.push(to, None, MemberChangeKind::Added, ContentChange::default());
            }
            // What changed in it is said of its members.
            return self.folders(&mut inner, &mut other, depth + 1, is_same);
        }
        let change = match is_equal {
            true => DiffNote::SameContent.into(),
            false => self.content(Some(from), Some(to))?,
        };
        if is_same {
            self.push(to, Some(from.folder.size(from.index)), MemberChangeKind::Changed, change);
            return Ok(());
        }
        self.renamed(from, to, change);
        let removed = self.content(Some(from), None)?;
        self.push(from, None, MemberChangeKind::Removed, removed);
        let added = self.content(None, Some(to))?;
        self.push(to, None, MemberChangeKind::Added, added);
        Ok(())
    }

    /// A member that only one zip has, with all that is in it.
    fn single(&mut self, at: &mut At<'_>, depth: usize, kind: MemberChangeKind) -> Result<(), MemberError> {
        let nested = at.folder.nested(at.index, depth, self.work)?;
        let content = match (&nested, kind) {
            (Some(_), _) => ContentChange::default(),
            (None, MemberChangeKind::Removed) => self.content(Some(at), None)?,
            (None, _) => self.content(None, Some(at))?,
        };
        self.push(at, None, kind, content);
        if let Some(mut inner) = nested {
            self.is_cut |= inner.zip.is_cut();
            for index in 0..inner.zip.members().len() {
                self.single(&mut At { folder: &mut inner, index }, depth + 1, kind)?;
            }
        }
        Ok(())
    }

    fn is_equal(&mut self, from: &mut At<'_>, to: &mut At<'_>) -> Result<bool, MemberError> {
        let size = from.folder.size(from.index);
        if size != to.folder.size(to.index) {
            return Ok(false);
        }
        let checksums = (from.folder.crc32(from.index), to.folder.crc32(to.index));
        if checksums.0 != 0 && checksums.1 != 0 || size == 0 {
            return Ok(checksums.0 == checksums.1);
        }
        // A checksum is missing.
        let mut digest = |at: &mut At<'_>| match at.folder.zip.digest(at.index, self.work) {
            Err(MemberError::Unsupported(_) | MemberError::NotAZip(_)) => Ok(None),
            other => other,
        };
        let digests = (digest(from)?, digest(to)?);
        Ok(digests.0.is_some() && digests.0 == digests.1)
    }

    fn content(&mut self, from: Option<&mut At<'_>>, to: Option<&mut At<'_>>) -> Result<ContentChange, MemberError> {
        if !self.by_line || self.work.is_over() || self.found.members.len() >= CHANGES_MAX {
            return Ok(ContentChange::default());
        }
        let name = match (&from, &to) {
            (_, Some(at)) => at.folder.path(at.index),
            (Some(at), None) => at.folder.path(at.index),
            (None, None) => String::new(),
        };
        let mut read = |at: Option<&mut At<'_>>| -> Result<Result<Option<Beginning>, String>, MemberError> {
            let Some(at) = at else { return Ok(Ok(None)) };
            let bytes_max = wanted(at.folder.size(at.index));
            match at.folder.zip.read(at.index, bytes_max, self.work) {
                Ok(read) => Ok(Ok(Some(read))),
                Err(MemberError::Unsupported(why)) => Ok(Err(why)),
                Err(MemberError::NotAZip(why)) => Ok(Err(format!("it does not unpack: {why}"))),
                Err(e) => Err(e),
            }
        };
        let (from, to) = match (read(from)?, read(to)?) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(why), _) | (_, Err(why)) => {
                return Ok(DiffNote::NotUnpacked(why).into());
            }
        };
        if self.work.is_over() {
            return Ok(ContentChange::default());
        }
        let cells_max = self.cells_left.min(CELLS_LISTED_MAX);
        let change = Contents { from, to, name, until: self.until, cells_max }.change();
        self.cells_left = self.cells_left.saturating_sub(change.cells.len());
        Ok(change)
    }

    fn push(&mut self, at: &At<'_>, size_before: Option<u64>, kind: MemberChangeKind, content: ContentChange) {
        let size = Some(at.folder.size(at.index));
        let (count, size_before, size_after) = match kind {
            MemberChangeKind::Added => (&mut self.found.added, None, size),
            MemberChangeKind::Removed => (&mut self.found.removed, size, None),
            MemberChangeKind::Changed => (&mut self.found.changed, size_before, size),
        };
        *count += 1;
        if self.found.members.len() >= CHANGES_MAX {
            self.has_more = true;
            return;
        }
        let path = at.folder.path(at.index);
        self.found.members.push(MemberChange { path, path_before: None, kind, size_before, size_after, content });
    }

    fn renamed(&mut self, from: &At<'_>, to: &At<'_>, content: ContentChange) {
        if self.found.renamed.len() >= CHANGES_MAX {
            return;
        }
        self.found.renamed.push(MemberChange {
            path: to.folder.path(to.index),
            path_before: Some(from.folder.path(from.index)),
            kind: MemberChangeKind::Changed,
            size_before: Some(from.folder.size(from.index)),
            size_after: Some(to.folder.size(to.index)),
            content,
        });
    }
}
