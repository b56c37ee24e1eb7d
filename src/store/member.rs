//! One member of a zip: found by its path, and unpacked while it is sent.
use std::io::{self, Read, SeekFrom};
use std::sync::Arc;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use zip::read::ZipFileEntry;
use zip::{CompressionMethod, ZipReadOptions};

use super::blocks::BLOCK;
use super::read::Bytes;
use super::seek::{Seekable, damage_in};
use super::zip::{CancelOnDrop, DEPTH_MAX, Entries, MemberError, Work, broken, earlier_paths_of, is_zip, open};
use super::{Archive, StoreError};
use crate::domain::{StoredFile, clean, fold_case};

/// A member that was found and can be unpacked.
pub struct MemberReader {
    /// The zip that has it: the file, or a nested zip that was unpacked.
    zip: Box<dyn Seekable>,
    entry: ZipFileEntry<'static>,
    path: String,
    /// With the folders of the nested zips on the way.
    full_path: String,
}

/// How a path may name a member.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    Exact,
    /// As earlier versions listed members: with another code page, or without blanks at the ends.
    AsListedBefore,
    /// Except for the case of letters.
    Folded,
}

impl Archive {
    /// Finds a member by the path that [`Archive::members`] lists it under, or else the only one whose path differs only in the
    /// case of letters. Nested zips on the way are unpacked to temporary files. Ends soon after the future is dropped.
    pub async fn member(&self, file: StoredFile, path: &str) -> Result<MemberReader, MemberError> {
        let zip = self.seekable(file, true).await?;
        let (archive, path) = (self.clone(), path.to_owned());
        let guard = CancelOnDrop(Arc::default());
        let mut work = Work::unbounded(guard.0.clone());
        let found = tokio::task::spawn_blocking(move || {
            let found = archive.find_member(zip, &path, 0, &mut work);
            found.map_err(|e| match e {
                MemberError::NoMember(_) => MemberError::NoMember(path),
                MemberError::Ambiguous { candidates, .. } => MemberError::Ambiguous { path, candidates },
                other => other,
            })
        });
        found.await.map_err(StoreError::from)?
    }

    fn find_member(
        &self,
        mut file: Box<dyn Seekable>,
        path: &str,
        depth: usize,
        work: &mut Work,
    ) -> Result<MemberReader, MemberError> {
        let candidates = candidates(&mut file, path, depth, work)?;
        if let Some((entry, listed)) = candidates.exact {
            return reader(entry, listed, file);
        }
        // A path into a nested zip, as listed, has precedence over a member's path that is only similar.
        if let Some(nested) = candidates.exact_nested {
            match self.find_nested(nested, path, &mut file, depth, work) {
                Err(MemberError::NoMember(_) | MemberError::Unsupported(_)) if candidates.has_others => {}
                found => return found,
            }
        }
        if let Some((entry, listed)) = candidates.earlier {
            return reader(entry, listed, file);
        }
        self.only_one(candidates.folded, candidates.folded_nested, path, file, depth, work)
    }

    /// The member among those whose paths differ in the case of letters, if there is exactly one.
    fn only_one(
        &self,
        mut members: Vec<(Entry, String)>,
        nested: Vec<Nested>,
        path: &str,
        mut file: Box<dyn Seekable>,
        depth: usize,
        work: &mut Work,
    ) -> Result<MemberReader, MemberError> {
        let mut paths: Vec<String> = members.iter().map(|(_, listed)| listed.clone()).collect();
        let mut found = None;
        let mut unsupported = None;
        for nested in nested {
            match self.find_nested(nested, path, &mut file, depth, work) {
                Ok(reader) => {
                    paths.push(reader.full_path.clone());
                    found = Some(reader);
                }
                Err(MemberError::Ambiguous { candidates, .. }) => paths.extend(candidates),
                Err(MemberError::NoMember(_)) => {}
                Err(e @ MemberError::Unsupported(_)) => unsupported = Some(e),
                Err(e) => return Err(e),
            }
        }
        if paths.len() > 1 {
            return Err(MemberError::Ambiguous { path: path.to_owned(), candidates: paths });
        }
        match (members.pop(), found) {
            (Some((entry, listed)), _) => reader(entry, listed, file),
            (None, Some(found)) => Ok(found),
            (None, None) => Err(unsupported.unwrap_or_else(|| MemberError::NoMember(path.to_owned()))),
        }
    }

