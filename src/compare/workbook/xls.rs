//! Workbooks of Excel before 2007, reduced to the records of their cells.
//!
//! Their parser makes a table as large as the corners of a sheet say, and copies a string for every cell that has it. So the records that
//! have cells are counted first, and given to it in a file that has no others: no formulas, no names, no announced sizes.
use std::io::{Cursor, Read, Write};

/// Fields of the table of all cells in the rectangle around those that exist.
const AREA_MAX: u64 = 4_000_000;

/// Bytes of all texts in cells.
const TEXT_BYTES_MAX: u64 = 64 << 20;

const SHEETS_MAX: usize = 1_000;

/// Types of records, by their names in [MS-XLS].
mod record {
    pub const FORMULA: u16 = 0x0006;
    pub const EOF: u16 = 0x000a;
    pub const DATE_MODE: u16 = 0x0022;
    pub const FILE_PASS: u16 = 0x002f;
    pub const CONTINUE: u16 = 0x003c;
    pub const CODE_PAGE: u16 = 0x0042;
    pub const BOUND_SHEET: u16 = 0x0085;
    pub const MUL_RK: u16 = 0x00bd;
    pub const R_STRING: u16 = 0x00d6;
    pub const XF: u16 = 0x00e0;
    pub const SST: u16 = 0x00fc;
    pub const LABEL_SST: u16 = 0x00fd;
    pub const NUMBER: u16 = 0x0203;
    pub const LABEL: u16 = 0x0204;
    pub const BOOL_ERR: u16 = 0x0205;
    pub const STRING: u16 = 0x0207;
    pub const RK: u16 = 0x027e;
    pub const FORMAT: u16 = 0x041e;
    pub const BOF: u16 = 0x0809;
}

/// A file with the same cells; an error if there are more than `cells_max`.
pub(super) fn reduced(bytes: &[u8], cells_max: usize) -> Result<Vec<u8>, String> {
    let broken = |e: std::io::Error| format!("it is not a workbook that can be read: {e}");
    let mut file = cfb::CompoundFile::open(Cursor::new(bytes)).map_err(broken)?;
    let name = ["/Workbook", "/Book"].into_iter().find(|name| file.is_stream(name));
    let name = name.ok_or("it is not a workbook that can be read: it has no stream of that name")?;
    let mut stream = Vec::new();
    // It cannot be larger than the file, whatever it says.
    let limit = bytes.len() as u64;
    file.open_stream(name).map_err(broken)?.take(limit).read_to_end(&mut stream).map_err(broken)?;
    let reduced =
        Reduction { stream: &stream, out: Vec::new(), cells_left: cells_max, area: 0, text_bytes: 0, read: 0 };
    let reduced = reduced.run()?;
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).map_err(broken)?;
    file.create_stream(name).map_err(broken)?.write_all(&reduced).map_err(broken)?;
    file.flush().map_err(broken)?;
    Ok(file.into_inner().into_inner())
}

/// The type of a record, its data, and where the next one begins.
type Record<'a> = (u16, &'a [u8], usize);

/// Where each sheet begins, with the place in the output that says so, and the lengths of the strings.
type Globals = (Vec<(usize, usize)>, Vec<u16>);

struct Reduction<'a> {
    stream: &'a [u8],
    out: Vec<u8>,
    cells_left: usize,
    area: u64,
    text_bytes: u64,
    /// Bytes of records read: sheets of a hostile file may overlap.
    read: usize,
}

/// The rectangle around some cells.
#[derive(Default)]
struct Corners(Option<[u16; 4]>);

impl Corners {
    fn include(&mut self, row: u16, column: u16) {
        let [top, bottom, left, right] = self.0.unwrap_or([row, row, column, column]);
        self.0 = Some([top.min(row), bottom.max(row), left.min(column), right.max(column)]);
    }

    fn area(&self) -> u64 {
        let side = |from: u16, to: u16| u64::from(to - from) + 1;
        self.0.map_or(0, |[top, bottom, left, right]| side(top, bottom) * side(left, right))
    }
}

