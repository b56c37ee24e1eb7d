//! Sparse files: the parts of a file that a tar contains, and the holes between them, which are zeros.
use std::io::{self, Read};

use super::blocks::BLOCK;
use super::pax::Records;

/// The most parts of one file; GNU tar writes one for each hole.
const PARTS_MAX: usize = 1 << 20;

/// The longest number in a map.
const DIGITS_MAX: usize = 20;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Hole(u64),
    Data(u64),
}

/// Offsets and sizes of the stored parts, in order.
#[derive(Default)]
pub(super) struct Map {
    parts: Vec<(u64, u64)>,
    is_too_long: bool,
}

impl Map {
    pub(super) fn push(&mut self, offset: u64, size: u64) {
        if self.parts.len() < PARTS_MAX {
            self.parts.push((offset, size));
        } else {
            self.is_too_long = true;
        }
    }

    /// The file's parts and holes: `stored` bytes in the tar, `real_size` bytes in the file. Any inconsistency is an error,
    /// since a wrong map gives wrong bytes.
    pub(super) fn layout(self, stored: u64, real_size: u64) -> Result<Vec<Part>, String> {
        if self.is_too_long {
            return Err(format!("it is a sparse file of more than {PARTS_MAX} parts"));
        }
        let wrong = |what: &str| Err(format!("its sparse map is not valid: {what}"));
        let mut layout = Vec::with_capacity(self.parts.len() * 2 + 1);
        let (mut at, mut left) = (0, stored);
        for (offset, size) in self.parts {
            if offset < at {
                return wrong("its parts overlap or are out of order");
            }
            // Each part begins at a new block, so only the last one may end inside a block.
            if size > 0 && !(stored - left).is_multiple_of(BLOCK) {
                return wrong("a part begins inside a block");
            }
            let Some(rest) = left.checked_sub(size) else { return wrong("it names more bytes than are stored") };
            let Some(end) = offset.checked_add(size) else { return wrong("a part ends beyond any file") };
            if offset > at && size > 0 {
                layout.push(Part::Hole(offset - at));
            }
            if size > 0 {
                layout.push(Part::Data(size));
                at = end;
            }
            left = rest;
        }
        if left > 0 {
            return wrong("it names fewer bytes than are stored");
        }
        match real_size.checked_sub(at) {
            None => wrong("it ends beyond the file's size"),
            Some(0) => Ok(layout),
            Some(hole) => {
                layout.push(Part::Hole(hole));
                Ok(layout)
            }
        }
    }
}

/// The map of an entry in one of GNU's pax formats; `None` if its extended header has none. In format 1.0 the map
/// precedes the entry's bytes and is read from `data`; its length is returned with it.
pub(super) fn of_pax(records: &Records, data: &mut dyn Read) -> Result<Option<(Map, u64, u64)>, Problem> {
    let major = records.number("GNU.sparse.major")?;
    let minor = records.number("GNU.sparse.minor")?;
    match (major, minor) {
        (Some(1), Some(0)) => {
            let missing = || "its sparse map is not valid: the file's size is missing".to_owned();
            let real_size = records.number("GNU.sparse.realsize")?.ok_or_else(missing)?;
            let (map, taken) = front_map(data)?;
            return Ok(Some((map, real_size, taken)));
        }
        (None | Some(0), None | Some(0 | 1)) => {}
        (major, minor) => {
            let version = format!("{}.{}", major.unwrap_or_default(), minor.unwrap_or_default());
            return Err(format!("it is sparse in format {version}, which is not supported").into());
        }
    }
    let Some(real_size) = records.number("GNU.sparse.size")?.or(records.number("GNU.sparse.realsize")?) else {
        let is_sparse = !records.pairs.is_empty()
            || ["GNU.sparse.map", "GNU.sparse.numblocks", "GNU.sparse.major"]
                .iter()
                .any(|key| records.text(key).is_some());
        return if is_sparse {
            Err("its sparse map is not valid: the file's size is missing".to_owned().into())
        } else {
            Ok(None)
        };
    };
    let mut map = Map::default();
    match records.text("GNU.sparse.map") {
        Some(text) => {
            let wrong = || "its sparse map is not valid: it is not a list of numbers".to_owned();
            let text = std::str::from_utf8(text).map_err(|_| wrong())?;
            let numbers: Vec<u64> = text
                .split(',')
                .filter(|number| !number.is_empty())
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map_err(|_| wrong())?;
            let (pairs, rest) = numbers.as_chunks::<2>();
            if !rest.is_empty() {
                return Err(wrong().into());
            }
            pairs.iter().for_each(|[offset, size]| map.push(*offset, *size));
        }
        None => records.pairs.iter().for_each(|(offset, size)| map.push(*offset, *size)),
    }
    let count = records.number("GNU.sparse.numblocks")?;
    if count.is_some_and(|count| count != map.parts.len() as u64) {
        return Err("its sparse map is not valid: the number of its parts is wrong".to_owned().into());
    }
    Ok(Some((map, real_size, 0)))
}

/// The map at the front of an entry's bytes: numbers, one a line, padded to a block.
fn front_map(data: &mut dyn Read) -> Result<(Map, u64), Problem> {
    let mut numbers = Numbers { data, block: [0; BLOCK as usize], at: BLOCK as usize, taken: 0 };
    let count = numbers.next()?;
    let mut map = Map::default();
    for _ in 0..count {
        let (offset, size) = (numbers.next()?, numbers.next()?);
        map.push(offset, size);
        if map.is_too_long {
            break;
        }
    }
    Ok((map, numbers.taken))
}

struct Numbers<'a> {
    data: &'a mut dyn Read,
    block: [u8; BLOCK as usize],
    at: usize,
    taken: u64,
}

impl Numbers<'_> {
    fn next(&mut self) -> Result<u64, Problem> {
        let mut digits = String::new();
        loop {
            if self.at == self.block.len() {
                self.data.read_exact(&mut self.block).map_err(|e| match e.kind() {
                    // If the tar itself ends here, reading the next header fails.
                    io::ErrorKind::UnexpectedEof => Problem::Entry("its sparse map is truncated".to_owned()),
                    _ => Problem::Io(e),
                })?;
                self.at = 0;
                self.taken += BLOCK;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => break,
                b'0'..=b'9' if digits.len() < DIGITS_MAX => digits.push(char::from(byte)),
                _ => return Err("its sparse map is not valid: it is not a list of numbers".to_owned().into()),
            }
        }
        digits.parse().map_err(|_| "its sparse map is not valid: a number is missing".to_owned().into())
    }
}

/// Why there is no map: the entry is invalid, or the tar cannot be read.
pub(super) enum Problem {
    Entry(String),
    Io(io::Error),
}

impl From<String> for Problem {
    fn from(reason: String) -> Self {
        Self::Entry(reason)
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