    /// Finds a member of a nested zip.
    fn find_nested(
        &self,
        nested: Nested,
        path: &str,
        file: &mut Box<dyn Seekable>,
        depth: usize,
        work: &mut Work,
    ) -> Result<MemberReader, MemberError> {
        let none = || MemberError::NoMember(path.to_owned());
        check_method(&nested.entry, path)?;
        check_dictionary(&nested.entry, path, file)?;
        let zip = self.unpack_nested(nested.entry, file, work)?.ok_or_else(none)?;
        let inside = |inner: &str| format!("{}/{inner}", nested.folder);
        match self.find_member(zip, &nested.rest, depth + 1, work) {
            Ok(mut reader) => {
                reader.full_path = inside(&reader.full_path);
                Ok(reader)
            }
            Err(MemberError::Ambiguous { candidates, .. }) => {
                let candidates = candidates.iter().map(|inner| inside(inner)).collect();
                Err(MemberError::Ambiguous { path: path.to_owned(), candidates })
            }
            // The nested zip does not open, so it has no such member.
            Err(MemberError::NotAZip(_)) => Err(none()),
            Err(e) => Err(e),
        }
    }
}

type Entry = ZipFileEntry<'static>;

/// A nested zip that a path may lead into.
struct Nested {
    entry: Entry,
    /// The folder that it is listed as.
    folder: String,
    /// The path in it.
    rest: String,
}

/// Members that differ from a path in the case of letters, and nested zips that such a path leads into, up to this number of each.
const FOLDED_MAX: usize = 20;

/// What a path may name in a zip.
#[derive(Default)]
struct Candidates {
    exact: Option<(Entry, String)>,
    /// The longest match is the right one.
    exact_nested: Option<Nested>,
    earlier: Option<(Entry, String)>,
    folded: Vec<(Entry, String)>,
    folded_nested: Vec<Nested>,
    /// Whether there is any besides the exact ones.
    has_others: bool,
}

fn candidates(
    file: &mut Box<dyn Seekable>,
    path: &str,
    depth: usize,
    work: &mut Work,
) -> Result<Candidates, MemberError> {
    let mut found = Candidates::default();
    let mut zip = open(file)?;
    let mut entries = Entries::of(&mut zip)?;
    while let Some((entry, listed)) = entries.next_member()? {
        match matches(&entry, &listed, path) {
            Some(Match::Exact) => {
                found.exact = Some((entry, listed));
                break;
            }
            Some(Match::AsListedBefore) => _ = found.earlier.get_or_insert((entry, listed)),
            Some(Match::Folded) if found.folded.len() < FOLDED_MAX => found.folded.push((entry, listed)),
            Some(Match::Folded) => {}
            None if is_zip(&listed) && depth < DEPTH_MAX && path.contains('/') => {
                let folder = entries.folder_of_nested(&listed, work)?;
                let Some((how, rest)) = leads_into_nested(&folder, &listed, path) else { continue };
                let nested = Nested { entry, folder, rest: rest.to_owned() };
                if how == Match::Exact {
                    let is_longer = |before: &Nested| nested.rest.len() < before.rest.len();
                    if found.exact_nested.as_ref().is_none_or(is_longer) {
                        found.exact_nested = Some(nested);
                    }
                } else if found.folded_nested.len() < FOLDED_MAX {
                    found.folded_nested.push(nested);
                }
            }
            None => {}
        }
    }
    found.has_others = found.earlier.is_some() || !found.folded.is_empty() || !found.folded_nested.is_empty();
    Ok(found)
}

/// A reader of a member, if it can be unpacked.
fn reader(entry: Entry, path: String, mut zip: Box<dyn Seekable>) -> Result<MemberReader, MemberError> {
    check_method(&entry, &path)?;
    check_dictionary(&entry, &path, &mut zip)?;
    Ok(MemberReader { zip, entry, full_path: path.clone(), path })
}

fn matches(entry: &ZipFileEntry<'_>, listed: &str, wanted: &str) -> Option<Match> {
    if listed == wanted {
        return Some(Match::Exact);
    }
    if entry.name().is_ok_and(|name| clean(&name) == wanted) || earlier_paths_of(entry).any(|path| path == wanted) {
        return Some(Match::AsListedBefore);
    }
    (fold_case(listed) == fold_case(wanted)).then_some(Match::Folded)
}

/// The rest of a path that leads into a nested zip, by the folder that it is listed as or else by its own path.
fn leads_into_nested<'a>(folder: &str, listed: &str, path: &'a str) -> Option<(Match, &'a str)> {
    match leads_into(folder, path) {
        None if folder != listed => leads_into(listed, path).map(|(_, rest)| (Match::Folded, rest)),
        found => found,
    }
}

/// The rest of a path that leads into the zip listed as `outer`.
fn leads_into<'a>(outer: &str, path: &'a str) -> Option<(Match, &'a str)> {
    if let Some(rest) = path.strip_prefix(outer).and_then(|rest| rest.strip_prefix('/')) {
        return Some((Match::Exact, rest));
    }
    let folded = fold_case(outer);
    let cut = path.match_indices('/').find(|(at, _)| fold_case(&path[..*at]) == folded);
    cut.map(|(at, _)| (Match::Folded, &path[at + 1..]))
}

