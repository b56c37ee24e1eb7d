//! Reads a tar entry by entry, like `tar -x`.
//!
//! The `tar` crate parses the headers. Moving from one to the next is done here, because the crate reads extended headers of any
//! size into memory, returns the condensed bytes of sparse files in pax archives, and does not notice that a file is
//! truncated.
mod blocks;
mod header;
mod pax;
mod sparse;

use std::io::{self, Read};

use ::tar::{EntryType, Header};

use blocks::BlockReader;
use header::{is_sound, kind_of, size_of};
use pax::Records;
use sparse::{Map, Part, Problem};

/// The longest name in GNU's format, and the longest extended header.
const NAME_BYTES_MAX: u64 = 64 << 10;
const RECORDS_BYTES_MAX: u64 = 1 << 20;

/// A tar that is being read.
pub(super) struct Tar<R> {
    stored: BlockReader<R>,
    /// Of the entry whose bytes are being read.
    parts: std::vec::IntoIter<Part>,
    part: Option<Part>,
    /// Entries so far.
    pub count: u64,
    /// There was a header that would change the names or bytes of all entries after it.
    has_global_names: bool,
}

/// An entry of a tar.
pub(super) struct Entry {
    /// As the tar has it.
    pub name: Vec<u8>,
    pub kind: Kind,
    /// The file's bytes, holes included.
    pub size: u64,
    /// Whether `name` is the whole name. Too long a name is not read.
    pub is_name_known: bool,
    /// Why its bytes cannot be read.
    pub problem: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// Another name of this entry.
    HardLink(Vec<u8>),
    SymbolicLink,
    Other,
}

/// The headers before an entry that describe it.
#[derive(Default)]
struct Preface {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Option<Records>,
    problem: Option<String>,
    is_too_long: bool,
}