impl<'a> Reduction<'a> {
    fn run(mut self) -> Result<Vec<u8>, String> {
        let (sheets, string_lengths) = self.globals()?;
        for (position, written_at) in sheets {
            let start = (self.out.len() as u32).to_le_bytes();
            self.out[written_at..written_at + 4].copy_from_slice(&start);
            self.sheet(position, &string_lengths)?;
        }
        Ok(self.out)
    }

    /// The record at a position; `None` at the end.
    fn record(&mut self, at: usize) -> Result<Option<Record<'a>>, String> {
        let broken = || "it is not a workbook that can be read: a record is cut".to_owned();
        let Some(head) = self.stream.get(at..at + 4) else {
            return if at >= self.stream.len() { Ok(None) } else { Err(broken()) };
        };
        let (kind, length) = (u16_at(head, 0), usize::from(u16_at(head, 2)));
        let data = self.stream.get(at + 4..at + 4 + length).ok_or_else(broken)?;
        self.read += length + 4;
        if self.read > self.stream.len() * 4 {
            return Err("it is not a workbook that can be read: its sheets overlap".to_owned());
        }
        Ok(Some((kind, data, at + 4 + length)))
    }

    fn write(&mut self, kind: u16, data: &[u8]) {
        self.out.extend_from_slice(&kind.to_le_bytes());
        // A record came with a length of 16 bits and is not longer now.
        self.out.extend_from_slice(&(data.len() as u16).to_le_bytes());
        self.out.extend_from_slice(data);
    }

    /// Writes the records before the sheets.
    fn globals(&mut self) -> Result<Globals, String> {
        let (mut sheets, mut lengths) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some((kind, data, next)) = self.record(at)? {
            at = next;
            match kind {
                record::EOF => {
                    self.write(kind, data);
                    break;
                }
                record::BOUND_SHEET if data.len() >= 8 => {
                    if sheets.len() >= SHEETS_MAX {
                        return Err(format!("it has more than {SHEETS_MAX} sheets"));
                    }
                    sheets.push((u32_at(data, 0) as usize, self.out.len() + 4));
                    self.write(kind, data);
                }
                record::SST => {
                    let mut parts = vec![data.get(8..).unwrap_or_default()];
                    self.write(kind, data);
                    while let Some((record::CONTINUE, data, next)) = self.record(at)? {
                        parts.push(data);
                        self.write(record::CONTINUE, data);
                        at = next;
                    }
                    lengths = string_lengths(&parts)?;
                }
                record::BOF
                | record::CODE_PAGE
                | record::DATE_MODE
                | record::FORMAT
                | record::XF
                | record::FILE_PASS => self.write(kind, data),
                _ => {}
            }
        }
        Ok((sheets, lengths))
    }

    fn sheet(&mut self, position: usize, string_lengths: &[u16]) -> Result<(), String> {
        let mut corners = Corners::default();
        let mut at = position;
        // Charts inside a sheet have records like those of its cells.
        let mut depth = 0_usize;
        while let Some((kind, data, next)) = self.record(at)? {
            at = next;
            match kind {
                record::BOF => {
                    depth += 1;
                    if depth == 1 {
                        self.write(kind, data);
                    }
                }
                record::EOF => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        self.write(kind, data);
                        break;
                    }
                }
                _ if depth > 1 => {}
                _ => self.cell(kind, data, string_lengths, &mut corners)?,
            }
        }
        self.area += corners.area();
        if self.area > AREA_MAX {
            return Err(format!("its sheets are larger than {AREA_MAX} cells"));
        }
        Ok(())
    }

    fn cell(&mut self, kind: u16, data: &[u8], lengths: &[u16], corners: &mut Corners) -> Result<(), String> {
        let text_bytes = match kind {
            record::NUMBER | record::RK | record::BOOL_ERR | record::MUL_RK | record::FORMULA => 0,
            record::LABEL | record::R_STRING | record::STRING => data.len() as u64 * 3,
            record::LABEL_SST if data.len() >= 10 => {
                let length = usize::try_from(u32_at(data, 6)).ok().and_then(|at| lengths.get(at)).copied();
                u64::from(length.unwrap_or_default()) * 3
            }
            _ => return Ok(()),
        };
        self.text_bytes += text_bytes;
        if self.text_bytes > TEXT_BYTES_MAX {
            return Err(format!("the texts of its cells have more than {} MiB", TEXT_BYTES_MAX >> 20));
        }
        let count = if kind == record::MUL_RK { data.len().saturating_sub(6) / 6 } else { 1 };
        self.cells_left = self.cells_left.checked_sub(count).ok_or("it has too many cells to be compared")?;
        // The text of a formula has the position of the record before it.
        if kind != record::STRING && data.len() >= 4 {
            let (row, column) = (u16_at(data, 0), u16_at(data, 2));
            corners.include(row, column);
            corners.include(row, column.saturating_add(count.saturating_sub(1) as u16));
        }
        match kind {
            // Without its tokens: their count is 0.
            record::FORMULA if data.len() >= 22 => self.write(kind, &[&data[..20], &[0, 0]].concat()),
            record::FORMULA => {}
            _ => self.write(kind, data),
        }
        Ok(())
    }
}