/// An error if a member is listed but cannot be unpacked, which names its compression method.
pub(super) fn check_method(entry: &ZipFileEntry<'_>, path: &str) -> Result<(), MemberError> {
    let advice = "download the whole zip and unpack it with another program";
    if entry.encrypted() {
        return Err(MemberError::Unsupported(format!("the member `{path}` is encrypted; {advice}")));
    }
    #[allow(deprecated, reason = "the only way to learn the number of a method that the crate does not know")]
    let CompressionMethod::Unsupported(number) = entry.compression() else { return Ok(()) };
    let name = CompressionMethod::name_from_u16(number);
    Err(MemberError::Unsupported(format!(
        "the member `{path}` is compressed with {name} (method {number}), which Acervo does not unpack; {advice}"
    )))
}

/// The largest dictionary of an LZMA stream that is unpacked; packers use up to 64 MiB by default.
const DICTIONARY_MAX: u32 = 64 << 20;

/// An error if unpacking would take too much memory: an LZMA stream names the size of its dictionary.
pub(super) fn check_dictionary(
    entry: &ZipFileEntry<'_>,
    path: &str,
    zip: &mut dyn Seekable,
) -> Result<(), MemberError> {
    if entry.compression() != CompressionMethod::LZMA {
        return Ok(());
    }
    // The local header has 30 bytes and two texts; the stream begins with a version, the size of what follows, a byte, and the
    // dictionary's size.
    let mut read = |at: u64| -> io::Result<[u8; 4]> {
        let mut bytes = [0; 4];
        zip.seek(SeekFrom::Start(at))?;
        zip.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let header = entry.header_start();
    let [name_low, name_high, extra_low, extra_high] = read(header + 26).map_err(|e| broken(&e))?;
    let texts =
        u64::from(u16::from_le_bytes([name_low, name_high])) + u64::from(u16::from_le_bytes([extra_low, extra_high]));
    let dictionary = u32::from_le_bytes(read(header + 30 + texts + 5).map_err(|e| broken(&e))?);
    if u64::from(dictionary).min(entry.size()) <= u64::from(DICTIONARY_MAX) {
        return Ok(());
    }
    Err(MemberError::Unsupported(format!(
        "the member `{path}` is compressed with LZMA and a dictionary of {dictionary} bytes, and Acervo unpacks up to \
         {DICTIONARY_MAX}; download the whole zip and unpack it with another program"
    )))
}

impl MemberReader {
    /// Bytes of the member, as the zip's directory says.
    pub fn size(&self) -> u64 {
        self.entry.size()
    }

    /// Its path as listed, with the folders of the nested zips on the way.
    pub fn full_path(&self) -> &str {
        &self.full_path
    }

    /// Its path in the innermost zip.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The member's bytes. The last of them come once length and checksum are known to be right.
    ///
    /// They are unpacked on a separate thread, which waits while the reader does not read: the caller limits how many of these there
    /// are and how long they may wait.
    pub fn read(self) -> Result<Bytes, StoreError> {
        let (pieces, receiver) = mpsc::channel(1);
        std::thread::Builder::new().name("member".to_owned()).spawn(move || {
            if let Err(e) = self.unpack(&pieces) {
                // If the reader is gone, so is the need for the error.
                let _ = pieces.blocking_send(Err(e));
            }
        })?;
        Ok(ReceiverStream::new(receiver).boxed())
    }

    fn unpack(mut self, pieces: &mpsc::Sender<Result<bytes::Bytes, StoreError>>) -> Result<(), StoreError> {
        let size = self.size();
        let path = self.path;
        let broken = |why: String| StoreError::Member(format!("the member `{path}` does not unpack: {why}"));
        let mut unpacked = match self.entry.with_reader(&mut self.zip, ZipReadOptions::new()) {
            Ok(unpacked) => unpacked,
            Err(zip::result::ZipError::Io(e)) => return Err(damage_or(&e, broken)),
            Err(e) => return Err(broken(e.to_string())),
        };
        let mut held_back: Option<bytes::Bytes> = None;
        let mut sent = 0;
        loop {
            let mut piece = Vec::with_capacity(BLOCK);
            (&mut unpacked).take(BLOCK as u64).read_to_end(&mut piece).map_err(|e| damage_or(&e, broken))?;
            if piece.is_empty() {
                break;
            }
            sent += piece.len() as u64;
            if let Some(before) = held_back.replace(piece.into())
                && pieces.blocking_send(Ok(before)).is_err()
            {
                return Ok(());
            }
        }
        if sent != size {
            return Err(broken(format!("it has {sent} bytes, and the zip's directory says {size}")));
        }
        if let Some(last) = held_back {
            let _ = pieces.blocking_send(Ok(last));
        }
        Ok(())
    }
}

/// The damage of the file that an error comes from, or else an error of the member.
fn damage_or(error: &io::Error, broken: impl Fn(String) -> StoreError) -> StoreError {
    match damage_in(error) {
        Some(digest) => StoreError::Damaged(digest),
        None => broken(error.to_string()),
    }
}
