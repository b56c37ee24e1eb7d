//! The members of a zip. A nested zip is listed as a folder with its own members.
//!
//! The directory of a zip is read entry by entry and never held in memory. How much listing may unpack, and how long it may
//! take, is limited for the file as a whole.
use std::io::{Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use zip::ZipReadOptions;
use zip::read::{Config, ZipFileEntry};
// The iterator that keeps no table of all entries. Only its path in the crate is unstable.
use zip::unstable::read::{ZipIterable, ZipIterableFiles};

use super::names::{Folders, Paths, earlier_paths, member_path};
use super::seek::{Seekable, damage_in};
use super::{Archive, StoreError};
use crate::domain::StoredFile;

/// How deep nested zips are opened.
pub(super) const DEPTH_MAX: usize = 3;

/// Members listed of one file.
pub(super) const MEMBERS_MAX: usize = 20_000;

/// The largest nested zip that is opened, as unpacked.
pub(super) const NESTED_MAX: u64 = 1 << 30;

/// Bytes unpacked between two checks of the time.
const PIECE: usize = 64 << 10;

/// A member as the zip lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `folder/file.dat`; of a nested zip `outer.zip/inner.dat`.
    pub path: String,
    pub size: u64,
    pub compressed_size: u64,
    /// Year, month, day, hour, minute, second, in the packer's time zone.
    pub modified: Option<(u16, u8, u8, u8, u8, u8)>,
}

/// The members of a zip, as far as they were listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub members: Vec<Member>,
    /// The zip has more members than are listed.
    pub is_cut: bool,
    /// The budget did not suffice for all nested zips.
    pub is_over_budget: bool,
}

/// How much listing a file may unpack, for nested zips, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub bytes: u64,
    pub time: Duration,
}

/// Why members cannot be listed, or one cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    #[error("it is not a zip that can be opened: {0}")]
    NotAZip(String),
    #[error("the zip has no member `{0}`")]
    NoMember(String),
    #[error("`{path}` may be any of {}", candidates.join(", "))]
    Ambiguous { path: String, candidates: Vec<String> },
    /// Names the member and how it is packed.
    #[error("{0}")]
    Unsupported(String),
    #[error("the work was cancelled")]
    Cancelled,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is left of a budget; shared by all zips inside a file.
pub struct Work {
    bytes: u64,
    until: Instant,
    is_over: bool,
    cancelled: Arc<AtomicBool>,
}

impl Work {
    pub fn new(budget: Budget, cancelled: Arc<AtomicBool>) -> Self {
        Self { bytes: budget.bytes, until: Instant::now() + budget.time, is_over: false, cancelled }
    }

    /// Without a limit; its caller cancels it.
    pub(super) fn unbounded(cancelled: Arc<AtomicBool>) -> Self {
        const A_DAY: Duration = Duration::from_secs(86_400);
        Self::new(Budget { bytes: u64::MAX, time: A_DAY }, cancelled)
    }

    /// Whether the budget did not suffice for something.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes bytes from the budget. Returns whether it suffices.
    pub(super) fn take(&mut self, bytes: u64) -> Result<bool, MemberError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(MemberError::Cancelled);
        }
        self.is_over |= bytes > self.bytes || Instant::now() > self.until;
        self.bytes = self.bytes.saturating_sub(bytes);
        Ok(!self.is_over)
    }
}

