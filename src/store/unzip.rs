//! A file that stays open on one thread: its bytes, or the members of the zip that it is, listed once and then read in any order.
use std::io::{Read, SeekFrom};

use zip::ZipReadOptions;
use zip::read::OwnedZipFileEntry;

use super::member::{check_dictionary, check_method};
use super::names::Folders;
use super::seek::Seekable;
use super::zip::{DEPTH_MAX, Entries, MEMBERS_MAX, MemberError, Work, broken, folders_of, is_zip, not_a_zip, open};
use super::{Archive, StoreError};
use crate::domain::{Digest, Hasher, StoredFile};

/// Bytes of a directory that are kept: its entries may have 64 KiB of comments and extra fields each.
const DIRECTORY_BYTES_MAX: u64 = 16 << 20;

/// Bytes read between two checks of the time.
const PIECE: usize = 64 << 10;

/// A file of the archive whose bytes can be read out of order; none of them differs from what was archived.
pub struct OpenFile {
    archive: Archive,
    file: Box<dyn Seekable>,
}

/// The beginning of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Beginning {
    pub bytes: Vec<u8>,
    /// There are no more.
    pub is_whole: bool,
}

/// A zip whose members can be read.
pub struct OpenZip {
    archive: Archive,
    file: Box<dyn Seekable>,
    members: Vec<OpenMember>,
    /// Found when the first nested zip is opened.
    folders: Option<Folders>,
    is_cut: bool,
}

/// A member as the directory of the zip describes it.
pub struct OpenMember {
    /// As [`Archive::members`] lists it, without the folders around the zip.
    pub path: String,
    pub size: u64,
    /// 0 if the packer wrote none, as for some encrypted members.
    pub crc32: u32,
    entry: OwnedZipFileEntry,
}

impl OpenMember {
    pub fn is_zip(&self) -> bool {
        is_zip(&self.path)
    }
}

impl Archive {
    /// Opens a file, which may copy it to a temporary file.
    pub async fn open_file(&self, file: StoredFile) -> Result<OpenFile, StoreError> {
        Ok(OpenFile { archive: self.clone(), file: self.seekable(file, true).await? })
    }
}

impl OpenFile {
    /// The first bytes, at most `bytes_max`.
    pub fn read(&mut self, bytes_max: u64, work: &mut Work) -> Result<Beginning, MemberError> {
        self.file.seek(SeekFrom::Start(0)).map_err(|e| broken(&e))?;
        read_beginning(&mut self.file, bytes_max, work)
    }

    /// Lists the members; [`MemberError::NotAZip`] if the file does not open as a zip.
    pub fn into_zip(self, work: &mut Work) -> Result<OpenZip, MemberError> {
        OpenZip::list(self.archive, self.file, work)
    }
}

impl OpenZip {
    fn list(archive: Archive, mut file: Box<dyn Seekable>, work: &mut Work) -> Result<Self, MemberError> {
        let mut members = Vec::new();
        let mut is_cut = false;
        let mut directory_start = None;
        {
            let mut zip = open(&mut file)?;
            let mut entries = Entries::of(&mut zip)?;
            while let Some((entry, path)) = entries.next_member()? {
                let directory_bytes = entry
                    .central_header_start()
                    .saturating_sub(*directory_start.get_or_insert(entry.central_header_start()));
                if members.len() >= MEMBERS_MAX || directory_bytes > DIRECTORY_BYTES_MAX || !work.take(0)? {
                    is_cut = true;
                    break;
                }
                members.push(OpenMember { path, size: entry.size(), crc32: entry.crc32(), entry: entry.into() });
            }
        }
        Ok(Self { archive, file, members, folders: None, is_cut })
    }

    pub fn members(&self) -> &[OpenMember] {
        &self.members
    }

    /// The zip has more members than are listed.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The first bytes of a member, at most `bytes_max`.
    pub fn read(&mut self, index: usize, bytes_max: u64, work: &mut Work) -> Result<Beginning, MemberError> {
        let Some(member) = self.members.get(index) else { return Ok(Beginning::default()) };
        let mut unpacked = unpack(member, &mut self.file)?;
        read_beginning(&mut unpacked, bytes_max, work)
    }

    /// The digest of a member's bytes; `None` if the budget does not suffice.
    pub fn digest(&mut self, index: usize, work: &mut Work) -> Result<Option<Digest>, MemberError> {
        let Some(member) = self.members.get(index) else { return Ok(None) };
        let mut unpacked = unpack(member, &mut self.file)?;
        let mut hasher = Hasher::default();
        let mut piece = vec![0; PIECE];
        loop {
            let n = unpacked.read(&mut piece).map_err(|e| broken(&e))?;
            if n == 0 {
                return Ok(Some(hasher.finish()));
            }
            if !work.take(n as u64)? {
                return Ok(None);
            }
            hasher.update(&piece[..n]);
        }
    }

    /// Opens a nested zip, `depth` zips below the file; `None` if it is not one, is too deep or too large, or the budget does not suffice.
    pub fn open_nested(&mut self, index: usize, depth: usize, work: &mut Work) -> Result<Option<Self>, MemberError> {
        let Some(member) = self.members.get(index).filter(|member| member.is_zip() && depth < DEPTH_MAX) else {
            return Ok(None);
        };
        let opened = check_method(&member.entry.as_ref(), &member.path)
            .and_then(|()| check_dictionary(&member.entry.as_ref(), &member.path, &mut *self.file))
            .and_then(|()| self.archive.unpack_nested(member.entry.as_ref(), &mut self.file, work))
            .and_then(|unpacked| unpacked.map(|file| Self::list(self.archive.clone(), file, work)).transpose());
        match opened {
            // It is a member like any other.
            Err(MemberError::NotAZip(_) | MemberError::Unsupported(_)) => Ok(None),
            other => other,
        }
    }

    /// The folder that a nested zip is listed as.
    pub fn folder_of(&mut self, index: usize, work: &mut Work) -> Result<String, MemberError> {
        let folders = match &mut self.folders {
            Some(known) => known,
            none => none.insert(folders_of(&mut self.file, work)?),
        };
        Ok(self.members.get(index).map(|member| folders.of_nested(&member.path)).unwrap_or_default())
    }
}

fn unpack<'a>(member: &'a OpenMember, file: &'a mut Box<dyn Seekable>) -> Result<impl Read + 'a, MemberError> {
    let entry = member.entry.as_ref();
    check_method(&entry, &member.path)?;
    check_dictionary(&entry, &member.path, &mut **file)?;
    entry.with_reader(file, ZipReadOptions::new()).map_err(not_a_zip)
}

/// Reads up to `bytes_max` bytes. Where they are all of them, their length and checksum have been checked.
fn read_beginning(from: &mut impl Read, bytes_max: u64, work: &mut Work) -> Result<Beginning, MemberError> {
    let mut bytes = Vec::new();
    loop {
        let room = (bytes_max + 1).saturating_sub(bytes.len() as u64).min(PIECE as u64);
        let n = from.by_ref().take(room).read_to_end(&mut bytes).map_err(|e| broken(&e))?;
        if n == 0 {
            break;
        }
        if !work.take(n as u64)? {
            return Ok(Beginning { bytes: Vec::new(), is_whole: false });
        }
    }
    let is_whole = bytes.len() as u64 <= bytes_max;
    bytes.truncate(usize::try_from(bytes_max).unwrap_or(usize::MAX));
    Ok(Beginning { bytes, is_whole })
}
