//! The files of a query as one zip, streamed: stored entries, so that its length is known before it is sent.
//!
//! Checksums are known only once an entry was read, so they follow each entry (data descriptors) and are in the directory at the end,
//! which programs read. Entries and offsets beyond 4 GiB have the fields of zip64. The directory grows in a temporary file.
//!
//! A file that cannot be read although it is listed ends the stream with an error, before the directory: a zip without its directory
//! does not open.
use bytes::Bytes;
use futures_util::stream::try_unfold;
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::files::{FileLine, FileLines, FileList, MANIFEST, MISSING};
use super::scratch::{Scratch, ScratchFile};
use crate::domain::sao_paulo;
use crate::query::{FileBytes, FileError, Queries, QueryError};

/// Fields of 32 bits with this value refer to those of zip64.
const MAX_32: u32 = u32::MAX;
const MAX_16: u16 = u16::MAX;

/// Version 4.5 of the format has zip64; 2.0 is enough for the rest.
const WITH_ZIP64: u16 = 45;
const WITHOUT_ZIP64: u16 = 20;

/// The checksum follows the entry (bit 3); names are UTF-8 (bit 11).
const FLAGS: u16 = (1 << 3) | (1 << 11);

/// Made on Unix, so that the permissions of entries count: a file that its owner writes and others read.
const MADE_BY: u16 = (3 << 8) | WITH_ZIP64;
const PERMISSIONS: u32 = 0o100_644 << 16;

/// What is known of an entry before it is read.
struct Head {
    name: String,
    size: u64,
    /// As DOS writes them.
    time: u16,
    date: u16,
}

impl Head {
    fn new(name: String, size: u64, modified: Timestamp) -> Self {
        let at = sao_paulo().to_datetime(modified);
        let part = |n: i8| u16::from(n.unsigned_abs());
        let year = u16::try_from(at.year().clamp(1980, 2107) - 1980).unwrap_or_default();
        let date = (year << 9) | (part(at.month()) << 5) | part(at.day());
        let time = (part(at.hour()) << 11) | (part(at.minute()) << 5) | (part(at.second()) / 2);
        Self { name, size, time, date }
    }

    fn is_large(&self) -> bool {
        self.size >= u64::from(MAX_32)
    }

    fn version(&self) -> u16 {
        if self.is_large() { WITH_ZIP64 } else { WITHOUT_ZIP64 }
    }

    /// The length of the name, which consists of three names that are each limited to 240 bytes.
    fn name_length(&self) -> u16 {
        u16::try_from(self.name.len()).unwrap_or(MAX_16)
    }

    fn local_header(&self) -> Vec<u8> {
        let mut out = Fields::default();
        out.u32(0x0403_4b50).u16(self.version()).u16(FLAGS).u16(0).u16(self.time).u16(self.date);
        // Checksum and sizes follow the entry.
        let size = if self.is_large() { MAX_32 } else { 0 };
        out.u32(0).u32(size).u32(size).u16(self.name_length()).u16(if self.is_large() { 20 } else { 0 });
        out.0.extend_from_slice(self.name.as_bytes());
        if self.is_large() {
            // Announces that the sizes after the entry have 64 bits.
            out.u16(1).u16(16).u64(0).u64(0);
        }
        out.0
    }

    fn descriptor(&self, checksum: u32) -> Vec<u8> {
        let mut out = Fields::default();
        out.u32(0x0807_4b50).u32(checksum);
        match u32::try_from(self.size) {
            Ok(size) if !self.is_large() => out.u32(size).u32(size),
            _ => out.u64(self.size).u64(self.size),
        };
        out.0
    }

    fn directory_header(&self, checksum: u32, offset: u64) -> Vec<u8> {
        let mut extra = Fields::default();
        if self.is_large() {
            extra.u64(self.size).u64(self.size);
        }
        let offset_32 = u32::try_from(offset).unwrap_or(MAX_32);
        if offset_32 == MAX_32 {
            extra.u64(offset);
        }
        let size = if self.is_large() { MAX_32 } else { u32::try_from(self.size).unwrap_or(MAX_32) };
        let version = if extra.0.is_empty() { WITHOUT_ZIP64 } else { WITH_ZIP64 };
        let length = u16::try_from(extra.0.len()).unwrap_or(MAX_16);
        let mut out = Fields::default();
        out.u32(0x0201_4b50).u16(MADE_BY).u16(version).u16(FLAGS).u16(0).u16(self.time).u16(self.date);
        out.u32(checksum).u32(size).u32(size).u16(self.name_length()).u16(if length > 0 { length + 4 } else { 0 });
        // No comment, the first disk, no internal attributes.
        out.u16(0).u16(0).u16(0).u32(PERMISSIONS).u32(offset_32);
        out.0.extend_from_slice(self.name.as_bytes());
        if length > 0 {
            out.u16(1).u16(length);
            out.0.extend_from_slice(&extra.0);
        }
        out.0
    }
}

