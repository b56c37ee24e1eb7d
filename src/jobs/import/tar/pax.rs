//! The extended headers of pax archives.
use std::collections::HashMap;

/// An extended header, which describes the entry after it: the records that are used here.
#[derive(Default)]
pub(super) struct Records {
    values: HashMap<String, Vec<u8>>,
    /// Offsets and sizes of GNU's sparse format 0.0, which repeats its two keys.
    pub pairs: Vec<(u64, u64)>,
}

/// Records of other programs that change the meaning of an entry's bytes.
const UNSUPPORTED: [&str; 5] =
    ["SCHILY.realsize", "SCHILY.filetype", "GNU.volume.filename", "GNU.volume.offset", "GNU.volume.size"];

const SUPPORTED: [&str; 12] = [
    "path",
    "linkpath",
    "size",
    "GNU.sparse.major",
    "GNU.sparse.minor",
    "GNU.sparse.name",
    "GNU.sparse.realsize",
    "GNU.sparse.size",
    "GNU.sparse.numblocks",
    "GNU.sparse.map",
    "GNU.sparse.offset",
    "GNU.sparse.numbytes",
];

impl Records {
    /// Reads `length key=value` records. The error says what is wrong.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, String> {
        let mut records = Self::default();
        let mut offset = None;
        while !bytes.is_empty() && bytes.first() != Some(&0) {
            let (record, rest) = split(bytes).ok_or("its extended header cannot be read")?;
            bytes = rest;
            let equals = memchr::memchr(b'=', record).ok_or("its extended header has a record without `=`")?;
            let key = String::from_utf8_lossy(&record[..equals]).into_owned();
            let value = &record[equals + 1..];
            match key.as_str() {
                "GNU.sparse.offset" => offset = Some(number(&key, value)?),
                "GNU.sparse.numbytes" => {
                    let offset = offset.take().ok_or("its sparse map has a size without an offset")?;
                    records.pairs.push((offset, number(&key, value)?));
                }
                _ if UNSUPPORTED.contains(&key.as_str()) => {
                    return Err(format!("it uses `{key}`, which is not supported"));
                }
                _ if SUPPORTED.contains(&key.as_str()) => {
                    records.values.insert(key, value.to_vec());
                }
                _ => {}
            }
        }
        if offset.is_some() {
            return Err("its sparse map has an offset without a size".to_owned());
        }
        Ok(records)
    }

    pub(super) fn text(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key).map(Vec::as_slice)
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, String> {
        self.values.get(key).map(|value| number(key, value)).transpose()
    }

    /// Whether it has a record that would change an entry's name or bytes.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.pairs.is_empty()
    }
}

/// One record without its length and line end, and the remaining bytes.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = memchr::memchr(b' ', bytes.get(..bytes.len().min(20))?)?;
    let length: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
    let record = bytes.get(blank + 1..length)?;
    Some((record.strip_suffix(b"\n")?, &bytes[length..]))
}

fn number(key: &str, value: &[u8]) -> Result<u64, String> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or_else(|| format!("`{key}` in its extended header is not a number"))
}