/// Cancels the work on a thread once its result is not needed any more.
pub struct CancelOnDrop(pub Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Archive {
    /// The members of a zip, in its order; [`MemberError::NotAZip`] where it cannot be opened. Ends soon after the future is
    /// dropped.
    pub async fn members(&self, file: StoredFile, budget: Budget) -> Result<Listing, MemberError> {
        let zip = self.seekable(file, false).await?;
        let archive = self.clone();
        let guard = CancelOnDrop(Arc::default());
        let mut work = Work::new(budget, guard.0.clone());
        tokio::task::spawn_blocking(move || {
            let mut listing = Listing::default();
            list(&archive, zip, "", 0, &mut work, &mut listing)?;
            listing.is_over_budget = work.is_over;
            Ok(listing)
        })
        .await
        .map_err(StoreError::from)?
    }

    /// Unpacks a nested zip to a temporary file; `None` if it is too large or the budget does not suffice.
    pub(super) fn unpack_nested<R: Read + Seek>(
        &self,
        entry: ZipFileEntry<'_>,
        file: &mut R,
        work: &mut Work,
    ) -> Result<Option<Box<dyn Seekable>>, MemberError> {
        if entry.size() > NESTED_MAX || !work.take(0)? {
            return Ok(None);
        }
        let mut spool = self.spool();
        spool.check_space(entry.size())?;
        let mut unpacked = entry.with_reader(file, ZipReadOptions::new()).map_err(not_a_zip)?;
        let mut piece = vec![0; PIECE];
        loop {
            let n = unpacked.read(&mut piece).map_err(|e| broken(&e))?;
            if n == 0 {
                return Ok(Some(Box::new(spool.into_reader()?)));
            }
            if !work.take(n as u64)? {
                return Ok(None);
            }
            spool.append(&piece[..n])?;
        }
    }
}

pub(super) fn open<R: Read + Seek>(file: R) -> Result<ZipIterable<R>, MemberError> {
    ZipIterable::try_new(file, Config::default()).map_err(not_a_zip)
}

pub(super) fn not_a_zip(error: zip::result::ZipError) -> MemberError {
    match error {
        zip::result::ZipError::Io(e) => broken(&e),
        // The library's word for the record that ends a zip.
        zip::result::ZipError::InvalidArchive(why) if why.contains("EOCD") => {
            MemberError::NotAZip("the directory at its end is missing, so it may be truncated".to_owned())
        }
        other => MemberError::NotAZip(other.to_string()),
    }
}

pub(super) fn broken(error: &std::io::Error) -> MemberError {
    match damage_in(error) {
        Some(digest) => StoreError::Damaged(digest).into(),
        None => MemberError::NotAZip(error.to_string()),
    }
}

fn list(
    archive: &Archive,
    file: Box<dyn Seekable>,
    prefix: &str,
    depth: usize,
    work: &mut Work,
    listing: &mut Listing,
) -> Result<(), MemberError> {
    let mut zip = open(file)?;
    let mut entries = Entries::of(&mut zip)?;
    while let Some((entry, path)) = entries.next_member()? {
        if listing.members.len() >= MEMBERS_MAX {
            listing.is_cut = true;
            break;
        }
        let is_in_time = work.take(0)?;
        let path = format!("{prefix}{path}");
        listing.members.push(member(&entry, path.clone()));
        if is_in_time && is_zip(&path) && depth < DEPTH_MAX {
            let folder = format!("{prefix}{}/", entries.folder_of_nested(&path[prefix.len()..], work)?);
            match archive.unpack_nested(entry, entries.files.reader_mut(), work) {
                // A nested zip that cannot be opened is a member like any other.
                Ok(Some(inner)) => match list(archive, inner, &folder, depth + 1, work, listing) {
                    Err(MemberError::NotAZip(_)) | Ok(()) => {}
                    Err(e) => return Err(e),
                },
                Ok(None) | Err(MemberError::NotAZip(_)) => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(())
}

/// The entries of a zip that are members, one after the other.
pub(super) struct Entries<'z, R> {
    files: &'z mut ZipIterableFiles<R>,
    /// Of the next entry, folders included.
    index: usize,
    paths: Paths,
    /// Read from the whole zip, and only where it has a nested one.
    folders: Option<Folders>,
}

impl<'z, R: Read + Seek> Entries<'z, R> {
    pub fn of(zip: &'z mut ZipIterable<R>) -> Result<Self, MemberError> {
        let files = zip.files().map_err(not_a_zip)?;
        Ok(Self { files, index: 0, paths: Paths::default(), folders: None })
    }

    /// The next member, with a path that is different from all before it.
    pub fn next_member(&mut self) -> Result<Option<(ZipFileEntry<'static>, String)>, MemberError> {
        for entry in self.files.by_ref() {
            let entry = entry.map_err(not_a_zip)?;
            let path = bare_path_of(&entry, self.index);
            self.index += 1;
            if let Some(path) = path {
                return Ok(Some((entry, self.paths.unique(path))));
            }
        }
        Ok(None)
    }

    /// The folder that a nested zip of this path is listed as.
    pub fn folder_of_nested(&mut self, path: &str, work: &mut Work) -> Result<String, MemberError> {
        let folders = match &mut self.folders {
            Some(known) => known,
            none => none.insert(folders_of(self.files.reader_mut(), work)?),
        };
        Ok(folders.of_nested(path))
    }
}

/// The folders of a zip that could be confused with a nested zip.
pub(super) fn folders_of<R: Read + Seek>(file: &mut R, work: &mut Work) -> Result<Folders, MemberError> {
    let mut folders = Folders::default();
    let mut zip = open(file)?;
    for (index, entry) in zip.files().map_err(not_a_zip)?.enumerate() {
        work.take(0)?;
        if let Some(path) = bare_path_of(&entry.map_err(not_a_zip)?, index) {
            folders.note(&path);
        }
    }
    Ok(folders)
}

/// The path of an entry, which another entry may have too; `None` for a folder.
fn bare_path_of(entry: &ZipFileEntry<'_>, index: usize) -> Option<String> {
    member_path(entry.name_raw(), is_utf8(entry), index)
}

/// The paths under which earlier versions may have listed an entry.
pub(super) fn earlier_paths_of(entry: &ZipFileEntry<'_>) -> impl Iterator<Item = String> {
    earlier_paths(entry.name_raw(), is_utf8(entry))
}

fn is_utf8(entry: &ZipFileEntry<'_>) -> bool {
    const UTF8: u16 = 1 << 11;
    entry.flags().as_u16() & UTF8 != 0
}

fn member(entry: &ZipFileEntry<'_>, path: String) -> Member {
    let modified =
        entry.last_modified().map(|at| (at.year(), at.month(), at.day(), at.hour(), at.minute(), at.second()));
    Member { path, size: entry.size(), compressed_size: entry.compressed_size(), modified }
}

pub(super) fn is_zip(path: &str) -> bool {
    path.len() > 4 && path.is_char_boundary(path.len() - 4) && path[path.len() - 4..].eq_ignore_ascii_case(".zip")
}