/// What follows the directory.
fn end_of_directory(layout: &Layout) -> Vec<u8> {
    let Layout { offset, directory, entries } = *layout;
    let entries_16 = u16::try_from(entries).unwrap_or(MAX_16);
    let (offset_32, directory_32) =
        (u32::try_from(offset).unwrap_or(MAX_32), u32::try_from(directory).unwrap_or(MAX_32));
    let mut out = Fields::default();
    if entries_16 == MAX_16 || offset_32 == MAX_32 || directory_32 == MAX_32 {
        out.u32(0x0606_4b50).u64(44).u16(MADE_BY).u16(WITH_ZIP64).u32(0).u32(0);
        out.u64(entries).u64(entries).u64(directory).u64(offset);
        out.u32(0x0706_4b50).u32(0).u64(offset + directory).u32(1);
    }
    out.u32(0x0605_4b50).u16(0).u16(0).u16(entries_16).u16(entries_16).u32(directory_32).u32(offset_32).u16(0);
    out.0
}

/// Little-endian numbers.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn u16(&mut self, n: u16) -> &mut Self {
        self.0.extend_from_slice(&n.to_le_bytes());
        self
    }

    fn u32(&mut self, n: u32) -> &mut Self {
        self.0.extend_from_slice(&n.to_le_bytes());
        self
    }

    fn u64(&mut self, n: u64) -> &mut Self {
        self.0.extend_from_slice(&n.to_le_bytes());
        self
    }
}

/// Positions and lengths, as entries are added.
#[derive(Clone, Copy, Default)]
struct Layout {
    /// Where the next entry begins.
    offset: u64,
    /// Bytes of the directory.
    directory: u64,
    entries: u64,
}

impl Layout {
    fn add(&mut self, head: &Head) {
        self.directory += head.directory_header(0, self.offset).len() as u64;
        self.offset += (head.local_header().len() + head.descriptor(0).len()) as u64 + head.size;
        self.entries += 1;
    }

    /// Bytes of the whole zip.
    fn length(&self) -> u64 {
        self.offset + self.directory + end_of_directory(self).len() as u64
    }
}

impl FileList {
    fn manifest_head(&self) -> Head {
        Head::new(MANIFEST.to_owned(), self.manifest.length(), self.made_at)
    }

    fn missing_head(&self, missing: &ScratchFile) -> Head {
        Head::new(MISSING.to_owned(), missing.length(), self.made_at)
    }

    /// Bytes of the zip of these files.
    pub async fn zip_length(&self) -> Result<u64, QueryError> {
        let mut layout = Layout::default();
        layout.add(&self.manifest_head());
        self.missing.iter().for_each(|missing| layout.add(&self.missing_head(missing)));
        let mut lines = self.lines();
        while let Some(line) = lines.next().await? {
            if let FileLine::File(file) = line {
                layout.add(&Head::new(file.path, file.size, file.archived_at));
            }
        }
        Ok(layout.length())
    }

    /// The zip of these files. Each is opened when its turn comes.
    pub fn into_zip(
        self,
        queries: Queries,
    ) -> impl futures_util::Stream<Item = Result<Bytes, QueryError>> + Send + Unpin {
        let directory = Scratch::new(&queries);
        let lines = self.lines();
        let zip = Zip {
            list: self,
            queries,
            lines,
            layout: Layout::default(),
            stage: Stage::Manifest,
            entry: None,
            directory,
            ending: None,
        };
        try_unfold(zip, |mut zip| async move { Ok(zip.next().await?.map(|piece| (piece, zip))) }).boxed()
    }
}

/// Which entry comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Manifest,
    Missing,
    Files,
    Directory,
}

/// A zip that is being sent.
struct Zip {
    list: FileList,
    queries: Queries,
    lines: FileLines,
    layout: Layout,
    stage: Stage,
    /// The entry that is being sent.
    entry: Option<Entry>,
    directory: Scratch,
    /// The directory and what follows it, once all entries were sent.
    ending: Option<FileBytes>,
}

struct Entry {
    head: Head,
    bytes: FileBytes,
    checksum: crc32fast::Hasher,
    left: u64,
}

impl Zip {
    async fn next(&mut self) -> Result<Option<Bytes>, QueryError> {
        if let Some(ending) = &mut self.ending {
            return Ok(ending.try_next().await?);
        }
        if let Some(entry) = &mut self.entry {
            if let Some(piece) = entry.bytes.try_next().await? {
                let left = entry.left.checked_sub(piece.len() as u64);
                entry.left = left.ok_or_else(|| wrong_size(&entry.head))?;
                entry.checksum.update(&piece);
                return Ok(Some(piece));
            }
            return self.close_entry().await.map(Some);
        }
        match self.next_entry().await? {
            Some((head, bytes)) => {
                let header = head.local_header();
                let left = head.size;
                self.entry = Some(Entry { head, bytes, checksum: crc32fast::Hasher::new(), left });
                Ok(Some(header.into()))
            }
            None => self.end().await.map(Some),
        }
    }

