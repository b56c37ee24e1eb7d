//! The compressed data of a PNG, which is one zlib stream cut into chunks.
use super::DenseError;

pub(super) const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// The first run of IDAT chunks in a PNG.
pub(super) struct ImageData {
    /// Where the first of the chunks begins, and where the last ends.
    pub start: usize,
    pub end: usize,
    pub lengths: Vec<usize>,
    /// The data of all chunks.
    pub data: Vec<u8>,
}

/// Finds the image data of the PNG that `bytes` begins with. `None` if it is not exactly as [`write_chunks`] would write it.
pub(super) fn image_data(bytes: &[u8]) -> Option<ImageData> {
    let mut at = SIGNATURE.len();
    let mut found: Option<ImageData> = None;
    while let Some((kind, data, end)) = chunk(bytes, at) {
        if kind == b"IDAT" {
            let image =
                found.get_or_insert_with(|| ImageData { start: at, end, lengths: Vec::new(), data: Vec::new() });
            if bytes.get(end - 4..end) != Some(&checksum(data)) {
                return None;
            }
            image.end = end;
            image.lengths.push(data.len());
            image.data.extend_from_slice(data);
        } else if found.is_some() || kind == b"IEND" {
            break;
        }
        at = end;
    }
    found
}

/// The kind and data of the chunk at an offset, and where it ends.
fn chunk(bytes: &[u8], at: usize) -> Option<(&[u8], &[u8], usize)> {
    let len = bytes.get(at..at.checked_add(4)?)?;
    let len = u32::from_be_bytes(len.try_into().ok()?) as usize;
    let end = at.checked_add(len)?.checked_add(12)?;
    let whole = bytes.get(at..end)?;
    Some((&whole[4..8], &whole[8..8 + len], end))
}

fn checksum(data: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(b"IDAT");
    crc.update(data);
    crc.sum().to_be_bytes()
}

/// Writes image data as chunks of the given lengths.
pub(super) fn write_chunks(
    lengths: &[usize],
    mut data: &[u8],
    sink: &mut dyn FnMut(&[u8]) -> Result<(), DenseError>,
) -> Result<(), DenseError> {
    const WRONG: DenseError = DenseError::Damaged("the image data of a PNG has another length");
    for &len in lengths {
        let (some, rest) = data.split_at_checked(len).ok_or(WRONG)?;
        data = rest;
        sink(&u32::try_from(len).map_err(|_| WRONG)?.to_be_bytes())?;
        sink(b"IDAT")?;
        sink(some)?;
        sink(&checksum(some))?;
    }
    if data.is_empty() { Ok(()) } else { Err(WRONG) }
}