impl<R: Read> Tar<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            stored: BlockReader::new(reader),
            parts: Vec::new().into_iter(),
            part: None,
            count: 0,
            has_global_names: false,
        }
    }

    /// The next entry; `None` at the end. After an error the tar cannot be read any further.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut preface = Preface::default();
        self.parts = Vec::new().into_iter();
        self.part = None;
        loop {
            self.stored.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = size_of(&header)?;
            match header.entry_type() {
                EntryType::GNULongName => preface.name = self.extension(size, NAME_BYTES_MAX, &mut preface)?,
                EntryType::GNULongLink => preface.link = self.extension(size, NAME_BYTES_MAX, &mut preface)?,
                EntryType::XHeader => self.records(size, &mut preface)?,
                // The same on Solaris.
                other if other.as_byte() == b'X' => self.records(size, &mut preface)?,
                EntryType::XGlobalHeader => self.global(size)?,
                _ => {
                    self.count += 1;
                    return self.entry(&header, size, preface).map(Some);
                }
            }
        }
    }

    /// A header; `None` at the end: two blocks of zeros, or the end of the bytes.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut zeros = 0;
        loop {
            let mut header = Header::new_old();
            if !self.stored.block(header.as_mut_bytes())? {
                return Ok(None);
            }
            if header.as_bytes().iter().all(|byte| *byte == 0) {
                zeros += 1;
                if zeros == 2 {
                    return Ok(None);
                }
                continue;
            }
            if !is_sound(&header) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a header has an invalid checksum"));
            }
            return Ok(Some(header));
        }
    }

    /// The bytes of a header that describes the next entry; `None` if there are more than `max`.
    fn extension(&mut self, size: u64, max: u64, preface: &mut Preface) -> io::Result<Option<Vec<u8>>> {
        self.stored.begin(size)?;
        if size > max {
            preface.is_too_long = true;
            preface.problem = Some(format!("its name or extended header has {size} bytes; the limit is {max}"));
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        self.stored.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn records(&mut self, size: u64, preface: &mut Preface) -> io::Result<()> {
        let bytes = self.extension(size, RECORDS_BYTES_MAX, preface)?;
        if preface.records.is_some() {
            preface.problem = Some("it has two extended headers".to_owned());
        }
        match bytes.map(|bytes| Records::parse(&bytes)) {
            Some(Ok(records)) => preface.records = Some(records),
            Some(Err(problem)) => preface.problem = Some(problem),
            None => {}
        }
        Ok(())
    }

    fn global(&mut self, size: u64) -> io::Result<()> {
        let bytes = self.extension(size, RECORDS_BYTES_MAX, &mut Preface::default())?;
        let is_harmless = bytes.is_some_and(|bytes| Records::parse(&bytes).is_ok_and(|records| records.is_empty()));
        self.has_global_names |= !is_harmless;
        Ok(())
    }

    fn entry(&mut self, header: &Header, size: u64, preface: Preface) -> io::Result<Entry> {
        let records = preface.records.unwrap_or_default();
        let name = match (records.text("GNU.sparse.name").or(records.text("path")), preface.name) {
            (Some(name), _) => name.to_vec(),
            (None, Some(name)) => until_nul(&name).to_vec(),
            (None, None) => header.path_bytes().into_owned(),
        };
        let link = match (records.text("linkpath"), preface.link) {
            (Some(link), _) => Some(link.to_vec()),
            (None, Some(link)) => Some(until_nul(&link).to_vec()),
            (None, None) => header.link_name_bytes().map(|link| link.into_owned()),
        };
        let kind = kind_of(header, &name, link);
        let mut entry = Entry { name, kind, size: 0, is_name_known: !preface.is_too_long, problem: preface.problem };
        if self.has_global_names {
            entry.problem =
                Some("a global header of the tar changes names or sizes, which is not supported".to_owned());
        }
        let size = match records.number("size") {
            Ok(said) => said.unwrap_or(size),
            // Without the size, the position of the next header is unknown.
            Err(problem) => return Err(io::Error::new(io::ErrorKind::InvalidData, problem)),
        };
        // As in GNU tar, no bytes follow a link, whatever the header says.
        let size = if matches!(entry.kind, Kind::HardLink(_) | Kind::SymbolicLink) { 0 } else { size };
        match self.lay_out(header, size, &records) {
            Ok((parts, size)) => {
                self.parts = parts.into_iter();
                entry.size = size;
            }
            Err(Problem::Entry(problem)) => entry.problem = Some(problem),
            Err(Problem::Io(error)) => return Err(error),
        }
        Ok(entry)
    }

    /// Moves to the entry's bytes. Returns their parts and the file's size.
    fn lay_out(&mut self, header: &Header, size: u64, records: &Records) -> Result<(Vec<Part>, u64), Problem> {
        if header.entry_type() == EntryType::GNUSparse {
            let map = self.gnu_map(header);
            self.stored.begin(size)?;
            let (map, real_size) = map?;
            return Ok((map.layout(size, real_size)?, real_size));
        }
        self.stored.begin(size)?;
        match sparse::of_pax(records, &mut self.stored)? {
            Some((map, real_size, taken)) => {
                let stored = size.checked_sub(taken).ok_or_else(|| "its sparse map is truncated".to_owned())?;
                Ok((map.layout(stored, real_size)?, real_size))
            }
            None => Ok((vec![Part::Data(size)], size)),
        }
    }

    /// The map of GNU's old format: in the header, and in separate blocks before the entry's bytes.
    fn gnu_map(&mut self, header: &Header) -> Result<(Map, u64), Problem> {
        let gnu = header.as_gnu().ok_or_else(|| "it is sparse in a format that is not supported".to_owned())?;
        let mut map = Map::default();
        let mut problem = None;
        let mut add = |sparse: &::tar::GnuSparseHeader| {
            if sparse.is_empty() {
                return;
            }
            match (sparse.offset(), sparse.length()) {
                (Ok(offset), Ok(length)) => map.push(offset, length),
                _ => problem = Some("its sparse map is not valid: it is not a list of numbers".to_owned()),
            }
        };
        gnu.sparse.iter().for_each(&mut add);
        let mut more = gnu.is_extended();
        while more {
            let mut block = ::tar::GnuExtSparseHeader::new();
            if !self.stored.block(block.as_mut_bytes())? {
                return Err(Problem::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            block.sparse.iter().for_each(&mut add);
            more = block.is_extended();
        }
        match problem {
            Some(problem) => Err(problem.into()),
            None => {
                let real_size = gnu
                    .real_size()
                    .map_err(|_| "its sparse map is not valid: the file's size is missing".to_owned())?;
                Ok((map, real_size))
            }
        }
    }
}

/// The bytes of the entry that [`Tar::next`] returned last.
impl<R: Read> Read for Tar<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let part = match self.part.take().or_else(|| self.parts.next()) {
                None => return Ok(0),
                Some(Part::Hole(0) | Part::Data(0)) => continue,
                Some(part) => part,
            };
            let (Part::Hole(left) | Part::Data(left)) = part;
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let buffer = &mut buffer[..length];
            self.part = match part {
                Part::Hole(left) => {
                    buffer.fill(0);
                    Some(Part::Hole(left - length as u64))
                }
                Part::Data(left) => {
                    self.stored.read_exact(buffer)?;
                    Some(Part::Data(left - length as u64))
                }
            };
            return Ok(length);
        }
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    memchr::memchr(0, bytes).map_or(bytes, |end| &bytes[..end])
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::{Kind, Tar};

    /// A sparse file in GNU's format 1.0, a long name, a hard link and a plain file.
    fn sound() -> Vec<u8> {
        let mut tar = ::tar::Builder::new(Vec::new());
        let mut header = ::tar::Header::new_gnu();
        let mut add = |records: &[(&str, &[u8])], name: &str, bytes: &[u8]| {
            if !records.is_empty() {
                tar.append_pax_extensions(records.iter().copied())?;
            }
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, bytes)
        };
        let map = [b"2\n10\n512\n2000\n5\n".as_slice(), &[0; 512 - 16], &[b'x'; 512], b"dados"].concat();
        let records: [(&str, &[u8]); 4] = [
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"esparso.dat"),
            ("GNU.sparse.realsize", b"3000"),
        ];
        assert!(add(&records, "GNUSparseFile.0/esparso.dat", &map).is_ok());
        assert!(add(&[], &format!("{}x", "longo/".repeat(40)), b"longo").is_ok());
        assert!(add(&[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"2,3,9,0")], "velho.dat", b"abc").is_ok());
        assert!(add(&[("comment", b"a\nb")], "a.txt", b"a").is_ok());
        tar.into_inner().unwrap_or_default()
    }

    /// All entries with their bytes, or the error; at most a megabyte of each.
    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
        let mut tar = Tar::new(bytes);
        let mut files = Vec::new();
        while let Some(entry) = tar.next().map_err(|e| e.to_string())? {
            let mut content = Vec::new();
            if entry.kind == Kind::File && entry.problem.is_none() {
                tar.by_ref().take(1 << 20).read_to_end(&mut content).map_err(|e| e.to_string())?;
                assert_eq!(content.len() as u64, entry.size.min(1 << 20));
            }
            files.push((String::from_utf8_lossy(&entry.name).into_owned(), content));
        }
        Ok(files)
    }

    #[test]
    fn holes_are_zeros() {
        let sparse = [&[0; 10][..], &[b'x'; 512], &[0; 1478], b"dados", &[0; 995]].concat();
        let long = format!("{}x", "longo/".repeat(40));
        let expected =
            [("esparso.dat", &sparse[..]), (&long, b"longo"), ("velho.dat", b"\0\0abc\0\0\0\0"), ("a.txt", b"a")];
        let expected = expected.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).to_vec();
        assert!(read(&sound()) == Ok(expected));
    }

    #[test]
    fn a_damaged_tar_is_an_error_or_other_entries() {
        let sound = sound();
        for length in 0..sound.len() {
            // Truncated anywhere: only complete entries are read.
            let whole = read(&sound).unwrap_or_default();
            if let Ok(files) = read(&sound[..length]) {
                assert_eq!(files, whole[..files.len()], "{length}");
            }
        }
        let mut seed = 1_u32;
        for _ in 0..20_000 {
            let mut damaged = sound.clone();
            for _ in 0..1 + seed % 4 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % damaged.len();
                damaged[at] = if seed & 64 == 0 { b'0' + (seed as u8 & 7) } else { seed as u8 };
                // A header with a valid checksum all the same.
                let block = at / 512 * 512;
                let mut header = ::tar::Header::new_old();
                header.as_mut_bytes().copy_from_slice(&damaged[block..block + 512]);
                header.set_cksum();
                damaged[block..block + 512].copy_from_slice(header.as_bytes());
            }
            let _ = read(&damaged);
        }
    }
}