    async fn next_entry(&mut self) -> Result<Option<(Head, FileBytes)>, QueryError> {
        if self.stage == Stage::Manifest {
            self.stage = Stage::Missing;
            let manifest = &self.list.manifest;
            return Ok(Some((self.list.manifest_head(), manifest.stream(0..manifest.length()))));
        }
        if self.stage == Stage::Missing {
            self.stage = Stage::Files;
            if let Some(missing) = &self.list.missing {
                return Ok(Some((self.list.missing_head(missing), missing.stream(0..missing.length()))));
            }
        }
        while self.stage == Stage::Files {
            match self.lines.next().await? {
                Some(FileLine::File(file)) => {
                    let bytes = file.open(&self.queries).await?;
                    return Ok(Some((Head::new(file.path, file.size, file.archived_at), bytes)));
                }
                Some(FileLine::Missing { .. }) => {}
                None => self.stage = Stage::Directory,
            }
        }
        Ok(None)
    }

    async fn close_entry(&mut self) -> Result<Bytes, QueryError> {
        let Some(Entry { head, checksum, left, .. }) = self.entry.take() else { return Ok(Bytes::new()) };
        if left > 0 {
            return Err(wrong_size(&head));
        }
        let checksum = checksum.finalize();
        self.directory.append(&head.directory_header(checksum, self.layout.offset)).await?;
        self.layout.add(&head);
        Ok(head.descriptor(checksum).into())
    }

    /// Starts to send the directory.
    async fn end(&mut self) -> Result<Bytes, QueryError> {
        let directory = std::mem::replace(&mut self.directory, Scratch::new(&self.queries)).finish().await?;
        let end = futures_util::stream::iter([Ok(Bytes::from(end_of_directory(&self.layout)))]);
        let mut ending = directory.stream(0..directory.length()).chain(end).boxed();
        let first = ending.try_next().await?.unwrap_or_default();
        self.ending = Some(ending);
        Ok(first)
    }
}

fn wrong_size(head: &Head) -> QueryError {
    let Head { name, size, .. } = head;
    FileError::Io(std::io::Error::other(format!("`{name}` does not have the {size} bytes that are recorded"))).into()
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::{Head, Layout, end_of_directory};
    use jiff::Timestamp;

    /// The contents of the entries are holes in the file.
    #[test]
    fn the_directory_has_sizes_and_positions_beyond_32_bits() {
        let at: Timestamp = "2025-02-20T12:00:00Z".parse().expect("an instant");
        let sizes = [5, u64::from(u32::MAX) - 1, u64::from(u32::MAX), 6 << 30, 7];
        let (mut layout, mut directory, mut offsets) = (Layout::default(), Vec::new(), Vec::new());
        let mut file = tempfile::tempfile().expect("a file");
        for (number, size) in sizes.into_iter().enumerate() {
            let head = Head::new(format!("pasta/á{number}.dat"), size, at);
            directory.extend(head.directory_header(7, layout.offset));
            offsets.push(layout.offset);
            file.seek(SeekFrom::Start(layout.offset)).expect("a sparse file");
            file.write_all(&head.local_header()).expect("a header");
            layout.add(&head);
        }
        assert_eq!(layout.directory, directory.len() as u64);
        let end = end_of_directory(&layout);
        assert_eq!(layout.length(), layout.offset + (directory.len() + end.len()) as u64);
        file.seek(SeekFrom::Start(layout.offset)).expect("a sparse file");
        file.write_all(&[directory, end].concat()).expect("a directory");
        let mut zip = zip::ZipArchive::new(file).expect("a zip");
        assert_eq!(zip.len(), sizes.len());
        for (number, size) in sizes.into_iter().enumerate() {
            let entry = zip.by_index_raw(number).expect("an entry");
            assert_eq!(entry.name().expect("a name"), format!("pasta/á{number}.dat"));
            assert_eq!(entry.size(), size);
            assert_eq!((entry.header_start(), entry.crc32()), (offsets[number], 7));
        }
    }

    #[test]
    fn many_entries_need_zip64() {
        let at = Timestamp::UNIX_EPOCH;
        let mut layout = Layout::default();
        for number in 0..65_535 {
            layout.add(&Head::new(format!("{number}"), 0, at));
        }
        assert_eq!(end_of_directory(&layout).len(), 56 + 20 + 22);
        let few = Layout { entries: 65_534, ..layout };
        assert_eq!(end_of_directory(&few).len(), 22);
    }
}