/// The characters of each string of a table that is continued in several parts.
fn string_lengths(parts: &[&[u8]]) -> Result<Vec<u16>, String> {
    let broken = || "it is not a workbook that can be read: its table of texts is cut".to_owned();
    let mut parts = parts.iter().copied();
    let mut data = parts.next().unwrap_or_default();
    let mut lengths = Vec::new();
    loop {
        if data.is_empty() {
            match parts.next() {
                Some(next) => data = next,
                None => return Ok(lengths),
            }
            continue;
        }
        let (length, flags) = (u16_at(data.get(..2).ok_or_else(broken)?, 0), *data.get(2).ok_or_else(broken)?);
        data = &data[3..];
        let mut trailing = 0;
        if flags & 8 != 0 {
            trailing += u64::from(u16_at(data.get(..2).ok_or_else(broken)?, 0)) * 4;
            data = &data[2..];
        }
        if flags & 4 != 0 {
            trailing += u64::from(u32_at(data.get(..4).ok_or_else(broken)?, 0));
            data = &data[4..];
        }
        let (mut left, mut width) = (usize::from(length), usize::from(flags & 1) + 1);
        while left > 0 {
            let here = left.min(data.len() / width);
            data = &data[here * width..];
            left -= here;
            if left > 0 {
                let next = parts.next().ok_or_else(broken)?;
                width = usize::from(next.first().ok_or_else(broken)? & 1) + 1;
                data = &next[1..];
            }
        }
        while trailing > 0 {
            if data.is_empty() {
                data = parts.next().ok_or_else(broken)?;
            }
            let here = usize::try_from(trailing).unwrap_or(usize::MAX).min(data.len());
            data = &data[here..];
            trailing -= here as u64;
        }
        lengths.push(length);
    }
}

fn u16_at(data: &[u8], at: usize) -> u16 {
    data.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(data: &[u8], at: usize) -> u32 {
    data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::string_lengths;

    #[test]
    fn strings_are_measured_across_continuations() {
        let wide = [&[2, 0, 1], &b"a\0b\0"[..]].concat();
        let rich = [&[1, 0, 8, 1, 0, b'x'], &[0; 4][..]].concat();
        let cut = [&[5, 0, 0], &b"ab"[..]].concat();
        let first = [&wide[..], &rich, &cut].concat();
        assert_eq!(string_lengths(&[&first, &[0, b'c', b'd', b'e'], &[0, 0, 0]]), Ok(vec![2, 1, 5, 0]));
        assert!(string_lengths(&[&first]).is_err());
        assert_eq!(string_lengths(&[&[]]), Ok(Vec::new()));
    }
}
