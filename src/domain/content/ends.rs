//! The beginning and the end of a file, and whether its end is missing.
use super::Verdict;
use super::expected::Expected;
use super::sniff::Format;

/// How much of the beginning is inspected: pages may begin with long comments.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// How much of the end is inspected: it holds the trailer of a PDF and the end of a zip's directory.
pub(super) const TAIL_BYTES: usize = 4 << 10;

/// The first and last bytes of a file, collected while it is received.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    head: Vec<u8>,
    tail: Vec<u8>,
    size: u64,
}

impl Ends {
    pub fn take(&mut self, bytes: &[u8]) {
        let missing = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        self.size += bytes.len() as u64;
        let newest = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let older = TAIL_BYTES.saturating_sub(newest.len());
        self.tail.drain(..self.tail.len().saturating_sub(older));
        self.tail.extend_from_slice(newest);
    }

    pub fn head(&self) -> &[u8] {
        &self.head
    }

    #[cfg(test)]
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether a file that begins as expected also ends so. Zips are opened, which says more.
    pub(super) fn completeness(&self, expected: Expected, format: Format) -> Verdict {
        let ends_with = |marker: &[u8]| memchr::memmem::rfind(&self.tail, marker).is_some();
        match (expected, format) {
            (Expected::Pdf, _) if !ends_with(b"%%EOF") => {
                Verdict::Doubtful("the PDF has no end (%%EOF): it seems cut off")
            }
            (Expected::OfficeZip | Expected::Office, Format::Zip) if !ends_with(b"PK\x05\x06") => {
                Verdict::Doubtful("the workbook or document has no zip directory: it seems cut off")
            }
            (_, Format::Compound) if !self.is_whole_compound() => {
                Verdict::Doubtful("the workbook or document is shorter than its own tables say: it seems cut off")
            }
            _ => Verdict::File,
        }
    }

    /// Whether the sectors that a compound file's header refers to are within the file.
    fn is_whole_compound(&self) -> bool {
        let word =
            |at: usize| self.head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        let Some(shift @ (9 | 12)) = self.head.get(30).copied() else { return false };
        if self.head.len() < 512 {
            return false;
        }
        // The directory's first sector, and the sectors of the allocation table. The highest numbers mean "none".
        let sectors = std::iter::once(48).chain((76..512).step_by(4)).filter_map(word);
        sectors.filter(|sector| *sector < 0xffff_fffa).all(|sector| (u64::from(sector) + 1) << shift < self.size)
    }
}
